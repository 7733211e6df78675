"""How many messages took how long, counted in the database: what distributions are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, case, cast, func, literal_column, select

from airflow_provider_sms.records import DeliveryStatus
from airflow_provider_sms.store.frames.asking import asked_days
from airflow_provider_sms.store.frames.fields import Field, Kind
from airflow_provider_sms.store.frames.messages import submitted_within
from airflow_provider_sms.store.frames.reading import read
from airflow_provider_sms.store.views import message_status

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd
    from sqlalchemy import Select

    from airflow_provider_sms.store.engine import Store
    from airflow_provider_sms.store.frames.days import Span

#: Latencies from here on are told in whole seconds, shorter ones in tenths.
_COARSE = 60
_FIELDS = (
    Field("conn_id", Kind.LABEL, "id of the Airflow connection"),
    Field("tenths", Kind.WHOLE, "tenths of a second, rounded down"),
    Field("messages", Kind.WHOLE, "delivered messages that took so long"),
)


def latency_counts(store: Store, start: date, end: date, *, timezone: str = "Asia/Shanghai") -> pd.DataFrame:
    """
    Count the delivered messages of some days by their latency, whatever their number in little memory.

    Columns: ``conn_id`` (text), ``seconds`` (``float64``: rounded down to tenths below a minute, else to
    seconds), ``messages`` (``int64``). Ordered by connection and latency.

    :param start: first local day of the submit.
    :param end: last local day, included.
    :param timezone: whose days.
    :raises PreflightError: a day is no date, or the zone is none.
    :raises StoreUnavailable: the store is away.
    """
    import pandas as pd

    spans = asked_days(timezone, start=start, end=end)
    with store.sweeping() as connection:
        parts = [read(connection, _statement(span), _FIELDS).astype({"conn_id": "object"}) for span in spans]
    counts = (
        pd.concat(parts, ignore_index=True)
        if parts
        else pd.DataFrame(columns=["conn_id", "tenths", "messages"])
    )
    summed = counts.groupby(["conn_id", "tenths"], as_index=False, sort=True)["messages"].sum()
    seconds = summed["tenths"].astype("float64") / 10
    return pd.DataFrame(
        {"conn_id": summed["conn_id"], "seconds": seconds, "messages": summed["messages"].astype("int64")}
    )


def _statement(span: Span) -> Select[Any]:
    told = message_status(*submitted_within(span.since, span.until)).subquery("told")
    seconds = told.c.latency_seconds
    tenths = case(
        (seconds < _COARSE, func.floor(seconds * 10)),
        else_=func.floor(seconds) * 10,
    )
    return (
        select(told.c.conn_id, cast(tenths, Integer), func.count())
        .where(told.c.delivery == DeliveryStatus.DELIVERED.value, seconds.is_not(None))
        .group_by(literal_column("1"), literal_column("2"))
    )
