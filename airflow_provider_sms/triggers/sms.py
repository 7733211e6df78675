"""
Triggers: one waits in a deferred sensor's place, the other wakes DAGs when something lands.

Both poll the vendor's queue as workers do (see :mod:`~airflow_provider_sms.triggers.polling`): what was read
has landed before anybody is told. So an event is a wake-up and no more, and may be told twice; the tables
are the truth. Events and parameters bear ids and counts, no numbers and no texts.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.triggers import BaseEventTrigger
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.hooks.store import DEFAULT_STORE_CONN_ID
from airflow_provider_sms.triggers.intervals import seconds
from airflow_provider_sms.triggers.telling import Patience, Told, error_event, mends_itself, message, pause

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable
    from datetime import timedelta

    from airflow_provider_sms.conditions import Condition, Found
    from airflow_provider_sms.triggers.polling import Outcome, PolledQueue

#: So many characters of a watcher's name the store remembers.
_LONGEST_NAME = 250


class SmsQueueTrigger(BaseTrigger):
    """
    Wait for what a sensor waits for.

    :param wait_id: id of the wait in the store's table ``sms_waits``, where the condition is.
    :param sms_conn_id: connection of the vendor's account.
    :param queue: ``"reports"`` or ``"replies"``.
    :param poll_interval: seconds from one read of the queue to the next, by whomever; or a timedelta.
    :param store_conn_id: connection of the store.
    :raises TypeError: ``poll_interval`` is none.
    """

    def __init__(
        self,
        *,
        wait_id: str,
        sms_conn_id: str,
        queue: str,
        poll_interval: float | timedelta | str = 60.0,
        store_conn_id: str = DEFAULT_STORE_CONN_ID,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.wait_id = wait_id
        self.sms_conn_id = sms_conn_id
        self.queue = queue
        self.poll_interval = _seconds(poll_interval)
        self.store_conn_id = store_conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give the class and its parameters."""
        return (
            "airflow_provider_sms.triggers.sms.SmsQueueTrigger",
            {
                "wait_id": self.wait_id,
                "sms_conn_id": self.sms_conn_id,
                "queue": self.queue,
                "poll_interval": self.poll_interval,
                "store_conn_id": self.store_conn_id,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """
        Poll and look until the condition is met.

        The event is ``{"status": "met", "counts": {...}}``; ``{"status": "gone"}`` when the store does not
        know the wait (any more); or ``{"status": "error", "error", "message"}`` when waiting is pointless.
        """
        from airflow_provider_sms.triggers.polling import Polls

        polled = Polls.here().queue(self.sms_conn_id, self.queue, self.store_conn_id)
        until = getattr(self, "timeout_after", None)
        self.log.info(
            "waiting for %s of connection %r%s: the queue is polled every %g s, for all who wait for it",
            self.queue, self.sms_conn_id, f" until {until:%Y-%m-%d %H:%M:%S %Z}" if until else "",
            self.poll_interval,
        )  # fmt: skip
        told = Told(self.log)
        patience = Patience(self.poll_interval)
        condition: Condition | None = None
        began, looked_at = time.monotonic(), -math.inf
        while True:
            outcome = await polled.poll(self.poll_interval, self.log, began)
            if outcome.error is not None:
                yield TriggerEvent(error_event(outcome.error))
                return
            told.holder(outcome)
            if not (polled.stirred_since(looked_at) and patience.is_over(polls_fail=polled.fails)):
                await pause(outcome, self.poll_interval)
                continue
            before, looked_at = looked_at, time.monotonic()
            try:
                condition = condition or await self._condition(polled)
                found = None if condition is None else await self._look(polled, condition)
            except Exception as error:  # noqa: BLE001 - sorted out below
                if not mends_itself(error):
                    yield TriggerEvent(error_event(error))
                    return
                self.log.warning(
                    "%s; looking again in %.0f s", error, patience.failed(polls_fail=polled.fails)
                )
                looked_at = before
            else:
                patience.answered()
                if found is None:
                    yield TriggerEvent({"status": "gone"})
                    return
                if found.done:
                    yield TriggerEvent({"status": "met", "counts": found.counts})
                    return
                told.found(found)
            await pause(outcome, self.poll_interval)

    async def _condition(self, polled: PolledQueue) -> Condition | None:
        from airflow_provider_sms.conditions import from_text
        from airflow_provider_sms.store.waits import Waits

        text = await polled.ask(lambda store: Waits(store).condition(self.wait_id))
        return None if text is None else from_text(text)

    async def _look(self, polled: PolledQueue, condition: Condition) -> Found:
        from airflow_provider_sms.conditions import look

        return await polled.ask(lambda store: look(store, self.sms_conn_id, condition))


class SmsQueueEventTrigger(BaseEventTrigger):
    """
    Tell an ``AssetWatcher`` when reports or replies have landed, whoever collected them.

    Up to where it has told is kept in the store, so that what lands while nobody watches is told later.
    The watchers of one account share its polls.

    :param sms_conn_id: connection of the vendor's account.
    :param queue: ``"replies"`` or ``"reports"``.
    :param poll_interval: seconds from one read of the queue to the next, by whomever; or a timedelta.
    :param store_conn_id: connection of the store.
    :param watcher: name under which the store remembers what was told, of 250 characters at most; made from
        the other parameters if empty. Triggers with equal parameters are one trigger to Airflow.
    :raises TypeError: ``poll_interval`` is none, or the name is too long.
    """

    def __init__(
        self,
        *,
        sms_conn_id: str,
        queue: str = "replies",
        poll_interval: float | timedelta | str = 10.0,
        store_conn_id: str = DEFAULT_STORE_CONN_ID,
        watcher: str = "",
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sms_conn_id = sms_conn_id
        self.queue = queue
        self.poll_interval = _seconds(poll_interval)
        self.store_conn_id = store_conn_id
        self.watcher = watcher
        if len(self._name) > _LONGEST_NAME:
            msg = (
                f"watcher has {len(self._name)} characters, and the store remembers names of {_LONGEST_NAME} "
                "at most: give a shorter one"
            )
            raise TypeError(msg)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give the class and its parameters."""
        return (
            "airflow_provider_sms.triggers.sms.SmsQueueEventTrigger",
            {
                "sms_conn_id": self.sms_conn_id,
                "queue": self.queue,
                "poll_interval": self.poll_interval,
                "store_conn_id": self.store_conn_id,
                "watcher": self.watcher,
            },
        )

    def shared_stream_key(self) -> Hashable | None:
        """Name the poll that watchers share (Airflow 3.3 and later; before, each runs on its own)."""
        return ("sms", self.sms_conn_id, self.queue, self.store_conn_id, self.poll_interval)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[Outcome]:
        """Poll for ever, and give the outcome of each poll."""
        from airflow_provider_sms.triggers.polling import Polls

        trigger = cls(**kwargs)
        polled = Polls.here().queue(trigger.sms_conn_id, trigger.queue, trigger.store_conn_id)
        told = Told(trigger.log)
        while True:
            outcome = await polled.poll(trigger.poll_interval, trigger.log)
            told.holder(outcome)
            yield outcome
            await pause(outcome, trigger.poll_interval)

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """
        Look after each poll what landed since the last look, and tell it.

        The event is ``{"conn_id", "queue", "pages", "records", "first_page_id", "last_page_id"}``.
        """
        from airflow_provider_sms.triggers.polling import Polls
        from airflow_provider_sms.triggers.watching import Watch

        polled = Polls.here().queue(self.sms_conn_id, self.queue, self.store_conn_id)
        watch = Watch(self._name, self.sms_conn_id, self.queue)
        patience = Patience(self.poll_interval)
        self.log.info(
            "watching the %s of connection %r as %r, polling every %g s",
            self.queue, self.sms_conn_id, self._name, self.poll_interval,
        )  # fmt: skip
        looked_at = -math.inf
        async for _ in shared_stream:
            if not (polled.stirred_since(looked_at) and patience.is_over(polls_fail=polled.fails)):
                continue
            before, looked_at = looked_at, time.monotonic()
            try:
                landed = await polled.ask(watch.look)
            except Exception as error:  # noqa: BLE001 - a watcher's trigger that raises starts anew each second
                self.log.warning(
                    "%s; looking again in %.0f s", message(error), patience.failed(polls_fail=polled.fails)
                )
                looked_at = before
                continue
            patience.answered()
            if landed.pages:
                counts = landed._asdict()
                yield TriggerEvent({"conn_id": self.sms_conn_id, "queue": self.queue, **counts})

    @property
    def _name(self) -> str:
        return self.watcher or f"{self.sms_conn_id}/{self.queue}/{self.poll_interval:g}"

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Do the same where Airflow does not share."""
        stream = type(self).open_shared_stream(self.serialize()[1])
        async for event in self.filter_shared_stream(stream):
            yield event


def _seconds(interval: Any) -> float:
    try:
        return seconds(interval, "")
    except PreflightError as wrong:
        problem = wrong.problems[0]
    # Of all errors, Airflow's triggerer outlives this one out of a constructor.
    raise TypeError(problem)
