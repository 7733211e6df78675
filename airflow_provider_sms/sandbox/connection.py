"""One client connection: writing answers whole, in pieces, cut short, or not at all."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from airflow_provider_sms.sandbox.faults import Framing
    from airflow_provider_sms.sandbox.wire import Answer

_LINGER_ZERO: Final = struct.pack("ii", 1, 0)
_PIECE: Final = 256 * 1024
_GLANCE: Final = 0.05


class ClientGoneError(Exception):
    """The client closed its side, or the sandbox is stopping; nobody is left to answer."""


class ClientConnection:
    """The socket of one client, and whether it may be kept alive.

    :param sock: a connected socket
    :param stopping: set when the sandbox ends
    """

    def __init__(self, sock: socket.socket, stopping: threading.Event) -> None:
        """Take the socket over."""
        self._socket = sock
        self._stopping = stopping
        self.keep_alive = True
        self.ended = False

    def send(self, answer: Answer, framing: Framing = "length") -> None:
        """Write a whole answer in one go.

        :param answer: what to write
        :param framing: how its end is told
        """
        body = answer.body
        if framing == "chunked":
            body = _chunk(body) + b"0\r\n\r\n"
        self._write(self.head(answer, framing) + body)
        if framing == "close":
            self.end()

    def send_cut(self, answer: Answer, keep: int, framing: Framing, *, reset: bool) -> None:
        """Write the header and the first bytes of the body, then end the connection.

        :param answer: what to write the beginning of
        :param keep: bytes of the body to write
        :param framing: what the header promises: with ``close`` a cut cannot be seen
        :param reset: end with a reset, which may overtake bytes not yet read
        """
        kept = answer.body[:keep]
        if framing == "chunked":
            # The chunk announces the whole body, so that the cut falls inside it.
            kept = b"%X\r\n%s" % (max(len(answer.body), 1), kept)
        self._write(self.head(answer, framing) + kept)
        if reset:
            self.reset()
        else:
            self.end()

    def send_slowly(
        self, answer: Answer, chunk: int, seconds: float, framing: Framing, *, headers: bool
    ) -> None:
        """Write a whole answer a few bytes at a time.

        :param answer: what to write
        :param chunk: bytes a write
        :param seconds: between two writes
        :param framing: how its end is told
        :param headers: trickle the header as well
        """
        head = self.head(answer, framing)
        pieces = [*_split(head, chunk)] if headers else [head]
        body = _split(answer.body, chunk)
        pieces.extend(map(_chunk, body) if framing == "chunked" else body)
        if framing == "chunked":
            pieces.append(b"0\r\n\r\n")
        for piece in pieces:
            self._write(piece)
            self.wait(seconds)
        if framing == "close":
            self.end()

    def send_endlessly(self, answer: Answer, framing: Framing) -> None:
        """Write a body again and again until the client has had enough.

        :param answer: what to repeat
        :param framing: ``chunked`` or ``close``; a promised length would have an end
        """
        if framing == "length":
            framing = "chunked"
        self._write(self.head(answer, framing))
        piece = answer.body * max(1, _PIECE // max(1, len(answer.body)))
        piece = _chunk(piece) if framing == "chunked" else piece
        while not self._stopping.is_set():
            self._write(piece)

    def head(self, answer: Answer, framing: Framing) -> bytes:
        """Return the header of an answer, with its blank line.

        :param answer: what it belongs to
        :param framing: how the body's end is told
        """
        try:
            phrase = HTTPStatus(answer.status).phrase
        except ValueError:
            phrase = "Status"
        lines = [f"HTTP/1.1 {answer.status} {phrase}", "Server: sms-sandbox"]
        if answer.content_type:
            lines.append(f"Content-Type: {answer.content_type}")
        if framing == "length":
            lines.append(f"Content-Length: {len(answer.body)}")
        elif framing == "chunked":
            lines.append("Transfer-Encoding: chunked")
        if framing == "close" or not self.keep_alive:
            lines.append("Connection: close")
        lines.extend(f"{name}: {value}" for name, value in answer.headers)
        return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self.ended = True

    def end(self) -> None:
        """End the connection in order once everything written is on its way."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        self.ended = True

    def wait(self, seconds: float) -> None:
        """Wait, but not for a client that has gone, nor for a sandbox that is stopping.

        :param seconds: how long
        :raises ClientGoneError: if either happens first
        """
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._stopping.wait(min(left, _GLANCE)) or self._gone():
                raise ClientGoneError

    def _gone(self) -> bool:
        try:
            readable, _, _ = select.select([self._socket], [], [], 0)
            return bool(readable) and self._socket.recv(1, socket.MSG_PEEK) == b""
        except (OSError, ValueError):
            return True

    def _write(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError:
            raise ClientGoneError from None


def _chunk(body: bytes) -> bytes:
    return b"%X\r\n%s\r\n" % (len(body), body) if body else b""


def _split(data: bytes, size: int) -> Iterator[bytes]:
    step = max(1, size)
    return (data[start : start + step] for start in range(0, len(data), step))
