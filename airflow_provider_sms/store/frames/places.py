"""What became of the messages of some days, by carrier and province, in memory that no day fills."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, case, cast, func, literal_column, select

from airflow_provider_sms.store.carriers import PREFIX, carrier_of_prefix, province_of_prefix
from airflow_provider_sms.store.frames.asking import asked_days
from airflow_provider_sms.store.frames.messages import submitted_within
from airflow_provider_sms.store.frames.outcomes import outcome_of
from airflow_provider_sms.store.frames.reading import parts_of, text_type
from airflow_provider_sms.store.schema import batches
from airflow_provider_sms.store.views import message_status

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date, datetime

    import pandas as pd
    from sqlalchemy import ColumnElement, Select

    from airflow_provider_sms.store.engine import Store
    from airflow_provider_sms.store.frames.days import Span

_COUNTS = {
    "accepted": ("delivered", "failed", "silent", "waiting", "no_reports"),
    "delivered": ("delivered",),
    "failed": ("failed",),
    "silent": ("silent",),
    "no_reports": ("no_reports",),
}


def places_frame(
    store: Store,
    start: date,
    end: date,
    *,
    conn_ids: Collection[str] = (),
    timezone: str = "Asia/Shanghai",
    silent_after_hours: float = 72,
) -> pd.DataFrame:
    """
    Count messages by carrier and province, as ``funnel_frame`` counts them.

    The database gives a row per block of numbers, of which there are some hundred thousand, and no row is
    kept: what is in memory is as large as the frame.

    Columns: ``carrier``, ``province`` (English text, or ``unknown``), ``intended``, ``accepted``,
    ``delivered``, ``failed``, ``silent``, ``no_reports`` (``int64``). Ordered by carrier and province.

    :param start: first local day of the submit (of the plan, if it was never submitted).
    :param end: last local day, included.
    :param conn_ids: of these connections only; of all if empty.
    :param timezone: whose days.
    :param silent_after_hours: how long a report may take.
    :raises PreflightError: a day is no date, or the zone is none.
    :raises StoreUnavailable: the store is away.
    """
    import pandas as pd

    spans = asked_days(timezone, start=start, end=end)
    sums: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * (len(_COUNTS) + 1))
    with store.sweeping() as connection:
        silent_before = store.clock(connection) - timedelta(hours=silent_after_hours)
        for span in spans:
            for blocks, *counts in parts_of(connection, _statement(span, silent_before, conn_ids)):
                for block, row in zip(blocks, zip(*counts, strict=True), strict=True):
                    total = sums[carrier_of_prefix(block), province_of_prefix(block)]
                    for number, count in enumerate(row):
                        total[number] += int(count)
    rows = [(*place, *counts) for place, counts in sorted(sums.items())]
    frame = pd.DataFrame(rows, columns=["carrier", "province", "intended", *_COUNTS])
    types = dict.fromkeys(["intended", *_COUNTS], "int64") | dict.fromkeys(
        ["carrier", "province"], text_type()
    )
    return frame.astype(types)


def _statement(span: Span, silent_before: datetime, conn_ids: Collection[str]) -> Select[Any]:
    mine: list[ColumnElement[bool]] = [batches.c.conn_id.in_(conn_ids)] if conn_ids else []
    told = message_status(
        *submitted_within(span.since, span.until), *mine, more=(batches.c.send_at,)
    ).subquery("told")
    judged = select(
        func.substr(told.c.mobile, 1, PREFIX).label("block"), outcome_of(told, silent_before).label("outcome")
    ).subquery("judged")
    sums = (
        cast(func.sum(case((judged.c.outcome.in_(outcomes), 1), else_=0)), Integer)
        for outcomes in _COUNTS.values()
    )
    return select(judged.c.block, func.count(), *sums).group_by(literal_column("1"))
