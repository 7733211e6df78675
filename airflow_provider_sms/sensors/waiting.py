"""What sensors wait for: parameters checked, tables asked, counts given."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.store import arrivals
from airflow_provider_sms.store.ledger import Ledger
from airflow_provider_sms.text import normalise_mobile

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_sms.store.arrivals import DeliveryCounts
    from airflow_provider_sms.store.engine import Store

_ROUNDING = 1e-9


class WantedReplies(NamedTuple):
    """
    Which replies a sensor waits for.

    :param mobile: of this national number, or of anybody.
    :param pattern: whose text this finds, or any text.
    :param since: received at this time or later, aware.
    :param min_records: so many.
    """

    mobile: str | None
    pattern: re.Pattern[str] | None
    since: datetime
    min_records: int


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


def reports_of_send(store: Store, send_key: str, min_share: float) -> tuple[bool, dict[str, int]]:
    """
    Look whether enough of a send's messages have a final report.

    :return: whether they have, and the counts.
    :raises PreflightError: there is no such send, or the vendor accepted none of it: no report can come.
    """
    summary = Ledger(store).summary(send_key)
    where = f"send key {send_key!r}"
    if not summary.recipients:
        msg = "the store knows no such send: use the send_key that the send operator returned, and its store"
        raise PreflightError([msg], where)
    expected = summary.accepted + summary.unknown
    if not expected and not summary.not_sent:
        raise PreflightError(["the vendor accepted none of its messages, so no report will come"], where)
    counts = arrivals.delivery_of(store, send_key)
    final = counts.delivered + counts.failed
    return bool(expected) and final + _ROUNDING >= min_share * expected, _as_xcom(counts)


def reports_since(
    store: Store, conn_id: str, since: datetime, min_records: int
) -> tuple[bool, dict[str, int]]:
    """
    Look whether enough of an account's reports have landed.

    :return: whether they have, and the counts.
    """
    counts = arrivals.reports_since(store, conn_id, since)
    return sum(counts) >= min_records, _as_xcom(counts)


def wanted_replies(
    mobile: Any, pattern: Any, since: Any, min_records: Any, context: Context | dict[str, Any], task_id: str
) -> WantedReplies:
    """
    Check a reply sensor's parameters.

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
        moment = _moment(since) if since else moment
    except ValueError:
        problems.append(
            "since is no time: give a datetime or ISO text with a zone, 2026-12-24T08:30:00+08:00"
        )
    least = _number(1 if min_records in {None, ""} else min_records)
    if least is None or least < 1:
        problems.append(f"min_records is {min_records!r}: give a whole number above 0")
    if problems:
        raise PreflightError(problems, f"task {task_id!r}")
    return WantedReplies(number, compiled, moment, int(least or 1))


def replies(store: Store, conn_id: str, wanted: WantedReplies) -> tuple[bool, dict[str, Any]]:
    """
    Look whether enough of the replies have landed.

    :return: whether they have; and how many, with the ids of the first and the last (no text, no number).
    """
    found = [
        reply.reply_id
        for reply in arrivals.replies_since(store, conn_id, wanted.since, wanted.mobile)
        if wanted.pattern is None or wanted.pattern.search(reply.content)
    ]
    ends = {"first_reply_id": found[0] if found else None, "last_reply_id": found[-1] if found else None}
    return len(found) >= wanted.min_records, {"replies": len(found), **ends}


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


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _as_xcom(counts: DeliveryCounts) -> dict[str, int]:
    return {"reported": counts.delivered + counts.failed, **counts._asdict()}
