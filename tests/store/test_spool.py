"""The spool: a page that the database did not take is on disk, whole or noticed."""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from airflow_provider_sms.errors import StoreUnavailable
from airflow_provider_sms.records import PageState
from airflow_provider_sms.store import attention
from airflow_provider_sms.store import spool as spool_module
from airflow_provider_sms.store.ids import new_id
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.spool import Spool, SpooledPage

MOMENT = datetime(2025, 3, 1, 4, 0, 0, 5, tzinfo=UTC)


def spooled(body=b"raw\nbytes\xff", **fields: Any):
    values = {"page_id": new_id(), "conn_id": "sms_main", "vendor": "wavecom", "queue": "reports"} | fields
    return SpooledPage(body=body, started_at=MOMENT, read_at=MOMENT, **values)


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "deep" / "spool")


def refuse_to_open(refused, monkeypatch):
    """Behave as the system does towards somebody who may not read a file (the tests may run as root)."""
    real = Path.open

    def opening(path, *args: Any, **named: Any):
        if path == refused:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path, *args, **named)

    monkeypatch.setattr(Path, "open", opening)


@settings(max_examples=50, deadline=None)
@given(body=st.binary(), problem=st.text(), complete=st.booleans(), conn_id=st.text())
def test_whatever_is_put_comes_back(tmp_path_factory, body, problem, complete, conn_id):
    spool = Spool(tmp_path_factory.mktemp("spool"))
    page = spooled(body, problem=problem, complete=complete, conn_id=conn_id, status=502)
    spool.put(page)
    assert list(spool.pages()) == [page]


def test_pages_come_back_in_the_order_they_were_begun(spool):
    pages = [spooled(str(number).encode()) for number in range(5)]
    for page in reversed(pages):
        spool.put(page)
    assert list(spool.pages()) == pages


def test_only_its_owner_reads_the_spool(spool):
    path = spool.put(spooled())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_appears_only_when_all_of_it_is_on_disk(spool, monkeypatch):
    """All of the content first, then the name, then the folder that holds the name."""
    done = []
    real = os.fsync

    def fsync(descriptor):
        state = os.fstat(descriptor)
        size = None if stat.S_ISDIR(state.st_mode) else state.st_size
        done.append((size, list(spool.directory.glob("*.page"))))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    path = spool.put(spooled())
    assert done == [(path.stat().st_size, []), (None, [path])]


def test_a_page_that_several_threads_put_is_whole(spool, monkeypatch):
    """A repeated push: each of them may say "stored", and none empties the file of another."""
    page = spooled(b"the same push" * 100)
    together = threading.Barrier(8)
    real = os.fsync

    def fsync(descriptor):
        real(descriptor)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            together.wait(5)

    monkeypatch.setattr(os, "fsync", fsync)
    with ThreadPoolExecutor(8) as pool:
        paths = set(pool.map(spool.put, [page] * 8))
    assert list(spool.pages()) == [page]
    assert list(spool.directory.iterdir()) == list(paths)


@pytest.mark.parametrize("kept", [0, 1, 10, 200, -1])
def test_a_torn_file_is_noticed_and_kept_aside(spool, kept):
    """Wherever it was cut; the other pages are not held up by it."""
    path, whole = spool.put(spooled()), spooled()
    content = path.read_bytes()
    path.write_bytes(content[:kept])
    spool.put(whole)
    assert list(spool.pages()) == [whole]
    assert [torn.read_bytes() for torn in spool.torn()] == [content[:kept]]


def test_a_changed_byte_is_noticed(spool):
    path = spool.put(spooled(b"13800000001"))
    path.write_bytes(path.read_bytes().replace(b"0001", b"0002"))
    assert list(spool.pages()) == []
    assert len(spool.torn()) == 1


def _left_unnamed(spool, page, *, seconds, kept=None):
    """Leave what a writer leaves that is killed before it gives its file a name."""
    path = spool.put(page)
    left = path.rename(path.with_suffix(".4711-0123456789abcdef.tmp"))
    left.write_bytes(left.read_bytes()[:kept])
    moment = time.time() - seconds
    os.utime(left, (moment, moment))
    return left


def test_a_whole_file_of_a_killed_writer_is_taken_for_its_page(spool):
    """Its bytes are the only copy. Nobody else's are touched: a writer may still be at it."""
    earlier, page, fresh = spooled(), spooled(), spooled()
    spool.put(earlier)
    abandoned = _left_unnamed(spool, page, seconds=3700)
    under_way = _left_unnamed(spool, fresh, seconds=60)
    assert list(spool.pages()) == [earlier, page]
    assert not abandoned.exists()
    assert under_way.exists()
    assert spool.torn() == []


@pytest.mark.parametrize("kept", [0, 10, -1])
def test_a_piece_that_a_killed_writer_left_is_torn(spool, kept):
    left = _left_unnamed(spool, spooled(), seconds=3700, kept=kept)
    content = left.read_bytes()
    assert list(spool.pages()) == []
    assert [path.read_bytes() for path in spool.torn()] == [content]
    assert not left.exists()


@pytest.mark.parametrize("line", [b"[]\n", b"{}\n", b"null\n", b'{"length": 0}\n', b"\xff\n", b""])
def test_a_file_that_is_no_page_is_kept_aside(spool, line):
    spool.directory.mkdir(parents=True)
    (spool.directory / "x.page").write_bytes(line)
    assert list(spool.pages()) == []
    assert len(spool.torn()) == 1


def test_a_disk_that_takes_nothing_is_told(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    with pytest.raises(StoreUnavailable, match="neither to the SMS store nor to its spool") as caught:
        Spool(blocked).put(spooled(b"13812345678"))
    assert "13812345678" not in str(caught.value)


def test_a_full_disk_keeps_no_piece(spool, monkeypatch):
    """Each try would leave one more."""

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreUnavailable, match="No space left"):
        spool.put(spooled())
    assert list(spool.directory.iterdir()) == []


def test_an_empty_spool_has_no_folder(spool):
    assert list(spool.pages()) == []
    assert spool.torn() == []


# --- into the journal ------------------------------------------------------------------------------


@pytest.fixture
def filled(store):
    """Give the spool of a store."""
    return Spool(store.spool_dir)


@pytest.mark.parametrize("before", ["missing", "reading", "suspect", "dismissed"])
def test_a_spooled_page_becomes_a_read_page(store, filled, before):
    """Whatever the store knew of it when it went away."""
    journal = Journal(store)
    page = spooled(status=206, complete=False, problem="cut")
    if before != "missing":
        page_id = journal.begin("sms_main", "wavecom", "reports", "reader")
        page = spooled(page_id=page_id, status=206, complete=False, problem="cut")
        if before in {"suspect", "dismissed"}:
            journal.mark_suspects("sms_main", "reports")
        if before == "dismissed":
            assert attention.dismiss(store, [page_id], "nothing to be done") == [page_id]
    filled.put(page)
    assert filled.sweep(store) == 1
    row = journal.page(page.page_id)
    assert (row.state, row.body, row.read_at) == (PageState.READ, page.body, MOMENT)
    assert (row.response.status, row.response.complete, row.response.problem) == (206, False, "cut")
    # It is there after all: lists show what becomes of it.
    assert [line.page_id for line in attention.find_pages(store)] == [page.page_id]
    assert list(filled.pages()) == []
    assert filled.sweep(store) == 0


def test_a_spooled_page_is_put_beside_the_others(store, filled):
    """It brings what the store never heard of, and leaves every other page to itself."""
    journal = Journal(store)
    others = [journal.begin("sms_main", "wavecom", "reports", "reader") for _ in range(2)]
    [cut_off] = journal.mark_suspects("sms_main", "reports")[1:]
    came_late = spooled(page_id=cut_off)
    pushed = replace(spooled(source="push"), started_at=MOMENT - timedelta(seconds=3))
    for page in (came_late, pushed):
        filled.put(page)
    assert filled.sweep(store) == 2
    rows = [journal.page(each) for each in (others[0], cut_off, pushed.page_id)]
    assert [row.state for row in rows] == [PageState.SUSPECT, PageState.READ, PageState.READ]
    assert rows[0].error
    assert rows[1].error is None
    assert (rows[2].source, rows[2].started_at) == ("push", pushed.started_at)


@pytest.mark.parametrize("state", ["read", "landed"])
def test_a_page_that_was_committed_after_all_stays_as_it_is(store, filled, land, make_report, state):
    """Only the answer to the commit was lost; sweeping must not land it twice."""
    journal = Journal(store)
    if state == "landed":
        page_id = land([make_report("13800000001", "1")])
    else:
        page_id = journal.begin("sms_main", "wavecom", "reports", "reader")
        journal.keep(page_id, b"committed")
    filled.put(spooled(b"spooled", page_id=page_id))
    assert filled.sweep(store) == 0
    assert journal.page(page_id).state == state
    assert journal.page(page_id).body != b"spooled"
    assert list(filled.pages()) == []


def test_a_sweep_that_is_cut_off_is_repeated(store, filled, monkeypatch):
    """A crash between the commit and the deletion: the file is there, the page too."""
    page = spooled()
    filled.put(page)
    with monkeypatch.context() as patched:
        patched.setattr(Spool, "remove", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            filled.sweep(store)
    assert Journal(store).page(page.page_id).state is PageState.READ
    assert len(list(filled.pages())) == 1
    assert filled.sweep(store) == 0
    assert list(filled.pages()) == []


def test_the_file_stays_while_the_store_is_away(tmp_path, spool):
    from airflow_provider_sms.store.engine import Store

    store = Store.open(f"sqlite:///{tmp_path}/sms.db", spool_dir=spool.directory)
    spool.put(spooled())
    with store.begin() as connection:
        connection.exec_driver_sql("DROP TABLE sms_pages")
    with pytest.raises(StoreUnavailable):
        spool.sweep(store)
    assert len(list(spool.pages())) == 1
    store.close()


def test_a_page_that_the_store_does_not_take_holds_up_no_other(store, filled, caplog, monkeypatch):
    """As one that is longer than MySQL takes: it is left and named once, the others move in their order."""
    pages = [spooled(str(number).encode()) for number in range(4)]
    for page in pages:
        filled.put(page)
    into_journal = spool_module._into_journal

    def refusing(page, connection):
        if page == pages[1]:
            raise StoreUnavailable("the SMS store cannot be used (OperationalError 1153: refused)")
        return into_journal(page, connection)

    monkeypatch.setattr(spool_module, "_into_journal", refusing)
    assert filled.sweep(store) == 3
    assert filled.sweep(store) == 0
    assert list(filled.pages()) == [pages[1]]
    read = [page.page_id for page in Journal(store).unlanded("sms_main", "reports")]
    assert read == [page.page_id for number, page in enumerate(pages) if number != 1]
    assert sum(Journal(store).counts().values()) == 3
    told = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(told) == 1
    assert pages[1].page_id in told[0]
    assert "1153" in told[0]


def test_a_driver_that_chokes_on_a_page_holds_up_no_other(store, filled):
    """A surrogate in a text is no error of the database's, but one of the driver's own."""
    filled.put(spooled(problem="\ud800"))
    filled.put(whole := spooled())
    assert filled.sweep(store) == 1
    assert Journal(store).page(whole.page_id).body == whole.body
    assert len(list(filled.pages())) == 1


def test_a_file_that_cannot_be_read_holds_up_no_other(filled, monkeypatch, caplog):
    """As one that another user wrote: it is left and named, and no error of the system's comes through."""
    theirs = filled.put(spooled())
    filled.put(whole := spooled())
    refuse_to_open(theirs, monkeypatch)
    assert list(filled.pages()) == [whole]
    assert filled.unreadable() == {theirs: "Permission denied"}
    assert theirs.exists()
    assert theirs.name in caplog.text
    assert "Permission denied" in caplog.text


def test_a_file_that_cannot_be_deleted_is_no_failure(store, filled, monkeypatch):
    """Its page is committed; later sweeps find it there and change nothing."""
    filled.put(page := spooled())

    def refusing(*_: Any, **__: Any):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "unlink", refusing)
    assert filled.sweep(store) == 1
    assert filled.sweep(store) == 0
    assert Journal(store).page(page.page_id).body == page.body


def test_a_disk_that_is_all_but_full_is_no_fault_of_the_page(tmp_path, spool):
    """Small writes still fit, pages do not: nothing may be read then, so the sweep says so."""
    from airflow_provider_sms.store.engine import Store

    store = Store.open(f"sqlite:///{tmp_path}/sms.db", spool_dir=spool.directory)
    spool.put(spooled(bytes(100_000)))
    with store.reading() as connection:
        length = connection.exec_driver_sql("PRAGMA page_count").scalar_one()

    def all_but_full(connection: Any, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {length + 4}")

    event.listen(store.engine, "checkout", all_but_full)
    store.prove_writable()
    with pytest.raises(StoreUnavailable, match="full"):
        spool.sweep(store)
    assert len(list(spool.pages())) == 1
    store.close()
