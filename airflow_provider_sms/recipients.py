"""
Recipients from wherever a data team has them: a list, a DataFrame, SQL, or a CSV or Parquet file.

All end as columns: ``mobile`` and, for templates, the template's fields, one value per row, as given.
Checking and normalising come later (:mod:`airflow_provider_sms.planning`), so that all problems of all
rows land in one error.
"""

from __future__ import annotations

import ast
import json
import re
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_sms.errors import PreflightError, SubmitNotSent
from airflow_provider_sms.redact import mask_numbers, shown_names
from airflow_provider_sms.store.failures import describe
from airflow_provider_sms.text import normalise_mobile

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from airflow.sdk import ObjectStoragePath
    from sqlalchemy import Connection, Engine

MOBILE = "mobile"
#: What the field with the numbers is called, in small letters.
_OF_NUMBERS = frozenset({MOBILE, "phone", "手机号", "手机号码"})
Columns = dict[str, list[Any]]

_BETWEEN_NUMBERS = re.compile(r"[,;，；、\n]")
#: What an only column is never called: a number, were it a wrong or rounded one.
_NUMBER = re.compile(r"[-+0-9.,()\sEe]{5,}")
#: What drivers raise of options that they do not take, before they connect.
_OF_OPTIONS = (AttributeError, FileNotFoundError, NotImplementedError, PermissionError, TypeError, ValueError)
#: A float of so many bytes holds a number of eleven digits.
_EXACT_BYTES = 8
_NAMED_BY_NUMBERS = (
    "a field is named by a number, so its owner would get nothing: name the field with the numbers 'mobile'; "
    "pandas reads a file without a header line with header=None"
)


def from_values(recipients: Any) -> Columns:
    """
    Take a number, a list of numbers, a list of row dicts, a dict of columns, or a DataFrame.

    A DataFrame (or rows) of a single column needs no column named ``mobile``: rows of one value each are
    numbers, as a SQL task gives them. A text may hold a list, as JSON or as a template renders one.

    :raises PreflightError: when the shape is none of these.
    """
    if hasattr(recipients, "to_dict") and hasattr(recipients, "columns"):
        recipients = _with_numbers_of_its_index(recipients)
        _check_names(list(recipients.columns))
        _refuse_numbers(recipients.columns, _NAMED_BY_NUMBERS)
        return _named({str(name): _values(recipients[name]) for name in recipients.columns})
    if hasattr(recipients, "tolist"):  # a Series or an array
        _refuse_numbers([getattr(recipients, "name", "")], _NAMED_BY_NUMBERS)
        recipients = _values(recipients)
    if isinstance(recipients, (str, int)):
        recipients = _written_list(str(recipients))
    if isinstance(recipients, Mapping):
        _refuse_numbers(recipients, _NAMED_BY_NUMBERS)
        if all(isinstance(values, (list, tuple)) for values in recipients.values()):
            columns = _named({str(name): list(values) for name, values in recipients.items()})
            if len({len(values) for values in columns.values()}) > 1:
                lengths = ", ".join(
                    f"{shown_names([name])} has {len(values):,}" for name, values in columns.items()
                )
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
    :raises PreflightError: the statement gives no rows, or the driver does not take what its connection says.
    :raises SubmitNotSent: the query failed, which another try may mend.
    """
    from sqlalchemy.exc import DBAPIError, ResourceClosedError, SQLAlchemyError

    try:
        # no_parameters: a literal % in the statement is no placeholder.
        with _unlogged(engine), _connect(engine).execution_options(no_parameters=True) as connection:
            result = connection.exec_driver_sql(sql)
            names = [str(name) for name in result.keys()]  # noqa: SIM118 - a result, not a dict
            rows = result.fetchall()
    except ResourceClosedError:
        problem = "the statement gives no rows: give one SELECT"
        raise PreflightError([problem], "recipients") from None
    except DBAPIError as error:
        # SQLite's own words quote a wrong statement from where it is wrong.
        reason = mask_numbers(describe(error.orig))
    except SQLAlchemyError as error:
        reason = type(error).__name__
    else:
        reason = ""
    if reason:
        # Out here nothing hangs on it: the original quotes the statement, which may hold numbers.
        msg = f"the query for the recipients failed ({reason}); nothing was sent"
        raise SubmitNotSent(msg)
    _check_names(names)
    return _named({name: [row[position] for row in rows] for position, name in enumerate(names)})


def _connect(engine: Engine) -> Connection:
    try:
        return engine.connect()
    except _OF_OPTIONS as error:
        kind = type(error).__name__
    # Out here nothing hangs on it: the original may quote an option's value.
    problem = f"the driver of the database does not take what its connection says ({kind}): correct its extra"
    raise PreflightError([problem], "recipients")


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

    A CSV that can be read as UTF-8 is. Two bytes of GB18030 may be both; a byte order mark says which.

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
    rows = _csv_rows(text, name)
    _, header = next(rows, (0, []))
    names = [field.strip() for field in header]
    _refuse_numbers(
        names, f"{name!r}: the file has no header line, as its first one holds a number: put 'mobile' on top"
    )
    _check_names(names)
    columns: Columns = {field: [] for field in names}
    ragged = []
    for line, row in rows:
        if not row:
            continue
        if len(row) != len(names):
            ragged.append(line)
            continue
        for values, value in zip(columns.values(), row, strict=True):
            values.append(value)
    if ragged:
        shown = ", ".join(map(str, ragged[:10]))
        raise PreflightError(
            [f"{name!r}: lines with another number of fields than the header: {shown}"], "recipients"
        )
    return _named(columns)


def _csv_rows(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Give the rows of a CSV, each with the line it ends in."""
    import csv
    import io

    # Strict: a quote that is never closed would else swallow all rows behind it.
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    begins = 1
    try:
        for row in reader:
            yield reader.line_num, row
            begins = reader.line_num + 1
    except csv.Error:
        problem = (
            f"{name!r}: the row that begins in line {begins} is no CSV: look for a quote in the wrong place"
        )
    else:
        return
    raise PreflightError([problem], "recipients")


def _from_parquet(content: bytes, name: str) -> Columns:
    import io

    import pandas as pd

    try:
        frame = pd.read_parquet(io.BytesIO(content))
    except ImportError:
        problem = f"{name!r}: no library that reads Parquet: pip install pyarrow"
    except (ValueError, OSError) as error:
        problem = f"{name!r} cannot be read as Parquet ({type(error).__name__}): write it again, or as CSV"
    else:
        return from_values(frame)
    raise PreflightError([problem], "recipients")


def _written_list(written: str) -> list[Any]:
    """Read a list as JSON or Python writes it, or numbers with something between them."""
    if written.lstrip().startswith("["):
        for read in (json.loads, ast.literal_eval):
            # Python's parser gives up on some texts in ways of its own.
            with suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
                found = read(written.strip())
                if isinstance(found, list):
                    return found
    parts = map(str.strip, _BETWEEN_NUMBERS.split(written))
    return [part for part in parts if part]


def _with_numbers_of_its_index(frame: Any) -> Any:
    """Make columns of an index that holds the numbers: the only column left may be those of other people."""
    named = [str(name) for name in getattr(getattr(frame, "index", None), "names", ()) if name is not None]
    if not any(name.lower() in _OF_NUMBERS for name in named):
        return frame
    _check_names([*named, *frame.columns])
    return frame.reset_index()


def _values(column: Any) -> Any:
    """Give what a Series or an array holds; its own way makes floats of 32 bits look as exact as others."""
    values = column.tolist()
    dtype = getattr(column, "dtype", None)
    # A column of categories holds values of theirs.
    dtype = getattr(getattr(dtype, "categories", None), "dtype", dtype)
    kind, size = getattr(dtype, "kind", ""), getattr(dtype, "itemsize", _EXACT_BYTES)
    if kind != "f" or size >= _EXACT_BYTES or not isinstance(values, list):
        return values
    from numpy import float32

    return [float32(value) if isinstance(value, float) else value for value in values]


def _from_rows(rows: list[Any]) -> Columns:
    if not any(isinstance(row, Mapping) for row in rows):
        return {MOBILE: _only_values(rows)}
    odd = [number for number, row in enumerate(rows, 1) if not isinstance(row, Mapping)]
    if odd:
        shown = ", ".join(map(str, odd[:10]))
        raise PreflightError(
            [f"some rows are dicts, rows {shown} are not: make all of them dicts"], "recipients"
        )
    # A field that a row lacks is kept as None, so that the check can name the row.
    # pandas names the fields of a frame without a header line by whole numbers.
    names = {name: str(name) for row in rows for name in row}
    _check_names(list(names))
    _refuse_numbers(names, _NAMED_BY_NUMBERS)
    return _named({written: [row.get(name) for row in rows] for name, written in names.items()})


def _only_values(rows: list[Any]) -> list[Any]:
    """Take rows of one value each, as cursors give them, for that value."""
    if set(map(type, rows)) <= {str, int} or not any(map(_is_row, rows)):
        return rows
    several = [number for number, row in enumerate(rows, 1) if _is_row(row) and len(row) != 1]
    if several:
        shown = ", ".join(map(str, several[:10]))
        raise PreflightError(
            [f"rows {shown} do not hold one value each: make all rows dicts with 'mobile'"], "recipients"
        )
    return [row[0] if _is_row(row) else row for row in rows]


def _is_row(row: Any) -> bool:
    return isinstance(row, Sequence) and not isinstance(row, (str, bytes))


def _refuse_numbers(names: Iterable[Any], problem: str) -> None:
    """Refuse columns that bear somebody's number for a name: that person would be left out in silence."""
    written = [str(name) for name in names]
    lone = len(written) == 1 and _NUMBER.fullmatch(written[0])
    if lone or any(normalise_mobile(name, landline=True) for name in written):
        raise PreflightError([problem], "recipients")


def _check_names(names: Sequence[Any]) -> None:
    repeated = [str(name) for name, times in Counter(map(str, names)).items() if times > 1]
    if repeated:
        raise PreflightError(
            [f"columns {shown_names(repeated)} are there more than once: rename or drop the others"],
            "recipients",
        )


def _named(columns: Columns) -> Columns:
    if MOBILE in columns:
        return columns
    for name in columns:
        if name.lower() in _OF_NUMBERS:
            columns[MOBILE] = columns.pop(name)
            return columns
    if len(columns) == 1:
        return {MOBILE: next(iter(columns.values()))}
    found = shown_names(list(columns)) or "no columns"
    raise PreflightError(
        [f"there is no column 'mobile' (found {found}): rename the column with the numbers"], "recipients"
    )
