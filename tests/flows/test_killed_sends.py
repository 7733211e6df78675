"""Sends whose process is killed, and sends in the worst of weathers: nobody gets a message twice."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_sms import errors
from airflow_provider_sms.records import BatchState
from airflow_provider_sms.sandbox import Fault
from airflow_provider_sms.store.ledger import Ledger

SCRIPT = Path(__file__).parent / "one_send.py"
TEXT = "您好【公司】"
FINAL = {BatchState.ACCEPTED, BatchState.REJECTED, BatchState.NOT_SENT, BatchState.UNKNOWN}


@pytest.fixture
def start(begin, sandbox, tmp_path, numbers):
    """Start a process that sends 500 numbers by five calls, one at a time."""

    def run(vendor="wavecom", **given: Any):
        order = {
            "connection": sandbox.connection(vendor, max_in_flight=1, timeout=5),
            "folder": str(tmp_path),
            "send_key": "killed",
            "content": TEXT,
            "people": numbers(500),
        }
        return begin(SCRIPT, order | given)

    return run


@pytest.fixture
def end(tmp_path):
    """Wait for a process and give its code and what it told."""
    told = tmp_path / "told.json"

    def run(process):
        process.join(60)
        assert process.exitcode in {0, 3, -9}
        return process.exitcode, None if process.exitcode < 0 else json.loads(
            told.read_text(encoding="utf-8")
        )

    return run


@pytest.mark.parametrize(
    ("of", "method", "occurrence", "after", "under_way"),
    [
        ("Ledger", "plan", 1, False, 0),
        ("Ledger", "plan", 1, True, 0),
        ("Ledger", "turn_over", 1, False, 0),
        ("Ledger", "turn_over", 1, True, 1),
        # One batch whose answer has come and is about to be written down, and the one that took its place;
        # or, once that is written down, one under way and the one that is to follow it.
        ("Ledger", "turn_over", 2, False, 2),
        ("Ledger", "turn_over", 2, True, 2),
        ("Ledger", "turn_over", 3, False, 2),
        ("Ledger", "turn_over", 3, True, 2),
        ("Ledger", "turn_over", 4, False, 2),
        ("Ledger", "turn_over", 4, True, 2),
        ("Gateway", "submit", 3, False, 2),
        ("Gateway", "submit", 3, True, 2),
        ("Ledger", "summary", 1, False, 0),
    ],
    ids=str,
)
def test_a_send_killed_between_two_statements(
    start, end, sandbox, rows, of, method, occurrence, after, under_way
):
    """The next run sends what was not sent; a batch that was under way is unknown and stays so."""
    point = {"of": of, "method": method, "occurrence": occurrence, "after": after}
    killed, _ = end(start(die_at=point))
    assert killed == -9
    told = [end(start()) for _ in range(2)]
    states = Counter(rows("SELECT state FROM sms_batches"))
    assert states["accepted"] + states["unknown"] == 5
    assert states["unknown"] <= under_way
    if states["unknown"]:
        counts = (
            f"{100 * states['accepted']} accepted, 0 rejected, {100 * states['unknown']} unknown, 0 not sent"
        )
        assert all(code == 3 and counts in result["told"] for code, result in told)
    else:
        assert all(code == 0 and result["accepted"] == 500 for code, result in told)
    assert sandbox.accepted_more_than_once() == {}
    assert 100 * states["accepted"] <= sandbox.count_messages("wavecom") <= 500


def test_sends_killed_at_random_moments(start, end, sandbox, store, rows):
    """Twelve kills over one send: nobody twice, and each batch ends in exactly one state."""
    chance = random.Random(7)  # noqa: S311 - the same moments every time
    sandbox.faults.add(Fault("slow", operation="send", seconds=0.15, times=None))
    kills = 0
    for _ in range(12):
        process = start()
        deadline = time.monotonic() + 30
        while sandbox.calls.in_flight_now("wavecom", "send") == 0:
            if not process.is_alive() or time.monotonic() > deadline:
                break
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.25))
        process.kill()
        process.join()
        kills += process.exitcode == -9
        if process.exitcode == 0 or set(rows("SELECT state FROM sms_batches")) <= {"accepted", "unknown"}:
            break
    sandbox.faults.clear()
    end(start())
    states = Counter(rows("SELECT state FROM sms_batches"))
    assert kills >= 3
    assert sandbox.accepted_more_than_once() == {}
    assert sum(states.values()) == 5
    assert set(states) <= {"accepted", "unknown"}
    accepted = Ledger(store).summary("killed").accepted
    assert accepted <= sandbox.count_messages("wavecom") <= 500


@pytest.mark.parametrize("vendor", ["beidoutong", "wavecom", "linkws", "smsadmin"])
def test_a_campaign_in_bad_weather_reaches_nobody_twice(
    sandbox, gateway_of, send_to, numbers, rows, store, collect, task, vendor
):
    """Of ten sends, three in ten calls go wrong in one of seven ways; each task is tried four times."""
    sandbox.faults.random(
        0.3,
        [
            Fault("reset_before"),
            Fault("reset_after"),
            Fault("status", status=500, accepted=True),
            Fault("status", status=503),
            Fault("cut", at=0.4),
            Fault("refuse", seconds=0.02),
            Fault("garbage", accepted=True),
        ],
        seed=11,
        vendor=vendor,
        operation="send",
    )
    size = {"beidoutong": 1000, "wavecom": 100, "linkws": 500, "smsadmin": 100}[vendor]
    # By GET, which takes fewer numbers a call: reports of 30,000 would take this test too long to collect.
    extra = {"method": "get"} if vendor == "smsadmin" else {}
    people = numbers(size * 3)
    for campaign in range(10):
        for _ in range(4):
            try:
                send_to(
                    gateway_of(vendor, timeout=2, **extra),
                    people,
                    f"第{campaign}次【公司】",
                    send_key=f"campaign-{campaign}",
                    origin=task,
                    sleep=lambda _: time.sleep(0.03),
                )
            except errors.SubmitNotSent:
                continue
            except errors.SubmitUnknown:
                break
            else:
                break
    assert sandbox.accepted_more_than_once() == {}
    assert sum(sandbox.faults.met().values()) >= 5
    batches = rows("SELECT state FROM sms_batches")
    assert len(batches) == 30
    assert set(batches) <= {state.value for state in FINAL} | {"prepared"}
    accepted = sum(Ledger(store).summary(f"campaign-{campaign}").accepted for campaign in range(10))
    assert accepted <= sandbox.count_messages(vendor)
    if vendor == "smsadmin":
        # Its reports bear our reference: once they are read, every accepted unknown is settled.
        sandbox.faults.clear()
        collect(gateway_of(vendor))
        settled = sum(Ledger(store).summary(f"campaign-{campaign}").accepted for campaign in range(10))
        assert settled == sandbox.count_messages(vendor)
