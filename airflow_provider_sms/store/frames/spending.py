"""What was sent against what the balance lost."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, func, literal_column, or_, select

from airflow_provider_sms.records import BalanceSource, BatchState
from airflow_provider_sms.store.frames.asking import asked_days
from airflow_provider_sms.store.frames.fields import Field, Kind
from airflow_provider_sms.store.frames.levels import levels, told_levels
from airflow_provider_sms.store.frames.reading import read, text_type
from airflow_provider_sms.store.frames.records import BALANCES
from airflow_provider_sms.store.schema import balances, batches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    import pandas as pd
    from sqlalchemy import ColumnElement, Select

    from airflow_provider_sms.store.engine import Store
    from airflow_provider_sms.store.frames.days import Span

FIELDS = (
    Field("day", Kind.DAY, "local day"),
    Field("conn_id", Kind.TEXT, "id of the Airflow connection"),
    Field("vendor", Kind.TEXT, "name of the vendor"),
    Field("messages", Kind.WHOLE, "messages that the vendor accepted this day"),
    Field("segments", Kind.WHOLE, "what they are charged as"),
    Field("unknown_segments", Kind.WHOLE, "segments of which nobody knows whether the vendor accepted them"),
    Field("unit", Kind.TEXT, "of the balance: `messages`, or `money` (CNY); missing where none is known"),
    Field("checks", Kind.WHOLE, "how often the balance was checked this day"),
    Field("opening", Kind.NUMBER, "the last balance from before this day, else its first"),
    Field("opening_at", Kind.TIME, "when that was told"),
    Field("closing", Kind.NUMBER, "the last balance of this day"),
    Field("closing_at", Kind.TIME, "when that was told"),
    Field(
        "topped_up",
        Kind.NUMBER,
        "sum of the rises from check to check; each is net of what was spent meanwhile",
    ),
    Field("spent", Kind.NUMBER, "sum of the falls from check to check"),
    Field("segments_between", Kind.WHOLE, "segments accepted between the checks that `spent` is made of"),
    Field("difference", Kind.NUMBER, "`spent` less `segments_between`, where the unit is messages"),
    Field("per_segment", Kind.NUMBER, "`spent` by `segments_between`: what a segment costs in the unit"),
)
_SENT = (
    Field("conn_id", Kind.TEXT, ""),
    Field("vendor", Kind.TEXT, ""),
    Field("messages", Kind.WHOLE, ""),
    Field("segments", Kind.WHOLE, ""),
    Field("unknown_segments", Kind.WHOLE, ""),
)
#: What was accepted from one balance of a connection to its next.
_BETWEEN = (
    Field("conn_id", Kind.TEXT, ""),
    Field("opening_at", Kind.TIME, ""),
    Field("segments", Kind.WHOLE, ""),
)
_OPEN = (BatchState.UNKNOWN.value, BatchState.SUBMITTING.value)
_KEYS = ["day", "conn_id", "vendor"]
#: Connections of one statement; SQLite takes no expression of a thousand parts.
_CONNECTIONS = 200


def spending_frame(store: Store, start: date, end: date, *, timezone: str = "Asia/Shanghai") -> pd.DataFrame:
    """
    Give what was sent against what the balance lost, per connection and day.

    The balance is known at the checks only, so what was sent is also summed between just these: from check to
    check the balance falls by what was spent, or rises by a top-up. What a check tells belongs to its day,
    also what was lost since the last check of the day before. Rises and what was sent meanwhile are left
    out of ``spent`` and ``segments_between``: how much of the rise was spent again nobody knows.

    What answers to sends tell (beidoutong) counts as ``spent`` behind the last check of a day, as far as it
    is less than was known since the last check; it never is a top-up.

    A ``difference`` above 0 says that the account lost more than this package sent through the connection
    (somebody else uses the account, or the vendor counts segments otherwise); one below 0 that the
    vendor charges later, or gave something back for what failed.

    Columns: ``day`` (``datetime64[us]``, midnight without a zone), ``conn_id``, ``vendor`` (text),
    ``messages``, ``segments``, ``unknown_segments`` (``int64``), ``unit`` (text), ``checks`` (``int64``),
    ``opening`` (``float64``), ``opening_at`` (``datetime64[us, UTC]``), ``closing``, ``closing_at``
    (likewise), ``topped_up``, ``spent`` (``float64``), ``segments_between`` (``int64``), ``difference``,
    ``per_segment`` (``float64``, NaN where there is nothing to tell). Ordered by day and connection; days
    without a message or a check are left out.

    :param start: first local day.
    :param end: last local day, included.
    :param timezone: whose days.
    :raises PreflightError: a day is no date, or the zone is none.
    :raises StoreUnavailable: the store is away.
    """
    import pandas as pd

    spans = asked_days(timezone, start=start, end=end)
    if not spans:
        return _typed(pd.DataFrame(columns=[field.name for field in FIELDS]))
    with store.reading() as connection:
        told = read(connection, told_levels(spans[0].since, spans[-1].until), BALANCES)
        known = levels(told.assign(day=_day_of(told["checked_at"], spans)))
        # One whose balance nobody told these days has nothing to be compared with.
        known = known[known["conn_id"].isin(known.loc[known["day"].notna(), "conn_id"])]
        between = [read(connection, statement, _BETWEEN) for statement in _between(known)]
        sent = [read(connection, _sent(span), _SENT) for span in spans]
    days = [
        frame.assign(day=pd.Timestamp(span.day).as_unit("us"))
        for frame, span in zip(sent, spans, strict=True)
    ]
    moves = _movements(known, between)
    sums = pd.concat(days, ignore_index=True).merge(moves, on=_KEYS, how="outer")
    return _typed(sums.sort_values(_KEYS, ignore_index=True))


def _sent(span: Span) -> Select[Any]:
    """Sum what was sent on a day, per connection."""
    known = batches.c.state == BatchState.ACCEPTED.value
    return (
        select(
            batches.c.conn_id,
            batches.c.vendor,
            func.sum(case((known, _messages()), else_=0)),
            func.sum(case((known, _segments()), else_=0)),
            func.sum(case((known, 0), else_=_segments())),
        )
        .where(
            batches.c.submitted_at >= span.since,
            batches.c.submitted_at < span.until,
            batches.c.state.in_((BatchState.ACCEPTED.value, *_OPEN)),
        )
        .group_by(batches.c.conn_id, batches.c.vendor)
    )


def _between(known: pd.DataFrame) -> Iterator[Select[Any]]:
    """
    Sum what was accepted from each balance to the next one of its connection.

    What was sent since the last one before the first day is compared with what that day's first one tells.
    The database sums, and looks no further back than each connection's own: one may be a year old.
    """
    ends = known.groupby("conn_id")["checked_at"].agg(["min", "max"]).sort_values("min")
    for first in range(0, len(ends), _CONNECTIONS):
        part = ends.iloc[first : first + _CONNECTIONS]
        mine = [
            and_(
                batches.c.conn_id == conn_id,
                batches.c.submitted_at >= since.to_pydatetime(),
                batches.c.submitted_at < until.to_pydatetime(),
            )
            for conn_id, since, until in zip(part.index, part["min"], part["max"], strict=True)
        ]
        last_told = (
            select(func.max(balances.c.checked_at))
            .where(balances.c.conn_id == batches.c.conn_id, balances.c.checked_at <= batches.c.submitted_at)
            .correlate(batches)
            .scalar_subquery()
        )
        sent = (
            select(batches.c.conn_id, last_told.label("opening_at"), _segments().label("segments"))
            .where(
                # For the index, whatever the database makes of the rest.
                batches.c.submitted_at >= part["min"].min().to_pydatetime(),
                batches.c.submitted_at < part["max"].max().to_pydatetime(),
                batches.c.state == BatchState.ACCEPTED.value,
                or_(*mine),
            )
            .subquery("sent")
        )
        by = (sent.c.conn_id, sent.c.opening_at)
        yield select(*by, func.sum(sent.c.segments)).group_by(*by)


def _messages() -> ColumnElement[Any]:
    return case((_is_part(), batches.c.accepted_count), else_=batches.c.recipients)


def _segments() -> ColumnElement[Any]:
    share = batches.c.segments * literal_column("1.0") * batches.c.accepted_count / batches.c.recipients
    return case((_is_part(), func.round(share)), else_=batches.c.segments)


def _is_part() -> ColumnElement[bool]:
    return batches.c.accepted_count < batches.c.recipients


def _day_of(times: pd.Series[Any], spans: Sequence[Span]) -> pd.Series[Any]:
    """Give the day of each moment, NaT for those before the first."""
    import pandas as pd

    bounds = pd.DatetimeIndex([span.since for span in spans])
    places = pd.Series(bounds.searchsorted(times, side="right") - 1, index=times.index)
    days = {place: datetime.combine(span.day, datetime.min.time()) for place, span in enumerate(spans)}
    return places.map(days).astype("datetime64[us]")


def _movements(known: pd.DataFrame, between: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tell how the balances moved, per day and connection."""
    import pandas as pd

    rows = known.reset_index(drop=True)
    groups = rows.groupby("conn_id")
    last, last_at = groups["remaining"].shift(), groups["checked_at"].shift()
    same_unit = groups["unit"].shift() == rows["unit"]
    moved = (rows["remaining"] - last).where(same_unit, 0).fillna(0)
    rose = moved > 0
    rows["opening"] = last.where(same_unit).fillna(rows["remaining"])
    rows["opening_at"] = last_at.where(same_unit).fillna(rows["checked_at"])
    # From what an answer told to a check, only what is above the check before it is known to be a top-up.
    rows["topped_up"] = moved.where(rose & (rows["remaining"] > rows["last_check"]), 0)
    rows["spent"] = (-moved).where(~rose, 0)
    rows["check"] = rows["source"] == BalanceSource.CHECK.value
    rows = rows.merge(_from_each(rows, between), on=["conn_id", "opening_at"], how="left")
    # The first one, and one of another unit, open at their own moment and close nothing.
    closes = (rows["opening_at"] < rows["checked_at"]) & ~rose
    rows["segments_between"] = rows["segments"].astype("float64").where(closes, 0).fillna(0).astype("int64")
    found = rows[rows["day"].notna()].groupby(_KEYS)
    first, final = ["opening", "opening_at"], ["unit", "remaining", "checked_at"]
    moves = pd.concat(
        [
            found[first].first(),
            found[final].last(),
            found[["topped_up", "spent", "segments_between"]].sum(),
            found["check"].sum().rename("checks"),
        ],
        axis=1,
    ).reset_index()
    moves = moves.rename(columns={"remaining": "closing", "checked_at": "closing_at"})
    charged = moves["segments_between"]
    moves["difference"] = (moves["spent"] - charged).where(moves["unit"] == "messages")
    moves["per_segment"] = moves["spent"] / charged.where(charged > 0)
    return moves


def _from_each(rows: pd.DataFrame, between: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Sum what was accepted since each row and before the next; not all that was told is a row."""
    import pandas as pd

    if not between:
        return rows[["conn_id", "opening_at"]].drop_duplicates().assign(segments=0)
    sums = pd.concat(between).astype({"conn_id": text_type()}).sort_values("opening_at")
    moments = rows[["conn_id", "checked_at"]].drop_duplicates().sort_values("checked_at")
    found = pd.merge_asof(sums, moments, left_on="opening_at", right_on="checked_at", by="conn_id")
    summed = found.groupby(["conn_id", "checked_at"])["segments"].sum().reset_index()
    return summed.rename(columns={"checked_at": "opening_at"})


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    counts = [field.name for field in FIELDS if field.kind is Kind.WHOLE]
    frame[counts] = frame[counts].astype("float64").fillna(0)
    types: dict[Kind, Any] = {
        Kind.WHOLE: "int64",
        Kind.NUMBER: "float64",
        Kind.TEXT: text_type(),
        Kind.DAY: "datetime64[us]",
        Kind.TIME: "datetime64[us, UTC]",
    }
    return frame[[field.name for field in FIELDS]].astype({field.name: types[field.kind] for field in FIELDS})
