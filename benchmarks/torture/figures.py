"""What a proof finds: figures, each with its target, and the live line while it runs."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_REFRESH_SECONDS = 0.2
_LINE_SECONDS = 15.0
_WIDTH = 150


class Figure(NamedTuple):
    """
    One thing that was counted or measured.

    :param what: in words, as it stands in the table.
    :param target: in words; empty for a figure that is only for the record.
    """

    what: str
    value: float
    target: str = ""
    met: bool = True


def none(what: str, value: int) -> Figure:
    """Want nothing of the kind."""
    return Figure(what, value, "0", value == 0)


def all_of(what: str, part: int, whole: int) -> Figure:
    """Want a share of 100 %, of something that was there at all."""
    share = 100 * part / whole if whole else 0.0
    return Figure(f"{what}, % of {whole:,}", share, "100 %", part == whole > 0)


def at_least(what: str, value: float, least: float) -> Figure:
    """Want so much or more."""
    return Figure(what, value, f"≥ {least:,g}", value >= least)


def at_most(what: str, value: float, most: float) -> Figure:
    """Want so much or less."""
    return Figure(what, value, f"≤ {most:,g}", value <= most)


def record(what: str, value: float) -> Figure:
    """Only show it."""
    return Figure(what, value)


class CannotRun(Exception):
    """This machine lacks what a proof needs; the message says what."""


class Proof(NamedTuple):
    """
    One row of the list of promises.

    :param number: R1 and so on.
    :param title: what is done to the package.
    :param prove: takes the size (1.0 is the long form, 0.02 a look) and the progress, gives the figures.
        Raises :class:`CannotRun`.
    """

    number: str
    title: str
    prove: Callable[[float, Progress], list[Figure]]


class Progress:
    """
    One live line on a terminal, and a line every quarter of a minute elsewhere.

    :param number: of the proof.
    :param seed: for every choice that the proof leaves to chance.
    :param jobs: processes that may be busy at once.
    """

    def __init__(self, number: str, *, seed: int = 1, jobs: int = 1) -> None:
        self.number = number
        self.seed = seed
        self.jobs = jobs
        self._started = self._part_started = time.monotonic()
        self._told = self._started
        self._part = ""
        self._live = sys.stderr.isatty()

    @property
    def seconds(self) -> float:
        """How long the proof has been running."""
        return time.monotonic() - self._started

    def part(self, name: str) -> None:
        """Begin a part of the proof, which counts from 0 again."""
        self._part, self._part_started = name, time.monotonic()

    def __call__(self, done: float, total: float, so_far: str = "") -> None:
        """
        Tell how far it is; cheap enough to be called for each of ten thousand things.

        :param so_far: figures until now, in a few words.
        """
        now = time.monotonic()
        if now - self._told < (_REFRESH_SECONDS if self._live else _LINE_SECONDS):
            return
        self._told = now
        rest = (total - done) * (now - self._part_started) / done if done else 0.0
        name = f"{self.number} {self._part}".rstrip()
        line = f"{name}: {done:,g} of {total:,g}, {self.seconds:.0f} s, about {rest:.0f} s left; {so_far}"
        if self._live:
            sys.stderr.write("\r" + line[:_WIDTH].ljust(_WIDTH))
        else:
            sys.stderr.write(line + "\n")
        sys.stderr.flush()

    def tell(self, line: str) -> None:
        """Say something that stays."""
        self.end()
        sys.stderr.write(f"{self.number}: {line}\n")

    def end(self) -> None:
        """Wipe the live line away."""
        if self._live:
            sys.stderr.write("\r" + " " * _WIDTH + "\r")
            sys.stderr.flush()
