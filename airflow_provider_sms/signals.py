"""
Hold signals back while something runs that must not be torn in the middle.

Between reading a vendor's queue and committing the raw bytes, an exception from nowhere would lose the
only copy. Airflow raises its ``execution_timeout`` from SIGALRM at any point of the program, an
interrupt raises from SIGINT, and SIGTERM may be anybody's handler.

The signals are caught by handlers that only take note. Blocking them (``pthread_sigmask``) would not
do: the mask is one thread's, a signal to the process may reach any other, and Python then runs the
handler in the main thread all the same. A handler that returns does not disturb what is going on
either: Python resumes the system call it interrupted, with what is left of its time-out (PEP 475).
"""

from __future__ import annotations

import inspect
import signal
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ResultT = TypeVar("ResultT")

HELD = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)


class _Unwinding(BaseException):
    """A signal that would have ended the process at once."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


@contextmanager
def unwound_signals() -> Iterator[None]:
    """
    Let the block clean up behind itself before a signal's default action ends the process.

    A signal that has a handler is left to it, and one that is ignored to its fate. A task of Airflow's has
    no handler of SIGINT, a script none of SIGTERM: such a signal is raised as an exception (no
    ``Exception``), and once more, as itself, at the end of the block. A second one does not wait for that.

    Outside of the main thread this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    without = [signum for signum in HELD if signal.getsignal(signum) is signal.SIG_DFL]

    def put_back() -> None:
        for signum in without:
            signal.signal(signum, signal.SIG_DFL)

    def unwind(signum: int, frame: object) -> None:
        del frame
        put_back()
        raise _Unwinding(signum)

    try:
        for signum in without:
            signal.signal(signum, unwind)
        try:
            yield
        finally:
            put_back()
    except _Unwinding as end:
        signal.raise_signal(end.signum)
        raise


@contextmanager
def held_signals() -> Iterator[list[int]]:
    """
    Hold back SIGTERM, SIGINT and SIGALRM while the block runs, then deliver them.

    The block gets the list of those that have come by then.

    Each that came is delivered once, in the order of arrival, to the handler that was there before.
    **The caller bounds the block**, by a deadline: Airflow sends SIGKILL 5 seconds after SIGTERM, so all
    that should survive a stop has to end within 4.

    If the block raises, its exception goes on, and an ordinary one out of a handler becomes a note on it.
    What is made to stop a program (KeyboardInterrupt, SystemExit, Airflow's time-out: none of them an
    ``Exception``) goes first, with the block's exception as its context. Swallowed by whoever handles the
    block's, it would leave a task running that was told to stop.

    Outside of the main thread this does nothing, as handlers run in the main thread only. A signal that
    is ignored stays so; one whose handler is not Python's (``signal.getsignal`` gives ``None``) could not
    be put back and is left alone. Blocks may be nested: what the inner one held, the outer one holds on.
    """
    if threading.current_thread() is not threading.main_thread():
        yield []
        return
    before: dict[signal.Signals, Any] = {}
    arrived: list[int] = []

    def note(signum: int, frame: object) -> None:
        del frame
        if signum not in arrived:
            arrived.append(signum)

    try:
        for signum in HELD:
            handler = signal.getsignal(signum)
            if handler is not None and handler is not signal.SIG_IGN:
                before[signum] = handler
                signal.signal(signum, note)
        yield arrived
    except BaseException as error:
        try:
            _release(before, arrived)
        except Exception as late:  # noqa: BLE001 - see above: the block's own goes first
            error.add_note(f"A signal that was held back meanwhile raised {type(late).__name__}.")
        raise
    else:
        _release(before, arrived)


def done_despite_a_stop(act: Callable[[], ResultT]) -> ResultT:
    """
    Do something short that has to be done before the program ends, whatever comes in the midst of it.

    For commits that may take longer than signals can be held back: one that a stop comes out of (no
    ``Exception``) may have been made or not, and is made once more before the stop goes on.

    :param act: may be done twice.
    """
    try:
        return act()
    except Exception:
        raise
    except BaseException:
        with suppress(Exception):  # The stop is what is to be heard of.
            act()
        raise


def _release(before: dict[signal.Signals, Any], arrived: list[int]) -> None:
    """Put all handlers back, then deliver; the first exception of a handler is raised when all is done."""
    raised: list[BaseException] = []
    waiting = list(before.items())
    while waiting:
        # A handler that is back may fire and raise at once; the others must go back nevertheless.
        try:
            signal.signal(*waiting[-1])
            waiting.pop()
        except BaseException as error:  # noqa: BLE001 - raised below
            raised.append(error)
    for signum in arrived:
        try:
            _deliver(signum, before[signal.Signals(signum)])
        except BaseException as error:  # noqa: BLE001 - raised below
            raised.append(error)
    if raised:
        raise raised[0]


def _deliver(signum: int, handler: Any) -> None:
    if callable(handler):
        # Called rather than raised anew: Python runs raised signals in the order of their numbers.
        handler(signum, inspect.currentframe())
    else:
        signal.raise_signal(signum)
