"""
Receive what a vendor pushes: stored, then acknowledged.

The vendor tells an event once and never again (smsadmin §9, §10), so "200" may only be said when the raw
request is committed to the journal, or, with the database away, fsynced in the spool. What comes after
that (parsing for good, landing, settling sends) may fail: the page waits as ``read`` and is landed later,
by this receiver or by the next collection.

Nothing here is asynchronous and nothing knows HTTP; each step may run in a thread of its own.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_sms import errors, pushes
from airflow_provider_sms.records import PUSH, Queue
from airflow_provider_sms.store import events
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.spool import Spool, SpooledPage

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from airflow_provider_sms.store.engine import Store
    from airflow_provider_sms.vendors.base import Account, Vendor


class OtherAccountError(errors.SmsError):
    """The push names another account than the connection; nothing of it is stored."""

    terminal = True


@dataclass(frozen=True, slots=True)
class Push:
    """
    A push that may be stored.

    :param page_id: the same for a repeat of the same request.
    :param stored: its bytes.
    :param problem: why it is no event; it is stored all the same.
    """

    page_id: str
    queue: Queue
    stored: bytes = field(repr=False)
    problem: str = ""


class Receiver:
    """
    Takes the pushes of one account; may be used by several threads.

    :param vendor: the codec.
    :param account: the checked connection.
    :param open_store: opens the store, or raises ``StoreUnavailable``.
    :param spool: where pushes go while the store is away and has not been seen; then its own.
    :param log: a logger.
    """

    def __init__(
        self,
        vendor: Vendor,
        account: Account,
        open_store: Callable[[], Store],
        spool: Spool,
        *,
        log: logging.Logger | Any,
    ) -> None:
        self.vendor = vendor
        self.account = account
        self._open_store = open_store
        self._spool = spool
        self._log = log
        self._announced: set[Queue] = set()
        self._mending = threading.Lock()

    def read(self, query: bytes, body: bytes) -> Push:
        """
        Look at a push without storing anything.

        :param query: raw query string, without our own parameters.
        :param body: raw body.
        :raises OtherAccountError: it is about another account.
        """
        stored = pushes.stored_form(query, body)
        name = hashlib.sha256(b"\0".join((self.account.conn_id.encode(), stored)))
        try:
            pushed = pushes.read(self.vendor, self.account, stored)
        except errors.WireFormatError as unreadable:
            # Nothing says which queue it is for; where a reply may be lost, that is the better guess.
            queue = Queue.REPORTS if b"=rpt" in stored.lower() else Queue.REPLIES
            return Push(name.hexdigest(), queue, stored, str(unreadable))
        if pushed.account.casefold() != self.account.login.casefold():
            raise OtherAccountError(
                f"connection {self.account.conn_id!r}: a push with the right token names another account "
                "than the connection's login. It was refused, and the vendor does not repeat it: give the "
                "vendor the address of each account's own connection, or correct the login"
            )
        if pushed.record.occurred_at is None:
            # The same words may come again another day; only within the hour they are taken as a repeat.
            name.update(datetime.now(UTC).strftime("%Y%m%d%H").encode())
        return Push(name.hexdigest(), pushes.queue_of(pushed), stored)

    def store(self, push: Push) -> None:
        """
        Commit a push to the journal; once this returns, "stored" may be said.

        :raises StoreUnavailable: it is not there; see :meth:`spool`.
        """
        store = self._opened()
        if push.queue not in self._announced:
            events.announce(store, self.account.conn_id, push.queue.value)
            self._announced.add(push.queue)
        Journal(store).push(
            self.account.conn_id, self.vendor.name, push.queue.value, push.stored, page_id=push.page_id
        )

    def spool(self, push: Push) -> None:
        """
        Put a push on this machine's disk; once this returns, "stored" may be said.

        :raises StoreUnavailable: the disk does not take it either.
        """
        page = SpooledPage(
            page_id=push.page_id,
            conn_id=self.account.conn_id,
            vendor=self.vendor.name,
            queue=push.queue.value,
            body=push.stored,
            source=PUSH,
        )
        path = self._spool.put(page)
        self._log.warning("the store is away: a push of %d bytes waits in %s", len(push.stored), path.parent)

    def land(self, push: Push) -> None:
        """
        Make a row of a push that is in the journal.

        :raises StoreUnavailable: its page stays ``read``; see :meth:`mend`.
        """
        pushes.land(
            self.vendor,
            self.account,
            self._opened(),
            push.page_id,
            push.queue,
            push.stored,
            log=self._log,
        )

    def mend(self) -> int:
        """
        Move spooled pages into the journal and land what was stored and not landed.

        :return: how many pushes were landed.
        :raises StoreUnavailable: the store is (still) away.
        """
        with self._mending:
            store = self._opened()
            self._spool.sweep(store)
            return sum(
                pushes.land_left_over(self.vendor, self.account, store, queue, log=self._log)
                for queue in Queue
            )

    def _opened(self) -> Store:
        store = self._open_store()
        self._spool = Spool(store.spool_dir)
        return store
