"""Cells that spreadsheets run, and whether an exported file holds one that is alive."""

from __future__ import annotations

import csv
import io
import re

_TRIGGERS = "=+-@＝＋－＠"
_LEADS = ("", " ", "\t", "\r", "\n", "\r\n", '"', "'", "\ufeff", "\u200b", "\u3000", "\x00", '" ', "\u00a0")
_BODIES = ("1+1", "cmd|'/C calc'!A0", 'HYPERLINK("http://127.0.0.2/?"&A1,"x")', "SUM(A1:A9)*2", "-1-x")
_INNER = ("你好,", "你好;", "你好\t", "第一\n", "第一\r\n", '你好","', '你好";"', "你好；")
_NUMBER = re.compile(r"[+\-]?[0-9]+(?:\.[0-9]+)?")
_INVISIBLE = " \t\r\n\"'\ufeff\u200b\u200e\u200f\u2060\u3000\u00a0\x00"


def cells() -> list[str]:
    """Give texts that begin a formula, at once or where a file is split otherwise than it was meant."""
    outright = [f"{lead}{trigger}{body}" for lead in _LEADS for trigger in _TRIGGERS for body in _BODIES]
    inner = [f"{before}{trigger}{_BODIES[0]}" for before in _INNER for trigger in _TRIGGERS]
    return outright + inner


def alive(exported: str) -> list[str]:
    """
    Give the cells of a CSV file that a spreadsheet may run, whichever separator it takes.

    A leading apostrophe makes a text of a cell; a plain number calculates nothing.
    """
    found = []
    for separator in (",", ";", "\t"):
        for row in csv.reader(io.StringIO(exported, newline=""), delimiter=separator):
            for cell in row:
                if cell.startswith("'") or _NUMBER.fullmatch(cell):
                    continue
                bare = cell.lstrip(_INVISIBLE)
                if bare[:1] in tuple(_TRIGGERS) or cell[:1] in ("\t", "\r"):
                    found.append(cell)
    return found
