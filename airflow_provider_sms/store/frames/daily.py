"""
The one table that pandas makes: ``sms_delivery_daily``.

Days are local days of a time zone.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from airflow_provider_sms.errors import StoreUnavailable
from airflow_provider_sms.store.frames.asking import asked_days
from airflow_provider_sms.store.frames.fields import Field, Kind
from airflow_provider_sms.store.frames.figures import delivery_frame
from airflow_provider_sms.store.frames.reading import read
from airflow_provider_sms.store.ids import new_id
from airflow_provider_sms.store.schema import delivery_daily, meta
from airflow_provider_sms.store.turns import take_turn

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd
    from sqlalchemy import Select
    from sqlalchemy.engine import Connection

    from airflow_provider_sms.store.engine import Store

FIELDS = (
    Field(
        "day",
        Kind.DAY,
        "day of the submit (of the plan, if it was never submitted), in the `timezone` of the refresh",
    ),
    Field("conn_id", Kind.TEXT, "id of the Airflow connection"),
    Field("vendor", Kind.TEXT, "name of the vendor"),
    Field("carrier", Kind.TEXT, "mobile network, by the number's prefix, or `unknown`"),
    Field("intended", Kind.WHOLE, "messages that were to be sent"),
    Field("accepted", Kind.WHOLE, "of these, accepted by the vendor or proved so by a report"),
    Field("delivered", Kind.WHOLE, "reported as delivered"),
    Field("failed", Kind.WHOLE, "reported as failed"),
    Field(
        "silent",
        Kind.WHOLE,
        "accepted, without a final report for so many hours; 0 where the vendor gives no reports (linkws)",
    ),
    Field(
        "delivery_rate",
        Kind.NUMBER,
        "delivered / accepted, 0 to 1; missing where nothing was accepted or the vendor gives no reports",
    ),
    Field(
        "latency_p50_seconds",
        Kind.NUMBER,
        "median of the seconds from submit to report (wavecom: to its reading)",
    ),
    Field("latency_p95_seconds", Kind.NUMBER, "95th percentile of the same seconds"),
)

#: How often a day is counted when others write it meanwhile.
_TRIES = 5
#: Begins the names of rows in ``sms_meta``, one per day: which refresh wrote the day last.
_WRITTEN = "daily "
#: Names the row in ``sms_meta`` that says when all days were last brought up to date.
_ALL_UP_TO_DATE = "all days up to date"
_Rows = list[dict[str, Any]]


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

    Per day, connection, vendor and carrier: ``intended`` messages; ``accepted`` by the vendor (or proved so
    by a report); of these ``delivered``, ``failed``, and ``silent`` when no final report came within
    ``silent_after_hours``; ``delivery_rate`` is delivered of accepted, missing where nothing was accepted,
    or by a vendor that gives no reports, whose messages are not silent either; the latencies are those of
    delivered messages. Where the vendor took fewer numbers of a batch than it got and does not say which it
    refused, all of the batch count as accepted.

    :param start: first local day.
    :param end: last local day, included.
    :param timezone: whose days.
    :param silent_after_hours: how long a report may take.
    :return: the rows written, as :func:`daily_frame` gives them.
    :raises PreflightError: a day is no date, or the zone is none.
    :raises StoreUnavailable: the store is away, or others refreshed these days all the while; nothing was
        changed.
    """
    asked_days(timezone, start=start, end=end)
    for _ in range(_TRIES):
        with store.reading() as connection:
            seen = _writers(connection, start, end)
        # Counted outside of the transaction: on SQLite it would hold off everybody who writes.
        rows = _counted(store, start, end, timezone, silent_after_hours)
        with store.begin() as connection:
            # Else each of two refreshes at once would miss the other's new rows.
            take_turn(connection)
            # Who wrote since may have seen more than we did.
            if _writers(connection, start, end) == seen:
                _write(connection, start, end, rows)
                break
    else:
        msg = (
            f"{start} to {end} were refreshed by others {_TRIES} times while they were counted here; this run"
            " has changed nothing: try again, and refresh a day from one place at a time"
        )
        raise StoreUnavailable(msg)
    return daily_frame(store, start, end)


def _counted(store: Store, start: date, end: date, timezone: str, silent_after_hours: float) -> _Rows:
    figures = delivery_frame(
        store,
        start,
        end,
        by=("day", "conn_id", "vendor", "carrier"),
        timezone=timezone,
        silent_after_hours=silent_after_hours,
        percentiles=(50, 95),
    )
    names = [field.name for field in FIELDS]
    return [
        {**{str(name): _plain(value) for name, value in row.items()}, "day": row["day"].date()}
        for row in figures[names].astype(object).to_dict("records")
    ]


def _writers(connection: Connection, start: date, end: date) -> list[Any]:
    marks = meta.c.name.between(_mark(start), _mark(end))
    return list(connection.execute(select(meta.c.name, meta.c.value).where(marks).order_by(meta.c.name)))


def _write(connection: Connection, start: date, end: date, rows: _Rows) -> None:
    connection.execute(delivery_daily.delete().where(delivery_daily.c.day.between(start, end)))
    if rows:
        connection.execute(delivery_daily.insert(), rows)
    connection.execute(meta.delete().where(meta.c.name.between(_mark(start), _mark(end))))
    writer = new_id()
    days = [start + timedelta(days=number) for number in range((end - start).days + 1)]
    if days:
        connection.execute(meta.insert(), [{"name": _mark(day), "value": writer} for day in days])


def _mark(day: date) -> str:
    return f"{_WRITTEN}{day.isoformat()}"


def up_to_date_since(store: Store) -> datetime | None:
    """Tell when all days were last brought up to date, aware; ``None`` if they never were."""
    with store.reading() as connection:
        value = connection.scalar(select(meta.c.value).where(meta.c.name == _ALL_UP_TO_DATE))
    return None if value is None else datetime.fromisoformat(value)


def note_up_to_date(store: Store, moment: datetime) -> None:
    """
    Note that all days are up to date.

    :param moment: the store's time before they were looked through.
    """
    with store.begin() as connection:
        take_turn(connection)
        known = connection.scalar(select(meta.c.value).where(meta.c.name == _ALL_UP_TO_DATE))
        if known is not None and datetime.fromisoformat(known) >= moment:
            return
        connection.execute(meta.delete().where(meta.c.name == _ALL_UP_TO_DATE))
        connection.execute(meta.insert(), {"name": _ALL_UP_TO_DATE, "value": moment.isoformat()})


def daily_frame(store: Store, start: date, end: date) -> pd.DataFrame:
    """
    Give ``sms_delivery_daily`` for some days, ordered by day, connection, vendor and carrier.

    Columns: ``day`` (``datetime64``, midnight without a zone: a local day), ``conn_id``, ``vendor``,
    ``carrier`` (text), ``intended``, ``accepted``, ``delivered``, ``failed``, ``silent`` (``int64``),
    ``delivery_rate`` (0 to 1, NaN as well for vendors without reports), ``latency_p50_seconds``,
    ``latency_p95_seconds`` (``float64``, NaN where there is nothing to tell).

    :param start: first day.
    :param end: last day, included.
    :raises PreflightError: a day is no date.
    """
    asked_days(start=start, end=end)
    with store.reading() as connection:
        return read(connection, daily(start, end), FIELDS)


def daily(start: date, end: date) -> Select[Any]:
    """Select the daily figures of some days, both included, as :data:`FIELDS`."""
    table = delivery_daily
    columns = (table.c[field.name] for field in FIELDS)
    return select(*columns).where(table.c.day.between(start, end)).order_by(*table.primary_key)


def _plain(value: Any) -> Any:
    # The drivers know neither numpy's numbers nor that NaN means "nothing to tell".
    return None if value != value else getattr(value, "item", lambda: value)()  # noqa: PLR0124
