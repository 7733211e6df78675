"""
``make bench``: every performance promise against what people write by hand and what the machine can do.

Exits with 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import collecting_pages
import growth
import importing
import rendering
import sending_batches
from figures import table
from gateway import GatewayProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from figures import Row

HERE = Path(__file__).parent
PARTS: dict[str, Callable[[GatewayProcess, int, float], Iterator[Row]]] = {
    "P1": lambda vendors, runs, share: collecting_pages.large_pages(vendors, runs, round(100_000 * share)),
    "P2": collecting_pages.small_pages,
    "P3": lambda vendors, runs, share: sending_batches.rows(vendors, runs, round(100_000 * share)),
    "P4": lambda vendors, runs, share: rendering.rows(vendors, runs, round(100_000 * share)),
    "P6": lambda _vendors, runs, _share: importing.rows(runs),
    "P7": lambda vendors, _runs, share: growth.rows(vendors, round(1_000_000 * share)),
}


def main() -> int:
    """Measure, print, and say whether all goals are met."""
    options = _options()
    runs, share = (1, 0.1) if options.quick else (options.runs, 1.0)
    print(
        _where(), "one run of a tenth" if options.quick else f"medians of {runs} interleaved runs", sep="; "
    )
    rows: list[Row] = []
    # Each in a process of its own: what one leaves behind in memory is nothing to the next.
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawning, max_tasks_per_child=1) as apart:
        for name in PARTS:
            if name in (options.only or name):
                started = time.monotonic()
                rows += apart.submit(_measure, name, runs, share).result()
                print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    print(table(rows))
    all_met = all(row.met for row in rows)
    if "P5" in (options.only or "P5"):
        all_met &= _polling(quick=options.quick)
    return 0 if all_met or options.lenient else 1


def _measure(name: str, runs: int, share: float) -> list[Row]:
    with GatewayProcess() as vendors:
        return list(PARTS[name](vendors, runs, share))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one run of a tenth of the work, for a look")
    parser.add_argument("--lenient", action="store_true", help="exit with 0 whatever is missed")
    parser.add_argument("--runs", type=int, default=5, help="runs of which the median counts (5)")
    parser.add_argument("--only", nargs="+", metavar="P", help="P1 to P7; P8 is measured with P7")
    return parser.parse_args()


def _polling(*, quick: bool) -> bool:
    """Run P5, which prints its own table; whether its goals are met."""
    if importlib.util.find_spec("polling") is None:
        return True
    command = [sys.executable, str(HERE / "polling.py"), *(["--quick"] if quick else [])]
    return subprocess.run(command, check=False).returncode == 0  # noqa: S603 - our own file


def _where() -> str:
    git = ["git", "-C", str(HERE), "describe", "--always", "--dirty"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    cores = len(os.sched_getaffinity(0))
    python = f"Python {platform.python_version()}"
    return f"commit {commit or 'unknown'}, {cores} cores of {cpu}, {platform.system()}, {python}"


if __name__ == "__main__":
    sys.exit(main())
