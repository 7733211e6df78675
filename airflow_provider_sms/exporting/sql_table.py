"""
A dataset in a table of another database: a day is deleted and written again in one transaction.

Several days may be exported at once, even before the table is there. Whoever writes waits for the others.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Column, Date, Float, MetaData, String, Table, Text, exc, inspect, text

from airflow_provider_sms.errors import PreflightError, SmsError
from airflow_provider_sms.store.columns import UtcDateTime
from airflow_provider_sms.store.failures import describe, is_deadlock
from airflow_provider_sms.store.frames.fields import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import date

    from sqlalchemy.engine import Connection, Engine

    from airflow_provider_sms.store.frames.fields import Field

_DAY = "day"
#: Long enough for every text of few values that the store's own columns hold.
_LABEL_LENGTH = 250
#: SQLAlchemy knows MariaDB by two names. A database of another charset would refuse Chinese.
_CHARSET: dict[str, Any] = {"mysql_charset": "utf8mb4", "mariadb_charset": "utf8mb4"}
#: Seconds between tries of a transaction that others were in the way of.
_PAUSES = (0.1, 0.5, 2.0)
#: Seconds until the others, who each write a day, must have had their turn.
_TURN_SECONDS = 600


class ExportFailed(SmsError):
    """The other database refused or was away; nothing of the day was changed there."""


class SqlTable:
    """
    One table of another database.

    :param engine: of the connection; its parameters are hidden from logs and errors from now on.
    :param name: of the table, ``schema.table`` if need be. It is made if it is not there.
    :param fields: its columns, besides ``day``.
    """

    def __init__(self, engine: Engine, name: str, fields: Sequence[Field]) -> None:
        engine.hide_parameters = True
        self._engine = engine
        self._fields = tuple(fields)
        schema, _, table = name.rpartition(".")
        columns = [Column(field.name, _type(field.kind)) for field in fields]
        day = Column(_DAY, Date, nullable=False, index=True)
        self._table = Table(table, MetaData(), day, *columns, schema=schema or None, **_CHARSET)

    def prepare(self) -> None:
        """
        Make the table, or check that one which is there has the columns.

        :raises PreflightError: it lacks some.
        :raises ExportFailed: the database is away or refuses.
        """
        with _told(self._table.name):
            there = self._columns_there() or self._create()
        missing = [column.name for column in self._table.columns if column.name not in there]
        if missing:
            problem = f"it lacks the columns {', '.join(missing)}: add them, or export into another table"
            raise PreflightError([problem], f"table {self._table.name!r}", "nothing was written")

    def _columns_there(self) -> set[str]:
        """Name the columns of the table; none if it is not there."""
        with self._engine.connect() as connection:
            seen, where = inspect(connection), {"schema": self._table.schema}
            if not seen.has_table(self._table.name, **where):
                return set()
            return {column["name"] for column in seen.get_columns(self._table.name, **where)}

    def _create(self) -> set[str]:
        try:
            with self._engine.begin() as connection:
                self._table.create(connection)
        except exc.DBAPIError:
            # Of several that found no table, one makes it; the others are told so in each database's own way.
            there = self._columns_there()
            if not there:
                raise
            return there
        return {column.name for column in self._table.columns}

    def replace_day(self, day: date, parts: Callable[[], Iterable[list[Sequence[Any]]]]) -> int:
        """
        Put a day's rows in the place of those that are there.

        :param parts: gives the rows; called again when the database took them back because of others.
        :return: how many rows.
        :raises ExportFailed: nothing was changed.
        """
        with _told(self._table.name):
            for pause in _PAUSES:
                try:
                    return self._replace(day, parts())
                except exc.DBAPIError as error:
                    if not is_deadlock(error.orig):
                        raise
                time.sleep(pause)
            return self._replace(day, parts())

    def _replace(self, day: date, parts: Iterable[list[Sequence[Any]]]) -> int:
        rows = 0
        names = [field.name for field in self._fields]
        with self._turn() as connection:
            connection.execute(self._table.delete().where(self._table.c.day == day))
            for columns in parts:
                values = [
                    {_DAY: day, **dict(zip(names, row, strict=True))} for row in zip(*columns, strict=True)
                ]
                connection.execute(self._table.insert(), values)
                rows += len(values)
        return rows

    @contextmanager
    def _turn(self) -> Iterator[Connection]:
        """Give a transaction beside which no other export writes to the table."""
        # Two exports of a day at once would each miss the other's rows.
        if self._engine.dialect.name in {"mysql", "mariadb"}:
            with self._mysql_turn() as connection:
                yield connection
            return
        with self._engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                name = connection.dialect.identifier_preparer.format_table(self._table)
                connection.execute(text(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE"))
            yield connection

    @contextmanager
    def _mysql_turn(self) -> Iterator[Connection]:
        # Locks of rows would not do: those on days without any are shared, and block the others' inserts.
        name = "concat('sms_export:', md5(concat(coalesce(:schema, database()), '.', :table)))"
        of = {"schema": self._table.schema, "table": self._table.name}
        with self._engine.connect() as connection:
            if connection.scalar(text(f"SELECT get_lock({name}, {_TURN_SECONDS})"), of) != 1:
                msg = (
                    f"table {self._table.name!r}: other exports have been writing it for {_TURN_SECONDS} s; "
                    "nothing of this day was changed there: try again"
                )
                raise ExportFailed(msg)
            connection.commit()
            try:
                with connection.begin():
                    yield connection
            finally:
                connection.execute(text(f"SELECT release_lock({name})"), of)
                connection.commit()


@contextmanager
def _told(table: str) -> Iterator[None]:
    """Turn the other database's failures into errors that quote no values."""
    try:
        yield
    except exc.SQLAlchemyError as error:
        reason = describe(error.orig) if isinstance(error, exc.DBAPIError) else type(error).__name__
    else:
        return
    failure = ExportFailed(
        f"table {table!r} could not be written ({reason}); nothing of this day was changed there"
    )
    try:
        raise failure
    finally:
        # What was being handled in the caller's block may hold values, too.
        failure.__context__ = None


def _type(kind: Kind) -> Any:
    types: dict[Kind, Any] = {
        Kind.TEXT: Text(),
        Kind.LABEL: String(_LABEL_LENGTH),
        Kind.WHOLE: BigInteger(),
        Kind.MAYBE_WHOLE: BigInteger(),
        Kind.NUMBER: Float(53),
        Kind.TIME: UtcDateTime(),
        Kind.DAY: Date(),
    }
    return types[kind]
