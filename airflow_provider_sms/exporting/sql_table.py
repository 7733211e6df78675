"""A dataset in a table of another database: a day is deleted and written again in one transaction."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Column, Date, Float, MetaData, String, Table, Text, exc, inspect, text

from airflow_provider_sms.errors import PreflightError, SmsError
from airflow_provider_sms.store.columns import UtcDateTime
from airflow_provider_sms.store.failures import describe
from airflow_provider_sms.store.frames.fields import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date

    from sqlalchemy.engine import Connection, Engine

    from airflow_provider_sms.store.frames.fields import Field

_DAY = "day"
#: Long enough for every text of few values that the store's own columns hold.
_LABEL_LENGTH = 250
#: SQLAlchemy knows MariaDB by two names. A database of another charset would refuse Chinese.
_CHARSET: dict[str, Any] = {"mysql_charset": "utf8mb4", "mariadb_charset": "utf8mb4"}


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
        with _told(self._table.name), self._engine.begin() as connection:
            seen = inspect(connection)
            if not seen.has_table(self._table.name, schema=self._table.schema):
                self._table.create(connection)
                return
            there = {
                column["name"] for column in seen.get_columns(self._table.name, schema=self._table.schema)
            }
        missing = [column.name for column in self._table.columns if column.name not in there]
        if missing:
            problem = f"it lacks the columns {', '.join(missing)}: add them, or export into another table"
            raise PreflightError([problem], f"table {self._table.name!r}", "nothing was written")

    def replace_day(self, day: date, parts: Iterable[list[Sequence[Any]]]) -> int:
        """
        Put a day's rows in the place of those that are there.

        :return: how many rows.
        :raises ExportFailed: nothing was changed.
        """
        rows = 0
        names = [field.name for field in self._fields]
        with _told(self._table.name), self._engine.begin() as connection:
            self._take_turns(connection)
            connection.execute(self._table.delete().where(self._table.c.day == day))
            for columns in parts:
                values = [
                    {_DAY: day, **dict(zip(names, row, strict=True))} for row in zip(*columns, strict=True)
                ]
                connection.execute(self._table.insert(), values)
                rows += len(values)
        return rows

    def _take_turns(self, connection: Connection) -> None:
        # Two exports of a day at once would each miss the other's rows. The others lock what they delete.
        if connection.dialect.name == "postgresql":
            name = connection.dialect.identifier_preparer.format_table(self._table)
            connection.execute(text(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE"))


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
