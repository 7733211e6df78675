"""
SQLite has one writer: the threads of this process take turns.

SQLite's own waiting looks again and again with ever longer pauses, up to a tenth of a second: whoever waits
for a commit of twenty milliseconds comes late by as much. A lock wakes the next one at once. Other processes
know nothing of it, so who has waited long enough asks SQLite, which has the last word.

A process is forked between two turns. SQLite notes in the process's memory which locks it holds: a child that
was forked while a thread wrote would find the database locked by a thread that it does not have, for ever.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

#: Seconds after which the database is asked all the same. As a rule, writing takes far less; but whoever has
#: the turn may be waiting for another process, and the others' patience must not begin where its has ended.
_PATIENCE = 1.0

_turns: WeakKeyDictionary[Engine, threading.RLock] = WeakKeyDictionary()
#: Turns that were taken in order to fork, by the thread that forks.
_taken: dict[int, list[threading.RLock]] = {}


@contextmanager
def turn_to_write(engine: Engine) -> Iterator[None]:
    """Keep the other threads from writing while the block runs, where the database has one writer."""
    if engine.dialect.name != "sqlite":
        yield
        return
    turn = _turns.setdefault(engine, threading.RLock())
    try:
        # In here: the handler of a signal may raise when the turn is ours already.
        turn.acquire(timeout=_PATIENCE)
        yield
    finally:
        # Not by a context manager, whose call would be one more such moment.
        try:  # noqa: SIM105
            turn.release()
        except RuntimeError:
            pass  # it did not become ours


def _before_fork() -> None:
    # For no longer than anybody waits for a turn: whoever has one may be waiting for another process, and
    # holds no lock then. A thread that forks within its own turn has it already.
    deadline = time.monotonic() + _PATIENCE
    taken = _taken.setdefault(threading.get_ident(), [])
    for turn in list(_turns.values()):
        if turn.acquire(timeout=max(0.0, deadline - time.monotonic())):
            taken.append(turn)


def _after_fork_in_parent() -> None:
    for turn in _taken.pop(threading.get_ident(), ()):
        turn.release()


def _after_fork_in_child() -> None:
    # A thread of the parent may have had the turn all the same, and there is no such thread here.
    _taken.clear()
    _turns.clear()


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
)
