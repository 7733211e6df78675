"""Polls: one per account and interval, whoever waits; and accounts that hang delay no others."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_sms import conditions
from airflow_provider_sms.collecting import Collector, queue_named
from airflow_provider_sms.conditions import WantedReplies
from airflow_provider_sms.sandbox import Sandbox
from airflow_provider_sms.sandbox.faults import Fault
from airflow_provider_sms.triggers import polling
from airflow_provider_sms.triggers.access import Access
from airflow_provider_sms.triggers.polling import Polls
from airflow_provider_sms.triggers.sms import SmsQueueTrigger

LOG = logging.getLogger("tests.triggers")
NEVER = WantedReplies(None, None, datetime(2100, 1, 1, tzinfo=UTC), 1)


def test_two_hundred_sensors_share_five_accounts_polls(sandbox, connections, register, events_of):
    """One poll per account and interval, counted at the vendor; each sensor is told nevertheless."""
    accounts = [connections("wavecom", f"sms_{number}") for number in range(5)]
    interval, seconds = 2.0, 9.0
    condition = WantedReplies("13800138000", None, datetime(2020, 1, 1, tzinfo=UTC), 1)

    def sensor(conn_id):
        wait_id = register(conn_id, condition)
        return SmsQueueTrigger(wait_id=wait_id, sms_conn_id=conn_id, queue="replies", poll_interval=interval)

    async def wait():
        running = [asyncio.create_task(events_of(sensor(conn_id))) for conn_id in accounts for _ in range(40)]
        await asyncio.sleep(seconds)
        calls = sandbox.calls.by_operation("wavecom")["replies"]
        assert not any(each.done() for each in running)
        # All five accounts are one at the sandbox: one of them gets the reply, and forty sensors hear of it.
        sandbox.queue_replies("wavecom", [{"mobile": "13800138000", "content": "1"}])
        await asyncio.wait(running, timeout=2 * interval + 1)
        told = [each.result() for each in running if each.done()]
        for each in running:
            each.cancel()
        return calls, told

    calls, told = asyncio.run(wait())
    print(f"200 sensors, 5 accounts, every {interval:g} s for {seconds:g} s: {calls} polls")  # noqa: T201 - the figure
    most = 5 * (seconds // interval + 1)
    assert 0.6 * most <= calls <= most
    assert len(told) == 40
    assert all(event["status"] == "met" for (event,) in told)


def test_tables_are_asked_when_something_may_have_landed(
    sandbox, connections, register, events_of, monkeypatch
):
    """Once at first, and after what a poll brought; not after each poll of an empty queue."""
    connections("wavecom")
    asked, look = [], conditions.look

    def counted(store, conn_id, condition):
        asked.append(conn_id)
        return look(store, conn_id, condition)

    monkeypatch.setattr(conditions, "look", counted)
    wait_id = register("sms_wavecom", WantedReplies(None, None, datetime(2020, 1, 1, tzinfo=UTC), 3))
    trigger = SmsQueueTrigger(wait_id=wait_id, sms_conn_id="sms_wavecom", queue="replies", poll_interval=0.2)

    async def wait():
        running = asyncio.create_task(events_of(trigger))
        await asyncio.sleep(2)
        quiet = sandbox.calls.count("wavecom", "replies"), len(asked)
        sandbox.queue_replies("wavecom", 3)
        return quiet, await running

    (polls, looks), (event,) = asyncio.run(wait())
    assert event["status"] == "met"
    assert polls >= 3
    assert looks == 1
    assert len(asked) <= 3


def test_what_others_read_is_looked_for(sandbox, connections, gateway_of, store):
    """A worker collects in between: the next poll brings nothing, and the tables are asked all the same."""
    connections("wavecom")

    async def poll():
        queue = Polls.here().queue("sms_wavecom", "replies", "sms_store")
        await queue.poll(5, LOG)
        left = time.monotonic()
        stirred_before = queue.stirred_since(left)
        sandbox.queue_replies("wavecom", 1)
        await asyncio.to_thread(collect_as_worker, gateway_of("wavecom"), store)
        queue._read_at = -1e9  # as if its time had come
        outcome = await queue.poll(5, LOG)
        return stirred_before, outcome, queue.stirred_since(left)

    stirred_before, outcome, stirred = asyncio.run(poll())
    assert not stirred_before
    assert outcome.collected is None
    assert stirred


def collect_as_worker(gateway, store):
    Collector(gateway, store, queue_named("replies"), owner="a worker", log=LOG).run()


@pytest.mark.parametrize("waits", [True, False])
def test_a_place_is_given_up_while_the_vendor_has_the_word(monkeypatch, waits):
    """Who works for longer than others keeps it: on a busy machine, more at once would only be slower."""
    monkeypatch.setattr(polling, "_PLACES", 1)
    monkeypatch.setattr(polling, "_LOOKED_AFTER_SECONDS", 0.1)
    done = threading.Event()

    async def both():
        polls = Polls.here()
        first = asyncio.create_task(polls.work(done.wait, is_waiting=lambda: waits, silent=False))
        second = asyncio.create_task(polls.work(lambda: "done", is_waiting=lambda: False, silent=False))
        await asyncio.wait({second}, timeout=0.6)
        overtaken = second.done()
        done.set()
        return overtaken, await asyncio.gather(first, second)

    overtaken, results = asyncio.run(both())
    assert overtaken is waits
    assert results == [True, "done"]


def test_accounts_that_hang_delay_no_others(connections):
    """With more of them than places, the others' polls come in time."""
    with Sandbox() as hanging:
        hanging.faults.add(Fault("slow", seconds=4.0, times=None))
        slow = [connections("wavecom", f"slow_{number}", {"port": hanging.port}) for number in range(20)]
        quick = [connections("wavecom", f"quick_{number}") for number in range(10)]

        async def poll():
            queues = {
                conn_id: Polls.here().queue(conn_id, "replies", "sms_store") for conn_id in slow + quick
            }
            hung = [asyncio.create_task(queues[conn_id].poll(5, LOG)) for conn_id in slow]
            await asyncio.sleep(0.1)
            started = time.monotonic()
            outcomes = await asyncio.gather(*(queues[conn_id].poll(10, LOG) for conn_id in quick))
            took = time.monotonic() - started
            return took, outcomes, await asyncio.gather(*hung)

        took, outcomes, hung = asyncio.run(poll())
    assert all(outcome.collected is not None for outcome in outcomes)
    assert took < 3.9, "they waited for the time-outs of others"
    assert all(outcome.error is None for outcome in hung)


def test_a_vendor_that_is_down_is_asked_less_and_less(connections):
    """Each failure doubles the pause; the error is not raised."""
    with Sandbox.closed_port() as port:
        connections("wavecom", fields={"port": port})

        async def poll():
            queue = Polls.here().queue("sms_wavecom", "replies", "sms_store")
            waits = []
            for _ in range(3):
                outcome = await queue.poll(1.0, LOG)
                assert outcome.error is None
                waits.append(outcome.wait)
                queue._held_until = 0.0
                await asyncio.sleep(1.05)
            return waits

        assert asyncio.run(poll()) == [1, 2, 4]


def test_a_queue_that_holds_more_is_read_on(sandbox, connections, rows):
    """Where the vendor's interval ends a visit, the next comes after it, not after the poll interval."""
    connections("smsadmin")
    sandbox.queue_replies("smsadmin", 25)

    async def poll():
        queue = Polls.here().queue("sms_smsadmin", "replies", "sms_store")
        first = await queue.poll(60, LOG)
        return first, await queue.poll(60, LOG)

    first, second = asyncio.run(poll())
    assert first.collected.records == 20
    assert first.wait == 0
    assert 4 < second.wait <= 5
    assert rows("SELECT count(*) FROM sms_replies") == [20]


@pytest.mark.parametrize("mended", [True, False])
def test_a_password_is_looked_up_again_before_it_counts_as_wrong(sandbox, connections, mended):
    """It may have been changed at the vendor and in Airflow within the minute that it is remembered."""
    connections("wavecom")

    async def poll():
        queue = Polls.here().queue("sms_wavecom", "replies", "sms_store")
        await queue.poll(0.1, LOG)
        sandbox.account("wavecom").password = "other-password"
        if mended:
            connections("wavecom")
        await asyncio.sleep(0.2)
        first = await patient(queue)
        await asyncio.sleep(0.2)
        return first, await patient(queue)

    async def patient(queue):
        outcome = await queue.poll(0.1, LOG)
        # A busy machine may take longer than the interval, for which a poll is waited at most.
        return outcome if queue._under_way.done() else await queue._under_way

    first, second = asyncio.run(poll())
    if mended:
        assert first.error is None
        assert second.collected is not None
    else:
        assert type(first.error).__name__ == type(second.error).__name__ == "AuthenticationFailed"


def test_a_watcher_without_a_pause_gets_one(sandbox, connections, events_of):
    """The least that a sensor may ask for: a vendor is not asked as fast as a machine can."""
    from airflow_provider_sms.triggers.sms import SmsQueueEventTrigger

    connections("wavecom")

    async def watch():
        with pytest.raises(TimeoutError):
            await events_of(SmsQueueEventTrigger(sms_conn_id="sms_wavecom", poll_interval=0), within=3)

    asyncio.run(watch())
    # The vendor's own log says when: from one to the next, less by the share that a poll may be sooner.
    assert 3 <= sandbox.calls.count("wavecom", "replies") <= 3 / (0.1 * (1 - polling._SOONER)) + 1


# --- what lands without a poll --------------------------------------------------------------------


def push_as_receiver(store, login, link_id):
    """Receive a pushed reply as the receiver does."""
    from airflow_provider_sms.hooks.sms import SmsHook
    from airflow_provider_sms.receiving import Receiver
    from airflow_provider_sms.store.spool import Spool

    hook = SmsHook.for_connection("sms_smsadmin")
    receiver = Receiver(hook.vendor, hook.account, lambda: store, Spool(store.spool_dir), log=LOG)
    fields = f"SmsName={login}&Class=mo&Mobile=13800138000&Message=1&LinkId={link_id}"
    push = receiver.read(b"", f"{fields}&RevertTime=2026-01-31%2016:30:00".encode())
    receiver.store(push)
    receiver.land(push)


@pytest.mark.parametrize("kind", ["sensor", "watcher"])
def test_a_push_is_told_long_before_the_next_poll(
    sandbox, connections, register, store, events_of, monkeypatch, kind
):
    """And the vendor is asked no more often for that."""
    from airflow_provider_sms.triggers.sms import SmsQueueEventTrigger

    monkeypatch.setattr(polling, "_PUSHED_SECONDS", 0.3)
    connections("smsadmin", push_token="canary-token-5c1f2ab09d")
    given = {"sms_conn_id": "sms_smsadmin", "queue": "replies", "poll_interval": 60}
    wanted = WantedReplies(None, None, datetime(2020, 1, 1, tzinfo=UTC), 1)

    async def wait():
        trigger = (
            SmsQueueTrigger(wait_id=register("sms_smsadmin", wanted), **given)
            if kind == "sensor"
            else SmsQueueEventTrigger(**given)
        )
        running = asyncio.create_task(events_of(trigger))
        await asyncio.sleep(2)
        assert not running.done()
        await asyncio.to_thread(push_as_receiver, store, sandbox.account("smsadmin").login, "a1")
        return await asyncio.wait_for(running, 5)

    assert len(asyncio.run(wait())) == 1
    assert sandbox.calls.count("smsadmin", "replies") == 1


def test_those_who_wait_for_pushes_ask_the_tables_once_for_all(connections, monkeypatch):
    """Each of them looks for himself only when something has landed."""
    from airflow_provider_sms.store.watches import Watches

    connections("smsadmin", push_token="canary-token-5c1f2ab09d")
    asked, latest = [], Watches.latest

    def counted(*given: Any):
        asked.append(given)
        return latest(*given)

    monkeypatch.setattr(Watches, "latest", counted)

    async def poll():
        queue = Polls.here().queue("sms_smsadmin", "replies", "sms_store")
        await until_done(queue, 60)
        await queue.poll(60, LOG)
        looked = time.monotonic()
        outcomes = await asyncio.gather(*(queue.poll(60, LOG) for _ in range(50)))
        return outcomes, queue.stirred_since(looked)

    outcomes, stirred = asyncio.run(poll())
    assert {outcome.look for outcome in outcomes} == {polling._PUSHED_SECONDS}
    assert len(asked) == 1
    assert not stirred


def test_tables_are_looked_at_once_a_minute_however_seldom_it_is_polled(monkeypatch):
    """A person may have settled a send, or replayed a page."""
    from airflow_provider_sms.triggers.telling import pause

    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    asyncio.run(pause(polling.Outcome(3600, since=time.monotonic()), 3600))
    assert slept == [60]


# --- connections that change ---------------------------------------------------------------------


def test_a_connection_that_is_edited_cuts_no_read_that_is_under_way(sandbox, connections, rows):
    """Another trigger looks the connection up while a visit reads by the old one: its page comes whole."""
    connections("wavecom", timeout=9)
    sandbox.queue_replies("wavecom", 20)
    sandbox.faults.add(Fault("slow", operation="replies", seconds=1.0))

    def until_in_flight():
        while not sandbox.calls.in_flight_now("wavecom", "replies"):
            time.sleep(0.01)

    async def poll():
        queue = Polls.here().queue("sms_wavecom", "replies", "sms_store")
        reading = asyncio.create_task(queue.poll(5, LOG))
        await asyncio.to_thread(until_in_flight)
        connections("wavecom", timeout=8)
        queue._access._looked_up = -1e9  # as if the minute were over
        before = queue._access._opened
        await queue.ask(lambda _: None)
        return await reading, before, queue._access._opened

    outcome, before, after = asyncio.run(poll())
    assert after is not before
    assert (outcome.error, outcome.collected.records, outcome.collected.suspect) == (None, 20, 0)
    assert rows("SELECT count(*) FROM sms_pages WHERE state = 'suspect'") == [0]


def test_triggers_that_look_at_once_check_a_connection_once(connections, monkeypatch):
    """The first of them looks it up, the others take what it found."""
    connections("wavecom")
    checked, check = [], Access._check

    def counted(self, account, store):
        checked.append(account)
        return check(self, account, store)

    monkeypatch.setattr(Access, "_check", counted)

    async def ask():
        queue = Polls.here().queue("sms_wavecom", "replies", "sms_store")
        return await asyncio.gather(*(queue.ask(lambda store: store) for _ in range(50)))

    assert len(set(map(id, asyncio.run(ask())))) == 1
    assert len(checked) == 1


async def until_done(queue, interval=0.1, since=-math.inf):
    """Poll, however long a busy machine takes for it."""
    outcome = await queue.poll(interval, LOG, since)
    return outcome if queue._under_way.done() else await queue._under_way


def test_a_connection_that_was_mended_is_polled_again(sandbox, connections, monkeypatch):
    """A task that is cleared after its password was corrected is not told the error of before."""
    monkeypatch.setattr(polling, "_MENDED_SECONDS", 0.0)
    connections("wavecom", fields={"password": "wrong-password"})
    sandbox.queue_replies("wavecom", 1)

    async def poll():
        queue = Polls.here().queue("sms_wavecom", "replies", "sms_store")
        failed = await until_done(queue, 0.1)
        queue._held_until += 300  # as after some failures
        await asyncio.sleep(0.2)
        still = await queue.poll(0.1, LOG)
        connections("wavecom")
        return failed, still, await until_done(queue)

    failed, still, mended = asyncio.run(poll())
    assert type(failed.error).__name__ == type(still.error).__name__ == "AuthenticationFailed"
    assert (mended.error, mended.collected.records) == (None, 1)


def test_an_error_is_told_to_those_who_were_waiting_when_it_came(sandbox, connections):
    """Who comes later waits for the next poll: a sensor that comes back after each runs in no circle."""
    connections("wavecom")
    sandbox.faults.add(Fault("html", operation="replies"))

    async def poll():
        queue = Polls.here().queue("sms_wavecom", "replies", "sms_store")
        began = time.monotonic()
        failed = await until_done(queue, 1)
        early, late = await queue.poll(1, LOG, began), await queue.poll(1, LOG, time.monotonic())
        await asyncio.sleep(late.wait)
        return failed, early, late, await until_done(queue, 1, since=time.monotonic())

    failed, early, late, again = asyncio.run(poll())
    assert type(failed.error).__name__ == "WireFormatError"
    assert early.error is failed.error
    assert late.error is None
    assert 0.5 < late.wait <= 1
    assert again.collected is not None
