"""Messages with their final status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, or_

from airflow_provider_sms.store.frames.asking import asked_span
from airflow_provider_sms.store.frames.fields import CODE_MEANING, Field, Kind
from airflow_provider_sms.store.frames.reading import read
from airflow_provider_sms.store.schema import batches, recipients
from airflow_provider_sms.store.views import message_status

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd
    from sqlalchemy import ColumnElement, Select

    from airflow_provider_sms.store.engine import Store

FIELDS = (
    Field("send_key", Kind.LABEL, "names the send"),
    Field("batch_no", Kind.WHOLE, "number of the batch within its send"),
    Field("seq", Kind.WHOLE, "place within the batch"),
    Field("conn_id", Kind.LABEL, "id of the Airflow connection"),
    Field("vendor", Kind.LABEL, "name of the vendor"),
    Field("mobile", Kind.TEXT, "the number: national, digits only"),
    Field("segments", Kind.WHOLE, "messages it is charged as"),
    Field(
        "state",
        Kind.LABEL,
        "of its batch: `prepared` `submitting` `accepted` `rejected` `not_sent` `unknown`",
    ),
    Field("delivery", Kind.LABEL, "`delivered` `failed` `pending` `silent`; missing where it did not go out"),
    Field("submitted_at", Kind.TIME, "when it was handed to the vendor last"),
    Field(
        "reported_at",
        Kind.TIME,
        "when the report says it happened; when it was read, where it says no time (wavecom)",
    ),
    Field(
        "latency_seconds",
        Kind.NUMBER,
        "from the submit, or the time it was scheduled for, to `reported_at`: with wavecom to the reading;"
        " missing where an earlier submit of the batch was reported",
    ),
    Field("error_code", Kind.LABEL, f"{CODE_MEANING}; missing without a report"),
    Field("template_id", Kind.LABEL, "names its template; missing where all got one text"),
)
CONTENT = Field("content", Kind.TEXT, "the text this recipient got")
#: When a message was submitted, or planned if it never was: the moment by which it belongs to a day.
MOMENT = func.coalesce(batches.c.submitted_at, batches.c.prepared_at)


def message_frame(store: Store, start: datetime, end: datetime) -> pd.DataFrame:
    """
    Give one row per message submitted (or planned, if it never was) in a span of time.

    Of a message's reports the best speaks: a final status is never overwritten by "pending" or by an
    earlier one, in whatever order they came and however often. Ordered by send, batch and place. What
    the columns mean is told by :func:`~airflow_provider_sms.store.views.message_status`.

    Columns: ``send_key`` (``category``), ``batch_no``, ``seq`` (``int64``), ``conn_id``, ``vendor``
    (``category``), ``mobile`` (text), ``segments`` (``int64``), ``state``, ``delivery`` (``category``),
    ``submitted_at``, ``reported_at`` (``datetime64[us, UTC]``), ``latency_seconds`` (``float64``),
    ``error_code``, ``template_id`` (``category``).

    :param start: aware.
    :param end: aware, not included.
    :raises PreflightError: a moment has no zone, or is none.
    :raises StoreUnavailable: the store is away.
    """
    start, end = asked_span(start, end)
    with store.sweeping() as connection:
        return read(connection, messages(start, end), FIELDS)


def messages(start: datetime, end: datetime, *, texts: bool = False) -> Select[Any]:
    """Select the messages of a span of time, as :data:`FIELDS`; with their texts behind if asked."""
    more = (func.coalesce(recipients.c.content, batches.c.content).label("content"),) if texts else ()
    told = message_status(*submitted_within(start, end), more=more)
    columns = told.selected_columns
    return told.order_by(columns.send_key, columns.batch_no, columns.seq)


def submitted_within(start: datetime, end: datetime) -> tuple[ColumnElement[bool], ...]:
    """Say which batches belong to a span of time, in a way that indexes answer."""
    when, planned = batches.c.submitted_at, batches.c.prepared_at
    return (
        or_(
            and_(when >= start, when < end),
            and_(when.is_(None), planned >= start, planned < end),
        ),
    )
