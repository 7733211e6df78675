"""
What a new connection to PostgreSQL has to be told, beyond what its driver and SQLAlchemy tell it.

Both things cost one round trip for each connection, as the server is asked whether they are needed.

*The isolation level of a statement that is committed by itself.* The engine's level is for transactions that
psycopg begins; such a statement has the server's, and under a stricter one whoever waits for another's lock
fails instead of going on.

*A pooler in between.* psycopg has the server remember statements that come often, under names that count up.
A pooler that gives each transaction another server connection (PgBouncer and its like) mixes up what its
clients had remembered there: a name is unknown, or stands for another one's statement, which would run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psycopg import Connection

#: PostgreSQL's levels, one by two names, at which each statement sees what is committed by then.
_BY_STATEMENT = frozenset({"read committed", "read uncommitted"})


def begin_session(connection: Connection, *, may_prepare: bool) -> None:
    """
    Ask a new connection of psycopg what it talks to, and make the session fit for the store.

    :param may_prepare: statements may be remembered behind a pooler, too: the connection's extra says when.
    """
    began = connection.autocommit
    connection.autocommit = True
    asked = connection.execute("SELECT current_setting('default_transaction_isolation'), pg_backend_pid()")
    level, process = asked.fetchone() or ("", 0)
    if level not in _BY_STATEMENT:
        connection.execute("SET default_transaction_isolation TO 'read committed'")
    # A pooler has greeted us with a number of its own.
    if process != connection.info.backend_pid and not may_prepare:
        connection.prepare_threshold = None
    connection.autocommit = began
