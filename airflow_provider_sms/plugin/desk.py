"""
Store pushes without holding up the event loop: the database's work is done by a few threads.

They are threads of our own: with the store hanging, Airflow's pool for its own pages must not run out.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from airflow_provider_sms.errors import SmsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_sms.receiving import Push, Receiver

_THREADS = 4
#: Left-over pushes are looked for after this many seconds, and again until there are none.
MEND_SECONDS = 30.0
#: And once after a process has started, or after its first push where nothing says when it starts.
FIRST_MEND_SECONDS = 2.0


class Desk:
    """
    Where pushes are handed in.

    :param seconds: how long the store may take, before the spool has to do.
    :param log: a logger.
    """

    def __init__(self, seconds: float, log: Any) -> None:
        self._seconds = seconds
        self._log = log
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="sms-push")
        self._free = asyncio.Semaphore(_THREADS)
        # The spool is written by others, as the threads above may all be waiting for the store.
        self._spoolers = ThreadPoolExecutor(_THREADS, thread_name_prefix="sms-push-spool")
        self._mended: set[str] = set()
        self._to_mend: set[str] = set()

    async def keep(self, receiver: Receiver, push: Push) -> bool:
        """
        Store a push, and land it if that is quickly done.

        :return: whether it is stored, in the journal or in the spool.
        """
        if receiver.account.conn_id not in self._mended:
            asyncio.get_running_loop().call_later(FIRST_MEND_SECONDS, self.mend_once, receiver)
        if not await self._done(receiver.store, push):
            self._mend_later(receiver)
            return await self._spooled(receiver, push)
        if not await self._done(receiver.land, push):
            self._mend_later(receiver)
        return True

    def mend_once(self, receiver: Receiver) -> None:
        """Land in the background what an earlier process of this machine could not finish."""
        if receiver.account.conn_id not in self._mended:
            self._mended.add(receiver.account.conn_id)
            self._mend(receiver)

    async def _done(self, act: Callable[[Push], None], push: Push) -> bool:
        work: asyncio.Future[None] | None = None
        try:
            async with asyncio.timeout(self._seconds):
                # No work waits in line behind a store that hangs: it would keep its push in memory, and all
                # of it would be done, for pushes that are in the spool by then, before any new one.
                await self._free.acquire()
                work = asyncio.get_running_loop().run_in_executor(self._threads, act, push)
                work.add_done_callback(lambda _: self._free.release())
                # Shielded: a thread cannot be stopped, and what it commits late is found by the page's id.
                await asyncio.shield(work)
        except TimeoutError:
            self._log.error("the SMS store takes longer than %g s for a push", self._seconds)
            if work is not None:
                work.add_done_callback(_let_go)
        except SmsError as error:
            self._log.error("%s", error)
        except Exception as bug:  # noqa: BLE001 - whatever it was, the push must not be lost
            self._log.error("a push could not be handled: %s", type(bug).__name__)
        else:
            return True
        return False

    async def _spooled(self, receiver: Receiver, push: Push) -> bool:
        try:
            await asyncio.get_running_loop().run_in_executor(self._spoolers, receiver.spool, push)
        except SmsError as error:
            self._log.error("A PUSH IS LOST, as the vendor does not repeat it: %s", error)
            return False
        return True

    def _mend_later(self, receiver: Receiver) -> None:
        conn_id = receiver.account.conn_id
        if conn_id not in self._to_mend:
            self._to_mend.add(conn_id)
            asyncio.get_running_loop().call_later(MEND_SECONDS, self._mend, receiver)

    def _mend(self, receiver: Receiver) -> None:
        # From here on another one may be asked for: this one may have looked too early.
        self._to_mend.discard(receiver.account.conn_id)
        work = asyncio.get_running_loop().run_in_executor(self._threads, receiver.mend)
        work.add_done_callback(lambda done: self._mended_or_again(receiver, done))

    def _mended_or_again(self, receiver: Receiver, done: asyncio.Future[int]) -> None:
        if done.cancelled():
            return
        error = done.exception()
        if error is not None:
            told = error if isinstance(error, SmsError) else type(error).__name__
            self._log.error("stored pushes are waiting to be landed: %s", told)
            self._mend_later(receiver)
        elif done.result():
            self._log.info("%d stored pushes were landed", done.result())


def _let_go(work: asyncio.Future[Any]) -> None:
    # Asked for, so that asyncio does not complain of an exception that nobody has seen.
    if not work.cancelled():
        work.exception()
