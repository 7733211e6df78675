"""
Collect a queue that deletes what it hands over: lease, intent, read, journal, parse, land.

The order is the promise. Everything that can fail without the vendor fails first. An intent row says that
a read is about to happen; whatever the vendor handed over is committed raw before anything looks at it;
rows and page state land in one transaction. Whatever moment a process dies at, the journal shows it: an
intent without a body becomes ``suspect``, a body without rows is landed by the next run.

Signals are held back from the intent to the raw commit, and only there.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_sms import errors, pushes
from airflow_provider_sms.gateway import is_web_page
from airflow_provider_sms.records import PageState, Queue
from airflow_provider_sms.signals import held_signals
from airflow_provider_sms.store.journal import PUSH, Journal
from airflow_provider_sms.store.landing import Landing
from airflow_provider_sms.store.leases import Leases
from airflow_provider_sms.store.ledger import Ledger
from airflow_provider_sms.store.spool import Spool, SpooledPage
from airflow_provider_sms.vendors.base import Operation

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from airflow_provider_sms.gateway import Gateway
    from airflow_provider_sms.store.engine import Store
    from airflow_provider_sms.store.journal import PageRow
    from airflow_provider_sms.store.leases import Lease
    from airflow_provider_sms.wire import WireRequest, WireResponse

#: A lease outlives the longest read by this many seconds, for the store's own work.
LEASE_MARGIN = 30.0
#: So much of it may pass before a lease is renewed; short pages follow each other faster than that.
_OF_THE_MARGIN = 1 / 30
#: Unreadable pages in a row after which what answers is taken not to be the vendor.
_UNREADABLE_IN_A_ROW = 2
_PROGRESS_SECONDS = 5.0
#: Small pages come by the hundred a second; what each would repeat is done so often, and at the end.
_REPEAT_SECONDS = 1.0
_OK = 200


class Collected(NamedTuple):
    """
    What one collection did.

    :param pages: pages the vendor handed over, the empty one at the end not counted.
    :param records: rows that landed, those of earlier runs' unlanded pages included.
    :param quarantined: pages that could not be read, or only in part; their bytes are kept.
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
        self._landing = Landing(store)
        self._spool = Spool(store.spool_dir)
        self._conn_id = gateway.account.conn_id
        self._vendor = gateway.vendor.name
        self._interval = gateway.vendor.intervals.get(Operation(queue.value), 0.0)
        self._held_at = 0.0
        self._pages = self._records = self._quarantined = self._suspect = 0
        self._unreadable_in_a_row = 0
        self._marked = self._settled = True
        self._marked_at = self._settled_at = -_REPEAT_SECONDS

    @property
    def so_far(self) -> Collected:
        """What this run has done until now; after an error, all that it did."""
        return Collected(self._pages, self._records, self._quarantined, self._suspect)

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
        self._store.prove_writable()
        self._spool.sweep(self._store)
        lease = self._leases.acquire(self._conn_id, self._queue.value, self._owner, self._lease_seconds)
        self._held_at = time.monotonic()
        started = time.monotonic()
        self._log.info("::group::collecting %s of connection %r", self._queue.value, self._conn_id)
        try:
            self._mend_what_others_left()
            # Asked again under the lease: somebody may have read between the caller's look and now.
            fresh = interval > 0 and self._leases.wait_seconds(self._conn_id, self._queue.value, interval) > 0
            empty = not fresh and self._read_on(
                lease, request, started, max_pages, max_seconds, patient=patient
            )
        finally:
            self._log.info("::endgroup::")
            if not self._settled:
                # Should the store be away, the next run settles them; the error to show is another.
                with suppress(errors.StoreUnavailable):
                    self._settle_unknown_sends()
            self._release(lease)
        collected = self.so_far._replace(queue_empty=empty)
        self._conclude(collected, time.monotonic() - started)
        return collected

    @property
    def _lease_seconds(self) -> float:
        return self._gateway.account.endpoint.timeout + self._interval + LEASE_MARGIN

    def _mend_what_others_left(self) -> None:
        """Count reads that died as suspect and land what they had committed, before anything new is read."""
        if not self._journal.has_open(self._conn_id, self._queue.value):
            return
        dead = self._journal.mark_suspects(self._conn_id, self._queue.value)
        if dead:
            self._suspect += len(dead)
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
                self._land_left_over(row)

    def _land_left_over(self, row: PageRow) -> None:
        # What the vendor said to that run says nothing about now, so it does not end this one.
        try:
            self._land(row.page_id, row.response, fresh=False)
        except (errors.VendorRejected, errors.VendorBusy) as stale:
            self._log.warning("page %s: %s", row.page_id, stale)

    def _land_push(self, row: PageRow) -> None:
        vendor, account, body = self._gateway.vendor, self._gateway.account, row.body or b""
        self._records += pushes.land(
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
        while not (
            (max_pages is not None and self._pages >= max_pages)
            or (max_seconds is not None and time.monotonic() - started >= max_seconds)
        ):
            pause = self._leases.wait_seconds(self._conn_id, self._queue.value) if self._interval else 0.0
            if pause > 0:
                if not patient:
                    return False
                self._sleep(pause)
            self._hold(lease)
            if self._land(*self._read(lease, request)):
                return True
            self._pages += 1
            if time.monotonic() - told >= _PROGRESS_SECONDS:
                told = time.monotonic()
                self._log.info("queue: %s read, %.0f s", f"{self._records:,}", told - started)
        return False

    def _hold(self, lease: Lease) -> None:
        """Renew the lease, unless that was a moment ago; the margin covers the moment."""
        if time.monotonic() - self._held_at > LEASE_MARGIN * _OF_THE_MARGIN:
            self._leases.renew(lease, self._lease_seconds)
            self._held_at = time.monotonic()

    def _read(self, lease: Lease, request: WireRequest) -> tuple[str, WireResponse]:
        """Take one page off the vendor's queue and put its bytes on disk; nothing looks at them here."""
        from airflow_provider_sms.transport.failures import NoAnswer

        # From the intent on: one that a signal left without its read would be a suspect page.
        with held_signals():
            page_id = self._journal.begin(self._conn_id, self._vendor, self._queue.value, self._owner)
            if self._interval:
                # Before as well as after: a crash may keep this run from writing it down again.
                self._leases.mark_read(lease, self._interval)
            try:
                response = self._gateway.read(request)
            except NoAnswer as failure:
                response = None
                problem, lost = failure.reason, not failure.surely_not_sent
            if response is not None:
                self._keep(page_id, response)
        self._marked = False
        if self._interval or time.monotonic() - self._marked_at >= _REPEAT_SECONDS:
            self._mark_read(lease)
        if response is None:
            raise self._no_answer(page_id, problem, lost=lost)
        return page_id, response

    def _mark_read(self, lease: Lease) -> None:
        self._leases.mark_read(lease, self._interval)
        self._marked, self._marked_at = True, time.monotonic()

    def _keep(self, page_id: str, response: WireResponse) -> None:
        try:
            self._journal.keep(
                page_id,
                response.body,
                complete=response.complete,
                status=response.status,
                problem=response.problem,
            )
        except Exception as failure:  # noqa: BLE001 - whatever a driver raises, these bytes are the only copy
            page = SpooledPage(
                page_id=page_id,
                conn_id=self._conn_id,
                vendor=self._vendor,
                queue=self._queue.value,
                body=response.body,
                status=response.status,
                complete=response.complete,
                problem=response.problem,
            )
            path = self._spool.put(page)
            reason = failure if isinstance(failure, errors.SmsError) else type(failure).__name__
            msg = (
                f"the store did not take a page that was read ({reason}). The page's "
                f"{len(response.body):,} bytes are safe in the spool as {path}; the next run lands it"
            )
            raise errors.StoreUnavailable(msg) from None

    def _no_answer(self, page_id: str, problem: str, *, lost: bool) -> errors.VendorUnreachable:
        if not lost:
            self._journal.close_unread(page_id, PageState.EMPTY, problem)
            where = f"connection {self._conn_id!r} ({self._vendor})"
            return errors.VendorUnreachable(f"{where}: {problem}; nothing was read. {self._so_far()}")
        self._suspect += 1
        self._journal.close_unread(page_id, PageState.SUSPECT, problem)
        return self._lost(page_id, problem)

    def _lost(self, page_id: str, problem: str) -> errors.VendorUnreachable:
        most = self._gateway.vendor.page_size(self._gateway.account, self._queue)
        return errors.VendorUnreachable(
            f"connection {self._conn_id!r} ({self._vendor}): {problem}; the vendor may have deleted "
            f"up to {most} records that never arrived: suspect page {page_id}, see 'airflow sms pages'. "
            f"{self._so_far()}"
        )

    def _land(self, page_id: str, response: WireResponse, *, fresh: bool = True) -> bool:
        """
        Parse a stored page and land it; whether it said that the queue is empty.

        :param fresh: whether it was read just now, so that what is wrong with it ends the reading.
        """
        if not response.body and not response.complete:
            self._suspect += 1
            self._journal.close_unread(page_id, PageState.SUSPECT, response.problem)
            if fresh:
                raise self._lost(page_id, response.problem)
            return False
        try:
            page = self._gateway.parse(self._queue, response)
        except (errors.VendorRejected, errors.VendorBusy) as refusal:
            # The vendor said no: it handed over nothing, and the page says why.
            self._journal.close_unread(page_id, PageState.EMPTY, str(refusal))
            raise
        except errors.WireFormatError as unreadable:
            self._quarantine(page_id, response, str(unreadable), fresh=fresh)
            return False
        except Exception as bug:  # noqa: BLE001 - a parser's mistake must not block the queue for ever
            self._quarantine(page_id, response, f"the parser failed with {type(bug).__name__}", fresh=fresh)
            return False
        landed = self._landing.land(
            page_id,
            self._conn_id,
            self._vendor,
            self._queue.value,
            page.records,
            declared=page.declared,
            gaps=page.gaps,
            problem=page.problem or ("" if page.complete else response.problem or "the page is not whole"),
        )
        self._records += landed.records
        if landed.records and self._queue is Queue.REPORTS:
            self._settled = False
            if time.monotonic() - self._settled_at >= _REPEAT_SECONDS:
                self._settle_unknown_sends()
        if landed.problem:
            self._quarantined += 1
            told = (
                f"connection {self._conn_id!r} ({self._vendor}): page {page_id}: {landed.records} records "
                f"landed, the rest could not be read ({landed.problem}). {_kept(page_id)}"
            )
            # A page with an odd record is the vendor's; one that was cut, or gave none, may be anybody's.
            whole = response.complete and bool(page.records)
            self._go_on_or_stop(told, unreadable=not whole, fresh=fresh)
        else:
            self._unreadable_in_a_row = 0
        return page.empty and not landed.problem

    def _settle_unknown_sends(self) -> None:
        self._settled, self._settled_at = True, time.monotonic()
        by_number = not self._gateway.vendor.reports_bear_reference
        settled = Ledger(self._store).settle_by_reports(conn_id=self._conn_id, by_number=by_number)
        for send_key, batch_no in settled:
            self._log.info(
                "batch %d of send %s was unknown and is accepted: its reports came", batch_no, send_key
            )

    def _quarantine(self, page_id: str, response: WireResponse, problem: str, *, fresh: bool) -> None:
        self._journal.quarantine(page_id, problem)
        self._quarantined += 1
        told = f"{problem}. Page {page_id} is in quarantine. {_kept(page_id)}"
        self._go_on_or_stop(told, unreadable=True, fresh=fresh, stop=not _looks_like_the_vendor(response))

    def _go_on_or_stop(self, told: str, *, unreadable: bool, fresh: bool, stop: bool = False) -> None:
        """
        Tell of a page that could not be read, or not all of it.

        One odd page of the vendor's is counted and the reading goes on; a web page, or two unreadable pages
        in a row, mean that something else answers, or that something on the way cuts: every further read
        could cost records.
        """
        if not fresh:
            self._log.error(told)
            return
        self._unreadable_in_a_row = self._unreadable_in_a_row + 1 if unreadable else 0
        if stop or self._unreadable_in_a_row >= _UNREADABLE_IN_A_ROW:
            raise errors.WireFormatError(f"{told}. Reading stopped. {self._so_far()}")
        self._log.error(told)

    def _so_far(self) -> str:
        return f"Before that, {self._pages} pages with {self._records:,} records landed"

    def _release(self, lease: Lease) -> None:
        try:
            if not self._marked:
                self._mark_read(lease)
            self._leases.release(lease)
        except errors.StoreUnavailable:
            # It runs out by itself; the error that took the store away is the one to show.
            self._log.warning("the lease could not be released; it runs out in %.0f s", self._lease_seconds)

    def _conclude(self, collected: Collected, seconds: float) -> None:
        self._log.info(
            "collected %d pages with %s records in %.0f s; the queue %s; %d quarantined, %d suspect",
            collected.pages, f"{collected.records:,}", seconds,
            "is empty" if collected.queue_empty else "may hold more",
            collected.quarantined, collected.suspect,
        )  # fmt: skip


def _kept(page_id: str) -> str:
    return f"Its bytes are kept: 'airflow sms pages' shows it, 'airflow sms replay {page_id}' reads it again"


def _looks_like_the_vendor(response: WireResponse) -> bool:
    return response.status == _OK and bool(response.body.strip()) and not is_web_page(response)
