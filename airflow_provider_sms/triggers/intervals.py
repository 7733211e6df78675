"""Poll intervals, as users and templates write them."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.triggers.telling import LEAST_INTERVAL


def seconds(interval: Any, where: str) -> float:
    """
    Read a poll interval: seconds, as a number or text, or a timedelta.

    :param where: whose it is, for the error.
    :return: seconds, of which no vendor is asked more often than the least allows.
    :raises PreflightError: it is none.
    """
    found = interval.total_seconds() if isinstance(interval, timedelta) else number(interval)
    if found is None or not 0 <= found < math.inf:
        raise PreflightError([f"poll_interval is {interval!r}: give seconds, or a timedelta"], where)
    return max(LEAST_INTERVAL, found)


def number(value: Any) -> float | None:
    """Read a number, also from a template's text; ``None`` if it is none."""
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
