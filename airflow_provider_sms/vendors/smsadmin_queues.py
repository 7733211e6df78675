"""
Pages of smsadmin's queues: one record a line, ``number/time/linkid/value/extno`` (§7, §8).

The pages carry no count, so only the line break behind a record says that it is all there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from airflow_provider_sms import text
from airflow_provider_sms.records import DeliveryStatus, Reply, Report, ReportColumns, ReportPage
from airflow_provider_sms.vendors.base import LONGEST_TEXT
from airflow_provider_sms.vendors.tiling import columns_of

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from airflow_provider_sms.wire import WireResponse

NUMBER = r"\+?[0-9]{3,20}"
_MINUTE = r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2} [0-9]{1,2}:[0-9]{2}"
_TIME = rf"{_MINUTE}:[0-9]{{2}}"
_LINKID = "([0-9A-Za-z_-]{0,64})"
_HEAD = rf"({NUMBER})/({_TIME})/{_LINKID}/"
#: Where no field holds text of a person's own, nothing can be forged, and the loose forms are as certain.
LOOSE_TIME = rf"(?:{_MINUTE}(?::[0-9]{{2}}(?:\.[0-9]{{1,7}})?)?)?"
_LOOSE_HEAD = rf"({NUMBER})/({LOOSE_TIME})/{_LINKID}/"
_EXTNO = r"/([0-9]{0,24})"
#: §8; the statuses are listed nowhere, so any word is one.
STATUS = r"[^/\x00-\x1f]{0,64}"
REPORT_LINE = re.compile(rf"{_LOOSE_HEAD}({STATUS}){_EXTNO}")
#: §7, ``reve_urlencode``: an escaped content holds neither "/" nor a line break.
ESCAPED_REPLY_LINE = re.compile(rf"{_LOOSE_HEAD}((?:[0-9A-Za-z+_.~*!'(),:;@$=-]|%[0-9A-Fa-f]{{2}})*){_EXTNO}")
#: §7, ``reve``: the content may hold "/"; the other fields cannot, so both ends of the line are certain.
PLAIN_REPLY_LINE = re.compile(rf"{_HEAD}(.*){_EXTNO}")

_NO_TIME = "0000-00-00 00:00:00"
_DELIVERED = frozenset({"DELIVRD"})
_PENDING = frozenset({"ACCEPTD", "ENROUTE"})
_FAILED = frozenset({"UNDELIV", "EXPIRED", "DELETED", "REJECTD"})
#: Blacklists (``DTBLACK``, ``MBBLACK``) and the gateways' own codes (``MA:0001``, ``CB:0010``).
_FAILED_FAMILY = re.compile(r"[A-Z]*BLACK[A-Z]*|[A-Z]{1,3}:(?!0+\Z)[0-9A-Z]{1,5}")
#: What a line begins with that is a record, whatever is wrong with the rest of it.
_RECORD_BEGUN = re.compile(rf"{NUMBER}/")


#: Statuses whose word says more than they do.
_UNEXPLAINED = frozenset({DeliveryStatus.FAILED, DeliveryStatus.UNKNOWN})

# Whatever is no line is swallowed whole, so that one look finds both the lines and what is none.
_REPORT_LINE_OR_REST = re.compile(rf"{REPORT_LINE.pattern}[ \t\r]*(?:\n|\Z)|(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Lines:
    """
    The records of a page.

    :param fields: the fields of each record, in the vendor's order; ``None`` for one that cannot be read.
    :param complete: whether the last line is whole, too.
    :param misfit: the first line that is no record, counted from 1; then nothing else is meant to be used.
    """

    fields: list[tuple[str, ...] | None]
    complete: bool = True
    misfit: int = 0


def read_lines(body: str, pattern: re.Pattern[str], *, whole: bool) -> Lines:
    """
    Read the records of a page.

    :param whole: whether the body is known to be whole.
    """
    *lines, last = body.split("\n")
    fields: list[tuple[str, ...] | None] = []
    # A content that is not escaped may hold a line break, and then whose the lines are cannot be told.
    lenient = pattern is not PLAIN_REPLY_LINE
    for position, raw in enumerate(lines, 1):
        line = raw.strip(" \t\r")
        if not line:
            continue
        found = pattern.fullmatch(line)
        if found is None and not (lenient and _RECORD_BEGUN.match(line)):
            return Lines([], misfit=position)
        fields.append(found.groups() if found else None)
    last = last.strip(" \t\r")
    if not whole:
        # A record begins with a number: anything else was never the beginning of one.
        begun = not last or last[0] in "+0123456789"
        return Lines(fields, complete=False, misfit=0 if begun else len(lines) + 1)
    if not last:
        return Lines(fields)
    found = pattern.fullmatch(last)
    if found is not None:
        return Lines([*fields, found.groups()])
    # Behind whole records it is one that a closed connection cut off; alone it could be anything.
    return Lines(fields, complete=False, misfit=0 if fields else len(lines) + 1)


def read_columns(response: WireResponse, zone: ZoneInfo) -> ReportPage | None:
    """
    Read a whole page of reports by columns; ``None`` if it is anything but ASCII lines of the ordinary form.

    :param zone: the vendor's time zone.
    """
    if response.status != HTTPStatus.OK or not response.complete or not response.body.isascii():
        return None
    if len(response.body) > LONGEST_TEXT:
        return None
    found = columns_of(_REPORT_LINE_OR_REST, response.body.decode("ascii"))
    if found is None:
        return None
    mobiles, written, linkids, words, extnos = found
    try:
        times = {time: utc(time, zone) for time in set(written)}
    except ValueError:
        return None
    meanings = {word: status_of(word) for word in set(words)}
    unexplained = {word for word, status in meanings.items() if status in _UNEXPLAINED}
    values = {word: status.value for word, status in meanings.items()}
    columns = ReportColumns(
        list(map(reference_of, linkids)),
        mobiles,
        list(map(values.__getitem__, words)),
        words,
        [word if word in unexplained else "" for word in words],
        extnos,
        list(map(times.__getitem__, written)),
    )
    return ReportPage(columns)


def utc(written: str, zone: ZoneInfo) -> datetime | None:
    """
    Read a local time as UTC; nothing for an empty one or ``0000-00-00 00:00:00``.

    :raises ValueError: when it is no time.
    """
    if not written or written == _NO_TIME:
        return None
    try:
        local = datetime.fromisoformat(written)
    except ValueError:
        # "2014-10-1 9:05:03": the document shows two digits, the loose form is as certain.
        layout = "%Y-%m-%d %H:%M:%S" if written.count(":") > 1 else "%Y-%m-%d %H:%M"
        local = datetime.strptime(written, layout)  # noqa: DTZ007 - the zone follows
    try:
        return local.replace(tzinfo=zone).astimezone(UTC)
    except OverflowError as error:
        msg = "outside the calendar"
        raise ValueError(msg) from error


def report_of(fields: tuple[str, ...], zone: ZoneInfo) -> Report:
    """
    Make a report of ``number/time/linkid/status/extno``.

    :raises ValueError: when the time is none.
    """
    mobile, time, linkid, word, extno = fields
    status = status_of(word)
    error_code = word if status in _UNEXPLAINED else ""
    return Report(reference_of(linkid), mobile, status, word, error_code, extno, utc(time, zone))


def reply_of(fields: tuple[str, ...], zone: ZoneInfo, charset: str | None) -> Reply:
    """
    Make a reply of ``number/time/linkid/content/extno``.

    :param charset: charset of the escaped content; ``None`` where it is not escaped.
    :raises ValueError: when the time is none.
    """
    mobile, time, linkid, content, extno = fields
    if charset is not None:
        # Encoders of forms write a blank as "+"; all of them escape a "+" of the content.
        content = text.decode(unquote_to_bytes(content.replace("+", " ")), charset)
    return Reply(reference_of(linkid), mobile, content, extno, utc(time, zone))


def reference_of(linkid: str) -> str:
    """Give the linkid; a submit without one is answered with nothing or ``0`` (§7, §8)."""
    return "" if linkid == "0" else linkid


def status_of(word: str) -> DeliveryStatus:
    """
    Translate a status word.

    The document lists none. A word of no known family is ``unknown``, not ``failed``: "failed" makes
    people send again, and the word itself is kept beside it.
    """
    word = word.strip().upper()
    if word in _DELIVERED:
        return DeliveryStatus.DELIVERED
    if word in _PENDING:
        return DeliveryStatus.PENDING
    if word in _FAILED or _FAILED_FAMILY.fullmatch(word):
        return DeliveryStatus.FAILED
    return DeliveryStatus.UNKNOWN
