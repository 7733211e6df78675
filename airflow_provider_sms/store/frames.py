"""
The tables as pandas sees them, and the one table that pandas makes: ``sms_delivery_daily``.

All times in frames are timezone-aware UTC; days are local days of a time zone.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sqlalchemy import and_, case, func, or_, select

from airflow_provider_sms.records import BatchState, DeliveryStatus
from airflow_provider_sms.store.carriers import PREFIX, carrier_of_prefix
from airflow_provider_sms.store.migrations import PROOF
from airflow_provider_sms.store.schema import batches, delivery_daily, meta, replies
from airflow_provider_sms.store.views import message_status

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.engine import Connection

    from airflow_provider_sms.store.engine import Store

_GROUP = ["conn_id", "vendor", "carrier"]
_COUNTS = ["intended", "accepted", "delivered", "failed", "silent"]
_WHOLE = {*_COUNTS, "batch_no", "seq", "segments"}
_CHUNK = 50_000
#: When a message was submitted, or planned if it never was.
_moment = func.coalesce(batches.c.submitted_at, batches.c.prepared_at)


def refresh_delivery_daily(
    store: Store,
    start: date,
    end: date,
    *,
    timezone: str = "Asia/Shanghai",
    silent_after_hours: float = 72,
) -> pd.DataFrame:
    """
    Make the rows of ``sms_delivery_daily`` anew for some days; readers see the old ones or the new.

    A message belongs to the local day of its submit (of its plan, if it was never submitted), whatever
    day its report came; so a day's figures settle as late reports come, and days of the last weeks are
    worth refreshing every night. Refreshing again gives the same rows.

    Per day, connection, vendor and carrier: ``intended`` messages; ``accepted`` by the vendor (or proved
    so by a report); of these ``delivered``, ``failed``, and ``silent`` when no final report came within
    ``silent_after_hours``; ``delivery_rate`` is delivered of accepted, missing where nothing was
    accepted; the latencies are those of delivered messages. Where the vendor took fewer numbers of a
    batch than it got and does not say which it refused, all of the batch count as accepted.

    :param start: first local day.
    :param end: last local day, included.
    :param timezone: whose days.
    :param silent_after_hours: how long a report may take.
    :return: the rows written, as :func:`daily_frame` gives them.
    :raises StoreUnavailable: the store is away; nothing was changed.
    """
    rows: list[dict[str, Any]] = []
    with store.reading() as connection:
        silent_before = store.clock(connection) - timedelta(hours=silent_after_hours)
        for day, since, until in _days(start, end, ZoneInfo(timezone)):
            rows += _daily_rows(_judged(connection, since, until, silent_before), day)
    with store.begin() as connection:
        # Two refreshes at once take turns: without it, each would miss the other's new rows.
        connection.execute(select(meta).where(meta.c.name == PROOF).with_for_update())
        connection.execute(delivery_daily.delete().where(delivery_daily.c.day.between(start, end)))
        if rows:
            connection.execute(delivery_daily.insert(), rows)
    return daily_frame(store, start, end)


def daily_frame(store: Store, start: date, end: date) -> pd.DataFrame:
    """
    Give ``sms_delivery_daily`` for some days, ordered by day, connection, vendor and carrier.

    Columns: ``day`` (``datetime64``, midnight without a zone: a local day), ``conn_id``, ``vendor``,
    ``carrier`` (text), ``intended``, ``accepted``, ``delivered``, ``failed``, ``silent`` (``int64``),
    ``delivery_rate`` (0 to 1), ``latency_p50_seconds``, ``latency_p95_seconds`` (``float64``, NaN where
    there is nothing to tell).

    :param start: first day.
    :param end: last day, included.
    """
    import pandas as pd

    table = delivery_daily
    statement = select(table).where(table.c.day.between(start, end)).order_by(*table.primary_key)
    with store.reading() as connection:
        frame = _read(connection, statement)
    frame["day"] = pd.to_datetime(frame["day"])
    floats = ["delivery_rate", "latency_p50_seconds", "latency_p95_seconds"]
    return frame.astype(dict.fromkeys(floats, "float64"))


def message_frame(store: Store, start: datetime, end: datetime) -> pd.DataFrame:
    """
    Give one row per message submitted (or planned, if it never was) in a span of time.

    Columns: ``send_key``, ``batch_no``, ``seq``, ``conn_id``, ``vendor``, ``mobile``, ``segments``,
    ``state``, ``delivery``, ``submitted_at``, ``reported_at`` (``datetime64[UTC]``),
    ``latency_seconds`` (``float64``), ``error_code``; what they mean is told by
    :func:`~airflow_provider_sms.store.views.message_status`. Ordered by send, batch and place.

    :param start: aware.
    :param end: aware, not included.
    """
    with store.reading() as connection:
        return _messages(connection, start, end)


def replies_frame(store: Store, start: datetime, end: datetime) -> pd.DataFrame:
    """
    Give one row per reply received in a span of time.

    Columns: ``page_id``, ``seq``, ``conn_id``, ``vendor``, ``vendor_message_id``, ``mobile``,
    ``content``, ``extno``, ``received_at``, ``time_source`` (``vendor``, or ``read`` where the vendor
    told no time), ``landed_at``. Ordered by time. The content is what people wrote: a spreadsheet takes
    one that starts with ``=`` for a formula.

    :param start: aware.
    :param end: aware, not included.
    """
    span = and_(replies.c.received_at >= start, replies.c.received_at < end)
    statement = select(replies).where(span).order_by(replies.c.received_at, replies.c.page_id, replies.c.seq)
    with store.reading() as connection:
        return _with_times(_read(connection, statement), "received_at", "landed_at")


def _days(start: date, end: date, zone: ZoneInfo) -> Iterator[tuple[date, datetime, datetime]]:
    day = start
    while day <= end:
        following = day + timedelta(days=1)
        # Midnights are made one by one: a day with a change of clocks has 23 or 25 hours.
        since, until = (datetime.combine(each, time(), zone).astimezone(UTC) for each in (day, following))
        yield day, since, until
        day = following


def _messages(connection: Connection, start: datetime, end: datetime) -> pd.DataFrame:
    statement = message_status(*_span(start, end))
    columns = statement.selected_columns
    ordered = statement.order_by(columns.send_key, columns.batch_no, columns.seq)
    frame = _with_times(_read(connection, ordered), "submitted_at", "reported_at")
    return frame.astype({"latency_seconds": "float64"})


def _span(start: datetime, end: datetime) -> tuple[ColumnElement[bool], ...]:
    # The plain columns let the database use their indexes; the last line then decides.
    return (
        batches.c.prepared_at < end,
        or_(batches.c.submitted_at.is_(None), batches.c.submitted_at >= start),
        _moment >= start,
        _moment < end,
    )


def _read(connection: Connection, statement: Select[Any]) -> pd.DataFrame:
    import pandas as pd

    result = connection.execute(statement)
    # Straight from rows to columns: read_sql would guess types from the first values.
    names = list(result.keys())
    values = list(zip(*result.all(), strict=True)) or [() for _ in names]
    columns = {
        name: pd.Series(column, dtype=None if column else object)
        for name, column in zip(names, values, strict=True)
    }
    whole = {name: "int64" for name in names if name in _WHOLE}
    return pd.DataFrame(columns).astype(whole)


def _with_times(frame: pd.DataFrame, *names: str) -> pd.DataFrame:
    import pandas as pd

    for name in names:
        frame[name] = pd.to_datetime(frame[name], utc=True).astype("datetime64[us, UTC]")
    return frame


def _judged(
    connection: Connection, since: datetime, until: datetime, silent_before: datetime
) -> pd.DataFrame:
    # A day may have millions of messages; what is kept of each is a few bytes.
    import pandas as pd

    told = message_status(*_span(since, until)).subquery()
    statement = select(
        told.c.conn_id,
        told.c.vendor,
        func.substr(told.c.mobile, 1, PREFIX),
        told.c.state,
        told.c.delivery,
        told.c.latency_seconds,
        case((told.c.submitted_at < silent_before, 1), else_=0),
    )
    result = connection.execution_options(yield_per=_CHUNK).execute(statement)
    parts = [_judged_part(list(zip(*rows, strict=True))) for rows in result.partitions()]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _judged_part(columns: list[tuple[Any, ...]]) -> pd.DataFrame:
    import pandas as pd

    conn_ids, vendors, prefixes, states, deliveries, latencies, late = columns
    delivery, state = pd.Series(deliveries, dtype=object), pd.Series(states, dtype=object)
    delivered = delivery == DeliveryStatus.DELIVERED.value
    failed = delivery == DeliveryStatus.FAILED.value
    accepted = (state == BatchState.ACCEPTED.value) | delivered | failed
    silent = accepted & ~delivered & ~failed & pd.Series(late).astype(bool)
    flags = {"accepted": accepted, "delivered": delivered, "failed": failed, "silent": silent}
    # One text per group and part: repeated, it costs a pointer.
    carriers = {prefix: carrier_of_prefix(prefix) for prefix in set(prefixes)}
    return pd.DataFrame(
        {
            "conn_id": pd.Series(conn_ids, dtype=object),
            "vendor": pd.Series(vendors, dtype=object),
            "carrier": pd.Series([carriers[prefix] for prefix in prefixes], dtype=object),
            "intended": True,
            **flags,
            "latency": pd.Series(latencies, dtype="float64").where(delivered),
        }
    )


def _daily_rows(messages: pd.DataFrame, day: date) -> list[dict[str, Any]]:
    if messages.empty:
        return []
    groups = messages.groupby(_GROUP, sort=True)
    daily = groups[_COUNTS].sum()
    daily["delivery_rate"] = daily["delivered"] / daily["accepted"].where(daily["accepted"] > 0)
    for name, share in (("latency_p50_seconds", 0.5), ("latency_p95_seconds", 0.95)):
        daily[name] = groups["latency"].quantile(share)
    records = daily.reset_index().astype(object).to_dict("records")
    return [{"day": day, **{str(name): _plain(value) for name, value in row.items()}} for row in records]


def _plain(value: Any) -> Any:
    # The drivers know neither numpy's numbers nor that NaN means "nothing to tell".
    return None if value != value else getattr(value, "item", lambda: value)()  # noqa: PLR0124
