"""
Collect a queue that deletes what it hands over: lease, intent, read, journal, parse, land.

The order is the promise. Everything that can fail without the vendor fails first. An intent row says that
a read is about to happen; whatever the vendor handed over is committed raw before anything looks at it;
rows and page state land in one transaction. Whatever moment a process dies at, the journal shows it: an
intent without a body becomes ``suspect``, a body without rows is landed by the next run.

The reads themselves are in :mod:`~airflow_provider_sms.reading`, what becomes of their pages is in
:mod:`~airflow_provider_sms.filing`; here is who may read, and when to stop.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_sms import errors, pushes
from airflow_provider_sms.filing import Filing, Tally
from airflow_provider_sms.reading import Reader
from airflow_provider_sms.records import PUSH, Queue
from airflow_provider_sms.signals import done_despite_a_stop, unwound_signals
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.leases import Leases
from airflow_provider_sms.store.spool import Spool
from airflow_provider_sms.vendors.base import Operation

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from airflow_provider_sms.gateway import Gateway
    from airflow_provider_sms.store.engine import Store
    from airflow_provider_sms.store.journal import PageRow
    from airflow_provider_sms.store.leases import Lease
    from airflow_provider_sms.wire import WireRequest

#: A lease outlives the longest read by this many seconds, for the store's own work.
LEASE_MARGIN = 30.0
#: So much of it may pass before a lease is renewed; short pages follow each other faster than that.
_OF_THE_MARGIN = 1 / 30
_PROGRESS_SECONDS = 5.0
#: Small pages come by the hundred a second; that the queue was read is noted so often, and at the end.
_MARK_SECONDS = 1.0


class Collected(NamedTuple):
    """
    What one collection did.

    :param pages: pages the vendor handed over, the empty one at the end not counted.
    :param records: rows that landed, those of earlier runs' unlanded pages included.
    :param quarantined: pages that could not be read, or only in part, or that the database does not take;
        their bytes are kept.
    :param suspect: reads that were cut off without a byte, found or made by this run.
    :param queue_empty: whether the vendor said that there is nothing more.
    """

    pages: int = 0
    records: int = 0
    quarantined: int = 0
    suspect: int = 0
    queue_empty: bool = False


def queue_named(name: str) -> Queue:
    """
    Give the queue of a name.

    :raises PreflightError: when it is neither ``reports`` nor ``replies``.
    """
    try:
        return Queue(name)
    except ValueError:
        raise errors.PreflightError([f"queue is {name!r}: use 'reports' or 'replies'"], "collect") from None


class Collector:
    """
    One run over one queue of one account.

    :param gateway: the account's calls.
    :param store: where pages and rows go.
    :param queue: which queue.
    :param owner: who holds the lease, for others to read.
    :param log: a logger.
    :param sleep: how to wait between reads.
    """

    def __init__(
        self,
        gateway: Gateway,
        store: Store,
        queue: Queue,
        *,
        owner: str,
        log: logging.Logger | Any,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._gateway = gateway
        self._store = store
        self._queue = queue
        self._owner = owner
        self._log = log
        self._sleep = sleep
        self._journal = Journal(store)
        self._leases = Leases(store)
        self._conn_id = gateway.account.conn_id
        self._interval = gateway.vendor.intervals.get(Operation(queue.value), 0.0)
        self._tally = Tally()
        self._reader = Reader(gateway, store, queue, owner)
        self._filing = Filing(gateway, store, queue, self._tally, log)
        self._may_hold = False
        self._held_at = 0.0
        self._marked = True
        self._marked_at = self._read_at = 0.0
        #: Which read of the queue was the last when the lease was given back, see
        #: :meth:`~airflow_provider_sms.store.leases.Leases.release`.
        self.last_read: Any = None

    @property
    def so_far(self) -> Collected:
        """What this run has done until now; after an error, all that it did."""
        tally = self._tally
        return Collected(tally.pages, tally.records, tally.quarantined, tally.suspect)

    @unwound_signals()
    def run(
        self,
        *,
        max_pages: int | None = None,
        max_seconds: float | None = None,
        patient: bool = True,
        interval: float = 0.0,
    ) -> Collected:
        """
        Collect until the queue is empty or a limit is reached.

        :param max_pages: read so many pages at most.
        :param max_seconds: start no read after so many seconds.
        :param patient: wait out the vendor's least interval between two reads; otherwise stop there.
        :param interval: read nothing if anybody has read the queue less than so many seconds ago.
        :raises QueueBusy: somebody else reads this queue.
        :raises StoreUnavailable: nothing was read, or what was read is in the spool.
        :raises VendorRejected: the vendor said no and handed over nothing.
        :raises VendorBusy: the vendor said "later" and handed over nothing.
        :raises VendorUnreachable: no answer; a read that may have cost records is a suspect page.
        :raises WireFormatError: what answers is not the vendor; its bytes are in quarantine.
        """
        request = self._gateway.prepare_read(self._queue)
        Spool(self._store.spool_dir).sweep(self._store)
        # Each of these ends comes, the last one first, whatever is raised and wherever: by the others, too.
        with ExitStack() as ends:
            ends.callback(self._release)
            lease = self._acquire()
            started = self._held_at = self._marked_at = time.monotonic()
            ends.callback(self._filing.close)
            ends.callback(self._land_the_rest)
            ends.callback(self._reader.close)
            ends.callback(self._log.info, "::endgroup::")
            self._log.info("::group::collecting %s of connection %r", self._queue.value, self._conn_id)
            self._mend_what_others_left(lease, started, max_seconds)
            # Asked again under the lease: somebody may have read between the caller's look and now.
            fresh = interval > 0 and self._leases.wait_seconds(self._conn_id, self._queue.value, interval) > 0
            empty = not fresh and self._read_on(
                lease, request, started, max_pages, max_seconds, patient=patient
            )
            self._filing.land_gathered()
        collected = self.so_far._replace(queue_empty=empty)
        self._conclude(collected, time.monotonic() - started)
        return collected

    @property
    def _lease_seconds(self) -> float:
        return self._gateway.account.endpoint.timeout + self._interval + LEASE_MARGIN

    def _acquire(self) -> Lease:
        """
        Take the lease: the run's first write, so a store that takes none is found out before the vendor.

        A stop of the program may come with the commit, or before anybody is told that it was made. So the
        lease counts as held from before until it is refused.
        """
        self._may_hold = True
        try:
            return self._leases.acquire(self._conn_id, self._queue.value, self._owner, self._lease_seconds)
        except Exception:
            self._may_hold = False
            raise

    def _land_the_rest(self) -> None:
        # Should the store be away, the next run does both; the error to show is another.
        with suppress(errors.StoreUnavailable):
            self._filing.land_gathered()
            self._filing.settle_unknown_sends()

    def _mend_what_others_left(self, lease: Lease, started: float, max_seconds: float | None) -> None:
        """
        Count reads that died as suspect and land what they had committed, before anything new is read.

        Thousands of pages may wait to be landed. What is left at the end of ``max_seconds`` is the next
        run's, and nothing is read by this one.
        """
        if not self._journal.has_open(self._conn_id, self._queue.value):
            return
        dead = self._journal.mark_suspects(self._conn_id, self._queue.value)
        if dead:
            self._tally.suspect += len(dead)
            self._log.error(
                "%d earlier reads ended without an answer being stored; each may have cost up to %d records. "
                "They are suspect pages: %s. See 'airflow sms pages'",
                len(dead),
                self._gateway.vendor.page_size(self._gateway.account, self._queue),
                ", ".join(dead),
            )
        for row in self._journal.unlanded(self._conn_id, self._queue.value):
            self._log.info("page %s was read by a run that did not finish: landing it now", row.page_id)
            if row.source == PUSH:
                self._land_push(row)
            else:
                self._file_left_over(row)
            if self._at_limit(started, None, max_seconds):
                break
            self._hold(lease)
        self._filing.land_gathered()

    def _file_left_over(self, row: PageRow) -> None:
        # What the vendor said to that run says nothing about now, so it does not end this one.
        try:
            self._filing.file(row.page_id, row.response, fresh=False)
        except (errors.VendorRejected, errors.VendorBusy) as stale:
            self._log.warning("page %s: %s", row.page_id, stale)

    def _land_push(self, row: PageRow) -> None:
        vendor, account, body = self._gateway.vendor, self._gateway.account, row.body or b""
        self._tally.records += pushes.land(
            vendor, account, self._store, row.page_id, self._queue, body, log=self._log
        )

    def _read_on(
        self,
        lease: Lease,
        request: WireRequest,
        started: float,
        max_pages: int | None,
        max_seconds: float | None,
        *,
        patient: bool,
    ) -> bool:
        told = started
        while not self._at_limit(started, max_pages, max_seconds):
            pause = self._leases.wait_seconds(self._conn_id, self._queue.value) if self._interval else 0.0
            if pause > 0:
                if not patient or self._at_limit(started, max_pages, max_seconds, seconds=pause):
                    return False
                # Whatever clocks say: the lease would run out in the meantime.
                self._sleep(min(pause, self._interval))
            self._hold(lease)
            if self._read_one(lease, request, last=self._at_limit(started, max_pages, max_seconds, pages=1)):
                return True
            if time.monotonic() - told >= _PROGRESS_SECONDS:
                told = time.monotonic()
                self._log.info("queue: %s read, %.0f s", f"{self._tally.records:,}", told - started)
        return False

    def _at_limit(
        self,
        started: float,
        max_pages: int | None,
        max_seconds: float | None,
        pages: int = 0,
        seconds: float = 0.0,
    ) -> bool:
        """Tell whether a limit is reached, so many pages or seconds from now."""
        return (max_pages is not None and self._tally.pages + pages >= max_pages) or (
            max_seconds is not None and time.monotonic() + seconds - started >= max_seconds
        )

    def _hold(self, lease: Lease) -> None:
        """Renew the lease, unless that was a moment ago; the margin covers the moment."""
        if time.monotonic() - self._held_at <= LEASE_MARGIN * _OF_THE_MARGIN:
            return
        try:
            self._leases.renew(lease, self._lease_seconds)
        except errors.QueueBusy as lost:
            # What was read here is on disk, and whoever has the lease now does not mind that it lands.
            self._filing.land_gathered()
            raise errors.QueueBusy(f"{lost}. {self._tally}", lost.owner) from None
        self._held_at = time.monotonic()

    def _read_one(self, lease: Lease, request: WireRequest, *, last: bool) -> bool:
        """
        Read a page and file it; whether it said that the queue is empty.

        :param last: whether no other page may be read after it.
        """
        if self._interval:
            # Before as well as after: a crash may keep this run from writing it down again. And no intent
            # may stand while the interval passes.
            read = self._reader.read(request, lambda: self._leases.mark_read(lease, self._interval))
        else:
            # Most visits of a queue find it empty, or a page at the most.
            read = self._reader.read(request, expect_more=self._tally.pages > 0 and not last)
        self._marked, self._read_at = False, time.monotonic()
        if self._interval or time.monotonic() - self._marked_at >= _MARK_SECONDS:
            self._leases.mark_read(lease, self._interval)
            self._marked, self._marked_at = True, time.monotonic()
        if read.response is None:
            raise self._filing.file_unanswered(read.page_id, read.problem, lost=read.lost)
        empty = self._filing.file(read.page_id, read.response)
        self._tally.pages += not empty
        return empty

    def _release(self) -> None:
        if not self._may_hold:
            return
        lease = self._leases.sought(self._conn_id, self._queue.value, self._owner)
        unmarked = None if self._marked else self._interval
        try:
            self.last_read = done_despite_a_stop(
                lambda: self._leases.release(lease, read=unmarked, ago=time.monotonic() - self._read_at)
            )
        except errors.StoreUnavailable:
            # It runs out by itself; the error that took the store away is the one to show.
            self._log.warning("the lease could not be released; it runs out in %.0f s", self._lease_seconds)

    def _conclude(self, collected: Collected, seconds: float) -> None:
        self._log.info(
            "collected %d %s with %s %s in %.0f s; the queue %s; %d quarantined, %d suspect",
            collected.pages, "page" if collected.pages == 1 else "pages",
            f"{collected.records:,}", "record" if collected.records == 1 else "records", seconds,
            "is empty" if collected.queue_empty else "may hold more",
            collected.quarantined, collected.suspect,
        )  # fmt: skip
