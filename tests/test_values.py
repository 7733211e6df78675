"""A value reads as a person would write it, or is said to be none."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sms.values import Unfit, as_text, is_narrow


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0012", "0012"),
        (" a ", " a "),
        (12, "12"),
        (3.0, "3"),
        (-0.0, "0"),
        (0.5, "0.5"),
        (1e-05, "0.00001"),
        (-1.5e-07, "-0.00000015"),
        (1e22, "10000000000000000000000"),
        (np.float64(1e-05), "0.00001"),
        (np.float64(12.5), "12.5"),
        (np.int64(7), "7"),
        (Decimal("12.50"), "12.50"),
        (Decimal("0E-8"), "0.00000000"),
        (Decimal("1E+3"), "1000"),
        (date(2026, 11, 28), "2026-11-28"),
    ],
    ids=repr,
)
def test_a_value_reads_as_people_write_it(value, text):
    assert as_text(value) == text


@pytest.mark.parametrize(
    "value",
    [
        *("", " \n", None, float("nan"), pd.NA, pd.NaT),
        *(np.float64("nan"), np.float32("nan"), np.datetime64("NaT"), Decimal("nan"), Decimal("sNaN")),
    ],
    ids=repr,
)
def test_nothing_is_empty(value):
    assert as_text(value) is Unfit.EMPTY


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), np.float64("inf"), Decimal("-Infinity")])
def test_what_has_no_end_is_no_number(value):
    assert as_text(value) is Unfit.ENDLESS


@pytest.mark.parametrize(
    "value", [[1], (), {"a": 1}, {1}, b"a", np.array([1, 2]), np.array(1), pd.Series([1])]
)
def test_several_values_are_none(value):
    assert as_text(value) is Unfit.SEVERAL


@pytest.mark.parametrize("value", [np.float32(12.5), np.float16(12.5)])
def test_a_short_float_has_lost_digits(value):
    assert as_text(value) is Unfit.NARROW
    assert is_narrow(value)
    assert not is_narrow(np.float64(value))


@given(st.one_of(st.floats(-1e300, 1e300), st.decimals(-(10**12), 10**12, places=9)))
def test_a_number_keeps_its_value_and_has_no_exponent(value):
    written = as_text(value)
    assert "e" not in written.lower()
    assert float(written) == float(value)
