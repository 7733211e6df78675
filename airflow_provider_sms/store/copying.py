"""Many rows at once on PostgreSQL: COPY, whose text is joined here, a third faster than row by row."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any

from sqlalchemy import Boolean, Integer, exc

from airflow_provider_sms.store import executing
from airflow_provider_sms.store.columnar import each_once, is_one
from airflow_provider_sms.store.columns import UtcDateTime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Column, Table
    from sqlalchemy.engine import Connection

#: From so many rows on, COPY is worth its extra round trips; with a table to go through, it has more.
COPY_FROM = 200
APPEND_BY_COPY_FROM = 10
#: Rows that are joined and handed to the server at a time.
_PIECE = 2_000
#: Everybody may, unless a database's rights were taken from PUBLIC.
_MAY_MAKE_TEMPORARY = "SELECT has_database_privilege(current_database(), 'TEMPORARY')"
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_SPECIAL = ("\\", "\t", "\n", "\r")


def append(connection: Connection, table: Table, columns: Mapping[str, Any], count: int) -> None:
    """Insert rows that are not there; few of them by the driver's ``executemany``."""
    if count < APPEND_BY_COPY_FROM:
        executing.append(connection, table, columns, count)
    else:
        _copy(connection, table, table.name, columns, count)


def upsert(
    connection: Connection, table: Table, columns: Mapping[str, Any], count: int, keep: Sequence[str]
) -> None:
    """Insert or change rows, many of them by way of a temporary table where the user may make one."""
    if count < COPY_FROM or not connection.exec_driver_sql(_MAY_MAKE_TEMPORARY).scalar():
        executing.upsert(connection, table, columns, count, keep)
        return
    names = ", ".join(columns)
    load = f"{table.name}_load"
    clause = executing.on_conflict(connection, table, columns, keep)
    connection.exec_driver_sql(f"CREATE TEMPORARY TABLE {load} (LIKE {table.name}) ON COMMIT DROP")
    _copy(connection, table, load, columns, count)
    connection.exec_driver_sql(f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {load} {clause}")  # noqa: S608


def _copy(connection: Connection, table: Table, into: str, columns: Mapping[str, Any], count: int) -> None:
    texts = [_as_text(table.c[name], values, count) for name, values in columns.items()]
    lines = map("\t".join, zip(*texts, strict=True))
    driver_connection: Any = connection.connection.driver_connection
    with (
        _errors_told(connection),
        driver_connection.cursor() as cursor,
        cursor.copy(f"COPY {into} ({', '.join(columns)}) FROM STDIN") as copy,
    ):
        # In pieces: the server writes one while the next is joined.
        while piece := "\n".join(islice(lines, _PIECE)):
            copy.write(piece)
            copy.write("\n")


@contextmanager
def _errors_told(connection: Connection) -> Iterator[None]:
    """Tell the driver's errors as SQLAlchemy does: past it, nobody would map them or drop the connection."""
    dialect = connection.dialect
    try:
        yield
    except dialect.loaded_dbapi.Error as error:
        lost = dialect.is_disconnect(error, connection.connection.driver_connection, None)
        told = exc.DBAPIError.instance(
            "COPY",
            None,
            error,
            dialect.loaded_dbapi.Error,
            hide_parameters=True,
            connection_invalidated=lost,
            dialect=dialect,
        )
        if lost:
            connection.invalidate(error)
        raise told from error


def _as_text(column: Column[Any], values: Any, count: int) -> Iterable[str]:
    convert: Callable[[Any], str] = _escaped
    if isinstance(column.type, UtcDateTime):
        convert = _iso
    elif isinstance(column.type, (Integer, Boolean)):
        convert = str
    if is_one(values):
        return repeat(_nullable(convert)(values), count)
    if convert is _iso:
        return each_once(_nullable(convert), values)
    if column.nullable:
        return map(_nullable(convert), values)
    if convert is str:
        return map(str, values)
    joined = "".join(values)
    if any(special in joined for special in _SPECIAL):
        return map(_escaped, values)
    return values  # type: ignore[no-any-return]


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)


def _iso(moment: datetime) -> str:
    return moment.isoformat()


def _nullable(convert: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda value: "\\N" if value is None else convert(value)
