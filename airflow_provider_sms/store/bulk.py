"""
Many rows at once, as fast as each database takes them, inside the caller's transaction.

Rows come as columns: that is how parsers and frames have them, and a constant column costs nothing.
PostgreSQL gets COPY (the text is joined here, a third faster than row by row through the driver), the
others their driver's ``executemany``.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any

from sqlalchemy import Boolean, Integer

from airflow_provider_sms.store.columns import UtcDateTime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Column, Table
    from sqlalchemy.engine import Connection

#: From so many rows on, COPY is worth its extra round trips; with a table to go through, it has more.
COPY_FROM = 200
APPEND_BY_COPY_FROM = 10
_COPY_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_COPY_SPECIAL = ("\\", "\t", "\n", "\r")


def append(connection: Connection, table: Table, columns: Mapping[str, Any], count: int) -> None:
    """
    Insert rows that surely are not there yet.

    :param columns: a sequence of ``count`` values per column, or one value for all rows.
    :param count: number of rows.
    """
    if count == 0:
        return
    if _can_copy(connection) and count >= APPEND_BY_COPY_FROM:
        _copy(connection, table, table.name, columns, count)
    else:
        _execute_many(connection, table, columns, count, "")


def upsert(
    connection: Connection, table: Table, columns: Mapping[str, Any], count: int, keep: Sequence[str] = ()
) -> None:
    """
    Insert rows; one that is there already gets the new values.

    :param columns: as for :func:`append`.
    :param keep: columns whose old value stays.
    """
    if count == 0:
        return
    clause = _on_conflict(connection, table, columns, keep)
    if _can_copy(connection) and count >= COPY_FROM:
        names = ", ".join(columns)
        load = f"{table.name}_load"
        connection.exec_driver_sql(f"CREATE TEMPORARY TABLE {load} (LIKE {table.name}) ON COMMIT DROP")
        _copy(connection, table, load, columns, count)
        connection.exec_driver_sql(f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {load} {clause}")  # noqa: S608
    else:
        _execute_many(connection, table, columns, count, clause)


def _can_copy(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql" and connection.dialect.driver == "psycopg"


def _on_conflict(
    connection: Connection, table: Table, columns: Mapping[str, Any], keep: Sequence[str]
) -> str:
    keys = [column.name for column in table.primary_key]
    changed = [name for name in columns if name not in {*keys, *keep}] or keys[:1]
    if connection.dialect.name in {"mysql", "mariadb"}:
        return "ON DUPLICATE KEY UPDATE " + ", ".join(f"{name} = VALUES({name})" for name in changed)
    assignments = ", ".join(f"{name} = excluded.{name}" for name in changed)
    return f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {assignments}"


def _execute_many(
    connection: Connection, table: Table, columns: Mapping[str, Any], count: int, clause: str
) -> None:
    mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
    marks = ", ".join(repeat(mark, len(columns)))
    statement = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({marks}) {clause}"  # noqa: S608
    values = [_for_driver(connection, table.c[name], column, count) for name, column in columns.items()]
    connection.exec_driver_sql(statement, list(zip(*values, strict=True)))


def _for_driver(connection: Connection, column: Column[Any], values: Any, count: int) -> Iterable[Any]:
    convert = None
    if isinstance(column.type, UtcDateTime):
        convert = column.type.dialect_impl(connection.dialect).bind_processor(connection.dialect)
    if _is_one(values):
        return repeat(convert(values) if convert else values, count)
    return _each_once(convert, values) if convert else values


def _is_one(values: Any) -> bool:
    """Tell whether it is one value for all rows."""
    return values is None or isinstance(values, (str, int)) or not hasattr(values, "__len__")


def _each_once(convert: Callable[[Any], Any], values: Sequence[Any]) -> Iterable[Any]:
    # Vendors' times are whole seconds: a page has far fewer different times than rows.
    known = {value: convert(value) for value in set(values)}
    return map(known.__getitem__, values)


def _copy(connection: Connection, table: Table, into: str, columns: Mapping[str, Any], count: int) -> None:
    texts = [_as_text(table.c[name], values, count) for name, values in columns.items()]
    lines = "\n".join(map("\t".join, zip(*texts, strict=True)))
    driver_connection: Any = connection.connection.driver_connection
    with (
        driver_connection.cursor() as cursor,
        cursor.copy(f"COPY {into} ({', '.join(columns)}) FROM STDIN") as copy,
    ):
        copy.write(lines)
        copy.write("\n")


def _as_text(column: Column[Any], values: Any, count: int) -> Iterable[str]:
    convert: Callable[[Any], str] = _escaped
    if isinstance(column.type, UtcDateTime):
        convert = _iso
    elif isinstance(column.type, (Integer, Boolean)):
        convert = str
    if _is_one(values):
        return repeat(_nullable(convert)(values), count)
    if convert is _iso:
        return _each_once(_nullable(convert), values)
    if column.nullable:
        return map(_nullable(convert), values)
    if convert is str:
        return map(str, values)
    joined = "".join(values)
    if any(special in joined for special in _COPY_SPECIAL):
        return map(_escaped, values)
    return values  # type: ignore[no-any-return]


def _escaped(text: str) -> str:
    return text.translate(_COPY_ESCAPES)


def _iso(moment: datetime) -> str:
    return moment.isoformat()


def _nullable(convert: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda value: "\\N" if value is None else convert(value)
