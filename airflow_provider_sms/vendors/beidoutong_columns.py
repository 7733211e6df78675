"""
A whole, ordinary page of beidoutong's reports by columns (§4.3), for pages of ten thousand.

The records of such a page are all of one form, one behind the other, in plain ASCII without references. They
are taken out by one expression, and what remains, the envelope around the first of them, goes through the
careful parser, which judges everything that is said about the page as a whole. An envelope in which exactly
that one record is read holds the others as well, since they stood in the same place and are built alike.
Whatever is not of this form is none of this file's business.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_sms.errors import VendorBusy, VendorRejected, WireFormatError
from airflow_provider_sms.records import DeliveryStatus, ReportColumns, ReportPage
from airflow_provider_sms.vendors.tiling import columns_of
from airflow_provider_sms.vendors.xml import LocalTimes

if TYPE_CHECKING:
    from collections.abc import Callable
    from zoneinfo import ZoneInfo

    from airflow_provider_sms.records import Page, Report
    from airflow_provider_sms.wire import WireResponse

_OPENED, _CLOSED = b"<WsStatusBox>", b"</WsStatusBox>"
#: Printable ASCII that means nothing to XML.
_TEXT = r"[ -%'-;=?-~]*"
_BLANKS = r"[ \t\r\n]*"
_RECORD = re.compile(
    rf"<WsStatusBox>{_BLANKS}<Mobile>(\+?[0-9]{{3,20}})</Mobile>"
    rf"{_BLANKS}<TaskID>([0-9A-Za-z_-]{{1,64}})</TaskID>"
    rf"{_BLANKS}<Status>(-?[0-9]{{1,9}})</Status>"
    rf"{_BLANKS}<ReceiveTime>({_TEXT})</ReceiveTime>"
    rf"{_BLANKS}<ErrorCode(?:>({_TEXT})</ErrorCode>| ?/>)"
    rf"{_BLANKS}<Extno(?:>({_TEXT})</Extno>| ?/>)"
    # Whatever is no record is swallowed whole, so that one look finds both the records and what is none.
    rf"{_BLANKS}</WsStatusBox>{_BLANKS}|(.+)",
    re.DOTALL,
)
_DELIVERED, _FAILED = DeliveryStatus.DELIVERED.value, DeliveryStatus.FAILED.value
_STATUSES = {"10": _DELIVERED, "20": _FAILED}
#: libxml2 refuses some things in documents of more than 10 MB; the careful parser has to say which.
_LONGEST = 8 << 20


def read_columns(
    response: WireResponse, zone: ZoneInfo, careful: Callable[[WireResponse], Page[Report]]
) -> ReportPage | None:
    """
    Read a page by columns; ``None`` if it is not of the ordinary form.

    :param zone: the vendor's time zone.
    :param careful: the careful parser.
    """
    places = _places(response)
    if places is None:
        return None
    columns = _columns(response.body[places.start : places.end], zone)
    if columns is None:
        return None
    page = _around_the_first(response, places, careful)
    return None if page is None else ReportPage(columns, page.declared)


def brings_reports(response: WireResponse, careful: Callable[[WireResponse], Page[Report]]) -> bool:
    """Tell whether a page is whole and has a first record that can be read; parameters as above."""
    places = _places(response)
    return places is not None and _around_the_first(response, places, careful) is not None


class _Places(NamedTuple):
    """Where in the body the records begin, the first of them ends, and the last."""

    start: int
    first_end: int
    end: int


def _places(response: WireResponse) -> _Places | None:
    body = response.body
    start, last = body.find(_OPENED), body.rfind(_CLOSED)
    first = body.find(_CLOSED, start)
    # One record is its own envelope: nothing would be won.
    if start < 0 or not start < first < last or len(body) > _LONGEST or not response.complete:
        return None
    return _Places(start, first + len(_CLOSED), last + len(_CLOSED))


def _around_the_first(
    response: WireResponse, places: _Places, careful: Callable[[WireResponse], Page[Report]]
) -> Page[Report] | None:
    """Read the envelope and the first record, and nothing else; ``None`` unless all is as usual."""
    body = response.body
    try:
        page = careful(replace(response, body=body[: places.first_end] + body[places.end :]))
    except (WireFormatError, VendorRejected, VendorBusy):
        return None
    as_usual = page.complete and not page.problem and not page.gaps and len(page.records) == 1
    return page if as_usual else None


def _columns(records: bytes, zone: ZoneInfo) -> ReportColumns | None:
    if not records.isascii():
        return None
    found = columns_of(_RECORD, records.decode("ascii"))
    if found is None:
        return None
    mobiles, tasks, statuses, times, codes, extnos = found
    if "0" in tasks:
        return None
    known = LocalTimes(zone)
    try:
        for time in set(times):
            _ = known[time]
    except ValueError:
        return None
    # What the document does not list is neither delivered nor failed.
    meanings = {status: _STATUSES.get(status, DeliveryStatus.UNKNOWN.value) for status in set(statuses)}
    return ReportColumns(
        tasks,
        mobiles,
        list(map(meanings.__getitem__, statuses)),
        statuses,
        _said(codes),
        _said(extnos),
        list(map(known.__getitem__, times)),
    )


def _said(values: list[str | None]) -> list[str]:
    """Give what elements say of which some may be closed at once."""
    return [value or "" for value in values]
