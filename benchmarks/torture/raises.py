"""
R3: the collect flow fails at every line, and at every SQL statement; and in every order that chance finds.

Each run in which something strikes is followed by runs in peace until the queue is empty. The third part
is in ``machine.py``.
"""

from __future__ import annotations

import random
import sqlite3
import tempfile
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lines
import machine
from children import FAILED, Child
from figures import Figure, Progress, Proof, all_of, none, record
from lanes import BUSY, EMPTY, PAGES, Balance, Lane, sum_of, warm_up
from sandboxes import Sandboxes
from side_by_side import ended, pause, take_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

_LANES_EACH = 2
_PAGES = 3
_STATEMENTS = 60
_MOMENTS = ("before_cursor_execute", "after_cursor_execute", "commit")

#: A strike's name, and what makes the context manager in which the collector runs.
Strike = tuple[str, "Callable[[], Any]"]


@dataclass
class _Seen:
    """What came of the strikes so far; ``bad`` has the names of those after which something was amiss."""

    done: int = 0
    struck: Counter[str] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)


def prove(size: float, progress: Progress) -> list[Figure]:
    """Strike everywhere, then collect in peace, and count."""
    figures = []
    for part, strikes in (("lines", _line_strikes), ("statements", _statement_strikes)):
        progress.part(part)
        figures += _strike(part, strikes, size, progress)
    progress.part("state machine")
    return figures + machine.figures(size, progress)


def _strike(
    part: str,
    strikes: Callable[[list[Lane], Path], dict[str, list[Strike]]],
    size: float,
    progress: Progress,
) -> list[Figure]:
    chance = random.Random(progress.seed)  # noqa: S311 - a proof that can be repeated
    folder = Path(tempfile.mkdtemp())
    seen = _Seen()
    with Sandboxes(_LANES_EACH) as sandboxes:
        lanes = [
            Lane(vendor, sandboxes[number], extra, page_size, folder / f"{number}-{vendor}")
            for number in range(_LANES_EACH)
            for vendor, extra, page_size in PAGES[:3]
        ]
        warm_up(lanes)
        wanted = strikes(lanes[:3], folder)
        if size < 1:
            wanted = {
                vendor: chance.sample(each, max(1, round(len(each) * size)))
                for vendor, each in wanted.items()
            }
        total = sum(map(len, wanted.values()))
        told = partial(progress, total=total)
        queues = {vendor: iter(each) for vendor, each in wanted.items()}
        take_turns(_one_by_one(lane, queues[lane.vendor], seen, told) for lane in lanes)
        for lane in lanes:
            lane.drain()
        balance = sum_of(lanes)
        replayed, quarantined = _replay(lanes)
        after: Balance = sum_of(lanes)
    if seen.bad:
        progress.tell(f"something was amiss after: {', '.join(seen.bad[:20])}")
    return [
        record(f"{part}: moments at which a run was struck", total),
        *(record(f"{part}: of these {what}", number) for what, number in sorted(seen.struck.items())),
        record(f"{part}: records handed over", balance.handed),
        none(f"{part}: records lost in silence", after.lost_in_silence),
        none(f"{part}: duplicates", after.duplicates),
        none(f"{part}: pages left open", after.open),
        none(f"{part}: moments after which something was amiss", len(seen.bad)),
        *([all_of(f"{part}: quarantined pages landed by replay", replayed, quarantined)] * bool(quarantined)),
        record(f"{part}: suspect pages", after.suspect),
    ]


def _one_by_one(
    lane: Lane, strikes: Iterator[Strike], seen: _Seen, told: Callable[..., None]
) -> Generator[None, None, None]:
    """Strike this lane's collector with the vendor's next strikes, until there is none."""
    yield from _collected(lane)
    queued, suspect, _ = _counts(lane)
    missing = 0
    for name, around in strikes:
        lane.fill(lane.page_size * _PAGES)
        queued += lane.page_size * _PAGES
        end = yield from ended(lane.collector(around), lane.log)
        seen.struck[_became(end.code)] += 1
        yield from _collected(lane)
        landed, suspects, aside = _counts(lane)
        lost_now = queued - landed - missing
        most = lane.page_size * (suspects - suspect)
        # What a mistake put into quarantine is landed by the replay at the end.
        if not -aside * lane.page_size <= lost_now <= most + aside * lane.page_size:
            seen.bad.append(f"{lane.vendor} {name}: {lost_now} lost, {suspects - suspect} suspect pages")
        missing, suspect = queued - landed, suspects
        seen.done += 1
        told(seen.done, so_far=f"{len(seen.bad)} amiss")


def _became(code: int) -> str:
    if code == EMPTY:
        return "that it came through"
    return "that killed it" if code < 0 else "that ended it"


def _collected(lane: Lane) -> Generator[None, None, None]:
    """Collect in peace; the dead one's lease may still hold."""
    while (end := (yield from ended(lane.collector(), lane.log))).code != EMPTY:
        if end.code != BUSY:
            raise RuntimeError(f"a collector ended with {end.code}:\n{lane.log.read_text()[-3000:]}")
        yield from pause(0.1)


def _counts(lane: Lane) -> tuple[int, int, int]:
    """Count rows, suspect pages, and pages in quarantine with all their bytes."""
    [(landed,)] = lane.rows("SELECT count(*) FROM sms_reports")
    [(suspect,)] = lane.rows("SELECT count(*) FROM sms_pages WHERE state = 'suspect'")
    [(aside,)] = lane.rows("SELECT count(*) FROM sms_pages WHERE state = 'quarantined' AND framing_complete")
    return landed, suspect, aside


def _replay(lanes: list[Lane]) -> tuple[int, int]:
    """Read again what a mistake put into quarantine: how many pages landed, of how many."""
    landed = pages = 0
    for lane in lanes:
        before = _counts(lane)[2]
        if Child(lane.replay(), lane.log).wait().code == FAILED:
            raise RuntimeError(f"a replay failed:\n{lane.log.read_text()[-3000:]}")
        pages += before
        landed += before - _counts(lane)[2]
    return landed, pages


# --- where it strikes ----------------------------------------------------------------------------------


def _line_strikes(lanes: list[Lane], folder: Path) -> dict[str, list[Strike]]:
    """
    Give every line that a collection of three pages executes, in three ways: killed, stopped, mistaken.

    A line that several vendors' runs execute is struck with each of them in turn.
    """
    found: dict[lines.Point, list[str]] = {}
    for lane in lanes:
        lane.drain()
        lane.fill(lane.page_size * _PAGES)
        counts = folder / f"lines-{lane.vendor}.json"
        Child(lane.collector(partial(lines.counted, counts)), lane.log).wait()
        for point in lines.points(counts, occurrences=2):
            found.setdefault(point, []).append(lane.vendor)
    wanted: dict[str, list[Strike]] = {lane.vendor: [] for lane in lanes}
    turn = count()
    for point, vendors in sorted(found.items()):
        for strike in (lines.kill, lines.stop, lines.fail):
            vendor = vendors[next(turn) % len(vendors)]
            name = f"{strike.__name__} at {point.file}:{point.line} ({point.occurrence})"
            wanted[vendor].append((name, partial(lines.striking, point, strike)))
    return wanted


def _statement_strikes(lanes: list[Lane], folder: Path) -> dict[str, list[Strike]]:
    """Let the n-th statement fail, before or after it took effect, or the n-th commit."""
    del folder
    return {
        lane.vendor: [
            (f"{moment} {nth}", partial(_failing, moment, nth))
            for moment in _MOMENTS
            for nth in range(1, _STATEMENTS + 1)
        ]
        for lane in lanes
    }


@contextmanager
def _failing(moment: str, nth: int) -> Iterator[None]:
    from sqlalchemy import Engine, event

    calls = count(1)

    def fail(*_: object) -> None:
        if next(calls) == nth:
            raise sqlite3.OperationalError("disk I/O error")

    event.listen(Engine, moment, fail)
    try:
        yield
    finally:
        event.remove(Engine, moment, fail)


PROOF = Proof("R3", "Collections that fail at every line and every SQL statement, and a state machine", prove)
