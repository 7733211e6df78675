"""What is measured and how it is shown: interleaved runs, medians, one table."""

from __future__ import annotations

import gc
import statistics
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_HEADER = ("", "work", "ours", "by hand", "ratio", "limit", "to limit", "target", "met")


@dataclass
class Stopwatch:
    """Seconds that a block took."""

    seconds: float = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Time a block; several are added up."""
        gc.collect()
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - started


def medians(contestants: Mapping[str, Callable[[Stopwatch], None]], runs: int) -> dict[str, float]:
    """Let contestants run in turns, so that a noisy minute hits all of them; give each one's median."""
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(runs):
        for name, run in contestants.items():
            watch = Stopwatch()
            run(watch)
            taken[name].append(watch.seconds)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


class Goal(NamedTuple):
    """One thing that a figure has to reach."""

    text: str
    met: bool


def at_least(times: float, ratio: float, of: str = "by hand") -> Goal:
    """Want a ratio of at least so much."""
    return Goal(f"≥ {times:g}× {of}", ratio >= times)


def at_most(times: float, ratio: float, of: str = "the limit") -> Goal:
    """Want a ratio of at most so much."""
    return Goal(f"≤ {times:g}× {of}", ratio <= times)


class Row(NamedTuple):
    """
    One line of the table.

    :param number: P1 and so on.
    :param ours: seconds, or whatever ``unit`` says.
    :param by_hand: the same for the hand-written code, where there is any.
    :param limit: the same for the least that the machine can do, where that was measured.
    :param goals: none for a line that is only for the record.
    """

    number: str
    work: str
    ours: float
    by_hand: float | None = None
    limit: float | None = None
    goals: tuple[Goal, ...] = ()
    unit: str = "s"

    @property
    def met(self) -> bool:
        """Whether every goal is met."""
        return all(goal.met for goal in self.goals)

    def cells(self) -> tuple[str, ...]:
        """Give the texts of the table's columns."""
        return (
            self.number,
            self.work,
            self._shown(self.ours),
            self._shown(self.by_hand),
            f"{self.by_hand / self.ours:.1f}×" if self.by_hand else "",
            self._shown(self.limit),
            f"{self.ours / self.limit:.2f}×" if self.limit else "",
            ", ".join(goal.text for goal in self.goals),
            ("yes" if self.met else "NO") if self.goals else "",
        )

    def _shown(self, figure: float | None) -> str:
        if figure is None:
            return ""
        return f"{figure * 1000:.0f} ms" if self.unit == "s" and figure < 1 else f"{figure:.2f} {self.unit}"


def table(rows: list[Row]) -> str:
    """Make a Markdown table."""
    lines = [_HEADER, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines]
    return "\n".join([shown[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *shown[1:]])
