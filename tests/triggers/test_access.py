"""The way to a gateway and a store, while Airflow cannot look connections up."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from airflow_provider_sms.conditions import WantedReplies
from airflow_provider_sms.hooks import known_stores
from airflow_provider_sms.hooks.store import open_store, spool_folder
from airflow_provider_sms.triggers.access import Access
from airflow_provider_sms.triggers.sms import SmsQueueTrigger

STORE = "AIRFLOW_CONN_SMS_STORE"


@pytest.fixture
def access():
    with ThreadPoolExecutor(1) as threads:
        yield Access("sms_wavecom", "sms_store", threads)


def test_a_store_that_is_not_found_now_is_kept(connections, access, store, monkeypatch, tmp_path):
    """A changed account takes effect meanwhile; no other store does."""
    connections("wavecom")
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "home"))

    async def look():
        first = await access.open()
        monkeypatch.delenv(STORE)
        assert not await access.changed()
        connections("wavecom", timeout=7)
        monkeypatch.delenv(STORE, raising=False)
        assert await access.changed()
        return first, await access.open()

    first, second = asyncio.run(look())
    assert first.store is second.store
    assert second.store.engine.url == store.engine.url
    assert second.gateway.account.options["timeout"] == 7
    assert not list((tmp_path / "home").rglob("*.db"))


@pytest.fixture
def waiting_for_a_reply(register, sandbox):
    """Give a trigger that waits for a reply, and put one into the vendor's queue."""

    def make():
        wait_id = register("sms_wavecom", WantedReplies(None, None, datetime(2020, 1, 1, tzinfo=UTC), 1))
        sandbox.queue_replies("wavecom", 1)
        return SmsQueueTrigger(
            wait_id=wait_id,
            sms_conn_id="sms_wavecom",
            queue="replies",
            poll_interval=0.2,
            store_conn_id="sms_store",
        )

    return make


def test_a_wait_outlives_a_look_up_that_fails(
    sandbox, connections, waiting_for_a_reply, events_of, monkeypatch, tmp_path
):
    """A triggerer that starts during an outage reads nothing, and ends no sensor's wait."""
    connections("wavecom")
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "home"))
    address = open_store().engine.url.database
    # As if its connection had been in Airflow's database.
    mark = known_stores.mark_of("sms_store", spool_folder())
    mark.parent.mkdir(parents=True)
    mark.touch()
    trigger = waiting_for_a_reply()

    async def wait():
        monkeypatch.delenv(STORE)
        running = asyncio.create_task(events_of(trigger))
        await asyncio.sleep(1)
        assert not running.done()
        assert sandbox.waiting("wavecom", "replies") == 1
        monkeypatch.setenv(STORE, f"sqlite:///{address}")
        return await running

    (event,) = asyncio.run(wait())
    assert event["status"] == "met"
    assert not list((tmp_path / "home").rglob("*.db"))


def test_a_wait_outlives_an_account_that_cannot_be_looked_up(
    connections, waiting_for_a_reply, events_of, monkeypatch
):
    """A triggerer that starts while a secrets backend is away ends no sensor's wait."""
    from airflow.secrets.metastore import MetastoreBackend

    def away(*_: object, **__: object):
        raise ConnectionError("it does not answer")

    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    monkeypatch.setattr(MetastoreBackend, "get_connection", away)
    trigger = waiting_for_a_reply()

    async def wait():
        running = asyncio.create_task(events_of(trigger))
        await asyncio.sleep(1)
        assert not running.done()
        connections("wavecom")
        return await running

    (event,) = asyncio.run(wait())
    assert event["status"] == "met"
