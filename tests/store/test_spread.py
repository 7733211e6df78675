"""Percentiles of what came in parts are those of the whole, in memory that rows do not fill."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies

from airflow_provider_sms.store.frames import spread
from airflow_provider_sms.store.frames.counting import Counting
from airflow_provider_sms.store.frames.spread import Spread

PERCENTILES = [0, 12.5, 50, 90, 95, 99.9, 100]
SPANS = strategies.lists(
    strategies.tuples(
        strategies.integers(0, 3), strategies.sampled_from([0.0, 0.001, 1 / 3, 1.0, 59.9, 3600.25, 259_200.0])
    )
)


def spread_of(parts):
    made = Spread()
    for part in parts:
        made.add(
            np.array([group for group, _ in part], "int32"),
            np.array([seconds for _, seconds in part], "float64"),
        )
    return made


@given(strategies.lists(SPANS, max_size=4), strategies.sampled_from([1, 100_000]))
def test_percentiles_are_those_that_pandas_tells_of_the_whole(parts, loose):
    """However it was cut, and however often equal spans were counted together on the way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spread, "_LOOSE", loose)
        groups, told = spread_of(parts).percentiles(PERCENTILES)
    rows = pd.DataFrame([row for part in parts for row in part], columns=["group", "seconds"])
    expected = {
        group: spans.quantile([each / 100 for each in PERCENTILES]).tolist()
        for group, spans in rows.groupby("group")["seconds"]
    }
    assert list(groups) == sorted(expected)
    for group, row in zip(groups, told, strict=True):
        assert list(row) == pytest.approx(expected[group])


def test_equal_spans_of_any_number_of_messages_take_no_room():
    """What a hundred thousand rows leave behind is what ten thousand leave."""

    def left_by(rows):
        counting = Counting(["vendor", "outcome"])
        tracemalloc.start()
        try:
            for start in range(0, rows, 5_000):
                seconds = [float(each % 600) for each in range(start, start + 5_000)]
                counting.add([["wavecom"] * 5_000, ["delivered"] * 5_000], [[1] * 5_000] * 2, seconds)
            told = counting.latencies({"p50": 50})
            return tracemalloc.get_traced_memory()[1], counting.counts(), told
        finally:
            tracemalloc.stop()

    small, _, _ = left_by(20_000)
    large, counts, told = left_by(200_000)
    assert counts.to_dict("records") == [
        {"vendor": "wavecom", "outcome": "delivered", "messages": 200_000, "segments": 200_000}
    ]
    assert told["p50"].tolist() == pytest.approx([299.5], abs=1)
    assert large < small + 500_000
