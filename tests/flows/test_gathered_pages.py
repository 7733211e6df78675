"""Collections that write down the next read ahead and let pages wait for each other before they land."""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import event

from airflow_provider_sms import collecting, errors, filing
from airflow_provider_sms.gateway import Gateway
from airflow_provider_sms.sandbox import Fault
from airflow_provider_sms.store.journal import Journal

#: Vendor, extra of its connection, records of one page.
PAGES = pytest.mark.parametrize(
    ("vendor", "extra", "size"),
    [("beidoutong", {"page_size": 50}, 50), ("wavecom", {}, 100), ("smsadmin", {}, 20)],
    ids=["beidoutong", "wavecom", "smsadmin"],
)


@pytest.fixture(autouse=True)
def at_any_pace(monkeypatch):
    """Let smsadmin be read at once: what is done ahead is done where nothing has to be waited for."""
    monkeypatch.setattr("airflow_provider_sms.vendors.smsadmin.SmsAdminVendor.intervals", {})


@pytest.fixture
def stop():
    """Give the exception that SIGTERM raises, as a task that is stopped gets it."""

    class Stop(BaseException):
        pass

    def handler(*_: object):
        raise Stop

    before = signal.signal(signal.SIGTERM, handler)
    yield Stop
    signal.signal(signal.SIGTERM, before)


def on_call(number, original, act):
    """Wrap a function so that it does something at its n-th call."""
    calls = iter(range(1, 1000))

    def called(*args: Any, **given: Any):
        if next(calls) == number:
            act()
        return original(*args, **given)

    return called


def in_a_child(work):
    """Run something in a forked process; gives the signal that ended it."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(3)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)


def die():
    """End this process as the kernel does when memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)


@PAGES
def test_a_page_of_a_long_queue_costs_one_commit(
    sandbox, gateway_of, collect, store, monkeypatch, vendor, extra, size, page_states, every_record_once
):
    """Its bytes and the next read's intent go together; rows come for many pages at once."""
    sandbox.queue_reports(vendor, size * 60)
    # What is done once a second would be done the more often, the slower the machine.
    monkeypatch.setattr(filing, "_MOST_SECONDS", 1000)
    monkeypatch.setattr(filing, "_SETTLE_SECONDS", 1000)
    monkeypatch.setattr(collecting, "_MARK_SECONDS", 1000)
    monkeypatch.setattr(collecting, "_OF_THE_MARGIN", 1000)
    commits = []

    def note(connection: object) -> None:
        commits.append(connection)

    event.listen(store.engine, "commit", note)
    try:
        collected = collect(gateway_of(vendor, **extra))
    finally:
        event.remove(store.engine, "commit", note)
    assert collected == (60, size * 60, 0, 0, True)
    assert 60 < len(commits) < 60 + 15
    assert page_states() == {"landed": 60, "empty": 1}
    assert every_record_once(vendor)


@PAGES
def test_killed_while_pages_wait_to_land(
    sandbox, gateway_of, collect, every_record_once, monkeypatch, vendor, extra, size, page_states
):
    """All of them are in the journal, and the next run lands each once; nothing was being read."""
    sandbox.queue_reports(vendor, size * 5)
    with monkeypatch.context() as patched:
        patched.setattr(filing, "land_gathered", lambda *_: die())
        assert in_a_child(lambda: collect(gateway_of(vendor, **extra))) == signal.SIGKILL
    assert page_states()["read"] == 6
    collected = collect(gateway_of(vendor, **extra))
    assert (collected.pages, collected.records, collected.queue_empty) == (0, size * 5, True)
    assert collected.suspect <= 1
    assert every_record_once(vendor)


@PAGES
def test_killed_with_an_intent_ahead(
    sandbox, gateway_of, collect, every_record_once, monkeypatch, vendor, extra, size, page_states
):
    """Nobody can tell any more that the vendor was not asked: one suspect page, and nothing is lost."""
    sandbox.queue_reports(vendor, size * 5)
    with monkeypatch.context() as patched:
        columns = on_call(3, Gateway.columns_of_reports, die)
        patched.setattr(Gateway, "columns_of_reports", columns)
        assert in_a_child(lambda: collect(gateway_of(vendor, **extra))) == signal.SIGKILL
    assert page_states() == {"read": 3, "reading": 1}
    collected = collect(gateway_of(vendor, **extra))
    assert (collected.pages, collected.records, collected.suspect) == (2, size * 5, 1)
    assert every_record_once(vendor)


@PAGES
@pytest.mark.parametrize("moment", [1, 2, 3, 5, 6])
def test_stopped_between_two_reads(
    sandbox,
    gateway_of,
    collect,
    every_record_once,
    monkeypatch,
    stop,
    vendor,
    extra,
    size,
    moment,
    page_states,
):
    """The intent of the read that will not happen is withdrawn: no page claims that something may be lost."""
    sandbox.queue_reports(vendor, size * 5)
    with monkeypatch.context() as patched:
        end = on_call(moment, Gateway.columns_of_reports, lambda: os.kill(os.getpid(), signal.SIGTERM))
        patched.setattr(Gateway, "columns_of_reports", end)
        with pytest.raises(stop):
            collect(gateway_of(vendor, **extra))
    found = page_states()
    # What was gathered before has landed; the page at hand waits for the next run.
    assert found == +Counter({"landed": moment - 1, "read": 1})
    assert sandbox.calls.count(vendor, "reports") == moment
    assert collect(gateway_of(vendor, **extra)).suspect == 0
    assert every_record_once(vendor)


@PAGES
def test_stopped_during_a_read(
    sandbox, gateway_of, collect, every_record_once, monkeypatch, stop, vendor, extra, size, page_states
):
    """A signal that was held back is known by the time of the commit: nothing is announced any more."""
    sandbox.queue_reports(vendor, size * 5)
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "withdraw", lambda *_: pytest.fail("there was something to withdraw"))
        patched.setattr(
            Gateway, "read", on_call(3, Gateway.read, lambda: os.kill(os.getpid(), signal.SIGTERM))
        )
        with pytest.raises(stop):
            collect(gateway_of(vendor, **extra))
    assert page_states() == {"landed": 2, "read": 1}
    assert collect(gateway_of(vendor, **extra)).suspect == 0
    assert every_record_once(vendor)


def test_a_limit_leaves_no_intent_behind(
    sandbox, gateway_of, collect, every_record_once, monkeypatch, page_states
):
    """Neither a number of pages, which is known ahead, nor a time, which is not."""
    sandbox.queue_reports("wavecom", 1000)
    collect(gateway_of("wavecom"), max_pages=4)
    assert page_states() == {"landed": 4}
    with monkeypatch.context() as patched:
        times = iter([False] * 8 + [True] * 8)
        patched.setattr("airflow_provider_sms.collecting.Collector._at_limit", lambda *_, **__: next(times))
        collect(gateway_of("wavecom"))
    assert page_states() == {"landed": 8}
    assert collect(gateway_of("wavecom")) == (2, 200, 0, 0, True)
    assert every_record_once("wavecom")


@PAGES
def test_what_came_before_an_error_has_landed(
    sandbox, gateway_of, collect, rows, vendor, extra, size, page_states
):
    """The error says how much it is, and its rows are there."""
    sandbox.queue_reports(vendor, size * 5)
    sandbox.faults.add(Fault("reset_after", operation="reports", after=3))
    with pytest.raises(errors.VendorUnreachable, match=f"3 pages with {size * 3} records landed"):
        collect(gateway_of(vendor, **extra))
    assert page_states() == {"landed": 3, "suspect": 1}
    assert rows("SELECT count(*) FROM sms_reports") == [size * 3]


def test_a_store_that_goes_away_with_the_commit_of_bytes_and_intent(
    sandbox, gateway_of, collect, store, every_record_once, monkeypatch, page_states
):
    """The page is in the spool, and no intent of a read that never was stays behind."""
    sandbox.queue_reports("wavecom", 500)
    keep = Journal.keep

    def lost(self: Journal, *args: Any, **given: Any):
        keep(self, *args, **given)
        # Committed, but who asked never hears of it.
        if given["ahead"]:
            raise errors.StoreUnavailable("gone")

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "keep", lost)
        with pytest.raises(errors.StoreUnavailable, match="spool"):
            collect(gateway_of("wavecom"))
    assert "reading" not in page_states()
    assert collect(gateway_of("wavecom")).suspect == 0
    assert every_record_once("wavecom")
    assert not list(store.spool_dir.glob("*.page"))
