"""What can be exported: each table or frame as fields, and a day's rows of it in parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from airflow_provider_sms.exporting.numbers import shown_field, shown_keys, shown_numbers
from airflow_provider_sms.store.frames import answers, daily, figures, messages, records, spending
from airflow_provider_sms.store.frames.reading import parts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pandas as pd
    from sqlalchemy import Select

    from airflow_provider_sms.exporting.order import Order
    from airflow_provider_sms.store.engine import Store
    from airflow_provider_sms.store.frames.days import Span
    from airflow_provider_sms.store.frames.fields import Field

#: Rows that are in memory at a time; also a row group of a Parquet file.
ROWS = 50_000
_MOBILE, _CONTENT, _SEND_KEY = "mobile", "content", "send_key"
_DAY: Final = "day"


class _Rows(NamedTuple):
    """A table that streams: a statement per day."""

    fields: Callable[[Order], tuple[Field, ...]]
    select: Callable[[Order, Span], Select[Any]]


class _Frame(NamedTuple):
    """A frame that is small: made as a whole, per day."""

    fields: Callable[[Order], tuple[Field, ...]]
    make: Callable[[Store, Order, Span], pd.DataFrame]


def _message_fields(order: Order) -> tuple[Field, ...]:
    return (*messages.FIELDS, messages.CONTENT) if order.texts else messages.FIELDS


_TABLES: Mapping[str, _Rows | _Frame] = {
    "messages": _Rows(
        _message_fields, lambda order, span: messages.messages(span.since, span.until, texts=order.texts)
    ),
    "reports": _Rows(
        lambda _: records.REPORTS, lambda _, span: records.landed_reports(span.since, span.until)
    ),
    "replies": _Rows(
        lambda _: records.REPLIES, lambda _, span: records.landed_replies(span.since, span.until)
    ),
    "balances": _Rows(
        lambda _: records.BALANCES, lambda _, span: records.told_balances(span.since, span.until)
    ),
    "daily": _Rows(lambda _: daily.FIELDS, lambda _, span: daily.daily(span.day, span.day)),
    "answers": _Frame(
        lambda _: answers.FIELDS, lambda store, _, span: answers.answers_frame(store, span.since, span.until)
    ),
    "delivery": _Frame(
        lambda order: figures.delivery_fields((_DAY, *order.by)),
        lambda store, order, span: figures.delivery_frame(store, span.day, span.day, **_figures(order)),
    ),
    "funnel": _Frame(
        lambda order: figures.funnel_fields((_DAY, *order.by)),
        lambda store, order, span: figures.funnel_frame(store, span.day, span.day, **_figures(order)),
    ),
    "spending": _Frame(
        lambda _: spending.FIELDS,
        lambda store, order, span: spending.spending_frame(
            store, span.day, span.day, timezone=order.zone.key
        ),
    ),
}
#: What can be exported, by name.
TABLES: tuple[str, ...] = tuple(_TABLES)


def fields_of(order: Order) -> tuple[Field, ...]:
    """Name the columns of an export; the day is told by the folder, or by a column of its own."""
    fields = (field for field in _TABLES[order.table].fields(order) if field.name != _DAY)
    wanted = (field for field in fields if order.texts or field.name != _CONTENT)
    return tuple(shown_field(field, order.number) if field.name == _MOBILE else field for field in wanted)


def parts_of_day(store: Store, order: Order, span: Span) -> Iterator[list[Sequence[Any]]]:
    """
    Give the rows of one day as the fields have them, in a fixed order, part by part.

    :return: lists of columns, in the order of :func:`fields_of`; ``None`` is nothing.
    :raises StoreUnavailable: the store is away.
    """
    table = _TABLES[order.table]
    names = [field.name for field in table.fields(order)]
    wanted = [place for place, name in enumerate(names) if name != _DAY and (order.texts or name != _CONTENT)]
    for columns in _columns(store, table, order, span):
        shown = list(columns)
        if _MOBILE in names:
            place = names.index(_MOBILE)
            shown[place] = shown_numbers(columns[place], order.number, store.number_hash_key)
        if _SEND_KEY in names:
            place = names.index(_SEND_KEY)
            shown[place] = shown_keys(columns[place], order.number)
        yield [shown[place] for place in wanted]


def _columns(store: Store, table: _Rows | _Frame, order: Order, span: Span) -> Iterator[list[Sequence[Any]]]:
    if isinstance(table, _Rows):
        with store.sweeping() as connection:
            yield from parts_of(connection, table.select(order, span), ROWS)
        return
    frame = table.make(store, order, span)
    if len(frame):
        yield [_plain(frame[name]) for name in frame.columns]


def _plain(series: pd.Series[Any]) -> list[Any]:
    """Give Python's own values: drivers know neither pandas' times nor its several ways to say "nothing"."""
    values = series.astype(object).where(series.notna(), None)
    if series.dtype.kind == "M":
        return [None if value is None else value.to_pydatetime() for value in values]
    return list(values)


def _figures(order: Order) -> dict[str, Any]:
    return {
        "by": (_DAY, *order.by),
        "timezone": order.zone.key,
        "silent_after_hours": order.silent_after_hours,
    }
