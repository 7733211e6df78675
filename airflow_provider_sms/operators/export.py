"""
The operator that hands tables and frames on: to files for analysts, or into another database.

Importing this module for DAG parsing loads no database library, no pandas and no pyarrow; ``execute`` does.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_sms.hooks.store import DEFAULT_STORE_CONN_ID
from airflow_provider_sms.hooks.verdict import failing_for_good

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_sms.exporting.order import Order
    from airflow_provider_sms.store.engine import Store


class SmsExportOperator(BaseOperator):
    """
    Export a table or frame of the store, day by day: to Parquet or CSV, or into a table of another database.

    Each day is replaced as a whole, so running it again does no harm, and days whose figures still change are
    worth exporting again. It reads what has landed and calls no vendor. Memory does not grow with the day.

    Numbers are masked and texts left out unless asked for.

    :param table: what to export (templated). ``messages`` with their final status, by day of the submit;
        ``reports`` and ``replies``, by the day on which they landed; ``answers``: replies with the message
        that each answers, by the day of the reply; ``balances``; ``daily``: the table ``sms_delivery_daily``;
        ``delivery``: rates and latencies; ``funnel``; ``spending``.
    :param path: a folder, at any address that ``ObjectStoragePath`` knows (templated): the day goes into
        ``<path>/<table>/day=2026-12-24/<table>.parquet``. Give this, or
    :param sql_conn_id: connection of another database (templated), and
    :param sql_table: the table there, ``schema.table`` if need be (templated); it is made if it is missing,
        and has a column ``day`` besides the others.
    :param format: of files: ``parquet`` (default) or ``csv``, in which no cell is a formula (templated).
    :param since: first local day: an ISO date or moment; alone it is that one day (templated).
    :param until: last local day, included (templated); a moment means the day that ends with it or that it is
        in. If both are empty: the days that the run's data interval touches; the last whole day for a run
        without one.
    :param days: instead of ``since``, so many days up to the last one (templated): late reports change days
        that were exported before.
    :param number: ``masked`` (default: ``138****8000``), ``hash`` (``mobile_hash``, by the option
        ``number_hash_key``), or ``plain`` (templated). Those inside of send keys are masked in both others.
    :param texts: whether the texts of messages and replies go along (templated).
    :param by: what ``delivery`` and ``funnel`` are told by besides the day: any of ``hour``, ``conn_id``,
        ``vendor``, ``carrier``, ``province``, ``template_id``, ``error_code``, ``send_key``; a list, or text
        with commas (templated).
    :param timezone: whose days (templated).
    :param silent_after_hours: after how long ``delivery`` and ``funnel`` count a message without a final
        report as silent (templated).
    :param store_conn_id: connection of the store (templated).
    """

    template_fields: Sequence[str] = (
        "table",
        "path",
        "sql_conn_id",
        "sql_table",
        "format",
        "since",
        "until",
        "days",
        "number",
        "texts",
        "by",
        "timezone",
        "silent_after_hours",
        "store_conn_id",
    )
    ui_color = "#efe9f7"

    def __init__(
        self,
        *,
        table: str,
        path: str | None = None,
        sql_conn_id: str | None = None,
        sql_table: str | None = None,
        format: str = "parquet",  # noqa: A002 - what everybody calls it
        since: date | str | None = None,
        until: date | str | None = None,
        days: int | str | None = None,
        number: str = "masked",
        texts: bool | str = False,
        by: Sequence[str] | str = ("conn_id", "vendor"),
        timezone: str = "Asia/Shanghai",
        silent_after_hours: float | str = 72,
        store_conn_id: str = DEFAULT_STORE_CONN_ID,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("multiple_outputs", True)  # export.output["paths"]
        super().__init__(**kwargs)
        self.table = table
        self.path = path
        self.sql_conn_id = sql_conn_id
        self.sql_table = sql_table
        self.format = format
        self.since = since
        self.until = until
        self.days = days
        self.number = number
        self.texts = texts
        self.by = by
        self.timezone = timezone
        self.silent_after_hours = silent_after_hours
        self.store_conn_id = store_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Export the days, one after the other.

        :return: ``{"table", "since", "until", "days", "rows", "paths"}``; ``sql_table`` in place of ``paths``
            for a database.
        :raises AirflowFailException: listing what is wrong with the parameters.
        :raises ExportFailed: the other database refused; days before this one are done.
        :raises StoreUnavailable: the store is away; days before this one are done.
        """
        from airflow_provider_sms.exporting import order as orders
        from airflow_provider_sms.exporting.days import days_wanted
        from airflow_provider_sms.store.frames.days import local_days

        with failing_for_good():
            problems: list[str] = []
            order = orders.checked_order(
                table=self.table,
                number=self.number,
                texts=self.texts,
                by=self.by,
                timezone=self.timezone,
                silent_after_hours=self.silent_after_hours,
                problems=problems,
            )
            interval = _interval(context)
            first, last = days_wanted(self.since, self.until, self.days, interval, order.zone, problems)
            self._check_place(problems)
            store = self._opened(order, problems)
            spans = list(local_days(first, last, order.zone))
            result: dict[str, Any] = {"table": order.table, "since": str(first), "until": str(last)}
            result |= {"days": len(spans), "rows": 0}
            if self.path:
                return result | self._to_files(store, order, spans)
            return result | self._to_table(store, order, spans)

    def _opened(self, order: Order, problems: list[str]) -> Store:
        """
        Open the store, if nothing is wrong with it or with anything before.

        :raises PreflightError: listing all of it.
        """
        from airflow_provider_sms.errors import PreflightError, StoreUnavailable
        from airflow_provider_sms.exporting.order import check_hashes, refuse
        from airflow_provider_sms.hooks.store import open_store

        try:
            store = open_store(self.store_conn_id)
        except PreflightError as error:
            refuse([*problems, *error.problems], self.task_id)
            raise
        except StoreUnavailable:
            # It may come back; what is wrong with the parameters stays.
            refuse(problems, self.task_id)
            raise
        check_hashes(order, store, problems)
        refuse(problems, self.task_id)
        return store

    def _check_place(self, problems: list[str]) -> None:
        from airflow_provider_sms.exporting.order import checked_format

        if self.path and not str(self.path).strip():
            problems.append("path is blank: say where to, or give sql_conn_id and sql_table")
        if self.path and (self.sql_conn_id or self.sql_table):
            problems.append("both a path and a table of a database are given: give one of them")
        elif self.path:
            checked_format(self.format, problems)
        elif not (self.sql_conn_id and self.sql_table):
            problems.append("it is not said where to: give path, or sql_conn_id and sql_table")

    def _to_files(self, store: Store, order: Order, spans: Sequence[Any]) -> dict[str, Any]:
        from airflow.providers.common.compat.sdk import ObjectStoragePath

        from airflow_provider_sms.exporting.files import write_csv, write_parquet
        from airflow_provider_sms.exporting.folders import forget_killed_days, replace_day
        from airflow_provider_sms.exporting.tables import fields_of, parts_of_day

        write = write_parquet if self.format == "parquet" else write_csv
        root = ObjectStoragePath(str(self.path))
        forget_killed_days(root, order.table)
        paths, rows = [], 0
        for span in spans:
            written = partial(write, fields=fields_of(order), parts=parts_of_day(store, order, span))
            path, count = replace_day(root, order.table, span.day, self.format, written)
            self.log.info("%s: %s rows in %s", span.day, f"{count:,}", path)
            paths.append(path)
            rows += count
        return {"rows": rows, "paths": paths}

    def _to_table(self, store: Store, order: Order, spans: Sequence[Any]) -> dict[str, Any]:
        from airflow_provider_sms.exporting.sql_table import ExportFailed, SqlTable
        from airflow_provider_sms.exporting.tables import fields_of, parts_of_day
        from airflow_provider_sms.hooks.databases import engine_of

        engine = engine_of(str(self.sql_conn_id), ExportFailed)
        rows = 0
        try:
            table = SqlTable(engine, str(self.sql_table), fields_of(order))
            table.prepare()
            for span in spans:
                count = table.replace_day(span.day, partial(parts_of_day, store, order, span))
                self.log.info("%s: %s rows in %s", span.day, f"{count:,}", self.sql_table)
                rows += count
        finally:
            engine.dispose()
        return {"rows": rows, "sql_table": self.sql_table}


def _interval(context: Context | dict[str, Any]) -> tuple[datetime, datetime] | None:
    """Give the run's data interval; runs by hand and by assets have none."""
    start, end = (context or {}).get("data_interval_start"), (context or {}).get("data_interval_end")
    return None if start is None or end is None else (start, end)
