"""
SQLite has one writer: the threads of this process take turns.

SQLite's own waiting looks again and again with ever longer pauses, up to a tenth of a second: whoever waits
for a commit of twenty milliseconds comes late by as much. A lock wakes the next one at once. Other processes
know nothing of it, so who has waited long enough asks SQLite, which has the last word.
"""

from __future__ import annotations

import os
import threading
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
# A thread of the parent may have had the turn, and there is no such thread in the child.
os.register_at_fork(after_in_child=_turns.clear)


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
