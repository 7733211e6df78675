"""
The pages of beidoutong's two queues: reports (§4.3) and replies (§5.3).

A record that cannot be read is left out and named; what stands before and after it is kept, since the page
is the only copy. Nothing is guessed: a field is read as documented, or its record is not read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_sms.records import DeliveryStatus, Page, Reply, Report
from airflow_provider_sms.vendors.xml import LocalTimes

if TYPE_CHECKING:
    from collections.abc import Callable
    from zoneinfo import ZoneInfo

    from airflow_provider_sms.records import RecordT
    from airflow_provider_sms.vendors.xml import Answer

    Row = tuple[str | None, ...]

_STATUSES = {"10": DeliveryStatus.DELIVERED, "20": DeliveryStatus.FAILED}  # §4.3
_NUMBER = re.compile(r"\+?[0-9]{3,20}")
_TASK = re.compile(r"[0-9A-Za-z_-]{1,64}")
_STATUS = re.compile(r"-?[0-9]{1,9}")


class QueueNames(NamedTuple):
    """Names in the answer of one queue."""

    operation: str
    type_name: str
    list_name: str
    record_name: str
    fields: tuple[str, ...]


REPORTS = QueueNames(  # §4.3
    "QueryStatus",
    "WsStatusResponse",
    "StatusList",
    "WsStatusBox",
    ("Mobile", "TaskID", "Status", "ReceiveTime", "ErrorCode", "Extno"),
)
REPLIES = QueueNames(  # §5.3
    "QueryCall",
    "WsCallResponse",
    "CallList",
    "WsCallBox",
    ("Mobile", "TaskID", "Content", "ReceiveTime", "Extno"),
)


def report_reader(zone: ZoneInfo) -> Callable[[Row], Report | str]:
    """Make the reader of one page's reports; for one that cannot be read it gives the field's name."""
    times = LocalTimes(zone)
    match_number, match_task, match_status = _NUMBER.fullmatch, _TASK.fullmatch, _STATUS.fullmatch

    def read(row: Row) -> Report | str:
        mobile, task, status, time, error_code, extno = row
        if mobile is None or not match_number(mobile := mobile.strip()):
            return "Mobile"
        # A report is about a message, so it has to name one.
        if task is None or not match_task(task := task.strip()) or task == "0":
            return "TaskID"
        status = (status or "").strip()
        known = _STATUSES.get(status)
        if known is None:
            if not match_status(status):
                return "Status"
            known = DeliveryStatus.UNKNOWN
        try:
            moment = times[time or ""]
        except ValueError:
            return "ReceiveTime"
        return Report(task, mobile, known, status, error_code or "", extno or "", moment)

    return read


def reply_reader(zone: ZoneInfo) -> Callable[[Row], Reply | str]:
    """Make the reader of one page's replies; for one that cannot be read it gives the field's name."""
    times = LocalTimes(zone)

    def read(row: Row) -> Reply | str:
        mobile, task, content, time, extno = row
        if mobile is None or not _NUMBER.fullmatch(mobile := mobile.strip()):
            return "Mobile"
        if (task := read_task(task)) is None:
            return "TaskID"
        # An empty text is a text; a text that is not there is a page that changed its form.
        if content is None:
            return "Content"
        try:
            moment = times[time or ""]
        except ValueError:
            return "ReceiveTime"
        return Reply(task, mobile, content, extno or "", moment)

    return read


def read_task(written: str | None) -> str | None:
    """
    Read a TaskID.

    :return: ``""`` where there is none, which .NET writes as 0 where the type is int; ``None`` if unreadable.
    """
    task = (written or "").strip()
    if task in {"", "0"}:
        return ""
    return task if _TASK.fullmatch(task) else None


def read_page(answer: Answer, names: QueueNames, read: Callable[[Row], RecordT | str]) -> Page[RecordT]:
    """
    Make a page of an answer, keeping every record that can be read.

    :param read: gives the record, or the name of the field that cannot be read.
    """
    records: list[RecordT] = []
    gaps: list[int] = []
    reasons: list[str] = []
    for position, row in enumerate(answer.rows(names.record_name, names.fields)):
        record = row if isinstance(row, str) else read(row)
        if isinstance(record, str):
            gaps.append(position)
            why = record if record is row else f"has no readable {record}"
            reasons.append(f"{names.record_name} {position + 1} {why}")
        else:
            records.append(record)
    problems = [answer.problem] if answer.problem else []
    # Three are enough to see what is the matter.
    problems += reasons[:3]
    if len(reasons) > 3:  # noqa: PLR2004
        problems.append(f"{len(reasons)} in all cannot be read")
    if contradiction := _contradiction(answer, names, any_record=bool(records or gaps)):
        problems.append(contradiction)
    if not problems:
        return Page(records)
    problem = f"{len(records)} records can be read; {'; '.join(problems)}"
    return Page(records, complete=False, problem=problem, gaps=tuple(gaps))


def _contradiction(answer: Answer, names: QueueNames, *, any_record: bool) -> str:
    """Compare what a page says of itself with what it holds (§4.3, §5.3)."""
    status = answer.fields.get("ReturnStatus", "").strip()
    # The cut may have taken what is missing.
    if not answer.closed:
        return ""
    if any_record:
        return "" if status == "1" else "there are records, although the ReturnStatus is not 1"
    if status == "1" and answer.records is None:
        return f"the ReturnStatus says that records follow, but there is no {names.list_name}"
    return ""
