"""What sensors wait for: their parameters checked and turned into conditions."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

from airflow_provider_sms.conditions import ReportsLanded, SendReported, WantedReplies
from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.text import normalise_mobile
from airflow_provider_sms.triggers.intervals import number

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from airflow.providers.common.compat.sdk import Context


def check_report_sensor(send_key: Any, min_share: Any, min_records: Any, task_id: str) -> None:
    """
    Check a report sensor's parameters.

    :raises PreflightError: listing what is wrong with them.
    """
    problems = []
    if bool(send_key) == _is_given(min_records):
        problems.append("give exactly one of send_key and min_records")
    if not 0 < (number(min_share) or 0) <= 1:
        problems.append(f"min_share is {min_share!r}: give a share above 0 and at most 1")
    if _is_given(min_records) and not _whole(min_records):
        problems.append(f"min_records is {min_records!r}: give a whole number above 0")
    if problems:
        raise PreflightError(problems, f"task {task_id!r}")


def report_condition(
    send_key: Any,
    min_share: Any,
    min_records: Any,
    context: Context | dict[str, Any],
    task_id: str,
) -> SendReported | ReportsLanded:
    """
    Check a report sensor's parameters and say what it waits for.

    :raises PreflightError: listing what is wrong with them.
    """
    check_report_sensor(send_key, min_share, min_records, task_id)
    if send_key:
        return SendReported(str(send_key), float(min_share))
    return ReportsLanded(started(context), _whole(min_records) or 1)


def wanted_replies(
    mobile: Any,
    pattern: Any,
    since: Any,
    min_records: Any,
    context: Context | dict[str, Any],
    zone: Callable[[], tzinfo],
    task_id: str,
) -> WantedReplies:
    """
    Check a reply sensor's parameters.

    :param zone: gives the account's time zone, in which a time without one is meant.
    :raises PreflightError: listing what is wrong with them.
    """
    problems = []
    national = normalise_mobile(mobile, landline=True) if mobile else None
    if mobile and national is None:
        problems.append("mobile is no mainland Chinese number")
    compiled = _compiled(pattern) if pattern else None
    if pattern and compiled is None:
        problems.append("pattern is no regular expression: give text that Python's re takes")
    moment = started(context)
    try:
        moment = moment if since is None or since == "" else _written_moment(since, zone)
    except (TypeError, ValueError, OverflowError):
        problems.append(
            "since is no time: give a datetime, a date or ISO text like 2026-12-24 08:30:00, which is in the "
            "account's time zone, or 2026-12-24T08:30:00+08:00"
        )
    least = _whole(min_records) if _is_given(min_records) else 1
    if not least:
        problems.append(f"min_records is {min_records!r}: give a whole number above 0")
    if problems:
        raise PreflightError(problems, f"task {task_id!r}")
    return WantedReplies(national, compiled, moment, least or 1)


def started(context: Context | dict[str, Any]) -> datetime:
    """Give the start of the DAG run, which is the same for all pokes of a sensor; this day's for a script."""
    run = context.get("dag_run") if context else None
    begun = getattr(run, "start_date", None) or getattr(run, "run_after", None)
    if begun is not None:
        return _moment(begun)
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _moment(value: Any) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    if moment.tzinfo is None:
        raise ValueError
    return moment.astimezone(UTC)


def _written_moment(value: Any, zone: Callable[[], tzinfo]) -> datetime:
    if isinstance(value, str):
        value = datetime.fromisoformat(value.strip())
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime):
        raise TypeError
    # As for a send's send_at. Most times have a zone, and the account is not looked up for them.
    return _moment(value if value.tzinfo else value.replace(tzinfo=zone()))


def _is_given(value: Any) -> bool:
    return value is not None and value != ""


def _whole(value: Any) -> int:
    """Give a whole number above 0; 0 for whatever else it is."""
    found = number(value)
    return int(found) if found is not None and found >= 1 and found.is_integer() else 0


def _compiled(pattern: Any) -> re.Pattern[str] | None:
    """Give a regular expression for texts; ``None`` for whatever else it is."""
    try:
        compiled = re.compile(pattern)
    except (re.error, TypeError, OverflowError, RecursionError):
        return None
    return compiled if isinstance(compiled.pattern, str) else None
