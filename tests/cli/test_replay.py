"""``airflow sms replay``: what happened to each page, and what to do next."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import Any

import pytest

from airflow_provider_sms import errors
from airflow_provider_sms.cli import replay
from airflow_provider_sms.collecting import Collector
from airflow_provider_sms.optouts import OptOuts
from airflow_provider_sms.records import PageState, Queue
from airflow_provider_sms.store.attention import find_pages
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.purging import Purge
from airflow_provider_sms.store.spool import SpooledPage
from airflow_provider_sms.vendors.wavecom import WavecomVendor


def _broken(*_: Any):
    raise ValueError


def test_very_many_pages_are_asked_for_by_and_by(store):
    """A statement takes so many values and no more: SQLite fewest."""
    ids = [f"q{number}" for number in range(40_000)]
    assert replay._owners(store, ids) == {}
    page_id = Journal(store).begin("sms_main", "wavecom", "reports", "tester")
    assert replay._owners(store, [*ids, page_id]) == {page_id: "sms_main"}


@pytest.fixture
def quarantined(sandbox, connections, gateway_of, store, monkeypatch):
    """Quarantine pages of the sandbox by a parser that fails; gives their ids, oldest first."""

    def make(count):
        connections("wavecom")
        gateway = gateway_of("wavecom")
        with monkeypatch.context() as patched:
            patched.setattr(WavecomVendor, "parse_replies", _broken)
            for number in range(count):
                sandbox.queue_replies("wavecom", [(f"1380000000{number}", f"回复{number}")])
                collector = Collector(
                    gateway, store, Queue.REPLIES, owner="tester", log=logging.getLogger("tests.cli")
                )
                with contextlib.suppress(errors.WireFormatError):
                    collector.run(max_pages=1)
        return [line.page_id for line in reversed(find_pages(store, [PageState.QUARANTINED]))]

    return make


def test_all_quarantined_pages_land_after_the_fix(sms, sandbox, quarantined, rows):
    ids = quarantined(3)
    calls = sandbox.calls.count()
    said = sms("replay", "--all-quarantined", "--conn-id", "sms_wavecom")
    assert said.status == 0
    assert said.out.splitlines() == [
        *(f"{page_id}: quarantined -> landed, 1 records" for page_id in ids),
        "3 of 3 pages landed whole",
    ]
    assert sorted(rows("SELECT content FROM sms_replies")) == ["回复0", "回复1", "回复2"]
    assert sandbox.calls.count() == calls
    assert "回复" not in said.out + said.err
    assert sms("replay", "--all-quarantined").out == "no page is quarantined that has bytes to read\n"


def test_pages_are_named_one_by_one(sms, quarantined):
    first, second = quarantined(2)
    assert sms("replay", second).status == 0
    said = sms("replay", first, second, "nonsense")
    assert said.status == 1
    assert f"{second}: had landed before, 1 records; nothing to do" in said.out
    assert "nonsense: there is no such page in the store" in said.out
    assert "2 of 3 pages landed whole, 1 not" in said.out


def test_a_page_that_stays_says_what_to_do_next(sms, quarantined, monkeypatch):
    (page_id,) = quarantined(1)
    monkeypatch.setattr(WavecomVendor, "parse_replies", _broken)
    said = sms("replay", page_id)
    assert said.status == 1
    assert (
        f"{page_id}: still quarantined, 0 of its records landed: the parser failed with ValueError"
        in said.out
    )
    assert f"'airflow sms pages --save FOLDER {page_id}'" in said.out


def test_a_page_without_bytes_is_not_said_to_have_them(sms, store, quarantined):
    """After a purge of quarantined pages as well, and of a push that was empty."""
    [purged] = quarantined(1)
    time.sleep(0.01)
    Purge(store, store.now(), OptOuts(), also_quarantined=True).run()
    empty = Journal(store).push("sms_wavecom", "wavecom", "replies", b"")
    Journal(store).quarantine(empty, "no event")
    assert sms("replay", "--all-quarantined").status == 0, "they would fail every later replay of all"
    said = sms("replay", purged, empty)
    assert said.status == 1
    assert "stays quarantined, 0 of its records landed: its bytes were purged\n" in said.out
    assert "stays quarantined, 0 of its records landed: no bytes of it are kept\n" in said.out
    assert "Its bytes are kept" not in said.out
    assert "--save" not in said.out


def test_a_suspect_page_has_nothing_to_read(sms, store, connections):
    connections("wavecom")
    journal = Journal(store)
    page_id = journal.begin("sms_wavecom", "wavecom", "replies", "reader")
    journal.close_unread(page_id, PageState.SUSPECT, "cut off")
    said = sms("replay", page_id)
    assert said.status == 1
    assert "ask the vendor for the records of that time" in said.out


def test_the_spool_goes_first_and_its_pages_land(sms, spool, connections, rows):
    connections("wavecom")
    page = SpooledPage("f" * 32, "sms_wavecom", "wavecom", "replies", "1|5;13800000001;好".encode("gbk"))
    spool.put(page)
    said = sms("replay", "--all-quarantined")
    assert said.status == 0, said
    assert "1 page of this machine's spool went into the store" in said.out
    assert rows("SELECT content FROM sms_replies") == ["好"]


def test_a_page_whose_connection_is_gone_is_told(sms, store, store_connection):
    journal = Journal(store)
    page_id = journal.begin("sms_gone", "wavecom", "replies", "reader")
    journal.keep(page_id, b"x")
    journal.quarantine(page_id, "?")
    said = sms("replay", page_id)
    assert said.status == 1
    assert "1 page cannot be read without connection 'sms_gone'" in said.err
    assert "0 of 1 page landed whole, 1 not" in said.out
    assert store_connection


@pytest.mark.parametrize("words", [[], ["--conn-id", "x"], ["p", "--all-quarantined"]])
def test_half_a_request_is_refused(sms, store_connection, words):
    assert sms("replay", *words).status == 1
    assert store_connection
