"""
``make torture``: the promises under kills, signals, faults, cuts and garbage, with the figures.

Each proof runs in a process of its own, one after the other: one forks, another takes over signals, a
third makes an Airflow of its own. Exits with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import results
from figures import CannotRun, Progress
from registry import MODULES, proof_of

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


def main() -> int:
    """Prove, print, and say whether all targets are met."""
    options = _options()
    # The process of a proof is stopped with this one, as by Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    found = results.read(options.json) if options.json else {}
    commit, machine = results.commit(), results.machine()
    mine: dict[str, results.Result] = {}
    for number in options.only or MODULES:
        before = found.get(number)
        if options.resume and before and (before.commit, before.size) == (commit, options.size):
            mine[number] = before
            continue
        result = _proved(number, options)
        result.commit, result.machine = commit, machine
        found[number] = mine[number] = result
        if options.json:
            results.write(options.json, found)
    print(results.table(found if options.json else mine))
    return 0 if all(result.met for result in mine.values()) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="R", choices=MODULES, help="R1 to R12")
    parser.add_argument("--size", type=float, default=1.0, help="1 is the long form, 0.02 a look (1)")
    parser.add_argument("--seed", type=int, default=1, help="of everything left to chance (1)")
    parser.add_argument("--jobs", type=int, default=1, help="processes that may be busy at once (1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the results here, proof by proof")
    parser.add_argument(
        "--resume", action="store_true", help="leave out what FILE has of this commit and size"
    )
    options = parser.parse_args()
    if options.resume and not options.json:
        parser.error("--resume needs --json")
    return options


def _proved(number: str, options: argparse.Namespace) -> results.Result:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_prove, args=(number, options.size, options.seed, options.jobs, theirs))
    started = time.monotonic()
    process.start()
    theirs.close()
    try:
        result: results.Result = ours.recv()
    except EOFError:
        process.join()
        result = results.Result(number, "", failed=f"its process ended with {process.exitcode}")
    except BaseException:
        process.terminate()
        raise
    process.join()
    result.size, result.seed, result.seconds = options.size, options.seed, time.monotonic() - started
    return result


def _prove(number: str, size: float, seed: int, jobs: int, pipe: Connection) -> None:
    progress = Progress(number, seed=seed, jobs=jobs)
    result = results.Result(number, "")
    try:
        proof = proof_of(number)
        result.title = proof.title
        with tempfile.TemporaryDirectory(prefix="sms-torture-", ignore_cleanup_errors=True) as folder:
            tempfile.tempdir = folder
            result.figures = proof.prove(size, progress)
    except CannotRun as lack:
        result.skipped = str(lack)
    except ModuleNotFoundError as lack:
        if lack.name in MODULES.values():
            raise
        result.skipped = f"there is no module {lack.name}"
    except Exception as error:  # noqa: BLE001 - it is told, and the other proofs go on
        traceback.print_exc()
        result.failed = f"{type(error).__name__}"
    progress.end()
    pipe.send(result)


if __name__ == "__main__":
    sys.exit(main())
