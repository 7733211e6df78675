"""Many rows at once by the driver's ``executemany``: SQLite, MySQL, MariaDB, and few rows on PostgreSQL."""

from __future__ import annotations

import sqlite3
from itertools import chain, islice, repeat
from typing import TYPE_CHECKING, Any

from airflow_provider_sms.store.columnar import each_once, is_one
from airflow_provider_sms.store.columns import UtcDateTime

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Column, Table
    from sqlalchemy.engine import Connection

#: SQLite does a statement of a hundred rows in two thirds of the time of a hundred of one row.
_ROWS_AT_ONCE = 100


def append(connection: Connection, table: Table, columns: Mapping[str, Any], count: int) -> None:
    """Insert rows that are not there."""
    _execute_many(connection, table, columns, count, "")


def upsert(
    connection: Connection, table: Table, columns: Mapping[str, Any], count: int, keep: Sequence[str]
) -> None:
    """Insert or change rows."""
    _execute_many(connection, table, columns, count, on_conflict(connection, table, columns, keep))


def on_conflict(connection: Connection, table: Table, columns: Mapping[str, Any], keep: Sequence[str]) -> str:
    """Give what an insert says about rows that are there already."""
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
    marks = f"({', '.join(repeat(mark, len(columns)))})"
    into = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES "  # noqa: S608
    values = [_for_driver(connection, table.c[name], column, count) for name, column in columns.items()]
    rows = zip(*values, strict=True)
    several = _rows_of_a_statement(connection, len(columns))
    if (statements := count // several) and several > 1:
        parameters = [tuple(chain.from_iterable(islice(rows, several))) for _ in range(statements)]
        connection.exec_driver_sql(f"{into}{', '.join(repeat(marks, several))} {clause}", parameters)
        count -= statements * several
    if count:
        connection.exec_driver_sql(f"{into}{marks} {clause}", list(rows))


def _rows_of_a_statement(connection: Connection, width: int) -> int:
    """Give how many rows one statement is to bring; other drivers than SQLite's see to it themselves."""
    if connection.dialect.name != "sqlite":
        return 1
    driver: Any = connection.connection.driver_connection
    most: int = driver.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
    return max(1, min(_ROWS_AT_ONCE, most // width))


def _for_driver(connection: Connection, column: Column[Any], values: Any, count: int) -> Iterable[Any]:
    convert = None
    if isinstance(column.type, UtcDateTime):
        convert = column.type.dialect_impl(connection.dialect).bind_processor(connection.dialect)
    if is_one(values):
        return repeat(convert(values) if convert else values, count)
    return each_once(convert, values) if convert else values
