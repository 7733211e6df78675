"""
What goes wrong with a database, told without what was in the statement.

A driver's message may quote values (``Key (mobile)=(138...) already exists``) or the address it
could not reach; the errors raised here name the kind of failure and nothing else.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import exc

from airflow_provider_sms.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

#: MySQL's numbers for what an operator can do something about.
_MYSQL_MEANINGS = {
    1021: "disk full",
    1044: "access denied",
    1045: "access denied",
    1049: "no such database",
    1114: "table or disk full",
    1142: "access denied",
    1205: "lock wait timed out",
    1213: "deadlock",
    1290: "server is read-only",
    1792: "read-only transaction",
    1836: "server is read-only",
    2002: "no connection",
    2003: "no connection",
    2006: "connection lost",
    2013: "connection lost",
}

#: With these a database surely took the whole transaction back.
_DEADLOCK_STATES = frozenset({"40001", "40P01"})
_MYSQL_DEADLOCK = 1213
#: Classes of states that speak of values: data, constraints, check options, a row too large for the database,
#: what a trigger raises. Whatever is in no list here may pass: locks, disks, limits, broken tables.
_REFUSALS = frozenset({"22", "23", "44", "54", "P0"})
#: Besides those for which drivers have a class: a row or a packet too large, a text that is none in its
#: charset, no partition for a value, what a trigger raises, bad JSON, checks of MySQL and of MariaDB.
_MYSQL_REFUSALS = frozenset({1118, 1153, 1292, 1300, 1366, 1526, 1644, 1690, 3140, 3819, 4025})


@contextmanager
def mapped_errors() -> Iterator[None]:
    """
    Turn every failure of the database into :class:`StoreUnavailable`.

    The original error is neither cause nor context of the new one: both may hold values.

    :raises StoreUnavailable: the store is away, full, read-only, or refused the statement.
    """
    deadlocked = refused = False
    try:
        yield
    except exc.DBAPIError as error:
        reason, deadlocked = describe(error.orig), is_deadlock(error.orig)
        refused = not error.connection_invalidated and is_refusal(error.orig)
    except exc.TimeoutError:
        reason = "no free connection in time"
    except sqlite3.Error as error:
        reason, refused = describe(error), is_refusal(error)
    else:
        return
    failure = StoreUnavailable(unavailable(reason))
    failure.deadlocked = deadlocked
    failure.refused = reason if refused else ""
    try:
        raise failure
    finally:
        # Python notes what was being handled in the caller's block; "from None" would only hide it.
        failure.__context__ = None


def is_deadlock(error: BaseException | None) -> bool:
    """
    Tell whether a database took a transaction back because of others, so that it may be tried again at once.

    :param error: as the driver raised it.
    """
    code = error.args[0] if error is not None and error.args else None
    # The states have the name of psycopg, and that of psycopg2, which providers of Airflow may use.
    states = {getattr(error, "sqlstate", None), getattr(error, "pgcode", None)}
    return bool(states & _DEADLOCK_STATES) or code == _MYSQL_DEADLOCK


def is_refusal(error: BaseException | None) -> bool:
    """
    Tell whether a database refused the values it was given, so that it would refuse them again.

    Not so where it is away, full or read-only, where others were in the way, or where the statement fits no
    table.

    :param error: as the driver raised it.
    """
    if error is None or is_deadlock(error):
        return False
    # The number first: MySQL's drivers have a state, too, which is HY000 for nearly everything.
    number = error.args[0] if error.args else None
    if isinstance(number, int) and number in _MYSQL_REFUSALS:
        return True
    state = getattr(error, "sqlstate", None)
    if state and not isinstance(number, int):
        return str(state)[:2] in _REFUSALS
    # Locks, disks and closed connections have other classes.
    return _is_one_of(error, "DataError", "IntegrityError")


def _is_one_of(error: BaseException, *names: str) -> bool:
    """Tell by the names of the standard: each driver has classes of its own."""
    return any(kind.__name__ in names for kind in type(error).__mro__)


def unavailable(reason: str) -> str:
    """Make the sentence of a :class:`StoreUnavailable`."""
    return f"the SMS store cannot be used ({reason}); check the database behind the connection of the store"


def describe(error: BaseException | None) -> str:
    """
    Name a driver's error: its class, its code and what the code means.

    :param error: as the driver raised it.
    """
    if error is None:
        return "no connection"
    kind = type(error).__name__
    if isinstance(error, sqlite3.Error):
        # SQLite's messages name tables and columns, never values.
        return f"{kind}: {error}"
    if error.args and isinstance(error.args[0], int):
        meaning = _MYSQL_MEANINGS.get(error.args[0], "refused")
        return f"{kind} {error.args[0]}: {meaning}"
    state = getattr(error, "sqlstate", None)
    if state:
        # psycopg names each code in a class of its own: DiskFull, ReadOnlySqlTransaction.
        return f"{kind}, SQLSTATE {state}"
    if _is_one_of(error, "DataError", "IntegrityError", "ProgrammingError"):
        return kind
    return f"{kind}: no connection"
