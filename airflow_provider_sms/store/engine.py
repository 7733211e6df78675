"""The store: one engine per process and address, its tables, its clock."""

from __future__ import annotations

import os
import threading
import time
import weakref
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Engine, event, exc, inspect, make_url, select

from airflow_provider_sms.errors import PreflightError, StoreUnavailable
from airflow_provider_sms.store import schema
from airflow_provider_sms.store.clock import ServerTime
from airflow_provider_sms.store.dialects import CONNECTIONS, is_known, make_engine, refuse_other_charset
from airflow_provider_sms.store.failures import mapped_errors, unavailable
from airflow_provider_sms.store.ids import new_id
from airflow_provider_sms.store.migrations import PROOF, bring_up
from airflow_provider_sms.store.number_hash import checked_key
from airflow_provider_sms.store.one_writer import turn_to_write
from airflow_provider_sms.store.trial import try_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy import URL, Pool
    from sqlalchemy.engine import Connection

    from airflow_provider_sms.store.prepared import Prepared

ResultT = TypeVar("ResultT")

#: How often a transaction that others were in the way of is tried, its last time included.
_TRIES = 6
#: Seconds until another process that makes the tables has got on.
_BETWEEN_TRIES = 0.5

_lock = threading.Lock()
_open: dict[tuple[URL, Path, str, bytes], Store] = {}
_engines: weakref.WeakSet[Engine] = weakref.WeakSet()
_inherited: list[Pool] = []


@dataclass(frozen=True, eq=False)
class Store:
    """
    A database with this package's tables in it; made by :meth:`open`.

    :param engine: its engine, with this package's settings.
    :param spool_dir: folder for pages that the database could not take.
    :param number_hash_key: key of the columns ``mobile_hash``, which stay empty without it.
    """

    engine: Engine
    spool_dir: Path
    number_hash_key: bytes = field(default=b"", repr=False)

    @classmethod
    def open(
        cls,
        url: str | URL,
        *,
        spool_dir: Path,
        connect_args: Mapping[str, Any] | None = None,
        number_hash_key: str = "",
        connections: int = CONNECTIONS,
    ) -> Store:
        """
        Open a store, and create or migrate its tables if need be; repeated calls share one engine.

        A store that was opened before with the same spool, but another address or arguments, goes on to work
        for whoever has it, and keeps no connection open.

        :param url: SQLAlchemy address; a driver that is not named is chosen.
        :param spool_dir: folder for pages that the database could not take; one per store.
        :param connect_args: for the driver, over what this package sets; all but the charset.
        :param number_hash_key: secret under which numbers are hashed into ``mobile_hash``; none if empty.
        :param connections: so many this process may have open at once; whoever needs one more waits.
        :raises PreflightError: the address is none that a store can have, the database does not keep all
            characters, or the secret is too short.
        :raises StoreUnavailable: the database is away, or its tables are newer than this package.
        """
        address = _parse(url)
        arguments = dict(connect_args or {})
        hash_key = checked_key(number_hash_key)
        key = (address, spool_dir, repr((connections, sorted(arguments.items()))), hash_key)
        with _lock:
            store = _open.get(key)
            if store is None:
                store = cls(_prepared(address, arguments, connections), spool_dir, hash_key)
                # A spool is one store's: its password was changed, say, in the life of a triggerer.
                for former in [each for each in _open if each[1] == spool_dir]:
                    _keep_no_connection(_open.pop(former).engine)
                _open[key] = store
            return store

    @property
    def dialect(self) -> str:
        """Which database, by SQLAlchemy's name: ``"sqlite"``, ``"postgresql"``, ``"mysql"`` or another."""
        return self.engine.dialect.name

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """
        Give a connection within a transaction that commits at the end.

        :raises StoreUnavailable: the database is away, full, read-only, or refused a statement.
        """
        with mapped_errors(), turn_to_write(self.engine), self.engine.begin() as connection:
            yield connection

    def run(self, statement: Prepared, **values: Any) -> int:
        """
        Run one statement and commit it.

        :param values: as for :meth:`Prepared.run <airflow_provider_sms.store.prepared.Prepared.run>`.
        :return: how many rows it changed.
        :raises StoreUnavailable: as for :meth:`begin`.
        """
        return self.one_by_one(lambda connection: statement.run(connection, **values).rowcount)

    def one_by_one(self, work: Callable[[Connection], ResultT]) -> ResultT:
        """
        Do something whose statements may each be committed by itself: on PostgreSQL they are.

        There a statement takes one round trip then, and not three. Elsewhere it is a transaction.

        :param work: as for :meth:`transact`.
        :raises StoreUnavailable: as for :meth:`begin`.
        """
        if self._committing is None:
            return self.transact(work)
        with mapped_errors(), self._committing.connect() as connection:
            return work(connection)

    @cached_property
    def _committing(self) -> Engine | None:
        # psycopg alone turns to committing each statement without a word to the server.
        if self.dialect == "postgresql" and self.engine.driver == "psycopg":
            return self.engine.execution_options(isolation_level="AUTOCOMMIT")
        return None

    def transact(self, work: Callable[[Connection], ResultT]) -> ResultT:
        """
        Do something in a transaction, and do it again when the database took it back for a deadlock.

        :param work: gets the connection; whatever it does besides is done again as well.
        :return: what it returned, once that is committed.
        :raises StoreUnavailable: as for :meth:`begin`; after so many deadlocks, too.
        """
        for _ in range(_TRIES - 1):
            try:
                with self.begin() as connection:
                    return work(connection)
            except StoreUnavailable as failure:
                if not failure.deadlocked:
                    raise
        with self.begin() as connection:
            return work(connection)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """
        Give a connection for reading only; on SQLite it waits for no writer.

        :raises StoreUnavailable: as for :meth:`begin`.
        """
        with mapped_errors(), self.engine.connect() as connection:
            yield connection.execution_options(sms_read_only=True)

    @contextmanager
    def asking(self) -> Iterator[Connection]:
        """
        Give a connection for short questions, each of which sees what is committed by then.

        The same as :meth:`reading` without the round trips of a transaction on PostgreSQL; rows come at once.

        :raises StoreUnavailable: as for :meth:`begin`.
        """
        with mapped_errors(), (self._committing or self.engine).connect() as connection:
            yield connection.execution_options(sms_read_only=True)

    @contextmanager
    def sweeping(self) -> Iterator[Connection]:
        """
        Give a connection for reading very many rows, in memory that they do not fill.

        :raises StoreUnavailable: as for :meth:`begin`.
        """
        with self.reading() as connection:
            yield connection.execution_options(sms_sweeps=True)

    def now(self) -> datetime:
        """Tell the time (UTC) by the database server's clock, the one that leases and claims go by."""
        with self.reading() as connection:
            return self.clock(connection)

    @staticmethod
    def clock(connection: Connection) -> datetime:
        """Tell the time as :meth:`now` does, within a transaction of the caller."""
        moment: datetime = connection.execute(select(ServerTime())).scalar_one()
        return moment

    def prove_writable(self) -> None:
        """
        Commit a tiny write, so that a read-only or full store is found before a vendor's queue is read.

        :raises StoreUnavailable: it cannot be written.
        """
        with self.begin() as connection:
            statement = schema.meta.update().where(schema.meta.c.name == PROOF)
            connection.execute(statement, {"value": new_id()})

    def close(self) -> None:
        """Close the connections; the next :meth:`open` makes a new engine."""
        with _lock:
            for key in [key for key, store in _open.items() if store is self]:
                del _open[key]
        self.engine.dispose()


def _parse(url: str | URL) -> URL:
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url)
    except ArgumentError:
        pass
    problem = "its address is no database address: give one like postgresql://user@host/database"
    raise PreflightError([problem], "SMS store")


def _prepared(address: URL, arguments: dict[str, Any], connections: int) -> Engine:
    try:
        engine = make_engine(address, arguments, connections)
    except OSError as error:
        reason = f"its folder: {error.strerror}"
    else:
        _engines.add(engine)
        try:
            if is_known(engine):
                with mapped_errors():
                    refuse_other_charset(engine)
                    bring_up(engine)
            else:
                _try_and_bring_up(engine)
        except BaseException:
            engine.dispose()
            raise
        return engine
    raise StoreUnavailable(unavailable(reason))


def _keep_no_connection(engine: Engine) -> None:
    event.listen(engine, "checkin", lambda _, record: record.invalidate())
    engine.dispose()


def _try_and_bring_up(engine: Engine) -> None:
    with mapped_errors():
        try:
            with engine.connect() as connection:
                is_new = not inspect(connection).has_table(schema.meta.name)
        except (exc.OperationalError, exc.InterfaceError):
            raise
        except Exception:  # noqa: BLE001 - the trial will say what is missing
            is_new = True
        if is_new:
            try_out(engine)
    # Nobody knows how to lock it, so one of several first users may find the tables half made.
    for _ in range(_TRIES - 1):
        try:
            with mapped_errors():
                bring_up(engine)
        except StoreUnavailable:
            time.sleep(_BETWEEN_TRIES)
        else:
            return
    with mapped_errors():
        bring_up(engine)


def _after_fork() -> None:
    # A child must neither use nor close its parent's connections: closing would say goodbye to the
    # server in the parent's name. So the old pools are kept, untouched, and new ones made.
    global _lock  # noqa: PLW0603 - another thread of the parent may have held it
    _lock = threading.Lock()
    for engine in _engines:
        _inherited.append(engine.pool)
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_after_fork)
