"""Batches that are claimed before a lane is free for them: submitted once, or given back unsent."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from contextlib import contextmanager
from typing import Any

import pytest

from airflow_provider_sms import errors
from airflow_provider_sms.lanes import Lanes
from airflow_provider_sms.records import BatchState
from airflow_provider_sms.sandbox import Fault
from airflow_provider_sms.store.ledger import Ledger
from airflow_provider_sms.store.schema import batches

TEXT = "您好【公司】"


class Stop(BaseException):
    """What Airflow's time-out is: no ``Exception``."""


@pytest.fixture
def slow_commits(monkeypatch):
    """Let each commit take longer than an answer, so that batches are claimed ahead; gives how many were."""
    turn_over, hand_over, ahead = Ledger.turn_over, Lanes.hand_over, []

    def slow(self, *given: Any, **options: Any):
        time.sleep(0.05)
        return turn_over(self, *given, **options)

    def counting(self, claimed):
        hand_over(self, claimed)
        ahead.append(self.ready)

    monkeypatch.setattr(Ledger, "turn_over", slow)
    monkeypatch.setattr(Lanes, "hand_over", counting)
    return ahead


def states(rows):
    """Count the batches by state."""
    return Counter(rows("SELECT state FROM sms_batches"))


def test_never_more_than_twice_the_lanes_are_claimed_and_unsettled(
    sandbox, gateway_of, send_to, numbers, rows, slow_commits, monkeypatch
):
    """That is what a kill can leave unknown at most."""
    slow, unsettled = Ledger.turn_over, []

    def counting(self, *given: Any, **options: Any):
        result = slow(self, *given, **options)
        unsettled.append(states(rows)["submitting"])
        return result

    monkeypatch.setattr(Ledger, "turn_over", counting)
    assert send_to(gateway_of("wavecom", max_in_flight=3), numbers(4000), TEXT)["accepted"] == 4000
    assert 3 < max(unsettled) <= 6
    assert 0 < max(slow_commits) <= 3
    assert sandbox.accepted_more_than_once() == {}


def test_a_no_lets_nothing_start_that_stands_ready(sandbox, gateway_of, send_to, numbers, rows, slow_commits):
    """It is given back: the ledger says that it surely was not sent, and the next run sends it."""
    gateway = gateway_of("wavecom", max_in_flight=1)
    accepted = threading.Event()

    def lock_out(submission, **options: Any):
        if slow_commits and slow_commits[-1] and not accepted.is_set():
            accepted.set()
            sandbox.account("wavecom").locked = True
        return submit(submission, **options)

    submit, gateway.submit = gateway.submit, lock_out
    with pytest.raises(errors.VendorRejected, match="it sends what was rejected or not sent"):
        send_to(gateway, numbers(1500), TEXT)
    assert accepted.is_set()
    assert states(rows)["rejected"] == 1
    assert set(states(rows)) == {"accepted", "rejected", "not_sent", "prepared"}
    assert rows("SELECT error FROM sms_batches WHERE state = 'not_sent'") == [
        "claimed and given back before anything was submitted"
    ]
    assert sandbox.calls.count("wavecom", "send") == states(rows)["accepted"] + 1
    sandbox.account("wavecom").locked = False
    assert send_to(gateway, numbers(1500), TEXT)["accepted"] == 1500
    assert sandbox.accepted_more_than_once() == {}


def test_a_vendor_that_hangs_gets_what_stood_ready_too_long_only_by_a_new_claim(
    sandbox, gateway_of, send_to, numbers, rows, slow_commits, monkeypatch
):
    """The first one might run out while the submit is under way."""
    monkeypatch.setattr("airflow_provider_sms.lanes.READY_SECONDS", 0.3)
    monkeypatch.setattr("airflow_provider_sms.submitting.READY_SECONDS", 0.3)
    sandbox.faults.add(Fault("slow", operation="send", after=5, seconds=2.5))
    assert send_to(gateway_of("wavecom", max_in_flight=1), numbers(1500), TEXT)["accepted"] == 1500
    assert max(slow_commits) == 1
    assert 2 in rows("SELECT attempts FROM sms_batches")
    assert sandbox.accepted_more_than_once() == {}


def test_commits_that_take_longer_than_a_batch_may_stand_ready(
    sandbox, gateway_of, send_to, numbers, slow_commits, monkeypatch
):
    """Slow, but it comes to an end: what a free lane was claimed for goes out."""
    monkeypatch.setattr("airflow_provider_sms.lanes.READY_SECONDS", 0.01)
    monkeypatch.setattr("airflow_provider_sms.submitting.READY_SECONDS", 0.01)
    assert send_to(gateway_of("wavecom", max_in_flight=2), numbers(1500), TEXT)["accepted"] == 1500
    assert len(slow_commits) >= 5
    assert sandbox.calls.count("wavecom", "send") == 15


@contextmanager
def _stopped_by(signum, when):
    """Send this process a signal as soon as something is so."""

    def handler(*_: Any):
        raise Stop

    def watch():
        while not when():
            time.sleep(0.002)
        os.kill(os.getpid(), signum)

    before = signal.signal(signum, handler)
    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        signal.signal(signum, before)


def test_a_signal_leaves_nothing_unknown_that_stood_ready(
    sandbox, gateway_of, send_to, numbers, rows, slow_commits
):
    """What is under way is waited for; what is claimed ahead is given back."""
    gateway = gateway_of("wavecom", max_in_flight=2)
    with _stopped_by(signal.SIGTERM, lambda: bool(slow_commits and slow_commits[-1])), pytest.raises(Stop):
        send_to(gateway, numbers(4000), TEXT)
    assert set(states(rows)) <= {"accepted", "not_sent", "prepared"}
    assert states(rows)["accepted"] < 40
    assert send_to(gateway, numbers(4000), TEXT)["accepted"] == 4000
    assert sandbox.accepted_more_than_once() == {}


def test_after_a_signal_nothing_begins_that_stood_ready(
    sandbox, gateway_of, send_to, numbers, rows, slow_commits
):
    """The answer that is waited for frees its lane, and a SIGKILL may be near."""
    sandbox.faults.add(Fault("slow", operation="send", after=5, seconds=1.0))

    def the_sixth_is_under_way():
        under_way = sandbox.calls.count("wavecom", "send") == 6
        time.sleep(0.2 if under_way else 0.0)
        return under_way

    with _stopped_by(signal.SIGTERM, the_sixth_is_under_way), pytest.raises(Stop):
        send_to(gateway_of("wavecom", max_in_flight=1), numbers(1500), TEXT)
    assert slow_commits[-1] == 1
    assert sandbox.calls.count("wavecom", "send") == 6
    assert states(rows) == {"accepted": 6, "not_sent": 1, "prepared": 8}


@pytest.mark.parametrize("committed", [False, True], ids=["before the commit", "after the commit"])
def test_a_store_that_goes_away_with_outcomes_in_hand(
    sandbox, gateway_of, send_to, numbers, rows, at_once, slow_commits, monkeypatch, committed
):
    """None is lost: it is written down after all, or unknown once its claim runs out; none is sent again."""
    del at_once, slow_commits
    slow, turns = Ledger.turn_over, []

    def going(self, *given: Any, **options: Any):
        turns.append(len(options.get("outcomes", ())))
        if len(turns) == 4 and committed:
            slow(self, *given, **options)
        if len(turns) >= 4:
            raise errors.StoreUnavailable("the SMS store cannot be used (gone)")
        return slow(self, *given, **options)

    monkeypatch.setattr(Ledger, "turn_over", going)
    gateway = gateway_of("wavecom", max_in_flight=2, timeout=1)
    with pytest.raises(errors.StoreUnavailable):
        send_to(gateway, numbers(2000), TEXT)
    assert turns[3] > 0
    assert sum(turns[4:]) > 0
    monkeypatch.setattr(Ledger, "turn_over", slow)
    sent = sandbox.count_messages("wavecom")
    assert states(rows)["submitting"] > 0
    with pytest.raises(errors.SubmitUnknown):
        send_to(gateway, numbers(2000), TEXT, sleep=time.sleep)
    assert set(states(rows)) == {"accepted", "unknown"}
    assert 100 * states(rows)["unknown"] <= sent + 400
    assert sandbox.accepted_more_than_once() == {}


def test_two_runs_that_claim_in_groups_share_the_batches(
    sandbox, gateway_of, send_to, numbers, rows, slow_commits, monkeypatch
):
    """Each batch is submitted by one of them, and both end with the whole send accepted."""
    turn_over, both, met, results = Ledger.turn_over, threading.Barrier(2), threading.local(), []

    def at_once_with_the_other(self, *given: Any, **options: Any):
        if not hasattr(met, "once"):
            met.once = True
            both.wait(30)
        return turn_over(self, *given, **options)

    monkeypatch.setattr(Ledger, "turn_over", at_once_with_the_other)
    sandbox.faults.add(Fault("slow", operation="send", seconds=0.2, times=None))

    def run():
        results.append(send_to(gateway_of("wavecom", max_in_flight=3), numbers(3000), TEXT, sleep=time.sleep))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [result["accepted"] for result in results] == [3000, 3000]
    assert len(set(rows("SELECT claim_owner FROM sms_batches"))) == 2
    assert len(slow_commits) > 2
    assert sandbox.count_messages("wavecom") == 3000
    assert sandbox.accepted_more_than_once() == {}


@pytest.mark.parametrize("state", [BatchState.UNKNOWN, BatchState.NOT_SENT])
def test_what_was_submitted_before_is_not_claimed_ahead(
    gateway_of, send_to, numbers, store, rows, slow_commits, state
):
    """A kill must not leave it in more doubt than its submit does."""
    gateway = gateway_of("wavecom", max_in_flight=1)
    with pytest.raises(errors.SubmitNotSent):
        send_to(gateway_of("wavecom", port=1), numbers(1000), TEXT)
    with store.begin() as connection:
        connection.execute(batches.update().values(state=state, attempts=1))
    slow_commits.clear()
    assert send_to(gateway, numbers(1000), TEXT, on_unknown="resend")["accepted"] == 1000
    assert set(slow_commits) == {0}
    assert set(rows("SELECT attempts FROM sms_batches")) == {2}
