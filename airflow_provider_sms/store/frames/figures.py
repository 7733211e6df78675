"""The delivery funnel, and delivery rates and latencies, by whatever one asks for."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from airflow_provider_sms.store.frames.asking import asked_days
from airflow_provider_sms.store.frames.fields import CODE_MEANING, Field, Kind
from airflow_provider_sms.store.frames.outcomes import BY, OUTCOMES, By, Outcomes, Wish, outcomes_of
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
    "error_code": Field("error_code", Kind.TEXT, CODE_MEANING),
    "send_key": Field("send_key", Kind.TEXT, "names the send"),
}
_INTENDED = Field("intended", Kind.WHOLE, "messages that were to be sent")
_ACCEPTED = Field("accepted", Kind.WHOLE, "of these, accepted by the vendor or proved so by a report")
_DELIVERED = Field("delivered", Kind.WHOLE, "reported as delivered")
_FAILED = Field("failed", Kind.WHOLE, "reported as failed")
_SILENT = Field("silent", Kind.WHOLE, "accepted, without a final report for so many hours")
_WAITING = Field("waiting", Kind.WHOLE, "accepted, without a final report, whose hours are not over")
_NO_REPORTS = Field("no_reports", Kind.WHOLE, "accepted by a vendor that gives no reports (linkws)")
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
    _NO_REPORTS,
    Field("segments", Kind.WHOLE, "what the accepted ones are charged as"),
)
_RATE = Field(
    "delivery_rate",
    Kind.NUMBER,
    "delivered / (accepted - no_reports), 0 to 1; missing where nobody is owed a report",
)
#: The latencies that are told if nobody asks for others.
PERCENTILES = (50, 90, 95, 99)
#: The outcomes of messages that the vendor accepted.
_OUT = ("delivered", "failed", "silent", "waiting", "no_reports")
#: A column of one group, where nothing is asked for.
_ALL = "all"


def funnel_fields(by: Sequence[By]) -> tuple[Field, ...]:
    """Name the columns of :func:`funnel_frame`."""
    return (*(_KEYS[name] for name in by), *_FUNNEL)


def delivery_fields(by: Sequence[By], percentiles: Sequence[float] = PERCENTILES) -> tuple[Field, ...]:
    """Name the columns of :func:`delivery_frame`."""
    counts = (_INTENDED, _ACCEPTED, _DELIVERED, _FAILED, _SILENT, _WAITING, _NO_REPORTS, _RATE)
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
    silent + waiting + no_reports``; ``reported`` are the delivered, the failed, and those of whom a report
    says "pending"; ``no_reports`` are those whose vendor gives none, so that nobody can tell. Where the
    vendor took fewer numbers of a batch than it got and does not say which it refused, all of the batch
    count as accepted.

    Columns: those of ``by`` (``day`` is ``datetime64[us]`` at midnight without a zone, ``hour`` ``int64``,
    the others text), then ``intended``, ``accepted``, ``rejected``, ``unknown``, ``not_sent``,
    ``reported``, ``delivered``, ``failed``, ``silent``, ``waiting``, ``no_reports`` (messages) and
    ``segments`` (what the accepted ones are charged as), all ``int64``. Ordered by the columns of ``by``;
    groups without a message are left out.

    :param start: first local day.
    :param end: last local day, included.
    :param by: any of ``day``, ``hour``, ``conn_id``, ``vendor``, ``carrier``, ``province``,
        ``template_id``, ``error_code``, ``send_key``; none for one row of all.
    :param timezone: whose days and hours.
    :param silent_after_hours: how long a report may take, from the submit or the time that it was scheduled
        for.
    :param language: ``en`` or ``zh``: of the names of carriers and provinces.
    :raises PreflightError: ``by`` names something else, or something twice; a day is no date, or the
        zone is none.
    :raises StoreUnavailable: the store is away.
    """
    keys, problems = _keys(by)
    spans = asked_days(timezone, problems=problems, start=start, end=end)
    parts = _parts(store, spans, keys, timezone, silent_after_hours, language)
    groups = [_counted(counts, keys) for counts, _ in parts]
    return _typed(groups, keys, funnel_fields(keys))


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
    ``failed``, ``silent``, ``waiting``, ``no_reports`` (``int64``); ``delivery_rate`` (``float64``:
    delivered of those accepted by vendors that give reports, 0 to 1, NaN where there are none);
    ``latency_p50_seconds`` and so on (``float64``: from the submit, or the time it was scheduled for, to
    the report, of delivered messages; to its reading, where a vendor's reports tell no time, as wavecom's;
    between two of them in proportion; NaN where none was delivered). By ``error_code``, the rate is that of
    each code's own messages.

    Every message is read and none is kept: what is in memory is as large as the frame, and each different
    latency of a group in some 16 bytes. With ``day`` among ``by`` these are let go after each day.

    :param percentiles: which latencies, 0 to 100; none costs least.

    The other parameters and errors are those of :func:`funnel_frame`.
    """
    keys, problems = _keys(by, percentiles)
    spans = asked_days(timezone, problems=problems, start=start, end=end)
    groups = []
    for counts, latencies in _parts(store, spans, keys, timezone, silent_after_hours, language, percentiles):
        counted = _counted(counts, keys)
        owed = counted["accepted"] - counted["no_reports"]
        counted["delivery_rate"] = counted["delivered"] / owed.where(owed > 0)
        groups.append(counted.merge(latencies, on=_names(keys), how="left"))
    return _typed(groups, keys, delivery_fields(keys, percentiles))


def _keys(by: Sequence[By], percentiles: Sequence[float] = ()) -> tuple[tuple[By, ...], list[str]]:
    """Give what to group by, and what is wrong with it and with the percentiles."""
    keys: tuple[Any, ...] = (by,) if isinstance(by, str) else tuple(by)
    problems = [f"by names {name!r}: use any of {', '.join(BY)}" for name in keys if name not in BY]
    if len(set(keys)) < len(keys):
        problems.append(f"by names something twice: {', '.join(keys)}")
    problems += [f"percentiles has {each}: give 0 to 100" for each in percentiles if not 0 <= each <= 100]  # noqa: PLR2004
    return keys, problems


def _parts(
    store: Store,
    spans: Sequence[Span],
    keys: tuple[By, ...],
    timezone: str,
    silent_after_hours: float,
    language: Language,
    percentiles: Sequence[float] = (),
) -> Iterator[Outcomes]:
    """Give the outcomes, part by part, so that no group is in two parts."""
    zone = ZoneInfo(timezone)
    shares: list[Sequence[Span]] = [[span] for span in spans] if "day" in keys else [spans]
    with store.sweeping() as connection:
        silent_before = store.clock(connection) - timedelta(hours=silent_after_hours)
        wish = Wish(keys, zone, silent_before, language, {latency_name(each): each for each in percentiles})
        for share in shares:
            outcomes = outcomes_of(connection, share, wish)
            if outcomes.counts.empty:
                continue
            for frame in outcomes:
                if "day" in keys:
                    frame["day"] = datetime.combine(share[0].day, datetime.min.time())
                if not keys:
                    frame[_ALL] = 0
            yield outcomes


def _names(keys: Sequence[By]) -> list[str]:
    # One row of all is a group, too.
    return [str(name) for name in keys] or [_ALL]


def _counted(outcomes: pd.DataFrame, keys: Sequence[By]) -> pd.DataFrame:
    import pandas as pd

    names = _names(keys)
    messages = outcomes.groupby([*names, "outcome"])["messages"].sum()
    counted = messages.unstack("outcome", fill_value=0)  # noqa: PD010 - of a series, which has no pivot
    counted = pd.DataFrame({name: counted.get(name, 0) for name in OUTCOMES}, index=counted.index)
    counted["accepted"] = counted[list(_OUT)].sum(axis=1)
    counted["intended"] = counted[list(OUTCOMES)].sum(axis=1)
    out = outcomes[outcomes["outcome"].isin(_OUT)]
    groups = [out[name] for name in names]
    for name, values in (("reported", out["messages"] * out["reported"]), ("segments", out["segments"])):
        counted[name] = values.groupby(groups).sum().reindex(counted.index, fill_value=0)
    return counted.reset_index()


def _typed(groups: list[pd.DataFrame], keys: Sequence[By], fields: Sequence[Field]) -> pd.DataFrame:
    import pandas as pd

    names = [field.name for field in fields]
    types = {
        Kind.WHOLE: "int64",
        Kind.NUMBER: "float64",
        Kind.TEXT: text_type(),
        Kind.DAY: "datetime64[us]",
    }
    frame = pd.concat(groups, ignore_index=True)[names] if groups else pd.DataFrame(columns=names)
    if "day" in keys[1:]:
        # They came day by day.
        frame = frame.sort_values(list(keys), ignore_index=True)
    return frame.astype({field.name: types[field.kind] for field in fields})
