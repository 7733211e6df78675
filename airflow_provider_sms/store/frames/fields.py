"""What the columns of a frame are: their names, kinds and meanings, whichever rows there happen to be."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Kind(Enum):
    """
    What a column holds, and how pandas keeps it.

    The type never depends on the rows: a frame without any has the same columns and types.
    """

    #: Ids, numbers, texts: pandas' own type for text (``str``; before pandas 3 ``object``).
    TEXT = "text"
    #: Text of few values: ``category``.
    LABEL = "label"
    #: ``int64``.
    WHOLE = "whole number"
    #: A whole number that may be missing: ``Int64``.
    MAYBE_WHOLE = "whole number or nothing"
    #: ``float64``; NaN where there is nothing to tell.
    NUMBER = "number"
    #: ``datetime64[us, UTC]``; NaT where there is nothing to tell.
    TIME = "time (UTC)"
    #: A local day: ``datetime64[us]`` at midnight, without a zone.
    DAY = "day"


#: What ``error_code`` says, wherever it is told.
CODE_MEANING = (
    "the code that came with the report, or an empty text; beidoutong may give one with deliveries, too "
    "(`DELIVRD`)"
)


class Field(NamedTuple):
    """
    One column of a frame.

    :param name: what it is called.
    :param kind: what it holds.
    :param meaning: what it says, for the documentation.
    """

    name: str
    kind: Kind
    meaning: str


def named(fields: Iterable[Field], names: Iterable[str]) -> tuple[Field, ...]:
    """Pick fields by their names, in that order."""
    known = {field.name: field for field in fields}
    return tuple(known[name] for name in names)
