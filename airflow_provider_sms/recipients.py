"""
Recipients from wherever a data team has them: a list, a DataFrame, SQL, or a CSV or Parquet file.

All end as columns: ``mobile`` and, for templates, the template's fields, one value per row, as given.
Checking and normalising come later (:mod:`airflow_provider_sms.planning`), so that all problems of all
rows land in one error.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_sms.errors import PreflightError, SubmitNotSent
from airflow_provider_sms.store.failures import describe

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator
    from pathlib import Path

    from airflow.sdk import ObjectStoragePath
    from sqlalchemy import Engine

MOBILE = "mobile"
Columns = dict[str, list[Any]]

_BETWEEN_NUMBERS = re.compile(r"[,;，；、\n]")


def from_values(recipients: Any) -> Columns:
    """
    Take a number, a list of numbers, a list of row dicts, a dict of columns, or a DataFrame.

    A DataFrame (or rows) of a single column needs no column named ``mobile``.

    :raises PreflightError: when the shape is none of these.
    """
    if hasattr(recipients, "to_dict") and hasattr(recipients, "columns"):
        _check_names(list(recipients.columns))
        return _named({str(name): recipients[name].tolist() for name in recipients.columns})
    if hasattr(recipients, "tolist"):  # a Series or an array
        recipients = recipients.tolist()
    if isinstance(recipients, (str, int)):
        parts = map(str.strip, _BETWEEN_NUMBERS.split(str(recipients)))
        recipients = [part for part in parts if part]
    if isinstance(recipients, Mapping):
        if all(isinstance(values, (list, tuple)) for values in recipients.values()):
            columns = _named({str(name): list(values) for name, values in recipients.items()})
            if len({len(values) for values in columns.values()}) > 1:
                lengths = ", ".join(f"{name!r} has {len(values):,}" for name, values in columns.items())
                raise PreflightError([f"the columns are not of one length: {lengths} values"], "recipients")
            return columns
        return _named({str(name): [value] for name, value in recipients.items()})  # one row
    if isinstance(recipients, (Sequence, set, frozenset)) or hasattr(recipients, "__iter__"):
        return _from_rows(list(recipients))
    kind = type(recipients).__name__
    msg = f"recipients is a {kind}: give a list of numbers, a list of dicts, or a DataFrame"
    raise PreflightError([msg], "recipients")


def from_sql(engine: Engine, sql: str) -> Columns:
    """
    Run a query; its columns are the fields, one of them ``mobile``.

    The engine is used directly because a hook's own ``get_records`` logs statements and values.

    :param engine: where to run it.
    :param sql: one SELECT.
    :raises SubmitNotSent: the query failed, which another try may mend.
    """
    from sqlalchemy.exc import DBAPIError, ResourceClosedError

    try:
        # no_parameters: a literal % in the statement is no placeholder.
        with _unlogged(engine), engine.connect().execution_options(no_parameters=True) as connection:
            result = connection.exec_driver_sql(sql)
            names = [str(name) for name in result.keys()]  # noqa: SIM118 - a result, not a dict
            rows = result.fetchall()
    except ResourceClosedError:
        problem = "the statement gives no rows: give one SELECT"
        raise PreflightError([problem], "recipients") from None
    except DBAPIError as error:
        reason = describe(error.orig)
    else:
        reason = ""
    if reason:
        # Out here nothing hangs on it: the original quotes the statement, which may hold numbers.
        msg = f"the query for the recipients failed ({reason}); nothing was sent"
        raise SubmitNotSent(msg)
    _check_names(names)
    return _named({name: [row[position] for row in rows] for position, name in enumerate(names)})


@contextmanager
def _unlogged(engine: Engine) -> Iterator[None]:
    """Keep an engine from logging what this thread does: statements at INFO, fetched rows at DEBUG."""
    # With "echo" it logs by an object that stands before the logger.
    told: Any = engine.logger
    logger: logging.Logger = getattr(told, "logger", told)
    here = threading.get_ident()

    def elsewhere(record: logging.LogRecord) -> bool:
        return record.thread != here

    logger.addFilter(elsewhere)
    try:
        yield
    finally:
        logger.removeFilter(elsewhere)


def from_path(path: Path | ObjectStoragePath) -> Columns:
    """
    Read a CSV (UTF-8 or GB18030, with a header line) or a Parquet file.

    :param path: a local path or an ``ObjectStoragePath``.
    :raises PreflightError: when it is neither, or cannot be read.
    """
    suffix = path.name.lower().rpartition(".")[2]
    if suffix not in {"csv", "parquet"}:
        raise PreflightError([f"{path.name!r} ends in neither .csv nor .parquet: convert it"], "recipients")
    try:
        content = path.read_bytes()
    except OSError as error:
        msg = f"{path.name!r} cannot be read ({type(error).__name__}): check the path and its connection"
        raise PreflightError([msg], "recipients") from None
    return _from_csv(content, path.name) if suffix == "csv" else _from_parquet(content, path.name)


def _from_csv(content: bytes, name: str) -> Columns:
    import csv
    import io

    for charset in ("utf-8-sig", "gb18030"):  # Chinese spreadsheets save CSV in GB
        try:
            text = content.decode(charset)
        except UnicodeDecodeError:
            continue
        break
    else:
        raise PreflightError(
            [f"{name!r} is text in neither UTF-8 nor GB18030: save it as UTF-8"], "recipients"
        )
    reader = csv.reader(io.StringIO(text, newline=""))
    names = [field.strip() for field in next(reader, [])]
    _check_names(names)
    columns: Columns = {field: [] for field in names}
    ragged = []
    for row in reader:
        if not row:
            continue
        if len(row) != len(names):
            ragged.append(reader.line_num)
            continue
        for values, value in zip(columns.values(), row, strict=True):
            values.append(value)
    if ragged:
        shown = ", ".join(map(str, ragged[:10]))
        raise PreflightError(
            [f"{name!r}: lines with another number of fields than the header: {shown}"], "recipients"
        )
    return _named(columns)


def _from_parquet(content: bytes, name: str) -> Columns:
    import io

    import pandas as pd

    try:
        frame = pd.read_parquet(io.BytesIO(content))
    except ImportError:
        problem = f"{name!r}: no library that reads Parquet: pip install 'airflow-provider-sms[parquet]'"
    except (ValueError, OSError) as error:
        problem = f"{name!r} cannot be read as Parquet ({type(error).__name__}): write it again, or as CSV"
    else:
        return from_values(frame)
    raise PreflightError([problem], "recipients")


def _from_rows(rows: list[Any]) -> Columns:
    if not any(isinstance(row, Mapping) for row in rows):
        return {MOBILE: rows}
    odd = [number for number, row in enumerate(rows, 1) if not isinstance(row, Mapping)]
    if odd:
        shown = ", ".join(map(str, odd[:10]))
        raise PreflightError(
            [f"some rows are dicts, rows {shown} are not: make all of them dicts"], "recipients"
        )
    # A field that a row lacks is kept as None, so that the check can name the row.
    names = dict.fromkeys(str(name) for row in rows for name in row)
    return _named({name: [row.get(name) for row in rows] for name in names})


def _check_names(names: Sequence[Any]) -> None:
    repeated = [str(name) for name, times in Counter(map(str, names)).items() if times > 1]
    if repeated:
        shown = ", ".join(map(repr, repeated))
        raise PreflightError(
            [f"columns {shown} are there more than once: rename or drop the others"], "recipients"
        )


def _named(columns: Columns) -> Columns:
    if MOBILE in columns:
        return columns
    for name in columns:
        if name.lower() in {MOBILE, "phone", "手机号", "手机号码"}:
            columns[MOBILE] = columns.pop(name)
            return columns
    if len(columns) == 1:
        return {MOBILE: next(iter(columns.values()))}
    found = ", ".join(map(repr, columns)) or "no columns"
    raise PreflightError(
        [f"there is no column 'mobile' (found {found}): rename the column with the numbers"], "recipients"
    )
