"""
What became of the messages of some days: one outcome each, counted in the database.

Only where percentiles are wanted does every message come over; else the database groups them, and what
comes over is as large as the answer (and the blocks of numbers, for carriers and provinces). Either way it
is counted part by part: what is kept is as large as the answer, and each different latency of a group.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from sqlalchemy import Integer, String, and_, case, cast, func, literal, literal_column, null, or_, select

from airflow_provider_sms.records import BatchState, DeliveryStatus
from airflow_provider_sms.store.carriers import PREFIX, carrier_of_prefix, province_of_prefix
from airflow_provider_sms.store.clock import ElapsedWhole
from airflow_provider_sms.store.columns import UtcDateTime
from airflow_provider_sms.store.frames.blocks import BlockNames
from airflow_provider_sms.store.frames.counting import Counting
from airflow_provider_sms.store.frames.messages import MOMENT, submitted_within
from airflow_provider_sms.store.frames.reading import parts_of
from airflow_provider_sms.store.schema import batches
from airflow_provider_sms.store.views import message_status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    import pandas as pd
    from sqlalchemy import ColumnElement, Select, Subquery
    from sqlalchemy.engine import Connection

    from airflow_provider_sms.store.carriers import Language
    from airflow_provider_sms.store.frames.days import Span

#: What figures can be had by.
By = Literal[
    "day", "hour", "conn_id", "vendor", "carrier", "province", "template_id", "error_code", "send_key"
]
BY: tuple[str, ...] = get_args(By)
#: Every message has exactly one of these.
OUTCOMES = ("delivered", "failed", "silent", "waiting", "no_reports", "rejected", "unknown", "not_sent")
#: Vendors that document no reports at all: none is owed, so none is missed. The store knows no vendor; a test
#: compares this with those there are.
WITHOUT_REPORTS = ("linkws",)
_FINAL = (DeliveryStatus.DELIVERED.value, DeliveryStatus.FAILED.value)
_MISSING = ("template_id", "error_code")
#: Seconds. A few clocks are changed by half an hour, as those of Lord Howe Island.
_HALF_AN_HOUR = 1800


class Wish(NamedTuple):
    """
    Which figures are wanted.

    :param by: one or more of :data:`BY`, in the order of the columns.
    :param zone: whose days and hours.
    :param silent_before: who was due before this and has no final report is silent.
    :param language: of the names of carriers and provinces.
    :param percentiles: which latencies are wanted, 0 to 100, by the names of their columns; if none, no
        latency is read.
    """

    by: tuple[str, ...]
    zone: ZoneInfo
    silent_before: datetime
    language: Language
    percentiles: dict[str, float]


class Outcomes(NamedTuple):
    """
    What became of messages.

    :param counts: a row per group: the columns of ``by`` but for ``day`` (text; ``hour`` is ``int64``),
        ``outcome`` (text), ``reported`` (0 or 1: whether there is any report), ``messages``, ``segments``
        (``int64``).
    :param latencies: a row per group that has delivered messages: the same columns of ``by``, and percentiles
        of the seconds that they took (``float64``).
    """

    counts: pd.DataFrame
    latencies: pd.DataFrame


def outcomes_of(connection: Connection, spans: Sequence[Span], wish: Wish) -> Outcomes:
    """Judge the messages of some days."""
    labels = [name for name in wish.by if name != "day"]
    counting = Counting([*labels, "outcome", "reported"])
    namings = {name: _naming(name, wish.language) for name in labels}
    for span in spans:
        if "hour" in labels:
            namings["hour"] = _hours(span, wish.zone).__getitem__
        for part in parts_of(connection, _statement(span, labels, wish)):
            *keys, messages, segments, latencies = part
            for place, name in enumerate(labels):
                keys[place] = map(namings[name], keys[place])
            counting.add(keys, (messages, segments), latencies if wish.percentiles else ())
    latencies = counting.latencies(wish.percentiles).drop(columns=["outcome", "reported"])
    return Outcomes(counting.counts(), latencies)


def _naming(name: str, language: Language) -> Callable[[Any], Any]:
    # The database tells the block of a number: its name is looked up once per block, not per message.
    blocks = {"carrier": carrier_of_prefix, "province": province_of_prefix}
    return BlockNames(partial(blocks[name], language=language)) if name in blocks else lambda value: value


def _hours(span: Span, zone: ZoneInfo) -> list[int]:
    """Give the hours that a zone's clocks show so many half hours after midnight."""
    halves = (timedelta(seconds=half * _HALF_AN_HOUR) for half in range(52))
    return [(span.since + half).astimezone(zone).hour for half in halves]


def _statement(span: Span, labels: Sequence[str], wish: Wish) -> Select[Any]:
    more = (MOMENT.label("moment"), batches.c.send_at)
    told = message_status(*submitted_within(span.since, span.until), more=more).subquery("judged")
    keys = [_key(name, told, span).label(name) for name in labels]
    keys.append(outcome_of(told, wish.silent_before).label("outcome"))
    reported = case((told.c.delivery.in_((*_FINAL, DeliveryStatus.PENDING.value)), 1), else_=0)
    keys.append(reported.label("reported"))
    if wish.percentiles:
        delivered = case((told.c.delivery == DeliveryStatus.DELIVERED.value, told.c.latency_seconds))
        return select(*keys, literal_column("1", Integer), told.c.segments, delivered)
    counts = (func.count(), func.sum(told.c.segments), null())
    return select(*keys, *counts).group_by(*(literal_column(str(place)) for place in range(1, len(keys) + 1)))


def _key(name: str, told: Subquery, span: Span) -> ColumnElement[Any]:
    if name in {"carrier", "province"}:
        return func.substr(told.c.mobile, 1, PREFIX)
    if name == "hour":
        # Half hours since midnight: not the clock's on the two days a year when some zones change it.
        return cast(
            func.floor(ElapsedWhole(literal(span.since, UtcDateTime()), told.c.moment) / _HALF_AN_HOUR),
            Integer,
        )
    # An empty text, so that what has no code or template is a group as well.
    return func.coalesce(told.c[name], literal_column("''", String)) if name in _MISSING else told.c[name]


def outcome_of(told: Subquery, silent_before: datetime) -> ColumnElement[str]:
    """Say which of :data:`OUTCOMES` a message has; its table has ``send_at`` besides its status."""
    due = and_(
        told.c.submitted_at < silent_before, or_(told.c.send_at.is_(None), told.c.send_at < silent_before)
    )
    accepted = told.c.state == BatchState.ACCEPTED.value
    return case(
        # A final report proves that the vendor had accepted it, whatever is known of the submit.
        (told.c.delivery.in_(_FINAL), told.c.delivery),
        (and_(accepted, told.c.vendor.in_(WITHOUT_REPORTS)), _text("no_reports")),
        (and_(accepted, due), _text("silent")),
        (accepted, _text("waiting")),
        (told.c.state == BatchState.REJECTED.value, _text("rejected")),
        (told.c.state.in_((BatchState.UNKNOWN.value, BatchState.SUBMITTING.value)), _text("unknown")),
        else_=_text("not_sent"),
    )


def _text(word: str) -> ColumnElement[str]:
    return literal_column(f"'{word}'", String)
