"""
R6: sends in bad weather, tried again as Airflow tries them, and killed in the middle; and killed everywhere.

The second part, in which a send dies at every line, and the third, in which it runs twice at once, are in
``send_moments.py``.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import send_moments
from children import FAILED, Child
from figures import Figure, Progress, Proof, all_of, at_least, none, record
from sandboxes import Sandboxes
from sending_lanes import AGAIN, DONE, VENDORS, Campaign, Ledgered, SendingLane
from side_by_side import ended, pause, take_turns

if TYPE_CHECKING:
    from collections.abc import Generator

    from children import End

_SENDS = 2_000
_KILLS = 300
_TRIES = 4
_FAULTY = 0.3
_LANES_EACH = 2
_SLOWLY = 0.05


@dataclass
class _Seen:
    """What happened so far."""

    sends: int = 0
    tries: int = 0
    struck: Counter[str] = field(default_factory=Counter)


def prove(size: float, progress: Progress) -> list[Figure]:
    """Send so often, then read the reports, and count."""
    chance = random.Random(progress.seed)  # noqa: S311 - a proof that can be repeated
    progress.part("in bad weather")
    folder = Path(tempfile.mkdtemp())
    sends, kills = max(16, round(_SENDS * size)), max(4, round(_KILLS * size))
    seen = _Seen()
    with Sandboxes(_LANES_EACH) as sandboxes:
        lanes = [
            SendingLane(vendor, sandboxes[number], extra, batch_size, folder / f"{number}-{vendor}")
            for number in range(_LANES_EACH)
            for vendor, extra, batch_size in VENDORS
        ]
        for lane in lanes:
            lane.warm_up()
        for number in range(_LANES_EACH):
            sandboxes[number]("faults.random", _FAULTY, _weather(), seed=progress.seed, operation="send")
        campaigns = _campaigns(sends, lanes, chance)
        # Some tries end before their kill.
        killed = set(chance.sample(range(sends), min(sends, round(1.4 * kills) + 2)))

        def told() -> None:
            progress(seen.sends, sends, f"{seen.tries} tries, {seen.struck.total()} killed")

        take_turns(
            _in_turn(lane, campaigns[number :: len(lanes)], killed, chance, seen, told)
            for number, lane in enumerate(lanes)
        )
        met = Counter[str]()
        for number in range(_LANES_EACH):
            met.update(sandboxes[number]("faults.met"))
            sandboxes[number]("faults.clear")
        # As somebody clears the tasks that failed, when the weather is good again.
        take_turns(_cleared(lane, campaigns[number :: len(lanes)]) for number, lane in enumerate(lanes))
        total = sum((lane.tell() for lane in lanes), Ledgered())
        settled, vouched = _settle(lanes)
    return [
        record("sends", seen.sends),
        record("tries", seen.tries),
        at_least("calls that met a fault", met.total(), 0.2 * sends),
        at_least("SIGKILLs", seen.struck.total(), kills),
        *(record(f"of these {where}", number) for where, number in sorted(seen.struck.items())),
        record("messages that the vendors accepted", total.messages),
        none("numbers that got it twice", total.twice),
        none("numbers that the ledger says accepted, and the vendor does not", total.missing),
        none("messages that the ledger does not know of", total.unasked),
        all_of("batches in exactly one final state", total.final, total.batches),
        record("unknown batches, of all vendors", total.unknown),
        all_of("smsadmin's accepted messages settled by linkid", settled, vouched),
        *send_moments.figures(size, progress),
    ]


def _weather() -> list[object]:
    from airflow_provider_sms.sandbox import Fault

    return [
        Fault("reset_before"),
        Fault("reset_after"),
        Fault("status", status=500, accepted=True),
        Fault("status", status=503),
        Fault("cut", at=0.4),
        Fault("cut", at=0.7, reset=True),
        Fault("refuse", seconds=0.02),
        Fault("garbage", accepted=True),
        Fault("slow", seconds=0.1),
        Fault("slow", seconds=2.5),
        Fault("drip", seconds=0.002),
        Fault("close"),
    ]


def _campaigns(sends: int, lanes: list[SendingLane], chance: random.Random) -> list[Campaign]:
    """Make up sends, most of one batch, some of two or three."""
    campaigns = []
    for number in range(sends):
        batch = lanes[number % len(lanes)].page_size
        count = chance.choices((0, batch, 2 * batch), (7, 2, 1))[0] + chance.randrange(1, 40)
        first = 13_000_000_000 + chance.randrange(9 * 10**8)
        people = tuple(str(first + each) for each in range(count))
        campaigns.append(Campaign(f"campaign-{number}", f"第{number}次【公司】", people))
    return campaigns


def _in_turn(
    lane: SendingLane,
    campaigns: list[Campaign],
    killed: set[int],
    chance: random.Random,
    seen: _Seen,
    told: object,
) -> Generator[None, None, None]:
    for campaign in campaigns:
        kill = int(campaign.key.rpartition("-")[2]) in killed
        for number in range(_TRIES):
            seen.tries += 1
            if kill and number == 0:
                end = yield from _killed(lane, campaign, chance)
                if end.code < 0:
                    seen.struck[_where(lane.states(campaign))] += 1
            else:
                end = yield from ended(lane.sender(campaign, connections=2), lane.log)
            _check(end, lane)
            if end.code >= 0 and end.code != AGAIN:
                break
            yield from pause(0.02)
        seen.sends += 1
        told()  # type: ignore[operator]


def _killed(lane: SendingLane, campaign: Campaign, chance: random.Random) -> Generator[None, None, End]:
    """Kill a try at a random moment, most of them while the vendor takes its time to answer."""
    from airflow_provider_sms.sandbox import Fault

    calls = "calls.count", lane.vendor, "send"
    before = lane.sandbox(*calls)
    under_way = chance.random() < 0.6  # noqa: PLR2004 - a good half
    if under_way:
        slow = Fault("slow", vendor=lane.vendor, operation="send", seconds=_SLOWLY)
        lane.sandbox("faults.add", slow)
    child = Child(lane.sender(campaign, connections=2), lane.log)
    if under_way:
        while child.ended() is None and lane.sandbox(*calls) == before:
            yield
        yield from pause(chance.uniform(0, 1.5 * _SLOWLY))
    else:
        yield from pause(chance.uniform(0, 0.1))
    return child.kill()


def _where(states: Counter[str]) -> str:
    if not states:
        return "before the plan"
    return "while submitting" if states["submitting"] else "between the plan, submits and outcomes"


def _check(end: End, lane: SendingLane) -> None:
    if end.code == FAILED:
        raise RuntimeError(f"a send failed:\n{lane.log.read_text()[-3000:]}")


def _cleared(lane: SendingLane, campaigns: list[Campaign]) -> Generator[None, None, None]:
    """Run every send once more: what is settled stays, what was not sent is sent."""
    for campaign in campaigns:
        end = yield from ended(lane.sender(campaign), lane.log)
        _check(end, lane)
        if end.code == AGAIN:
            raise RuntimeError(f"a send in peace left something:\n{lane.log.read_text()[-3000:]}")


def _settle(lanes: list[SendingLane]) -> tuple[int, int]:
    """Read smsadmin's reports; give the numbers of its accepted batches, and what it did accept."""
    settled = vouched = 0
    for lane in lanes:
        if lane.vendor == "smsadmin":
            lane.drain()
            told = lane.tell()
            settled += told.accepted
            vouched += told.messages
    return settled, vouched


PROOF = Proof("R6", "Sends among faults, retries and kills; killed at every line; run twice at once", prove)
assert DONE == 0
