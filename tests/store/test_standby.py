"""The standby: a page whose commit is late goes into the spool."""

from __future__ import annotations

import contextlib
import time

import pytest

from airflow_provider_sms.store.ids import new_id
from airflow_provider_sms.store.spool import Spool, SpooledPage
from airflow_provider_sms.store.standby import Standby


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool")


@pytest.fixture
def standby(spool, monkeypatch):
    monkeypatch.setattr("airflow_provider_sms.store.standby._LATE_SECONDS", 0.2)
    with contextlib.closing(Standby(spool)) as standby:
        yield standby


def spooled():
    return SpooledPage(page_id=new_id(), conn_id="sms_main", vendor="wavecom", queue="reports", body=b"raw")


def test_each_page_is_late_for_itself(spool, standby):
    """A page that fails in time must not pass for one that is in the spool, as the page before it was."""
    late, in_time = spooled(), spooled()
    standby.begin(late, [])
    time.sleep(0.6)
    path = standby.end()
    assert list(spool.pages()) == [late]
    standby.begin(in_time, [])
    assert standby.end() is None
    assert list(spool.directory.iterdir()) == [path]
