"""
Bring the tables to the version that this package knows, in place.

Several processes may find an empty or old store at once: one does the work under a lock, the others
wait and find it done. A store newer than the package is refused: its tables may mean something else.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import func, inspect, select, text

from airflow_provider_sms.errors import StoreUnavailable
from airflow_provider_sms.store import schema
from airflow_provider_sms.store.renewing import create_views, hold_views
from airflow_provider_sms.store.steps import STEPS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Table
    from sqlalchemy.engine import Connection, Engine

    from airflow_provider_sms.store.steps import Step

VERSION = "schema_version"
PROOF = "written"

#: Any number that nobody else locks by.
_POSTGRES_LOCK = 7_067_673
_LOCK_SECONDS = 60


def bring_up(engine: Engine, steps: Sequence[Step] = STEPS) -> None:
    """
    Create the tables, or change older ones.

    :raises StoreUnavailable: the store is newer than the package.
    """
    target = steps[-1].version if steps else 1
    with engine.connect().execution_options(sms_read_only=True) as connection:
        if _is_current(connection, target):
            return
    with _locked(engine) as connection:
        if _is_current(connection, target):
            return
        found = _version(connection)
        # Of one that was cut off making them, perhaps by an older package: MySQL keeps what it has made.
        begun = _tables(connection) if found is None else []
        if found is None:
            _create(connection)
        else:
            hold_views(connection)
        for step in steps:
            if begun or (found is not None and step.version > found):
                step.run(connection)
        _make_missing_indexes(connection, begun)
        create_views(connection)
        # Last of all: whatever was cut off before is taken up again, since it left the old version.
        _write_version(connection, target, new=found is None)


def _is_current(connection: Connection, target: int) -> bool:
    found = _version(connection)
    if found is not None and found > target:
        msg = (
            f"the SMS store has schema version {found}, this package knows {target}: "
            "upgrade airflow-provider-sms on this machine; nothing was read or sent"
        )
        raise StoreUnavailable(msg)
    return found == target


def _version(connection: Connection) -> int | None:
    if not inspect(connection).has_table(schema.meta.name):
        return None
    value = connection.scalar(select(schema.meta.c.value).where(schema.meta.c.name == VERSION))
    try:
        return None if value is None else int(value)
    except ValueError:
        pass
    msg = (
        f"what the SMS store has for its version is no number: correct the row {VERSION!r} of "
        f"{schema.meta.name} by a backup; nothing was read or sent"
    )
    raise StoreUnavailable(msg)


def _create(connection: Connection) -> None:
    schema.metadata.create_all(connection)
    # The proof row is there from the start, so that proving is a plain update: upserts of one row
    # by many workers would deadlock on MySQL.
    if connection.scalar(select(func.count()).where(schema.meta.c.name == PROOF)) == 0:
        connection.execute(schema.meta.insert(), {"name": PROOF, "value": ""})


def _tables(connection: Connection) -> list[Table]:
    return [table for table in schema.metadata.sorted_tables if inspect(connection).has_table(table.name)]


def _make_missing_indexes(connection: Connection, tables: Sequence[Table]) -> None:
    # SQLAlchemy makes them together with their table only.
    for table in tables:
        for index in table.indexes:
            index.create(connection, checkfirst=True)


def _write_version(connection: Connection, version: int, *, new: bool) -> None:
    if new:
        connection.execute(schema.meta.insert(), {"name": VERSION, "value": str(version)})
        return
    connection.execute(schema.meta.update().where(schema.meta.c.name == VERSION), {"value": str(version)})


@contextmanager
def _locked(engine: Engine) -> Iterator[Connection]:
    if engine.dialect.name in {"mysql", "mariadb"}:
        with _mysql_lock(engine) as connection:
            yield connection
        return
    with engine.begin() as connection:
        # SQLite's BEGIN IMMEDIATE is the lock.
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _POSTGRES_LOCK})
        yield connection


@contextmanager
def _mysql_lock(engine: Engine) -> Iterator[Connection]:
    # MySQL commits with every CREATE, which would give a transaction's locks away.
    lock = "concat('airflow_provider_sms:', md5(database()))"
    with engine.connect() as connection:
        if connection.scalar(text(f"SELECT get_lock({lock}, {_LOCK_SECONDS})")) != 1:
            msg = f"another process has been changing the SMS store's tables for {_LOCK_SECONDS} s; try again"
            raise StoreUnavailable(msg)
        try:
            yield connection
            connection.commit()
        finally:
            connection.rollback()
            connection.execute(text(f"SELECT release_lock({lock})"))
