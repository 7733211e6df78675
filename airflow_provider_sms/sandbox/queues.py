"""Queues whose records leave when they are read, whether or not the reader gets them."""

from __future__ import annotations

import threading
from bisect import bisect_right
from operator import itemgetter
from typing import TYPE_CHECKING, Generic, Literal, NamedTuple, TypeVar

from airflow_provider_sms.sandbox import clock

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

Status = Literal["delivered", "failed", "pending"]


class Report(NamedTuple):
    """One delivery report.

    :param mobile: the number
    :param message_id: TaskID, SMSID or linkid of the message
    :param status: ``pending`` exists for wavecom only
    :param error_code: what the carrier said, ``DELIVRD`` on success
    :param extno: extension number (beidoutong) or 子码 (smsadmin)
    :param time: Chinese local time, ``2010-10-24 09:08:10``
    """

    mobile: str
    message_id: str
    status: Status
    error_code: str
    extno: str
    time: str


class Reply(NamedTuple):
    """One reply (inbound message).

    :param mobile: who wrote it
    :param content: what they wrote, nothing escaped
    :param reply_id: the reply's own number (wavecom §1.1.3)
    :param message_id: TaskID or linkid of the message it answers, empty if it answers none
    :param extno: extension number (beidoutong) or 子码 (smsadmin)
    :param time: Chinese local time, ``2010-10-24 09:08:10``
    """

    mobile: str
    content: str
    reply_id: str
    message_id: str
    extno: str
    time: str


Record = TypeVar("Record")


_due = itemgetter(0)


class ReadOnceQueue(Generic[Record]):
    """Records by the time they fall due; reading takes them out for good."""

    def __init__(self) -> None:
        """Start empty."""
        self._lock = threading.Lock()
        self._waiting: list[tuple[datetime, Record]] = []
        self._sorted = True
        self._taken: list[Record] = []

    def put(self, records: Iterable[Record], due: datetime) -> None:
        """Add records.

        :param records: reports or replies
        :param due: when they can be read from
        """
        with self._lock:
            self._sorted = self._sorted and (not self._waiting or self._waiting[-1][0] <= due)
            self._waiting += [(due, record) for record in records]

    def take(self, most: int) -> list[Record]:
        """Take records out, oldest first. There is no way to put them back.

        :param most: the page size
        """
        with self._lock:
            if not self._sorted:
                # Most are in order already, and those that fall due together stay as they came.
                self._waiting.sort(key=_due)
                self._sorted = True
            end = min(most, bisect_right(self._waiting, clock.now(), key=_due))
            page = [record for _, record in self._waiting[:end]]
            del self._waiting[:end]
            self._taken.extend(page)
        return page

    def taken(self) -> list[Record]:
        """Return every record that was ever taken out, whether or not its answer arrived."""
        with self._lock:
            return list(self._taken)

    def __len__(self) -> int:
        """Return how many records wait, due or not."""
        return len(self._waiting)
