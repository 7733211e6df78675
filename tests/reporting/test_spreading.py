"""Percentiles of latencies that were counted: the same as of the list of them all."""

from __future__ import annotations

import random

import numpy as np
import pandas as pd
import pytest

from airflow_provider_sms.reporting.figures import PERCENTILES
from airflow_provider_sms.reporting.spreading import latency_of, median_of
from airflow_provider_sms.store.frames.spread import Spread


def counts(seconds, messages):
    return pd.DataFrame({"seconds": seconds, "messages": messages})


def test_the_page_and_the_frames_tell_the_same_of_a_day():
    """Of two deliveries the median is halfway, in both."""
    spread = Spread()
    spread.add(np.zeros(2, "int32"), np.array([3600.0, 10.0]))
    _, [told] = spread.percentiles(PERCENTILES)
    assert latency_of(counts([3600.0, 10.0], [1, 1])).percentiles == pytest.approx(tuple(told))
    assert median_of(counts([10.0, 3600.0], [1, 1])) == 1805


@pytest.mark.parametrize("seed", range(20))
def test_counted_percentiles_are_those_of_the_list(seed):
    """In any order, however often a span came."""
    chance = random.Random(seed)  # noqa: S311
    spans = chance.sample(range(5000), chance.randint(1, 9))
    messages = [chance.randint(1, 40) for _ in spans]
    listed = np.repeat(spans, messages)
    found = latency_of(counts([float(each) for each in spans], messages))
    assert found.percentiles == pytest.approx(tuple(np.percentile(listed, PERCENTILES)))
    assert sum(found.classes) == len(listed)


def test_of_nothing_there_is_nothing_to_tell():
    assert latency_of(counts([], [])).percentiles == ()
    assert median_of(counts([], [])) is None
