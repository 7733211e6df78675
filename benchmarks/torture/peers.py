"""Servers on loopback that say what they are told to, byte by byte, and count who comes."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_CHUNK = 13
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n"


def framed(body: bytes, framing: str, keep: int | None = None, head: bytes = _HEAD) -> bytes:
    """
    Give the bytes of an answer.

    :param framing: how the body's end is told: ``length``, ``chunked`` or ``close``.
    :param keep: bytes of the body after which the answer breaks off; all of it if ``None``.
    """
    cut = keep is not None
    kept = body[:keep]
    if framing == "length":
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + kept
    if framing == "close":
        return head + b"\r\n" + kept
    out = [head + b"Transfer-Encoding: chunked\r\n\r\n"]
    for start in range(0, len(kept), _CHUNK):
        # A chunk says how long it would have been, so that a cut may fall into one or between two.
        out.append(b"%x\r\n" % len(body[start : start + _CHUNK]))
        out.append(kept[start : start + _CHUNK])
        if start + _CHUNK <= len(kept) or len(kept) == len(body):
            out.append(b"\r\n")
    return b"".join(out) + (b"" if cut else b"0\r\n\r\n")


class Peer:
    """
    A server that plays one part; use it as a context manager.

    Each connection is for one request, and closed behind the answer.

    :param host: an address of this machine's loopback.
    :param play: gives the pieces of the answer to a request's bytes; none closes the connection.
    """

    def __init__(self, play: Callable[[bytes], Iterator[bytes]], host: str = "127.0.0.1") -> None:
        self.play = play
        #: Connections that came.
        self.accepted = 0
        self._listener = socket.create_server((host, 0), backlog=64)
        self.host, self.port = self._listener.getsockname()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening; answers that still run end with their clients."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.accepted += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(60)
            request = _heard(connection)
            if not request:
                return
            for piece in self.play(request):
                connection.sendall(piece)
            # Wait for the other side: a close with unread bytes would be a reset.
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)


class Script(Peer):
    """A peer whose next answer is set before each request."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.answer = b""
        super().__init__(lambda _: iter([self.answer]), host)


def _heard(connection: socket.socket) -> bytes:
    """Read one request, its body included."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    fields = (line.lower().partition(b":") for line in head.split(b"\r\n"))
    length = next((int(value) for name, _, value in fields if name == b"content-length"), 0)
    while len(body) < length:
        more = connection.recv(65536)
        if not more:
            return b""
        body += more
    return head + b"\r\n\r\n" + body
