"""Signals without a handler: what they cut short cleans up behind itself, and the process ends by them."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import pytest

from airflow_provider_sms.signals import unwound_signals

SCRIPT = """
    import os, signal, sys
    from airflow_provider_sms.signals import held_signals, unwound_signals

    signum = getattr(signal, sys.argv[1])
    signal.signal(signum, signal.SIG_DFL)
    with unwound_signals():
        try:
            with held_signals():
                os.kill(os.getpid(), signum)
                print("read", flush=True)
            print("went on", flush=True)
        finally:
            print("cleaned up", flush=True)
    print("survived", flush=True)
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGALRM"])
def test_a_signal_without_a_handler_ends_the_process_after_the_cleaning(name):
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), name]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    assert ended.stdout.split("\n") == ["read", "cleaned up", ""]
    assert ended.returncode == -getattr(signal, name)


def test_handlers_of_others_stay_and_defaults_come_back():
    def mine(*_: object):
        raise AssertionError

    before = signal.signal(signal.SIGTERM, mine), signal.signal(signal.SIGALRM, signal.SIG_DFL)
    try:
        with unwound_signals():
            assert signal.getsignal(signal.SIGTERM) is mine
            assert signal.getsignal(signal.SIGALRM) is not signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) is mine
        assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGALRM, before[1])
