"""Counts of messages that come part by part: per group, and nothing per message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_sms.store.frames.reading import text_type
from airflow_provider_sms.store.frames.spread import Spread

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    import pandas as pd

#: Group columns that hold numbers; the others are texts.
_NUMBERS = frozenset({"hour", "reported"})
_SUMS = ("messages", "segments")


class Counting:
    """
    Messages, segments and latencies of groups.

    :param names: of the columns that make a group.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._groups: dict[tuple[Any, ...], int] = {}
        self._sums: list[list[int]] = [[] for _ in _SUMS]
        self._spread = Spread()

    def add(
        self,
        keys: Sequence[Iterable[Any]],
        sums: Sequence[Sequence[int]],
        latencies: Sequence[float | None] = (),
    ) -> None:
        """
        Count some rows.

        :param keys: a column of values for each column that makes a group.
        :param sums: how many messages each row stands for, and their segments.
        :param latencies: seconds, ``None`` where there are none; none at all if they are not wanted.
        """
        import numpy as np

        rows = len(sums[0])
        groups = self._groups
        found = (groups.setdefault(key, len(groups)) for key in zip(*keys, strict=True))
        places = np.fromiter(found, "int32", rows)
        for total, values in zip(self._sums, sums, strict=True):
            _add(total, places, np.fromiter(values, "int64", rows), len(groups))
        if latencies:
            # Databases have several types for a number, and all of them nothing.
            seconds = np.array(latencies, "float64")
            told = ~np.isnan(seconds)
            self._spread.add(places[told], seconds[told])

    def counts(self) -> pd.DataFrame:
        """Give a row per group: the columns that make it (text or ``int64``), and its sums (``int64``)."""
        import pandas as pd

        columns = self._columns(list(self._groups))
        columns |= {
            name: pd.Series(total, dtype="int64") for name, total in zip(_SUMS, self._sums, strict=True)
        }
        return pd.DataFrame(columns)

    def latencies(self, percentiles: dict[str, float]) -> pd.DataFrame:
        """
        Give a row per group that has any latency: the columns that make it, and percentiles in seconds.

        :param percentiles: 0 to 100, by the names of their columns.
        """
        import pandas as pd

        found, told = self._spread.percentiles(list(percentiles.values()))
        groups = list(self._groups)
        columns = self._columns([groups[place] for place in found])
        columns |= {name: pd.Series(told[:, place]) for place, name in enumerate(percentiles)}
        return pd.DataFrame(columns)

    def _columns(self, groups: list[tuple[Any, ...]]) -> dict[str, pd.Series[Any]]:
        import pandas as pd

        types = ["int64" if name in _NUMBERS else text_type() for name in self._names]
        values = list(zip(*groups, strict=True)) or [()] * len(self._names)
        return {
            name: pd.Series(list(column), dtype=kind)
            for name, column, kind in zip(self._names, values, types, strict=True)
        }


def _add(total: list[int], places: np.ndarray[Any, Any], values: np.ndarray[Any, Any], count: int) -> None:
    import numpy as np

    total.extend([0] * (count - len(total)))
    found, rows = np.unique(places, return_inverse=True)
    sums = np.zeros(len(found), "int64")
    np.add.at(sums, rows, values)
    for place, value in zip(found.tolist(), sums.tolist(), strict=True):
        total[place] += value
