"""The reserve: a page that the disk has no other room for has its own."""

from __future__ import annotations

import errno
import os

import pytest

from airflow_provider_sms.errors import StoreUnavailable
from airflow_provider_sms.store.ids import new_id
from airflow_provider_sms.store.reserve import SUFFIX, Reserve
from airflow_provider_sms.store.spool import Spool, SpooledPage


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "deep" / "spool"


@pytest.fixture
def reserve(folder):
    return Reserve(folder, "sms_main", "reports")


def kept(folder):
    """Give the size of the one file that is there, and how many bytes of the disk it has."""
    (path,) = folder.iterdir()
    assert path.suffix == SUFFIX
    about = path.stat()
    return about.st_size, about.st_blocks * 512


def full(*_: object):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def spooled(body):
    return SpooledPage(page_id=new_id(), conn_id="sms_main", vendor="wavecom", queue="reports", body=body)


def test_the_disk_has_given_what_is_held(folder, reserve):
    """Not a hole: whatever others write, these bytes are there."""
    reserve.hold(100_000)
    size, bytes_of_the_disk = kept(folder)
    assert 100_000 <= size <= bytes_of_the_disk


def test_what_is_held_costs_nothing_more(reserve, monkeypatch):
    """Small pages come by the thousand, and each asks."""
    reserve.hold(100_000)
    monkeypatch.setattr(os, "open", full)
    reserve.hold(100_000)


def test_what_was_handed_over_is_asked_for_anew(folder, reserve, tmp_path, monkeypatch):
    """The page has its place now, and the next one needs another."""
    reserve.hold(100_000)
    reserve.hand_over(tmp_path / "page", 100_000)
    reserve.hold(100_000)
    assert kept(folder)[0] >= 100_000
    reserve.hand_over(tmp_path / "page", 100_000)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space"):
        reserve.hold(100_000)


def test_a_file_system_that_keeps_no_room_is_written_to(folder, reserve, monkeypatch):
    """Zeros take as much of it."""

    def unable(*_: object):
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "posix_fallocate", unable)
    reserve.hold(100_000)
    size, bytes_of_the_disk = kept(folder)
    assert 100_000 <= size <= bytes_of_the_disk


def test_a_full_disk_is_not_filled_any_more_and_what_was_asked_for_is_remembered(
    folder, reserve, monkeypatch
):
    """The next run, by whomever, asks for as much."""
    reserve.hold(1)
    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", full)
        with pytest.raises(OSError, match="No space left"):
            reserve.hold(1_000_000)
    size, bytes_of_the_disk = kept(folder)
    assert size >= 1_000_000
    assert bytes_of_the_disk == 0
    Reserve(folder, "sms_main", "reports").hold(1)
    assert kept(folder)[1] >= 1_000_000


def test_a_page_that_no_file_can_be_made_for_goes_into_the_reserve(folder, reserve, monkeypatch):
    """As whole as any other, and the room is gone until it is held again."""
    spool, page = Spool(folder, reserve), spooled(os.urandom(50_000))
    reserve.hold(100_000)
    open_file = os.open

    def opening(path: object, flags: int, *mode: int):
        return full() if flags & os.O_CREAT else open_file(path, flags, *mode)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", opening)
        path = spool.put(page)
        with pytest.raises(StoreUnavailable, match="No space left"):
            spool.put(spooled(b"another"))
    assert list(folder.iterdir()) == [path]
    assert list(spool.pages()) == [page]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_page_that_is_larger_than_the_reserve_does_not_spoil_it(folder, reserve, monkeypatch):
    """And once its room was demanded, the next run has to find it."""
    spool, page = Spool(folder, reserve), spooled(bytes(300_000))
    reserve.hold(100_000)
    monkeypatch.setattr(spool, "_path", lambda *_: folder / "none" / "page")
    with pytest.raises(StoreUnavailable):
        spool.put(page)
    assert kept(folder)[1] >= 100_000
    reserve.demand(300_000)
    Reserve(folder, "sms_main", "reports").hold(1)
    assert kept(folder)[1] >= 300_000


def test_each_queue_has_its_own(folder):
    for conn_id, queue in (
        ("a", "reports"),
        ("a", "replies"),
        ("b/../c", "replies"),
        ("长" * 250, "reports"),
    ):
        Reserve(folder, conn_id, queue).hold(1)
    assert len(list(folder.iterdir())) == 4
