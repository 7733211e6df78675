"""A TCP relay in the middle: it can be cut, and it tells when the first bytes of an answer pass."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

_RESET = struct.pack("ii", 1, 0)


class Relay:
    """
    Passes bytes between a port of its own and another; use it as a context manager.

    :param port: where to, on this machine.
    :param on_answer: called before the first bytes of each connection's each answer go back to the client.
    """

    def __init__(self, port: int, on_answer: Callable[[], None] = lambda: None) -> None:
        self._to = port
        self._on_answer = on_answer
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._away = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        """Begin to pass."""
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """End all."""
        self.cut()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def cut(self) -> None:
        """Reset all connections, and each that comes until :meth:`mend`."""
        with self._lock:
            self._away = True
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    each.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Pass again."""
        with self._lock:
            self._away = False

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with self._lock:
                    away = self._away
                if away:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    client.close()
                else:
                    self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        server = socket.create_connection(("127.0.0.1", self._to))
        with self._lock:
            self._open |= {client, server}
        asked = threading.Event()
        for source, sink, answer in ((client, server, False), (server, client, True)):
            threading.Thread(
                target=self._pass, args=(source, sink, asked), kwargs={"answer": answer}, daemon=True
            ).start()

    def _pass(
        self, source: socket.socket, sink: socket.socket, asked: threading.Event, *, answer: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if not answer:
                    asked.set()
                elif asked.is_set():
                    asked.clear()
                    self._on_answer()
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
            with self._lock:
                self._open.discard(each)
