"""The batches that no vendor accepted, and what the vendors answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import String, func, literal_column, select

from airflow_provider_sms.records import BatchState
from airflow_provider_sms.store.frames.asking import asked_days
from airflow_provider_sms.store.frames.fields import Field, Kind
from airflow_provider_sms.store.frames.messages import submitted_within
from airflow_provider_sms.store.frames.reading import read, text_type
from airflow_provider_sms.store.schema import batches

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd
    from sqlalchemy import ColumnElement

    from airflow_provider_sms.store.engine import Store

_FIELDS = (
    Field("conn_id", Kind.TEXT, "id of the Airflow connection"),
    Field("vendor", Kind.TEXT, "name of the vendor"),
    Field("state", Kind.TEXT, "of the batches"),
    Field("vendor_code", Kind.TEXT, "the vendor's answer, or an empty text"),
    Field("batches", Kind.WHOLE, "how many"),
    Field("recipients", Kind.WHOLE, "of these batches"),
)


def refusals_frame(store: Store, start: date, end: date, *, timezone: str = "Asia/Shanghai") -> pd.DataFrame:
    """
    Count the batches of some days that are not ``accepted``, by what is known of them.

    Columns: ``conn_id``, ``vendor``, ``state`` (any but ``accepted``), ``vendor_code`` (text; empty where
    the vendor gave none), ``batches``, ``recipients`` (``int64``). The most recipients first.

    :param start: first local day of the submit (of the plan, if it was never submitted).
    :param end: last local day, included.
    :param timezone: whose days.
    :raises PreflightError: a day is no date, or the zone is none.
    :raises StoreUnavailable: the store is away.
    """
    spans = asked_days(timezone, start=start, end=end)
    code = func.coalesce(batches.c.vendor_code, literal_column("''", String))
    places: list[ColumnElement[Any]] = [literal_column(str(place)) for place in range(1, 5)]
    statement = (
        select(
            batches.c.conn_id,
            batches.c.vendor,
            batches.c.state,
            code,
            func.count(),
            func.sum(batches.c.recipients),
        )
        .where(
            batches.c.state != BatchState.ACCEPTED.value, *submitted_within(spans[0].since, spans[-1].until)
        )
        .group_by(*places)
        .order_by(func.sum(batches.c.recipients).desc(), *places)
    )
    with store.reading() as connection:
        frame = read(connection, statement, _FIELDS)
    return frame.astype({field.name: text_type() for field in _FIELDS if field.kind is Kind.TEXT})
