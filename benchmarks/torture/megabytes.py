"""One megabyte of anything: how long a parser takes, and how much memory."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mutation import Mutator
from parsers import all_parsers
from striking import ALLOWED

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from figures import Progress
    from parsers import Parser

SIZE = 1_000_000
SECONDS = 1.0
MEMORY = 256


class Measured(NamedTuple):
    """
    What a parser did with large inputs.

    :param within: how many it read within both limits.
    :param seconds: of the processor, the slowest.
    :param megabytes: above what the process had before, the most.
    """

    inputs: int
    within: int
    seconds: float
    megabytes: float


def measure(parser: Parser, inputs: int, progress: Progress) -> Measured:
    """Let a parser read large inputs in a process of its own, where nothing else takes memory."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_read, args=(parser.name, inputs, progress.seed, theirs))
    process.start()
    theirs.close()
    progress(0, 1, parser.name)
    try:
        measured: Measured = ours.recv()
    except EOFError:
        # It ended the interpreter, or the system ended it for its memory.
        measured = Measured(inputs, 0, float("inf"), float("inf"))
    process.join()
    return measured


def _read(name: str, inputs: int, seed: int, pipe: Connection) -> None:
    parser = next(each for each in all_parsers() if each.name == name)
    mutator = Mutator(parser.samples, f"{seed} {name} large")
    _spend(parser, b"<a>1</a>" * 10)
    spent = [_spend(parser, mutator.large(SIZE)) for _ in range(inputs)]
    within = sum(seconds < SECONDS and megabytes < MEMORY for seconds, megabytes in spent)
    seconds, megabytes = (max(column) for column in zip(*spent, strict=True))
    pipe.send(Measured(inputs, within, seconds, megabytes))


def _spend(parser: Parser, body: bytes) -> tuple[float, float]:
    gc.collect()
    # From here on the kernel notes the most memory anew.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _memory("VmRSS")
    started = time.process_time()
    with contextlib.suppress(*ALLOWED):
        parser.read(body)
    return time.process_time() - started, _memory("VmHWM") - before


def _memory(name: str) -> float:
    """Give a line of this process's status, in MB."""
    told = Path("/proc/self/status").read_text(encoding="ascii")
    return int(told.partition(f"{name}:")[2].split()[0]) / 1024
