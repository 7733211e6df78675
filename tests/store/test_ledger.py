"""The ledger: a send is planned once, and its outcomes are counted and named."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from airflow_provider_sms.errors import PreflightError, StoreUnavailable
from airflow_provider_sms.records import BatchState
from airflow_provider_sms.store import planning
from airflow_provider_sms.store.dialects import is_known
from airflow_provider_sms.store.ledger import Ledger
from airflow_provider_sms.store.plans import Outcome, PlannedBatch, PlannedSend, SendSummary

# --- planning --------------------------------------------------------------------------------------


def test_a_send_is_planned_once(plan, ledger):
    """The second plan of a key writes nothing, even if its recipients differ: the first stands."""
    assert plan("key", [["13800000001"], ["13800000002"]])
    assert not plan("key", [["13900000009"]])
    assert [ledger.submission("key", number).mobiles for number in (1, 2)] == [
        ("13800000001",),
        ("13800000002",),
    ]


def test_a_key_of_another_text_is_not_planned_anew(plan, ledger, states):
    """Who is refused and who may go on is not the ledger's to judge."""
    plan("key")
    assert not plan("key", fingerprint="0" * 64)
    assert ledger.send("key").fingerprint == "f" * 64
    assert states(ledger) == [BatchState.PREPARED]


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


# --- counting --------------------------------------------------------------------------------------


def test_every_recipient_is_counted_once(plan, ledger):
    """The four outcomes add up, whatever the vendor said."""
    numbers = [[f"138{batch:04d}{number:04d}" for number in range(10)] for batch in range(7)]
    plan("key", numbers, segments=2)
    ledger.claim_many("key", {number: f"r{number}" for number in range(1, 7)}, "me", 60)
    outcomes = [
        Outcome(1, BatchState.ACCEPTED),
        Outcome(2, BatchState.ACCEPTED, accepted_count=7),
        Outcome(3, BatchState.REJECTED),
        Outcome(4, BatchState.UNKNOWN),
        Outcome(5, BatchState.NOT_SENT),
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
    ledger.settle("key", 1, BatchState.ACCEPTED, owner="me", accepted_count=told)
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
    ledger.settle("key", 1, BatchState.ACCEPTED, owner="me", message_ids=ids)
    assert ask("SELECT vendor_message_id FROM sms_messages ORDER BY seq") == [(name,) for name in named]
