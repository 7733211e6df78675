"""
R2: collectors are told to stop in the ways in which Airflow and people do it.

SIGTERM as Airflow's task runner handles it (it calls the operator's ``on_kill``), SIGTERM and SIGINT as a
script gets them, and ``execution_timeout``, by Airflow's own time-out. Several collectors run side by side,
since they mostly wait for their vendor.
"""

from __future__ import annotations

import contextlib
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from children import Child
from figures import CannotRun, Figure, Progress, Proof, all_of, at_least, at_most, none, record
from lanes import BUSY, EMPTY, PAGES, STOPPED, Lane, sum_of, warm_up
from sandboxes import Sandboxes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SIGNALS = 1_000
_LANES_EACH = 2
_PAGES_WAITING = 60
#: Seconds after the first read was asked for; most answers come at once, some after some tenths.
_SECONDS = 0.4
_SLOWLY = 0.4
#: One vendor in so many signals takes its time: 3.5 s, where 4 are allowed.
_VERY_SLOWLY_EACH = 40
_VERY_SLOWLY = 3.5
_OUT_WITHIN = 5.0
#: A signal may come when a run has read the last page and is ending anyway.
_PARTING = 0.5
_SIGTERM_CODE = 128 + signal.SIGTERM


@contextlib.contextmanager
def _as_a_task_is_stopped() -> Iterator[None]:
    """Handle SIGTERM as Airflow's task runner does: by the operator's ``on_kill``, whatever that does."""
    from airflow_provider_sms.operators.sms import SmsCollectOperator

    operator = SmsCollectOperator(task_id="torture", sms_conn_id="sms_torture", queue="reports")

    def stop(*_: object) -> None:
        operator.on_kill()

    signal.signal(signal.SIGTERM, stop)
    yield


@contextlib.contextmanager
def _as_a_script_is_stopped() -> Iterator[None]:
    def stop(*_: object) -> None:
        sys.exit(_SIGTERM_CODE)

    signal.signal(signal.SIGTERM, stop)
    yield


@contextlib.contextmanager
def _as_a_notebook_is_stopped() -> Iterator[None]:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield


@contextlib.contextmanager
def _by_the_time_out() -> Iterator[None]:
    """Run under Airflow's time-out; the proof's SIGALRM comes before its own."""
    from airflow.sdk.execution_time.timeout import TimeoutPosix

    with TimeoutPosix(600):
        yield


_WAYS: dict[str, tuple[int, Callable[[], Any]]] = {
    "SIGTERM to a task": (signal.SIGTERM, _as_a_task_is_stopped),
    "SIGTERM to a script": (signal.SIGTERM, _as_a_script_is_stopped),
    "SIGINT to a task": (signal.SIGINT, contextlib.nullcontext),
    "SIGINT to a notebook": (signal.SIGINT, _as_a_notebook_is_stopped),
    "execution_timeout": (signal.SIGALRM, _by_the_time_out),
}


@dataclass
class _Running:
    """A collector that is about to be stopped."""

    way: str
    child: Child
    signal_at: float | None = None
    asked: int = 0
    sent_at: float = 0.0


def prove(size: float, progress: Progress) -> list[Figure]:
    """Send so many signals, then collect in peace, and count."""
    _preload_airflow()
    chance = random.Random(progress.seed)  # noqa: S311 - a proof that can be repeated
    wanted = max(25, round(_SIGNALS * size))
    folder = Path(tempfile.mkdtemp())
    with Sandboxes(_LANES_EACH) as sandboxes:
        lanes = _lanes(sandboxes, folder, progress.seed)
        warm_up(lanes)
        stopped, slowest = _stop(lanes, wanted, chance, progress)
        for number in range(_LANES_EACH):
            sandboxes[number]("faults.clear")
        for lane in lanes:
            lane.drain()
        total = sum_of(lanes)
    return [
        at_least("signals", stopped.total(), wanted),
        *(record(f"of these {way}", number) for way, number in sorted(stopped.items())),
        record("records handed over", total.handed),
        none("records lost", total.lost),
        none("suspect pages", total.suspect),
        none("duplicates", total.duplicates),
        all_of("raw pages landed", total.raw_landed, total.raw),
        at_most("slowest way out, seconds, the vendor answering within 3.5", slowest, _OUT_WITHIN),
    ]


def _preload_airflow() -> None:
    try:
        from airflow.sdk.execution_time import timeout

        from airflow_provider_sms.operators import sms
    except ImportError as lack:
        raise CannotRun(f"there is no Airflow ({lack.name})") from None
    del timeout, sms


def _lanes(sandboxes: Sandboxes, folder: Path, seed: int) -> list[Lane]:
    from airflow_provider_sms.sandbox import Fault

    lanes = []
    for number in range(_LANES_EACH):
        sandbox = sandboxes[number]
        slow = Fault("slow", operation="reports", seconds=_SLOWLY, times=None)
        sandbox("faults.random", 0.3, [slow], seed=seed + number)
        for vendor, extra, page_size in PAGES[:3]:
            lanes.append(Lane(vendor, sandbox, extra, page_size, folder / f"{number}-{vendor}"))
    return lanes


def _stop(
    lanes: list[Lane], wanted: int, chance: random.Random, progress: Progress
) -> tuple[Counter[str], float]:
    """Stop so many; how many in each way, and the most seconds that one took to get out."""
    running: dict[int, _Running] = {}
    stopped: Counter[str] = Counter()
    slowest = 0.0
    while stopped.total() < wanted:
        for number, lane in enumerate(lanes):
            one = running.get(number)
            if one is None:
                running[number] = _started(lane, chance)
            elif (end := one.child.ended()) is not None:
                del running[number]
                if one.sent_at and not (end.code == EMPTY and end.at < one.sent_at + _PARTING):
                    _check(one.way, end.code, lane)
                    stopped[one.way] += 1
                    slowest = max(slowest, end.at - one.sent_at)
                elif end.code not in {EMPTY, BUSY}:
                    raise RuntimeError(f"a collector ended with {end.code}:\n{lane.log.read_text()[-3000:]}")
            else:
                _signal(lane, one, chance)
        progress(stopped.total(), wanted, f"slowest way out {slowest:.2f} s")
        time.sleep(0.004)
    for number, one in running.items():
        # Those that were left are told to stop as well: they are no part of the count.
        lanes[number].sandbox("faults.clear")
        one.child.wait()
    return stopped, slowest


def _started(lane: Lane, chance: random.Random) -> _Running:
    from airflow_provider_sms.sandbox import Fault

    lane.fill(lane.page_size * _PAGES_WAITING)
    if chance.randrange(_VERY_SLOWLY_EACH) == 0:
        slow = Fault(
            "slow", vendor=lane.vendor, operation="reports", seconds=_VERY_SLOWLY, after=chance.randrange(3)
        )
        lane.sandbox("faults.add", slow)
    way = chance.choice(list(_WAYS))
    asked = lane.sandbox("calls.count", lane.vendor, "reports")
    return _Running(way, Child(lane.collector(_WAYS[way][1]), lane.log), asked=asked)


def _signal(lane: Lane, one: _Running, chance: random.Random) -> None:
    now = time.monotonic()
    if one.signal_at is None:
        if lane.sandbox("calls.count", lane.vendor, "reports") > one.asked:
            one.signal_at = now + chance.uniform(0, _SECONDS)
    elif not one.sent_at and now >= one.signal_at:
        lane.fill(lane.page_size * _PAGES_WAITING)
        one.sent_at = time.monotonic()
        one.child.signal(_WAYS[one.way][0])
    elif one.sent_at and now > one.sent_at + _OUT_WITHIN:
        # As Airflow does.
        one.child.kill()


def _check(way: str, code: int, lane: Lane) -> None:
    """
    Look whether it ended as it should.

    :raises RuntimeError: some other error ended it.
    """
    expected = {
        "SIGTERM to a task": {_SIGTERM_CODE},
        "SIGTERM to a script": {_SIGTERM_CODE},
        "SIGINT to a task": {-signal.SIGINT},
        "SIGINT to a notebook": {STOPPED},
        "execution_timeout": {STOPPED},
    }
    # Those that ran on into the SIGKILL show in the figures.
    if code not in expected[way] | {-signal.SIGKILL}:
        raise RuntimeError(f"{way} ended a collector with {code}:\n{lane.log.read_text()[-3000:]}")


PROOF = Proof("R2", "Collectors told to stop: SIGTERM, SIGINT, execution_timeout", prove)
