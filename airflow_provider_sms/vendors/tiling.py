"""Text that is nothing but records of one form, one behind the other, taken apart into columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import re


def columns_of(record: re.Pattern[str], text: str) -> list[list[Any]] | None:
    """
    Give a list of values for each field of the records.

    :param record: of one record, a group per field. Its last alternative and last group swallow whatever is
        no record, so that one look finds both.
    :return: a list per field, equally long; ``None`` if there is no record, or something else between them.
        A field that its record has no group for is ``None``.
    """
    # A flat list of strings: thousands of tuples would call for the collection of garbage again and again.
    pieces = record.split(text)
    apart, last = record.groups + 1, record.groups
    if len(pieces) == 1 or any(pieces[last::apart]):
        return None
    return [pieces[place::apart] for place in range(1, last)]
