"""
End a flow at a chosen line: every line of this package that it executes is a moment at which it can die.

Lines are counted by tracing, in the main thread and in all others.
"""

from __future__ import annotations

import dis
import json
import os
import signal
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import airflow_provider_sms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType, FrameType

_LOAD_CONST, _SWAP = dis.opmap["LOAD_CONST"], dis.opmap["SWAP"]
_PACKAGE = str(Path(airflow_provider_sms.__file__).parent) + os.sep
_SANDBOX = os.path.join(_PACKAGE, "sandbox")  # noqa: PTH118 - compared with code's file names, which are text


class Point(NamedTuple):
    """
    A moment of a flow.

    :param file: relative to the package.
    :param occurrence: 1 for the first time that the line is executed.
    """

    file: str
    line: int
    occurrence: int


class Struck(BaseException):
    """What is raised at a line: as what stops a program, no ``Exception``."""


class Faulty(Exception):
    """What is raised at a line: as a mistake in it would be."""


def kill() -> None:
    """Die."""
    os.kill(os.getpid(), signal.SIGKILL)


def stop() -> None:
    """Raise what stops a program: handlers of signals raise in the main thread only."""
    if threading.current_thread() is threading.main_thread():
        raise Struck


def fail() -> None:
    """Raise what a mistake raises."""
    raise Faulty


@contextmanager
def counted(into: Path) -> Iterator[None]:
    """Count how often each line is executed, and write it down at the end."""
    counts: Counter[tuple[str, int]] = Counter()

    def at_line(file: str, line: int) -> None:
        counts[file, line] += 1

    with _traced(at_line):
        yield
    found = [[file, line, number] for (file, line), number in counts.items()]
    into.write_text(json.dumps(found), encoding="utf-8")


def points(counts: Path, *, occurrences: int = 1) -> list[Point]:
    """Give the moments of a counted run: each line's first executions."""
    return [
        Point(file, line, occurrence)
        for file, line, number in json.loads(counts.read_text(encoding="utf-8"))
        for occurrence in range(1, min(number, occurrences) + 1)
    ]


@contextmanager
def striking(point: Point, strike: Callable[[], None]) -> Iterator[None]:
    """Strike before a line is executed, once."""
    left = [point.occurrence]
    has_it: dict[CodeType, bool] = {}

    def at_line(file: str, line: int) -> None:
        if line == point.line and file == point.file and left[0]:
            left[0] -= 1
            if not left[0]:
                strike()

    def of_interest(code: CodeType) -> bool:
        # All else runs untraced, and nearly as fast as ever.
        if code not in has_it:
            has_it[code] = code.co_filename.endswith(os.sep + point.file) and any(
                line == point.line for _, _, line in code.co_lines()
            )
        return has_it[code]

    with _traced(at_line, of_interest):
        yield


@contextmanager
def striking_after(lines: int, strike: Callable[[], None]) -> Iterator[None]:
    """Strike after so many executed lines, once."""
    left = [lines]

    def at_line(file: str, line: int) -> None:
        del file, line
        left[0] -= 1
        if not left[0]:
            strike()

    with _traced(at_line):
        yield


def _leaves_a_block(frame: FrameType) -> bool:
    """
    Tell whether this line is a ``with`` whose block has ended: its exit is about to be called.

    Nothing but a tracer can raise there (signals are looked at right after calls and at jumps back, which is
    within the block), and what the block holds, a lock for one, would never be let go.
    """
    code = frame.f_code
    at = frame.f_lasti
    if code.co_code[at] == _SWAP:
        # What the block returns waits below its exit.
        at += 2
    return all(
        code.co_code[place] == _LOAD_CONST and code.co_consts[code.co_code[place + 1]] is None
        for place in (at, at + 2, at + 4)
    )


@contextmanager
def _traced(
    at_line: Callable[[str, int], None], of_interest: Callable[[CodeType], bool] = lambda _: True
) -> Iterator[None]:
    def at_call(frame: FrameType, event: str, arg: Any) -> Any:
        del event, arg
        name = frame.f_code.co_filename
        if not name.startswith(_PACKAGE) or name.startswith(_SANDBOX) or not of_interest(frame.f_code):
            return None
        file = name[len(_PACKAGE) :]

        def within(frame: FrameType, event: str, arg: Any) -> Any:
            del arg
            if event == "line" and not _leaves_a_block(frame):
                at_line(file, frame.f_lineno)
            return within

        return within

    threading.settrace(at_call)
    sys.settrace(at_call)
    try:
        yield
    finally:
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]
