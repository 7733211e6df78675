"""Take several long things forward in turns, each of which mostly waits for a child."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from children import Child

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from pathlib import Path

    from children import End

_CHILD_SECONDS = 120.0


def take_turns(things: Iterable[Generator[None, None, None]]) -> None:
    """Run all to their ends; each yields where it waits."""
    running = list(things)
    while running:
        for each in list(running):
            try:
                next(each)
            except StopIteration:
                running.remove(each)
        time.sleep(0.001)


def ended(work: Callable[[], int], log: Path) -> Generator[None, None, End]:
    """
    Run a child to its end, yielding meanwhile.

    :raises RuntimeError: it does not end.
    """
    child = Child(work, log)
    while (end := child.ended()) is None:
        if time.monotonic() > child.started + _CHILD_SECONDS:
            child.kill()
            raise RuntimeError(f"a child did not end:\n{log.read_text()[-3000:]}")
        yield
    return end


def pause(seconds: float) -> Generator[None, None, None]:
    """Yield for so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        yield
