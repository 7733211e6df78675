"""The accounts that may be pushed to, as their connections are now."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_sms.plugin.gate import live_tokens, networks
from airflow_provider_sms.plugin.kept_store import (
    FRESH_SECONDS,
    LOOK_UP_SECONDS,
    RETRY_SECONDS,
    STALE_SECONDS,
    KeptStore,
    Known,
)

if TYPE_CHECKING:
    from airflow_provider_sms.hooks.sms import SmsHook
    from airflow_provider_sms.plugin.gate import Network
    from airflow_provider_sms.receiving import Receiver


@dataclass(frozen=True, slots=True)
class Door:
    """
    One account's way in.

    :param tokens: what opens it.
    :param sources: where pushes may come from; everywhere if empty.
    """

    receiver: Receiver
    tokens: tuple[bytes, ...] = field(repr=False)
    sources: tuple[Network, ...] = ()


class Doors:
    """
    The doors of some connections, looked up when needed; may be used by several threads.

    Airflow's database may hang for one look-up and not for the next, so each connection has one of its own,
    in threads that do nothing else: a door that is good is given to all but whoever asked first.

    :param log: a logger.
    :param at_once: how many connections there are.
    """

    def __init__(self, log: Any, at_once: int = 1) -> None:
        self._log = log
        self._store = KeptStore(log)
        self._known: dict[str, Known[Door]] = {}
        self._under_way: dict[str, Future[Door | None]] = {}
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(max(at_once, 1), thread_name_prefix="sms-push-look-up")

    def door(self, conn_id: str) -> Door | None:
        """
        Give the door of a connection, ``None`` if it has none that could be opened now.

        Blocks on Airflow's database now and then.
        """
        known, now = self._known.get(conn_id, Known()), time.monotonic()
        if now < known.look_up_at:
            return known.at(now)
        return self._looking_up(conn_id)[0].result()

    async def door_in_time(self, conn_id: str) -> Door | None:
        """Give it without blocking, after :data:`LOOK_UP_SECONDS` as it was known before."""
        known, now = self._known.get(conn_id, Known()), time.monotonic()
        if now < known.look_up_at:
            return known.at(now)
        work, is_new = self._looking_up(conn_id)
        if not is_new and (door := known.at(now)) is not None:
            return door
        try:
            # Shielded: others wait for it as well.
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(work)), LOOK_UP_SECONDS)
        except TimeoutError:
            self._log.error("the look-up of connection %r takes longer than %g s", conn_id, LOOK_UP_SECONDS)
            return known.at(time.monotonic())

    def _looking_up(self, conn_id: str) -> tuple[Future[Door | None], bool]:
        with self._lock:
            work = self._under_way.get(conn_id)
            if work is not None:
                return work, False
            work = self._under_way[conn_id] = self._threads.submit(self._renewed, conn_id)
            return work, True

    def _renewed(self, conn_id: str) -> Door | None:
        known = self._known.get(conn_id, Known())
        door: Door | None
        try:
            door = self._look_up(conn_id, known.what)
        except Exception as error:  # noqa: BLE001 - a secrets backend may raise anything
            # Not logged with its text or traceback: errors of databases hold addresses and values.
            self._log.error("connection %r cannot be used for pushes now: %s", conn_id, _told(error))
            now = time.monotonic()
            # Grace is for who could not be asked. A connection that is there and has no token (any more), or
            # one that leaked and was made unfit, opens nothing from now on.
            known = Known() if _was_found(error) else known
            known = known._replace(look_up_at=now + RETRY_SECONDS)
            door = known.at(now)
        else:
            now = time.monotonic()
            known = Known(door, now + STALE_SECONDS, now + FRESH_SECONDS)
        with self._lock:
            self._known[conn_id] = known
            del self._under_way[conn_id]
        return door

    def _look_up(self, conn_id: str, known: Door | None) -> Door:
        from airflow_provider_sms.hooks.store import spool_folder
        from airflow_provider_sms.receiving import Receiver
        from airflow_provider_sms.store.spool import Spool

        hook, tokens, sources = check_door(conn_id)
        if known is not None and known.receiver.account == hook.account:
            return Door(known.receiver, tokens, sources)
        spool = Spool(spool_folder())
        receiver = Receiver(hook.vendor, hook.account, self._store.opened, spool, log=self._log)
        return Door(receiver, tokens, sources)


def check_door(conn_id: str) -> tuple[SmsHook, tuple[bytes, ...], tuple[Network, ...]]:
    """
    Look a connection up, and check that it can be pushed to.

    :param conn_id: its id.
    :return: its hook, its tokens, and where pushes may come from.
    :raises PreflightError: it does not exist, or has fields that cannot work.
    :raises NotSupported: its vendor does not push.
    :raises VendorUnreachable: it could not be looked up.
    """
    from airflow.providers.common.compat.sdk import mask_secret

    from airflow_provider_sms.errors import PreflightError
    from airflow_provider_sms.hooks.sms import SmsHook
    from airflow_provider_sms.vendors.base import Operation

    hook = SmsHook.for_connection(conn_id)
    hook.vendor.require(Operation.PUSH, conn_id)
    options = hook.account.options
    tokens = live_tokens(options["push_token"], options["push_token_previous"])
    problems = []
    if not tokens:
        problems.append(
            "push_token must have 20 or more letters and digits: make one with 'openssl rand -hex 24'"
        )
    for token in tokens:
        mask_secret(token.decode("ascii"))
    sources: tuple[Network, ...] = ()
    try:
        sources = networks(options["push_sources"])
    except ValueError:
        problems.append("push_sources must be addresses or networks: 203.0.113.7, 198.51.100.0/24")
    if problems:
        raise PreflightError(problems, f"connection {conn_id!r}")
    return hook, tokens, sources


def _was_found(error: Exception) -> bool:
    from airflow_provider_sms.hooks.sms import was_found

    return was_found(error)


def _told(error: Exception) -> str:
    from airflow_provider_sms.errors import SmsError

    return str(error) if isinstance(error, SmsError) else type(error).__name__
