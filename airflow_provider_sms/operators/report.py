"""
The operator that writes the delivery report.

Importing this module for DAG parsing loads no database library, no pandas and no matplotlib; ``execute``
does.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_sms.hooks.store import DEFAULT_STORE_CONN_ID
from airflow_provider_sms.hooks.verdict import failing_for_good

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from airflow.providers.common.compat.sdk import Context

_COUNTS = ("intended", "accepted", "delivered", "failed", "silent", "waiting", "no_reports")
_MOST_DAYS = 62
_LANGUAGES = ("both", "zh", "en")
_HERE = ("", "file", "local")


class SmsDeliveryReportOperator(BaseOperator):
    """
    Write what became of a day's messages as one HTML page: rates, latencies, places, failures, balances.

    The page has no script and asks for nothing, so it opens anywhere, offline as well. It holds no text of a
    message and no whole number. It reads what has landed and calls no vendor: collect first. Needs the extra
    ``report``.

    :param path: where to write it: any address that Airflow's object storage knows (templated). A page that
        is there is replaced as a whole.
    :param day: the day, an ISO date or a date (templated). If empty: today from noon on, else yesterday.
    :param days: so many days up to this one are compared, 1 to 62 (templated).
    :param sms_conn_ids: only these connections, a list or a text with commas (templated); all if empty.
    :param language: ``zh``, ``en``, or ``both`` with a switch on the page (templated).
    :param timezone: whose day it is, and the zone of all times on the page (templated).
    :param silent_after_hours: a message without a final report counts as silent this many hours after it was
        due (templated).
    :param store_conn_id: connection of the store (templated).
    """

    template_fields: Sequence[str] = (
        "path", "day", "days", "sms_conn_ids", "language", "timezone", "silent_after_hours", "store_conn_id",
    )  # fmt: skip
    ui_color = "#e3f4f2"

    def __init__(
        self,
        *,
        path: str,
        day: date | str | None = None,
        days: int | str = 7,
        sms_conn_ids: Sequence[str] | str = (),
        language: str = "both",
        timezone: str = "Asia/Shanghai",
        silent_after_hours: float | str = 72,
        store_conn_id: str = DEFAULT_STORE_CONN_ID,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("multiple_outputs", True)  # report.output["path"]
        super().__init__(**kwargs)
        self.path = path
        self.day = day
        self.days = days
        self.sms_conn_ids = sms_conn_ids
        self.language = language
        self.timezone = timezone
        self.silent_after_hours = silent_after_hours
        self.store_conn_id = store_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Write the page.

        :return: ``{"path", "bytes", "day", "intended", "accepted", "delivered", "failed", "silent",
            "waiting", "no_reports", "needs_a_person"}``: where it is and how large, the day, and its counts.
        :raises AirflowFailException: listing what is wrong with the parameters, or matplotlib is missing.
        :raises StoreUnavailable: nothing was written.
        """
        del context
        from airflow_provider_sms.hooks.store import open_store
        from airflow_provider_sms.reporting.drawing import need_matplotlib
        from airflow_provider_sms.reporting.gathering import gather, unheard_of
        from airflow_provider_sms.reporting.page import render

        with failing_for_good():
            wish = self._checked()
            need_matplotlib()
            store = open_store(self.store_conn_id)
            for conn_id in unheard_of(store, wish.conn_ids):
                self.log.warning("Nothing was ever sent or collected by %r: is it misspelt?", conn_id)
            figures = gather(
                store,
                wish.day,
                days=wish.days,
                conn_ids=wish.conn_ids,
                timezone=wish.timezone,
                silent_after_hours=wish.silent_after_hours,
            )
            page = render(figures, wish.language).encode()
        written = _put(str(self.path), page)
        counts = {name: getattr(figures.total, name) for name in _COUNTS}
        self.log.info(
            "%s: %s, %s",
            written,
            figures.day,
            ", ".join(f"{count:,} {name}" for name, count in counts.items()),
        )
        return {
            "path": written,
            "bytes": len(page),
            "day": figures.day.isoformat(),
            **counts,
            "needs_a_person": figures.attention.total,
        }

    def _checked(self) -> _Wish:
        """
        Read the parameters.

        :raises PreflightError: listing what is wrong with them.
        """
        from airflow_provider_sms.days import read_day, read_hours, read_zone
        from airflow_provider_sms.errors import PreflightError

        problems: list[str] = []
        zone = read_zone(self.timezone, problems)
        hours = read_hours(self.silent_after_hours, problems)
        day = read_day("day", self.day, zone, problems)
        try:
            days = int(self.days)
        except (TypeError, ValueError, OverflowError):
            days = 0
        if not 1 <= days <= _MOST_DAYS:
            problems.append(f"days is {self.days!r}: give a whole number, 1 to {_MOST_DAYS}")
        if self.language not in _LANGUAGES:
            problems.append(f"language is {self.language!r}: use one of {', '.join(_LANGUAGES)}")
        if not str(self.path).strip():
            problems.append("path is empty: say where to write the page")
        conn_ids = _conn_ids(self.sms_conn_ids, problems)
        if problems:
            raise PreflightError(problems, f"task {self.task_id!r}", "nothing was written")
        return _Wish(day, days, conn_ids, self.language, zone.key, hours)


class _Wish(NamedTuple):
    """What the page shall tell, and how."""

    day: date | None
    days: int
    conn_ids: tuple[str, ...]
    language: str
    timezone: str
    silent_after_hours: float


def _conn_ids(given: Any, problems: list[str]) -> tuple[str, ...]:
    listed = given.split(",") if isinstance(given, str) else given or ()
    if not isinstance(listed, Iterable):
        problems.append(f"sms_conn_ids is {given!r}: give a list of connections, or a text with commas")
        return ()
    return tuple(name for name in (str(each).strip() for each in listed) if name)


def _put(address: str, page: bytes) -> str:
    """Write a file that is there as a whole or not at all; one put is that on an object store."""
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_sms.replacing import replace_file

    target = ObjectStoragePath(address)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.protocol not in _HERE:
        target.write_bytes(page)
        return str(target)
    replace_file(Path(target.path), lambda file: file.write(page))
    return str(target)
