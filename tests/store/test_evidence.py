"""An unknown batch is settled by reports, and only by reports that nothing else explains."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_sms.records import BatchState, DeliveryStatus
from airflow_provider_sms.store import claims
from airflow_provider_sms.store.ledger import Ledger
from airflow_provider_sms.store.schema import batches
from airflow_provider_sms.store.settling import decide

UNKNOWN, ACCEPTED = BatchState.UNKNOWN, BatchState.ACCEPTED
NUMBER = "13800000001"
OTHER = "13800000002"


def state(ledger, send_key="key"):
    [batch] = ledger.batches(send_key)
    return batch.state


def after(ledger, **passed: Any):
    return ledger.batches("key")[0].submitted_at + timedelta(**passed)


def test_our_reference_proves_it(submitted, ledger, land, make_report):
    """Smsadmin gives our linkid back; nothing more is needed."""
    submitted("key", [[NUMBER]], UNKNOWN, vendor="smsadmin")
    land([make_report(NUMBER, "keyref1")], vendor="smsadmin")
    assert ledger.settle_by_reports(by_number=False) == [("key", 1)]
    [batch] = ledger.batches("key")
    assert (batch.state, batch.settled_by) == (ACCEPTED, "report")
    assert ledger.settle_by_reports(by_number=False) == []


def test_an_earlier_attempts_reference_proves_it_too(submitted, ledger, land, make_report):
    submitted("key", [[NUMBER]], UNKNOWN, vendor="smsadmin")
    ledger.claim("key", 1, "second", -1, "secondref", resend=True)
    ledger.expire("key")
    land([make_report(NUMBER, "keyref1")], vendor="smsadmin")
    assert ledger.settle_by_reports("key", by_number=False) == [("key", 1)]


def test_a_reference_on_a_strangers_number_proves_nothing(submitted, ledger, land, make_report):
    submitted("key", [[NUMBER]], UNKNOWN, vendor="smsadmin")
    land([make_report("13999999999", "keyref1")], vendor="smsadmin")
    land([make_report(NUMBER, "keyref1")], vendor="wavecom")
    assert ledger.settle_by_reports(by_number=False) == []


def test_a_number_in_time_with_an_unknown_id_proves_it(submitted, ledger, land, make_report, ask):
    """And from then on its reports join by that id."""
    submitted("key", [[NUMBER, OTHER]], UNKNOWN)
    land([make_report(NUMBER, "5001", at=after(ledger, minutes=3))])
    assert ledger.settle_by_reports(by_number=False) == []
    assert ledger.settle_by_reports() == [("key", 1)]
    land([make_report(OTHER, "5001", at=after(ledger, minutes=4))])
    assert ask("SELECT delivery FROM sms_message_status ORDER BY mobile") == [("delivered",)] * 2


@pytest.mark.parametrize(
    ("passed", "proves"),
    [
        ({"hours": -1}, False),
        ({"seconds": -2}, False),
        ({"seconds": 0}, True),
        ({"hours": 71, "minutes": 59}, True),
        ({"hours": 72, "minutes": 1}, False),
    ],
)
def test_the_window_is_72_hours_from_the_submit(submitted, ledger, land, make_report, passed, proves):
    submitted("key", [[NUMBER]], UNKNOWN)
    # Vendors cut their times to whole seconds.
    land([make_report(NUMBER, "5001", at=after(ledger, **passed).replace(microsecond=0))])
    assert bool(ledger.settle_by_reports()) is proves


def test_a_scheduled_sends_window_ends_72_hours_after_its_time(submitted, ledger, land, make_report, store):
    submitted("key", [[NUMBER]], UNKNOWN, send_at=store.now() + timedelta(hours=48))
    land([make_report(NUMBER, "5001", at=after(ledger, hours=100))])
    assert ledger.settle_by_reports() == [("key", 1)]


def test_a_report_of_a_known_batch_proves_nothing(submitted, ledger, land, make_report):
    submitted("other", [[NUMBER]], ACCEPTED, ids=["5001"])
    submitted("key", [[NUMBER]], UNKNOWN)
    land([make_report(NUMBER, "5001", at=after(ledger, minutes=1))])
    assert ledger.settle_by_reports() == []


def test_two_batches_that_may_have_caused_it_stay_unknown(submitted, ledger, land, make_report):
    submitted("key", [[NUMBER]], UNKNOWN)
    submitted("other", [[NUMBER, OTHER]], UNKNOWN)
    land([make_report(NUMBER, "5001", at=after(ledger, minutes=1))])
    assert ledger.settle_by_reports() == []
    assert {state(ledger), state(ledger, "other")} == {UNKNOWN}


def test_a_number_that_only_one_of_them_has_decides(submitted, ledger, land, make_report):
    """The other batch's number settles it, and then the shared number's report says nothing new."""
    submitted("key", [[NUMBER]], UNKNOWN)
    submitted("other", [[NUMBER, OTHER]], UNKNOWN)
    land([make_report(OTHER, "5001", at=after(ledger, minutes=1))])
    assert ledger.settle_by_reports() == [("other", 1)]
    land([make_report(NUMBER, "5001", at=after(ledger, minutes=1))])
    assert ledger.settle_by_reports() == []
    assert state(ledger) == UNKNOWN


def test_a_batch_that_is_still_being_submitted_is_a_rival(submitted, plan, ledger, land, make_report):
    submitted("key", [[NUMBER]], UNKNOWN)
    plan("other", [[NUMBER]])
    ledger.claim("other", 1, "worker", 60, "otherref")
    land([make_report(NUMBER, "5001", at=after(ledger, minutes=1))])
    assert ledger.settle_by_reports() == []


def test_an_accepted_batch_without_any_id_is_a_rival(submitted, ledger, land, make_report):
    """The vendor told no id, so the report may as well be its."""
    submitted("other", [[NUMBER]], ACCEPTED)
    submitted("key", [[NUMBER]], UNKNOWN)
    land([make_report(NUMBER, "5001", at=after(ledger, minutes=1))])
    assert ledger.settle_by_reports() == []


@pytest.mark.parametrize("keys", [("first", "second"), ("second", "first")])
@pytest.mark.parametrize("pages", [1, 2])
def test_a_batch_proved_by_one_of_its_messages_may_have_caused_the_others_reports(
    submitted, ledger, land, make_report, keys, pages
):
    """Each has an id of its own. Called accepted, the second send would be lost, and its task green."""
    taken, lost = keys
    submitted(taken, [[NUMBER, OTHER]], UNKNOWN)
    submitted(lost, [[OTHER]], UNKNOWN)
    at = ledger.batches(lost)[0].submitted_at + timedelta(minutes=1)
    reports = [make_report(NUMBER, "5001", at=at), make_report(OTHER, "5002", at=at)]
    settled = []
    for part in (reports,) if pages == 1 else ([reports[0]], [reports[1]]):
        land(part)
        settled += ledger.settle_by_reports(conn_id="sms_main")
    assert settled == [(taken, 1)]
    assert state(ledger, lost) == UNKNOWN


def test_a_rival_whose_own_report_is_there_is_none_any_more(submitted, ledger, land, make_report):
    """One submit, one number, one report: a second one is another's."""
    submitted("other", [[NUMBER]], UNKNOWN)
    land([make_report(NUMBER, "5001", at=ledger.batches("other")[0].submitted_at + timedelta(minutes=1))])
    assert ledger.settle_by_reports() == [("other", 1)]
    submitted("key", [[NUMBER]], UNKNOWN)
    land([make_report(NUMBER, "5002", at=after(ledger, minutes=1))])
    assert ledger.settle_by_reports() == [("key", 1)]


def test_a_resent_batch_may_have_caused_two_reports(submitted, ledger, land, make_report):
    """The answer to the second submit told its id; that of the first one nobody knows."""
    submitted("other", [[NUMBER]], UNKNOWN)
    assert ledger.claim("other", 1, "worker", 60, "again", resend=True)
    assert ledger.settle("other", 1, ACCEPTED, owner="worker", message_ids=["7001"])
    submitted("key", [[NUMBER]], UNKNOWN)
    land([make_report(NUMBER, "5001", at=after(ledger, minutes=1))])
    assert ledger.settle_by_reports() == []


def test_what_a_person_called_not_sent_is_a_rival(submitted, ledger, store, land, make_report):
    submitted("other", [[NUMBER]], UNKNOWN)
    assert decide(store, "other", 1, BatchState.NOT_SENT, "a person says so")
    submitted("key", [[NUMBER]], UNKNOWN)
    land([make_report(NUMBER, "5001", at=after(ledger, minutes=1))])
    assert ledger.settle_by_reports() == []


@pytest.mark.parametrize("asked", [{"conn_id": "sms_main"}, {"send_key": "key"}])
@pytest.mark.parametrize("first", [0, 1])
def test_the_ids_of_the_other_messages_are_learnt_as_their_reports_land(
    submitted, ledger, land, make_report, ask, first, asked
):
    """Each has its own. Otherwise those that come later would be silent for ever; and none gets another's."""
    submitted("key", [[NUMBER, OTHER]], UNKNOWN)
    reports = [make_report(NUMBER, "5001", at=after(ledger, minutes=1)), make_report(OTHER, "5002")]
    reports[1] = reports[1]._replace(occurred_at=after(ledger, minutes=1 + first))
    page_id = land([reports[first]])
    assert ledger.settle_by_reports(conn_id="sms_main", landed=[page_id]) == [("key", 1)]
    assert ask("SELECT DISTINCT vendor_message_id FROM sms_messages") == [(None,)]
    page_id = land([reports[1 - first]])
    assert ledger.settle_by_reports(conn_id="sms_main") == []
    assert ask("SELECT count(*) FROM sms_message_status WHERE delivery = 'delivered'") == [(1,)]
    assert ledger.settle_by_reports(**asked, landed=[page_id] if "conn_id" in asked else None) == []
    assert ask("SELECT delivery FROM sms_message_status ORDER BY mobile") == [("delivered",)] * 2
    assert ask("SELECT message_id, message_ids FROM sms_batches") == [(None, '["5001", "5002"]')]


def test_ids_are_learnt_of_no_other_batch(submitted, ledger, land, make_report, ask):
    """All three are proved by one of their messages; the next report is of the first one's other number."""
    people = [f"1380000000{last}" for last in range(6)]
    submitted("key", [people[:2], people[2:4]], UNKNOWN)
    submitted("other", [people[4:]], UNKNOWN)
    at = ledger.batches("other")[0].submitted_at + timedelta(minutes=1)
    land([make_report(people[place], f"500{place}", at=at) for place in (0, 2, 4)])
    assert ledger.settle_by_reports() == [("key", 1), ("key", 2), ("other", 1)]
    page_id = land([make_report(people[1], "5001", at=at)])
    assert ledger.settle_by_reports(conn_id="sms_main", landed=[page_id]) == []
    learnt = "SELECT message_ids FROM sms_batches ORDER BY send_key, batch_no"
    assert ask(learnt) == [('["5000", "5001"]',), (None,), (None,)]
    assert ask("SELECT count(*) FROM sms_batch_ids WHERE kind = 'evidence'") == [(4,)]


def test_one_id_of_two_messages_is_the_whole_batchs(submitted, ledger, land, make_report, ask):
    """The third's report will bear it as well."""
    submitted("key", [[NUMBER, OTHER, "13800000003"]], UNKNOWN)
    at = after(ledger, minutes=1)
    land([make_report(NUMBER, "5001", at=at), make_report(OTHER, "5001", at=at)])
    assert ledger.settle_by_reports() == [("key", 1)]
    assert ask("SELECT DISTINCT vendor_message_id FROM sms_messages") == [("5001",)]


@pytest.mark.parametrize("other_lands", [True, False])
def test_a_number_whose_own_report_is_there_gets_no_strangers_status(
    submitted, ledger, land, make_report, ask, other_lands
):
    """One submit, one number, one report: a second one is of a message sent from elsewhere."""
    submitted("key", [[NUMBER, OTHER]], UNKNOWN)
    page_id = land([make_report(NUMBER, "5001", at=after(ledger, minutes=1))])
    assert ledger.settle_by_reports(conn_id="sms_main", landed=[page_id]) == [("key", 1)]
    page_id = land([make_report(NUMBER, "9001", status=DeliveryStatus.FAILED, at=after(ledger, minutes=2))])
    assert ledger.settle_by_reports(conn_id="sms_main", landed=[page_id]) == []
    if other_lands:
        page_id = land([make_report(OTHER, "5002", at=after(ledger, minutes=3))])
        assert ledger.settle_by_reports(conn_id="sms_main", landed=[page_id]) == []
        assert ask("SELECT message_ids FROM sms_batches") == [('["5001", "5002"]',)]
    status = ask("SELECT delivery FROM sms_message_status ORDER BY mobile")
    assert status[0] == ("delivered",)


def test_only_what_was_asked_for_is_settled(submitted, ledger, land, make_report):
    """By send, by connection, and by the page that has just landed."""
    submitted("key", [[NUMBER]], UNKNOWN)
    submitted("far", [["13800000009"]], UNKNOWN, conn_id="other")
    at = after(ledger, minutes=1)
    page_id = land([make_report(NUMBER, "5001", at=at)])
    land([make_report("13800000009", "6001", at=at)], conn_id="other")
    assert ledger.settle_by_reports("far", conn_id="sms_main") == []
    assert ledger.settle_by_reports(page_id="another page") == []
    assert ledger.settle_by_reports(conn_id="sms_main", page_id=page_id) == [("key", 1)]
    assert ledger.settle_by_reports("far") == [("far", 1)]


def test_reports_of_another_connection_prove_nothing(submitted, ledger, land, make_report):
    submitted("key", [[NUMBER]], UNKNOWN)
    land([make_report(NUMBER, "5001", at=after(ledger, minutes=1))], conn_id="other")
    assert ledger.settle_by_reports() == []


@pytest.mark.parametrize("called", [BatchState.REJECTED, BatchState.NOT_SENT])
def test_a_number_settles_nothing_but_unknown(submitted, ledger, land, make_report, called):
    """The vendor's no, or a connection that never was, is stronger than a guess."""
    submitted("key", [[NUMBER]], called)
    land([make_report(NUMBER, "5001", at=after(ledger, minutes=1))])
    assert ledger.settle_by_reports() == []
    assert state(ledger) is called


@pytest.mark.parametrize("called", [BatchState.REJECTED, BatchState.NOT_SENT])
@pytest.mark.parametrize("asked", [{"send_key": "key"}, {"conn_id": "sms_main"}])
def test_our_reference_proves_whatever_the_batch_was_called(
    submitted, ledger, land, make_report, called, asked
):
    """The vendor has it: it must never be submitted again."""
    submitted("key", [[NUMBER], [OTHER]], called, vendor="smsadmin")
    land([make_report(NUMBER, "keyref1"), make_report(NUMBER, "keyref2")], vendor="smsadmin")
    assert ledger.settle_by_reports(**asked, by_number=False) == [("key", 1)]
    first, second = ledger.batches("key")
    assert (first.state, second.state, first.settled_by) == (ACCEPTED, called, "report")
    assert "delivery reports prove" in first.error
    assert not ledger.claim("key", 1, "retry", 60, "again")


def test_what_is_just_being_claimed_is_left_to_its_answer(store, submitted, ledger, land, make_report):
    """Called accepted under the submit, it would not take the answer."""
    submitted("key", [[NUMBER]], BatchState.REJECTED, vendor="smsadmin")
    land([make_report(NUMBER, "keyref1")], vendor="smsadmin")
    settled = []
    other = threading.Thread(
        target=lambda: settled.append(Ledger(store).settle_by_reports("key", by_number=False))
    )
    claim = {"references": {1: "again"}, "outcomes": [], "seen": {}, "seconds": 60, "resend": False}
    with store.begin() as connection:
        claims.turn_over(connection, "key", "retry", **claim)
        other.start()
        other.join(0.5)
    other.join()
    assert settled == [[]]
    assert state(ledger) == BatchState.SUBMITTING


def test_a_person_can_be_wrong(submitted, ledger, store, land, make_report):
    """``--as not-sent`` is a judgement, a report with our reference is a proof."""
    submitted("key", [[NUMBER]], UNKNOWN, vendor="smsadmin")
    assert decide(store, "key", 1, BatchState.NOT_SENT, "a person says so")
    land([make_report(NUMBER, "keyref1")], vendor="smsadmin")
    assert ledger.settle_by_reports(conn_id="sms_main", by_number=False) == [("key", 1)]


def test_what_was_refused_long_ago_is_not_looked_for_after_each_page(
    submitted, ledger, store, land, make_report
):
    """Its reports are over, and refusals pile up over the years; a run of the send itself still looks."""
    submitted("key", [[NUMBER]], BatchState.REJECTED, vendor="smsadmin")
    with store.begin() as connection:
        connection.execute(batches.update().values(submitted_at=after(ledger, hours=-73)))
    land([make_report(NUMBER, "keyref1")], vendor="smsadmin")
    assert ledger.settle_by_reports(conn_id="sms_main", by_number=False) == []
    assert ledger.settle_by_reports("key", by_number=False) == [("key", 1)]


def test_what_was_refused_long_ago_and_scheduled_for_later_is_looked_for(
    submitted, ledger, store, land, make_report
):
    """Its reports come 72 hours after its time, not after its submit."""
    later = store.now() - timedelta(hours=1)
    submitted("key", [[NUMBER]], BatchState.REJECTED, vendor="smsadmin", send_at=later)
    with store.begin() as connection:
        connection.execute(batches.update().values(submitted_at=after(ledger, hours=-73)))
    land([make_report(NUMBER, "keyref1")], vendor="smsadmin")
    assert ledger.settle_by_reports(conn_id="sms_main", by_number=False) == [("key", 1)]


@pytest.mark.parametrize("called", [UNKNOWN, BatchState.REJECTED])
@pytest.mark.parametrize(
    ("asked", "settled"),
    [({"send_key": "far"}, "far"), ({"conn_id": "other"}, "far"), ({"conn_id": "sms_main"}, "key")],
)
def test_of_what_ids_prove_only_what_was_asked_for_is_settled(
    submitted, ledger, land, make_report, asked, settled, called
):
    submitted("key", [[NUMBER]], called, vendor="smsadmin")
    submitted("far", [[OTHER]], called, vendor="smsadmin", conn_id="other")
    land([make_report(NUMBER, "keyref1")], vendor="smsadmin")
    land([make_report(OTHER, "farref1")], vendor="smsadmin", conn_id="other")
    assert ledger.settle_by_reports(**asked, by_number=False) == [(settled, 1)]
    assert {state(ledger), state(ledger, "far")} == {called, ACCEPTED}


def test_a_resent_batchs_numbers_have_as_many_reports_as_submits(submitted, ledger, land, make_report, ask):
    """The first copy's report says nothing against the second's."""
    submitted("key", [[NUMBER, OTHER]], UNKNOWN)
    assert ledger.claim("key", 1, "worker", 60, "again", resend=True)
    assert ledger.settle("key", 1, UNKNOWN, owner="worker")
    for vendor_id in ("5001", "6001"):
        page_id = land([make_report(NUMBER, vendor_id, at=after(ledger, minutes=1))])
        ledger.settle_by_reports(conn_id="sms_main", landed=[page_id])
    assert state(ledger) == ACCEPTED
    assert sorted(ask("SELECT vendor_message_id FROM sms_batch_ids WHERE kind = 'evidence'")) == [
        ("5001",),
        ("6001",),
    ]
