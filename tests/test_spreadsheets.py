"""No cell that a stranger wrote is a formula, in whatever spreadsheet, split however."""

from __future__ import annotations

import csv
import io

import pytest

from airflow_provider_sms.spreadsheets import defuse, defuse_row

FORMULAS = [
    "=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", '"=1', "'=1", "\ufeff=1",
    "\u200b=1", "\x00=1", "＝1+1", "＋1+x", "＠x", "－1-x", '=HYPERLINK("http://x")', "-=1", "\t", "\rtext",
]  # fmt: skip
TEXTS = ["", "好的", "a=b", "1-2", "13800000001", "第一\n第二", "td;退订", "a+b@c"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_becomes_a_text(text):
    assert defuse(text) == f"'{text}" or defuse(text).startswith("'")
    assert defuse(text).replace("'", "") == text.replace("'", "")


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_stays_as_it_is(text):
    assert defuse(text) == text


@pytest.mark.parametrize("cell", [-5, 5, -5.5, None, True, "-5", "+8613800000001", "-0.25"])
def test_numbers_stay_numbers(cell):
    assert defuse(cell) is cell


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("text", [f"你好{inner}{formula}" for inner in "\n\r\t;" for formula in FORMULAS])
def test_no_cell_begins_a_formula_even_when_split_otherwise(separator, text):
    """A file with commas, opened where the separator is a semicolon or a tab: cells begin inside of texts."""
    out = io.StringIO(newline="")
    csv.writer(out).writerow(defuse_row(["13800000001", text, "x"]))
    rows = csv.reader(io.StringIO(out.getvalue(), newline=""), delimiter=separator)
    # A comma in a text may only begin a cell where the comma separates, and there the text is quoted.
    begins = {
        cell.lstrip(" \"'\ufeff\u200b\x00")[:1] for row in rows for cell in row if not cell.startswith("'")
    }
    assert not begins & set("=+-@＝＋－＠")
