"""A person's judgement on a submit whose outcome is not known."""

from __future__ import annotations

import pytest

from airflow_provider_sms.records import BatchState
from airflow_provider_sms.store.plans import Outcome
from airflow_provider_sms.store.settling import decide, evidence_of

NUMBERS = [["13800000001"], ["13800000002"]]


def test_a_judgement_is_about_one_batch(store, submitted, ledger):
    """Others whose outcome is not known either may have gone another way."""
    for key in ("key", "other"):
        submitted(key, NUMBERS, BatchState.UNKNOWN)
    assert decide(store, "key", 2, BatchState.NOT_SENT, "the vendor's list lacks it")
    assert [batch.state for batch in ledger.batches("key")] == [BatchState.UNKNOWN, BatchState.NOT_SENT]
    assert {batch.state for batch in ledger.batches("other")} == {BatchState.UNKNOWN}
    judged = ledger.batches("key")[1]
    assert (judged.settled_by, judged.error) == ("person", "the vendor's list lacks it")
    assert judged.settled_at is not None


@pytest.mark.parametrize("state", [BatchState.ACCEPTED, BatchState.REJECTED, BatchState.NOT_SENT])
def test_what_is_known_by_now_is_not_judged(store, submitted, ledger, state):
    """Reports may have settled it while the person looked: called not sent, it would be sent twice."""
    submitted("key", NUMBERS[:1], state)
    before = ledger.batches("key")
    assert evidence_of(store, "key", 1) is None
    for decision in (BatchState.NOT_SENT, BatchState.ACCEPTED):
        assert not decide(store, "key", 1, decision, "too late")
    assert ledger.batches("key") == before


def test_what_is_being_submitted_is_not_judged(store, plan, ledger):
    plan("key", NUMBERS[:1])
    assert ledger.claim("key", 1, "me", 60, "a")
    assert not decide(store, "key", 1, BatchState.NOT_SENT, "too early")
    assert ledger.batches("key")[0].state is BatchState.SUBMITTING


@pytest.mark.parametrize("state", [BatchState.NOT_SENT, BatchState.REJECTED])
def test_a_late_answer_does_not_overrule_a_person(store, submitted, ledger, state):
    """What was called accepted is not to be sent again."""
    submitted("key", NUMBERS[:1], BatchState.UNKNOWN)
    assert decide(store, "key", 1, BatchState.ACCEPTED, "the vendor's list has it")
    ledger.settle_many("key", [Outcome(1, state, reference="keyref1")], "worker")
    assert ledger.batches("key")[0].state is BatchState.ACCEPTED


@pytest.mark.parametrize("state", [BatchState.PREPARED, BatchState.REJECTED, BatchState.UNKNOWN])
def test_a_person_can_say_no_more_than_whether_it_was_accepted(store, submitted, ledger, state):
    submitted("key", NUMBERS[:1], BatchState.UNKNOWN)
    with pytest.raises(ValueError, match="accepted or not_sent"):
        decide(store, "key", 1, state, "")
    assert ledger.batches("key")[0].state is BatchState.UNKNOWN
