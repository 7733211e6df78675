"""How an engine is set up on each kind of database."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event, exc

from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.store.rested import ask_rested
from airflow_provider_sms.store.sessions import begin_session

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Connection, Engine

#: Seconds to wait for a lock or a connection before the store counts as away.
PATIENCE = 30
_CONNECT_SECONDS = 10
_MYSQL_ANSWER_SECONDS = 300
_LOGGING_NAME = "sms_store"
#: Connections that a process may have at once: a triggerer polls in twenty places and asks in eight threads.
CONNECTIONS = 32
#: So many of them stay open. SQLite's are cheap to open, and each keeps up to 64 MB of the file in memory.
_KEPT = 10
_KEPT_BY_SQLITE = 5
#: Kilobytes: the index of numbers is written at random, and must stay in memory to be fast.
_SQLITE_CACHE = 65_536
#: Bytes of a page of a new file, twice SQLite's own: raw pages and rows by the thousand want fewer, larger
#: ones; commits of one row would want small ones.
_SQLITE_PAGE = 8192
#: So many pages of the log go into the file at once: 16 MB, as much as four large raw pages with their rows.
_SQLITE_LOG = 2000
#: Every sort of a statement takes as much as the cache may, before it turns to a file.
_SQLITE_SWEEPING_CACHE = 16_384
_CACHE = "sms_cache"
_KNOWN = frozenset({"sqlite", "postgresql", "mysql", "mariadb"})
_UTF8 = "UTF8"

_log = logging.getLogger(__name__)


def _tells_no_row(record: logging.LogRecord) -> bool:
    # Parameters are hidden by the engine's own option; fetched rows it logs at DEBUG all the same.
    return record.levelno > logging.DEBUG


logging.getLogger(f"sqlalchemy.engine.Engine.{_LOGGING_NAME}").addFilter(_tells_no_row)


def make_engine(url: URL, connect_args: dict[str, Any], connections: int = CONNECTIONS) -> Engine:
    """
    Make an engine with this package's settings for the database.

    :param url: where the store is; a driver that is not named is chosen.
    :param connect_args: for the driver, over what is set here; all but the charset.
    :param connections: so many may be open at once.
    :raises PreflightError: the database is none that the store can live in.
    """
    backend = url.get_backend_name()
    if backend == "sqlite":
        return _sqlite(url, connect_args, _pool(connections, _KEPT_BY_SQLITE))
    if backend in {"postgresql", "postgres"}:
        return _postgresql(url, connect_args, _pool(connections))
    if backend in {"mysql", "mariadb"}:
        return _mysql(url, connect_args, _pool(connections))
    return _other(url, connect_args, _pool(connections))


def is_known(engine: Engine) -> bool:
    """Tell whether this package is tested on the database."""
    return engine.dialect.name in _KNOWN


def refuse_other_charset(engine: Engine) -> None:
    """
    Refuse a PostgreSQL database that takes some characters only, or any bytes for a character.

    A reply in others would not land, and what is in no charset comes back as bytes.

    :raises PreflightError: it was not created with the encoding ``UTF8``.
    """
    if engine.dialect.name != "postgresql":
        return
    with engine.connect() as connection:
        found = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if found != _UTF8:
        problem = (
            f"its database has the encoding {found}, which does not keep all characters of texts: create one "
            "with ENCODING 'UTF8' (CREATE DATABASE sms ENCODING 'UTF8' TEMPLATE template0), and name it in "
            "the connection"
        )
        raise PreflightError([problem], "SMS store")


def _pool(connections: int, kept: int = _KEPT) -> dict[str, Any]:
    if connections < 1:
        problem = f"it cannot do with {connections} connections: set store_connections to 1 or more"
        raise PreflightError([problem], "SMS store")
    kept = min(kept, connections)
    pool: dict[str, Any] = {"pool_size": kept, "max_overflow": connections - kept, "pool_timeout": PATIENCE}
    # The one used last has not rested, so it need not be asked whether it lives.
    return pool | {"pool_use_lifo": True}


def _sqlite(url: URL, connect_args: dict[str, Any], pool: dict[str, Any]) -> Engine:
    if url.database in {None, "", ":memory:"}:
        problem = "a store in memory would forget what the vendor deleted: give the path of a file"
        raise PreflightError([problem], "SMS store")
    _make_file(str(url.database))
    engine = create_engine(
        url,
        hide_parameters=True,
        logging_name=_LOGGING_NAME,
        connect_args={"timeout": PATIENCE, **connect_args},
        **pool,
    )
    event.listen(engine, "connect", _on_sqlite_connect)
    event.listen(engine, "begin", _on_sqlite_begin)
    event.listen(engine, "invalidate", _on_sqlite_invalidate)
    return engine


def _make_file(database: str) -> None:
    if database.startswith("file:"):
        return
    # SQLite follows a link to a file that is not there, and would make that one with a mode of its own.
    path = Path(os.path.realpath(database))
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
    # A file that has tables already keeps what it was made with.
    cursor.execute(f"PRAGMA page_size = {_SQLITE_PAGE}")
    _use_wal(cursor)
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute(f"PRAGMA wal_autocheckpoint = {_SQLITE_LOG}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute(f"PRAGMA cache_size = -{_SQLITE_CACHE}")
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
    options = connection.get_execution_options()
    connection.exec_driver_sql("BEGIN" if options.get("sms_read_only", False) else "BEGIN IMMEDIATE")
    cache = _SQLITE_SWEEPING_CACHE if options.get("sms_sweeps", False) else _SQLITE_CACHE
    if connection.info.get(_CACHE, _SQLITE_CACHE) != cache:
        connection.exec_driver_sql(f"PRAGMA cache_size = -{cache}")
        connection.info[_CACHE] = cache


def _on_sqlite_invalidate(connection: sqlite3.Connection, record: object, error: object) -> None:
    # What stops a program (a signal's exception) may come out of a statement. The connection is closed then,
    # but SQLite keeps a closed one, with the lock of its transaction, for as long as a cursor of it is known
    # to anybody: to the traceback, for one. So the lock is given up before.
    del record, error
    with suppress(Exception):  # One that is broken is closed all the same.
        connection.rollback()


def _postgresql(url: URL, connect_args: dict[str, Any], pool: dict[str, Any]) -> Engine:
    if url.drivername in {"postgresql", "postgres"}:
        url = url.set(drivername="postgresql+psycopg")
    defaults: dict[str, Any] = {"connect_timeout": _CONNECT_SECONDS}
    settled: dict[str, Any] = {}
    if url.get_driver_name() == "psycopg":
        # A server that vanished without a word must not hang a reader that holds a page.
        defaults |= {"keepalives_idle": PATIENCE, "tcp_user_timeout": PATIENCE * 1000}
        settled = {"client_encoding": _UTF8}
    engine = create_engine(
        url,
        hide_parameters=True,
        logging_name=_LOGGING_NAME,
        isolation_level="READ COMMITTED",
        connect_args=defaults | connect_args | settled,
        **pool,
    )
    if engine.driver == "psycopg":
        told = "prepare_threshold" in connect_args
        event.listen(engine, "connect", lambda connection, _: begin_session(connection, may_prepare=told))
    ask_rested(engine)
    return engine


def _mysql(url: URL, connect_args: dict[str, Any], pool: dict[str, Any]) -> Engine:
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
        # The charset is not for the connection to say: any other one has no emoji, and stops at the first.
        connect_args=defaults
        | {name: value for name, value in connect_args.items() if name not in {"charset", "collation"}},
        **pool,
    )
    event.listen(engine, "connect", _on_mysql_connect)
    ask_rested(engine)
    return engine


def _on_mysql_connect(connection: Any, record: object) -> None:
    del record
    cursor = connection.cursor()
    # Again, as an init_command of the connection may have asked for another one.
    cursor.execute("SET NAMES utf8mb4")
    # Without it, MySQL cuts what is too long and keeps silent.
    cursor.execute("SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_TRANS_TABLES')")
    cursor.close()


def _other(url: URL, connect_args: dict[str, Any], pool: dict[str, Any]) -> Engine:
    engine: Engine | None = None
    with suppress(exc.NoSuchModuleError, ImportError):
        engine = create_engine(
            url,
            hide_parameters=True,
            logging_name=_LOGGING_NAME,
            isolation_level="READ COMMITTED",
            connect_args=connect_args,
            **pool,
        )
    if engine is None:
        problem = (
            f"the store cannot live in {url.drivername}, as SQLAlchemy has no dialect or driver of that name "
            "here: take SQLite, PostgreSQL or MySQL/MariaDB"
        )
        raise PreflightError([problem], "SMS store")
    _log.warning(
        "SMS store: %s is not tested by this project; PostgreSQL, MySQL, MariaDB and SQLite are",
        engine.dialect.name,
    )
    ask_rested(engine)
    return engine
