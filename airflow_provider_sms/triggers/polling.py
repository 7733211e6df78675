"""
Poll queues from an event loop: each once per interval, for all triggers that wait for it.

A poll is the same collection that a worker does, in a thread. The threads are this module's own: the loop's
default ones are few, and others wait for them. Only so many polls may be at work at once, since busy threads
keep the loop from its turn; but one whose vendor has not answered within a second is waiting, not working:
it keeps its thread and gives up its place, so that accounts that hang delay no others.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_sms.collecting import Collected
    from airflow_provider_sms.triggers.access import Opened

ResultT = TypeVar("ResultT")

_PLACES = 16
_WORKING_SECONDS = 1.0
#: So many accounts may hang at once before one has to wait for another's time-out.
_THREADS = 256
#: For questions to the store, which nobody hangs in for long.
_LOOKERS = 8
_POLL_SECONDS = 60.0
_BUSY_SECONDS = 5.0
_LONGEST_HOLD = 300.0


class Outcome(NamedTuple):
    """
    What came of a poll.

    :param wait: seconds until the next one is worth while.
    :param collected: what it collected; ``None`` if nothing was read.
    :param holder: who reads the queue, if somebody else does.
    :param error: why waiting is pointless.
    """

    wait: float
    collected: Collected | None = None
    holder: str = ""
    error: Exception | None = None


class Polls:
    """All queues that are polled from one event loop; made by :meth:`here`."""

    _of_loop: ClassVar[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Polls]] = (
        weakref.WeakKeyDictionary()
    )

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, "sms-poll")
        self._lookers = ThreadPoolExecutor(_LOOKERS, "sms-look")
        self._places = asyncio.Semaphore(_PLACES)
        self._queues: dict[tuple[str, str, str], PolledQueue] = {}

    @classmethod
    def here(cls) -> Polls:
        """Give those of the running loop."""
        loop = asyncio.get_running_loop()
        if loop not in cls._of_loop:
            cls._of_loop[loop] = cls()
        return cls._of_loop[loop]

    def queue(self, sms_conn_id: str, queue: str, store_conn_id: str) -> PolledQueue:
        """Give a queue, the same one to all who ask for it."""
        from airflow_provider_sms.triggers.access import Access

        key = (sms_conn_id, queue, store_conn_id)
        if key not in self._queues:
            access = Access(sms_conn_id, store_conn_id, self._lookers)
            self._queues[key] = PolledQueue(self, access, sms_conn_id, queue)
        return self._queues[key]

    async def look(self, question: Callable[[], ResultT]) -> ResultT:
        """Ask the store something, in a thread."""
        return await _in(self._lookers, question)

    async def work(self, collect: Callable[[], ResultT]) -> ResultT:
        """Do a poll in a thread, when there is a place for it."""
        async with self._places:
            work = asyncio.ensure_future(_in(self._threads, collect))
            await asyncio.wait({work}, timeout=_WORKING_SECONDS)
        return await work


class PolledQueue:
    """
    One queue of one account.

    :param polls: where it belongs.
    :param access: the way to its gateway and store.
    """

    def __init__(self, polls: Polls, access: Any, sms_conn_id: str, queue: str) -> None:
        self._polls = polls
        self._access = access
        self._sms_conn_id = sms_conn_id
        self._queue = queue
        self._under_way: asyncio.Task[Outcome] | None = None
        self._more = False
        self._failures = 0
        self._held_until = 0.0
        self._error: Exception | None = None

    async def poll(self, interval: float, log: Any) -> Outcome:
        """
        Read the queue, unless it was read less than ``interval`` seconds ago by anybody; never raises.

        Whoever calls while a poll is under way waits for that one, for ``interval`` seconds at most.

        :param interval: seconds from one read to the next.
        :param log: where troubles are told; they are told once, to whoever began the poll.
        """
        held = self._held_until - time.monotonic()
        if held > 0:
            return Outcome(held, error=self._error)
        if self._under_way is None or self._under_way.done():
            self._under_way = asyncio.create_task(self._poll(interval, log))
        poll = self._under_way
        await asyncio.wait({poll}, timeout=interval)
        return poll.result() if poll.done() and not poll.cancelled() else Outcome(0.0)

    async def ask(self, question: Callable[[Any], ResultT]) -> ResultT:
        """
        Ask the account's store something.

        :param question: takes the store; runs in a thread.
        """
        store = (await self._access.open()).store
        return await self._polls.look(lambda: question(store))

    async def _poll(self, interval: float, log: Any) -> Outcome:
        from airflow_provider_sms.errors import SmsError

        try:
            return await self._collect(interval, log)
        except Exception as error:  # noqa: BLE001 - a trigger that raises is started again at once
            trouble = error
        if isinstance(trouble, SmsError) and trouble.terminal:
            # Somebody may have mended the connection within the minute for which it is remembered.
            try:
                if await self._access.changed():
                    return Outcome(interval)
            except Exception as error:  # noqa: BLE001
                trouble = error
        return self._hold(trouble, interval, log)

    async def _collect(self, interval: float, log: Any) -> Outcome:
        from airflow_provider_sms import metrics
        from airflow_provider_sms.errors import QueueBusy
        from airflow_provider_sms.store.leases import Leases

        opened: Opened = await self._access.open()
        if self._more:
            # The queue held more than one visit took: go on at the vendor's own pace.
            interval = 0.0
        leases = Leases(opened.store)
        due = await self._polls.look(lambda: leases.due(self._sms_conn_id, self._queue, interval))
        if due.wait > 0:
            return Outcome(due.wait)
        tags = metrics.Tags(opened.gateway.vendor.name, self._sms_conn_id, self._queue, core=True)
        metrics.queue_age(tags, due.age)
        try:
            collected = await self._polls.work(lambda: _collect(opened, self._queue, interval, tags, log))
        except QueueBusy as busy:
            return Outcome(min(interval or _BUSY_SECONDS, _BUSY_SECONDS), holder=busy.owner)
        self._failures, self._error = 0, None
        self._more = collected.pages > 0 and not collected.queue_empty
        return Outcome(0.0 if self._more else interval, collected)

    def _hold(self, trouble: Exception, interval: float, log: Any) -> Outcome:
        from airflow_provider_sms.errors import SmsError, StoreUnavailable, VendorBusy, VendorUnreachable

        self._failures += 1
        wait = min(_LONGEST_HOLD, max(1.0, interval) * 2 ** min(self._failures - 1, 10))
        if isinstance(trouble, VendorBusy):
            wait = trouble.retry_after or max(1.0, interval)
        self._held_until = time.monotonic() + wait
        mends_itself = isinstance(trouble, (VendorBusy, VendorUnreachable, StoreUnavailable))
        self._error = None if mends_itself else trouble
        if isinstance(trouble, SmsError):
            log.warning("%s; polling again in %.0f s", trouble, wait)
        else:
            log.error(
                "polling the %s of connection %r failed with %s; again in %.0f s",
                self._queue, self._sms_conn_id, type(trouble).__name__, wait, exc_info=trouble,
            )  # fmt: skip
        return Outcome(wait, error=self._error)


class _Quiet:
    """A log for collections that happen every few seconds: what went well is for those who debug."""

    def __init__(self, log: Any) -> None:
        self.info = log.debug
        self.debug = log.debug
        self.warning = log.warning
        self.error = log.error


def _collect(opened: Opened, queue: str, interval: float, tags: Any, log: Any) -> Collected:
    from airflow_provider_sms import metrics
    from airflow_provider_sms.collecting import Collector, queue_named

    collector = Collector(
        opened.gateway, opened.store, queue_named(queue), owner=opened.owner, log=_Quiet(log)
    )
    try:
        with metrics.of_collection(tags, collector):
            collected = collector.run(max_seconds=_POLL_SECONDS, patient=False, interval=interval)
    finally:
        # The next poll is seconds away: no vendor is made to hold a connection for that. It opens new ones.
        opened.gateway.close()
    if collected.records:
        log.info("%d records of the %s of connection %r landed", collected.records, queue, tags.conn_id)
    return collected


async def _in(threads: ThreadPoolExecutor, work: Callable[[], ResultT]) -> ResultT:
    # With the caller's context, by which Airflow sorts log lines to their tasks.
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(threads, lambda: context.run(work))
