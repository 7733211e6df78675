"""Sends that a store or a codec ends in the middle: outcomes are kept, the error says how the send stands."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_sms import errors
from airflow_provider_sms.lanes import Lanes
from airflow_provider_sms.sandbox import Fault
from airflow_provider_sms.store.ledger import Ledger

TEXT = "您好【公司】"


@pytest.fixture
def store_fails(monkeypatch):
    """Let the store fail at some of its commits: ``store_fails(3, 4)``."""
    turn_over, turns = Ledger.turn_over, []

    def run(*numbers: int):
        def failing(self, *given: Any, **options: Any):
            turns.append(None)
            if len(turns) in numbers:
                raise errors.StoreUnavailable("the SMS store cannot be used (gone)")
            return turn_over(self, *given, **options)

        monkeypatch.setattr(Ledger, "turn_over", failing)

    return run


def test_the_error_counts_what_was_accepted_before_the_store_went(
    sandbox, gateway_of, send_to, numbers, store_fails
):
    """Nobody may take it for "nothing was sent"."""
    store_fails(3)
    with pytest.raises(errors.StoreUnavailable, match="of 500 recipients") as caught:
        send_to(gateway_of("wavecom", max_in_flight=1), numbers(500), TEXT)
    said = str(caught.value)
    assert f"{sandbox.count_messages('wavecom')} accepted, 0 rejected, 0 unknown" in said
    assert "(gone)" in said
    assert "nothing was sent" not in said
    assert send_to(gateway_of("wavecom"), numbers(500), TEXT)["accepted"] == 500
    assert sandbox.accepted_more_than_once() == {}


def test_a_store_that_is_back_soon_costs_no_outcome(
    sandbox, gateway_of, send_to, numbers, batch_states, naps, store_fails
):
    """What was accepted is written down a moment later; nothing is left to run out."""
    # The commit itself, then twice what ended and what was to be claimed.
    store_fails(*range(2, 7))
    with pytest.raises(errors.StoreUnavailable, match="100 accepted"):
        send_to(gateway_of("wavecom", max_in_flight=1), numbers(300), TEXT)
    assert naps.taken == [1.0]
    assert batch_states() == ["accepted", "prepared", "prepared"]
    assert sandbox.count_messages("wavecom") == 100


def test_what_is_under_way_is_waited_for_when_the_store_fails(
    sandbox, gateway_of, send_to, numbers, batch_states, store_fails, monkeypatch
):
    """The few seconds before a SIGKILL are for signals; nobody is in a hurry here."""
    monkeypatch.setattr("airflow_provider_sms.submitting._GRACE_SECONDS", 0.0)
    sandbox.faults.add(Fault("slow", operation="send", after=1, times=None, seconds=1.0))
    store_fails(2)
    with pytest.raises(errors.StoreUnavailable, match="200 accepted"):
        send_to(gateway_of("wavecom", max_in_flight=2), numbers(200), TEXT)
    assert batch_states() == ["accepted", "accepted"]


def test_an_outcome_that_cannot_be_written_down_is_told_in_the_log(
    gateway_of, send_to, numbers, store_fails, naps, caplog, rows
):
    """The log is the only place that has it then: state, code, ids; no number and no text."""
    store_fails(*range(2, 100))
    with pytest.raises(errors.StoreUnavailable):
        send_to(gateway_of("wavecom", max_in_flight=1), numbers(1), TEXT)
    assert naps.taken == [1.0, 2.0, 4.0]
    [told] = [record for record in caplog.records if "could not be written down" in record.message]
    [reference] = rows("SELECT reference FROM sms_batches")
    assert "batch 1: its outcome could not be written down (StoreUnavailable): it is accepted" in told.message
    assert f"our reference {reference}" in told.message
    assert told.levelname == "ERROR"
    assert numbers(1)[0] not in told.message
    assert TEXT not in told.message


def test_a_codec_that_refuses_in_the_middle_does_not_say_that_nothing_was_sent(
    sandbox, gateway_of, send_to, numbers, batch_states
):
    """A batch before it was accepted, and the error counts it."""
    gateway, calls = gateway_of("wavecom", max_in_flight=1), []
    submit = gateway.submit

    def refusing(submission, **options: Any):
        calls.append(None)
        if len(calls) == 2:
            raise errors.PreflightError(["it does not fit"], "batch")
        return submit(submission, **options)

    gateway.submit = refusing
    with pytest.raises(errors.PreflightError, match="it does not fit") as caught:
        send_to(gateway, numbers(300), TEXT)
    assert "of 300 recipients" in str(caught.value)
    assert "recipients 0 accepted" not in str(caught.value)
    assert "nothing was sent" not in str(caught.value)
    assert 100 * batch_states().count("accepted") == sandbox.count_messages("wavecom") > 0


def test_what_a_lane_has_is_not_given_back_when_the_run_ends_there(
    sandbox, gateway_of, send_to, numbers, batch_states, monkeypatch
):
    """A signal in the moment after the lanes got it: called not sent, a retry would send it again."""
    hand_over = Lanes.hand_over

    def stopped_behind(self, claimed):
        hand_over(self, claimed)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Lanes, "hand_over", stopped_behind)
        with pytest.raises(KeyboardInterrupt):
            send_to(gateway_of("wavecom", max_in_flight=1), numbers(200), TEXT)
    assert batch_states() == ["accepted", "prepared"]
    assert send_to(gateway_of("wavecom"), numbers(200), TEXT)["accepted"] == 200
    assert sandbox.accepted_more_than_once() == {}
