"""What triggers say, in their log and in their events, and how long they are silent in between."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Any

from airflow_provider_sms.errors import SmsError, StoreUnavailable, VendorUnreachable

if TYPE_CHECKING:
    from airflow_provider_sms.conditions import Found
    from airflow_provider_sms.triggers.polling import Outcome

_LONGEST_MESSAGE = 2000
#: Seconds between two lines that say what is still waited for.
_TOLD_EVERY = 600.0
_LEAST_PAUSE = 0.05
#: Seconds from one read of a queue to the next: whatever is asked for, no vendor is asked without a pause.
LEAST_INTERVAL = 0.1
#: So often the tables are looked at in any case: a person may have settled a send, or replayed a page.
LOOK_SECONDS = 60.0
_LONGEST_PAUSE = 300.0


class Told:
    """What the log has been told of a wait, so that it is not told again every few seconds."""

    def __init__(self, log: Any) -> None:
        self._log = log
        self._holder = ""
        self._next = 0.0

    def holder(self, outcome: Outcome) -> None:
        """Say who reads the queue, when somebody else does and did not before."""
        if outcome.holder and outcome.holder != self._holder:
            self._log.info("%s is reading the queue; waiting for what it lands", outcome.holder)
        self._holder = outcome.holder

    def found(self, found: Found) -> None:
        """Say what is there and what is still waited for."""
        now = asyncio.get_running_loop().time()
        if now >= self._next:
            self._next = now + _TOLD_EVERY
            self._log.info("%s; waiting on", found.told)


class Patience:
    """
    How long a question to the store that failed is not asked again: longer each time.

    :param interval: seconds from one poll to the next; the first pause is as long.
    """

    def __init__(self, interval: float) -> None:
        self._interval = max(1.0, interval)
        self._failures = 0
        self._until = -math.inf
        self._polls_fail = False

    def failed(self, *, polls_fail: bool) -> float:
        """
        Begin a pause.

        :param polls_fail: whether the queue's polls fail as well.
        :return: its seconds.
        """
        seconds = min(_LONGEST_PAUSE, self._interval * 2.0 ** min(self._failures, 10))
        self._failures += 1
        self._until = time.monotonic() + seconds
        self._polls_fail = polls_fail
        return seconds

    def answered(self) -> None:
        """Know that the question can be asked."""
        self._failures, self._until = 0, -math.inf

    def is_over(self, *, polls_fail: bool) -> bool:
        """Tell whether to ask: the pause has passed, or polls failed as well and do so no more."""
        return (self._polls_fail and not polls_fail) or time.monotonic() >= self._until


async def pause(outcome: Outcome, interval: float) -> None:
    """Sleep until the next poll is worth while, or the tables are to be asked again."""
    # Counted from when the poll was asked for: else each would come later by what it took.
    wait = outcome.wait - (time.monotonic() - outcome.since)
    # While a queue is left alone, something may land all the same.
    await asyncio.sleep(max(_LEAST_PAUSE, min(wait, interval, outcome.look)))


def mends_itself(error: Exception) -> bool:
    """Tell whether a question to the store only has to be asked again."""
    # The account's connection is looked up for it as well, which may fail for a while.
    return isinstance(error, StoreUnavailable | VendorUnreachable)


def error_event(error: Exception) -> dict[str, str]:
    """Give the event that ends a wait with an error."""
    return {"status": "error", "error": type(error).__name__, "message": message(error)}


def message(error: Exception) -> str:
    """Say what happened, for Airflow to store and show."""
    # Only our own errors are known to quote nobody's number.
    told = str(error) if isinstance(error, SmsError) else f"{type(error).__name__}: see the triggerer's log"
    return told[:_LONGEST_MESSAGE]
