"""
SQLite has one writer: the threads of this process take turns.

SQLite's own waiting looks again and again with ever longer pauses, up to a tenth of a second: whoever waits
for a commit of twenty milliseconds comes late by as much. A lock wakes the next one at once. Other processes
know nothing of it, so beyond it all is as SQLite says.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from airflow_provider_sms.store.dialects import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

_turns: WeakKeyDictionary[Engine, threading.Lock] = WeakKeyDictionary()
# A thread of the parent may have had the turn, and there is no such thread in the child.
os.register_at_fork(after_in_child=_turns.clear)


@contextmanager
def turn_to_write(engine: Engine) -> Iterator[None]:
    """
    Keep the other threads from writing while the block runs, where the database has one writer.

    Who has waited as long as for any lock goes on without: SQLite has the word then.
    """
    if engine.dialect.name != "sqlite":
        yield
        return
    turn = _turns.setdefault(engine, threading.Lock())
    ours = turn.acquire(timeout=PATIENCE)
    try:
        yield
    finally:
        if ours:
            turn.release()
