"""Local days as spans of time."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from zoneinfo import ZoneInfo


class Span(NamedTuple):
    """
    A local day.

    :param day: which one.
    :param since: its first moment, aware UTC.
    :param until: the first moment of the next day, aware UTC.
    """

    day: date
    since: datetime
    until: datetime


def local_days(start: date, end: date, zone: ZoneInfo) -> Iterator[Span]:
    """
    Give the days of a zone, one after the other.

    :param start: first day.
    :param end: last day, included.
    """
    day = start
    while day <= end:
        following = day + timedelta(days=1)
        # Midnights are made one by one: a day with a change of clocks has 23 or 25 hours.
        since, until = (datetime.combine(each, time(), zone).astimezone(UTC) for each in (day, following))
        yield Span(day, since, until)
        day = following
