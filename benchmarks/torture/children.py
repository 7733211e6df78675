"""
Children that are killed: each is a fork of the proof's own process, so that a start costs no import.

The proof's process must have no other thread when it forks.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import time
import traceback
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_PR_SET_PDEATHSIG = 1
#: Exit code of a child whose work raised something that it should not.
FAILED = 99


class End(NamedTuple):
    """
    How a child ended.

    :param code: its exit code; the negative number of the signal that ended it.
    :param at: when, in seconds of ``time.monotonic``.
    """

    code: int
    at: float


class Child:
    """
    A forked child that does one thing.

    :param work: gives the exit code.
    :param log: where its output goes, and what it raised.
    """

    def __init__(self, work: Callable[[], int], log: Path) -> None:
        # The child copies what it touches: let it not touch everything when it collects its garbage.
        gc.freeze()
        self.started = time.monotonic()
        self.pid = os.fork()
        self._end: End | None = None
        if self.pid == 0:
            _work(work, log)

    def ended(self) -> End | None:
        """Tell how it ended, if it did."""
        if self._end is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._end = End(os.waitstatus_to_exitcode(status), time.monotonic())
        return self._end

    def wait(self, seconds: float = 120.0) -> End:
        """
        Wait for its end.

        :raises RuntimeError: it does not end.
        """
        deadline = time.monotonic() + seconds
        pause = 0.0005
        while (end := self.ended()) is None:
            if time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"a child did not end within {seconds:.0f} s")
            time.sleep(pause)
            pause = min(pause * 1.5, 0.01)
        return end

    def signal(self, signum: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.ended() is None:
            os.kill(self.pid, signum)

    def kill(self) -> End:
        """Kill it as the kernel does when memory runs out; it may have ended before."""
        self.signal(signal.SIGKILL)
        return self.wait()


def _work(work: Callable[[], int], log: Path) -> None:
    code = FAILED
    try:
        # Should the proof break off, its children must not go on.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        kept = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(kept, 1)
        os.dup2(kept, 2)
        # As in a process of its own: nothing of what the proof's process made of its signals.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        code = work()
    except BaseException:  # noqa: BLE001 - the exit code says it, the log has it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
