"""Disks that are all but full: nothing is read that could not be kept."""

from __future__ import annotations

import errno
import os

import pytest

from airflow_provider_sms import errors
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.spool import Spool


def full(*_: object, **__: object):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_nothing_is_read_while_the_spool_has_no_room_for_a_page(
    sandbox, gateway_of, collect, rows, monkeypatch
):
    """However much of the store's own small rows still fit: the vendor is not asked, and no intent stays."""
    sandbox.queue_reports("wavecom", 250)
    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", full)
        for _ in range(3):
            with pytest.raises(errors.StoreUnavailable, match=r"nothing was read.*No space left"):
                collect(gateway_of("wavecom"))
    assert sandbox.calls.count("wavecom", "reports") == 0
    assert rows("SELECT count(*) FROM sms_pages") == [0]
    assert collect(gateway_of("wavecom")).records == 250


def test_a_page_after_which_the_disk_is_full_is_in_the_spool(sandbox, gateway_of, collect, monkeypatch):
    """It takes the room that was kept for it."""
    sandbox.queue_reports("beidoutong", 700)
    open_file = os.open

    def opening(path: object, flags: int, *mode: int):
        return full() if str(path).endswith(".tmp") and flags & os.O_CREAT else open_file(path, flags, *mode)

    def failing(*_: object, **__: object):
        raise errors.StoreUnavailable("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", opening)
        patched.setattr(Journal, "keep", failing)
        with pytest.raises(errors.StoreUnavailable, match="safe in the spool"):
            collect(gateway_of("beidoutong"))
    collected = collect(gateway_of("beidoutong"))
    assert (collected.records, collected.suspect) == (700, 0)


def test_a_page_that_nothing_takes_is_told_and_no_other_is_read_for_it(
    sandbox, gateway_of, collect, page_states, rows, monkeypatch
):
    """Such a thing can be, of a page larger than any before: what is lost is said, once."""
    sandbox.queue_reports("wavecom", 250)
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "keep", lambda *_, **__: 1 / 0)
        patched.setattr(Spool, "_put", full)
        with pytest.raises(errors.StoreUnavailable) as told:
            collect(gateway_of("wavecom"))
    (page_id,) = rows("SELECT page_id FROM sms_pages")
    for words in (page_id, "Up to 100 records are lost", "suspect", "Make room", "ZeroDivisionError"):
        assert words in str(told.value)
    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", full)
        for _ in range(2):
            with pytest.raises(errors.StoreUnavailable, match="nothing was read"):
                collect(gateway_of("wavecom"))
    assert sandbox.calls.count("wavecom", "reports") == 1
    assert page_states() == {"suspect": 1}
    assert collect(gateway_of("wavecom")).records == 150
