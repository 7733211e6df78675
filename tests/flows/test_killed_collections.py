"""Collections that are killed, or fail at any statement: nothing is lost in silence, nothing lands twice."""

from __future__ import annotations

import random
import sqlite3
import time
from collections import Counter
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from airflow_provider_sms import collecting, errors, filing
from airflow_provider_sms.gateway import Gateway
from airflow_provider_sms.sandbox import Fault
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.landing import Landing
from airflow_provider_sms.store.leases import Leases
from airflow_provider_sms.store.ledger import Ledger
from airflow_provider_sms.store.spool import Spool

SCRIPT = Path(__file__).parent / "one_collect.py"
#: Vendor, extra of the connection, records of one page.
PAGES = [
    ("beidoutong", {"page_size": 50}, 50),
    ("wavecom", {}, 100),
    ("smsadmin", {}, 20),
    # So large that each is taken apart while the next one is read.
    ("beidoutong", {"page_size": 2000}, 2000),
]
NAMES = ["beidoutong", "wavecom", "smsadmin", "beidoutong-large"]
KILLS = 5


def check_nothing_lost(sandbox, rows, vendor, page_size):
    """Compare what was handed over with what landed: each once; what is missing is in a page that says so."""
    handed = Counter((each.mobile, each.message_id) for each in sandbox.handed_out_reports(vendor))
    landed = Counter(rows("SELECT mobile, vendor_message_id FROM sms_reports"))
    assert not landed - handed, "duplicates"
    lost = sum((handed - landed).values())
    suspect = rows("SELECT count(*) FROM sms_pages WHERE state = 'suspect'")[0]
    quarantined = rows("SELECT count(*) FROM sms_pages WHERE state = 'quarantined' AND body IS NOT NULL")[0]
    assert lost <= page_size * (suspect + quarantined)
    assert rows("SELECT count(*) FROM sms_pages WHERE state IN ('reading', 'read')") == [0]
    assert rows("SELECT count(*) FROM sms_pages WHERE body IS NOT NULL AND state = 'suspect'") == [0]
    return lost - page_size * quarantined, suspect


def ended(process):
    """Wait for the end of a process; give its exit code."""
    process.join(60)
    return process.exitcode


@pytest.mark.parametrize(("vendor", "extra", "page_size"), PAGES, ids=NAMES)
def test_a_collector_killed_at_random_moments(begin, sandbox, rows, tmp_path, vendor, extra, page_size):
    """Kill after kill, then a run to the end: every page landed, or is suspect and visible."""
    chance = random.Random(page_size)  # noqa: S311 - the same moments every time
    sandbox.queue_reports(vendor, page_size * (40 if page_size <= 100 else 16))
    sandbox.faults.add(Fault("slow", operation="reports", seconds=0.02, times=None))
    given = {
        "connection": sandbox.connection(vendor, timeout=10, **extra),
        "folder": str(tmp_path),
        "queue": "reports",
    }
    kills = 0
    while kills < KILLS:
        calls = sandbox.calls.count(vendor, "reports")
        process = begin(SCRIPT, given)
        deadline = time.monotonic() + 20
        while sandbox.calls.count(vendor, "reports") == calls and process.is_alive():
            assert time.monotonic() < deadline
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.15))
        process.kill()
        process.join()
        assert process.exitcode in {-9, 4}
        kills += process.exitcode == -9
    sandbox.faults.clear()
    while (code := ended(begin(SCRIPT, given))) != 0:
        assert code == 4
        time.sleep(0.1)
    assert sandbox.waiting(vendor, "reports") == 0
    lost, suspect = check_nothing_lost(sandbox, rows, vendor, page_size)
    assert lost <= page_size * kills
    assert suspect <= kills


class Struck(Exception):
    """What is raised at a statement of the flow."""


#: Every call of the flow that touches the vendor or the disk.
STATEMENTS = [
    (Gateway, "prepare_read"),
    (Spool, "sweep"),
    (Leases, "acquire"),
    (Leases, "renew"),
    (Leases, "wait_seconds"),
    (Leases, "mark_read"),
    (Leases, "release"),
    (Journal, "begin"),
    (Journal, "mark_suspects"),
    (Journal, "unlanded"),
    (Gateway, "read"),
    (Journal, "keep"),
    (Journal, "withdraw"),
    (Gateway, "columns_of_reports"),
    (Gateway, "parse"),
    (filing, "land_gathered"),
    (Landing, "land"),
    (Ledger, "settle_by_reports"),
]


#: Before it or after it, the first time or the second; each by another vendor.
STRIKES = [
    (owner, method, after, occurrence, *PAGES[number % len(PAGES)])
    for number, (owner, method, after, occurrence) in enumerate(
        (owner, method, after, occurrence)
        for owner, method in STATEMENTS
        for after in (False, True)
        for occurrence in (1, 2)
    )
]


@pytest.mark.parametrize(
    ("owner", "method", "after", "occurrence", "vendor", "extra", "page_size"),
    STRIKES,
    ids=[
        f"{each[0].__name__.rpartition('.')[2]}.{each[1]}-{'after' if each[2] else 'before'}-{each[3]}"
        for each in STRIKES
    ],
)
def test_a_failure_at_any_statement(
    sandbox,
    gateway_of,
    collect,
    rows,
    monkeypatch,
    owner,
    method,
    after,
    occurrence,
    vendor,
    extra,
    page_size,
):
    """The next run makes it whole, or says what is lost."""
    monkeypatch.setattr(collecting, "_OF_THE_MARGIN", 0, raising=False)
    sandbox.queue_reports(vendor, page_size * 3)
    original, calls = getattr(owner, method), count(1)

    def struck(*args: Any, **options: Any) -> Any:
        fatal = next(calls) == occurrence
        if fatal and not after:
            raise Struck
        result = original(*args, **options)
        if fatal:
            raise Struck
        return result

    with monkeypatch.context() as patched:
        patched.setattr(owner, method, struck)
        if method == "parse":
            # Else the empty page at the end would be the only one that gets there.
            patched.setattr(Gateway, "columns_of_reports", lambda *_: None)
        with suppress(Struck, errors.SmsError):
            collect(gateway_of(vendor, **extra), owner="tester")
    for _ in range(3):
        # Its lease may still hold; the same owner may take it again.
        if collect(gateway_of(vendor, **extra), owner="tester").queue_empty:
            break
    assert sandbox.waiting(vendor, "reports") == 0
    lost, suspect = check_nothing_lost(sandbox, rows, vendor, page_size)
    # An answer that never came back to us may be lost; one that did, never.
    answer_lost = (owner, method, after) == (Gateway, "read", True)
    assert (lost, suspect) == ((page_size, 1) if answer_lost else (0, suspect))


@pytest.mark.parametrize("nth", range(1, 40, 3))
def test_a_failure_of_any_sql_statement(sandbox, gateway_of, collect, store, rows, nth):
    """The n-th one fails as a database fails that went away, once: nothing is lost, nothing twice."""
    sandbox.queue_reports("beidoutong", 150)
    calls = count(1)

    def fail(*_: object) -> None:
        if next(calls) == nth:
            raise sqlite3.OperationalError

    event.listen(store.engine, "before_cursor_execute", fail)
    try:
        with suppress(errors.SmsError):
            collect(gateway_of("beidoutong", page_size=50), owner="tester")
    finally:
        event.remove(store.engine, "before_cursor_execute", fail)
    collect(gateway_of("beidoutong", page_size=50), owner="tester")
    assert sandbox.waiting("beidoutong", "reports") == 0
    assert check_nothing_lost(sandbox, rows, "beidoutong", 50)[0] == 0
