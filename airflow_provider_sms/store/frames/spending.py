"""What was sent against what the balance lost."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sqlalchemy import and_, case, func, literal_column, or_, select

from airflow_provider_sms.records import BatchState
from airflow_provider_sms.store.frames.days import local_days
from airflow_provider_sms.store.frames.fields import Field, Kind
from airflow_provider_sms.store.frames.reading import read, text_type
from airflow_provider_sms.store.frames.records import BALANCES
from airflow_provider_sms.store.schema import balances, batches

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import pandas as pd
    from sqlalchemy import Select

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
    Field("checks", Kind.WHOLE, "how often the vendor told the balance this day"),
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
    Field("conn_id", Kind.LABEL, ""),
    Field("vendor", Kind.LABEL, ""),
    Field("at", Kind.TIME, ""),
    Field("messages", Kind.WHOLE, ""),
    Field("segments", Kind.WHOLE, ""),
    Field("known", Kind.WHOLE, ""),
)
_OPEN = (BatchState.UNKNOWN.value, BatchState.SUBMITTING.value)
_KEYS = ["day", "conn_id", "vendor"]


def spending_frame(store: Store, start: date, end: date, *, timezone: str = "Asia/Shanghai") -> pd.DataFrame:
    """
    Give what was sent against what the balance lost, per connection and day.

    The balance is known at the checks only, so what was sent is also summed between just these: from check to
    check the balance falls by what was spent, or rises by a top-up. What a check tells belongs to its day,
    also what was lost since the last check of the day before. Rises and what was sent meanwhile are left
    out of ``spent`` and ``segments_between``: how much of the rise was spent again nobody knows.

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
    :raises StoreUnavailable: the store is away.
    """
    import pandas as pd

    spans = list(local_days(start, end, ZoneInfo(timezone)))
    if not spans:
        return _typed(pd.DataFrame(columns=[field.name for field in FIELDS]))
    with store.reading() as connection:
        checks = read(connection, _checks(spans[0].since, spans[-1].until), BALANCES)
        # What was sent since the check before the first day is compared with what that day's first tells.
        first = min([spans[0].since, *(each.to_pydatetime() for each in checks["checked_at"])])
        sent = read(connection, _sent(first, spans[-1].until), _SENT)
    sums = _sums(sent, spans).merge(_movements(checks, sent, spans), on=_KEYS, how="outer")
    return _typed(sums.sort_values(_KEYS, ignore_index=True))


def _checks(since: datetime, until: datetime) -> Select[Any]:
    """Select the balances of a span, and of each connection the last one before."""
    other = balances.alias("other")
    before = (
        select(func.max(other.c.checked_at))
        .where(other.c.conn_id == balances.c.conn_id, other.c.checked_at < since)
        .correlate(balances)
        .scalar_subquery()
    )
    within = and_(balances.c.checked_at >= since, balances.c.checked_at < until)
    statement = select(*(balances.c[field.name] for field in BALANCES))
    chosen = statement.where(or_(within, balances.c.checked_at == before))
    return chosen.order_by(balances.c.conn_id, balances.c.checked_at, balances.c.id)


def _sent(since: datetime, until: datetime) -> Select[Any]:
    part = batches.c.accepted_count < batches.c.recipients
    share = batches.c.segments * literal_column("1.0") * batches.c.accepted_count / batches.c.recipients
    known = case((batches.c.state == BatchState.ACCEPTED.value, 1), else_=0)
    return select(
        batches.c.conn_id,
        batches.c.vendor,
        batches.c.submitted_at,
        case((part, batches.c.accepted_count), else_=batches.c.recipients),
        case((part, func.round(share)), else_=batches.c.segments),
        known,
    ).where(
        batches.c.submitted_at >= since,
        batches.c.submitted_at < until,
        batches.c.state.in_((BatchState.ACCEPTED.value, *_OPEN)),
    )


def _day_of(times: pd.Series[Any], spans: Sequence[Span]) -> pd.Series[Any]:
    """Give the day of each moment, NaT for those before the first."""
    import pandas as pd

    bounds = pd.DatetimeIndex([span.since for span in spans])
    places = pd.Series(bounds.searchsorted(times, side="right") - 1, index=times.index)
    days = {place: datetime.combine(span.day, datetime.min.time()) for place, span in enumerate(spans)}
    return places.map(days).astype("datetime64[us]")


def _sums(sent: pd.DataFrame, spans: Sequence[Span]) -> pd.DataFrame:
    """Sum what was sent, per day and connection."""
    known = sent["known"] == 1
    rows = sent.assign(
        day=_day_of(sent["at"], spans),
        messages=sent["messages"].where(known, 0),
        unknown_segments=sent["segments"].where(~known, 0),
        segments=sent["segments"].where(known, 0),
    )
    rows = rows.astype({"conn_id": text_type(), "vendor": text_type()})
    return rows.groupby(_KEYS)[["messages", "segments", "unknown_segments"]].sum().reset_index()


def _movements(checks: pd.DataFrame, sent: pd.DataFrame, spans: Sequence[Span]) -> pd.DataFrame:
    """Tell how the balances moved, per day and connection."""
    import pandas as pd

    texts = {"conn_id": text_type(), "vendor": text_type(), "unit": text_type()}
    rows = checks.astype(texts).reset_index(drop=True)
    groups = rows.groupby("conn_id")
    last, last_at = groups["remaining"].shift(), groups["checked_at"].shift()
    same_unit = groups["unit"].shift() == rows["unit"]
    moved = (rows["remaining"] - last).where(same_unit, 0).fillna(0)
    rose = moved > 0
    rows["day"] = _day_of(rows["checked_at"], spans)
    rows["opening"] = last.where(same_unit).fillna(rows["remaining"])
    rows["opening_at"] = last_at.where(same_unit).fillna(rows["checked_at"])
    rows["topped_up"], rows["spent"] = moved.where(rose, 0), (-moved).where(~rose, 0)
    rows["segments_between"] = pd.Series(0, index=rows.index, dtype="int64")
    for conn_id, part in rows.groupby("conn_id"):
        mine = sent[(sent["conn_id"] == conn_id) & (sent["known"] == 1)].sort_values("at")
        total = mine["segments"].cumsum().to_numpy()
        # What was accepted up to a check, by that check and by the one before.
        upto = [_upto(mine["at"], total, part[name]) for name in ("checked_at", "opening_at")]
        rows.loc[part.index, "segments_between"] = (upto[0] - upto[1]) * (~rose[part.index])
    found = rows[rows["day"].notna()].groupby(_KEYS)
    first, final = ["opening", "opening_at"], ["unit", "remaining", "checked_at"]
    moves = pd.concat(
        [
            found[first].first(),
            found[final].last(),
            found[["topped_up", "spent", "segments_between"]].sum(),
            found.size().rename("checks"),
        ],
        axis=1,
    ).reset_index()
    moves = moves.rename(columns={"remaining": "closing", "checked_at": "closing_at"})
    between = moves["segments_between"]
    moves["difference"] = (moves["spent"] - between).where(moves["unit"] == "messages")
    moves["per_segment"] = moves["spent"] / between.where(between > 0)
    return moves


def _upto(times: pd.Series[Any], total: Any, moments: pd.Series[Any]) -> Any:
    """Sum what was accepted before each moment."""
    import numpy as np

    return np.append(0, total)[times.searchsorted(moments)]


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
