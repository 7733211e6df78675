"""Rows that come as columns: a sequence of values, or one value for all rows."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


def is_one(values: Any) -> bool:
    """Tell whether it is one value for all rows."""
    return values is None or isinstance(values, (str, int)) or not hasattr(values, "__len__")


def each_once(convert: Callable[[Any], Any], values: Sequence[Any]) -> Iterable[Any]:
    """Convert values of which few are different, each of them once."""
    # Vendors' times are whole seconds: a page has far fewer different times than rows.
    known = {value: convert(value) for value in set(values)}
    return map(known.__getitem__, values)


def rows_of(columns: Mapping[str, Any], count: int) -> list[dict[str, Any]]:
    """Turn columns into rows by column name."""
    names = list(columns)
    values = [repeat(column, count) if is_one(column) else column for column in columns.values()]
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
