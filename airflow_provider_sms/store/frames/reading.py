"""
From rows to a frame, a part of the rows at a time.

Each part goes into columns of numbers, codes and packed texts at once; what the driver's rows need of memory
is never more than a part's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_sms.store.frames.fields import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from sqlalchemy import Select
    from sqlalchemy.engine import Connection

    from airflow_provider_sms.store.frames.fields import Field

#: Rows of a part.
PART = 20_000


def parts_of(connection: Connection, statement: Select[Any], rows: int = PART) -> Iterator[list[Any]]:
    """
    Give the rows of a statement, part by part; the database is read while they are used.

    :return: lists of columns: a tuple of values for each column of the statement; no empty parts.
    """
    result = connection.execution_options(yield_per=rows).execute(statement)
    for part in result.partitions():
        yield list(zip(*part, strict=True))


def read(connection: Connection, statement: Select[Any], fields: Sequence[Field]) -> pd.DataFrame:
    """
    Read a statement whose columns are these fields, in their order.

    :return: a frame of these columns and their types.
    """
    import pandas as pd

    columns = [_Growing(field.kind) for field in fields]
    for part in parts_of(connection, statement):
        for column, values in zip(columns, part, strict=True):
            column.add(values)
    series = {field.name: column.series() for field, column in zip(fields, columns, strict=True)}
    return pd.DataFrame(series, copy=False)


class _Growing:
    """A column that grows by parts."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._parts: list[Any] = []
        self._codes: dict[Any, int] = {None: -1}

    def add(self, values: Sequence[Any]) -> None:
        """Take a part's values as the database gave them; ``None`` is nothing."""
        self._parts.append(self._labels(values) if self._kind is Kind.LABEL else _packed(self._kind, values))

    def _labels(self, values: Sequence[Any]) -> Any:
        import numpy as np

        for value in dict.fromkeys(values):
            self._codes.setdefault(value, len(self._codes) - 1)
        return np.fromiter(map(self._codes.__getitem__, values), "int32", len(values))

    def series(self) -> pd.Series[Any]:
        """Give the column; it must not grow any more."""
        import numpy as np
        import pandas as pd

        # The parts are let go: the frame has them once more.
        parts, self._parts = self._parts, []
        if self._kind is not Kind.LABEL:
            return _chained(parts or [_packed(self._kind, ())])
        codes = np.concatenate(parts) if parts else np.empty(0, "int32")
        labels = pd.Index(list(self._codes)[1:], dtype=text_type())
        # In the order of the alphabet: groups and sorted values then come as one expects them.
        ordered = labels.sort_values()
        place = np.append(ordered.get_indexer(labels), -1)
        return pd.Series(pd.Categorical.from_codes(place[codes], categories=ordered))


def text_type() -> Any:
    """Give pandas' own type for text, which is another one before pandas 3."""
    import pandas as pd

    return pd.Series(["text"]).dtype


def _chained(parts: list[pd.Series[Any]]) -> pd.Series[Any]:
    import pandas as pd

    return parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)


def _packed(kind: Kind, values: Sequence[Any]) -> pd.Series[Any]:
    import numpy as np
    import pandas as pd

    if kind is Kind.TEXT:
        texts: pd.Series[Any] = pd.Series(list(values), dtype=text_type())
        return texts
    if kind is Kind.WHOLE:
        return pd.Series(np.fromiter(values, "int64", len(values)))
    if kind is Kind.MAYBE_WHOLE:
        return pd.Series(list(values), dtype="Int64")
    if kind is Kind.NUMBER:
        return pd.Series([None if value is None else float(value) for value in values], dtype="float64")
    if kind is Kind.DAY:
        return pd.Series(np.array(values, dtype="datetime64[us]"))
    # The store gives aware UTC; numpy takes times without a zone many times as fast as pandas those with one.
    plain = [None if value is None else value.replace(tzinfo=None) for value in values]
    times: pd.Series[Any] = pd.Series(np.array(plain, dtype="datetime64[us]")).dt.tz_localize("UTC")
    return times
