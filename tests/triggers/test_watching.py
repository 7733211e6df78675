"""The trigger that wakes DAGs: it tells what lands, and what landed while nobody watched."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from unittest.mock import Mock

import pytest

from airflow_provider_sms.errors import QueueBusy, StoreUnavailable
from airflow_provider_sms.operators.sms import SmsCollectOperator
from airflow_provider_sms.store.watches import Watches
from airflow_provider_sms.triggers.sms import SmsQueueEventTrigger
from airflow_provider_sms.triggers.watching import Watch

REPLY = {"mobile": "13800138000", "content": "退订"}


def watcher(watcher="", poll_interval=0.2):
    return SmsQueueEventTrigger(sms_conn_id="sms_wavecom", watcher=watcher, poll_interval=poll_interval)


def collect():
    """Collect as a task that Airflow tries again: a trigger that just ended may still hold the lease."""
    operator = SmsCollectOperator(task_id="collect", sms_conn_id="sms_wavecom", sms_queue="replies")
    for _ in range(300):
        try:
            return operator.execute({})
        except QueueBusy:
            time.sleep(0.1)
    return operator.execute({})


def test_tells_keys_and_counts(sandbox, connections, events):
    connections("wavecom")
    sandbox.queue_replies("wavecom", [REPLY, REPLY])
    (event,) = events(watcher())
    assert event.pop("first_page_id") == event.pop("last_page_id")
    assert event == {"conn_id": "sms_wavecom", "queue": "replies", "pages": 1, "records": 2}


def test_tells_each_landing_once(sandbox, connections, events_of):
    connections("wavecom")

    async def watch():
        running = asyncio.create_task(events_of(watcher(), count=2))
        sandbox.queue_replies("wavecom", 3)
        await asyncio.sleep(1.5)
        sandbox.queue_replies("wavecom", 1)
        return await running

    first, second = asyncio.run(watch())
    assert (first["records"], second["records"]) == (3, 1)
    assert first["last_page_id"] < second["first_page_id"]


@pytest.mark.parametrize("missing", ["the connection", "the store"])
def test_says_rarer_and_rarer_that_it_cannot_look(connections, events_of, monkeypatch, missing):
    """The polls are as patient: a log that fills up hides what else is in it."""
    if missing == "the store":
        connections("wavecom")
        monkeypatch.setattr(Watch, "look", Mock(side_effect=StoreUnavailable("away")))
    log = Mock()
    monkeypatch.setattr(SmsQueueEventTrigger, "log", log)

    async def watch():
        with pytest.raises(TimeoutError):
            await events_of(watcher(), within=4.5)

    asyncio.run(watch())
    told = [call.args[2] for call in log.warning.call_args_list if "looking again" in call.args[0]]
    assert told == [1, 2, 4]


def test_tells_what_others_collected(sandbox, connections, events):
    """Who collected does not matter: an operator, a sensor, a push."""
    connections("wavecom")
    sandbox.queue_replies("wavecom", [REPLY])
    collect()
    assert [event["records"] for event in events(watcher())] == [1]


def test_tells_what_landed_while_nobody_watched(sandbox, connections, events_of):
    """A paused DAG, a dead triggerer: the next life of the watcher tells it."""
    connections("wavecom")

    async def first_life():
        with pytest.raises(TimeoutError):
            await events_of(watcher(), within=1.0)

    asyncio.run(first_life())
    sandbox.queue_replies("wavecom", [REPLY])
    collect()
    (event,) = asyncio.run(events_of(watcher()))
    assert event["records"] == 1


def test_a_new_life_tells_the_last_minutes_again(sandbox, connections, store):
    """What was told when it ended may have started no run; what is older was heard."""
    connections("wavecom")
    sandbox.queue_replies("wavecom", [REPLY])
    collect()

    def life():
        return Watch("one", "sms_wavecom", "replies")

    first = life()
    assert first.look(store).records == 1
    assert first.look(store).records == 0
    assert life().look(store).records == 1
    assert Watches(store).told_until("one") is not None
    from airflow_provider_sms.store.clock import ServerTime
    from airflow_provider_sms.store.schema import pages
    from airflow_provider_sms.triggers import watching

    with store.begin() as connection:
        landed_at = ServerTime(-2 * watching._AGAIN.total_seconds())
        connection.execute(pages.update().values(landed_at=landed_at))
    assert life().look(store).records == 0


def test_a_mark_that_lies_ahead_counts_as_one_of_now(sandbox, connections, store):
    """The server's clock was set back by hours while no triggerer ran."""
    connections("wavecom")
    Watches(store).tell_until("one", "sms_wavecom", "replies", store.now() + timedelta(hours=8))
    sandbox.queue_replies("wavecom", [REPLY])
    collect()
    watch = Watch("one", "sms_wavecom", "replies")
    assert watch.look(store).records == 1
    watch.look(store)
    assert Watches(store).told_until("one") <= store.now()


def test_a_clock_that_is_set_back_while_it_watches(sandbox, connections, store, monkeypatch):
    """What landed since is told, and marks go on."""
    connections("wavecom")
    watch = Watch("one", "sms_wavecom", "replies")
    with monkeypatch.context() as ahead:
        now = store.now()
        ahead.setattr(type(store), "now", lambda _: now + timedelta(hours=8))
        watch.look(store)
        watch.look(store)
    sandbox.queue_replies("wavecom", [REPLY])
    collect()
    assert watch.look(store).records == 1
    assert watch.look(store).records == 0
    assert Watches(store).told_until("one") <= store.now()


def test_a_page_that_shows_up_late_is_told(sandbox, connections, store, rows):
    """Its landing time was taken before a later page's commit: it is not overlooked."""
    from sqlalchemy import text

    connections("wavecom")
    sandbox.queue_replies("wavecom", [REPLY])
    collect()
    watch = Watch("one", "sms_wavecom", "replies")
    with store.begin() as connection:
        connection.execute(text("UPDATE sms_pages SET state = 'read' WHERE records > 0"))
    assert watch.look(store).pages == 0
    with store.begin() as connection:
        connection.execute(text("UPDATE sms_pages SET state = 'landed' WHERE records > 0"))
    assert watch.look(store).pages == 1
    assert watch.look(store).pages == 0
    assert rows("SELECT count(*) FROM sms_watches") == [1]


def test_a_store_that_was_away_is_asked_again(sandbox, connections, events, monkeypatch):
    """A watcher's trigger that raised would be started anew each second."""
    connections("wavecom")
    sandbox.queue_replies("wavecom", [REPLY])
    real, failed = Watches.told_until, []

    def fail_first(self, name):
        if not failed:
            failed.append(name)
            raise StoreUnavailable("the store is away")
        return real(self, name)

    monkeypatch.setattr(Watches, "told_until", fail_first)
    assert [event["records"] for event in events(watcher())] == [1]
    assert failed


def test_a_wrong_password_does_not_raise(connections, events_of):
    """It is logged with pauses that grow; when the connection is mended, the watch goes on."""
    connections("wavecom", fields={"password": "wrong"})

    async def watch():
        with pytest.raises(TimeoutError):
            await events_of(watcher(), within=1.5)

    asyncio.run(watch())


def test_watchers_of_one_account_share_its_poll(sandbox, connections):
    """By Airflow's own manager where it has one (3.3), each gets its events."""
    shared_stream = pytest.importorskip("airflow.triggers.shared_stream")
    import structlog

    connections("wavecom")
    one, other = watcher(watcher="one", poll_interval=0.5), watcher(watcher="other", poll_interval=0.5)
    assert one.shared_stream_key() == other.shared_stream_key() != watcher().shared_stream_key()

    async def watch():
        manager = shared_stream.SharedStreamManager(log=structlog.get_logger())
        key = one.shared_stream_key()
        streams = [
            each.filter_shared_stream(manager.subscribe(trigger_id=number, trigger=each, key=key))
            for number, each in enumerate((one, other))
        ]
        nexts = [asyncio.create_task(anext(aiter(stream))) for stream in streams]
        await asyncio.sleep(1.2)
        sandbox.queue_replies("wavecom", 2)
        events = await asyncio.wait_for(asyncio.gather(*nexts), 5)
        for number in range(2):
            await manager.unsubscribe(number, key)
        await manager.stop_all()
        return events

    events = asyncio.run(watch())
    assert [event.payload["records"] for event in events] == [2, 2]
    assert sandbox.calls.by_operation("wavecom")["replies"] <= 6
