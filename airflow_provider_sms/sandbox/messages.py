"""What was accepted: one message per number, and how often each number got the same text."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

_SINGLE = 70
_JOINED = 67


@lru_cache(maxsize=256)
def count_segments(content: str) -> int:
    """Count the segments of a text: 70 characters fit in one, 67 in each of several (wavecom §1.1.1).

    :param content: the text; a character outside the basic plane takes two places, as on the air
    """
    places = len(content.encode("utf-16-le", "surrogatepass")) // 2
    return 1 if places <= _SINGLE else -(-places // _JOINED)


class Message(NamedTuple):
    """One accepted message to one number; a tuple, since a submit makes hundreds.

    :param vendor: who accepted it
    :param page: the page or SOAP operation it came by, e.g. ``post_send_md5``
    :param mobile: the number
    :param content: the text as the vendor's charset decoded it, with ddt markers filled in
    :param raw: the bytes of the request: its body, or its query string for a GET
    :param segments: how many segments it was charged as
    :param batch_id: what the vendor answered for the whole submit; empty where it answers none
    :param message_id: what its delivery report will carry
    :param extno: extension number, where sent
    :param linkid: the client's own reference (smsadmin), where sent
    :param send_time: the scheduled time as sent, in the vendor's form
    :param due: when it leaves, which is now unless a readable time ahead was given
    """

    vendor: str
    page: str
    mobile: str
    content: str
    raw: bytes
    segments: int
    batch_id: str
    message_id: str
    extno: str
    linkid: str
    send_time: str
    due: datetime

    def __repr__(self) -> str:
        """Show all but the request's bytes."""
        shown = (f"{name}={value!r}" for name, value in zip(self._fields, self, strict=True) if name != "raw")
        return f"Message({', '.join(shown)})"


@dataclass(frozen=True)
class Submission:
    """One submit that passed the vendor's checks and still has to be paid for.

    :param page: the page or SOAP operation it came by
    :param raw: the bytes of the request: its body, or its query string for a GET
    :param texts: number and text of each message
    :param message_ids: one per text, in the same order
    :param batch_id: what the vendor answers for all of them
    :param extno: extension number, or empty
    :param linkid: the client's own reference, or empty
    :param send_time: the scheduled time as sent, or empty
    :param due: when the messages leave
    """

    page: str
    raw: bytes
    texts: list[tuple[str, str]]
    message_ids: list[str]
    due: datetime
    batch_id: str = ""
    extno: str = ""
    linkid: str = ""
    send_time: str = ""

    def cost(self, price: Decimal) -> Decimal:
        """Return what this submit takes from the balance.

        :param price: of one segment to one number
        """
        return price * sum(count_segments(content) for _, content in self.texts)

    def messages(self, vendor: str) -> list[Message]:
        """Return the messages, one for each number.

        :param vendor: who accepted them
        """
        return [
            Message(
                vendor, self.page, mobile, content, self.raw, count_segments(content), self.batch_id,
                message_id, self.extno, self.linkid, self.send_time, self.due,
            )
            for (mobile, content), message_id in zip(self.texts, self.message_ids, strict=True)
        ]  # fmt: skip


class MessageLog:
    """Every message one vendor accepted, in order."""

    def __init__(self) -> None:
        """Start empty."""
        self._lock = threading.Lock()
        self._messages: list[Message] = []
        self._times_accepted: Counter[tuple[str, str]] = Counter()

    def remember(self, messages: list[Message]) -> None:
        """Add the messages of one submit.

        :param messages: in the order of the request
        """
        with self._lock:
            self._messages.extend(messages)
            self._times_accepted.update((message.mobile, message.content) for message in messages)

    def all(self, last: int | None = None) -> list[Message]:
        """Return a copy of the messages, oldest first.

        :param last: only this many of the newest
        """
        with self._lock:
            return list(
                self._messages if last is None else self._messages[max(0, len(self._messages) - last) :]
            )

    def accepted_more_than_once(self) -> dict[tuple[str, str], int]:
        """Return how often each (number, text) was accepted, of those accepted more than once."""
        with self._lock:
            return {key: times for key, times in self._times_accepted.items() if times > 1}

    def __len__(self) -> int:
        """Return the number of messages."""
        return len(self._messages)
