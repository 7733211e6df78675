"""
A whole page of wavecom's reports by columns (§1.1.2).

A page in plain ASCII whose records follow each other without anything between them, as many as it declares,
leaves nothing to judge. Every other page is the careful parser's.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from airflow_provider_sms.records import DeliveryStatus, ReportColumns, ReportPage
from airflow_provider_sms.vendors.base import LONGEST_TEXT
from airflow_provider_sms.vendors.tiling import columns_of

if TYPE_CHECKING:
    from airflow_provider_sms.wire import WireResponse

_BLANKS = " \t\r\n"
_COUNT = re.compile(r"[0-9]{1,6}")
# Whatever is no record is swallowed whole, so that one look finds both the records and what is none.
_RECORD = re.compile(r"([0-9A-Za-z_-]{1,64});(\+?[0-9]{3,20});(-?[0-9]{1,6})(?:\||\Z)|(.+)", re.DOTALL)
#: Beginnings of the statuses below. At the end of a page, what they are may have been cut off.
BEGINNINGS = frozenset({"1", "2"})
_UNKNOWN = DeliveryStatus.UNKNOWN.value
_STATUSES = {
    "-1": DeliveryStatus.PENDING.value,
    "10": DeliveryStatus.DELIVERED.value,
    "20": DeliveryStatus.FAILED.value,
}


def read_columns(response: WireResponse) -> ReportPage | None:
    """Read a page by columns; ``None`` if it is not of the ordinary form. The vendor gives no times."""
    if response.status != HTTPStatus.OK or not response.complete or not response.body.isascii():
        return None
    if len(response.body) > LONGEST_TEXT:
        return None
    answer = response.body.decode("ascii").strip(_BLANKS)
    declared, _, records = answer.partition("|")
    found = columns_of(_RECORD, records)
    if found is None or not _COUNT.fullmatch(declared) or len(found[0]) != int(declared):
        return None
    ids, mobiles, statuses = found
    if statuses[-1] in BEGINNINGS and not records.endswith("|"):
        return None
    meanings = {status: _STATUSES.get(status, _UNKNOWN) for status in set(statuses)}
    nothing, never = [""] * len(ids), [None] * len(ids)
    columns = ReportColumns(
        ids, mobiles, list(map(meanings.__getitem__, statuses)), statuses, nothing, nothing, never
    )
    return ReportPage(columns, len(ids))
