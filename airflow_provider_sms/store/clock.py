"""
The database server's clock, as SQL.

Leases and claims are compared across machines; only one clock may judge them, and every machine
already talks to this one. SQLite has no server: there all readers share one machine's clock.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Float, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ColumnElement, FunctionElement

from airflow_provider_sms.store.columns import UtcDateTime


class ServerTime(FunctionElement[Any]):
    """
    The moment at which the statement runs, plus some seconds.

    :param seconds: added to the moment; may be negative or broken.
    """

    type = UtcDateTime()
    inherit_cache = True
    name = "sms_server_time"

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__(bindparam(None, float(seconds), type_=Float()))


class Elapsed(FunctionElement[float]):
    """
    Seconds from one moment to another, with their fraction.

    :param start: the earlier moment.
    :param end: the later moment.
    """

    type = Float()
    inherit_cache = True
    name = "sms_elapsed"

    def __init__(self, start: ColumnElement[Any], end: ColumnElement[Any]) -> None:
        super().__init__(start, end)


@compiles(ServerTime, "sqlite")
def _sqlite_time(element: ServerTime, compiler: Any, **options: Any) -> str:
    # Milliseconds are all that strftime has; the zeros keep the width that text order relies on.
    seconds = compiler.process(element.clauses, **options)
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', {seconds} || ' seconds') || '000')"


@compiles(ServerTime, "postgresql")
def _postgresql_time(element: ServerTime, compiler: Any, **options: Any) -> str:
    # now() would be the transaction's start: too early when it waited for a lock.
    seconds = compiler.process(element.clauses, **options)
    return f"(clock_timestamp() + make_interval(secs => CAST({seconds} AS double precision)))"


@compiles(ServerTime, "mysql")
def _mysql_time(element: ServerTime, compiler: Any, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    return f"(UTC_TIMESTAMP(6) + INTERVAL {seconds} SECOND)"


def _both(element: Elapsed, compiler: Any, options: dict[str, Any]) -> tuple[str, str]:
    start, end = (compiler.process(clause, **options) for clause in element.clauses)
    return start, end


@compiles(Elapsed, "sqlite")
def _sqlite_elapsed(element: Elapsed, compiler: Any, **options: Any) -> str:
    start, end = _both(element, compiler, options)
    # A day number has about 0.04 ms left after the point; rounding hides what is below.
    return f"round((julianday({end}) - julianday({start})) * 86400.0, 3)"


@compiles(Elapsed, "postgresql")
def _postgresql_elapsed(element: Elapsed, compiler: Any, **options: Any) -> str:
    start, end = _both(element, compiler, options)
    return f"CAST(extract(epoch FROM {end} - {start}) AS double precision)"


@compiles(Elapsed, "mysql")
def _mysql_elapsed(element: Elapsed, compiler: Any, **options: Any) -> str:
    start, end = _both(element, compiler, options)
    return f"(timestampdiff(MICROSECOND, {start}, {end}) / 1000000e0)"
