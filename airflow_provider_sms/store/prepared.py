"""
Statements that run hundreds of times a second: compiled once, then handed to the driver as they are.

SQLAlchemy looks every statement up by its structure before it runs it; for a statement of one row that takes
longer than the database does. Here the look-up is done once for each kind of database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import CursorResult, Executable
    from sqlalchemy.engine import Connection, Dialect


class _Compiled(NamedTuple):
    """A statement for one kind of database, and how its values get to the driver."""

    sql: str
    constants: Mapping[str, Any]
    positions: Sequence[str] | None
    converters: Mapping[str, Callable[[Any], Any]]


class Prepared:
    """
    A statement with named values.

    :param statement: an insert, an update, a delete, or a select whose columns need no conversion: what comes
        back is as the driver gives it. Lists (``IN``) have no place in it, since their length is part of the
        statement.
    """

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._compiled: dict[tuple[str, str], _Compiled] = {}

    def run(self, connection: Connection, **values: Any) -> CursorResult[Any]:
        """
        Run it once.

        :param values: one for each ``bindparam``.
        """
        compiled = self._for(connection.dialect)
        return connection.exec_driver_sql(compiled.sql, _row(compiled, values))

    def run_many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it once for each row of values, of which there is at least one."""
        compiled = self._for(connection.dialect)
        connection.exec_driver_sql(compiled.sql, [_row(compiled, row) for row in rows])

    def _for(self, dialect: Dialect) -> _Compiled:
        kind = (dialect.name, dialect.driver)
        found = self._compiled.get(kind)
        if found is None:
            found = self._compiled[kind] = _compiled(self._statement, dialect)
        return found


def _compiled(statement: Executable, dialect: Dialect) -> _Compiled:
    compiled: Any = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
    converters = {
        name: convert
        for bind, name in compiled.bind_names.items()
        if (convert := bind.type.dialect_impl(dialect).bind_processor(dialect)) is not None
    }
    positions = list(compiled.positiontup) if compiled.positional else None
    constants = {
        name: converters[name](bind.value) if name in converters else bind.value
        for bind, name in compiled.bind_names.items()
        if not bind.required
    }
    return _Compiled(str(compiled), constants, positions, converters)


def _row(compiled: _Compiled, values: Mapping[str, Any]) -> Any:
    row = {**compiled.constants, **values}
    for name in compiled.converters.keys() & values.keys():
        row[name] = compiled.converters[name](values[name])
    return row if compiled.positions is None else tuple([row[name] for name in compiled.positions])
