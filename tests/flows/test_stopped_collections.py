"""Collections that are told to stop, at moments that a signal seldom meets."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from airflow_provider_sms import errors
from airflow_provider_sms.reading import Reader
from airflow_provider_sms.records import Queue
from airflow_provider_sms.sandbox import Fault
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.leases import Leases
from airflow_provider_sms.store.spool import Spool


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


def test_an_intent_whose_commit_is_not_answered_is_taken_back(
    sandbox, gateway_of, collect, rows, monkeypatch
):
    """It may be there: the vendor was not asked, so nothing is suspect."""
    sandbox.queue_reports("wavecom", 5)
    begin = Journal.begin

    def unanswered(*args: object, **given: object):
        begin(*args, **given)
        raise errors.StoreUnavailable("the connection is lost")

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "begin", unanswered)
        with pytest.raises(errors.StoreUnavailable):
            collect(gateway_of("wavecom"))
    assert sandbox.calls.count("wavecom", "reports") == 0
    assert rows("SELECT count(*) FROM sms_pages") == [0]
    assert collect(gateway_of("wavecom"))[:4] == (1, 5, 0, 0)


def test_a_failure_before_the_vendor_is_asked_takes_the_intent_back(
    sandbox, gateway_of, collect, rows, monkeypatch
):
    """What is written down between the intent and the call may fail: nothing was read, nothing is suspect."""
    sandbox.queue_reports("smsadmin", 5)

    def failing(*_: object, **__: object):
        raise errors.StoreUnavailable("gone for a moment")

    with monkeypatch.context() as patched:
        patched.setattr(Leases, "mark_read", failing)
        with pytest.raises(errors.StoreUnavailable):
            collect(gateway_of("smsadmin"))
    assert sandbox.calls.count("smsadmin", "reports") == 0
    assert rows("SELECT count(*) FROM sms_pages") == [0]
    collected = collect(gateway_of("smsadmin"))
    assert (collected.records, collected.suspect) == (5, 0)


@pytest.fixture
def strike_when(store):
    """Stop the program when a statement has run, or is committed: ``strike_when("UPDATE sms_leases")``."""

    @contextmanager
    def striking(begins: str, *, committed: bool):
        seen: list[bool] = []

        def ran(*told: object):
            if str(told[2]).startswith(begins) and not seen:
                seen.append(True)
                if not committed:
                    raise Stop

        def commits(_: object):
            if seen == [True]:
                seen.append(False)
                event.listen(store.engine, "checkin", strikes, once=True)

        def strikes(*_: object):
            raise Stop

        event.listen(store.engine, "after_cursor_execute", ran)
        event.listen(store.engine, "commit", commits)
        with pytest.raises(Stop) as stopped:
            yield
        event.remove(store.engine, "after_cursor_execute", ran)
        event.remove(store.engine, "commit", commits)
        assert stopped.tb is not None

    return striking


@pytest.mark.parametrize("committed", [False, True], ids=["before its commit", "after its commit"])
@pytest.mark.parametrize("number", [0, 1], ids=["taking", "giving back"])
def test_a_stop_while_the_lease_changes_hands_leaves_it_to_nobody(
    sandbox, gateway_of, collect, rows, strike_when, number, committed
):
    """Neither when it is taken nor when it is given back: the retry would hear of a reader that is dead."""
    sandbox.queue_reports("wavecom", 5)
    gateway = gateway_of("wavecom")
    collect(gateway)
    begins = ("UPDATE sms_leases SET owner=?, expires_at=(", "UPDATE sms_leases SET owner=?, expires_at=?")
    with strike_when(begins[number], committed=committed):
        collect(gateway, owner="stopped")
    assert rows("SELECT owner FROM sms_leases") == [None]
    collect(gateway, owner="another")


def test_a_stop_while_an_intent_is_taken_back_leaves_no_suspect_page(
    sandbox, gateway_of, store, page_states, strike_when
):
    """The read that was announced with the page before did not happen."""
    sandbox.queue_reports("wavecom", 5)
    gateway = gateway_of("wavecom")
    reader = Reader(gateway, store, Queue.REPORTS, "tester")
    reader.read(gateway.prepare_read(Queue.REPORTS), expect_more=True)
    assert page_states() == {"read": 1, "reading": 1}
    with strike_when("DELETE FROM sms_pages", committed=False):
        reader.close()
    assert page_states() == {"read": 1}


def test_a_stop_during_the_read_makes_a_hanging_commit_late_at_once(
    sandbox, gateway_of, collect, store, monkeypatch, stopping
):
    """Of the seconds until a SIGKILL some have passed: the page is on disk well before the rest has."""
    sandbox.queue_reports("wavecom", 15)
    sandbox.faults.add(Fault("slow", operation="reports", seconds=0.3))
    keep, took = Journal.keep, []

    def late(*args: object, **options: object):
        began = time.monotonic()
        while not list(Spool(store.spool_dir).pages()) and time.monotonic() - began < 5:
            time.sleep(0.01)
        took.append(time.monotonic() - began)
        keep(*args, **options)

    def strike():
        while not sandbox.calls.in_flight_now("wavecom", "reports"):
            time.sleep(0.005)
        os.kill(os.getpid(), stopping[0])

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "keep", late)
        threading.Thread(target=strike, daemon=True).start()
        with pytest.raises(Stop):
            collect(gateway_of("wavecom"))
    assert 0.4 < took[0] < 1.5
    assert collect(gateway_of("wavecom")).records == 15
