"""Percentiles of spans of time that come part by part, exact, without a list of them all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    _Counted = tuple["np.ndarray[Any, Any]", "np.ndarray[Any, Any]", "np.ndarray[Any, Any]"]

#: So many spans may be held more than once before equal ones are counted together.
_LOOSE = 100_000


class Spread:
    """
    The spans of many groups: each different span of a group once, and how often it came.

    Sixteen bytes each. They are as many as messages only where no two messages of a group took equally long.
    """

    def __init__(self) -> None:
        self._parts: list[_Counted] = []
        self._kept = 0
        self._loose = 0

    def add(self, groups: np.ndarray[Any, Any], seconds: np.ndarray[Any, Any]) -> None:
        """
        Take some spans.

        :param groups: ``int32``: of which group each is.
        :param seconds: ``float64``: how long it was.
        """
        import numpy as np

        if not len(groups):
            return
        part = _counted([(groups, seconds, np.ones(len(groups), "int32"))])
        self._parts.append(part)
        self._loose += len(part[0])
        # Only once they have doubled: each span is then counted together a few times, not with every part.
        if self._loose > max(_LOOSE, self._kept):
            self._merge()

    def percentiles(self, wanted: Sequence[float]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """
        Tell percentiles per group; between two spans in proportion.

        :param wanted: 0 to 100.
        :return: the groups that have any span, and a row of seconds for each of them, in the order of
            ``wanted``.
        """
        import numpy as np

        if not self._parts:
            return np.empty(0, "int32"), np.empty((0, len(wanted)), "float64")
        self._merge()
        [(groups, seconds, times)] = self._parts
        found, starts = np.unique(groups, return_index=True)
        reached = np.cumsum(times, dtype="int64")
        ends = np.append(starts[1:], len(groups)) - 1
        before = (reached[starts] - times[starts])[:, None]
        last = reached[ends][:, None] - before - 1
        # The place of each percentile among a group's spans in their order, counted from 0.
        places = last * (np.array(wanted, "float64") / 100)
        lower = np.floor(places).astype("int64")
        upper = np.minimum(lower + 1, last)
        below, above = (
            seconds[np.searchsorted(reached, before + place, side="right")] for place in (lower, upper)
        )
        return found, below + (above - below) * (places - lower)

    def _merge(self) -> None:
        parts, self._parts = self._parts, []
        merged = _counted(parts)
        self._parts.append(merged)
        self._kept, self._loose = len(merged[0]), 0


def _counted(parts: list[_Counted]) -> _Counted:
    """Put parts together, each span of a group once, ordered by group and span; the parts are let go."""
    import numpy as np

    groups, seconds, times = (np.concatenate(column) for column in zip(*parts, strict=True))
    parts.clear()
    order = np.lexsort((seconds, groups))
    groups, seconds = groups[order], seconds[order]
    changed = (groups[1:] != groups[:-1]) | (seconds[1:] != seconds[:-1])
    first = np.flatnonzero(np.append(True, changed))
    return groups[first], seconds[first], np.add.reduceat(times[order], first, dtype="int32")
