"""How far a collection may go, as users and templates write it."""

from __future__ import annotations

import math
from typing import Any

from airflow_provider_sms.errors import PreflightError


def collection_limits(max_pages: Any, max_seconds: Any, where: str) -> tuple[int | None, float | None]:
    """
    Read the limits of a collection as users and templates write them; empty is none.

    :param where: whose they are, for the error.
    :raises PreflightError: listing what is wrong with them.
    """
    pages, seconds = _limit(max_pages), _limit(max_seconds)
    problems = []
    if pages is not None and not (pages >= 1 and pages.is_integer()):
        problems.append(f"max_pages is {max_pages!r}: give a whole number above 0, or leave it empty")
    if seconds is not None and not 0 < seconds < math.inf:
        problems.append(f"max_seconds is {max_seconds!r}: give seconds above 0, or leave it empty")
    if problems:
        raise PreflightError(problems, f"task {where!r}")
    return None if pages is None else int(pages), seconds


def _limit(value: Any) -> float | None:
    if value is None or value == "":
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
