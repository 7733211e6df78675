"""Those who push: a vendor that tells each event once, and strangers; and what they were answered."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import quote_from_bytes

TOKEN = "torture-token-0123456789abcdef"  # noqa: S105 - of a receiver that lives for a minute
LOGIN = "torture"
TEXT = "退订"
_STORED = 200
_OUR_FAULT = 500
_HEAD = b"Host: receiver\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n"


@dataclass
class Tally:
    """What the clients saw, by the name of the event."""

    acknowledged: set[str] = field(default_factory=set)
    sent: set[str] = field(default_factory=set)
    forbidden: set[str] = field(default_factory=set)
    answers: Counter[str] = field(default_factory=Counter)
    #: Answers of 500 and above to requests that were wrong in themselves.
    blamed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, name: str, status: int, *, good: bool) -> None:
        """Take down one answer; status 0 is none."""
        with self.lock:
            self.answers[f"{'event' if good else 'bad'} {status}"] += 1
            if good:
                self.sent.add(name)
                if status == _STORED:
                    self.acknowledged.add(name)
            else:
                self.forbidden.add(name)
                self.blamed += status >= _OUR_FAULT


class Client:
    """
    One vendor's sender, and one stranger.

    :param port: where the receiver is.
    :param tally: what was seen.
    :param seed: of this client's choices.
    """

    def __init__(self, port: int, tally: Tally, seed: int) -> None:
        self._port = port
        self._tally = tally
        self._random = random.Random(seed)  # noqa: S311 - a test that can be repeated

    def push(self, number: int) -> None:
        """Push one event, and something bad."""
        name = f"e{number:07d}"
        fields = self._fields(name, report=number % 2 == 0)
        for _ in range(self._random.choice((1, 1, 1, 2, 3))):
            in_query = self._random.choice((True, False, False))
            query, body = (b"&" + fields, b"") if in_query else (b"", fields)
            self._ask(name, b"POST", query, body, good=True)
        bad = self._random.choice(
            (self._wrong_token, self._no_token, self._wrong_method, self._wrong_account, self._large,
             self._many_fields, self._garbage, self._slow)
        )  # fmt: skip
        bad(f"x{number:07d}")

    def _fields(self, name: str, *, report: bool = False, account: str = LOGIN) -> bytes:
        raw = TEXT.encode("gbk") if self._random.choice((True, False)) else _quoted(TEXT)
        mobile = f"138{int(name[1:]):08d}"
        head = f"SmsName={account}&Mobile={mobile}&LinkId={name}&".encode()
        if report:
            return b"Class=rpt&" + head + b"Report=DELIVRD&ReportTime=2025-01-31%2016:30:00"
        return b"Class=mo&" + head + b"Message=" + raw + b"&RevertTime=2025-01-31+16:30:00"

    def _ask(
        self, name: str, method: bytes, query: bytes, body: bytes, *, good: bool = False, token: str = TOKEN
    ) -> None:
        target = b"/sms/push/sms_torture?token=" + token.encode() + _escaped(query)
        length = b"Content-Length: %d\r\n" % len(body)
        request = method + b" " + target + b" HTTP/1.1\r\n" + _HEAD + length + b"\r\n" + body
        self._tally.note(name, self._status(request), good=good)

    def _status(self, request: bytes) -> int:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=30) as connection:
                connection.sendall(request)
                answer = connection.recv(64)
                return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0
        except OSError:
            return 0

    def _wrong_token(self, name: str) -> None:
        self._ask(name, b"POST", b"", self._fields(name), token=TOKEN[:-1] + "0")

    def _no_token(self, name: str) -> None:
        self._ask(name, b"POST", b"", self._fields(name), token="")

    def _wrong_method(self, name: str) -> None:
        method = self._random.choice((b"GET", b"PUT", b"DELETE", b"OPTIONS"))
        self._ask(name, method, b"&" + self._fields(name), b"")

    def _wrong_account(self, name: str) -> None:
        self._ask(name, b"POST", b"", self._fields(name, account="somebody"))

    def _large(self, name: str) -> None:
        self._ask(name, b"POST", b"", self._fields(name) + b"&pad=" + b"x" * 1_000_000)

    def _many_fields(self, name: str) -> None:
        self._ask(name, b"POST", b"", self._fields(name) + b"&a=1" * 2000)

    def _slow(self, name: str) -> None:
        # It breaks off in the middle of its body; waiting for the time-out each time would take hours.
        head = b"POST /sms/push/sms_torture?token=" + TOKEN.encode() + b" HTTP/1.1\r\n" + _HEAD
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 30) as slow:
            slow.sendall(head + b"Content-Length: 5000\r\n\r\n" + self._fields(name))
            time.sleep(0.02)
        self._tally.note(name, 0, good=False)

    def _garbage(self, name: str) -> None:
        # With the right token it is kept, in quarantine; it is no row and no server error.
        del name
        self._ask("garbage", b"POST", b"", self._random.randbytes(self._random.randrange(300)))


def _quoted(text: str) -> bytes:
    return quote_from_bytes(text.encode("gbk"), safe="").encode()


def _escaped(query: bytes) -> bytes:
    """Escape what cannot stand in a request line."""
    return quote_from_bytes(query, safe="&=%+:").encode()
