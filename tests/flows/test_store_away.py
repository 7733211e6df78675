"""Collections while the store goes away, and after their reader died."""

from __future__ import annotations

import signal
import time
from typing import Any

import pytest
from sqlalchemy import event

from airflow_provider_sms import collecting, errors, filing
from airflow_provider_sms.records import PageState
from airflow_provider_sms.sandbox import Fault
from airflow_provider_sms.store import reserve, standby
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.landing import Landing
from airflow_provider_sms.store.leases import Leases
from airflow_provider_sms.store.spool import Spool

VENDORS = pytest.mark.parametrize("vendor", ["beidoutong", "wavecom", "smsadmin"])


class Stop(BaseException):
    """What Airflow's time-out is: no ``Exception``."""


def away(*_: object, **__: object):
    """Fail as a database does that has gone."""
    raise errors.StoreUnavailable("the SMS store cannot be used (gone)")


@VENDORS
def test_a_store_that_takes_no_writes_reads_nothing(sandbox, gateway_of, collect, store, rows, vendor):
    """Its first write comes before the vendor is asked; that it can be read is not enough."""
    sandbox.queue_reports(vendor, 5)

    def read_only(connection: Any, *_: object) -> None:
        connection.execute("PRAGMA query_only = ON")

    event.listen(store.engine, "checkout", read_only)
    try:
        with pytest.raises(errors.StoreUnavailable, match="readonly"):
            collect(gateway_of(vendor))
    finally:
        event.remove(store.engine, "checkout", read_only)
        store.engine.dispose()
    assert sandbox.calls.count(vendor) == 0
    assert rows("SELECT count(*) FROM sms_pages") == [0]


@VENDORS
@pytest.mark.parametrize(
    "failure", [errors.StoreUnavailable("gone"), RuntimeError("a driver's own"), MemoryError()], ids=repr
)
def test_a_page_that_the_store_does_not_take_goes_to_the_spool(
    sandbox, gateway_of, collect, store, rows, monkeypatch, vendor, failure
):
    """Whatever the database raises: the bytes are on disk, and the next run lands them."""
    sandbox.queue_reports(vendor, 15)

    def failing(*_: object, **__: object):
        raise failure

    monkeypatch.setattr(Journal, "keep", failing)
    with pytest.raises(errors.StoreUnavailable, match="safe in the spool"):
        collect(gateway_of(vendor))
    assert len(list(Spool(store.spool_dir).pages())) == 1
    monkeypatch.undo()
    collected = collect(gateway_of(vendor))
    assert (collected.records, collected.suspect) == (15, 0)
    assert rows("SELECT count(*) FROM sms_reports") == [15]
    assert list(Spool(store.spool_dir).pages()) == []


# --- a store that hangs with a page ----------------------------------------------------------------


def hanging(store, end):
    """Make a ``Journal.keep`` that hangs until the page is in the spool, and then ends so."""
    keep = Journal.keep

    def late(*args: Any, **options: Any):
        began = time.monotonic()
        while not list(Spool(store.spool_dir).pages()):
            assert time.monotonic() - began < 5, "it waits in memory"
            time.sleep(0.01)
        end(lambda: keep(*args, **options))

    return late


@VENDORS
def test_a_page_whose_commit_hangs_is_on_disk_meanwhile(
    sandbox, gateway_of, collect, store, rows, monkeypatch, vendor
):
    """The commit succeeds in the end: the page lands once, and nothing is left in the spool."""
    monkeypatch.setattr(standby, "_LATE_SECONDS", 0.2)
    sandbox.queue_reports(vendor, 15)
    monkeypatch.setattr(Journal, "keep", hanging(store, lambda keep: keep()))
    collected = collect(gateway_of(vendor), max_pages=1)
    assert (collected.records, collected.suspect) == (15, 0)
    assert rows("SELECT count(*) FROM sms_reports") == [15]
    assert list(Spool(store.spool_dir).pages()) == []


@VENDORS
def test_a_kill_while_a_commit_hangs_costs_nothing(
    sandbox, gateway_of, collect, store, page_states, monkeypatch, vendor
):
    """Its page waits in the spool, and the next run lands it."""
    monkeypatch.setattr(standby, "_LATE_SECONDS", 0.2)
    sandbox.queue_reports(vendor, 15)

    def killed(_: Any) -> None:
        raise Stop

    monkeypatch.setattr(Journal, "keep", hanging(store, killed))
    with pytest.raises(Stop):
        collect(gateway_of(vendor))
    monkeypatch.undo()
    assert page_states() == {"reading": 1}
    collected = collect(gateway_of(vendor))
    assert (collected.records, collected.suspect) == (15, 0)
    assert list(Spool(store.spool_dir).pages()) == []


def test_a_commit_that_hangs_and_fails_leaves_one_file(sandbox, gateway_of, collect, store, monkeypatch):
    """The file that is there is the one that the error names; it is not written again."""
    monkeypatch.setattr(standby, "_LATE_SECONDS", 0.2)
    sandbox.queue_reports("wavecom", 15)
    written, put = [], Spool.put
    monkeypatch.setattr(Spool, "put", lambda self, page: written.append(page) or put(self, page))
    monkeypatch.setattr(Journal, "keep", hanging(store, away))
    with pytest.raises(errors.StoreUnavailable, match="safe in the spool"):
        collect(gateway_of("wavecom"))
    assert len(written) == 1
    monkeypatch.undo()
    assert collect(gateway_of("wavecom")).records == 15


def test_a_disk_that_does_not_stand_by_is_no_failure_of_the_store(
    sandbox, gateway_of, collect, page_states, monkeypatch
):
    """A commit that is late and succeeds needs no spool."""
    monkeypatch.setattr(standby, "_LATE_SECONDS", 0.0)
    keep = Journal.keep

    def late(*args: Any, **options: Any):
        time.sleep(0.4)
        keep(*args, **options)

    monkeypatch.setattr(Journal, "keep", late)
    monkeypatch.setattr(Spool, "put", away)
    sandbox.queue_reports("wavecom", 15)
    assert collect(gateway_of("wavecom")).records == 15
    assert page_states() == {"landed": 1, "empty": 1}


def test_a_commit_that_is_quick_writes_nothing_else(sandbox, gateway_of, collect, store):
    """The spool is for what is late."""
    sandbox.queue_reports("wavecom", 450)
    assert collect(gateway_of("wavecom")).records == 450
    (room,) = store.spool_dir.iterdir()
    assert room.suffix == reserve.SUFFIX


@VENDORS
def test_a_page_that_was_not_landed_lands_by_the_next_run(
    sandbox, gateway_of, collect, monkeypatch, vendor, page_states
):
    """The store went away between the raw commit and the rows."""
    sandbox.queue_reports(vendor, 15)
    monkeypatch.setattr(Landing, "land", away)
    monkeypatch.setattr(filing, "land_gathered", away)
    with pytest.raises(errors.StoreUnavailable):
        collect(gateway_of(vendor))
    # The page, and the answer that nothing is left, before which it was to land.
    assert page_states() == {"read": 2}
    monkeypatch.undo()
    collected = collect(gateway_of(vendor))
    assert (collected.pages, collected.records, collected.queue_empty) == (0, 15, True)
    assert page_states() == {"landed": 1, "empty": 2}


@VENDORS
def test_a_dead_readers_intent_is_suspect_once_its_lease_is_over(
    gateway_of, collect, store, rows, vendor, page_states
):
    """Not before: it may be alive. Then it is counted and never silent."""
    conn_id = f"sms_{vendor}"
    Leases(store).acquire(conn_id, "reports", "died", 0.5)
    page_id = Journal(store).begin(conn_id, vendor, "reports", "died")
    with pytest.raises(errors.QueueBusy, match="died"):
        collect(gateway_of(vendor))
    assert page_states() == {"reading": 1}
    time.sleep(0.6)
    assert collect(gateway_of(vendor)).suspect == 1
    assert rows("SELECT page_id FROM sms_pages WHERE state = 'suspect'") == [page_id]


def test_a_reader_that_was_only_slow_still_lands_its_page(
    sandbox, gateway_of, collect, store, rows, monkeypatch, page_states
):
    """Its intent was called suspect meanwhile; here the page is after all."""
    sandbox.queue_reports("wavecom", 15)
    keep = Journal.keep

    def slow(self, page_id, *args: Any, **options: Any):
        Leases(store).acquire("sms_wavecom", "reports", "tester", 0.0)
        Journal(store).mark_suspects("sms_wavecom", "reports")
        assert page_states() == {"suspect": 1}
        keep(self, page_id, *args, **options)

    monkeypatch.setattr(Journal, "keep", slow)
    collect(gateway_of("wavecom"), max_pages=1)
    assert page_states() == {"landed": 1}
    assert rows("SELECT count(*) FROM sms_reports") == [15]


def test_a_reader_whose_lease_is_taken_over_says_what_it_has_done(
    sandbox, gateway_of, collect, store, rows, monkeypatch
):
    """It stalled. Pages were read and landed here, so "nothing was read" would be false."""
    monkeypatch.setattr(collecting, "_OF_THE_MARGIN", 0)
    sandbox.queue_reports("wavecom", 450)
    keep, kept = Journal.keep, []

    def stalled(*args: Any, **options: Any):
        keep(*args, **options)
        kept.append(args)
        if len(kept) == 2:
            Leases(store).acquire("sms_wavecom", "reports", "tester", -1.0)
            Leases(store).acquire("sms_wavecom", "reports", "another", 60.0)

    monkeypatch.setattr(Journal, "keep", stalled)
    with pytest.raises(errors.QueueBusy) as told:
        collect(gateway_of("wavecom"))
    assert "another has taken the reports queue over" in str(told.value)
    assert "2 pages with 200 records landed" in str(told.value)
    assert "nothing was read" not in str(told.value)
    assert told.value.owner == "another"
    assert rows("SELECT count(*) FROM sms_reports") == [200]
    assert Leases(store).holder("sms_wavecom", "reports").owner == "another"


def test_what_others_left_is_landed_for_max_seconds_and_under_the_lease(
    sandbox, gateway_of, collect, store, rows, monkeypatch
):
    """The rest is the next run's, nothing is read before it has landed, and nobody else may begin."""
    monkeypatch.setattr(collecting, "LEASE_MARGIN", 0.3)
    sandbox.queue_replies("wavecom", 1)
    for number in range(10):
        page_id = Journal(store).begin("sms_wavecom", "wavecom", "replies", "died")
        Journal(store).keep(page_id, f"1|{number};13800138000;TD".encode())
    held, land = [], Landing.land

    def slow(*args: Any, **options: Any):
        time.sleep(0.2)
        held.append(Leases(store).holder("sms_wavecom", "replies"))
        return land(*args, **options)

    monkeypatch.setattr(Landing, "land", slow)
    gateway = gateway_of("wavecom", timeout=1)
    first = collect(gateway, "replies", max_seconds=0.5)
    assert 1 <= first.records <= 3
    assert sandbox.calls.count("wavecom", "replies") == 0
    second = collect(gateway, "replies")
    assert first.records + second.records == 11
    assert all(held)
    assert rows("SELECT count(*) FROM sms_replies") == [11]


LEFTOVERS = {
    "refusal": b"-7",
    "busy": b"-3",
    "web page": b"<html><body>Login</body></html>",
    "garbage": bytes(range(128, 200)),
    "nothing": b"",
}


@pytest.mark.parametrize("body", LEFTOVERS.values(), ids=LEFTOVERS)
@pytest.mark.parametrize("times", [1, 3])
def test_what_an_earlier_run_left_does_not_stop_this_one(
    sandbox, gateway_of, collect, store, page_states, body, times
):
    """What the vendor said then says nothing about now: it is put in its place, and the reading begins."""
    sandbox.queue_reports("wavecom", 5)
    for _ in range(times):
        page_id = Journal(store).begin("sms_wavecom", "wavecom", "reports", "died")
        Journal(store).keep(page_id, body, complete=bool(body), problem="" if body else "cut")
    collected = collect(gateway_of("wavecom"))
    assert (collected.records, collected.queue_empty) == (5, True)
    assert set(page_states()) <= {"landed", "empty", "quarantined", "suspect"}


def test_a_clock_that_is_set_back_makes_nobody_sleep_for_hours(
    sandbox, gateway_of, collect, naps, monkeypatch
):
    """The vendor's interval is the longest sleep; the lease would not outlast another."""
    sandbox.queue_reports("smsadmin", 25)
    monkeypatch.setattr(Leases, "wait_seconds", lambda *_: 8 * 3600.0)
    assert collect(gateway_of("smsadmin")).records == 25
    assert naps.taken
    assert max(naps.taken) <= 5


def test_a_parser_that_fails_does_not_block_the_queue(sandbox, gateway_of, collect, rows, monkeypatch):
    """Its mistake costs a quarantined page with its bytes, not the vendor's queue."""
    gateway = gateway_of("wavecom")
    sandbox.queue_reports("wavecom", 250)
    parse, first = gateway.parse, []

    def mistaken(*args: Any):
        if not first:
            first.append(True)
            raise ZeroDivisionError
        return parse(*args)

    # Neither reads an ordinary page: the one by columns hands it to the careful one.
    monkeypatch.setattr(gateway.vendor, "columns_of_reports", lambda *_: 1 / 0)
    monkeypatch.setattr(gateway, "parse", mistaken)
    collected = collect(gateway)
    assert (collected.records, collected.quarantined) == (150, 1)
    assert rows("SELECT error FROM sms_pages WHERE state = 'quarantined'") == [
        "the parser failed with ZeroDivisionError"
    ]


@VENDORS
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGALRM, signal.SIGINT], ids=lambda n: n.name)
def test_a_signal_during_the_read_waits_for_the_raw_commit(
    sandbox, gateway_of, collect, store, page_states, vendor, signum
):
    """Then it is delivered: nothing lost, nothing suspect, and the next run lands the page."""

    def handler(*_: object):
        raise Stop

    before = signal.signal(signum, handler)
    try:
        sandbox.queue_reports(vendor, 15)
        sandbox.faults.add(Fault("slow", operation="reports", seconds=0.5))
        _send_signal_while_reading(sandbox, vendor, signum)
        began = time.monotonic()
        with pytest.raises(Stop):
            collect(gateway_of(vendor))
        assert time.monotonic() - began > 0.4
    finally:
        signal.signal(signum, before)
    assert page_states() == {"read": 1}
    assert Leases(store).holder(f"sms_{vendor}", "reports") is None
    assert collect(gateway_of(vendor)).records == 15
    assert Journal(store).counts()[PageState.SUSPECT] == 0


def _send_signal_while_reading(sandbox, vendor, signum):
    import os
    import threading

    def watch():
        while sandbox.calls.in_flight_now(vendor, "reports") == 0:
            time.sleep(0.005)
        time.sleep(0.1)
        os.kill(os.getpid(), signum)

    threading.Thread(target=watch, daemon=True).start()


# --- a page that the store does not take, though it takes others -------------------------------------


@pytest.fixture
def refuse(store):
    """Let the database refuse rows with some value: ``refuse("sms_replies", "content", "x")``."""

    def make(table, column, value):
        with store.begin() as connection:
            connection.exec_driver_sql(
                f"CREATE TRIGGER refuses BEFORE INSERT ON {table} WHEN NEW.{column} = '{value}'"
                " BEGIN SELECT RAISE(ABORT, 'no'); END"
            )

    return make


@VENDORS
@pytest.mark.parametrize("queue", ["reports", "replies"])
@pytest.mark.parametrize("left", [True, False], ids=["left over", "read now"])
def test_a_page_that_the_store_does_not_take_is_set_aside(
    sandbox, gateway_of, collect, rows, monkeypatch, refuse, vendor, queue, left, page_states
):
    """Its bytes stay, and what comes behind it lands: a queue waits for no page for ever."""
    number = "13812345678"
    refuse(f"sms_{queue}", "mobile", number)
    what = {"mobile": number} if queue == "reports" else (number, "😀")
    getattr(sandbox, f"queue_{queue}")(vendor, [what])
    if left:
        with monkeypatch.context() as patched:
            patched.setattr(Landing, "land", away)
            patched.setattr(filing, "land_gathered", away)
            with pytest.raises(errors.StoreUnavailable):
                collect(gateway_of(vendor), queue, max_pages=1)
        assert page_states() == {"read": 1}
        getattr(sandbox, f"queue_{queue}")(vendor, 3)
    collected = collect(gateway_of(vendor), queue)
    assert (collected.records, collected.quarantined, collected.queue_empty) == (3 * left, 1, True)
    ((error, size),) = rows("SELECT error, length(body) FROM sms_pages WHERE state = 'quarantined'")
    assert "takes other pages and not this one (IntegrityError" in error
    assert number not in error
    assert size > 0


def test_a_push_that_the_store_does_not_take_is_set_aside(gateway_of, collect, store, rows, refuse, sandbox):
    refuse("sms_replies", "content", "TD")
    login = sandbox.account("smsadmin").login
    body = f"Class=mo&SmsName={login}&Mobile=13800138000&Message=TD&LinkId=1&RevertTime=2025-01-31 1:02:03"
    Journal(store).push("sms_smsadmin", "smsadmin", "replies", body.encode(), page_id="left")
    collect(gateway_of("smsadmin"), "replies")
    assert rows("SELECT state FROM sms_pages WHERE page_id = 'left'") == ["quarantined"]


def test_a_page_that_was_set_aside_lands_by_a_replay_once_the_store_takes_it(
    sandbox, gateway_of, collect, store, rows, refuse
):
    """Until then the replay says why not, and goes on with the others."""
    from airflow_provider_sms.replaying import replay

    refuse("sms_replies", "mobile", "13812345678")
    sandbox.queue_replies("wavecom", [("13812345678", "好")])
    gateway = gateway_of("wavecom")
    collect(gateway, "replies")
    (page_id,) = rows("SELECT page_id FROM sms_pages WHERE state = 'quarantined'")
    (again,) = replay(gateway.vendor, gateway.account, store, [page_id])
    assert (again.whole, "not this one" in again.problem) == (False, True)
    with store.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER refuses")
    (again,) = replay(gateway.vendor, gateway.account, store, [page_id])
    assert again.whole
    assert rows("SELECT content FROM sms_replies") == ["好"]
