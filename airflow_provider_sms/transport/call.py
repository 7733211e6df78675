"""
What one exchange carries along: its deadline, and what its connection saw.

The network code of httpcore is called by httpcore, not by us, so the call travels in a context variable.
The same variable tells the log filter which records are about our requests.
"""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

current: ContextVar[Call | None] = ContextVar("sms_call", default=None)

_LOUD = ("httpx", "httpcore")


@dataclass(slots=True)
class Call:
    """
    One exchange under way.

    :param seconds: seconds for all of it, from connecting to the last byte.
    :param by_tls: whether the request goes by TLS: what is written in clear only asks a proxy for the way.
    :param touched: whether any byte of the request was handed to a connection; before that nothing can
        have been sent.
    :param ended: whether the peer closed its side.
    """

    seconds: float
    by_tls: bool = False
    touched: bool = False
    ended: bool = False
    _until: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._until = time.monotonic() + self.seconds

    def left(self) -> float:
        """
        Give the seconds that are left.

        :raises TimeoutError: none are.
        """
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


@contextmanager
def under_way(call: Call) -> Iterator[None]:
    """
    Make a call the current one of this thread, and keep the HTTP library from logging it.

    httpcore logs answers' header fields and errors that quote the peer's bytes. The credentials of
    these vendors are in queries, which a redirect or an error page may well repeat.
    """
    token = current.set(call)
    try:
        yield
    finally:
        current.reset(token)


class _Silence(logging.Filter):
    """Drops what the HTTP library logs about our requests, and nothing of anybody else's."""

    def filter(self, record: logging.LogRecord) -> bool:
        del record
        return current.get() is None


_silence = _Silence()


def silence_library() -> None:
    """
    Put the filter on every logger of the HTTP library; again is harmless.

    A filter on a parent logger does not see its children's records, so each gets its own.
    """
    for name in list(logging.root.manager.loggerDict):
        if name.split(".", 1)[0] in _LOUD:
            logging.getLogger(name).addFilter(_silence)
