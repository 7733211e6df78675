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
    """Find the least span within which so many of a hundred were."""
    ordered = counts.sort_values("seconds")
    reached = ordered["messages"].cumsum()
    place = int((reached < reached.iloc[-1] * percent / 100).sum())
    return float(ordered["seconds"].iloc[place])
