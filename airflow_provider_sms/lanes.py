"""
The lanes on which claimed batches go to the vendor: threads that move bytes and know no ledger.

A lane that got a yes goes on with the next batch that stands ready, without a word to the ledger's thread,
whose commit meanwhile hides behind the vendor's answers. After anything but a yes, no ready batch starts
before that thread has looked at it: it may be the vendor's last word. What stands ready has no socket yet
and can be taken back.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_sms.errors import SubmitNotSent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_sms.records import Receipt, Submission
    from airflow_provider_sms.store.plans import BatchRow

#: Seconds for which a batch may stand ready. Its claim outlives the submit itself by more than this.
READY_SECONDS = 5.0
#: A process may be stopped for a while at any moment. What was claimed so long ago is not begun with: once
#: its claim has run out, somebody may submit it again.
_LATEST_START = 2 * READY_SECONDS


class Claimed(NamedTuple):
    """
    One batch that is ours to submit.

    :param since: when its claim began at the latest, by this process's monotonic clock.
    """

    batch: BatchRow
    submission: Submission
    since: float

    def __repr__(self) -> str:
        """Show neither numbers nor the text."""
        return f"Claimed({self.batch.send_key!r}, {self.batch.batch_no})"


class Answer(NamedTuple):
    """
    How one submit ended.

    :param receipt: the vendor's yes, or
    :param failure: what came instead.
    :param seconds: how long it took.
    """

    claimed: Claimed
    receipt: Receipt | None
    failure: BaseException | None
    seconds: float


class Lanes:
    """
    So many submits at once.

    :param carry: submits one batch and gives the vendor's yes; called by several threads.
    :param width: how many lanes.
    """

    def __init__(self, carry: Callable[[Submission], Receipt], width: int) -> None:
        self._carry = carry
        self._width = width
        self._pool = ThreadPoolExecutor(width, thread_name_prefix="sms-submit")
        self._lock = threading.Lock()
        self._told = threading.Condition(self._lock)
        self._ready: deque[Claimed] = deque()
        self._busy = 0
        self._held = False
        self._handed_over: set[str] = set()
        #: How the submits ended; the ledger's thread takes off the left what it has judged.
        self.answers: deque[Answer] = deque()

    @property
    def busy(self) -> int:
        """Count the submits under way."""
        return self._busy

    @property
    def ready(self) -> int:
        """Count the batches that wait for a lane."""
        return len(self._ready)

    def hand_over(self, claimed: Iterable[Claimed]) -> None:
        """Submit batches, each as soon as a lane is free."""
        claimed = list(claimed)
        with self._lock:
            # Noted first: of what is not noted, it is certain that no lane ever sees it.
            self._handed_over.update(one.submission.reference for one in claimed)
            self._ready.extend(claimed)
            # A free lane was asked for, and gets its batch whatever another lane met meanwhile.
            self._start(anyway=True)

    def was_handed_over(self, reference: str) -> bool:
        """Whether a lane may have seen the batch with this reference."""
        return reference in self._handed_over

    def go_on(self) -> None:
        """Let ready batches start again after something went wrong."""
        with self._lock:
            self._held = False
            self._start()

    def take_back(self, *, older_than: float = 0.0) -> list[Claimed]:
        """
        Take batches back that no lane has begun with.

        :param older_than: only those that have been ready for so many seconds.
        """
        before = time.monotonic() - older_than
        back = []
        with self._lock:
            while self._ready and self._ready[0].since <= before:
                back.append(self._ready.popleft())
        return back

    def wait(self, seconds: float, *, gather: float = 0.0, most: int = 1) -> bool:
        """
        Wait until an answer is there, or nothing is under way; whether an answer is there.

        :param seconds: so long at most.
        :param gather: once one is there, wait for others so many seconds more, unless a lane stands idle or
            an answer was no yes;
        :param most: until there are so many.
        """
        with self._told:
            self._told.wait_for(lambda: self.answers or not self._busy, seconds)
            if gather > 0 and most > 1:
                self._told.wait_for(
                    lambda: len(self.answers) >= most or self._held or self._busy < self._width, gather
                )
        return bool(self.answers)

    def wait_for_all(self, seconds: float) -> None:
        """Wait until nothing is under way, but only so long."""
        with self._told:
            self._told.wait_for(lambda: not self._busy, seconds)

    def close(self) -> None:
        """Start nothing more; what is under way is left behind."""
        self.take_back()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _start(self, *, anyway: bool = False) -> None:
        while self._busy < self._width and (first := self._next(anyway=anyway)) is not None:
            self._busy += 1
            self._pool.submit(self._run, first)

    def _next(self, *, anyway: bool = False) -> Claimed | None:
        if not self._ready:
            return None
        # Too long ready, its claim might run out while it is under way.
        stale = time.monotonic() - self._ready[0].since > READY_SECONDS
        return None if (self._held or stale) and not anyway else self._ready.popleft()

    def _run(self, claimed: Claimed | None) -> None:
        while claimed is not None:
            answer = self._submit(claimed)
            with self._told:
                self.answers.append(answer)
                self._held = self._held or answer.failure is not None
                claimed = self._next()
                self._busy -= claimed is None
                self._told.notify()

    def _submit(self, claimed: Claimed) -> Answer:
        began = time.monotonic()
        if began - claimed.since > _LATEST_START:
            msg = "the process stood still between the claim and the submit: nothing was submitted"
            return Answer(claimed, None, SubmitNotSent(msg), 0.0)
        receipt, failure = None, None
        try:
            receipt = self._carry(claimed.submission)
        except BaseException as error:  # noqa: BLE001 - judged by the ledger's thread, which waits for it
            failure = error
        return Answer(claimed, receipt, failure, time.monotonic() - began)
