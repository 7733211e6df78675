"""
The spool stands by while the store takes a page.

A database that hangs holds a commit for as long as it likes: SQLite behind another writer for 30 seconds, a
server that has stalled without end. All that time the page would be in this process's memory alone, with
the vendor's copy deleted and a SIGKILL five seconds behind each SIGTERM. So a thread looks on, and puts the
page into the spool when its commit is late. The commit goes on: where it succeeds after all, the file is
not needed any more, and a sweep that finds it leaves the journal's page as it is.

The commit stays in the thread that it was in. To hand each one over to another thread, in order to leave it
alone when it is late, would cost every small page more than its commit.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from airflow_provider_sms.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from airflow_provider_sms.store.spool import Spool, SpooledPage

#: So long a commit may take. A signal that comes meanwhile may go unnoticed, as a driver need not return to
#: Python for it: this and the file's own time are well below the 5 seconds that follow a SIGTERM.
_LATE_SECONDS = 2.0
#: And so long when a signal came before the commit: during the read some of the 5 seconds have passed.
_LATE_AFTER_SIGNAL = 0.5
_LOOK_SECONDS = 0.1


class Standby:
    """
    Looks on while pages of one reader are committed, one after the other.

    :param spool: where a page goes whose commit is late.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._lock = threading.Lock()
        self._page: SpooledPage | None = None
        self._signals: Sequence[int] = ()
        self._since = 0.0
        self._path: Path | None = None
        self._thread: threading.Thread | None = None
        self._over = threading.Event()

    def begin(self, page: SpooledPage, signals: Sequence[int]) -> None:
        """
        Look on from now.

        :param page: whose commit begins.
        :param signals: those that are held back; it may grow.
        """
        with self._lock:
            self._page, self._signals, self._since, self._path = page, signals, time.monotonic(), None
        if self._thread is None:
            thread = threading.Thread(target=self._look_on, name="sms-standby", daemon=True)
            # Where no more threads can be had, the commit does without.
            with suppress(RuntimeError):
                thread.start()
                self._thread = thread

    def end(self) -> Path | None:
        """Look on no longer; give the page's file, if it is in the spool."""
        with self._lock:
            self._page = None
            return self._path

    def close(self) -> None:
        """Let the thread go; no page may begin afterwards."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _look_on(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            with self._lock:
                if self._page is not None and self._is_late():
                    # If the disk does not take it, the store still may; if neither does, the reader says so.
                    with suppress(StoreUnavailable):
                        self._path = self._spool.put(self._page)
                    self._page = None

    def _is_late(self) -> bool:
        late = _LATE_AFTER_SIGNAL if self._signals else _LATE_SECONDS
        return time.monotonic() - self._since >= late
