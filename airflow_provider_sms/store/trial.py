"""
Try a database that this package was never tested on, before anything is trusted to it.

What the store promises rests on transactions, savepoints, unique keys, row locks, exact times and a clock
that speaks standard SQL. A database that lacks one of them would not fail at once but lose something later,
so it is refused at the door, by name of what it lacks.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Integer, MetaData, Table, exc, func, select

from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.store.clock import Elapsed, ServerTime
from airflow_provider_sms.store.columns import UtcDateTime, key, prose, raw
from airflow_provider_sms.store.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Connection, Engine

_TRIES = 3
_LONG = 200_000
_CLOCKS_DIFFER = timedelta(minutes=10)


def try_out(engine: Engine) -> None:
    """
    Try everything that the store needs on a table that is gone afterwards.

    :raises PreflightError: the database lacks something.
    :raises sqlalchemy.exc.OperationalError: it cannot be reached.
    """
    name = engine.dialect.name
    table = Table(
        f"sms_trial_{new_id()[-12:]}",
        MetaData(),
        Column("id", key(64), primary_key=True),
        Column("number", Integer, nullable=False),
        Column("moment", UtcDateTime),
        Column("words", prose()),
        Column("bytes", raw()),
    )
    problems = [f"{name} lacks {what}" for what in _lacking(engine, table)]
    if problems:
        problems.append(f"so {name} cannot keep the store's promises: take PostgreSQL, MySQL or MariaDB")
        raise PreflightError(problems, "SMS store")


def _lacking(engine: Engine, table: Table) -> list[str]:
    if not _holds(lambda: _connects(engine)):
        return ["the isolation level READ COMMITTED"]
    if not _holds(lambda: _makes(engine, table)):
        return ["CREATE TABLE as SQLAlchemy writes it"]
    try:
        return [what for what, check in _CHECKS.items() if not _holds(lambda: check(engine, table))]  # noqa: B023 - called at once
    finally:
        with engine.begin() as connection:
            table.drop(connection, checkfirst=False)


def _holds(check: Callable[[], bool]) -> bool:
    # Others may be changing tables in this moment: what fails by chance holds the next time.
    return any(_holds_now(check) for _ in range(_TRIES))


def _holds_now(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except exc.DBAPIError as error:
        if error.connection_invalidated:
            raise
        return False
    except Exception:  # noqa: BLE001 - dialects lack things in all kinds of ways, attributes among them
        return False


def _connects(engine: Engine) -> bool:
    try:
        engine.connect().close()
    except exc.OperationalError as error:
        # Away, which is for the caller to say.
        error.connection_invalidated = True
        raise
    return True


def _makes(engine: Engine, table: Table) -> bool:
    with engine.begin() as connection:
        table.create(connection, checkfirst=False)
    return True


def _takes_back(engine: Engine, table: Table) -> bool:
    with engine.connect() as connection:
        _add(connection, table, "taken back")
        connection.rollback()
        return connection.scalar(select(func.count()).select_from(table)) == 0


def _has_unique_keys_and_savepoints(engine: Engine, table: Table) -> bool:
    with engine.connect() as connection:
        _add(connection, table, "first")
        try:
            with connection.begin_nested():
                _add(connection, table, "second")
                _add(connection, table, "first")
        except exc.IntegrityError:
            return connection.scalars(select(table.c.id)).all() == ["first"]
        return False


def _counts_changes(engine: Engine, table: Table) -> bool:
    with engine.connect() as connection:
        _add(connection, table, "here")
        hit = connection.execute(table.update().where(table.c.id == "here").values(number=2))
        missed = connection.execute(table.update().where(table.c.id == "Here").values(number=2))
        return hit.rowcount == 1 and missed.rowcount == 0


def _locks_rows(engine: Engine, table: Table) -> bool:
    locking = select(table.c.id).with_for_update()
    # Some dialects leave it out without a word.
    if "FOR UPDATE" not in str(locking.compile(engine)).upper():
        return False
    with engine.connect() as connection:
        return connection.execute(locking).all() == []


def _keeps_times(engine: Engine, table: Table) -> bool:
    moment = datetime(2025, 3, 1, 4, 0, 59, 999_999, tzinfo=UTC)
    with engine.connect() as connection:
        _add(connection, table, "then", moment=moment)
        return connection.scalar(select(table.c.moment)) == moment


def _tells_the_time(engine: Engine, table: Table) -> bool:
    with engine.connect() as connection:
        connection.execute(table.insert().values(id="then", number=1, moment=ServerTime(-90.5)))
        now: Any = connection.scalar(select(ServerTime()))
        later = select(Elapsed(table.c.moment, ServerTime())).where(table.c.moment < ServerTime())
        passed = connection.scalar(later)
        close = abs(now - datetime.now(UTC)) < _CLOCKS_DIFFER
        return close and passed is not None and 90 < float(passed) < 90 + _CLOCKS_DIFFER.total_seconds()  # noqa: PLR2004 - what was taken off


def _keeps_what_is_long(engine: Engine, table: Table) -> bool:
    words, content = "短信\t𠮷\\\n" * (_LONG // 6), bytes(range(256)) * (_LONG // 256)
    with engine.connect() as connection:
        _add(connection, table, "long", words=words, bytes=content)
        return tuple(connection.execute(select(table.c.words, table.c.bytes)).one()) == (words, content)


def _ranks(engine: Engine, table: Table) -> bool:
    place = func.row_number().over(partition_by=table.c.number, order_by=table.c.id.desc())
    with engine.connect() as connection:
        _add(connection, table, "a")
        _add(connection, table, "b")
        return set(map(tuple, connection.execute(select(table.c.id, place)))) == {("a", 2), ("b", 1)}


def _add(connection: Connection, table: Table, row: str, **values: Any) -> None:
    connection.execute(table.insert(), {"id": row, "number": 1, **values})


_CHECKS: dict[str, Callable[[Engine, Table], bool]] = {
    "transactions that can be taken back": _takes_back,
    "savepoints, or unique keys that SQLAlchemy tells of": _has_unique_keys_and_savepoints,
    "counts of changed rows, with keys compared letter by letter": _counts_changes,
    "row locks (SELECT ... FOR UPDATE)": _locks_rows,
    "times with microseconds": _keeps_times,
    "a clock in UTC, in standard SQL, that agrees with this machine's within ten minutes": _tells_the_time,
    "texts and bytes of any length and character": _keeps_what_is_long,
    "window functions": _ranks,
}
