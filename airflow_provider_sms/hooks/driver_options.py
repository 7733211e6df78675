"""
What the extra of a store's connection says to the database's driver.

The connection may be one that Airflow's own hooks use as well. They keep options of theirs in the same
extra, which no driver knows: these are left out. The others are shown to the driver before it connects, since
what it says of an option later looks like a server that is away, or like a fault of this package.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from importlib.util import find_spec
from inspect import signature
from typing import TYPE_CHECKING, Any

from airflow_provider_sms.errors import PreflightError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What Airflow's hooks for any database, for PostgreSQL and for MySQL read themselves.
_AIRFLOWS_OWN = frozenset(
    {"dialect", "escape_column_names", "escape_word_format", "insert_statement_format", "placeholder"}
    | {"replace_statement_format", "sqlalchemy_query", "sqlalchemy_scheme"}
    | {"aws_conn_id", "azure_conn_id", "cluster-identifier", "cursor", "enable_log_db_messages", "iam"}
    | {"redshift", "redshift-serverless", "workgroup-name"}
    | {"client"}  # which MySQL driver Airflow's own hook shall take; ours is PyMySQL
)
#: What psycopg takes besides the options of PostgreSQL's own library.
_PSYCOPGS_OWN = frozenset({"autocommit", "prepare_threshold"})
#: What PyMySQL takes as objects, or leaves unconnected.
_NOT_FOR_AN_EXTRA = frozenset({"auth_plugin_map", "conv", "cursorclass", "defer_connect", "self"})
#: A connection that is written as an address has text for numbers.
_NUMBERS = frozenset(
    {"client_flag", "connect_timeout", "max_allowed_packet", "prepare_threshold"}
    | {"read_timeout", "write_timeout"}
)
_OFF = frozenset({"", "0", "false", "no", "none"})
#: Of text, any would be true to the driver.
_FLAGS = frozenset({"autocommit", "local_infile", "ssl_disabled", "ssl_verify_cert", "ssl_verify_identity"})


def driver_options(extra: dict[str, Any], driver: str, where: str, *, password: bool) -> dict[str, Any]:
    """
    Give what a driver shall be told, by what is in a connection's extra.

    :param extra: as Airflow reads it.
    :param driver: SQLAlchemy's name of the driver; the options of ``psycopg`` and ``pymysql`` are checked.
    :param where: names the connection in errors.
    :param password: whether the connection has one.
    :raises PreflightError: naming every extra that cannot be used.
    """
    problems = []
    if str(extra.get("iam")).lower() not in _OFF and not password:
        problems.append(
            "extra 'iam' has Airflow's hook ask AWS or Azure for a password that soon ends, and a store has "
            "to log in at any time: give the connection a password"
        )
    # Airflow's hook hands this one's content to SQLAlchemy, which hands it to the driver.
    query = _as_object(extra.get("sqlalchemy_query"))
    if query is None:
        problems.append(_no_object("sqlalchemy_query", {"sslmode": "require"}))
        query = {}
    options = {name: value for name, value in (query | extra).items() if name not in _AIRFLOWS_OWN}
    for name in options.keys() & _NUMBERS:
        if isinstance(options[name], str) and options[name].strip().isdecimal():
            options[name] = int(options[name])
    for name in options.keys() & _FLAGS:
        if isinstance(options[name], str):
            options[name] = options[name].strip().lower() not in _OFF
    # That a driver is not there is the engine's to tell.
    if driver == "psycopg" and find_spec("psycopg"):
        problems += _unknown_to_psycopg(options)
    elif driver == "pymysql" and find_spec("pymysql"):
        # The store speaks utf8mb4, whatever others that use the connection are to speak.
        options = {name: value for name, value in options.items() if name not in {"charset", "collation"}}
        _say_tls_to_pymysql(options, problems)
        problems += [] if problems else _refused_by_pymysql(options)
    if problems:
        raise PreflightError(problems, where)
    return options


@contextmanager
def blamed_on(options: dict[str, Any], where: str) -> Iterator[None]:
    """
    Blame the options for what a driver raises in the block that is no error of its database.

    :param options: as :func:`driver_options` gives them.
    :param where: names the connection.
    :raises PreflightError: the driver does not take one of them.
    """
    try:
        yield
    except (AttributeError, FileNotFoundError, PermissionError, TypeError, ValueError) as error:
        if not options:
            raise
        kind = type(error).__name__
    else:
        return
    named = ", ".join(map(repr, sorted(options)))
    raise PreflightError(
        [f"its driver does not take its extra ({kind}): correct or take out what is wrong of {named}"], where
    )


def _unknown_to_psycopg(options: dict[str, Any]) -> list[str]:
    from psycopg import ProgrammingError
    from psycopg.conninfo import make_conninfo

    problems = []
    for name in options.keys() - _PSYCOPGS_OWN:
        try:
            make_conninfo(**{name: options[name]})
        except ProgrammingError:
            problems.append(_no_option(name, "psycopg"))
    return sorted(problems)


def _say_tls_to_pymysql(options: dict[str, Any], problems: list[str]) -> None:
    """Say with PyMySQL's words what Airflow's hook says to mysqlclient by ``ssl`` and ``ssl_mode``."""
    ssl = _as_object(options.get("ssl"))
    if ssl is None:
        problems.append(_no_object("ssl", {"ca": "/etc/ssl/db-ca.pem"}))
        return
    mode = str(options.pop("ssl_mode", None) or "PREFERRED").upper()
    if mode.startswith("VERIFY_") and not (ssl.get("ca") or ssl.get("capath")):
        problems.append(f"extra 'ssl_mode' is {mode}: name the file of the authority as 'ca' in extra 'ssl'")
    elif mode in {"VERIFY_CA", "VERIFY_IDENTITY"}:
        ssl = ssl | {"verify_mode": "required", "check_hostname": mode == "VERIFY_IDENTITY"}
    elif mode == "REQUIRED":
        ssl = ssl or {"verify_mode": "none"}
    elif mode == "DISABLED":
        options["ssl_disabled"] = True
    elif mode != "PREFERRED":
        problems.append(
            "extra 'ssl_mode' is none of DISABLED, PREFERRED, REQUIRED, VERIFY_CA and VERIFY_IDENTITY: "
            "correct it"
        )
    if ssl or "ssl" in options:
        options["ssl"] = ssl


def _as_object(value: Any) -> dict[str, Any] | None:
    """Read an object, which an address can hold as JSON text only; ``None`` if it is none."""
    if isinstance(value, str) and value:
        try:
            value = json.loads(value)
        except ValueError:
            return None
    if value is None or value == "":
        return {}
    return value if isinstance(value, dict) else None


def _refused_by_pymysql(options: dict[str, Any]) -> list[str]:
    import pymysql

    known = signature(pymysql.Connection.__init__).parameters.keys() - _NOT_FOR_AN_EXTRA
    unknown = [name for name in options if name not in known]
    if unknown:
        return [_no_option(name, "PyMySQL") for name in unknown]
    together = _refusal(options)
    if not together:
        return []
    alone = {name: _refusal({name: value}) for name, value in options.items()}
    refused = {name: why for name, why in alone.items() if why} or dict.fromkeys(options, together)
    return [
        f"extra {name!r} cannot be used ({why}): correct it, and let files that it names be readable here"
        for name, why in refused.items()
    ]


def _refusal(options: dict[str, Any]) -> str:
    """Say how PyMySQL refuses options, ``""`` if it takes them; nothing is connected."""
    import pymysql

    try:
        pymysql.Connection(defer_connect=True, **options)
    except Exception as error:  # noqa: BLE001 - of any class; it may quote a value
        why = getattr(error, "strerror", None)
        return f"{type(error).__name__}: {why}" if why else type(error).__name__
    return ""


def _no_option(name: str, driver: str) -> str:
    return f"extra {name!r} is no option of the driver {driver}: correct its name, or take it out"


def _no_object(name: str, example: dict[str, str]) -> str:
    return f"extra {name!r} is no JSON object: write it like {json.dumps(example)}"
