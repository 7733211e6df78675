"""What the values of a template's fields read as: numbers as people write them, and what is no text."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import Any


class Unfit(Enum):
    """Why a value can stand in no text: what it is, and what to do."""

    EMPTY = ("is empty", "fill it or leave these rows out")
    ENDLESS = ("is infinite", "give a number or leave these rows out")
    SEVERAL = ("is a list, an array or bytes", "give one text or number")
    NARROW = ("is a float of fewer than 64 bits", "it keeps seven digits or fewer: read it as text")

    def __init__(self, what: str, advice: str) -> None:
        self.what = what
        self.advice = advice


def as_text(value: Any) -> str | Unfit:
    """Write a value as a person would: whole numbers without ``.0``, none with an exponent."""
    if isinstance(value, str):
        # A CSV has no other way to say "nothing", and a text with a hole in it helps nobody.
        return value if value.strip() else Unfit.EMPTY
    if isinstance(value, (int, float, Decimal)):
        return _number_as_text(value)
    # Before anything is compared: an array answers with an array.
    if hasattr(value, "__len__"):
        return Unfit.SEVERAL
    # pandas' NA refuses to be compared; NaN is the only value that differs from itself.
    if value is None or type(value).__name__ in {"NAType", "NaTType"} or value != value:  # noqa: PLR0124
        return Unfit.EMPTY
    return Unfit.NARROW if is_narrow(value) else str(value)


def is_narrow(value: object) -> bool:
    """Whether a value is a float of numpy's that has no room for the eleven digits of a number."""
    return type(value).__name__ in {"float16", "float32"}


def _number_as_text(value: float | Decimal) -> str | Unfit:
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if value.is_integer():
            return str(int(value))  # a whole number from a column that had an empty cell once
        # numpy's floats are floats, and have a spelling of their own.
        written = float.__repr__(value)
        if "e" not in written and "n" not in written:
            return written
        value = Decimal(written)
    if value.is_finite():
        return f"{value:f}"
    return Unfit.EMPTY if value.is_nan() else Unfit.ENDLESS
