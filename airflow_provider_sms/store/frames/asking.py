"""
What a frame is asked for, looked at before anything is read.

A ``datetime`` is a ``date`` to Python, and pandas' ``Timestamp`` is both: taken for a day, a moment gives
spans from that hour on, or days of another zone. So days are dates, and moments are aware.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_sms.days import checked_day, read_zone
from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.store.frames.days import local_days

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_sms.store.frames.days import Span

_WHAT = "frame"


def asked_days(timezone: str = "UTC", *, problems: Iterable[str] = (), **days: date) -> list[Span]:
    """
    Give the days that a frame is asked for, one after the other.

    :param timezone: whose days.
    :param problems: what is wrong with the frame's other parameters.
    :param days: the first and the last one, by the names of their parameters; or one alone.
    :raises PreflightError: listing everything that is wrong.
    """
    found = list(problems)
    zone = read_zone(timezone, found)
    read = [day for name, given in days.items() if (day := _read_day(name, given, found))]
    if found:
        raise PreflightError(found, _WHAT)
    return list(local_days(read[0], read[-1], zone))


def asked_span(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """
    Give the moments between which a frame is asked for, as plain UTC.

    :raises PreflightError: listing everything that is wrong.
    """
    found: list[str] = []
    since, until = _read_moment("start", start, found), _read_moment("end", end, found)
    if since is None or until is None:
        raise PreflightError(found, _WHAT)
    return since, until


def _read_day(name: str, value: Any, problems: list[str]) -> date | None:
    if isinstance(value, date) and not isinstance(value, datetime):
        return checked_day(name, value, problems)
    how = ", as its date() in the zone that you mean" if isinstance(value, datetime) else ""
    problems.append(f"{name} is a {type(value).__name__}: give a day, like date(2026, 12, 24){how}")
    return None


def _read_moment(name: str, value: Any, problems: list[str]) -> datetime | None:
    if isinstance(value, datetime) and value.tzinfo is not None:
        moment = value.astimezone(UTC)
        # Drivers don't know pandas' moments.
        return datetime.combine(moment.date(), moment.timetz())
    kind = f"{type(value).__name__}{' without a zone' if isinstance(value, datetime) else ''}"
    problems.append(
        f"{name} is a {kind}: give a moment with its zone, like datetime(2026, 12, 24, tzinfo=UTC)"
    )
    return None
