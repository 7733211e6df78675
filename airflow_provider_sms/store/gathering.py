"""
Landing many whole pages of reports at once, by columns.

Each page's bytes are in the journal already, so pages may wait for each other: a hundred small ones cost one
transaction. What is promised of a page holds for all of them together: rows and states, or neither. Pages
that are not plainly new (a row of theirs may be there, an event of theirs may have been pushed, a value does
not fit, the database refuses one) are landed one by one, by
:class:`~airflow_provider_sms.store.landing.Landing`.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, literal_column, select

from airflow_provider_sms.records import PageState, Queue, ReportColumns
from airflow_provider_sms.store import bulk, events
from airflow_provider_sms.store.fitting import fit
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.landing import Landed, Landing, timed
from airflow_provider_sms.store.number_hash import hash_numbers
from airflow_provider_sms.store.prepared import Prepared
from airflow_provider_sms.store.refusals import is_refused, landed_or_why_not
from airflow_provider_sms.store.schema import pages, reports

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from airflow_provider_sms.records import ReportPage
    from airflow_provider_sms.store.engine import Store

_closed = Prepared(
    pages.update()
    .where(pages.c.page_id == bindparam("page"))
    .values(
        state=literal_column(f"'{PageState.LANDED.value}'"),
        records=bindparam("how_many"),
        declared=bindparam("said"),
        error=None,
        landed_at=bindparam("now"),
    )
)


class Gathered(NamedTuple):
    """A page of reports that is in the journal and has not landed."""

    page_id: str
    page: ReportPage


def land_gathered(store: Store, conn_id: str, vendor: str, gathered: Sequence[Gathered]) -> list[Landed]:
    """
    Land pages of one account's reports: all of them in one transaction, where nothing speaks against it.

    :param gathered: whole pages with at least one report each, in the order in which they were read.
    :return: how each landed; one that the database does not take, though it takes others, is in quarantine.
    :raises StoreUnavailable: also when the journal lacks one of them.
    """
    try:
        with store.begin() as connection:
            at_once = _land(connection, store, conn_id, vendor, gathered)
    except Exception as failure:
        if not is_refused(store, failure):
            raise
        # It is for one of them, and one by one will show for which.
        at_once = False
    if at_once:
        return [Landed(PageState.LANDED, each.page.size) for each in gathered]
    return [_land_one(store, conn_id, vendor, each) for each in gathered]


def _land_one(store: Store, conn_id: str, vendor: str, each: Gathered) -> Landed:
    landed = landed_or_why_not(
        store,
        lambda: Landing(store).land(
            each.page_id,
            conn_id,
            vendor,
            Queue.REPORTS.value,
            each.page.columns.records(),
            declared=each.page.declared,
        ),
    )
    if isinstance(landed, str):
        Journal(store).quarantine(each.page_id, landed)
        return Landed(PageState.QUARANTINED, 0, landed)
    return landed


def _land(
    connection: Connection, store: Store, conn_id: str, vendor: str, gathered: Sequence[Gathered]
) -> bool:
    """Land all or nothing; whether they did not have to land one by one."""
    read_at = _times_of_reading(connection, gathered)
    if read_at is None or events.are_pushed(connection, conn_id, Queue.REPORTS.value):
        return False
    columns, unfit = fit(reports, _columns(gathered, read_at))
    if unfit:
        return False
    sizes = [each.page.size for each in gathered]
    now = store.clock(connection)
    columns["page_id"] = _page_ids(gathered)
    columns["seq"] = list(chain.from_iterable(map(range, sizes)))
    columns |= {"conn_id": conn_id, "vendor": vendor, "landed_at": now}
    if store.number_hash_key:
        columns["mobile_hash"] = hash_numbers(columns["mobile"], store.number_hash_key)
    bulk.append(connection, reports, columns, sum(sizes))
    _closed.run_many(
        connection,
        [
            {"page": each.page_id, "how_many": each.page.size, "said": each.page.declared, "now": now}
            for each in gathered
        ],
    )
    return True


def _page_ids(gathered: Sequence[Gathered]) -> str | list[str]:
    """Give the page of each row: one for all when it is."""
    if len(gathered) == 1:
        return gathered[0].page_id
    return list(chain.from_iterable([each.page_id] * each.page.size for each in gathered))


def _times_of_reading(connection: Connection, gathered: Sequence[Gathered]) -> Mapping[str, datetime] | None:
    """Lock the pages' rows, so that two workers that land one page take turns; ``None`` if one is not new."""
    ids = [each.page_id for each in gathered]
    wanted = (
        select(pages.c.page_id, pages.c.read_at)
        .where(pages.c.page_id.in_(ids), pages.c.state == PageState.READ, pages.c.landed_at.is_(None))
        .order_by(pages.c.page_id)
        .with_for_update()
    )
    found = {page_id: read_at for page_id, read_at in connection.execute(wanted) if read_at is not None}
    return found if len(found) == len(ids) else None


def _columns(gathered: Sequence[Gathered], read_at: Mapping[str, datetime]) -> dict[str, Any]:
    every = [each.page.columns for each in gathered]
    joined = every[0] if len(every) == 1 else ReportColumns(*map(_joined, zip(*every, strict=True)))
    columns: dict[str, Any] = joined._asdict()
    times = columns.pop("occurred_at")
    if None not in times:
        return columns | {"reported_at": times, "time_source": "vendor"}
    moments: list[Any] = []
    sources: list[str] = []
    for each in gathered:
        given, source = timed(each.page.columns.occurred_at, read_at[each.page_id])
        moments += given
        sources += [source] * each.page.size if isinstance(source, str) else source
    return columns | {"reported_at": moments, "time_source": sources}


def _joined(columns: tuple[Sequence[Any], ...]) -> list[Any]:
    return list(chain.from_iterable(columns))
