"""The ledger: a send is planned once, a batch is claimed by one, an outcome is written by its owner."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_sms.errors import PreflightError, StoreUnavailable
from airflow_provider_sms.records import BatchState
from airflow_provider_sms.store import claims, planning, schema
from airflow_provider_sms.store.dialects import is_known
from airflow_provider_sms.store.ledger import Ledger
from airflow_provider_sms.store.plans import Outcome, PlannedBatch, PlannedSend, Replaced, SendSummary

PREPARED, SUBMITTING = BatchState.PREPARED, BatchState.SUBMITTING
ACCEPTED, REJECTED, NOT_SENT, UNKNOWN = (
    BatchState.ACCEPTED,
    BatchState.REJECTED,
    BatchState.NOT_SENT,
    BatchState.UNKNOWN,
)


def states(ledger, send_key="key"):
    return [batch.state for batch in ledger.batches(send_key)]


# --- planning --------------------------------------------------------------------------------------


def test_a_send_is_planned_once(plan, ledger):
    """The second plan of a key writes nothing, even if its recipients differ: the first stands."""
    assert plan("key", [["13800000001"], ["13800000002"]])
    assert not plan("key", [["13900000009"]])
    assert [ledger.submission("key", number).mobiles for number in (1, 2)] == [
        ("13800000001",),
        ("13800000002",),
    ]


def test_a_key_of_another_text_is_not_planned_anew(plan, ledger):
    """Who is refused and who may go on is not the ledger's to judge."""
    plan("key")
    assert not plan("key", fingerprint="0" * 64)
    assert ledger.send("key").fingerprint == "f" * 64
    assert states(ledger) == [PREPARED]


def test_a_key_that_does_not_fit_is_refused(plan):
    assert plan("短" * 250)
    with pytest.raises(PreflightError, match="251 characters"):
        plan("x" * 251)


def test_no_number_is_twice_in_a_send(plan, ledger):
    """Whatever the planning did: the store refuses the whole plan."""
    with pytest.raises(StoreUnavailable):
        plan("key", [["13800000001"], ["13800000001"]])
    assert ledger.batches("key") == []
    assert ledger.send("key") is None


def test_a_plan_that_fails_half_way_leaves_nothing(plan, ledger, monkeypatch):
    monkeypatch.setattr(planning, "_CHUNK", 1)
    with pytest.raises(StoreUnavailable):
        plan("key", [["13800000001"], ["13800000002"], ["13800000001"]])
    assert ledger.send("key") is None
    assert plan("key", [["13800000001"], ["13800000002"]])


def test_two_workers_plan_one_send(store):
    """Exactly one of them writes it."""
    send = PlannedSend("key", "c", "wavecom", "f" * 64)
    batches = [PlannedBatch(1, "r", [f"138{number:08d}" for number in range(500)], "您好")]
    written = []
    gate = threading.Barrier(4)

    def work():
        gate.wait()
        written.append(Ledger(store).plan(send, batches))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one is not None for one in written) == [False, False, False, True]
    assert Ledger(store).summary("key").recipients == 500


def test_a_submission_comes_back_as_it_was_planned(store, ledger):
    """Content, values, order, schedule and extension: everything the vendor's codec needs."""
    later = store.now() + timedelta(days=1)
    mobiles = [f"138{number:08d}" for number in range(300, 0, -1)]
    values = [(str(number), "a,b;\t\n\\逗号") for number in range(300)]
    texts = [f"{number} 您好\t\n\\【公司】" for number in range(300)]
    send = PlannedSend("key", "c", "smsadmin", "f" * 64, "dag", "task", "run", 3)
    templated = PlannedBatch(1, "r1", mobiles, "{value1} {value2}", texts, values, [2] * 300, later, "88")
    plain = PlannedBatch(2, "r2", ["13900000001"], "同文【公司】")
    assert ledger.plan(send, [templated, plain])
    first, second = ledger.submission("key", 1), ledger.submission("key", 2)
    assert (first.mobiles, first.content, first.values) == (
        tuple(mobiles),
        "{value1} {value2}",
        tuple(values),
    )
    assert (first.extno, first.reference) == ("88", "r1")
    assert abs(first.send_at - later) < timedelta(milliseconds=1)
    assert (second.content, second.values, second.send_at) == ("同文【公司】", (), None)
    assert ledger.summary("key").segments == 601
    row = ledger.send("key")
    assert (row.recipients, row.batches, row.dag_id, row.map_index) == (301, 2, "dag", 3)


def test_messages_show_each_text(ledger, ask):
    send = PlannedSend("key", "c", "smsadmin", "f" * 64)
    own = PlannedBatch(1, "r", ["13800000001", "13800000002"], "{value1}", ["甲", "乙"], [("甲",), ("乙",)])
    ledger.plan(send, [own, PlannedBatch(2, "s", ["13800000003"], "丙")])
    shown = ask("SELECT mobile, content FROM sms_messages WHERE send_key = 'key' ORDER BY mobile")
    assert shown == [("13800000001", "甲"), ("13800000002", "乙"), ("13800000003", "丙")]


def test_a_batch_that_is_not_there(ledger):
    with pytest.raises(KeyError):
        ledger.submission("nothing", 1)
    assert ledger.batches("nothing") == []
    assert ledger.send("nothing") is None
    assert ledger.summary("nothing") == SendSummary("nothing", 0, 0, 0, 0, 0, 0)


# --- claiming --------------------------------------------------------------------------------------


def test_a_claim_is_written_before_it_returns(plan, ledger):
    plan()
    assert ledger.claim("key", 1, "me", 60, "ref1")
    [batch] = ledger.batches("key")
    assert (batch.state, batch.attempts, batch.reference) == (SUBMITTING, 1, "ref1")
    assert batch.claim_expires_at - batch.submitted_at == pytest.approx(
        timedelta(seconds=60), abs=timedelta(seconds=1)
    )


@pytest.mark.parametrize("state", [NOT_SENT, REJECTED, ACCEPTED, UNKNOWN])
def test_what_can_be_claimed_again(submitted, ledger, state):
    """Surely unsent and rejected batches can; accepted ones never; unknown ones only on demand."""
    submitted("key", [["13800000001"]], state)
    again = state in {NOT_SENT, REJECTED}
    assert ledger.claim("key", 1, "me", 60, "ref2") is again
    if state is UNKNOWN:
        assert ledger.claim("key", 1, "me", 60, "ref2", resend=True)
        assert ledger.batches("key")[0].attempts == 2


def test_resending_never_takes_what_was_accepted(submitted, ledger):
    submitted("key", [["13800000001"]], ACCEPTED)
    assert not ledger.claim("key", 1, "me", 60, "ref2", resend=True)


def test_many_are_claimed_in_one_go(plan, ledger):
    plan("key", [["13800000001"], ["13800000002"], ["13800000003"]])
    assert ledger.claim("key", 2, "other", 60, "theirs")
    assert ledger.claim_many("key", {3: "c", 2: "b", 1: "a"}, "me", 60) == [1, 3]
    assert [batch.reference for batch in ledger.batches("key")] == ["a", "theirs", "c"]


def test_a_send_is_claimed_by_its_own_states(submitted, ledger):
    """Both have batches of the same numbers: what is open in one must not be taken in the other."""
    submitted("key", [["13800000001"], ["13800000002"]], ACCEPTED)
    submitted("other", [["13800000001"], ["13800000002"]], NOT_SENT)
    assert ledger.claim_many("key", {1: "a", 2: "b"}, "me", 60) == []
    assert (states(ledger), states(ledger, "other")) == ([ACCEPTED] * 2, [NOT_SENT] * 2)
    assert ledger.claim_many("other", {2: "c"}, "me", 60) == [2]
    assert (states(ledger), states(ledger, "other")) == ([ACCEPTED] * 2, [NOT_SENT, SUBMITTING])


def test_a_claim_leaves_nothing_of_the_outcome_before(plan, ledger, ask):
    """Should its process die, what the vendor said to another submit would pass for its answer."""
    outcomes = (
        "SELECT settled_at, settled_by, vendor_batch_id, vendor_code, vendor_text, accepted_count, "
        "message_id, message_ids, error FROM sms_batches"
    )
    plan("key", [["13800000001"], ["13800000002", "13800000003"]])
    ledger.claim_many("key", {1: "a", 2: "b"}, "me", 60)
    told = {"vendor_batch_id": "5", "vendor_code": "-5", "vendor_text": "no", "accepted_count": 0}
    for number, ids in ((1, ["5"]), (2, ["5", "6"])):
        told |= {"message_ids": ids, "error": "refused"}
        assert ledger.settle("key", number, REJECTED, owner="me", **told)
    assert all(set(values) != {None} for values in zip(*ask(outcomes), strict=True))
    assert ledger.claim_many("key", {1: "c", 2: "d"}, "me", 60) == [1, 2]
    assert ask(outcomes) == [(None,) * 9] * 2


# --- settling --------------------------------------------------------------------------------------


def test_an_outcome_is_kept_whole(plan, ledger):
    plan("key", [["13800000001", "13800000002"]])
    ledger.claim("key", 1, "me", 60, "ref")
    told = {"vendor_batch_id": "213143", "vendor_code": "Success", "vendor_text": "ok", "accepted_count": 2}
    assert ledger.settle("key", 1, ACCEPTED, owner="me", message_ids=["213143"], **told)
    [batch] = ledger.batches("key")
    assert (batch.state, batch.settled_by, batch.claim_expires_at) == (ACCEPTED, "answer", None)
    assert {name: getattr(batch, name) for name in told} == told
    assert batch.settled_at >= batch.submitted_at


def test_only_the_owner_settles(plan, ledger):
    plan()
    ledger.claim("key", 1, "me", 60, "ref")
    assert not ledger.settle("key", 1, ACCEPTED, owner="you")
    assert not ledger.settle("key", 1, ACCEPTED, owner="me", reference="other")
    assert states(ledger) == [SUBMITTING]
    assert ledger.settle("key", 1, ACCEPTED, owner="me", reference="ref")
    assert not ledger.settle("key", 1, REJECTED, owner="me")
    assert states(ledger) == [ACCEPTED]


def test_many_are_settled_in_one_go(plan, ledger):
    plan("key", [["13800000001"], ["13800000002"], ["13800000003"]])
    ledger.claim_many("key", {1: "a", 2: "b"}, "me", 60)
    outcomes = [Outcome(2, REJECTED, error="no"), Outcome(1, ACCEPTED), Outcome(3, ACCEPTED)]
    assert ledger.settle_many("key", outcomes, "me") == [1, 2]
    assert states(ledger) == [ACCEPTED, REJECTED, PREPARED]


def test_a_submit_cannot_end_in_the_middle(plan, ledger):
    plan()
    ledger.claim("key", 1, "me", 60, "ref")
    with pytest.raises(ValueError, match="cannot end"):
        ledger.settle("key", 1, SUBMITTING, owner="me")


def test_what_a_vendor_pads_with_nought_can_be_written(plan, ledger):
    """PostgreSQL takes no U+0000: an accepted batch would stay under way, and end unknown."""
    plan("key", [["13800000001"]])
    ledger.claim("key", 1, "me", 60, "ref")
    assert ledger.settle("key", 1, ACCEPTED, owner="me", vendor_code="0\0", vendor_text="发送成功!\0")
    [batch] = ledger.batches("key")
    assert (batch.state, batch.vendor_code, batch.vendor_text) == (ACCEPTED, "0", "发送成功!")


def test_nothing_to_claim_and_nothing_to_settle_is_nothing(plan, ledger):
    plan("key", [["13800000001"]])
    assert ledger.turn_over("key", "me") == ([], [])


# --- another plan ----------------------------------------------------------------------------------


def offer(ledger, batches, content="早【公司】", values=(), **send: Any):
    send = {"conn_id": "sms_main", "vendor": "wavecom", "fingerprint": "2" * 64} | send
    planned = [
        PlannedBatch(number, f"new{number}", tuple(mobiles), content, values=values)
        for number, mobiles in enumerate(batches, 1)
    ]
    becomes, made_at = ledger.replace(PlannedSend("key", **send), planned)
    # The plan is told from others by when it was made.
    made = {batch.prepared_at for batch in ledger.batches("key")}
    assert made_at is None if becomes is Replaced.STANDS else made == {made_at}
    assert made_at in {None, ledger.send("key").created_at}
    return becomes


def test_a_plan_that_nobody_can_have_read_is_replaced(plan, ledger, ask):
    """As a whole: text, people, batches, counts and ids."""
    plan("key", [["13800000001"], ["13800000002"], ["13800000003"], ["13800000004"]])
    ledger.claim_many("key", {1: "a", 2: "b"}, "me", 60)
    ledger.settle_many("key", [Outcome(1, NOT_SENT), Outcome(2, REJECTED)], "me")
    assert offer(ledger, [["13900000001"], ["13900000002", "13900000003"]]) is Replaced.REPLACED
    assert states(ledger) == [PREPARED] * 2
    assert ledger.submission("key", 2).content == "早【公司】"
    assert ledger.people("key") == {"13900000001", "13900000002", "13900000003"}
    known = ledger.send("key")
    assert (known.fingerprint, known.recipients, known.batches) == ("2" * 64, 3, 2)
    assert ask("SELECT count(*) FROM sms_batch_ids") == [(0,)]
    assert ask("SELECT count(*) FROM sms_recipients") == [(3,)]


def test_another_plan_takes_nothing_from_other_sends(plan, submitted, ledger, ask):
    """Their rows are the only record of what went out."""
    submitted("other", [["13800000001"], ["13800000002"]], ACCEPTED)

    def theirs():
        ids = ask("SELECT vendor_message_id FROM sms_batch_ids ORDER BY vendor_message_id")
        return ledger.send("other"), ledger.batches("other"), ledger.people("other"), ids

    before = theirs()
    assert len(before[-1]) == 2
    plan("key")
    assert offer(ledger, [["13900000001"]]) is Replaced.REPLACED
    assert theirs() == before


@pytest.mark.parametrize("state", [SUBMITTING, ACCEPTED, UNKNOWN])
def test_a_plan_that_somebody_may_have_read_stands(plan, ledger, state):
    """One batch of it is enough."""
    plan("key", [["13800000001"], ["13800000002"]])
    ledger.claim("key", 2, "me", 60, "a")
    if state is not SUBMITTING:
        ledger.settle("key", 2, state, owner="me")
    assert offer(ledger, [["13900000001"]]) is Replaced.STANDS
    assert states(ledger) == [PREPARED, state]
    assert ledger.people("key") == {"13800000001", "13800000002"}


def test_a_plan_that_a_report_belies_stands(plan, ledger, land, make_report):
    """It is called rejected, and the vendor delivered it."""
    plan("key", vendor="smsadmin")
    ledger.claim("key", 1, "me", 60, "linkid")
    ledger.settle("key", 1, REJECTED, owner="me")
    land([make_report("13800000001", "linkid")], vendor="smsadmin")
    assert offer(ledger, [["13900000001"]], vendor="smsadmin") is Replaced.STANDS


def test_a_report_on_another_sends_batch_belies_no_plan(submitted, ledger, land, make_report):
    """Both have a first batch, and the vendor refused both."""
    for key, number in (("key", "13800000001"), ("other", "13800000002")):
        submitted(key, [[number]], REJECTED, vendor="smsadmin")
    land([make_report("13800000002", "otherref1")], vendor="smsadmin")
    assert offer(ledger, [["13900000001"]], vendor="smsadmin") is Replaced.REPLACED


@pytest.mark.parametrize(
    ("changed", "becomes"),
    [
        ({}, Replaced.SAME),
        ({"content": "午【公司】"}, Replaced.REPLACED),
        ({"values": (("王",), ("李",))}, Replaced.SAME),
        ({"values": (("王",), ("张",))}, Replaced.REPLACED),
    ],
)
def test_an_equal_plan_changes_nothing(plan, ledger, changed, becomes):
    """So that references of submits are kept for the reports that may bear them."""
    numbers = ("13800000001", "13800000002")
    plan("key", [numbers], content="早【公司】", values=(("王",), ("李",)) if "values" in changed else ())
    before = ledger.batches("key")
    assert offer(ledger, [numbers], **changed) is becomes
    assert (ledger.batches("key") == before) is (becomes is Replaced.SAME)
    assert offer(ledger, [numbers[:1]], content="早【公司】") is Replaced.REPLACED


def test_nothing_is_claimed_of_a_plan_that_was_not_read(plan, ledger):
    """Who read the first plan must not submit its text in the name of the second."""
    plan("key", [["13800000001"]])
    seen = {1: ledger.submission("key", 1).reference}
    assert offer(ledger, [["13900000001"]]) is Replaced.REPLACED
    assert ledger.turn_over("key", "me", references={1: "a"}, seen=seen, seconds=60) == ([], [])
    seen = {1: ledger.submission("key", 1).reference}
    assert ledger.turn_over("key", "me", references={1: "a"}, seen=seen, seconds=60) == ([], [1])


def test_a_plan_is_claimed_or_replaced_never_both(store, plan, ledger):
    """Whoever comes first, the other finds it done."""
    for turn in range(10):
        with store.begin() as connection:
            for table in (schema.sends, schema.batches, schema.recipients, schema.batch_ids):
                connection.execute(table.delete())
        plan("key", [["13800000001"], ["13800000002"]])
        seen = {number: ledger.submission("key", number).reference for number in (1, 2)}
        gate, done = threading.Barrier(2), {}

        def claim(gate=gate, done=done, seen=seen):
            gate.wait()
            wanted = {"references": {1: "a", 2: "b"}, "seen": seen, "seconds": 60}
            done["claimed"] = Ledger(store).turn_over("key", "me", **wanted)[1]

        def put(gate=gate, done=done):
            gate.wait()
            done["put"] = offer(Ledger(store), [["13900000001"]])

        threads = [threading.Thread(target=each) for each in (claim, put)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (done["put"], done["claimed"]) in ((Replaced.REPLACED, []), (Replaced.STANDS, [1, 2])), turn


# --- crashes ---------------------------------------------------------------------------------------


def test_a_crash_while_submitting_ends_as_unknown(plan, ledger):
    """Once its claim ran out, and not before: its owner may be alive."""
    plan("key", [["13800000001"], ["13800000002"], ["13800000003"]])
    ledger.claim("key", 1, "dead", -1, "a")
    ledger.claim("key", 2, "alive", 60, "b")
    assert ledger.expire("key") == [1]
    assert ledger.expire("key") == []
    assert states(ledger) == [UNKNOWN, SUBMITTING, PREPARED]
    assert "cut off" in ledger.batches("key")[0].error


def test_a_crash_of_one_send_says_nothing_of_another(submitted, plan, ledger):
    submitted("key", [["13800000001"], ["13800000002"]], ACCEPTED)
    plan("other", [["13800000003"], ["13800000004"]])
    ledger.claim("other", 1, "dead", -1, "a")
    assert ledger.expire("key") == []
    assert (states(ledger), states(ledger, "other")) == ([ACCEPTED] * 2, [SUBMITTING, PREPARED])
    ledger.claim("other", 2, "alive", 60, "b")
    assert ledger.pending_claims("key") is None
    assert ledger.expire("other") == [1]
    assert (states(ledger), states(ledger, "other")) == ([ACCEPTED] * 2, [UNKNOWN, SUBMITTING])
    assert [batch.settled_by for batch in ledger.batches("other")] == ["expiry", None]


def test_a_retry_after_a_crash_never_repeats_an_unknown(plan, ledger):
    plan()
    ledger.claim("key", 1, "dead", -1, "a")
    ledger.expire("key")
    assert not ledger.claim("key", 1, "retry", 60, "b")


@pytest.mark.parametrize("state", [ACCEPTED, REJECTED, NOT_SENT])
def test_a_certain_outcome_that_comes_late_counts(plan, ledger, state):
    """The owner was only slow; what it learned is evidence."""
    plan()
    ledger.claim("key", 1, "slow", -1, "a")
    ledger.expire("key")
    assert not ledger.settle("key", 1, UNKNOWN, owner="slow")
    assert ledger.settle("key", 1, state, owner="slow")
    assert states(ledger) == [state]


def test_an_outcome_that_is_just_being_written_is_not_called_unknown(store, plan, ledger):
    """Its owner is late and about to commit: an accepted batch would be resent where unknown ones are."""
    plan()
    ledger.claim("key", 1, "slow", -1, "a")
    expired = []
    other = threading.Thread(target=lambda: expired.append(Ledger(store).expire("key")))
    settled = {"references": {}, "seen": {}, "seconds": 0, "resend": False}
    with store.begin() as connection:
        claims.turn_over(connection, "key", "slow", outcomes=[Outcome(1, ACCEPTED)], **settled)
        other.start()
        other.join(0.5)
    other.join()
    assert expired == [[]]
    assert states(ledger) == [ACCEPTED]


def test_a_late_outcome_does_not_settle_a_second_attempt(plan, ledger):
    plan()
    ledger.claim("key", 1, "slow", -1, "a")
    ledger.expire("key")
    assert ledger.claim("key", 1, "second", 60, "b", resend=True)
    assert not ledger.settle("key", 1, ACCEPTED, owner="slow")
    assert states(ledger) == [SUBMITTING]


def test_claims_of_others_are_waited_for(plan, ledger, store):
    plan("key", [["13800000001"], ["13800000002"]])
    assert ledger.pending_claims("key", "me") is None
    ledger.claim("key", 1, "other", 60, "a")
    ledger.claim("key", 2, "me", 90, "b")
    left = ledger.pending_claims("key", "me") - store.now()
    assert timedelta(seconds=50) < left <= timedelta(seconds=60)
    assert ledger.pending_claims("key") - store.now() > timedelta(seconds=80)


# --- counting --------------------------------------------------------------------------------------


def test_every_recipient_is_counted_once(plan, ledger):
    """The four outcomes add up, whatever the vendor said."""
    numbers = [[f"138{batch:04d}{number:04d}" for number in range(10)] for batch in range(7)]
    plan("key", numbers, segments=2)
    ledger.claim_many("key", {number: f"r{number}" for number in range(1, 7)}, "me", 60)
    outcomes = [
        Outcome(1, ACCEPTED),
        Outcome(2, ACCEPTED, accepted_count=7),
        Outcome(3, REJECTED),
        Outcome(4, UNKNOWN),
        Outcome(5, NOT_SENT),
    ]
    ledger.settle_many("key", outcomes, "me")
    summary = ledger.summary("key")
    assert summary == SendSummary("key", 70, 140, accepted=17, rejected=13, unknown=20, not_sent=20)
    assert summary.as_dict() == {
        "send_key": "key",
        "recipients": 70,
        "segments": 140,
        "accepted": 17,
        "rejected": 13,
        "unknown": 20,
        "not_sent": 20,
    }


@pytest.mark.parametrize(("told", "accepted"), [(-1, 0), (0, 0), (99, 2)])
def test_a_vendor_that_counts_wrong_does_not_break_the_sum(plan, ledger, told, accepted):
    plan("key", [["13800000001", "13800000002"]])
    ledger.claim("key", 1, "me", 60, "ref")
    ledger.settle("key", 1, ACCEPTED, owner="me", accepted_count=told)
    summary = ledger.summary("key")
    assert (summary.accepted, summary.accepted + summary.rejected) == (accepted, 2)


# --- ids -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ids", "named"),
    [
        (["77"], ["77", "77"]),
        (["77", "77"], ["77", "77"]),
        (["a\\1", 'b"2'], ["a\\1", 'b"2']),
        (["1", "2", "3"], [None, None]),
        ([], [None, None]),
    ],
)
def test_messages_are_named_as_far_as_it_is_known(store, plan, ledger, ask, ids, named):
    """One id is everybody's, as many as numbers are theirs in order; anything else is not guessed."""
    if not is_known(store.engine) and len(set(ids)) > 1:
        # There is no SQL for an item of a JSON list that every database speaks.
        named = [None, None]
    plan("key", [["13800000001", "13800000002"]])
    ledger.claim("key", 1, "me", 60, "ref")
    ledger.settle("key", 1, ACCEPTED, owner="me", message_ids=ids)
    assert ask("SELECT vendor_message_id FROM sms_messages ORDER BY seq") == [(name,) for name in named]
