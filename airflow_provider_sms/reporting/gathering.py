"""
The figures of a day, counted by the database.

Each is a sum over groups that the database makes; memory and page are as large as the groups, not as the day.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from airflow_provider_sms.days import read_day, read_hours, read_zone
from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.reporting.attending import attention_of
from airflow_provider_sms.reporting.figures import (
    Account,
    Counts,
    Day,
    DayFigures,
    Failure,
    Group,
    Hour,
    Names,
    Refusal,
)
from airflow_provider_sms.reporting.spreading import latency_of, median_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import date

    import pandas as pd

    from airflow_provider_sms.store.engine import Store

#: The most days that one page shows.
MOST_DAYS = 62
_COUNTS = list(Counts._fields)
_UNKNOWN = Names("未知", "Unknown")
_HALF_DAY = timedelta(hours=12)


def day_to_tell(now: datetime, timezone: str) -> date:
    """Choose the day that a page is about if nobody says: today from noon on, else yesterday."""
    return (now.astimezone(ZoneInfo(timezone)) - _HALF_DAY).date()


def gather(
    store: Store,
    day: date | None = None,
    *,
    days: int = 7,
    conn_ids: Collection[str] = (),
    timezone: str = "Asia/Shanghai",
    silent_after_hours: float = 72,
) -> DayFigures:
    """
    Count everything that the page of a day tells.

    :param day: local day; as :func:`day_to_tell` chooses if ``None``.
    :param days: so many days up to this one are compared.
    :param conn_ids: of these connections only; of all if empty.
    :param timezone: whose day, and the zone of the page's times.
    :param silent_after_hours: how long a report may take.
    :raises PreflightError: listing what is wrong with the parameters.
    :raises StoreUnavailable: the store is away.
    """
    from airflow_provider_sms.store.frames.figures import funnel_frame
    from airflow_provider_sms.store.frames.latencies import latency_counts
    from airflow_provider_sms.store.frames.places import places_frame
    from airflow_provider_sms.store.frames.refusals import refusals_frame

    _check(day, days, timezone, silent_after_hours)
    as_of = store.now()
    day = day or day_to_tell(as_of, timezone)
    mine = tuple(dict.fromkeys(conn_ids))
    options: dict[str, Any] = {"timezone": timezone, "silent_after_hours": silent_after_hours}
    outcomes = _of(
        funnel_frame(store, day, day, by=("hour", "conn_id", "vendor", "error_code"), **options), mine
    )
    places = places_frame(store, day, day, conn_ids=mine, **options)
    first = day - timedelta(days=days - 1)
    before = _of(funnel_frame(store, first, day - timedelta(days=1), by=("day", "conn_id"), **options), mine)
    latencies = _of(latency_counts(store, day, day, timezone=timezone), mine)
    refusals = _of(refusals_frame(store, day, day, timezone=timezone), mine)
    total = _sum(outcomes)
    return DayFigures(
        day=day,
        timezone=timezone,
        as_of=as_of,
        silent_after_hours=silent_after_hours,
        conn_ids=mine,
        total=total,
        latency=latency_of(latencies),
        hours=_hours(outcomes),
        days=(*_days(before, first, days - 1), Day(day, total)),
        accounts=_accounts(store, day, timezone, outcomes, latencies, mine),
        carriers=_groups(places, "carrier"),
        provinces=_groups(places, "province"),
        failures=_failures(outcomes),
        refusals=_refusals(refusals),
        attention=attention_of(store, mine),
    )


def unheard_of(store: Store, conn_ids: Collection[str]) -> list[str]:
    """
    Find those of some connections by which nothing was ever planned or collected, and no balance told.

    :raises StoreUnavailable: the store is away.
    """
    from sqlalchemy import select, union

    from airflow_provider_sms.store.schema import balances, leases, push_queues, sends

    if not conn_ids:
        return []
    tables = (sends, leases, push_queues, balances)
    told = union(*(select(table.c.conn_id).where(table.c.conn_id.in_(conn_ids)) for table in tables))
    with store.reading() as connection:
        known = set(connection.scalars(told))
    return [conn_id for conn_id in conn_ids if conn_id not in known]


def _check(day: date | None, days: int, timezone: str, silent_after_hours: float) -> None:
    problems: list[str] = []
    read_day("day", day, read_zone(timezone, problems), problems)
    read_hours(silent_after_hours, problems)
    if not 1 <= days <= MOST_DAYS:
        problems.append(f"days is {days}: give 1 to {MOST_DAYS}")
    if problems:
        raise PreflightError(problems, "the delivery report", "nothing was written")


def _of(frame: pd.DataFrame, conn_ids: Sequence[str]) -> pd.DataFrame:
    return frame[frame["conn_id"].isin(conn_ids)] if conn_ids else frame


def _sum(frame: pd.DataFrame) -> Counts:
    return Counts(*(int(frame[name].sum()) for name in _COUNTS))


def _summed(frame: pd.DataFrame, by: str | list[str]) -> list[tuple[Any, Counts]]:
    summed = frame.groupby(by, observed=True, sort=True)[_COUNTS].sum()
    return [(key, Counts(*map(int, row))) for key, row in zip(summed.index, summed.to_numpy(), strict=True)]


def _hours(outcomes: pd.DataFrame) -> tuple[Hour, ...]:
    found = dict(_summed(outcomes, "hour"))
    return tuple(Hour(f"{hour:02}", found.get(hour, Counts())) for hour in range(24))


def _days(frame: pd.DataFrame, first: date, count: int) -> list[Day]:
    found = {moment.date(): counts for moment, counts in _summed(frame, "day")}
    days = [first + timedelta(days=number) for number in range(count)]
    return [Day(day, found.get(day, Counts())) for day in days]


def _groups(frame: pd.DataFrame, name: str) -> tuple[Group, ...]:
    from airflow_provider_sms.store.carriers import UNKNOWN, in_chinese

    found = [
        Group(_UNKNOWN if key == UNKNOWN else Names(in_chinese(key), key), counts)
        for key, counts in _summed(frame, name)
    ]
    return tuple(sorted(found, key=lambda group: (-group.counts.accepted, group.names.en)))


def _failures(outcomes: pd.DataFrame) -> tuple[Failure, ...]:
    found = [
        Failure(vendor, code, counts.failed)
        for (vendor, code), counts in _summed(outcomes, ["vendor", "error_code"])
        if counts.failed
    ]
    return tuple(sorted(found, key=lambda failure: (-failure.messages, failure.vendor, failure.code)))


def _refusals(frame: pd.DataFrame) -> tuple[Refusal, ...]:
    summed = frame.groupby(["vendor", "state", "vendor_code"], observed=True)[["batches", "recipients"]].sum()
    found = [
        Refusal(vendor, state, code, int(batches), int(recipients))
        for (vendor, state, code), (batches, recipients) in zip(summed.index, summed.to_numpy(), strict=True)
    ]
    return tuple(sorted(found, key=lambda each: (-each.recipients, each.vendor, each.state, each.code)))


def _accounts(
    store: Store,
    day: date,
    timezone: str,
    outcomes: pd.DataFrame,
    latencies: pd.DataFrame,
    conn_ids: Sequence[str],
) -> tuple[Account, ...]:
    from airflow_provider_sms.store.balances import Balances
    from airflow_provider_sms.store.frames.spending import spending_frame

    sent = dict(_summed(outcomes, ["conn_id", "vendor"]))
    segments = outcomes.groupby(["conn_id", "vendor"], observed=True)["segments"].sum().to_dict()
    spending = _of(spending_frame(store, day, day, timezone=timezone), conn_ids)
    # One balance alone tells of no movement.
    moved: dict[str, Any] = {
        row["conn_id"]: row for row in spending.to_dict("records") if row["opening_at"] < row["closing_at"]
    }
    end = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(timezone)).astimezone(UTC)
    told = {row.conn_id: row for row in Balances(store).latest(before=end)}
    known = {(row.conn_id, row.vendor) for row in told.values() if not conn_ids or row.conn_id in conn_ids}
    accounts = []
    for conn_id, vendor in sorted({*sent, *known}):
        balance, movement = told.get(conn_id), moved.get(conn_id)
        accounts.append(
            Account(
                conn_id,
                vendor,
                sent.get((conn_id, vendor), Counts()),
                median_of(latencies[latencies["conn_id"] == conn_id]),
                int(segments.get((conn_id, vendor), 0)),
                balance.unit if balance else "",
                balance.remaining if balance else None,
                balance.checked_at if balance else None,
                _amount(movement["spent"]) if movement else None,
                _amount(movement["topped_up"]) if movement else None,
                movement["opening_at"].to_pydatetime() if movement else None,
            )
        )
    return tuple(sorted(accounts, key=lambda account: (-account.segments, account.conn_id)))


def _amount(number: float) -> Decimal:
    # Nothing less is nothing, not minus nothing.
    return Decimal(str(round(number, 6) or 0))
