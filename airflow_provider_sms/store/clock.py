"""
The database server's clock, as SQL.

Leases and claims are compared across machines; only one clock may judge them, and every machine
already talks to this one. SQLite has no server: there all readers share one machine's clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import BindParameter, Float, bindparam

from airflow_provider_sms.store.columns import UtcDateTime
from airflow_provider_sms.store.spelling import STANDARD, Spelled

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement


class ServerTime(Spelled[Any]):
    """
    The moment at which the statement runs, plus some seconds.

    :param seconds: added to the moment; may be negative or broken. A ``bindparam`` of type ``Float`` where
        the statement is made before they are known.
    """

    type = UtcDateTime()
    inherit_cache = True
    name = "sms_server_time"
    spellings = {  # noqa: RUF012 - never changed
        # Milliseconds are all that strftime has; the zeros keep the width that text order relies on.
        "sqlite": "(strftime('%Y-%m-%d %H:%M:%f', 'now', {0} || ' seconds') || '000')",
        # now() would be the transaction's start: too early when it waited for a lock.
        "postgresql": "(clock_timestamp() + make_interval(secs => CAST({0} AS double precision)))",
        "mysql": "(UTC_TIMESTAMP(6) + INTERVAL {0} SECOND)",
        # It may be the transaction's start: those here are short.
        STANDARD: "(CAST(CURRENT_TIMESTAMP AT TIME ZONE 'UTC' AS TIMESTAMP) + {0} * INTERVAL '1' SECOND)",
    }

    def __init__(self, seconds: float | BindParameter[float] = 0.0) -> None:
        if not isinstance(seconds, BindParameter):
            seconds = bindparam(None, float(seconds), type_=Float())
        super().__init__(seconds)


class Elapsed(Spelled[float]):
    """
    Seconds from one moment to another, with their fraction.

    :param start: the earlier moment.
    :param end: the later moment.
    """

    type = Float()
    inherit_cache = True
    name = "sms_elapsed"
    spellings = {  # noqa: RUF012 - never changed
        # A day number has about 0.04 ms left after the point; rounding hides what is below.
        "sqlite": "round((julianday({1}) - julianday({0})) * 86400.0, 3)",
        "postgresql": "CAST(extract(epoch FROM {1} - {0}) AS double precision)",
        "mysql": "(timestampdiff(MICROSECOND, {0}, {1}) / 1000000e0)",
        STANDARD: (
            "CAST(EXTRACT(DAY FROM ({1} - {0})) * 86400 + EXTRACT(HOUR FROM ({1} - {0})) * 3600"
            " + EXTRACT(MINUTE FROM ({1} - {0})) * 60 + EXTRACT(SECOND FROM ({1} - {0})) AS DOUBLE PRECISION)"
        ),
    }

    def __init__(self, start: ColumnElement[Any], end: ColumnElement[Any]) -> None:
        super().__init__(start, end)


class ElapsedWhole(Spelled[float]):
    """
    Whole seconds from one moment to another, the rest cut off: for what begins with a second, like hours.

    :param start: the earlier moment; a whole second.
    :param end: the later moment.
    """

    type = Float()
    inherit_cache = True
    name = "sms_elapsed_whole"
    spellings = {
        # SQLite rounds to milliseconds where it reads a moment: the last of a second would be the next one's.
        "sqlite": "(CAST(strftime('%s', substr({1}, 1, 19)) AS REAL) - strftime('%s', substr({0}, 1, 19)))",
    } | {name: f"floor({sql})" for name, sql in Elapsed.spellings.items() if name != "sqlite"}

    def __init__(self, start: ColumnElement[Any], end: ColumnElement[Any]) -> None:
        super().__init__(start, end)
