"""Log what strangers can cause, without letting them fill the disk."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import logging

_EVERY_SECONDS = 60.0
#: Kinds of lines remembered; they are sentences of ours, not of strangers, so there are few.
_KINDS = 1000


class SparingLog:
    """
    A logger that writes a line once a minute, and then how often it was left out.

    Two lines are the same when sentence and values are.

    :param log: where the lines go.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._seen: dict[tuple[Any, ...], tuple[float, int]] = {}

    def error(self, message: str, *values: Any) -> None:
        """Log an error."""
        self._tell(self._log.error, message, values)

    def warning(self, message: str, *values: Any) -> None:
        """Log a warning."""
        self._tell(self._log.warning, message, values)

    def info(self, message: str, *values: Any) -> None:
        """Log an event."""
        self._tell(self._log.info, message, values)

    def _tell(self, write: Any, message: str, values: tuple[Any, ...]) -> None:
        kind = (message, *map(str, values))
        now = time.monotonic()
        with self._lock:
            told, left_out = self._seen.get(kind, (float("-inf"), 0))
            if now - told < _EVERY_SECONDS:
                self._seen[kind] = told, left_out + 1
                return
            if len(self._seen) >= _KINDS:
                self._seen.clear()
            self._seen[kind] = now, 0
        if left_out:
            write(f"{message} (and %d times since that was last said)", *values, left_out)
        else:
            write(message, *values)
