"""Days, zones and hours, as users and templates write them."""

from __future__ import annotations

import math
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

HOURS_A_DAY = 24
_MOST_HOURS = 10 * 366 * HOURS_A_DAY
#: Days outside of these are slips; the calendar ends not far beyond, and counting from them would fail.
_FIRST, _LAST = date(1970, 1, 2), date(2999, 12, 31)


def read_zone(name: Any, problems: list[str]) -> ZoneInfo:
    """
    Read the name of a time zone.

    :param problems: gets a sentence if it is none; UTC is given then.
    """
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(str(name))
    except (KeyError, ValueError, OSError):
        problems.append(f"timezone is {name!r}: give a name like Asia/Shanghai")
    return ZoneInfo("UTC")


def read_hours(value: Any, problems: list[str]) -> float:
    """
    Read the hours after which a message without a report is silent.

    :param problems: gets a sentence if it is no number of hours; 0 is given then.
    """
    try:
        hours = float(value)
    except (TypeError, ValueError):
        hours = math.nan
    if 0 <= hours <= _MOST_HOURS:
        return hours
    problems.append(f"silent_after_hours is {value!r}: give a number of hours, 0 to {_MOST_HOURS:,}")
    return 0.0


def read_day(name: str, value: Any, zone: ZoneInfo, problems: list[str]) -> date | None:
    """
    Read a day: a date, a moment or an ISO date.

    :param name: the parameter's, for the sentence about what is wrong with it.
    :param zone: whose day an aware moment is.
    :param problems: gets a sentence if it is no day.
    :return: ``None`` where none is given, or what is given is no day.
    """
    if value is None or value == "":
        return None
    if isinstance(value, date) and not isinstance(value, datetime):
        return checked_day(name, value, problems)
    try:
        if isinstance(value, datetime):
            return checked_day(name, local_day(value, zone), problems)
        return checked_day(name, date.fromisoformat(str(value)), problems)
    except (ValueError, OverflowError):
        problems.append(f"{name} is {value!r}: give a day like 2026-12-24")
    return None


def local_day(moment: datetime, zone: ZoneInfo) -> date:
    """
    Tell the day of a moment; a naive one is the zone's own.

    :raises OverflowError: the calendar does not reach there.
    """
    return moment.astimezone(zone).date() if moment.tzinfo else moment.date()


def checked_day(name: str, day: date, problems: list[str]) -> date | None:
    """
    Give a day back if one can count with it.

    :param name: the parameter's, for the sentence about what is wrong with it.
    :param problems: gets a sentence if it is out of all reach; ``None`` is given then.
    """
    if _FIRST <= day <= _LAST:
        return day
    problems.append(f"{name} is {day}: give a day from {_FIRST} to {_LAST}")
    return None
