"""Ids that sort by the time they were made, as text."""

from __future__ import annotations

import secrets
import threading
import time

_RANDOM_DIGITS = 17
_lock = threading.Lock()
_last = 0


def new_id() -> str:
    """
    Make an id of 32 hexadecimal digits: 15 of the microsecond, 17 random.

    Two ids of one process always sort in the order in which they were made; ids of two processes
    sort as well as their clocks agree. Plain text sorts right in every database and collation.
    """
    global _last  # noqa: PLW0603 - the last microsecond given out is what keeps the order
    with _lock:
        _last = max(_last + 1, time.time_ns() // 1000)
        moment = _last
    return f"{moment:015x}{secrets.randbits(4 * _RANDOM_DIGITS):0{_RANDOM_DIGITS}x}"
