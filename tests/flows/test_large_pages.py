"""Large pages, taken apart in a thread while the next one is read: all else is as with small ones."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_sms import errors, filing
from airflow_provider_sms.collecting import Collector
from airflow_provider_sms.gateway import Gateway
from airflow_provider_sms.records import Queue
from airflow_provider_sms.sandbox import Fault
from airflow_provider_sms.store.journal import Journal

LOG = logging.getLogger(__name__)
SIZE = 2000
#: From how many bytes on a page is large: none is, or all of these are.
BOTH_WAYS = pytest.mark.parametrize("large", [1 << 40, 256 << 10], ids=["one-by-one", "behind"])


@pytest.fixture
def spoil(monkeypatch):
    """Change what comes in the middle of the n-th pages: ``spoil({2, 3}, b"<Mobile>", b"<Mobile>x")``."""

    def spoil(which, old, new):
        read, calls = Gateway.read, iter(range(1, 1000))

        def spoiled(self, request):
            response, number = read(self, request), next(calls)
            if number not in which:
                return response
            middle = len(response.body) // 2
            body = response.body[:middle] + response.body[middle:].replace(old, new, 1)
            assert body != response.body
            return replace(response, body=body)

        monkeypatch.setattr(Gateway, "read", spoiled)

    return spoil


def test_a_large_page_is_taken_apart_while_the_next_is_read(
    sandbox, gateway_of, collect, every_record_once, monkeypatch, page_states
):
    """It waits there until the next read has begun, as it would for ever if that waited for it."""
    sandbox.queue_reports("beidoutong", 4 * SIZE)
    begun = [threading.Event() for _ in range(6)]
    read, columns = Gateway.read, Gateway.columns_of_reports
    reads, pages, waited = iter(begun), iter(begun[1:]), []

    def reading(self, request):
        next(reads).set()
        return read(self, request)

    def taking_apart(self, response):
        if threading.current_thread().name.startswith("sms-land"):
            waited.append(next(pages).wait(10))
        return columns(self, response)

    monkeypatch.setattr(Gateway, "read", reading)
    monkeypatch.setattr(Gateway, "columns_of_reports", taking_apart)
    assert collect(gateway_of("beidoutong", page_size=SIZE)) == (4, 4 * SIZE, 0, 0, True)
    assert waited == [True] * 4
    assert page_states() == {"landed": 4, "empty": 1}
    assert every_record_once("beidoutong")


@BOTH_WAYS
def test_an_odd_record_costs_that_record_alone(
    sandbox, gateway_of, collect, rows, monkeypatch, spoil, large, page_states
):
    """The page is in quarantine with its bytes, its other records are rows, and the reading goes on."""
    monkeypatch.setattr(filing, "_LARGE", large)
    sandbox.queue_reports("beidoutong", 4 * SIZE)
    spoil({2, 3}, b"<Mobile>", b"<Mobile>x")
    assert collect(gateway_of("beidoutong", page_size=SIZE)) == (4, 4 * SIZE - 2, 2, 0, True)
    assert page_states() == {"landed": 2, "quarantined": 2, "empty": 1}
    assert rows("SELECT DISTINCT records FROM sms_pages WHERE state = 'quarantined'") == [SIZE - 1]


@BOTH_WAYS
def test_a_page_broken_in_the_middle_costs_what_follows(
    sandbox, gateway_of, collect, rows, monkeypatch, spoil, large, page_states
):
    """It came whole and begins with records: it is the vendor who answers, so the reading goes on."""
    monkeypatch.setattr(filing, "_LARGE", large)
    sandbox.queue_reports("beidoutong", 5 * SIZE)
    spoil({2, 3, 5}, b"</Mobile>", b"</Mo&bile>")
    collected = collect(gateway_of("beidoutong", page_size=SIZE))
    assert (collected.pages, collected.quarantined, collected.queue_empty) == (5, 3, True)
    assert page_states() == {"landed": 2, "quarantined": 3, "empty": 1}
    assert rows("SELECT DISTINCT records FROM sms_pages WHERE state = 'quarantined'") == [SIZE // 2]


@BOTH_WAYS
def test_two_unreadable_pages_in_a_row_end_the_reading(
    sandbox, gateway_of, collect, page_states, monkeypatch, large
):
    """Not one page more is read than if each were looked at before the next."""
    monkeypatch.setattr(filing, "_LARGE", large)
    monkeypatch.setattr(Gateway, "columns_of_reports", lambda *_: None)
    monkeypatch.setattr(Gateway, "parse", lambda *_: 1 / 0)
    sandbox.queue_reports("beidoutong", 6 * SIZE)
    with pytest.raises(errors.WireFormatError, match="Reading stopped"):
        collect(gateway_of("beidoutong", page_size=SIZE))
    assert sandbox.calls.count("beidoutong", "reports") == 2
    assert page_states() == {"quarantined": 2}


@BOTH_WAYS
def test_a_cut_page_is_looked_at_before_the_next_is_read(
    sandbox, gateway_of, collect, rows, monkeypatch, large
):
    """However large it is: if that one is cut as well, something on the way cuts them all."""
    monkeypatch.setattr(filing, "_LARGE", large)
    sandbox.queue_reports("beidoutong", 8 * SIZE)
    sandbox.faults.add(Fault("cut", operation="reports", at=0.9))
    read, before = Gateway.read, []

    def reading(self, request):
        before.append(rows("SELECT state FROM sms_pages WHERE body IS NOT NULL"))
        return read(self, request)

    monkeypatch.setattr(Gateway, "read", reading)
    assert collect(gateway_of("beidoutong", page_size=2 * SIZE)).quarantined == 1
    assert before[:2] == [[], ["quarantined"]]


def test_a_web_page_is_looked_at_before_the_next_is_read(sandbox, gateway_of, collect, monkeypatch):
    """Though it quotes what the vendor would say: who sends it is not the vendor."""
    sandbox.queue_reports("beidoutong", 4 * SIZE)
    read = Gateway.read

    def within_a_page(self, request):
        response = read(self, request)
        head, opened, rest = response.body.partition(b"?>")
        assert opened
        return replace(response, body=head + opened + b"<!-- <html> -->" + rest)

    def unreadable(*_: object):
        raise errors.WireFormatError("no page of the vendor's")

    monkeypatch.setattr(Gateway, "read", within_a_page)
    monkeypatch.setattr(Gateway, "columns_of_reports", lambda *_: None)
    monkeypatch.setattr(Gateway, "parse", unreadable)
    with pytest.raises(errors.WireFormatError, match="Reading stopped"):
        collect(gateway_of("beidoutong", page_size=SIZE))
    assert sandbox.calls.count("beidoutong", "reports") == 1


def test_a_signal_while_a_page_is_waited_for_does_not_lose_count_of_it(
    sandbox, gateway_of, store, page_states, monkeypatch, naps
):
    """The run lands it on its way out, and says so."""

    class Stop(BaseException):
        pass

    waited_for, stopped = threading.Event(), threading.Event()
    finish, land = filing.Filing._finish_landing, filing.land_gathered

    def finishing(self):
        if self._behind is not None:
            waited_for.set()
        finish(self)

    def landing(*given: Any):
        if not stopped.is_set():
            assert waited_for.wait(10)
            # More than one: the first may come just before the wait begins, which only a later one ends.
            for _ in range(100):
                os.kill(os.getpid(), signal.SIGTERM)
                if stopped.wait(0.1):
                    break
        return land(*given)

    def stop(*_: object):
        stopped.set()
        raise Stop

    sandbox.queue_reports("beidoutong", 4 * SIZE)
    collector = Collector(
        gateway_of("beidoutong", page_size=SIZE), store, Queue.REPORTS, owner="tester", log=LOG, sleep=naps
    )
    monkeypatch.setattr(filing.Filing, "_finish_landing", finishing)
    monkeypatch.setattr(filing, "land_gathered", landing)
    before = signal.signal(signal.SIGTERM, stop)
    try:
        with pytest.raises(Stop):
            collector.run()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert collector.so_far.records == SIZE
    assert page_states() == {"landed": 1, "read": 1}


@BOTH_WAYS
def test_a_parser_that_fails_leaves_the_careful_one_the_word(
    sandbox, gateway_of, collect, every_record_once, monkeypatch, large
):
    """Both the glance and the fast reading may fail: every record lands."""
    monkeypatch.setattr(filing, "_LARGE", large)
    sandbox.queue_reports("beidoutong", 3 * SIZE)
    monkeypatch.setattr(Gateway, "columns_of_reports", lambda *_: 1 / 0)
    assert collect(gateway_of("beidoutong", page_size=SIZE), max_pages=2) == (2, 2 * SIZE, 0, 0, False)
    monkeypatch.setattr(Gateway, "brings_reports", lambda *_: 1 / 0)
    assert collect(gateway_of("beidoutong", page_size=SIZE)) == (1, SIZE, 0, 0, True)
    assert every_record_once("beidoutong")


def test_a_refusal_that_the_glance_missed_ends_nothing(sandbox, gateway_of, collect, rows, monkeypatch):
    """It cannot be: but the next page has been read by then, and has to be filed."""
    sandbox.queue_reports("beidoutong", 2 * SIZE)
    parse, calls = Gateway.parse, iter(range(1, 1000))

    def refused_once(self, queue, response):
        if next(calls) == 1:
            raise errors.VendorBusy("later", "1", None)
        return parse(self, queue, response)

    monkeypatch.setattr(Gateway, "columns_of_reports", lambda *_: None)
    monkeypatch.setattr(Gateway, "parse", refused_once)
    assert collect(gateway_of("beidoutong", page_size=SIZE)) == (2, SIZE, 0, 0, True)
    assert rows("SELECT state, error FROM sms_pages WHERE error IS NOT NULL") == [("empty", "later")]


@pytest.mark.parametrize("moment", ["glance", "columns", "land", "commit"])
def test_killed_with_a_page_behind(sandbox, gateway_of, collect, rows, moment):
    """Its bytes are committed: the next run lands it, and one read at most is in doubt."""
    sandbox.queue_reports("beidoutong", 5 * SIZE)
    owner, name = {
        "glance": (Gateway, "brings_reports"),
        "columns": (Gateway, "columns_of_reports"),
        "land": (filing, "land_gathered"),
        "commit": (Journal, "keep"),
    }[moment]
    original, calls = getattr(owner, name), iter(range(1, 1000))

    def die_at_the_third(*args: Any, **given: Any):
        if next(calls) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **given)

    child = os.fork()
    if child == 0:
        try:
            setattr(owner, name, die_at_the_third)
            collect(gateway_of("beidoutong", page_size=SIZE))
        finally:
            os._exit(3)
    deadline = time.monotonic() + 60
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert os.WIFSIGNALED(ended[1])
    collected = collect(gateway_of("beidoutong", page_size=SIZE))
    assert collected.queue_empty
    assert collected.suspect <= 1
    landed = rows("SELECT count(*) FROM sms_reports")[0]
    assert 5 * SIZE - landed in {0, SIZE * collected.suspect}
    assert rows("SELECT count(DISTINCT vendor_message_id) FROM sms_reports") == [landed]
