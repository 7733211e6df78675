"""
What becomes of a page whose bytes are stored: rows, a refusal, quarantine.

Whole ordinary pages of reports wait for each other and land together, since small pages come by the hundred
a second; their bytes are committed, so the next run would land them. Where many come, they land in a thread
while the next ones are read; a large one is taken apart there as well, if a glance tells that the reading
goes on whatever is found in it. Every other page lands by itself, after those that came before it.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_sms import errors
from airflow_provider_sms.gateway import is_web_page
from airflow_provider_sms.records import PageState, Queue
from airflow_provider_sms.store.gathering import Gathered, land_gathered
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.landing import Landed
from airflow_provider_sms.store.ledger import Ledger
from airflow_provider_sms.store.refusals import land_page, what_is_missing

if TYPE_CHECKING:
    import logging
    from concurrent.futures import Future

    from airflow_provider_sms.gateway import Gateway
    from airflow_provider_sms.records import Page, Reply, Report, ReportPage
    from airflow_provider_sms.store.engine import Store
    from airflow_provider_sms.wire import WireResponse

#: Unreadable pages in a row after which what answers is taken not to be the vendor.
_UNREADABLE_IN_A_ROW = 2
#: Gathered pages land when there are so many rows, bytes or seconds of them, whatever comes first.
_MOST_ROWS = 10_000
_MOST_BYTES = 4 << 20
_MOST_SECONDS = 1.0
#: A page of so many bytes takes longer to be taken apart than a thread takes to be told.
_LARGE = 256 << 10
#: Each settling of sends asks for all unknown ones of the account: so many seconds apart, and at the end.
_SETTLE_SECONDS = 1.0


@dataclass(slots=True)
class Tally:
    """
    What a run has done until now.

    :param pages: pages read.
    :param records: rows landed.
    :param quarantined: pages that could not be read, or only in part, or that the database does not take.
    :param suspect: reads that were cut off without a byte.
    """

    pages: int = 0
    records: int = 0
    quarantined: int = 0
    suspect: int = 0

    def __str__(self) -> str:
        return f"Before that, {self.pages} pages with {self.records:,} records landed"


class _Behind(NamedTuple):
    """
    What is filed in the thread while the next page is read.

    :param landing: gives the pages that landed, and how each did.
    :param page: a page that was to be taken apart there before, if there is one: its id and its answer. If it
        is not among those that landed, the careful parser has the word.
    """

    landing: Future[tuple[list[Gathered], list[Landed]]]
    page: tuple[str, WireResponse] | None


class Filing:
    """
    Files the stored pages of one queue of one account.

    :param gateway: the account's codec.
    :param store: where pages and rows are.
    :param queue: which queue.
    :param tally: where it is counted.
    :param log: a logger.
    """

    def __init__(
        self, gateway: Gateway, store: Store, queue: Queue, tally: Tally, log: logging.Logger | Any
    ) -> None:
        self._gateway = gateway
        self._store = store
        self._queue = queue
        self._tally = tally
        self._log = log
        self._journal = Journal(store)
        self._conn_id = gateway.account.conn_id
        self._vendor = gateway.vendor.name
        self._unreadable_in_a_row = 0
        self._gathered: list[Gathered] = []
        self._rows = self._bytes = 0
        self._gathered_at = 0.0
        self._thread: ThreadPoolExecutor | None = None
        self._behind: _Behind | None = None
        self._settled = True
        self._settled_at = -_SETTLE_SECONDS
        self._landed: list[str] = []

    def file(self, page_id: str, response: WireResponse, *, fresh: bool = True) -> bool:
        """
        Parse a stored page and have it land; whether it said that the queue is empty.

        :param fresh: whether it was read just now, so that what is wrong with it ends the reading.
        :raises VendorRejected: the vendor said no and handed over nothing.
        :raises VendorBusy: the vendor said "later" and handed over nothing.
        :raises WireFormatError: what answers is not the vendor; its bytes are in quarantine.
        :raises VendorUnreachable: not a byte of it came.
        """
        if self._behind is not None and self._behind.page is not None:
            # What is found in that page may be a reason to look at this one before the next is read.
            self._finish_landing()
        if fresh and not self._unreadable_in_a_row and self._brings_reports(response):
            self._start_landing((page_id, response))
            return False
        by_columns = self._by_columns(response)
        if by_columns is not None:
            self._gather(page_id, by_columns, len(response.body))
            return False
        self.land_gathered()
        return self._file_carefully(page_id, response, fresh=fresh)

    def _file_carefully(self, page_id: str, response: WireResponse, *, fresh: bool) -> bool:
        if not response.body and not response.complete:
            self._close_suspect(page_id, response.problem)
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
        if page.empty and not page.problem:
            self._unreadable_in_a_row = 0
            if self._journal.close_empty(page_id, self._conn_id, self._queue.value, page.declared):
                return True
        return self._land(page_id, response, page, fresh=fresh)

    def file_unanswered(self, page_id: str, problem: str, *, lost: bool) -> errors.VendorUnreachable:
        """
        File a read that got no answer, and make the error of it.

        :param problem: why there was none.
        :param lost: whether the vendor may have handed over what never came.
        """
        self.land_gathered()
        if not lost:
            self._journal.close_unread(page_id, PageState.EMPTY, problem)
            where = f"connection {self._conn_id!r} ({self._vendor})"
            return errors.VendorUnreachable(f"{where}: {problem}; nothing was read. {self._tally}")
        self._close_suspect(page_id, problem)
        return self._lost(page_id, problem)

    def land_gathered(self) -> None:
        """Land the pages that wait for it; whatever comes, they are not tried again by this run."""
        self._finish_landing()
        if self._gathered:
            gathered = self._take_gathered()
            self._count_gathered(gathered, land_gathered(self._store, self._conn_id, self._vendor, gathered))

    def close(self) -> None:
        """Let the thread go in which pages landed, if there was one."""
        if self._thread is not None:
            self._thread.shutdown()

    def settle_unknown_sends(self) -> None:
        """Settle sends of unknown outcome by the reports that landed since it was done last."""
        if self._settled:
            return
        self._settled, self._settled_at = True, time.monotonic()
        by_number = not self._gateway.vendor.reports_bear_reference
        landed, self._landed = self._landed, []
        settled = Ledger(self._store).settle_by_reports(
            conn_id=self._conn_id, by_number=by_number, landed=landed
        )
        for send_key, batch_no in settled:
            self._log.info(
                "batch %d of send %s was unknown and is accepted: its reports came", batch_no, send_key
            )

    def _brings_reports(self, response: WireResponse) -> bool:
        """Tell whether a large page needs no closer look before the next one is read."""
        if self._queue is not Queue.REPORTS or len(response.body) < _LARGE:
            return False
        try:
            return not is_web_page(response) and self._gateway.brings_reports(response)
        except Exception:  # noqa: BLE001 - the closer look has the last word
            return False

    def _by_columns(self, response: WireResponse) -> ReportPage | None:
        if self._queue is not Queue.REPORTS:
            return None
        try:
            return self._gateway.columns_of_reports(response)
        except Exception:  # noqa: BLE001 - the careful parser has the last word
            return None

    def _gather(self, page_id: str, page: ReportPage, length: int) -> None:
        if not self._gathered:
            self._gathered_at = time.monotonic()
        self._gathered.append(Gathered(page_id, page))
        self._rows += page.size
        self._bytes += length
        self._unreadable_in_a_row = 0
        waited = time.monotonic() - self._gathered_at
        if self._rows >= _MOST_ROWS or self._bytes >= _MOST_BYTES or waited >= _MOST_SECONDS:
            self._start_landing()

    def _start_landing(self, page: tuple[str, WireResponse] | None = None) -> None:
        """
        Land what waits for it, and a page that is still to be taken apart, if one is given.

        In a thread: while the database writes rows, the vendor can write the next page.
        """
        self._finish_landing()
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "sms-land")
        self._behind = _Behind(self._thread.submit(self._land_behind, self._take_gathered(), page), page)

    def _land_behind(
        self, gathered: list[Gathered], page: tuple[str, WireResponse] | None
    ) -> tuple[list[Gathered], list[Landed]]:
        if page is not None and (by_columns := self._by_columns(page[1])) is not None:
            gathered = [*gathered, Gathered(page[0], by_columns)]
        if not gathered:
            return [], []
        return gathered, land_gathered(self._store, self._conn_id, self._vendor, gathered)

    def _finish_landing(self) -> None:
        if self._behind is None:
            return
        behind = self._behind
        try:
            gathered, landed = behind.landing.result()
        finally:
            # Whoever is interrupted while waiting for it waits again on the way out.
            if behind.landing.done():
                self._behind = None
        self._count_gathered(gathered, landed)
        if behind.page is None:
            return
        page_id, response = behind.page
        if gathered and gathered[-1].page_id == page_id:
            return
        try:
            self._file_carefully(page_id, response, fresh=True)
        except (errors.VendorRejected, errors.VendorBusy) as refusal:
            # Not the last word: the next page is here already.
            self._log.warning("page %s: %s", page_id, refusal)

    def _take_gathered(self) -> list[Gathered]:
        gathered, self._gathered = self._gathered, []
        self._rows = self._bytes = 0
        return gathered

    def _count_gathered(self, gathered: list[Gathered], landed: list[Landed]) -> None:
        self._count(sum(one.records for one in landed), *(each.page_id for each in gathered))
        for each, one in zip(gathered, landed, strict=True):
            if one.problem:
                self._tally.quarantined += 1
                self._log.error(self._partly(each.page_id, one))

    def _count(self, records: int, *page_ids: str) -> None:
        self._tally.records += records
        if records and self._queue is Queue.REPORTS:
            self._settled = False
            self._landed += page_ids
            if time.monotonic() - self._settled_at >= _SETTLE_SECONDS:
                self.settle_unknown_sends()

    def _land(
        self, page_id: str, response: WireResponse, page: Page[Report] | Page[Reply], *, fresh: bool
    ) -> bool:
        problem = what_is_missing(page, response.problem)
        landed = land_page(self._store, page_id, self._conn_id, self._vendor, self._queue, page, problem)
        if isinstance(landed, str):
            self._set_aside(page_id, landed)
            return False
        self._count(landed.records, page_id)
        if landed.problem:
            self._tally.quarantined += 1
            told = self._partly(page_id, landed)
            # A page with an odd record is the vendor's; one that was cut, or gave none, may be anybody's.
            whole = response.complete and bool(page.records)
            self._go_on_or_stop(told, unreadable=not whole, fresh=fresh)
        else:
            self._unreadable_in_a_row = 0
        return page.empty and not landed.problem

    def _set_aside(self, page_id: str, why: str) -> None:
        """Quarantine a page that the parser reads and the database does not take, and go on."""
        self._journal.quarantine(page_id, why)
        self._unreadable_in_a_row = 0
        self._tally.quarantined += 1
        self._log.error(self._partly(page_id, Landed(PageState.QUARANTINED, 0, why)))

    def _partly(self, page_id: str, landed: Landed) -> str:
        return (
            f"connection {self._conn_id!r} ({self._vendor}): page {page_id}: {landed.records} records "
            f"landed, the rest did not ({landed.problem}). {_kept(page_id)}"
        )

    def _close_suspect(self, page_id: str, problem: str) -> None:
        self._tally.suspect += 1
        self._journal.close_unread(page_id, PageState.SUSPECT, problem)

    def _lost(self, page_id: str, problem: str) -> errors.VendorUnreachable:
        most = self._gateway.vendor.page_size(self._gateway.account, self._queue)
        return errors.VendorUnreachable(
            f"connection {self._conn_id!r} ({self._vendor}): {problem}; the vendor may have deleted "
            f"up to {most} records that never arrived: suspect page {page_id}, see 'airflow sms pages'. "
            f"{self._tally}"
        )

    def _quarantine(self, page_id: str, response: WireResponse, problem: str, *, fresh: bool) -> None:
        self._journal.quarantine(page_id, problem)
        self._tally.quarantined += 1
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
            raise errors.WireFormatError(f"{told}. Reading stopped. {self._tally}")
        self._log.error(told)


def _kept(page_id: str) -> str:
    return f"Its bytes are kept: 'airflow sms pages' shows it, 'airflow sms replay {page_id}' reads it again"


def _looks_like_the_vendor(response: WireResponse) -> bool:
    return response.status == HTTPStatus.OK and bool(response.body.strip()) and not is_web_page(response)
