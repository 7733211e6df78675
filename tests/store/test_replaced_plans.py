"""Another plan under a known key takes the place of one that nobody can have read."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from airflow_provider_sms.records import BatchState
from airflow_provider_sms.store import schema
from airflow_provider_sms.store.ledger import Ledger
from airflow_provider_sms.store.plans import Outcome, PlannedBatch, PlannedSend, Replaced


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


def test_a_plan_that_nobody_can_have_read_is_replaced(plan, ledger, ask, states):
    """As a whole: text, people, batches, counts and ids."""
    plan("key", [["13800000001"], ["13800000002"], ["13800000003"], ["13800000004"]])
    ledger.claim_many("key", {1: "a", 2: "b"}, "me", 60)
    ledger.settle_many("key", [Outcome(1, BatchState.NOT_SENT), Outcome(2, BatchState.REJECTED)], "me")
    assert offer(ledger, [["13900000001"], ["13900000002", "13900000003"]]) is Replaced.REPLACED
    assert states(ledger) == [BatchState.PREPARED] * 2
    assert ledger.submission("key", 2).content == "早【公司】"
    assert ledger.people("key") == {"13900000001", "13900000002", "13900000003"}
    known = ledger.send("key")
    assert (known.fingerprint, known.recipients, known.batches) == ("2" * 64, 3, 2)
    assert ask("SELECT count(*) FROM sms_batch_ids") == [(0,)]
    assert ask("SELECT count(*) FROM sms_recipients") == [(3,)]


def test_another_plan_takes_nothing_from_other_sends(plan, submitted, ledger, ask):
    """Their rows are the only record of what went out."""
    submitted("other", [["13800000001"], ["13800000002"]], BatchState.ACCEPTED)

    def theirs():
        ids = ask("SELECT vendor_message_id FROM sms_batch_ids ORDER BY vendor_message_id")
        return ledger.send("other"), ledger.batches("other"), ledger.people("other"), ids

    before = theirs()
    assert len(before[-1]) == 2
    plan("key")
    assert offer(ledger, [["13900000001"]]) is Replaced.REPLACED
    assert theirs() == before


@pytest.mark.parametrize("state", [BatchState.SUBMITTING, BatchState.ACCEPTED, BatchState.UNKNOWN])
def test_a_plan_that_somebody_may_have_read_stands(plan, ledger, state, states):
    """One batch of it is enough."""
    plan("key", [["13800000001"], ["13800000002"]])
    ledger.claim("key", 2, "me", 60, "a")
    if state is not BatchState.SUBMITTING:
        ledger.settle("key", 2, state, owner="me")
    assert offer(ledger, [["13900000001"]]) is Replaced.STANDS
    assert states(ledger) == [BatchState.PREPARED, state]
    assert ledger.people("key") == {"13800000001", "13800000002"}


def test_a_plan_that_a_report_belies_stands(plan, ledger, land, make_report):
    """It is called rejected, and the vendor delivered it."""
    plan("key", vendor="smsadmin")
    ledger.claim("key", 1, "me", 60, "linkid")
    ledger.settle("key", 1, BatchState.REJECTED, owner="me")
    land([make_report("13800000001", "linkid")], vendor="smsadmin")
    assert offer(ledger, [["13900000001"]], vendor="smsadmin") is Replaced.STANDS


def test_a_report_on_another_sends_batch_belies_no_plan(submitted, ledger, land, make_report):
    """Both have a first batch, and the vendor refused both."""
    for key, number in (("key", "13800000001"), ("other", "13800000002")):
        submitted(key, [[number]], BatchState.REJECTED, vendor="smsadmin")
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
