"""The second and third part of R6: a send dies at every line that it executes; a send runs twice at once."""

from __future__ import annotations

import random
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lines
from children import FAILED, Child
from figures import Figure, all_of, none, record
from sandboxes import Sandboxes
from sending_lanes import VENDORS, Campaign, Ledgered, SendingLane
from side_by_side import ended, pause, take_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from figures import Progress

_LANES_EACH = 2
_PEOPLE = 30
_BATCHES = 2
_TRIES_AFTER = 3
_AT_ONCE = 200


def figures(size: float, progress: Progress) -> list[Figure]:
    """Do both, and count."""
    chance = random.Random(progress.seed)  # noqa: S311 - a proof that can be repeated
    progress.part("at every line")
    folder = Path(tempfile.mkdtemp())
    with Sandboxes(_LANES_EACH) as sandboxes:
        lanes = [
            SendingLane(vendor, sandboxes[number], extra, batch_size, folder / f"{number}-{vendor}")
            for number in range(_LANES_EACH)
            for vendor, extra, batch_size in VENDORS
        ]
        for lane in lanes:
            lane.warm_up()
        wanted = _strikes(lanes[: len(VENDORS)], folder, size, chance)
        done = [0]
        queues = {vendor: iter(enumerate(each)) for vendor, each in wanted.items()}
        moments = sum(map(len, wanted.values()))

        def told() -> None:
            done[0] += 1
            progress(done[0], moments)

        take_turns(_strike(lane, queues[lane.vendor], told) for lane in lanes)
        at_lines = sum((lane.tell() for lane in lanes), Ledgered())
        progress.part("twice at once")
        pairs = max(4, round(_AT_ONCE * size))
        done[0], moments = 0, pairs
        take_turns(
            _twice_at_once(lane, range(number, pairs, len(lanes)), told) for number, lane in enumerate(lanes)
        )
        total = sum((lane.tell() for lane in lanes), Ledgered())
    return [
        record("moments at which a send died or was stopped", done_moments(wanted)),
        none("numbers that got it twice then", at_lines.twice),
        all_of("batches in exactly one final state then", at_lines.final, at_lines.batches),
        none("messages then that the ledger does not know of", at_lines.unasked + at_lines.missing),
        record("sends that ran twice at once, and a third time afterwards", pairs),
        none("numbers that got it twice by that", total.twice - at_lines.twice),
        none("messages by that which the ledger does not know of", total.unasked + total.missing),
    ]


def done_moments(wanted: dict[str, list[Any]]) -> int:
    """Count the moments of all vendors."""
    return sum(map(len, wanted.values()))


def _campaign(lane: SendingLane, name: str) -> Campaign:
    count = lane.page_size * (_BATCHES - 1) + _PEOPLE
    return Campaign(name, f"{name}号【公司】", tuple(str(13_100_000_000 + each) for each in range(count)))


def _strikes(
    lanes: list[SendingLane], folder: Path, size: float, chance: random.Random
) -> dict[str, list[Callable[[], Any]]]:
    """Give every line that a send of two batches executes, killed there and stopped there."""
    found: dict[lines.Point, list[str]] = {}
    for lane in lanes:
        counts = folder / f"lines-{lane.vendor}.json"
        Child(lane.sender(_campaign(lane, "counted"), partial(lines.counted, counts)), lane.log).wait()
        for point in lines.points(counts):
            found.setdefault(point, []).append(lane.vendor)
    wanted: dict[str, list[Callable[[], Any]]] = {lane.vendor: [] for lane in lanes}
    for number, (point, vendors) in enumerate(sorted(found.items())):
        for turn, strike in enumerate((lines.kill, lines.stop)):
            # The large ones of beidoutong and linkws cost much; they are struck where nobody else comes by.
            small = [vendor for vendor in vendors if vendor in {"wavecom", "smsadmin"}] or vendors
            wanted[small[(number + turn) % len(small)]].append(partial(lines.striking, point, strike))
    if size < 1:
        wanted = {
            vendor: chance.sample(each, min(len(each), max(1, round(len(each) * size))))
            for vendor, each in wanted.items()
        }
    return wanted


def _strike(
    lane: SendingLane, strikes: Iterator[tuple[int, Callable[[], Any]]], told: Callable[[], None]
) -> Generator[None, None, None]:
    for number, around in strikes:
        campaign = _campaign(lane, f"line-{number}")
        yield from ended(lane.sender(campaign, around), lane.log)
        yield from _again(lane, campaign)
        told()


def _again(lane: SendingLane, campaign: Campaign) -> Generator[None, None, None]:
    """Try again as Airflow does, and then as somebody does who clears the task."""
    for _ in range(_TRIES_AFTER):
        end = yield from ended(lane.sender(campaign), lane.log)
        if end.code == FAILED:
            raise RuntimeError(f"a send failed:\n{lane.log.read_text()[-3000:]}")
        if end.code == 0:
            break
        yield from pause(0.02)


def _twice_at_once(
    lane: SendingLane, numbers: range, told: Callable[[], None]
) -> Generator[None, None, None]:
    for number in numbers:
        campaign = _campaign(lane, f"pair-{number}")
        pair = [Child(lane.sender(campaign, connections=2), lane.log) for _ in range(2)]
        while any(each.ended() is None for each in pair):
            yield
        yield from _again(lane, campaign)
        told()
