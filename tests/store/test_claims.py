"""A batch is claimed by one, and its outcome is written by its owner, whatever died in between."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from airflow_provider_sms.records import BatchState
from airflow_provider_sms.store import claims
from airflow_provider_sms.store.ledger import Ledger
from airflow_provider_sms.store.plans import Outcome

# --- claiming --------------------------------------------------------------------------------------


def test_a_claim_is_written_before_it_returns(plan, ledger):
    plan()
    assert ledger.claim("key", 1, "me", 60, "ref1")
    [batch] = ledger.batches("key")
    assert (batch.state, batch.attempts, batch.reference) == (BatchState.SUBMITTING, 1, "ref1")
    assert batch.claim_expires_at - batch.submitted_at == pytest.approx(
        timedelta(seconds=60), abs=timedelta(seconds=1)
    )


@pytest.mark.parametrize(
    "state", [BatchState.NOT_SENT, BatchState.REJECTED, BatchState.ACCEPTED, BatchState.UNKNOWN]
)
def test_what_can_be_claimed_again(submitted, ledger, state):
    """Surely unsent and rejected batches can; accepted ones never; unknown ones only on demand."""
    submitted("key", [["13800000001"]], state)
    again = state in {BatchState.NOT_SENT, BatchState.REJECTED}
    assert ledger.claim("key", 1, "me", 60, "ref2") is again
    if state is BatchState.UNKNOWN:
        assert ledger.claim("key", 1, "me", 60, "ref2", resend=True)
        assert ledger.batches("key")[0].attempts == 2


def test_resending_never_takes_what_was_accepted(submitted, ledger):
    submitted("key", [["13800000001"]], BatchState.ACCEPTED)
    assert not ledger.claim("key", 1, "me", 60, "ref2", resend=True)


def test_many_are_claimed_in_one_go(plan, ledger):
    plan("key", [["13800000001"], ["13800000002"], ["13800000003"]])
    assert ledger.claim("key", 2, "other", 60, "theirs")
    assert ledger.claim_many("key", {3: "c", 2: "b", 1: "a"}, "me", 60) == [1, 3]
    assert [batch.reference for batch in ledger.batches("key")] == ["a", "theirs", "c"]


def test_a_send_is_claimed_by_its_own_states(submitted, ledger, states):
    """Both have batches of the same numbers: what is open in one must not be taken in the other."""
    submitted("key", [["13800000001"], ["13800000002"]], BatchState.ACCEPTED)
    submitted("other", [["13800000001"], ["13800000002"]], BatchState.NOT_SENT)
    assert ledger.claim_many("key", {1: "a", 2: "b"}, "me", 60) == []
    assert (states(ledger), states(ledger, "other")) == ([BatchState.ACCEPTED] * 2, [BatchState.NOT_SENT] * 2)
    assert ledger.claim_many("other", {2: "c"}, "me", 60) == [2]
    assert (states(ledger), states(ledger, "other")) == (
        [BatchState.ACCEPTED] * 2,
        [BatchState.NOT_SENT, BatchState.SUBMITTING],
    )


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
        assert ledger.settle("key", number, BatchState.REJECTED, owner="me", **told)
    assert all(set(values) != {None} for values in zip(*ask(outcomes), strict=True))
    assert ledger.claim_many("key", {1: "c", 2: "d"}, "me", 60) == [1, 2]
    assert ask(outcomes) == [(None,) * 9] * 2


# --- settling --------------------------------------------------------------------------------------


def test_an_outcome_is_kept_whole(plan, ledger):
    plan("key", [["13800000001", "13800000002"]])
    ledger.claim("key", 1, "me", 60, "ref")
    told = {"vendor_batch_id": "213143", "vendor_code": "Success", "vendor_text": "ok", "accepted_count": 2}
    assert ledger.settle("key", 1, BatchState.ACCEPTED, owner="me", message_ids=["213143"], **told)
    [batch] = ledger.batches("key")
    assert (batch.state, batch.settled_by, batch.claim_expires_at) == (BatchState.ACCEPTED, "answer", None)
    assert {name: getattr(batch, name) for name in told} == told
    assert batch.settled_at >= batch.submitted_at


def test_only_the_owner_settles(plan, ledger, states):
    plan()
    ledger.claim("key", 1, "me", 60, "ref")
    assert not ledger.settle("key", 1, BatchState.ACCEPTED, owner="you")
    assert not ledger.settle("key", 1, BatchState.ACCEPTED, owner="me", reference="other")
    assert states(ledger) == [BatchState.SUBMITTING]
    assert ledger.settle("key", 1, BatchState.ACCEPTED, owner="me", reference="ref")
    assert not ledger.settle("key", 1, BatchState.REJECTED, owner="me")
    assert states(ledger) == [BatchState.ACCEPTED]


def test_many_are_settled_in_one_go(plan, ledger, states):
    plan("key", [["13800000001"], ["13800000002"], ["13800000003"]])
    ledger.claim_many("key", {1: "a", 2: "b"}, "me", 60)
    outcomes = [
        Outcome(2, BatchState.REJECTED, error="no"),
        Outcome(1, BatchState.ACCEPTED),
        Outcome(3, BatchState.ACCEPTED),
    ]
    assert ledger.settle_many("key", outcomes, "me") == [1, 2]
    assert states(ledger) == [BatchState.ACCEPTED, BatchState.REJECTED, BatchState.PREPARED]


def test_a_submit_cannot_end_in_the_middle(plan, ledger):
    plan()
    ledger.claim("key", 1, "me", 60, "ref")
    with pytest.raises(ValueError, match="cannot end"):
        ledger.settle("key", 1, BatchState.SUBMITTING, owner="me")


def test_what_a_vendor_pads_with_nought_can_be_written(plan, ledger):
    """PostgreSQL takes no U+0000: an accepted batch would stay under way, and end unknown."""
    plan("key", [["13800000001"]])
    ledger.claim("key", 1, "me", 60, "ref")
    assert ledger.settle(
        "key", 1, BatchState.ACCEPTED, owner="me", vendor_code="0\0", vendor_text="发送成功!\0"
    )
    [batch] = ledger.batches("key")
    assert (batch.state, batch.vendor_code, batch.vendor_text) == (BatchState.ACCEPTED, "0", "发送成功!")


def test_nothing_to_claim_and_nothing_to_settle_is_nothing(plan, ledger):
    plan("key", [["13800000001"]])
    assert ledger.turn_over("key", "me") == ([], [])


# --- crashes ---------------------------------------------------------------------------------------


def test_a_crash_while_submitting_ends_as_unknown(plan, ledger, states):
    """Once its claim ran out, and not before: its owner may be alive."""
    plan("key", [["13800000001"], ["13800000002"], ["13800000003"]])
    ledger.claim("key", 1, "dead", -1, "a")
    ledger.claim("key", 2, "alive", 60, "b")
    assert ledger.expire("key") == [1]
    assert ledger.expire("key") == []
    assert states(ledger) == [BatchState.UNKNOWN, BatchState.SUBMITTING, BatchState.PREPARED]
    assert "cut off" in ledger.batches("key")[0].error


def test_a_crash_of_one_send_says_nothing_of_another(submitted, plan, ledger, states):
    submitted("key", [["13800000001"], ["13800000002"]], BatchState.ACCEPTED)
    plan("other", [["13800000003"], ["13800000004"]])
    ledger.claim("other", 1, "dead", -1, "a")
    assert ledger.expire("key") == []
    assert (states(ledger), states(ledger, "other")) == (
        [BatchState.ACCEPTED] * 2,
        [BatchState.SUBMITTING, BatchState.PREPARED],
    )
    ledger.claim("other", 2, "alive", 60, "b")
    assert ledger.pending_claims("key") is None
    assert ledger.expire("other") == [1]
    assert (states(ledger), states(ledger, "other")) == (
        [BatchState.ACCEPTED] * 2,
        [BatchState.UNKNOWN, BatchState.SUBMITTING],
    )
    assert [batch.settled_by for batch in ledger.batches("other")] == ["expiry", None]


def test_a_retry_after_a_crash_never_repeats_an_unknown(plan, ledger):
    plan()
    ledger.claim("key", 1, "dead", -1, "a")
    ledger.expire("key")
    assert not ledger.claim("key", 1, "retry", 60, "b")


@pytest.mark.parametrize("state", [BatchState.ACCEPTED, BatchState.REJECTED, BatchState.NOT_SENT])
def test_a_certain_outcome_that_comes_late_counts(plan, ledger, state, states):
    """The owner was only slow; what it learned is evidence."""
    plan()
    ledger.claim("key", 1, "slow", -1, "a")
    ledger.expire("key")
    assert not ledger.settle("key", 1, BatchState.UNKNOWN, owner="slow")
    assert ledger.settle("key", 1, state, owner="slow")
    assert states(ledger) == [state]


def test_an_outcome_that_is_just_being_written_is_not_called_unknown(store, plan, ledger, states):
    """Its owner is late and about to commit: an accepted batch would be resent where unknown ones are."""
    plan()
    ledger.claim("key", 1, "slow", -1, "a")
    expired = []
    other = threading.Thread(target=lambda: expired.append(Ledger(store).expire("key")))
    settled = {"references": {}, "seen": {}, "seconds": 0, "resend": False}
    with store.begin() as connection:
        claims.turn_over(connection, "key", "slow", outcomes=[Outcome(1, BatchState.ACCEPTED)], **settled)
        other.start()
        other.join(0.5)
    other.join()
    assert expired == [[]]
    assert states(ledger) == [BatchState.ACCEPTED]


def test_a_late_outcome_does_not_settle_a_second_attempt(plan, ledger, states):
    plan()
    ledger.claim("key", 1, "slow", -1, "a")
    ledger.expire("key")
    assert ledger.claim("key", 1, "second", 60, "b", resend=True)
    assert not ledger.settle("key", 1, BatchState.ACCEPTED, owner="slow")
    assert states(ledger) == [BatchState.SUBMITTING]


def test_claims_of_others_are_waited_for(plan, ledger, store):
    plan("key", [["13800000001"], ["13800000002"]])
    assert ledger.pending_claims("key", "me") is None
    ledger.claim("key", 1, "other", 60, "a")
    ledger.claim("key", 2, "me", 90, "b")
    left = ledger.pending_claims("key", "me") - store.now()
    assert timedelta(seconds=50) < left <= timedelta(seconds=60)
    assert ledger.pending_claims("key") - store.now() > timedelta(seconds=80)
