"""The trigger that waits in a sensor's place."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from airflow_provider_sms.collecting import Collector
from airflow_provider_sms.conditions import ReportsLanded, SendReported, WantedReplies
from airflow_provider_sms.gateway import Gateway
from airflow_provider_sms.hooks.sms import SmsHook
from airflow_provider_sms.records import Queue
from airflow_provider_sms.sandbox.faults import Fault
from airflow_provider_sms.store.leases import Leases
from airflow_provider_sms.triggers.sms import SmsQueueEventTrigger, SmsQueueTrigger

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
ANY_REPLY = WantedReplies(None, None, LONG_AGO, 1)
PARAMETERS = {
    SmsQueueTrigger: {
        "wait_id": "0001",
        "sms_conn_id": "sms_wavecom",
        "queue": "replies",
        "poll_interval": 5.0,
        "store_conn_id": "sms_store",
    },
    SmsQueueEventTrigger: {
        "sms_conn_id": "sms_wavecom",
        "queue": "reports",
        "poll_interval": 2.0,
        "store_conn_id": "elsewhere",
        "watcher": "mine",
    },
}


def waiting(wait_id, vendor="wavecom", queue="replies", interval=0.2):
    return SmsQueueTrigger(wait_id=wait_id, sms_conn_id=f"sms_{vendor}", queue=queue, poll_interval=interval)


@pytest.mark.parametrize("kind", PARAMETERS)
def test_serialized_and_back(kind):
    """Airflow makes the same trigger again from what it stored."""
    from airflow._shared.module_loading import import_string

    trigger = kind(**PARAMETERS[kind])
    classpath, parameters = trigger.serialize()
    assert parameters == PARAMETERS[kind]
    again = import_string(classpath)(**parameters)
    assert type(again) is kind
    assert again.serialize() == trigger.serialize()


@pytest.mark.parametrize("kind", PARAMETERS)
@pytest.mark.parametrize(
    ("given", "read"), [("10", 10.0), (timedelta(minutes=2), 120.0), (3, 3.0), (0, 0.1), (" 2.5 ", 2.5)]
)
def test_an_interval_is_read_as_sensors_read_theirs(kind, given, read):
    """And stored as a number."""
    trigger = kind(**PARAMETERS[kind] | {"poll_interval": given})
    assert trigger.serialize()[1]["poll_interval"] == read


@pytest.mark.parametrize("kind", PARAMETERS)
@pytest.mark.parametrize("given", [-1, float("nan"), "often", None, [5], True])
def test_an_interval_that_is_none_is_refused(kind, given):
    """In the DAG's file; in a triggerer, by the one error out of a constructor that it survives."""
    with pytest.raises(TypeError, match="give seconds, or a timedelta"):
        kind(**PARAMETERS[kind] | {"poll_interval": given})


def test_a_watcher_whose_name_is_too_long_is_refused():
    """PostgreSQL would refuse it at each look."""
    given = PARAMETERS[SmsQueueEventTrigger]
    SmsQueueEventTrigger(**given | {"watcher": "w" * 250})
    for name in ({"watcher": "w" * 251}, {"watcher": "", "sms_conn_id": "c" * 250}):
        with pytest.raises(TypeError, match="characters"):
            SmsQueueEventTrigger(**given | name)


def test_waits_for_a_reply_that_comes_later(sandbox, connections, register, rows, events_of):
    connections("wavecom")
    wait_id = register("sms_wavecom", WantedReplies("13800138000", re.compile("好"), LONG_AGO, 1))
    trigger = waiting(wait_id)

    async def both():
        running = asyncio.create_task(events_of(trigger))
        await asyncio.sleep(0.4)
        sandbox.queue_replies("wavecom", [{"mobile": "13800138000", "content": "别的"}])
        await asyncio.sleep(0.5)
        assert not running.done()
        sandbox.queue_replies("wavecom", [{"mobile": "13800138000", "content": "好的"}])
        return await running

    (event,) = asyncio.run(both())
    reply_id = event["counts"].pop("first_reply_id")
    assert event == {"status": "met", "counts": {"replies": 1, "last_reply_id": reply_id}}
    assert rows("SELECT count(*) FROM sms_replies") == [2]
    told = repr(trigger.serialize()) + repr(event)
    assert "138001" not in told
    assert "好" not in told


def test_counts_an_accounts_reports(sandbox, connections, register, events):
    connections("wavecom")
    sandbox.queue_reports("wavecom", 3)
    wait_id = register("sms_wavecom", ReportsLanded(LONG_AGO, 3))
    (event,) = events(waiting(wait_id, queue="reports"))
    assert event["status"] == "met"
    assert event["counts"]["reported"] == 3


def test_a_wrong_password_ends_the_wait(connections, register, events):
    connections("wavecom", fields={"password": "wrong-password"})
    (event,) = events(waiting(register("sms_wavecom", ANY_REPLY)))
    assert event["status"] == "error"
    assert event["error"] == "AuthenticationFailed"
    assert "wrong-password" not in event["message"]


@pytest.mark.usefixtures("store_connection")
def test_a_missing_connection_ends_the_wait(register, events):
    (event,) = events(waiting(register("sms_wavecom", ANY_REPLY)))
    assert event["error"] == "PreflightError"
    assert "no such connection" in event["message"]


def test_an_unknown_send_ends_the_wait(connections, register, events):
    connections("wavecom")
    wait_id = register("sms_wavecom", SendReported("nobody-sent-this", 1.0))
    (event,) = events(waiting(wait_id, queue="reports"))
    assert (event["status"], event["error"]) == ("error", "PreflightError")


def test_a_wait_that_the_store_forgot(connections, events):
    """The sensor is woken and decides by itself."""
    connections("wavecom")
    assert events(waiting("nowhere")) == [{"status": "gone"}]


def test_outlives_a_vendor_that_is_down(sandbox, connections, register, events):
    """Resets, server errors and cut answers are waited out, not raised."""
    connections("wavecom", timeout=1)
    sandbox.faults.add(Fault("reset_before", vendor="wavecom", operation="replies", times=2))
    sandbox.queue_replies("wavecom", [{"mobile": "13800138000", "content": "1"}])
    (event,) = events(waiting(register("sms_wavecom", ANY_REPLY)))
    assert event["status"] == "met"


@pytest.mark.parametrize("when", ["from the start", "in between"])
def test_outlives_a_store_that_is_away(sandbox, connections, register, store, events_of, when):
    """It polls and looks again, less and less often, and goes on by itself when the store is back."""
    connections("wavecom")
    wait_id = register("sms_wavecom", ANY_REPLY)
    refused = []

    def away(*_: object):
        refused.append(True)
        raise sqlite3.OperationalError("unable to open database file")

    async def wait():
        running = None
        if when == "in between":
            running = asyncio.create_task(events_of(waiting(wait_id)))
            await asyncio.sleep(0.6)
        event.listen(store.engine, "checkout", away)
        running = running or asyncio.create_task(events_of(waiting(wait_id)))
        await asyncio.sleep(1.5)
        asked, told = len(refused), running.done()
        event.remove(store.engine, "checkout", away)
        sandbox.queue_replies("wavecom", 1)
        return asked, told, await running

    asked, told, (met,) = asyncio.run(wait())
    assert not told
    assert 1 <= asked <= 20
    assert met["status"] == "met"


def test_takes_what_another_collects(sandbox, connections, register, store, monkeypatch, events_of):
    """While another holds the lease, its landing is waited for, and the log says who it is."""
    connections("wavecom")
    leases = Leases(store)
    lease = leases.acquire("sms_wavecom", "replies", "dag.task elsewhere", 60)
    sandbox.queue_replies("wavecom", [{"mobile": "13800138000", "content": "1"}])
    trigger = waiting(register("sms_wavecom", ANY_REPLY))
    lines = []
    monkeypatch.setattr(trigger.log, "info", lambda text, *values: lines.append(text % values))

    async def both():
        running = asyncio.create_task(events_of(trigger))
        await asyncio.sleep(0.8)
        assert not running.done()
        assert sandbox.waiting("wavecom", "replies") == 1
        leases.release(lease)
        return await running

    (event,) = asyncio.run(both())
    assert event["status"] == "met"
    assert any("dag.task elsewhere" in line for line in lines)
    assert any("polled every 0.2 s" in line for line in lines)


@pytest.mark.parametrize("moment", ["before its lease", "after its lease"])
def test_what_another_reads_next_to_its_own_visit_is_not_overlooked(
    moment, sandbox, connections, register, rows, store, monkeypatch, events_of
):
    """However close: the tables are looked at within a poll or two, not with the next look in a minute."""
    connections("wavecom")
    trigger = waiting(register("sms_wavecom", ANY_REPLY))
    place = (Leases, "acquire") if moment == "before its lease" else (Gateway, "close")
    original = getattr(*place)
    elsewhere = []

    def collect_elsewhere(*given: Any):
        if elsewhere:
            return original(*given)
        elsewhere.append(sandbox.queue_replies("wavecom", 1))
        with SmsHook.for_connection("sms_wavecom").gateway() as gateway:
            Collector(gateway, store, Queue.REPLIES, owner="elsewhere", log=trigger.log).run()
        return original(*given)

    async def both():
        running = asyncio.create_task(events_of(trigger, within=10))
        await asyncio.sleep(1)
        monkeypatch.setattr(*place, collect_elsewhere)
        return await running

    (event,) = asyncio.run(both())
    assert elsewhere
    assert event["status"] == "met"
    assert rows("SELECT count(*) FROM sms_replies") == [1]


def test_two_triggerers_at_once(sandbox, connections, register, rows, events_of):
    """The same trigger in two loops tells the same; each record lands once."""
    connections("wavecom")
    wait_id = register("sms_wavecom", WantedReplies(None, None, LONG_AGO, 30))

    async def both():
        loop = asyncio.get_running_loop()
        other = loop.run_in_executor(None, lambda: asyncio.run(events_of(waiting(wait_id))))
        own = asyncio.create_task(events_of(waiting(wait_id)))
        for _ in range(10):
            await asyncio.sleep(0.1)
            sandbox.queue_replies("wavecom", 3)
        return [*await own, *await other]

    first, second = asyncio.run(both())
    assert first == second
    assert first["status"] == "met"
    assert rows("SELECT count(*) FROM sms_replies") == [30]
    assert sandbox.max_reads_in_flight("wavecom", "replies") == 1


def test_a_cancelled_trigger_loses_nothing(sandbox, connections, register, rows, events_of):
    """The read goes on in its thread, and what it brought lands."""
    connections("wavecom")
    sandbox.faults.add(Fault("slow", vendor="wavecom", operation="replies", seconds=1.0))
    sandbox.queue_replies("wavecom", 5)

    async def cancel():
        running = asyncio.create_task(events_of(waiting(register("sms_wavecom", ANY_REPLY))))
        await asyncio.sleep(0.4)
        running.cancel()
        await asyncio.sleep(2)

    asyncio.run(cancel())
    assert rows("SELECT count(*) FROM sms_replies") == [5]
    assert rows("SELECT count(*) FROM sms_pages WHERE state = 'suspect'") == [0]


def test_keeps_the_vendors_interval(connections, register, rows, events_of):
    """Smsadmin is asked every 5 s at most, however often a trigger would like to."""
    connections("smsadmin")

    async def some_time():
        with pytest.raises(TimeoutError):
            await events_of(waiting(register("sms_smsadmin", ANY_REPLY), "smsadmin"), within=2.5)

    asyncio.run(some_time())
    assert rows("SELECT count(*) FROM sms_pages WHERE conn_id = 'sms_smsadmin'") == [1]


def test_forgets_waits_that_ran_out(register, rows):
    """The next that is registered clears them away."""
    register("sms_wavecom", ANY_REPLY, seconds=-1)
    kept = register("sms_wavecom", ANY_REPLY, seconds=timedelta(minutes=1).total_seconds())
    assert rows("SELECT wait_id FROM sms_waits") == [kept]
