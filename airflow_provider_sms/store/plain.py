"""
Many rows at once in plain SQLAlchemy: for databases that this package knows nothing of.

No upsert, no driver's own way. Which rows are there already is asked; the others are inserted, and when
another transaction was faster with one of them, row by row, each in a savepoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, exc, or_, select

from airflow_provider_sms.store.columnar import is_one, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, Table
    from sqlalchemy.engine import Connection

    _Row = dict[str, Any]

#: Keys asked for at once: some databases take no more than a thousand values in a list.
_KEYS_AT_ONCE = 500


def append(connection: Connection, table: Table, columns: Mapping[str, Any], count: int) -> None:
    """Insert rows that are not there."""
    connection.execute(table.insert(), rows_of(columns, count))


def upsert(
    connection: Connection, table: Table, columns: Mapping[str, Any], count: int, keep: Sequence[str]
) -> None:
    """Insert or change rows."""
    keys = [column.name for column in table.primary_key]
    changed = [name for name in columns if name not in {*keys, *keep}]
    there = _there(connection, table, {name: columns[name] for name in keys}, count)
    new: list[_Row] = []
    old: list[_Row] = []
    for row in rows_of(columns, count):
        (old if tuple(row[name] for name in keys) in there else new).append(row)
    old += _insert(connection, table, new)
    if old and changed:
        _update(connection, table, keys, changed, old)


def _there(connection: Connection, table: Table, keys: Mapping[str, Any], count: int) -> set[tuple[Any, ...]]:
    wanted = select(*(table.c[name] for name in keys))
    return {
        tuple(row)
        for condition in _conditions(table, keys, count)
        for row in connection.execute(wanted.where(condition))
    }


def _conditions(table: Table, keys: Mapping[str, Any], count: int) -> Iterator[ColumnElement[bool]]:
    fixed = [table.c[name] == values for name, values in keys.items() if is_one(values)]
    varying = {name: values for name, values in keys.items() if not is_one(values)}
    if not varying:
        yield and_(*fixed)
        return
    for start in range(0, count, _KEYS_AT_ONCE):
        part = {name: list(values[start : start + _KEYS_AT_ONCE]) for name, values in varying.items()}
        yield and_(*fixed, _one_of(table, part))


def _one_of(table: Table, keys: Mapping[str, Sequence[Any]]) -> ColumnElement[bool]:
    if len(keys) == 1:
        ((name, values),) = keys.items()
        return table.c[name].in_(values)
    # Lists of tuples are not everywhere.
    return or_(
        *(
            and_(*(table.c[name] == value for name, value in zip(keys, key, strict=True)))
            for key in zip(*keys.values(), strict=True)
        )
    )


def _insert(connection: Connection, table: Table, rows: Sequence[_Row]) -> list[_Row]:
    """Insert rows; gives those that were there after all."""
    if not rows:
        return []
    try:
        with connection.begin_nested():
            connection.execute(table.insert(), rows)
    except exc.IntegrityError:
        return [row for row in rows if not _insert_one(connection, table, row)]
    return []


def _insert_one(connection: Connection, table: Table, row: _Row) -> bool:
    try:
        with connection.begin_nested():
            connection.execute(table.insert(), row)
    except exc.IntegrityError:
        # Of another kind than "there already", it would be lost in silence.
        keys = {column.name: row[column.name] for column in table.primary_key}
        if not _there(connection, table, keys, 1):
            raise
        return False
    return True


def _update(
    connection: Connection, table: Table, keys: Sequence[str], changed: Sequence[str], rows: Sequence[_Row]
) -> None:
    statement = (
        table.update()
        .where(*(table.c[name] == bindparam(f"key_{name}") for name in keys))
        .values({name: bindparam(f"new_{name}") for name in changed})
    )
    values = [
        {f"key_{name}": row[name] for name in keys} | {f"new_{name}": row[name] for name in changed}
        for row in rows
    ]
    connection.execute(statement, values)
