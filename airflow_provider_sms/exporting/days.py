"""Which local days an export is of."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_sms.days import checked_day, local_day

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_MOMENT = timedelta(microseconds=1)
_MOST_DAYS = 3660


def days_wanted(
    since: Any,
    until: Any,
    days: Any,
    interval: tuple[datetime, datetime] | None,
    zone: ZoneInfo,
    problems: list[str],
) -> tuple[date, date]:
    """
    Read which days are wanted.

    ``since`` or ``until`` alone is that one day. Without both: the days that the run's data interval touches;
    a run without one, or whose interval is a point in time, gets the last whole day.

    :param since: first day; a date, a moment, or either as ISO text. A moment means its day.
    :param until: last day; a moment means the day that ends with it or that it is in.
    :param days: so many days up to the last one, instead of ``since``.
    :param interval: of the run, aware.
    :param problems: gets what is wrong; the days are of no use then.
    :return: first and last day, both included.
    """
    first, last = _given("since", since, zone, problems), _given("until", until, zone, problems, end=True)
    count = _count(days, problems)
    if first is not None and count is not None:
        problems.append("both since and days are given: give one of them")
    # Either alone is both.
    ends = [day for day in (first, last) if day is not None] or _of_run(interval, zone)
    first, last = ends[0], ends[-1]
    if count is not None:
        first = last - timedelta(days=count - 1)
    if first > last:
        problems.append(f"since is {first}, after until, which is {last}: turn them round")
    elif (last - first).days >= _MOST_DAYS:
        problems.append(f"{(last - first).days + 1:,} days are wanted, at most {_MOST_DAYS:,} at once")
    return first, last


def _of_run(interval: tuple[datetime, datetime] | None, zone: ZoneInfo) -> tuple[date, date]:
    if interval is None or interval[0] >= interval[1]:
        at = datetime.now(zone) if interval is None else interval[1].astimezone(zone)
        yesterday = at.date() - timedelta(days=1)
        return yesterday, yesterday
    return interval[0].astimezone(zone).date(), (interval[1] - _MOMENT).astimezone(zone).date()


def _given(name: str, value: Any, zone: ZoneInfo, problems: list[str], *, end: bool = False) -> date | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            value = (
                date.fromisoformat(value)
                if len(value) <= len("2026-12-24")
                else datetime.fromisoformat(value)
            )
        except ValueError:
            problems.append(f"{name} is {value!r}: give a day like 2026-12-24, or a moment")
            return None
    if isinstance(value, datetime):
        try:
            day = local_day(value - _MOMENT if end else value, zone)
        except OverflowError:
            problems.append(f"{name} is {value}: give a day like 2026-12-24, or a moment")
            return None
        return checked_day(name, day, problems)
    if isinstance(value, date):
        return checked_day(name, value, problems)
    problems.append(f"{name} is a {type(value).__name__}: give a day like 2026-12-24, or a moment")
    return None


def _count(days: Any, problems: list[str]) -> int | None:
    if days is None or days == "":
        return None
    try:
        count = int(days)
    except (TypeError, ValueError, OverflowError):
        count = 0
    if not 1 <= count <= _MOST_DAYS:
        problems.append(f"days is {days!r}: give a whole number, 1 to {_MOST_DAYS:,}, or leave it empty")
        return None
    return count
