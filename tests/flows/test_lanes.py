"""Lanes: whatever a submit ends with, the ledger's thread hears of it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from airflow_provider_sms.errors import SubmitNotSent
from airflow_provider_sms.lanes import Claimed, Lanes

PATIENCE = 20.0


def claimed(number, ago=0.0):
    """Give a batch as far as lanes look at it, claimed so many seconds ago."""
    batch = SimpleNamespace(send_key="one", batch_no=number, claimed_at=datetime.now(UTC))
    return Claimed(batch, SimpleNamespace(reference=f"r{number}"), time.monotonic() - ago)


@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_submit_that_ends_oddly_ends(kind):
    """A lane that died without a word would be waited for without end."""

    def carry(submission):
        raise kind(submission.reference)

    lanes = Lanes(carry, 2)
    lanes.hand_over([claimed(0), claimed(1)])
    lanes.wait_for_all(PATIENCE)
    assert lanes.busy == 0
    assert sorted(str(answer.failure) for answer in lanes.answers) == ["r0", "r1"]
    assert all(isinstance(answer.failure, kind) for answer in lanes.answers)
    lanes.close()


def test_a_send_whose_claims_come_late_is_left_to_a_retry(sandbox, gateway_of, send_to, numbers, monkeypatch):
    """Its commits hang, say: nothing is sent, everything is given back, and the error is no other."""
    with monkeypatch.context() as patched:
        patched.setattr("airflow_provider_sms.lanes._LATEST_START", -1.0)
        with pytest.raises(SubmitNotSent, match="stood still"):
            send_to(gateway_of("wavecom"), numbers(250), "您好【公司】")
    assert sandbox.calls.count("wavecom", "send") == 0
    assert send_to(gateway_of("wavecom"), numbers(250), "您好【公司】")["accepted"] == 250


def test_what_was_claimed_long_ago_is_not_begun_with():
    """The process was stopped in between: the claim may be somebody else's by now."""
    carried = []
    lanes = Lanes(carried.append, 1)
    lanes.hand_over([claimed(0, ago=11), claimed(1, ago=1)])
    lanes.wait_for_all(PATIENCE)
    lanes.go_on()
    lanes.wait_for_all(PATIENCE)
    assert [type(answer.failure) for answer in lanes.answers] == [SubmitNotSent, type(None)]
    assert [submission.reference for submission in carried] == ["r1"]
    lanes.close()
