"""
Poll queues from an event loop: each once per interval, for all triggers that wait for it.

A poll is the same collection that a worker does, in a thread. The threads are this module's own: the loop's
default ones are few, and others wait for them. Only so many polls may be at work at once, since busy threads
keep the loop from its turn, and who asked first gets the next place. One whose vendor has not answered when
it is looked after a second later is waiting, not working: it keeps its thread and gives up its place; and
until that account answers again, it shares a few places with others like it. So accounts that hang delay no
others.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

from airflow_provider_sms.triggers.telling import LEAST_INTERVAL, LOOK_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_sms.collecting import Collected
    from airflow_provider_sms.triggers.access import Opened
    from airflow_provider_sms.triggers.visiting import Visit

ResultT = TypeVar("ResultT")

_PLACES = 16
_PLACES_OF_SILENT_ONES = 4
_LOOKED_AFTER_SECONDS = 1.0
#: No work takes so long: whoever has not asked the vendor by then waits for a store that hangs.
_WORKING_SECONDS = 5.0
#: So many accounts may hang at once before one has to wait for another's time-out.
_THREADS = 256
#: For questions to the store, which nobody hangs in for long.
_LOOKERS = 8
#: A share of the interval: so much sooner a queue may be read, lest a loop that was late wait anew.
_SOONER = 0.05
_BUSY_SECONDS = 5.0
_LONGEST_HOLD = 300.0
#: While nobody polls because of an error, so often it is asked whether the connection was mended.
_MENDED_SECONDS = 5.0
#: So often the store is asked what has been waited for the longest.
_AGES_SECONDS = 300.0
#: What another worker has read has landed so many seconds later, or it died.
_LANDING_SECONDS = 30.0
#: So often it is asked, once for all who wait, whether anything was pushed.
_PUSHED_SECONDS = 3.0


class Outcome(NamedTuple):
    """
    What came of a poll.

    :param wait: seconds until the next one is worth while.
    :param collected: what it collected; ``None`` if nothing was read.
    :param holder: who reads the queue, if somebody else does.
    :param error: why waiting is pointless.
    :param since: when the seconds began, by ``time.monotonic``.
    :param look: seconds after which the tables may be worth a look, polled or not.
    """

    wait: float
    collected: Collected | None = None
    holder: str = ""
    error: Exception | None = None
    since: float = 0.0
    look: float = LOOK_SECONDS


class Polls:
    """All queues that are polled from one event loop; made by :meth:`here`."""

    _of_loop: ClassVar[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Polls]] = (
        weakref.WeakKeyDictionary()
    )

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, "sms-poll")
        self._lookers = ThreadPoolExecutor(_LOOKERS, "sms-look")
        self._places = asyncio.Semaphore(_PLACES)
        self._places_of_silent_ones = asyncio.Semaphore(_PLACES_OF_SILENT_ONES)
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

    async def work(
        self, visit: Callable[[], ResultT], *, is_waiting: Callable[[], bool], silent: bool
    ) -> ResultT:
        """
        Do a poll in a thread, when there is a place for it.

        :param is_waiting: tells whether it waits for the vendor at the moment.
        :param silent: whether the vendor did not answer the last time.
        """
        async with self._places_of_silent_ones if silent else self._places:
            began = time.monotonic()
            work = asyncio.ensure_future(_in(self._threads, visit))
            await asyncio.wait({work}, timeout=_LOOKED_AFTER_SECONDS)
            # Where the machine has too much to do, work takes longer: more of it at once ends no sooner.
            while not (work.done() or is_waiting() or time.monotonic() - began >= _WORKING_SECONDS):
                await asyncio.wait({work}, timeout=_LOOKED_AFTER_SECONDS)
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
        self._silent = self._pushed = False
        self._pushed_at = -math.inf
        self._landed: Any = None
        self._read_at = self._stirred_at = -math.inf
        self._left: Any = None
        self._ages_at = 0.0
        self._failures = 0
        self._held_until = 0.0
        self._failed_at = self._asked_at = -math.inf
        self._error: Exception | None = None

    async def poll(self, interval: float, log: Any, since: float = -math.inf) -> Outcome:
        """
        Read the queue, unless it was read less than ``interval`` seconds ago by anybody; never raises.

        Whoever calls while a poll is under way waits for that one, for ``interval`` seconds at most.

        An error that makes waiting pointless is told to those who were waiting when it came. Whoever comes
        later may come because it was mended, and waits for the next poll. A connection that is another by now
        ends the pause.

        The vendor is asked once per interval however often this is called. Where the queue is pushed to, the
        outcome says to call again soon: what was pushed meanwhile is found out here.

        :param interval: seconds from one read to the next; a tenth at least.
        :param log: where troubles are told; they are told once, to whoever began the poll.
        :param since: when the caller began to wait, by ``time.monotonic``.
        """
        outcome = await self._poll_if_due(max(LEAST_INTERVAL, interval), log, since)
        if not self._pushed:
            return outcome
        await self._look_for_pushes()
        return outcome._replace(look=_PUSHED_SECONDS)

    async def _poll_if_due(self, interval: float, log: Any, since: float) -> Outcome:
        if self._held_until > time.monotonic() and self._error is not None and await self._is_mended():
            self._held_until, self._failures, self._error = 0.0, 0, None
        now = time.monotonic()
        if self._held_until > now:
            error = self._error if since <= self._failed_at else None
            return Outcome(self._held_until - now, error=error, since=now)
        # The store need not be asked what is known here: others can only have read the queue since.
        fresh = 0.0 if self._more else self._read_at + interval * (1 - _SOONER) - now
        if fresh > 0:
            return Outcome(fresh, since=now)
        if self._under_way is None or self._under_way.done():
            self._under_way = asyncio.create_task(self._poll(interval, log))
        poll = self._under_way
        await asyncio.wait({poll}, timeout=interval)
        return poll.result() if poll.done() and not poll.cancelled() else Outcome(0.0, since=time.monotonic())

    async def _look_for_pushes(self) -> None:
        """Ask the tables whether anything has landed by a push, unless that was asked a moment ago."""
        from airflow_provider_sms.store.watches import Watches

        now = time.monotonic()
        if now - self._pushed_at < _PUSHED_SECONDS:
            return
        self._pushed_at = now
        try:
            landed = await self.ask(lambda store: Watches(store).latest(self._sms_conn_id, self._queue))
        except Exception:  # noqa: BLE001 - whoever looks himself is told
            landed = None
        if landed is None or landed != self._landed:
            self._landed = landed
            self._stir(time.monotonic())

    async def _is_mended(self) -> bool:
        now = time.monotonic()
        if now - self._asked_at < _MENDED_SECONDS:
            return False
        self._asked_at = now
        try:
            return bool(await self._access.changed())
        except Exception:  # noqa: BLE001 - then it is not; what is wrong is known
            return False

    @property
    def fails(self) -> bool:
        """Whether the last poll failed."""
        return self._failures > 0

    def stirred_since(self, moment: float) -> bool:
        """
        Tell whether anything may have landed since a moment, so that the tables are worth a look.

        :param moment: by ``time.monotonic``.
        """
        return self._stirred_at >= moment or time.monotonic() - moment >= LOOK_SECONDS

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
                    return Outcome(interval, since=time.monotonic())
            except Exception as error:  # noqa: BLE001
                trouble = error
        return self._hold(trouble, interval, log)

    async def _collect(self, interval: float, log: Any) -> Outcome:
        from airflow_provider_sms.errors import QueueBusy

        asked = time.monotonic()
        opened: Opened = await self._access.open()
        self._pushed = opened.pushed
        # The queue held more than one visit took: go on at the vendor's own pace.
        least = 0.0 if self._more else interval * (1 - _SOONER)
        try:
            visited = await self._polls.work(
                lambda: self._visit(opened, least, log),
                is_waiting=lambda: opened.gateway.is_waiting,
                silent=self._silent,
            )
        except QueueBusy as busy:
            self._stir(time.monotonic() + _LANDING_SECONDS)
            wait = min(interval if least else _BUSY_SECONDS, _BUSY_SECONDS)
            return Outcome(wait, holder=busy.owner, since=time.monotonic())
        if visited.collected is None:
            return Outcome(visited.wait, since=time.monotonic())
        self._failures, self._error, self._silent = 0, None, False
        collected = visited.collected
        self._more = collected.pages > 0 and not collected.queue_empty
        return Outcome(0.0 if self._more else interval, collected, since=asked)

    def _visit(self, opened: Opened, interval: float, log: Any) -> Visit:
        from airflow_provider_sms.triggers.visiting import visit

        began = time.monotonic()
        ages = began >= self._ages_at
        try:
            visited = visit(opened, self._sms_conn_id, self._queue, interval, log, ages=ages)
        except BaseException:
            self._stir(time.monotonic())
            raise
        if visited.found != self._left:
            # Somebody else has read since we were here; what they read may land yet.
            self._stir(visited.read_at + _LANDING_SECONDS)
        if visited.collected is None:
            self._read_at = visited.read_at
            return visited
        self._read_at, self._left = began, visited.left
        if visited.collected.records:
            self._stir(time.monotonic())
        elif not visited.collected.pages and not visited.collected.queue_empty:
            # Nothing was read here, as somebody else had read in the very moment before.
            self._stir(time.monotonic() + _LANDING_SECONDS)
        self._ages_at = began + _AGES_SECONDS if ages else self._ages_at
        return visited

    def _stir(self, moment: float) -> None:
        self._stirred_at = max(self._stirred_at, moment)

    def _hold(self, trouble: Exception, interval: float, log: Any) -> Outcome:
        from airflow_provider_sms.errors import SmsError, StoreUnavailable, VendorBusy, VendorUnreachable

        self._failures += 1
        self._silent = isinstance(trouble, VendorUnreachable)
        wait = min(_LONGEST_HOLD, max(1.0, interval) * 2 ** min(self._failures - 1, 10))
        if isinstance(trouble, VendorBusy):
            wait = trouble.retry_after or max(1.0, interval)
        self._failed_at = self._asked_at = time.monotonic()
        self._held_until = self._failed_at + wait
        mends_itself = isinstance(trouble, (VendorBusy, VendorUnreachable, StoreUnavailable))
        self._error = None if mends_itself else trouble
        if isinstance(trouble, SmsError):
            log.warning("%s; polling again in %.0f s", trouble, wait)
        else:
            log.error(
                "polling the %s of connection %r failed with %s; again in %.0f s",
                self._queue, self._sms_conn_id, type(trouble).__name__, wait, exc_info=trouble,
            )  # fmt: skip
        return Outcome(wait, error=self._error, since=self._failed_at)


async def _in(threads: ThreadPoolExecutor, work: Callable[[], ResultT]) -> ResultT:
    # With the caller's context, by which Airflow sorts log lines to their tasks.
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(threads, lambda: context.run(work))
