"""Many rows at once by the driver's ``executemany``: SQLite, MySQL, MariaDB, and few rows on PostgreSQL."""

from __future__ import annotations

import sqlite3
from functools import lru_cache
from itertools import chain, islice, repeat
from typing import TYPE_CHECKING, Any

from airflow_provider_sms.store.columnar import each_once, is_one
from airflow_provider_sms.store.columns import UtcDateTime

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
    names = tuple(columns)
    shared = tuple(name for name in names if is_one(columns[name]))
    values = {name: _for_driver(connection, table.c[name], columns[name]) for name in names}
    if connection.dialect.name == "sqlite":
        given = tuple(values[name] for name in shared)
        rows = zip(*(values[name] for name in names if name not in shared), strict=True)
        _execute_numbered(connection, (table.name, names, shared, clause), given, rows, count)
        return
    mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
    into = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES "  # noqa: S608
    every = [repeat(values[name], count) if name in shared else values[name] for name in names]
    rows = zip(*every, strict=True)
    connection.exec_driver_sql(f"{into}({', '.join(repeat(mark, len(names)))}) {clause}", list(rows))


def _execute_numbered(
    connection: Connection,
    target: tuple[str, tuple[str, ...], tuple[str, ...], str],
    given: tuple[Any, ...],
    rows: Iterator[tuple[Any, ...]],
    count: int,
) -> None:
    """
    Insert rows as SQLite does it fastest: many by a statement, and what they share is given once for all.

    :param target: what the statement is made of, see :func:`_numbered`.
    :param given: the values that all rows share.
    :param rows: the others, row by row.
    """
    _, names, shared, _ = target
    driver: Any = connection.connection.driver_connection
    most: int = driver.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
    several = max(1, min(_ROWS_AT_ONCE, (most - len(shared)) // max(1, len(names) - len(shared))))
    if (statements := count // several) and several > 1:
        parameters = [(*given, *chain.from_iterable(islice(rows, several))) for _ in range(statements)]
        connection.exec_driver_sql(_numbered(*target, several), parameters)
        count -= statements * several
    if count:
        connection.exec_driver_sql(_numbered(*target, 1), [(*given, *row) for row in rows])


@lru_cache(maxsize=32)
def _numbered(table: str, names: tuple[str, ...], shared: tuple[str, ...], clause: str, rows: int) -> str:
    """Make a statement of so many rows: the numbers of what they share first, then those of each row."""
    own = [name for name in names if name not in shared]
    same = {name: f"?{number}" for number, name in enumerate(shared, 1)}
    made = []
    for first in range(len(shared) + 1, len(shared) + 1 + rows * len(own), len(own)):
        places = same | {name: f"?{number}" for number, name in enumerate(own, first)}
        made.append(f"({', '.join(places[name] for name in names)})")
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES {', '.join(made)} {clause}"  # noqa: S608


def _for_driver(connection: Connection, column: Column[Any], values: Any) -> Any:
    """Give a column, or the one value of all its rows, as the driver writes it."""
    if not isinstance(column.type, UtcDateTime):
        return values
    convert: Any = column.type.dialect_impl(connection.dialect).bind_processor(connection.dialect)
    if convert is None:
        return values
    return convert(values) if is_one(values) else each_once(convert, values)
