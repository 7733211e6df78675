"""One row per message, whatever reports come, how often and in which order."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations

import pytest

from airflow_provider_sms.records import BatchState, DeliveryStatus

ACCEPTED = BatchState.ACCEPTED
DELIVERED, FAILED, PENDING, ODD = (
    DeliveryStatus.DELIVERED,
    DeliveryStatus.FAILED,
    DeliveryStatus.PENDING,
    DeliveryStatus.UNKNOWN,
)
NUMBER = "13800000001"
STATUS = (
    "SELECT send_key, mobile, state, delivery, error_code FROM sms_message_status ORDER BY send_key, mobile"
)


def submitted_at(ledger, send_key="key"):
    return ledger.batches(send_key)[0].submitted_at


def test_the_right_report_speaks_in_whatever_order_they_come(submitted, ledger, land, make_report, ask):
    """Final beats pending, later beats earlier; and the same report twice changes nothing."""
    for number, order in enumerate(permutations(range(4))):
        key, one = f"key{number:02d}", f"{number}"
        submitted(key, [[NUMBER]], ACCEPTED, ids=[one])
        moment = submitted_at(ledger, key) + timedelta(minutes=1)
        reports = [
            make_report(NUMBER, one, PENDING, moment + timedelta(hours=9)),
            make_report(NUMBER, one, FAILED, moment, error_code="early"),
            make_report(NUMBER, one, DELIVERED, moment + timedelta(minutes=1), error_code="late"),
            make_report(NUMBER, one, DELIVERED, moment + timedelta(minutes=1), error_code="late"),
        ]
        land([reports[place] for place in order])
    assert [row[1:] for row in ask(STATUS)] == [(NUMBER, "accepted", "delivered", "late")] * 24


def test_reports_of_later_pages_count_like_those_of_one(submitted, ledger, land, make_report, ask):
    submitted("key", [[NUMBER]], ACCEPTED, ids=["77"])
    moment = submitted_at(ledger) + timedelta(minutes=1)
    land([make_report(NUMBER, "77", DELIVERED, moment)])
    land([make_report(NUMBER, "77", PENDING, moment + timedelta(hours=1))])
    assert ask(STATUS)[0][3] == "delivered"
    land([make_report(NUMBER, "77", FAILED, moment + timedelta(hours=1))])
    assert ask(STATUS)[0][3] == "failed"


@pytest.mark.parametrize("state", BatchState)
def test_what_is_said_of_each_state(plan, ledger, land, make_report, ask, state):
    """
    A final report is a fact in any state.

    Else a message that may be out is pending or silent, and one that is not has no delivery.
    """
    told = {}
    for status in (None, DELIVERED, FAILED, PENDING, ODD):
        key = f"key-{status}"
        plan(key, [[NUMBER]])
        if state is not BatchState.PREPARED:
            ledger.claim(key, 1, "me", 60, f"{key}ref")
        if state not in {BatchState.PREPARED, BatchState.SUBMITTING}:
            ledger.settle(key, 1, state, owner="me")
        if status is not None:
            land([make_report(NUMBER, f"{key}ref", status)])
        told[key] = status
    assert {row[2] for row in ask(STATUS)} == {state.value}
    may_be_out = state in {ACCEPTED, BatchState.UNKNOWN}
    for key, _, _, delivery, _ in ask(STATUS):
        status = told[key] if state is not BatchState.PREPARED else None
        if status in {DELIVERED, FAILED}:
            assert delivery == status
        elif may_be_out:
            assert delivery == ("silent" if status is None else "pending")
        else:
            assert delivery is None


@pytest.mark.parametrize(
    ("changed", "joins"),
    [
        ({}, True),
        ({"number": "13800000009"}, False),
        ({"vendor_id": "78"}, False),
        ({"vendor": "beidoutong"}, False),
    ],
)
def test_a_report_joins_by_vendor_id_and_number(submitted, land, make_report, ask, changed, joins):
    submitted("key", [[NUMBER]], ACCEPTED, ids=["77"])
    number, vendor_id = changed.get("number", NUMBER), changed.get("vendor_id", "77")
    land([make_report(number, vendor_id)], vendor=changed.get("vendor", "wavecom"))
    assert ask(STATUS)[0][3] == ("delivered" if joins else "silent")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_accounts_whose_ids_agree_do_not_mark_each_others_messages(submitted, land, make_report, ask, order):
    """Vendors count ids per account, or per host: a report of the other's message says nothing of ours."""
    submitted("key", [[NUMBER, "13800000002"]], ACCEPTED, ids=["77"])
    submitted("other", [[NUMBER]], ACCEPTED, ids=["77"], conn_id="sms_other")
    pages = [([make_report(NUMBER, "77", FAILED)], "sms_other"), ([make_report(NUMBER, "77")], "sms_main")]
    records, conn_id = pages[order[0]]
    land(records, conn_id=conn_id)
    said = {"sms_other": "failed", "sms_main": "delivered"}[conn_id]
    told = {"key": "silent", "other": "silent"} | {{"sms_other": "other", "sms_main": "key"}[conn_id]: said}
    assert {row[0]: row[3] for row in ask(STATUS) if row[1] == NUMBER} == told
    records, conn_id = pages[order[1]]
    land(records, conn_id=conn_id)
    told = {row[0]: row[3] for row in ask(STATUS) if row[1] == NUMBER}
    assert told == {"key": "delivered", "other": "failed"}


def test_connections_to_one_account_read_each_others_reports(submitted, land, make_report, ask):
    """Also one that never sent; of two that are final, that of the message's own connection stands."""
    submitted("key", [[NUMBER, "13800000002"]], ACCEPTED, ids=["77"])
    submitted("other", [["13800000003"]], ACCEPTED, ids=["78"], conn_id="sms_other")
    land([make_report(NUMBER, "77"), make_report("13800000002", "77", FAILED)], conn_id="sms_other")
    land([make_report("13800000003", "78")], conn_id="sms_reader")
    assert [row[3] for row in ask(STATUS)] == ["delivered", "failed", "delivered"]
    land([make_report(NUMBER, "77", PENDING)])
    assert ask(STATUS)[0][3] == "delivered"
    land([make_report(NUMBER, "77", FAILED)])
    assert ask(STATUS)[0][3] == "failed"


@pytest.mark.parametrize("ids", [["1", "2"], ["2", "1"], ["1", "2", "3"], ["2"]])
def test_several_ids_of_a_batch_join_on_id_and_number(submitted, land, make_report, ask, ids):
    """Which id is whose is not needed, nor that there are as many ids as numbers (wavecom)."""
    submitted("key", [[NUMBER, "13800000002"]], ACCEPTED, ids=ids)
    land([make_report(NUMBER, "2"), make_report("13800000002", "2", FAILED)])
    assert [row[3] for row in ask(STATUS)] == ["delivered", "failed"]


@pytest.mark.parametrize(
    "written", ["+8613800130001", "8613800130001", "008613800130001", "+86 138-0013-0001"]
)
@pytest.mark.parametrize("many", [False, True])
def test_a_number_with_the_countrys_code_is_the_same_number(
    submitted, land, make_report, make_reply, ask, written, many
):
    """Recipients have none; a number that is none of the mainland's stays as the vendor wrote it."""
    submitted("key", [["13800130001"]], BatchState.ACCEPTED, ["77"])
    others = ["85261234567", "+14155550123", "106900001234567"] * (100 if many else 1)
    land([make_report(written, "77"), *(make_report(number, "78") for number in others)])
    land([make_reply(written, "好")], queue="replies")
    assert ask("SELECT mobile, delivery FROM sms_message_status") == [("13800130001", "delivered")]
    assert ask("SELECT mobile FROM sms_replies") == [("13800130001",)]
    landed = {number for (number,) in ask("SELECT mobile FROM sms_reports")}
    assert landed == {"13800130001", *others}


def test_an_empty_id_joins_nothing(submitted, land, make_report, ask):
    """Some vendors leave the id of a report empty for messages sent without one."""
    submitted("key", [[NUMBER]], ACCEPTED, ids=[""])
    land([make_report(NUMBER, "")])
    assert ask(STATUS)[0][3] == "silent"


def test_a_number_in_two_sends_has_a_row_in_each(submitted, land, make_report, ask):
    submitted("key", [[NUMBER]], ACCEPTED, ids=["77"])
    submitted("other", [[NUMBER]], ACCEPTED, ids=["78"])
    land([make_report(NUMBER, "78", FAILED)])
    assert [(row[0], row[3]) for row in ask(STATUS)] == [("key", "silent"), ("other", "failed")]


@pytest.mark.parametrize(
    ("scheduled", "reported", "latency"), [(None, 90.5, 90.5), (60, 90, 30), (-60, 90, 90), (None, -5, 0)]
)
def test_latency_runs_from_submit_or_schedule(
    submitted, ledger, land, make_report, ask, store, scheduled, reported, latency
):
    """Never negative: vendors' clocks show whole seconds."""
    now = store.now()
    send_at = None if scheduled is None else now + timedelta(seconds=scheduled)
    submitted("key", [[NUMBER]], ACCEPTED, ids=["77"], send_at=send_at)
    start = send_at if scheduled == 60 else submitted_at(ledger)
    seconds = reported - 60 if scheduled == 60 else reported
    land([make_report(NUMBER, "77", at=start + timedelta(seconds=seconds))])
    [(told,)] = ask("SELECT latency_seconds FROM sms_message_status")
    assert float(told) == pytest.approx(latency, abs=0.01)


@pytest.fixture
def resent(ledger, plan):
    """Submit one message, learn nothing, submit it again an hour later and have that accepted; say when."""
    plan("key", [[NUMBER]])
    for reference, state in (("first", BatchState.UNKNOWN), ("second", ACCEPTED)):
        assert ledger.claim("key", 1, "me", 60, reference, resend=True)
        assert ledger.settle("key", 1, state, owner="me")
    first = submitted_at(ledger) - timedelta(hours=1)
    return first, submitted_at(ledger)


@pytest.mark.parametrize("reverse", [False, True])
def test_of_two_submits_the_one_that_was_delivered_stands(resent, land, make_report, ask, reverse):
    """The person has got the message, whatever became of its repeat."""
    first, second = resent
    reports = [
        make_report(NUMBER, "first", DELIVERED, first + timedelta(seconds=5)),
        make_report(NUMBER, "second", FAILED, second + timedelta(seconds=5), error_code="twice"),
        make_report(NUMBER, "second", PENDING, second + timedelta(hours=1)),
    ]
    land(reports[::-1] if reverse else reports)
    assert [row[2:] for row in ask(STATUS)] == [("accepted", "delivered", "")]
    # How long the first one took is not known any more: the second one's submit was written over its own.
    assert ask("SELECT latency_seconds FROM sms_message_status") == [(None,)]
    land([make_report(NUMBER, "second", DELIVERED, second + timedelta(seconds=7))])
    [(latency,)] = ask("SELECT latency_seconds FROM sms_message_status")
    assert float(latency) == pytest.approx(7, abs=0.01)


@pytest.mark.parametrize(("seconds", "latency"), [(-0.9, 0), (-1.1, None)])
def test_clocks_may_be_off_by_a_second_after_a_second_submit(
    resent, land, make_report, ask, seconds, latency
):
    land([make_report(NUMBER, "second", at=resent[1] + timedelta(seconds=seconds))])
    assert ask("SELECT latency_seconds FROM sms_message_status") == [(latency,)]


def test_no_report_no_time(submitted, ask):
    submitted("key", [[NUMBER]], ACCEPTED, ids=["77"])
    told = ask("SELECT reported_at, latency_seconds, error_code FROM sms_message_status")
    assert told == [(None, None, None)]
