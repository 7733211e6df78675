"""What sensors wait for: their parameters checked and turned into conditions."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_sms.conditions import ReportsLanded, SendReported, WantedReplies
from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.text import normalise_mobile
from airflow_provider_sms.triggers.telling import LEAST_INTERVAL

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
    if bool(send_key) == (min_records not in {None, ""}):
        problems.append("give exactly one of send_key and min_records")
    if not 0 < (_number(min_share) or 0) <= 1:
        problems.append(f"min_share is {min_share!r}: give a share above 0 and at most 1")
    if min_records not in {None, ""} and (_number(min_records) or 0) < 1:
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
    return ReportsLanded(started(context), int(_number(min_records) or 1))


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
    number = normalise_mobile(mobile, landline=True) if mobile else None
    if mobile and number is None:
        problems.append("mobile is no mainland Chinese number")
    compiled = None
    try:
        compiled = re.compile(pattern) if pattern else None
    except re.error:
        problems.append("pattern is no regular expression")
    moment = started(context)
    try:
        moment = moment if since is None or since == "" else _written_moment(since, zone)
    except (TypeError, ValueError, OverflowError):
        problems.append(
            "since is no time: give a datetime, a date or ISO text like 2026-12-24 08:30:00, which is in the "
            "account's time zone, or 2026-12-24T08:30:00+08:00"
        )
    least = _number(1 if min_records in {None, ""} else min_records)
    if least is None or least < 1:
        problems.append(f"min_records is {min_records!r}: give a whole number above 0")
    if problems:
        raise PreflightError(problems, f"task {task_id!r}")
    return WantedReplies(number, compiled, moment, int(least or 1))


def seconds(interval: Any, task_id: str) -> float:
    """
    Read a poll interval: seconds, as a number or text, or a timedelta.

    :raises PreflightError: it is none.
    """
    found = interval.total_seconds() if isinstance(interval, timedelta) else _number(interval)
    if found is None or not 0 <= found < float("inf"):
        problem = f"poll_interval is {interval!r}: give seconds, or a timedelta"
        raise PreflightError([problem], f"task {task_id!r}")
    return max(LEAST_INTERVAL, found)


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


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
