"""
The operator that makes the table ``sms_delivery_daily``.

Importing this module for DAG parsing loads no database library and no pandas; ``execute`` does.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_sms.assets import add_outlet, daily_asset
from airflow_provider_sms.days import HOURS_A_DAY
from airflow_provider_sms.hooks.store import DEFAULT_STORE_CONN_ID
from airflow_provider_sms.hooks.verdict import failing_for_good

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date
    from zoneinfo import ZoneInfo

    from airflow.providers.common.compat.sdk import Context

_COUNTS = ("intended", "accepted", "delivered", "failed", "silent")


class SmsDeliveryDailyOperator(BaseOperator):
    """
    Make ``sms_delivery_daily`` anew for a day or a range of days: what became of the messages, and how fast.

    It reads what has landed and calls no vendor: collect first. Running it again gives the same rows, or
    those that reports which came since have changed.

    :param start: first day, an ISO date or a date (templated). If empty: every day from as many days ago as
        ``silent_after_hours`` reach back, up to today; after a pause, from as many days before the last such
        run; and older days that are not in the table or have changed since then, for a report came late, a
        scheduled message was due, an unknown batch was settled, or a refused one went out on another day.
    :param end: last day, included (templated); ``start`` alone is that one day.
    :param timezone: the zone whose days these are (templated).
    :param silent_after_hours: a message without a final report counts as silent this many hours after it was
        due; before that it counts as accepted only (templated).
    :param store_conn_id: connection of the store (templated).
    """

    template_fields: Sequence[str] = ("start", "end", "timezone", "silent_after_hours", "store_conn_id")
    ui_color = "#e3f4f2"

    def __init__(
        self,
        *,
        start: date | str | None = None,
        end: date | str | None = None,
        timezone: str = "Asia/Shanghai",
        silent_after_hours: float | str = 72,
        store_conn_id: str = DEFAULT_STORE_CONN_ID,
        **kwargs: Any,
    ) -> None:
        # A downstream DAG can be scheduled on the table.
        add_outlet(self, kwargs, daily_asset())
        kwargs.setdefault("multiple_outputs", True)  # refresh.output["delivered"]
        super().__init__(**kwargs)
        self.start = start
        self.end = end
        self.timezone = timezone
        self.silent_after_hours = silent_after_hours
        self.store_conn_id = store_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Refresh the table.

        :return: ``{"days", "rows", "intended", "accepted", "delivered", "failed", "silent"}``: so many days
            and rows, and the sums over them.
        :raises AirflowFailException: listing what is wrong with the parameters.
        :raises StoreUnavailable: nothing was changed.
        """
        from airflow_provider_sms.hooks.store import open_store
        from airflow_provider_sms.store.frames import refresh_delivery_daily
        from airflow_provider_sms.store.frames.changes import changed_days
        from airflow_provider_sms.store.frames.daily import note_up_to_date, up_to_date_since

        with failing_for_good():
            days = _checked(self.start, self.end, self.timezone, self.silent_after_hours, self.task_id)
            store = open_store(self.store_conn_id)
            zone = days.timezone.key
            older: list[date] = []
            if not days.named:
                began = store.now()
                days = days.reaching_back_from(up_to_date_since(store))
                older = changed_days(store, days.start, timezone=zone)
            parts = [
                refresh_delivery_daily(
                    store, first, last, timezone=zone, silent_after_hours=days.silent_after_hours
                )
                for first, last in [*days.spans(), *((day, day) for day in older)]
            ]
            if not days.named:
                note_up_to_date(store, began)
        counts = {name: sum(int(part[name].sum()) for part in parts) for name in _COUNTS}
        refreshed = (days.end - days.start).days + 1 + len(older)
        result = {"days": refreshed, "rows": sum(map(len, parts)), **counts}
        self.log.info(
            "%s to %s%s: %s messages in %s rows; %s accepted, %s delivered, %s failed, %s silent",
            days.start, days.end, "".join(f", {day}" for day in older),
            *(f"{result[name]:,}" for name in ("intended", "rows", *_COUNTS[1:])),
        )  # fmt: skip
        _tell_asset(context, min([days.start, *older]), days.end, result)
        return result


class _Days(NamedTuple):
    """
    What to refresh: whole days of a zone, both ends included.

    :param named: whether somebody named them; else older days that have changed belong to them.
    """

    start: date
    end: date
    timezone: ZoneInfo
    silent_after_hours: float
    named: bool

    def reaching_back_from(self, last: datetime | None) -> _Days:
        """Begin as long before the last refresh as before this one: what was to be made meanwhile was not."""
        if last is None:
            return self
        return self._replace(start=min(self.start, last.astimezone(self.timezone).date() - self.reach))

    @property
    def reach(self) -> timedelta:
        """So many days after it a day still changes by itself."""
        # Whoever was texted late that day became silent in the course of the day after these hours.
        return timedelta(days=math.ceil(self.silent_after_hours / HOURS_A_DAY) + 1)

    def spans(self) -> Iterator[tuple[date, date]]:
        """Give the days in pieces, so that the days after a long pause need no more memory than a night's."""
        first = self.start
        while first <= self.end:
            last = self.end if self.named else min(self.end, first + self.reach)
            yield first, last
            first = last + timedelta(days=1)


def _checked(start: Any, end: Any, timezone: Any, silent_after_hours: Any, task_id: str) -> _Days:
    """
    Read the operator's parameters.

    :raises PreflightError: listing what is wrong with them.
    """
    from airflow_provider_sms.days import read_day, read_hours, read_zone
    from airflow_provider_sms.errors import PreflightError

    problems: list[str] = []
    zone = read_zone(timezone, problems)
    hours = read_hours(silent_after_hours, problems)
    first = read_day("start", start, zone, problems)
    last = read_day("end", end, zone, problems)
    if last is not None and (start is None or start == ""):
        problems.append("end is given without start: give both, or none for all days that can still change")
    if first is not None and last is not None and last < first:
        problems.append(f"end is {last}, before start, which is {first}: turn them round")
    if problems:
        raise PreflightError(problems, f"task {task_id!r}", "nothing was changed")
    if first is None:
        today = datetime.now(zone).date()
        days = _Days(today, today, zone, hours, named=False)
        return days._replace(start=today - days.reach)
    return _Days(first, first if last is None else last, zone, hours, named=True)


def _tell_asset(context: Context | dict[str, Any], start: date, end: date, result: dict[str, int]) -> None:
    """Put the first day, the last one and the counts into the extra of the asset's event, for its DAGs."""
    events = context.get("outlet_events") if context else None
    asset = daily_asset()
    if events is not None and any(
        getattr(outlet, "uri", "") == asset.uri for outlet in context["task"].outlets
    ):
        events[asset].extra = {"start": str(start), "end": str(end), **result}
