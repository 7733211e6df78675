"""
Many rows at once, as fast as each database takes them, inside the caller's transaction.

Rows come as columns: that is how parsers and frames have them, and a constant column costs nothing. Each way
to write them is a module with an ``append`` and an ``upsert``: :mod:`~airflow_provider_sms.store.copying` for
PostgreSQL, :mod:`~airflow_provider_sms.store.executing` for the other databases that this package knows, and
:mod:`~airflow_provider_sms.store.plain` for all the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_sms.store import copying, executing, plain
from airflow_provider_sms.store.copying import COPY_FROM

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Table
    from sqlalchemy.engine import Connection

__all__ = ["COPY_FROM", "append", "upsert"]


class _Way(Protocol):
    """One way to write at least one row."""

    def append(
        self, connection: Connection, table: Table, columns: Mapping[str, Any], count: int
    ) -> None: ...

    def upsert(
        self,
        connection: Connection,
        table: Table,
        columns: Mapping[str, Any],
        count: int,
        keep: Sequence[str],
    ) -> None: ...


def append(connection: Connection, table: Table, columns: Mapping[str, Any], count: int) -> None:
    """
    Insert rows that surely are not there yet.

    :param columns: a sequence of ``count`` values per column, or one value for all rows.
    :param count: number of rows.
    """
    if count:
        _way(connection).append(connection, table, columns, count)


def upsert(
    connection: Connection, table: Table, columns: Mapping[str, Any], count: int, keep: Sequence[str] = ()
) -> None:
    """
    Insert rows; one that is there already gets the new values.

    :param columns: as for :func:`append`.
    :param keep: columns whose old value stays.
    """
    if count:
        _way(connection).upsert(connection, table, columns, count, keep)


def _way(connection: Connection) -> _Way:
    dialect = connection.dialect
    if dialect.name == "postgresql":
        return copying if dialect.driver == "psycopg" else executing
    return executing if dialect.name in {"sqlite", "mysql", "mariadb"} else plain
