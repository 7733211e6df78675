"""
R1: collectors get a SIGKILL at random moments and are started anew, until the queue is empty.

Where each kill struck is judged by what it left in the journal.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from children import Child
from figures import Figure, Progress, Proof, all_of, at_least, none, record
from lanes import BUSY, EMPTY, PAGES, Balance, Lane, sum_of, warm_up
from sandboxes import Sandboxes

if TYPE_CHECKING:
    from collections.abc import Iterator

_KILLS = 2_000
#: After so many, all queues are collected in peace and counted.
_KILLS_OF_A_ROUND = 250
_LANES_EACH = 2
#: A share is killed on its way to the first read, the others within so many seconds after it was asked for.
_EARLY = 0.15
_SECONDS_EARLY = 0.1
_SECONDS_LATE = 0.12
_PAGES_WAITING = 60
_SLOWLY = 0.02


def prove(size: float, progress: Progress) -> list[Figure]:
    """Kill so many, then collect in peace, and count."""
    chance = random.Random(progress.seed)  # noqa: S311 - a proof that can be repeated
    wanted = max(20, round(_KILLS * size))
    struck: Counter[str] = Counter()
    total = Balance()
    folder = Path(tempfile.mkdtemp())
    with Sandboxes(_LANES_EACH) as sandboxes:
        while (left := wanted - struck.total()) > 0:
            lanes = _lanes(sandboxes, folder, seed=progress.seed + struck.total())
            warm_up(lanes)
            for where in _kill(lanes, min(left, _KILLS_OF_A_ROUND), chance):
                struck[where] += 1
                progress(struck.total(), wanted, ", ".join(f"{number} {at}" for at, number in struck.items()))
            for number in range(_LANES_EACH):
                sandboxes[number]("faults.clear")
            for lane in lanes:
                lane.drain()
            total += sum_of(lanes)
            shutil.rmtree(folder)
    kills = struck.total()
    return [
        at_least("SIGKILLs", kills, wanted),
        *(record(f"of these {where}, %", 100 * number / kills) for where, number in sorted(struck.items())),
        record("records handed over", total.handed),
        none("records lost without a suspect page", total.lost_in_silence),
        none("duplicates", total.duplicates),
        record("suspect pages", total.suspect),
        record("records lost with a suspect page", total.lost),
        all_of("raw pages landed", total.raw_landed, total.raw),
        none("pages left open", total.open),
    ]


def _lanes(sandboxes: Sandboxes, folder: Path, seed: int) -> list[Lane]:
    """Make lanes for each vendor in each sandbox; no two share an account."""
    from airflow_provider_sms.sandbox import Fault

    lanes = []
    for number in range(_LANES_EACH):
        sandbox = sandboxes[number]
        sandbox("reset")
        # A part of the answers takes a while, so that a read is a good part of the time, not all of it.
        slow = Fault("slow", operation="reports", seconds=_SLOWLY, times=None)
        sandbox("faults.random", 0.3, [slow], seed=seed + number)
        pages = (page for page in PAGES if page[0] != "beidoutong" or page is not PAGES[-1 if number else 0])
        lanes += [
            Lane(vendor, sandbox, extra, page_size, folder / f"{number}-{vendor}")
            for vendor, extra, page_size in pages
        ]
    return lanes


def _kill(lanes: list[Lane], wanted: int, chance: random.Random) -> Iterator[str]:
    """Kill so often; say where each kill struck."""
    kills = 0
    while kills < wanted:
        for lane in lanes:
            lane.fill(lane.page_size * _PAGES_WAITING)
            before = _newest(lane)
            child = Child(lane.collector(), lane.log)
            if chance.random() > _EARLY:
                lane.wait_for_a_read(child)
                time.sleep(chance.uniform(0, _SECONDS_LATE))
            else:
                time.sleep(chance.uniform(0, _SECONDS_EARLY))
            end = child.kill()
            if end.code == -9:  # noqa: PLR2004 - SIGKILL
                kills += 1
                yield _where(before, _newest(lane))
            elif end.code not in {BUSY, EMPTY}:
                raise RuntimeError(f"a collector ended with {end.code}:\n{lane.log.read_text()[-3000:]}")


def _newest(lane: Lane) -> list[tuple[Any, ...]]:
    """Give the newest pages, with their states."""
    return lane.rows_if_any(
        "SELECT page_id, state FROM sms_pages ORDER BY started_at DESC, page_id DESC LIMIT 50"
    )


def _where(before: list[tuple[Any, ...]], after: list[tuple[Any, ...]]) -> str:
    """Say where a kill struck, by the pages before that run and after the kill."""
    known = {page_id for page_id, _ in before}
    states = [state for page_id, state in after if page_id not in known]
    if not states:
        return "before the first intent"
    if states[0] == "reading":
        return "between intent and raw bytes"
    return "between raw bytes and rows" if "read" in states else "between rows and the next intent"


PROOF = Proof("R1", "Collectors killed at random moments over beidoutong, wavecom, smsadmin", prove)
