"""
Read stored pages again with the parser of today, and land what it understands.

Nothing here talks to a vendor: the bytes are the ones that were kept when they came, and the account is
asked for its charset and time zone only. Landing is by page and place, so a page may be read again as
often as one likes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_sms import errors, pushes
from airflow_provider_sms.gateway import Gateway
from airflow_provider_sms.records import PUSH, Page, PageState, Queue
from airflow_provider_sms.store import replayed
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.ledger import Ledger
from airflow_provider_sms.store.refusals import land_page, what_is_missing
from airflow_provider_sms.store.spool import Spool
from airflow_provider_sms.transport.replay import ReplayTransport

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_sms.store.engine import Store
    from airflow_provider_sms.store.journal import PageRow
    from airflow_provider_sms.vendors.base import Account, Vendor

_DONE = (PageState.LANDED, PageState.EMPTY)


class Replayed(NamedTuple):
    """
    What came of reading one page again.

    :param before: its state until now; ``None`` when there is no such page.
    :param after: its state now.
    :param records: how many of its records are rows now.
    :param problem: why it did not land whole, without content.
    :param kept: whether there are bytes to be read again another time.
    """

    page_id: str
    before: PageState | None
    after: PageState | None
    records: int = 0
    problem: str = ""
    kept: bool = True

    @property
    def whole(self) -> bool:
        """Whether nothing of the page is missing (any more)."""
        return self.after in _DONE


def sweep_spool(store: Store) -> list[str]:
    """
    Move the pages that wait in this machine's spool into the journal; they still have to land.

    :return: their ids; what the store does not take stays where it is, and is named in the log.
    :raises StoreUnavailable: the store is away; the files stay.
    """
    spool = Spool(store.spool_dir)
    waiting = [page.page_id for page in spool.pages()]
    spool.sweep(store)
    left = {page.page_id for page in spool.pages()}
    return [page_id for page_id in waiting if page_id not in left]


def replay(vendor: Vendor, account: Account, store: Store, page_ids: Iterable[str]) -> Iterator[Replayed]:
    """
    Parse pages of one account again and land them.

    A page that is read whole becomes ``landed`` (or ``empty``), and rows of it that a former parser made
    and this one does not know go. One that still cannot be read whole stays in quarantine, with the
    records that could be read as rows.

    :param vendor: the codec of the pages' vendor.
    :param account: the pages' account.
    :param store: where they are.
    :param page_ids: which pages; what has landed already is left alone.
    :return: what came of each, as it comes.
    :raises StoreUnavailable: the store is away; pages told of before are done.
    """
    journal = Journal(store)
    # Its transport knows no answers: nothing can be asked.
    with Gateway(vendor, account, ReplayTransport({})) as gateway:
        for page_id in page_ids:
            try:
                page = journal.page(page_id)
            except KeyError:
                yield Replayed(page_id, None, None, problem="there is no such page in the store")
                continue
            yield _replay(gateway, store, page)


def _replay(gateway: Gateway, store: Store, page: PageRow) -> Replayed:
    if page.state in _DONE:
        return Replayed(page.page_id, page.state, page.state, page.records or 0)
    if hindrance := _hindrance(gateway, page):
        return Replayed(page.page_id, page.state, page.state, page.records or 0, hindrance, bool(page.body))
    try:
        parsed = _parse(gateway, page)
    except (errors.VendorRejected, errors.VendorBusy) as refusal:
        # The vendor said no: this answer never held records.
        replayed.close_empty(store, page.page_id, str(refusal))
        return Replayed(page.page_id, page.state, PageState.EMPTY)
    except errors.WireFormatError as unreadable:
        return _aside(store, page, str(unreadable))
    except Exception as bug:  # noqa: BLE001 - one page's bad luck must not keep the others from landing
        return _aside(store, page, f"the parser failed with {type(bug).__name__}")
    return _land(gateway, store, page, parsed)


def _hindrance(gateway: Gateway, page: PageRow) -> str:
    """Say why a page cannot be read again with this account, ``""`` if it can."""
    if page.conn_id != gateway.account.conn_id:
        return f"it belongs to connection {page.conn_id!r}, not to {gateway.account.conn_id!r}"
    if page.vendor != gateway.vendor.name:
        return (
            f"it was read from vendor {page.vendor!r}, and connection {page.conn_id!r} is of "
            f"{gateway.vendor.name!r} now"
        )
    if not page.body and (page.state is not PageState.READ or not page.framing_complete):
        return "its bytes were purged" if page.purged_at else "no bytes of it are kept"
    return ""


def _parse(gateway: Gateway, page: PageRow) -> Page[Any]:
    if page.source != PUSH:
        return gateway.parse(page.queue, page.response)
    pushed = pushes.read(gateway.vendor, gateway.account, page.body or b"")
    queue = pushes.queue_of(pushed)
    if queue is not page.queue:
        msg = f"the event belongs to the {queue.value}, its page to the {page.queue.value}"
        raise errors.WireFormatError(msg)
    return Page([pushed.record])


def _land(gateway: Gateway, store: Store, page: PageRow, parsed: Page[Any]) -> Replayed:
    problem = what_is_missing(parsed, page.framing_problem or "")
    if not problem:
        # First, so that a crash in between leaves a page in quarantine, to be read again.
        replayed.drop_rows_from(store, page.page_id, page.queue, len(parsed.records))
    landed = land_page(store, page.page_id, page.conn_id, page.vendor, page.queue, parsed, problem)
    if isinstance(landed, str):
        return _aside(store, page, landed)
    if landed.records and page.queue is Queue.REPORTS:
        by_number = not gateway.vendor.reports_bear_reference
        Ledger(store).settle_by_reports(conn_id=page.conn_id, by_number=by_number, landed=[page.page_id])
    return Replayed(page.page_id, page.state, landed.state, landed.records, landed.problem)


def _aside(store: Store, page: PageRow, problem: str) -> Replayed:
    replayed.keep_aside(store, page.page_id, problem)
    return Replayed(page.page_id, page.state, PageState.QUARANTINED, page.records or 0, problem)
