"""
The changes of the tables since schema version 1, oldest first.

A change of a table, an index or a view belongs into the newest step that no release has; after a release,
into a new one. The frozen stores of every release are brought up to date in the tests, and must end equal
to a new store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import inspect
from sqlalchemy.schema import CreateColumn

from airflow_provider_sms.store import schema

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Column
    from sqlalchemy.engine import Connection


class Step(NamedTuple):
    """
    One change of the tables. Views are made anew after the last step and need none.

    :param version: the schema version that it leads to; each step follows the one before.
    :param run: makes the change. It may be run again when a crash cut it off (MySQL commits each
        statement of this kind on its own), so it must look before it acts.
    """

    version: int
    run: Callable[[Connection], None]


def _to_2(connection: Connection) -> None:
    """0.2.0: batches know their template, and balances whether they are checks; until then all were."""
    add_column(connection, schema.batches.c.template_id)
    add_column(connection, schema.balances.c.source)


STEPS: tuple[Step, ...] = (Step(2, _to_2),)


def add_column(connection: Connection, column: Column[object]) -> None:
    """Add a column that may be empty or has a default, as the schema has it, unless it is there already."""
    table = column.table
    if column.name in {found["name"] for found in inspect(connection).get_columns(table.name)}:
        return
    definition = CreateColumn(column).compile(dialect=connection.dialect)
    connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {definition}")
