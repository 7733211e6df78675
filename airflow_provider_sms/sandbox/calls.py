"""When each operation was called, and how many calls were in flight at once."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_REMEMBERED = 100_000


class CallLog:
    """Counts and times of calls by vendor and operation.

    Operations are ``send``, ``send_template``, ``balance``, ``words``, ``reports``, ``replies`` and ``wsdl``.
    """

    def __init__(self) -> None:
        """Start with no calls."""
        self._lock = threading.Lock()
        self._counts: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._times: defaultdict[tuple[str, str], deque[float]] = defaultdict(
            lambda: deque(maxlen=_REMEMBERED)
        )
        self._in_flight: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._most_in_flight: defaultdict[tuple[str, str], int] = defaultdict(int)

    def clear(self) -> None:
        """Forget every call but those in flight."""
        with self._lock:
            self._counts.clear()
            self._times.clear()
            self._most_in_flight.clear()

    @contextmanager
    def in_flight(self, vendor: str, operation: str) -> Iterator[None]:
        """Note a call from here until its answer is written, its connection reset or its caller gone.

        :param vendor: whose call
        :param operation: which one
        """
        key = (vendor, operation)
        with self._lock:
            self._counts[key] += 1
            self._times[key].append(time.monotonic())
            self._in_flight[key] += 1
            self._most_in_flight[key] = max(self._most_in_flight[key], self._in_flight[key])
        try:
            yield
        finally:
            with self._lock:
                self._in_flight[key] -= 1

    def count(self, vendor: str | None = None, operation: str | None = None) -> int:
        """Return how many calls there were.

        :param vendor: of this vendor, or of all
        :param operation: this operation, or all
        """
        with self._lock:
            return sum(
                count
                for (who, what), count in self._counts.items()
                if vendor in (None, who) and operation in (None, what)
            )

    def times(self, vendor: str, operation: str) -> list[float]:
        """Return when each call arrived, in seconds of ``time.monotonic``, for the newest 100,000 calls.

        :param vendor: whose calls
        :param operation: which operation
        """
        with self._lock:
            return list(self._times[vendor, operation])

    def intervals(self, vendor: str, operation: str) -> list[float]:
        """Return the seconds between one call's arrival and the next.

        :param vendor: whose calls
        :param operation: which operation
        """
        times = self.times(vendor, operation)
        return [later - earlier for earlier, later in pairwise(times)]

    def most_in_flight(self, vendor: str, operation: str) -> int:
        """Return the largest number of such calls that were in flight at one moment.

        :param vendor: whose calls
        :param operation: which operation
        """
        with self._lock:
            return self._most_in_flight[vendor, operation]

    def in_flight_now(self, vendor: str, operation: str) -> int:
        """Return the number of such calls in flight at this moment.

        :param vendor: whose calls
        :param operation: which operation
        """
        with self._lock:
            return self._in_flight[vendor, operation]

    def by_operation(self, vendor: str) -> dict[str, int]:
        """Return the number of calls of each operation that was called.

        :param vendor: whose calls
        """
        with self._lock:
            return {what: count for (who, what), count in self._counts.items() if who == vendor}
