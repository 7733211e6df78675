"""Reports, replies and balances as they stand in their tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from airflow_provider_sms.store.frames.asking import asked_span
from airflow_provider_sms.store.frames.fields import CODE_MEANING, Field, Kind
from airflow_provider_sms.store.frames.reading import read
from airflow_provider_sms.store.schema import balances, pages, replies, reports

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import pandas as pd
    from sqlalchemy import Select, Table

    from airflow_provider_sms.store.engine import Store

_NAME = (
    Field("page_id", Kind.LABEL, "the page it came with"),
    Field("seq", Kind.WHOLE, "its place in the page"),
    Field("conn_id", Kind.LABEL, "id of the Airflow connection"),
    Field("vendor", Kind.LABEL, "name of the vendor"),
    Field("vendor_message_id", Kind.TEXT, "the vendor's id"),
    Field("mobile", Kind.TEXT, "the number: national, digits only"),
)
_SOURCE = Field("time_source", Kind.LABEL, "whether the time is the vendor's, or that of the reading")
_LANDED = Field("landed_at", Kind.TIME, "when the row was committed")
REPORTS = (
    *_NAME,
    Field("status", Kind.LABEL, "`delivered` `failed` `pending` `unknown`"),
    Field("vendor_status", Kind.LABEL, "the status in the vendor's own words"),
    Field("error_code", Kind.LABEL, CODE_MEANING),
    Field("extno", Kind.LABEL, "extension digits behind the sender's number"),
    Field("reported_at", Kind.TIME, "when it happened; when it was read, where no time was told (wavecom)"),
    _SOURCE,
    _LANDED,
)
CONTENT = Field("content", Kind.TEXT, "the text of the reply, line breaks and all")
REPLIES = (
    *_NAME,
    CONTENT,
    Field("extno", Kind.LABEL, "extension digits behind the sender's number"),
    Field(
        "received_at",
        Kind.TIME,
        "when the person answered; when it was read, where no time was told (wavecom)",
    ),
    _SOURCE,
    _LANDED,
)
BALANCES = (
    Field("conn_id", Kind.LABEL, "id of the Airflow connection"),
    Field("vendor", Kind.LABEL, "name of the vendor"),
    Field("checked_at", Kind.TIME, "when the vendor told it"),
    Field("remaining", Kind.NUMBER, "what is left"),
    Field("unit", Kind.LABEL, "`messages`, or `money` (CNY)"),
    Field("total", Kind.NUMBER, "all that was ever bought, where the vendor says so"),
    Field("pay_mode", Kind.LABEL, "`prepaid`, `postpaid` or an empty text"),
    Field("source", Kind.LABEL, "`check`, or `answer` where the answer to a send told it (beidoutong)"),
)


def replies_frame(store: Store, start: datetime, end: datetime) -> pd.DataFrame:
    """
    Give one row per reply received in a span of time.

    Columns: ``page_id`` (``category``), ``seq`` (``int64``), ``conn_id``, ``vendor`` (``category``),
    ``vendor_message_id``, ``mobile``, ``content`` (text), ``extno`` (``category``), ``received_at``
    (``datetime64[us, UTC]``), ``time_source`` (``category``: ``vendor``, or ``read`` where the vendor told
    no time), ``landed_at`` (``datetime64[us, UTC]``). Ordered by time. The content is what people wrote: a
    spreadsheet takes one that starts with ``=`` for a formula.

    :param start: aware.
    :param end: aware, not included.
    :raises PreflightError: a moment has no zone, or is none.
    :raises StoreUnavailable: the store is away.
    """
    start, end = asked_span(start, end)
    span = (replies.c.received_at >= start, replies.c.received_at < end)
    statement = _columns(replies, REPLIES).where(*span)
    ordered = statement.order_by(replies.c.received_at, replies.c.page_id, replies.c.seq)
    with store.sweeping() as connection:
        return read(connection, ordered, REPLIES)


def reports_frame(store: Store, start: datetime, end: datetime) -> pd.DataFrame:
    """
    Give one row per delivery report that landed in a span of time, doubles and all.

    Columns: ``page_id`` (``category``), ``seq`` (``int64``), ``conn_id``, ``vendor`` (``category``),
    ``vendor_message_id``, ``mobile`` (text), ``status``, ``vendor_status``, ``error_code``, ``extno``
    (``category``), ``reported_at`` (``datetime64[us, UTC]``), ``time_source`` (``category``),
    ``landed_at`` (``datetime64[us, UTC]``). Ordered by page and place.

    :param start: aware.
    :param end: aware, not included.
    :raises PreflightError: a moment has no zone, or is none.
    :raises StoreUnavailable: the store is away.
    """
    start, end = asked_span(start, end)
    with store.sweeping() as connection:
        return read(connection, landed_reports(start, end), REPORTS)


def balances_frame(store: Store, start: datetime, end: datetime) -> pd.DataFrame:
    """
    Give one row per balance that a vendor told in a span of time.

    Columns: ``conn_id``, ``vendor`` (``category``), ``checked_at`` (``datetime64[us, UTC]``),
    ``remaining`` (``float64``), ``unit`` (``category``), ``total`` (``float64``), ``pay_mode``,
    ``source`` (``category``). Ordered by connection and time.

    :param start: aware.
    :param end: aware, not included.
    :raises PreflightError: a moment has no zone, or is none.
    :raises StoreUnavailable: the store is away.
    """
    start, end = asked_span(start, end)
    with store.sweeping() as connection:
        return read(connection, told_balances(start, end), BALANCES)


def landed_reports(start: datetime, end: datetime) -> Select[Any]:
    """Select the reports that landed in a span of time, as :data:`REPORTS`."""
    return _landed(reports, REPORTS, start, end)


def landed_replies(start: datetime, end: datetime) -> Select[Any]:
    """Select the replies that landed in a span of time, as :data:`REPLIES`."""
    return _landed(replies, REPLIES, start, end)


def told_balances(start: datetime, end: datetime) -> Select[Any]:
    """Select the balances of a span of time, as :data:`BALANCES`."""
    span = (balances.c.checked_at >= start, balances.c.checked_at < end)
    order = (balances.c.conn_id, balances.c.checked_at, balances.c.id)
    return _columns(balances, BALANCES).where(*span).order_by(*order)


def _landed(table: Table, fields: Sequence[Field], start: datetime, end: datetime) -> Select[Any]:
    # The rows have no index by time. Pages are hundreds of times fewer, and none landed before its rows.
    span = (pages.c.landed_at >= start, table.c.landed_at >= start, table.c.landed_at < end)
    statement = _columns(table, fields).join(pages, pages.c.page_id == table.c.page_id).where(*span)
    return statement.order_by(table.c.page_id, table.c.seq)


def _columns(table: Table, fields: Sequence[Field]) -> Select[Any]:
    return select(*(table.c[field.name] for field in fields))
