"""Days, zones and hours, as users and templates write them."""

from __future__ import annotations

import math
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

HOURS_A_DAY = 24
_MOST_HOURS = 10 * 366 * HOURS_A_DAY


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
    if value in {None, ""}:
        return None
    if isinstance(value, datetime):
        return value.astimezone(zone).date() if value.tzinfo else value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        problems.append(f"{name} is {value!r}: give a day like 2026-12-24")
    return None
