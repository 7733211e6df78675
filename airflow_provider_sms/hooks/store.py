"""
Find the store: the connection ``sms_store`` if it exists, else a SQLite file below ``$AIRFLOW_HOME``.

"It exists" is more than that Airflow finds it now: see :mod:`~airflow_provider_sms.hooks.missing` and
:mod:`~airflow_provider_sms.hooks.known_stores`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import conf, mask_secret

from airflow_provider_sms.errors import PreflightError, StoreUnavailable
from airflow_provider_sms.hooks import known_stores
from airflow_provider_sms.hooks.driver_options import blamed_on, driver_options
from airflow_provider_sms.hooks.missing import failed_source
from airflow_provider_sms.hooks.outside import find_connection, tell_of_default
from airflow_provider_sms.redact import secret_forms

if TYPE_CHECKING:
    from sqlalchemy import URL

    from airflow_provider_sms.store.engine import Store

DEFAULT_STORE_CONN_ID = "sms_store"

#: Airflow connection types, their SQLAlchemy drivers, and what pip knows these by.
_DRIVERS = {
    "postgres": ("postgresql+psycopg", "psycopg[binary]"),
    "mysql": ("mysql+pymysql", "pymysql"),
}
_IN_MEMORY = ":memory:"
#: Executors whose tasks all run on the scheduler's own machine.
_LOCAL_EXECUTORS = frozenset({"LocalExecutor", "SequentialExecutor", "DebugExecutor"})


def airflow_home() -> Path:
    """Give ``$AIRFLOW_HOME`` without importing Airflow's configuration."""
    return Path(os.path.expandvars(os.environ.get("AIRFLOW_HOME", "~/airflow"))).expanduser()


def spool_folder() -> Path:
    """Give the folder of the default store's spool, which must be known with the store away as well."""
    return Path(conf.get("sms", "spool_dir", fallback="") or airflow_home() / "sms" / "spool")


def open_store(conn_id: str | None = None) -> Store:
    """
    Open the store that a connection names; its tables are made on first use.

    :param conn_id: id of a SQLite, PostgreSQL or MySQL connection, or of any whose extra
        ``sqlalchemy_scheme`` says how SQLAlchemy calls the database; the default one need not exist.
    :raises PreflightError: the connection is missing or of another type, names no file or not by its whole
        path, has an extra that its driver does not take, or SQLite is used where workers run on several
        machines.
    :raises StoreUnavailable: the store does not answer, or is newer than this package; or its connection
        could not be looked up, or was used before and is not found now.
    """
    return open_connection(find_connection(store_named(conn_id)), conn_id)


def store_named(conn_id: str | None) -> str:
    """Give the id of the connection to look up for a store."""
    return conn_id or str(conf.get("sms", "store_conn_id", fallback=DEFAULT_STORE_CONN_ID))


def open_connection(connection: Any, conn_id: str | None) -> Store:
    """
    Open the store behind a connection that was looked up already, as a trigger does it on its event loop.

    :param connection: what Airflow gave for :func:`store_named`; ``None`` if there is no such connection.
    :param conn_id: as for :func:`open_store`, and with its errors.
    """
    wanted = store_named(conn_id)
    mark = known_stores.mark_of(wanted, spool_folder())
    if connection is not None:
        url, connect_args = _address(connection, wanted)
        store = _open(url, connect_args, wanted)
        known_stores.remember(mark, wanted, store)
        return store
    if (known := known_stores.opened_before(mark)) is not None:
        return known
    _refuse_unless_missing(wanted, mark)
    if conn_id not in {None, DEFAULT_STORE_CONN_ID}:
        msg = (
            "there is no such connection: create it, "
            f"or leave store_conn_id empty for a SQLite file in {airflow_home()}"
        )
        raise PreflightError([msg], f"store connection {wanted!r}")
    path = airflow_home() / "sms" / "sms.db"
    tell_of_default(wanted, path)
    return _open(_sqlite_url(str(path)), {}, wanted)


def _refuse_unless_missing(conn_id: str, mark: Path) -> None:
    if known_stores.is_marked(mark):
        msg = (
            f"store connection {conn_id!r} is not found, and was used here before: Airflow says so of one "
            "that it cannot look up, too, so nothing was read or sent, and no other store is used. Try again "
            "once Airflow's database or secrets backend answers; if the connection was removed on purpose, "
            f"delete {mark}"
        )
        raise StoreUnavailable(msg)
    if failure := failed_source(conn_id):
        msg = (
            f"store connection {conn_id!r} cannot be looked up ({failure}), so nothing was read or sent: try "
            "again once what Airflow keeps its connections in answers. Where it fails for whatever it does "
            "not have, or a script may not ask it, name the store by the variable "
            f"AIRFLOW_CONN_{conn_id.upper()}, of type sqlite for a file"
        )
        raise StoreUnavailable(msg)


def _open(url: URL, connect_args: dict[str, Any], wanted: str) -> Store:
    from airflow_provider_sms.store.dialects import CONNECTIONS
    from airflow_provider_sms.store.engine import Store

    spool = spool_folder()
    if wanted != store_named(None):
        # A page must not be swept from one store's spool into another store.
        spool = spool / "stores" / quote(wanted, safe="")
    if url.get_backend_name() == "sqlite":
        _refuse_shared_sqlite(wanted)
    hash_key = _number_hash_key()
    connections = conf.getint("sms", "store_connections", fallback=CONNECTIONS)
    with blamed_on(connect_args, f"store connection {wanted!r}"):
        return Store.open(
            url,
            spool_dir=spool,
            connect_args=connect_args,
            number_hash_key=hash_key,
            connections=connections,
        )


def _sqlite_url(path: str) -> URL:
    from sqlalchemy import URL

    return URL.create("sqlite", database=path)


def _number_hash_key() -> str:
    secret = str(conf.get("sms", "number_hash_key", fallback="") or "")
    for form in secret_forms(secret):
        mask_secret(form)
    return secret


def _address(connection: Any, conn_id: str) -> tuple[URL, dict[str, Any]]:
    from sqlalchemy import URL

    for form in secret_forms(connection.password or ""):
        mask_secret(form)
    if connection.conn_type == "sqlite":
        return _sqlite_url(_sqlite_path(connection, conn_id)), {}
    extra = dict(connection.extra_dejson)
    if connection.conn_type in _DRIVERS:
        driver, extra_name = _DRIVERS[connection.conn_type]
        _require_driver(driver.partition("+")[2], extra_name, conn_id)
    elif not (driver := str(extra.get("sqlalchemy_scheme") or "")):
        msg = (
            f"its type is {connection.conn_type!r}: a store is a connection of type sqlite, postgres or "
            "mysql, or has the extra sqlalchemy_scheme"
        )
        if connection.conn_type == "generic":
            msg += (
                ". 'airflow connections add --conn-type' makes 'generic' of a type whose Airflow provider is "
                "not installed: delete the connection, and add it by --conn-json, which needs no provider"
            )
        raise PreflightError([msg], f"store connection {conn_id!r}")
    where = f"store connection {conn_id!r}"
    options = driver_options(extra, driver.partition("+")[2], where, password=bool(connection.password))
    url = URL.create(
        driver,
        username=connection.login or None,
        password=connection.password or None,
        host=connection.host or None,
        port=connection.port or None,
        database=connection.schema or None,
    )
    return url, options


def _sqlite_path(connection: Any, conn_id: str) -> str:
    # sqlite:////a/b.db arrives with an empty host and the path as schema; forms put it into the host.
    default = airflow_home() / "sms" / "sms.db"
    if path := str(connection.host or ""):
        if path == _IN_MEMORY or Path(path).is_absolute():
            return path
        msg = (
            f"its file {path!r} is no whole path, so that each process would have a store of its own, in the "
            f"folder where it runs: give it from the root on, such as {default}"
        )
        raise PreflightError([msg], f"store connection {conn_id!r}")
    if path := str(connection.schema or "").lstrip("/"):
        return path if path == _IN_MEMORY else f"/{path}"
    msg = (
        "it names no file, which SQLAlchemy takes for a store in memory: give the path of a file as its host "
        f"(where there is no connection {DEFAULT_STORE_CONN_ID!r}, that is {default})"
    )
    raise PreflightError([msg], f"store connection {conn_id!r}")


def _require_driver(module: str, library: str, conn_id: str) -> None:
    from importlib.util import find_spec

    if find_spec(module) is None:
        msg = f"the driver {module!r} is not installed: pip install '{library}'"
        raise PreflightError([msg], f"store connection {conn_id!r}")


def _refuse_shared_sqlite(conn_id: str) -> None:
    named = conf.get("core", "executor", fallback="LocalExecutor")
    # An entry may read "team=Executor", "Executor:alias" or "package.module.Executor".
    executors = {part.split("=")[-1].split(":")[0].rpartition(".")[2].strip() for part in named.split(",")}
    distributed = executors - _LOCAL_EXECUTORS
    if distributed:
        msg = (
            "with several workers or triggerers the store must be PostgreSQL or MySQL/MariaDB; it is SQLite, "
            f"and the executor is {', '.join(sorted(distributed))}: create a connection "
            f"{DEFAULT_STORE_CONN_ID!r} of type postgres or mysql"
        )
        raise PreflightError([msg], f"store connection {conn_id!r}")
