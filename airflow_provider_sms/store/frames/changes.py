"""
The days that are over and have changed all the same.

A day's figures are those of the messages submitted on it. They change after it when reports come late, when
a scheduled message is due much later, when a batch of unknown outcome is settled, and when a refused batch
is submitted again, which takes it to another day.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sqlalchemy import Integer, and_, cast, func, literal, literal_column, select, union

from airflow_provider_sms.records import Queue
from airflow_provider_sms.store.clock import ElapsedWhole
from airflow_provider_sms.store.columns import UtcDateTime
from airflow_provider_sms.store.frames.asking import asked_days
from airflow_provider_sms.store.frames.messages import MOMENT
from airflow_provider_sms.store.frames.reading import parts_of
from airflow_provider_sms.store.schema import (
    batch_ids,
    batches,
    delivery_daily,
    leases,
    pages,
    push_queues,
    reports,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from sqlalchemy import Select
    from sqlalchemy.engine import Connection

    from airflow_provider_sms.store.engine import Store

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
#: Midnights of all zones are at whole quarters of an hour of UTC, so a quarter is of one day in any of them.
_QUARTER = timedelta(minutes=15)
_quarter = cast(
    func.floor(ElapsedWhole(literal(_EPOCH, UtcDateTime()), MOMENT) / _QUARTER.total_seconds()), Integer
)


def changed_days(store: Store, before: date, *, timezone: str = "Asia/Shanghai") -> list[date]:
    """
    Find the days before a day whose figures may have changed since that day began.

    These are the days of messages on which a report landed since, which were due since (or still are to go
    out), or whose batch was settled since; and days that ``sms_delivery_daily`` has with another number of
    messages than the batches have now, or not at all.

    It reads every batch once, and the reports that landed since.

    :param before: a local day.
    :param timezone: whose days.
    :return: the days, the earliest first.
    :raises PreflightError: the day is no date, or the zone is none.
    :raises StoreUnavailable: the store is away.
    """
    [span] = asked_days(timezone, before=before)
    zone = ZoneInfo(timezone)
    with store.sweeping() as connection:
        found = set(_by_batches(connection, before, span.since, zone))
        found.update(_day(quarter, zone) for quarter in _reported(connection, span.since))
    return sorted(found)


def _by_batches(connection: Connection, before: date, since: datetime, zone: ZoneInfo) -> Iterator[date]:
    counted: Counter[tuple[date, str, str]] = Counter()
    for part in parts_of(connection, _batches(since)):
        for quarter, conn_id, vendor, messages, due, settled in zip(*part, strict=True):
            day = _day(quarter, zone)
            counted[day, conn_id, vendor] += int(messages)
            if any(moment is not None and moment >= since for moment in (due, settled)):
                yield day
    told = {(day, conn, vendor): int(count) for day, conn, vendor, count in connection.execute(_told(before))}
    for day, conn_id, vendor in counted.keys() | told.keys():
        if counted[day, conn_id, vendor] != told.get((day, conn_id, vendor), 0):
            yield day


def _batches(since: datetime) -> Select[Any]:
    counts = (func.sum(batches.c.recipients), func.max(batches.c.send_at), func.max(batches.c.settled_at))
    return (
        select(_quarter, batches.c.conn_id, batches.c.vendor, *counts)
        .where(since > MOMENT)
        .group_by(*(literal_column(place) for place in "123"))
    )


def _told(before: date) -> Select[Any]:
    table = delivery_daily
    of_account = (table.c.day, table.c.conn_id, table.c.vendor)
    return select(*of_account, func.sum(table.c.intended)).where(table.c.day < before).group_by(*of_account)


def _reported(connection: Connection, since: datetime) -> list[int]:
    """Find the quarters of the hour of older messages on which reports landed since."""
    # By name, so that the index of the pages answers: whoever hands over reports has a lease or is pushed to.
    hand_over = union(*(select(table.c.conn_id) for table in (leases, push_queues)))
    landed = and_(
        pages.c.conn_id.in_(connection.scalars(hand_over).all()),
        pages.c.queue == Queue.REPORTS.value,
        pages.c.landed_at >= since,
    )
    bears = and_(
        batch_ids.c.vendor_message_id == reports.c.vendor_message_id, batch_ids.c.vendor == reports.c.vendor
    )
    of_batch = and_(batches.c.send_id == batch_ids.c.send_id, batches.c.batch_no == batch_ids.c.batch_no)
    statement = (
        select(_quarter)
        .distinct()
        .select_from(pages)
        .join(reports, reports.c.page_id == pages.c.page_id)
        .join(batch_ids, bears)
        .join(batches, of_batch)
        .where(landed, since > MOMENT)
    )
    return list(connection.scalars(statement))


def _day(quarter: int, zone: ZoneInfo) -> date:
    return (_EPOCH + quarter * _QUARTER).astimezone(zone).date()
