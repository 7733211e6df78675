"""
Databases to measure in: made for one run, dropped after it.

``SMS_BENCH_POSTGRES`` and ``SMS_BENCH_MYSQL`` name servers (SQLAlchemy addresses of databases that may be
connected to); by default those of this machine.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import create_engine, event, exc, make_url

from airflow_provider_sms.store.engine import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

SERVERS = {
    "postgresql": os.environ.get(
        "SMS_BENCH_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
    ),
    "mysql": os.environ.get("SMS_BENCH_MYSQL", "mysql+pymysql://root@127.0.0.1:3306/mysql"),
}


@cache
def available(dialect: str) -> bool:
    """Say whether there is such a database on this machine."""
    if dialect == "sqlite":
        return True
    engine = create_engine(SERVERS[dialect], connect_args={"connect_timeout": 3})
    try:
        engine.connect().close()
    except (exc.DBAPIError, ImportError):
        return False
    finally:
        engine.dispose()
    return True


@contextmanager
def empty_database(dialect: str) -> Iterator[str]:
    """Make an empty database and give its address."""
    name = f"sms_bench_{secrets.token_hex(4)}"
    if dialect == "sqlite":
        folder = Path(tempfile.mkdtemp(prefix=name))
        try:
            yield f"sqlite:///{folder}/sms.db"
        finally:
            shutil.rmtree(folder)
        return
    _run(dialect, f"CREATE DATABASE {name}")
    try:
        yield make_url(SERVERS[dialect]).set(database=name).render_as_string(hide_password=False)
    finally:
        _run(dialect, f"DROP DATABASE {name}")


@contextmanager
def empty_store(dialect: str) -> Iterator[Store]:
    """Make a store with empty tables."""
    with empty_database(dialect) as url, tempfile.TemporaryDirectory(prefix="sms_bench_spool") as spool:
        store = Store.open(url, spool_dir=Path(spool))
        try:
            yield store
        finally:
            store.close()


@contextmanager
def plain_engine(dialect: str) -> Iterator[Engine]:
    """Give a SQLAlchemy engine as everybody makes one, on an empty database."""
    with empty_database(dialect) as url:
        engine = create_engine(url)
        if dialect == "sqlite":
            # What a commit promises is not to differ: SQLite's own default beside a WAL would be FULL, too.
            event.listen(engine, "connect", _as_durable_as_ours)
        try:
            yield engine
        finally:
            engine.dispose()


def _as_durable_as_ours(connection: object, record: object) -> None:
    del record
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _run(dialect: str, statement: str) -> None:
    engine = create_engine(SERVERS[dialect], isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()
