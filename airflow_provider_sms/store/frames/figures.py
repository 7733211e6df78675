"""The delivery funnel, and delivery rates and latencies, by whatever one asks for."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.store.frames.days import local_days
from airflow_provider_sms.store.frames.fields import Field, Kind
from airflow_provider_sms.store.frames.outcomes import BY, OUTCOMES, By, Wish, outcomes_of
from airflow_provider_sms.store.frames.reading import text_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from airflow_provider_sms.store.carriers import Language
    from airflow_provider_sms.store.engine import Store
    from airflow_provider_sms.store.frames.days import Span

_KEYS = {
    "day": Field("day", Kind.DAY, "local day of the submit (of the plan, if it was never submitted)"),
    "hour": Field("hour", Kind.WHOLE, "local hour of the same moment, 0 to 23"),
    "conn_id": Field("conn_id", Kind.TEXT, "id of the Airflow connection"),
    "vendor": Field("vendor", Kind.TEXT, "name of the vendor"),
    "carrier": Field("carrier", Kind.TEXT, "mobile network, by the number's prefix, or `unknown`"),
    "province": Field("province", Kind.TEXT, "province, by the number's prefix, or `unknown`"),
    "template_id": Field("template_id", Kind.TEXT, "names the template; empty where all got one text"),
    "error_code": Field("error_code", Kind.TEXT, "the vendor's code of the failure, or an empty text"),
    "send_key": Field("send_key", Kind.TEXT, "names the send"),
}
_INTENDED = Field("intended", Kind.WHOLE, "messages that were to be sent")
_ACCEPTED = Field("accepted", Kind.WHOLE, "of these, accepted by the vendor or proved so by a report")
_DELIVERED = Field("delivered", Kind.WHOLE, "reported as delivered")
_FAILED = Field("failed", Kind.WHOLE, "reported as failed")
_SILENT = Field("silent", Kind.WHOLE, "accepted, without a final report for so many hours")
_WAITING = Field("waiting", Kind.WHOLE, "accepted, without a final report, whose hours are not over")
_FUNNEL = (
    _INTENDED,
    _ACCEPTED,
    Field("rejected", Kind.WHOLE, "refused by the vendor"),
    Field("unknown", Kind.WHOLE, "nobody knows whether the vendor accepted it"),
    Field("not_sent", Kind.WHOLE, "surely not sent (so far)"),
    Field("reported", Kind.WHOLE, "of the accepted, those with any report, be it `pending`"),
    _DELIVERED,
    _FAILED,
    _SILENT,
    _WAITING,
    Field("segments", Kind.WHOLE, "what the accepted ones are charged as"),
)
_RATE = Field(
    "delivery_rate", Kind.NUMBER, "delivered / accepted, 0 to 1; missing where nothing was accepted"
)
#: The latencies that are told if nobody asks for others.
PERCENTILES = (50, 90, 95, 99)


def funnel_fields(by: Sequence[By]) -> tuple[Field, ...]:
    """Name the columns of :func:`funnel_frame`."""
    return (*(_KEYS[name] for name in by), *_FUNNEL)


def delivery_fields(by: Sequence[By], percentiles: Sequence[float] = PERCENTILES) -> tuple[Field, ...]:
    """Name the columns of :func:`delivery_frame`."""
    counts = (_INTENDED, _ACCEPTED, _DELIVERED, _FAILED, _SILENT, _WAITING, _RATE)
    latencies = (
        Field(latency_name(each), Kind.NUMBER, f"{each:g} of 100 delivered messages were no slower")
        for each in percentiles
    )
    return (*(_KEYS[name] for name in by), *counts, *latencies)


def latency_name(percentile: float) -> str:
    """Name the column of a percentile: ``latency_p50_seconds``."""
    return f"latency_p{percentile:g}_seconds"


def funnel_frame(
    store: Store,
    start: date,
    end: date,
    *,
    by: Sequence[By] = ("day",),
    timezone: str = "Asia/Shanghai",
    silent_after_hours: float = 72,
    language: Language = "en",
) -> pd.DataFrame:
    """
    Give the delivery funnel of the messages of some days, per group.

    Always ``intended = accepted + rejected + unknown + not_sent`` and ``accepted = delivered + failed +
    silent + waiting``; ``reported`` are the delivered, the failed, and those of whom a report says
    "pending". Where the vendor took fewer numbers of a batch than it got and does not say which it
    refused, all of the batch count as accepted.

    Columns: those of ``by`` (``day`` is ``datetime64[us]`` at midnight without a zone, ``hour`` ``int64``,
    the others text), then ``intended``, ``accepted``, ``rejected``, ``unknown``, ``not_sent``,
    ``reported``, ``delivered``, ``failed``, ``silent``, ``waiting`` (messages) and ``segments`` (what the
    accepted ones are charged as), all ``int64``. Ordered by the columns of ``by``; groups without a
    message are left out.

    :param start: first local day.
    :param end: last local day, included.
    :param by: any of ``day``, ``hour``, ``conn_id``, ``vendor``, ``carrier``, ``province``,
        ``template_id``, ``error_code``, ``send_key``; none for one row of all.
    :param timezone: whose days and hours.
    :param silent_after_hours: how long a report may take, from the submit or the time that it was scheduled
        for.
    :param language: ``en`` or ``zh``: of the names of carriers and provinces.
    :raises PreflightError: ``by`` names something else, or something twice.
    :raises StoreUnavailable: the store is away.
    """
    import pandas as pd

    keys = _checked(by)
    groups = [
        _counted(part, keys)
        for part in _parts(store, (start, end), keys, timezone, silent_after_hours, language, latencies=False)
    ]
    frame = pd.concat(groups, ignore_index=True) if groups else _counted(None, keys)
    return _typed(frame, funnel_fields(keys))


def delivery_frame(
    store: Store,
    start: date,
    end: date,
    *,
    by: Sequence[By] = ("day",),
    timezone: str = "Asia/Shanghai",
    silent_after_hours: float = 72,
    language: Language = "en",
    percentiles: Sequence[float] = PERCENTILES,
) -> pd.DataFrame:
    """
    Give delivery rate and latencies of the messages of some days, per group.

    Columns: those of ``by``, as :func:`funnel_frame` has them; ``intended``, ``accepted``, ``delivered``,
    ``failed``, ``silent``, ``waiting`` (``int64``); ``delivery_rate`` (``float64``: delivered of accepted, 0
    to 1, NaN where nothing was accepted); ``latency_p50_seconds`` and so on (``float64``: from the submit,
    or the time it was scheduled for, to the report, of delivered messages; between two of them in proportion;
    NaN where none was delivered). By ``error_code``, the rate is that of each code's own messages.

    With ``day`` among ``by`` the days are read one after the other; without, every message of all days is
    held in some 50 bytes.

    :param percentiles: which latencies, 0 to 100; none costs least.

    The other parameters and errors are those of :func:`funnel_frame`.
    """
    import pandas as pd

    keys = _checked(by)
    groups = []
    for part in _parts(
        store, (start, end), keys, timezone, silent_after_hours, language, latencies=bool(percentiles)
    ):
        counted = _counted(part, keys)
        counted["delivery_rate"] = counted["delivered"] / counted["accepted"].where(counted["accepted"] > 0)
        groups.append(_with_latencies(counted, part, keys, percentiles))
    fields = delivery_fields(keys, percentiles)
    frame = pd.concat(groups, ignore_index=True) if groups else pd.DataFrame(columns=[f.name for f in fields])
    return _typed(frame, fields)


def _checked(by: Sequence[By]) -> tuple[By, ...]:
    keys: tuple[Any, ...] = (by,) if isinstance(by, str) else tuple(by)
    problems = [f"by names {name!r}: use any of {', '.join(BY)}" for name in keys if name not in BY]
    if len(set(keys)) < len(keys):
        problems.append(f"by names something twice: {', '.join(keys)}")
    if problems:
        raise PreflightError(problems, "frame")
    return keys


def _parts(
    store: Store,
    days: tuple[date, date],
    keys: tuple[By, ...],
    timezone: str,
    silent_after_hours: float,
    language: Language,
    *,
    latencies: bool,
) -> Iterator[pd.DataFrame]:
    """Give the outcomes, part by part, so that no group is in two parts."""
    zone = ZoneInfo(timezone)
    spans = list(local_days(*days, zone))
    shares: list[list[Span]] = [[span] for span in spans] if "day" in keys else [spans]
    with store.reading() as connection:
        silent_before = store.clock(connection) - timedelta(hours=silent_after_hours)
        wish = Wish(keys, zone, silent_before, language, latencies)
        for share in shares:
            outcomes = outcomes_of(connection, share, wish)
            if outcomes.empty:
                continue
            if "day" in keys:
                outcomes["day"] = datetime.combine(share[0].day, datetime.min.time())
            yield outcomes


def _grouped(outcomes: pd.DataFrame, keys: Sequence[str]) -> list[pd.Series]:
    # One row of all is a group, too.
    return [outcomes[name] for name in keys] or [outcomes["messages"] * 0]


def _counted(outcomes: pd.DataFrame | None, keys: Sequence[By]) -> pd.DataFrame:
    import pandas as pd

    if outcomes is None:
        return pd.DataFrame(columns=[field.name for field in funnel_fields(keys)])
    groups = _grouped(outcomes, keys)
    names: list[str] = list(keys) or ["all"]
    groups = [series.rename(name) for series, name in zip(groups, names, strict=True)]
    messages = outcomes["messages"].groupby([*groups, outcomes["outcome"]], observed=True).sum()
    counted = messages.unstack("outcome", fill_value=0)  # noqa: PD010 - of a series, which has no pivot
    counted = pd.DataFrame({name: counted.get(name, 0) for name in OUTCOMES}, index=counted.index)
    counted["accepted"] = counted[["delivered", "failed", "silent", "waiting"]].sum(axis=1)
    counted["intended"] = counted[list(OUTCOMES)].sum(axis=1)
    out = outcomes["outcome"].isin(["delivered", "failed", "silent", "waiting"])
    for name, values in (
        ("reported", outcomes["messages"] * outcomes["reported"] * out),
        ("segments", outcomes["segments"] * out),
    ):
        counted[name] = values.groupby(groups, observed=True).sum()
    return counted.reset_index()


def _with_latencies(
    counted: pd.DataFrame, outcomes: pd.DataFrame, keys: Sequence[str], percentiles: Sequence[float]
) -> pd.DataFrame:
    import numpy as np

    if not percentiles:
        return counted
    names: list[str] = list(keys) or ["all"]
    groups = [series.rename(name) for series, name in zip(_grouped(outcomes, keys), names, strict=True)]
    shares = np.array(percentiles) / 100
    told = outcomes["latency"].groupby(groups, observed=True).quantile(shares)
    wide = told.unstack(-1)  # noqa: PD010 - of a series, which has no pivot
    wide.columns = [latency_name(each) for each in percentiles]
    return counted.merge(wide.reset_index(), on=names, how="left")


def _typed(frame: pd.DataFrame, fields: Sequence[Field]) -> pd.DataFrame:
    types = {
        Kind.WHOLE: "int64",
        Kind.NUMBER: "float64",
        Kind.TEXT: text_type(),
        Kind.DAY: "datetime64[us]",
    }
    frame = frame[[field.name for field in fields]]
    return frame.astype({field.name: types[field.kind] for field in fields})
