"""Percentiles and classes of a span that was counted, not listed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_sms.reporting.figures import LATENCY_ENDS, PERCENTILES, Latency

if TYPE_CHECKING:
    import pandas as pd


def latency_of(counts: pd.DataFrame) -> Latency:
    """
    Tell percentiles and classes.

    :param counts: columns ``seconds`` and ``messages``, in any order.
    """
    import numpy as np

    seconds = counts["seconds"].to_numpy()
    messages = counts["messages"].to_numpy()
    if not messages.sum():
        return Latency()
    classes = np.bincount(
        np.searchsorted(LATENCY_ENDS, seconds, side="left"), weights=messages, minlength=len(LATENCY_ENDS) + 1
    )
    return Latency(
        tuple(_percentile(counts, percent) for percent in PERCENTILES), tuple(int(each) for each in classes)
    )


def median_of(counts: pd.DataFrame) -> float | None:
    """Tell the median; ``None`` where nothing was counted."""
    return _percentile(counts, PERCENTILES[0]) if counts["messages"].sum() else None


def _percentile(counts: pd.DataFrame, percent: float) -> float:
    """Find the span that so many of a hundred were no longer than, as the frames do: in proportion."""
    import numpy as np

    ordered = counts.sort_values("seconds")
    seconds, reached = ordered["seconds"].to_numpy(), ordered["messages"].cumsum().to_numpy()
    # Its place among all the spans in their order, counted from 0.
    place = (int(reached[-1]) - 1) * percent / 100
    lower = int(place)
    upper = min(lower + 1, int(reached[-1]) - 1)
    below, above = (float(seconds[np.searchsorted(reached, each, side="right")]) for each in (lower, upper))
    return below + (above - below) * (place - lower)
