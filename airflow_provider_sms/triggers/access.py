"""
The way from connection ids to a gateway and a store, on an event loop.

Looking up a connection asks the triggerer's parent process, so it is awaited, and what comes of it is kept
for a minute: hundreds of queues are polled every few seconds.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor

    from airflow_provider_sms.gateway import Gateway
    from airflow_provider_sms.store.engine import Store

_KEEP_SECONDS = 60.0
_FIELDS = ("conn_type", "host", "port", "schema", "login", "password", "extra")


class Opened(NamedTuple):
    """
    What stands behind the two connections.

    :param owner: the name under which this process holds the queue's lease.
    :param legacy_metrics: whether metrics go out under names with their tags in them as well.
    :param pushed: whether the vendor may push, so that something may land at any time.
    """

    gateway: Gateway
    store: Store
    owner: str
    legacy_metrics: bool
    pushed: bool


class Access:
    """
    The gateway and the store of an account.

    :param sms_conn_id: connection of the vendor's account.
    :param store_conn_id: connection of the store.
    :param threads: where connections are checked; some of that blocks.
    """

    def __init__(self, sms_conn_id: str, store_conn_id: str, threads: ThreadPoolExecutor) -> None:
        self._sms_conn_id = sms_conn_id
        self._store_conn_id = store_conn_id
        self._threads = threads
        self._opened: Opened | None = None
        self._store: Any = None
        self._fields: tuple[Any, ...] = ()
        self._looked_up = 0.0
        self._looking_up = asyncio.Lock()

    async def changed(self) -> bool:
        """
        Look the connections up again, which did not work; tell whether they are others now.

        :raises PreflightError: they are missing or wrong (still).
        :raises VendorUnreachable: the account's cannot be looked up now.
        :raises StoreUnavailable: the store is away.
        """
        before = self._opened
        async with self._looking_up:
            await self._look_up()
        return self._opened is not before

    async def open(self) -> Opened:
        """
        Give the gateway and the store.

        :raises PreflightError: a connection is missing or wrong.
        :raises VendorUnreachable: the account's cannot be looked up now.
        :raises StoreUnavailable: the store is away.
        """
        if self._is_old():
            async with self._looking_up:
                # Of all who waited here, the first one has looked.
                if self._is_old():
                    await self._look_up()
        if self._opened is None:
            raise AssertionError
        return self._opened

    def _is_old(self) -> bool:
        return self._opened is None or time.monotonic() - self._looked_up > _KEEP_SECONDS

    async def _look_up(self) -> None:
        from airflow_provider_sms.hooks.outside import find_connection
        from airflow_provider_sms.hooks.sms import account_connection
        from airflow_provider_sms.hooks.store import store_named

        account = await _connection(self._sms_conn_id)
        if account is None:
            # Airflow says the same when its own database does not answer: what worked is not given up for it.
            if self._opened is not None:
                return
            # It says so, too, where it answers only those who block, as in dag.test().
            account = await self._in_thread(account_connection, self._sms_conn_id)
        # So, too, the store's: whether SQLite may be used where none is found is decided when it is opened.
        name = store_named(self._store_conn_id)
        store = await _connection(name) or self._store or await self._in_thread(find_connection, name)
        fields = tuple(getattr(each, name, None) for each in (account, store) for name in _FIELDS)
        if self._opened is None or fields != self._fields:
            # The gateway before it is not closed here: a visit may be reading by it, whose page would be
            # lost. Each visit closes the one it was given, and none has a connection but for a visit.
            self._opened = await self._in_thread(self._check, account, store)
            self._store, self._fields = store, fields
        self._looked_up = time.monotonic()

    async def _in_thread(self, work: Callable[..., Any], *given: Any) -> Any:
        from asgiref.sync import sync_to_async

        # Through asgiref, so that what Airflow's own code sends to its parent from there finds the loop.
        return await sync_to_async(work, thread_sensitive=False, executor=self._threads)(*given)

    def _check(self, account: Any, store: Any) -> Opened:
        from airflow_provider_sms import metrics
        from airflow_provider_sms.gateway import Gateway
        from airflow_provider_sms.hooks.sms import check_connection
        from airflow_provider_sms.hooks.store import open_connection
        from airflow_provider_sms.submitting import owner_name

        opened = open_connection(store, self._store_conn_id)
        gateway = Gateway(*check_connection(account, self._sms_conn_id))
        pushed = bool(gateway.account.options.get("push_token"))
        return Opened(gateway, opened, f"triggerer {owner_name()}", metrics.legacy_names_on(), pushed)


async def _connection(conn_id: str) -> Any:
    from airflow.providers.common.compat.connection import get_async_connection
    from airflow.providers.common.compat.sdk import AirflowNotFoundException

    try:
        return await get_async_connection(conn_id)
    except AirflowNotFoundException:
        return None
