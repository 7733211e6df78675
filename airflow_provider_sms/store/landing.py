"""
Landing: records become rows, together with the state of their page, in one transaction.

A row is named by its page and its place there, never by content: two equal replies are two replies.
So landing a page again changes nothing, and a better parser adds what was missing. Only an event that is
both pushed and polled has one row for both (:mod:`airflow_provider_sms.store.events`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select

from airflow_provider_sms.errors import StoreUnavailable
from airflow_provider_sms.records import DeliveryStatus, PageState, Queue
from airflow_provider_sms.store import bulk, events
from airflow_provider_sms.store.clock import ServerTime
from airflow_provider_sms.store.fitting import fit
from airflow_provider_sms.store.number_hash import hash_numbers
from airflow_provider_sms.store.schema import pages, replies, reports

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from airflow_provider_sms.records import Reply, Report
    from airflow_provider_sms.store.engine import Store

#: Drivers look up how to write a value by its exact type; a plain string is the fastest.
_STATUS = {status: status.value for status in DeliveryStatus}
_TABLES = {Queue.REPORTS: reports, Queue.REPLIES: replies}


# Made once: with small pages, making a statement takes longer than running it.
_page = (
    select(pages.c.page_id, pages.c.conn_id, pages.c.source, pages.c.landed_at)
    .add_columns(pages.c.read_at, pages.c.started_at, pages.c.state, pages.c.purged_at)
    .add_columns(ServerTime().label("now"))
    .where(pages.c.page_id == bindparam("this_page"))
    .with_for_update()
)
_closed = (
    pages.update()
    .where(pages.c.page_id == bindparam("this_page"))
    .values(
        state=bindparam("new_state"),
        records=bindparam("how_many"),
        declared=bindparam("said"),
        error=bindparam("why"),
        landed_at=bindparam("then"),
    )
)


@dataclass(frozen=True, slots=True)
class Landed:
    """
    How a page landed.

    :param state: ``landed``, ``empty`` or ``quarantined``.
    :param records: how many records of it are rows now; those of events that came before are none.
    :param problem: why it is quarantined.
    """

    state: PageState
    records: int
    problem: str = ""


class Landing:
    """
    Where pages land in one store.

    :param store: which one. Every method raises ``StoreUnavailable`` when it is away.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def land(
        self,
        page_id: str,
        conn_id: str,
        vendor: str,
        queue: str,
        records: Sequence[Report] | Sequence[Reply],
        *,
        read_at: datetime | None = None,
        declared: int | None = None,
        gaps: Collection[int] = (),
        problem: str = "",
    ) -> Landed:
        """
        Write a page's records as rows and the page's new state, both or neither.

        Nothing is written of a page that was purged.

        :param records: the complete records in the vendor's order.
        :param read_at: stands in for the time of records that have none; by default the page's own.
        :param declared: how many records the vendor said the page has.
        :param gaps: places of records that could not be read: the later ones keep their own, so that a better
            parser fills the gap and names no row anew.
        :param problem: what could not be read, without content; it makes the page quarantined.
        :raises StoreUnavailable: also when the journal has no such page.
        """
        with self._store.begin() as connection:
            # Locks the page's row, so that two workers that land one page take turns.
            page = connection.execute(_page, {"this_page": page_id}).one_or_none()
            if page is None:
                msg = f"page {page_id} has no row in the SMS store: was it deleted?"
                raise StoreUnavailable(msg)
            if page.purged_at is not None:
                # A push may come again after that: no later purge would take what it brought back.
                return Landed(PageState(page.state), 0)
            table = _TABLES[Queue(queue)]
            columns, unfit = fit(table, _columns(records, read_at or page.read_at or page.started_at))
            places = events.places_to_write(connection, page, queue, table, columns, len(records))
            if len(places) < len(records):
                columns = {name: _at(places, values) for name, values in columns.items()}
            columns |= {"page_id": page_id, "seq": _around(gaps, places), "conn_id": conn_id}
            columns |= {"vendor": vendor, "landed_at": page.now}
            if records and self._store.number_hash_key:
                columns["mobile_hash"] = hash_numbers(columns["mobile"], self._store.number_hash_key)
            if page.landed_at is None:
                bulk.append(connection, table, columns, len(places))
            else:
                bulk.upsert(connection, table, columns, len(places), keep=("landed_at",))
            problem = "; ".join(part for part in (problem, unfit) if part)
            landed = Landed(_state(records, problem), len(places), problem)
            _close(connection, page_id, landed, declared, page.now)
        return landed


def _at(places: Sequence[int], values: Any) -> Any:
    return values if isinstance(values, str) else [values[place] for place in places]


def _around(gaps: Collection[int], places: Sequence[int]) -> Sequence[int]:
    if not gaps:
        return places
    readable = [place for place in range(len(gaps) + max(places, default=-1) + 1) if place not in gaps]
    return [readable[place] for place in places]


def _state(records: Sequence[Any], problem: str) -> PageState:
    if problem:
        return PageState.QUARANTINED
    return PageState.LANDED if records else PageState.EMPTY


def _close(connection: Connection, page_id: str, landed: Landed, declared: int | None, now: datetime) -> None:
    values = {
        "this_page": page_id,
        "new_state": landed.state,
        "how_many": landed.records,
        "said": declared,
        "why": landed.problem or None,
        "then": now,
    }
    connection.execute(_closed, values)


def _columns(records: Sequence[Report] | Sequence[Reply], read_at: datetime) -> dict[str, Any]:
    if not records:
        return {}
    values: dict[str, Any] = dict(zip(records[0]._fields, zip(*records, strict=True), strict=True))
    times = values.pop("occurred_at")
    moments, values["time_source"] = timed(times, read_at)
    if "status" in values:
        values["status"] = [_STATUS[status] for status in values["status"]]
        return values | {"reported_at": moments}
    return values | {"received_at": moments}


def timed(times: Sequence[datetime | None], read_at: datetime) -> tuple[Sequence[Any], str | list[str]]:
    """
    Give every record a time, and say whose it is.

    :param times: the vendor's times.
    :param read_at: for records that have none.
    :return: a time per record, and ``vendor`` or ``read``: one for all, or one per record.
    """
    if None not in times:
        return times, "vendor"
    moments = [read_at if time is None else time for time in times]
    return moments, ["read" if time is None else "vendor" for time in times]
