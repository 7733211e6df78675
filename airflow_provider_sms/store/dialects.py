"""How an engine is set up on each kind of database."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event

from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.store.rested import ask_rested

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Connection, Engine

#: Seconds to wait for a lock or a connection before the store counts as away.
PATIENCE = 30
_CONNECT_SECONDS = 10
_MYSQL_ANSWER_SECONDS = 300
_LOGGING_NAME = "sms_store"


def _tells_no_row(record: logging.LogRecord) -> bool:
    # Parameters are hidden by the engine's own option; fetched rows it logs at DEBUG all the same.
    return record.levelno > logging.DEBUG


logging.getLogger(f"sqlalchemy.engine.Engine.{_LOGGING_NAME}").addFilter(_tells_no_row)


def make_engine(url: URL, connect_args: dict[str, Any]) -> Engine:
    """
    Make an engine with this package's settings for the database.

    :param url: where the store is; a driver that is not named is chosen.
    :param connect_args: for the driver, over what is set here.
    :raises PreflightError: the database is none that the store can live in.
    """
    backend = url.get_backend_name()
    if backend == "sqlite":
        return _sqlite(url, connect_args)
    if backend in {"postgresql", "postgres"}:
        return _postgresql(url, connect_args)
    if backend in {"mysql", "mariadb"}:
        return _mysql(url, connect_args)
    problem = f"the store must be SQLite, PostgreSQL or MySQL/MariaDB, not {backend}"
    raise PreflightError([problem], "SMS store")


def _sqlite(url: URL, connect_args: dict[str, Any]) -> Engine:
    if url.database in {None, "", ":memory:"}:
        problem = "a store in memory would forget what the vendor deleted: give the path of a file"
        raise PreflightError([problem], "SMS store")
    _make_file(str(url.database))
    engine = create_engine(
        url,
        hide_parameters=True,
        logging_name=_LOGGING_NAME,
        connect_args={"timeout": PATIENCE, **connect_args},
    )
    event.listen(engine, "connect", _on_sqlite_connect)
    event.listen(engine, "begin", _on_sqlite_begin)
    return engine


def _make_file(database: str) -> None:
    if database.startswith("file:"):
        return
    path = Path(database)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # SQLite gives its journal files the mode of the database, so this covers the raw pages there, too.
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return


def _on_sqlite_connect(connection: sqlite3.Connection, record: object) -> None:
    del record
    # The driver would begin transactions late and of the wrong kind; _on_sqlite_begin does it.
    connection.isolation_level = None
    cursor = connection.cursor()
    _use_wal(cursor)
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    # 64 MB: the index of numbers is written at random, and must stay in memory to be fast.
    cursor.execute("PRAGMA cache_size = -65536")
    cursor.close()


def _use_wal(cursor: sqlite3.Cursor) -> None:
    # The busy timeout does not cover this change, so several first users must take turns by themselves.
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "readonly" in str(error):
                return
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _on_sqlite_begin(connection: Connection) -> None:
    # A transaction that reads first and writes later cannot wait for another writer: it fails at
    # once. So whoever may write says so at the start.
    reads_only = connection.get_execution_options().get("sms_read_only", False)
    connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")


def _postgresql(url: URL, connect_args: dict[str, Any]) -> Engine:
    if url.drivername in {"postgresql", "postgres"}:
        url = url.set(drivername="postgresql+psycopg")
    defaults: dict[str, Any] = {"connect_timeout": _CONNECT_SECONDS}
    if url.get_driver_name() == "psycopg":
        # A server that vanished without a word must not hang a reader that holds a page.
        defaults |= {"keepalives_idle": PATIENCE, "tcp_user_timeout": PATIENCE * 1000}
    engine = create_engine(
        url,
        hide_parameters=True,
        logging_name=_LOGGING_NAME,
        isolation_level="READ COMMITTED",
        connect_args=defaults | connect_args,
    )
    ask_rested(engine)
    return engine


def _mysql(url: URL, connect_args: dict[str, Any]) -> Engine:
    driver = url.get_driver_name() if "+" in url.drivername else ""
    if not driver:
        driver = "mysqldb" if find_spec("MySQLdb") else "pymysql"
    defaults: dict[str, Any] = {
        "connect_timeout": _CONNECT_SECONDS,
        "read_timeout": _MYSQL_ANSWER_SECONDS,
        "write_timeout": _MYSQL_ANSWER_SECONDS,
    }
    engine = create_engine(
        # One dialect name for both servers: nothing here differs between them.
        url.set(drivername=f"mysql+{driver}").update_query_dict({"charset": "utf8mb4"}),
        hide_parameters=True,
        logging_name=_LOGGING_NAME,
        # Under MySQL's usual REPEATABLE READ, a compare-and-set would judge by an old snapshot.
        isolation_level="READ COMMITTED",
        connect_args=defaults | connect_args,
    )
    event.listen(engine, "connect", _on_mysql_connect)
    ask_rested(engine)
    return engine


def _on_mysql_connect(connection: Any, record: object) -> None:
    del record
    cursor = connection.cursor()
    # Without it, MySQL cuts what is too long and keeps silent.
    cursor.execute("SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_TRANS_TABLES')")
    cursor.close()
