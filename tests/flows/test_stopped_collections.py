"""Collections that are told to stop, at moments that a signal seldom meets."""

from __future__ import annotations

import os
import signal
from collections import Counter

import pytest

from airflow_provider_sms.store.journal import Journal


class Stop(BaseException):
    """What Airflow's time-out is: no ``Exception``."""


@pytest.fixture
def stopping():
    """Raise :class:`Stop` for the three signals that stop a program."""
    signals = (signal.SIGTERM, signal.SIGALRM, signal.SIGINT)

    def handler(*_: object):
        raise Stop

    before = [signal.signal(signum, handler) for signum in signals]
    yield signals
    for signum, kept in zip(signals, before, strict=True):
        signal.signal(signum, kept)


@pytest.mark.parametrize("number", range(3), ids=["SIGTERM", "SIGALRM", "SIGINT"])
def test_a_signal_right_after_the_intent_leaves_no_suspect_page(
    sandbox, gateway_of, collect, rows, monkeypatch, stopping, number
):
    """The read that was announced takes place, its bytes are kept, and then the run ends."""
    sandbox.queue_reports("wavecom", 250)
    begin = Journal.begin

    def struck(*args: object, **given: object):
        page_id = begin(*args, **given)
        os.kill(os.getpid(), stopping[number])
        return page_id

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "begin", struck)
        with pytest.raises(Stop):
            collect(gateway_of("wavecom"))
    assert Counter(rows("SELECT state FROM sms_pages")) == {"read": 1}
    assert collect(gateway_of("wavecom")).records == 250
    assert rows("SELECT count(*) FROM sms_pages WHERE state = 'suspect'") == [0]
