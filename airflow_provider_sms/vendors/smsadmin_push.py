"""Events that smsadmin pushes: form fields in GB2312, in the body or in the query (§9, §10)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from airflow_provider_sms import text
from airflow_provider_sms.records import Pushed
from airflow_provider_sms.vendors.smsadmin_queues import LOOSE_TIME, NUMBER, STATUS, reply_of, report_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

_MOBILE = re.compile(NUMBER)
# What is certain in a line of a poll is so in a field of its own.
_TIME = re.compile(LOOSE_TIME)
_STATUS = re.compile(STATUS)
_CLASSES = {
    "mo": ("Message", "RevertTime"),  # §9
    "rpt": ("Report", "ReportTime"),  # §10
}
_NAMES = {
    name.lower(): name for name in ("Class", "SmsName", "Mobile", "LinkId", *_CLASSES["mo"], *_CLASSES["rpt"])
}


class NoEventError(ValueError):
    """The fields are no event; the text says which field, and holds no value."""


def read_event(query: str, body: bytes, charset: str, zone: ZoneInfo) -> Pushed:
    """
    Read one event.

    :param query: raw query string; bytes above 127 that are not escaped stand in it as Latin-1.
    :raises NoEventError: when a field is missing, given twice, or not what the document says.
    """
    fields = _fields(query, body, charset)
    names = _CLASSES.get(_given(fields, "Class").strip().lower())
    if names is None:
        msg = "field 'Class' is neither 'mo' nor 'rpt'"
        raise NoEventError(msg)
    value_name, time_name = names
    account = _given(fields, "SmsName").strip()
    mobile = _given(fields, "Mobile").strip()
    linkid = _given(fields, "LinkId").strip()
    value = _given(fields, value_name)
    time = _given(fields, time_name).strip()
    misfits = {
        "SmsName": not account,
        "Mobile": not _MOBILE.fullmatch(mobile),
        "Report": value_name == "Report" and not _STATUS.fullmatch(value.strip()),
        # Whoever answers 200 has taken the only copy: a content that cannot be read stays bytes.
        "Message": value_name == "Message" and "\ufffd" in value,
        time_name: not _TIME.fullmatch(time),
    }
    for name, misfit in misfits.items():
        if misfit:
            msg = f"field {name!r} does not hold what belongs there"
            raise NoEventError(msg)
    try:
        if value_name == "Report":
            return Pushed(account, report_of((mobile, time, linkid, value.strip(), ""), zone))
        return Pushed(account, reply_of((mobile, time, linkid, value, ""), zone, None))
    except ValueError:
        msg = f"field {time_name!r} holds no time"
        raise NoEventError(msg) from None


def _given(fields: dict[str, str], name: str) -> str:
    if name not in fields:
        msg = f"field {name!r} is missing"
        raise NoEventError(msg)
    return fields[name]


def _fields(query: str, body: bytes, charset: str) -> dict[str, str]:
    try:
        raw_query = query.encode("latin-1")
    except UnicodeEncodeError:
        msg = "the query holds characters that are no bytes"
        raise NoEventError(msg) from None
    fields: dict[str, str] = {}
    # The text says POST, the example is a query (§9): one event may come either way, or half and half.
    for raw in (raw_query, body):
        for name, value in _pairs(raw.strip(), charset):
            if fields.setdefault(name, value) != value:
                msg = f"field {name!r} is given twice"
                raise NoEventError(msg)
    return fields


def _pairs(raw: bytes, charset: str) -> Iterator[tuple[str, str]]:
    """Give the fields that are known, each as often as it is there."""
    name, value, between = "", b"", b""
    # No second byte of a GB character is a "&", "=", "+" or "%": splitting bytes is safe.
    for piece in raw.split(b"&"):
        raw_name, equals, raw_value = piece.partition(b"=")
        known = _NAMES.get(_unescaped(raw_name, charset).strip().lower())
        if known is None and not equals and name == "Message":
            # The document's own example escapes nothing (§9): this is how "&" in a person's text looks then.
            between += b"&" + piece
            if piece.strip():
                value, between = value + between, b""
            continue
        if known is None and name == "Message" and b"%" not in value:
            # "Q&A=none" of somebody's, or a field that no document knows: dropped, or added to the text, it
            # might be a part of it that is lost, or none. Where the text is escaped, it is a field.
            msg = "what follows the field 'Message' may be a part of it"
            raise NoEventError(msg)
        if name:
            yield name, _unescaped(value, charset)
        name, value, between = known or "", raw_value, b""
    if name:
        yield name, _unescaped(value, charset)


def _unescaped(raw: bytes, charset: str) -> str:
    # Whoever writes a blank as "+" also escapes what is not ASCII: beside either of them, it is a plus.
    plain = b" " in raw.strip() or not raw.isascii()
    return text.decode(unquote_to_bytes(raw if plain else raw.replace(b"+", b" ")), charset)
