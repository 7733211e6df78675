"""
Make texts of strangers safe for spreadsheets.

A reply may begin with ``=``; the spreadsheet that opens the export would then run it as a formula. A
leading apostrophe makes it text again, for Excel, WPS and LibreOffice alike. Quoting in the CSV file does
not help against the first cell's character, and where a spreadsheet splits at another separator than the
file was written with, a cell may even begin in the middle of a text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

#: What may stand before a formula without disarming it: blanks, quotes, invisible characters.
_LEAD = "[\\s\"'\u200b\u200e\u200f\u2060\ufeff\x00]*"
#: East Asian spreadsheets take the full-width forms as well.
_TRIGGER = r"[=+\-@＝＋－＠]"
_START = re.compile(rf"^(?={_LEAD}{_TRIGGER}|[\t\r\n])")
#: Where a cell may begin when the file is split otherwise than it was meant: a line or another separator.
_INNER = re.compile(rf"([\t\r\n;；])(?={_LEAD}{_TRIGGER})")
_PLAIN_NUMBER = re.compile(r"[+\-]?[0-9]+(?:\.[0-9]+)?")


def defuse(cell: Any) -> Any:
    """
    Give a cell that no spreadsheet takes for a formula.

    Only texts change, and of these not the plain numbers (``-5``, ``+8613800138000``): they calculate
    nothing.

    :param cell: any value.
    """
    if not isinstance(cell, str) or _PLAIN_NUMBER.fullmatch(cell):
        return cell
    return _START.sub("'", _INNER.sub(r"\1'", cell))


def defuse_row(row: Iterable[Any]) -> list[Any]:
    """Give a row whose cells are all safe, as :func:`defuse` makes them."""
    return [defuse(cell) for cell in row]
