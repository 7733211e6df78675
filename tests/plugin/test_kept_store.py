"""The store that pushes go to, while its connection changes or cannot be looked up."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_sms.errors import PreflightError, StoreUnavailable
from airflow_provider_sms.plugin import kept_store
from airflow_provider_sms.plugin.kept_store import KeptStore

pytestmark = pytest.mark.usefixtures("store_connection")


@pytest.fixture
def kept(monkeypatch):
    """Give one that looks the connection up each time, and waits for half a second."""
    monkeypatch.setattr(kept_store, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(kept_store, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(kept_store, "LOOK_UP_SECONDS", 0.5)
    return KeptStore(logging.getLogger("tests.plugin"))


@pytest.fixture
def hang(monkeypatch):
    """Let every look-up of a connection hang from now on, as it does when Airflow's database does."""
    over = threading.Event()

    def start():
        look_up = BaseHook.get_connection

        def hanging(conn_id):
            over.wait(30)
            return look_up(conn_id)

        monkeypatch.setattr(BaseHook, "get_connection", staticmethod(hanging))

    yield start
    over.set()


def test_it_is_looked_up_once_in_half_a_minute(store, monkeypatch):
    kept = KeptStore(logging.getLogger("tests.plugin"))
    assert kept.opened() is store
    monkeypatch.setattr(BaseHook, "get_connection", staticmethod(lambda _: pytest.fail("it was looked up")))
    assert kept.opened() is store


def test_a_changed_connection_takes_effect(kept, store, monkeypatch, tmp_path):
    """Not a push later: one that went to the former store would be looked for by nobody."""
    assert kept.opened() is store
    address = {"conn_type": "sqlite", "host": str(tmp_path / "another.db")}
    monkeypatch.setenv("AIRFLOW_CONN_SMS_STORE", json.dumps(address))
    another = kept.opened()
    assert another.engine.url.database == str(tmp_path / "another.db")
    another.close()


def test_a_wrong_connection_is_no_grace(kept, monkeypatch):
    kept.opened()
    monkeypatch.setenv("AIRFLOW_CONN_SMS_STORE", json.dumps({"conn_type": "http"}))
    with pytest.raises(PreflightError):
        kept.opened()


def test_a_look_up_that_fails_leaves_the_last_store_for_ten_minutes(kept, store, monkeypatch):
    assert kept.opened() is store

    def away(_conn_id):
        raise RuntimeError("no database: canary-value")

    monkeypatch.setattr(BaseHook, "get_connection", staticmethod(away))
    assert kept.opened() is store
    kept._known = kept._known._replace(good_until=time.monotonic())
    with pytest.raises(StoreUnavailable, match=r"cannot be looked up \(RuntimeError\)"):
        kept.opened()


def test_one_waits_for_a_look_up_that_hangs_and_the_others_not_at_all(kept, store, hang):
    assert kept.opened() is store
    hang()

    def ask(_number):
        began = time.monotonic()
        assert kept.opened() is store
        return time.monotonic() - began

    with ThreadPoolExecutor(8) as pool:
        waits = sorted(pool.map(ask, range(8)))
    assert waits[-1] >= 0.4
    assert waits[-2] < 0.4


def test_who_has_no_store_yet_is_told_in_time(kept, hang):
    """The push then goes to the spool; those who come later do not wait anew."""
    hang()
    for longest in (1.5, 0.3):
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="does not answer"):
            kept.opened()
        assert time.monotonic() - began < longest


def test_a_store_that_hangs_itself_is_told_as_such(kept, monkeypatch):
    """Its database takes the connection and says nothing; Airflow's is well."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = {"conn_type": "postgres", "host": "127.0.0.1", "port": silent.getsockname()[1]}
        monkeypatch.setenv("AIRFLOW_CONN_SMS_STORE", json.dumps(address))
        with pytest.raises(StoreUnavailable, match="its own database does not answer"):
            kept.opened()
