"""The HTTP server: reads requests, keeps connections alive, and can close its door for a while."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Final

from airflow_provider_sms.sandbox.connection import ClientConnection, ClientGoneError
from airflow_provider_sms.sandbox.wire import Answer, Request

_POLL: Final = 0.02
_LARGEST_BODY: Final = 64 * 1024 * 1024

Respond = Callable[[Request, ClientConnection], None]


class UnreadableRequestError(Exception):
    """The request's body cannot be read by HTTP's rules."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.server.idle_timeout)
        self.client = ClientConnection(self.connection, self.server.stopping)
        self.server.open_connections[self.connection] = False

    def finish(self) -> None:
        self.server.open_connections.pop(self.connection, None)
        # Both are closed here so that a reset is not preceded by an orderly end.
        with contextlib.suppress(OSError):
            self.wfile.close()
            self.rfile.close()

    def handle_one_request(self) -> None:
        with contextlib.suppress(OSError, ClientGoneError):
            super().handle_one_request()
            return
        self.close_connection = True

    def do_GET(self) -> None:
        """Answer a GET."""
        self._answer()

    do_POST = do_DELETE = do_GET  # noqa: N815 - the names http.server looks for

    def _answer(self) -> None:
        self.server.open_connections[self.connection] = True
        try:
            request = self._read()
        except (UnreadableRequestError, ValueError) as error:
            self.client.keep_alive = False
            self.close_connection = True
            self.client.send(Answer(f"{error}\n".encode(), status=400, content_type="text/plain"))
            return
        self.client.keep_alive = not self.close_connection
        self.server.respond(request, self.client)
        if self.client.ended or not self.client.keep_alive:
            self.close_connection = True
        self.server.open_connections[self.connection] = False

    def _read(self) -> Request:
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = self._read_chunked()
        else:
            length = int(headers.get("content-length") or 0)
            if not 0 <= length <= _LARGEST_BODY:
                raise UnreadableRequestError("the body is too long")
            body = self.rfile.read(length) if length else b""
            if len(body) < length:
                raise UnreadableRequestError("the body is shorter than announced")
        # The request line was read as Latin-1: this gives back its bytes, escaped or not.
        return Request(self.command, path, query.encode("latin-1"), headers, body)

    def _read_chunked(self) -> bytes:
        body = bytearray()
        while size := int(self.rfile.readline(100).partition(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline(3)
            if len(body) > _LARGEST_BODY:
                raise UnreadableRequestError("the body is too long")
        while self.rfile.readline(1000).strip():
            pass
        return bytes(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as inherited
        """Print nothing: the request line holds passwords and numbers."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(
        self,
        address: tuple[str, int],
        respond: Respond,
        stopping: threading.Event,
        idle_timeout: float | None,
        open_connections: dict[socket.socket, bool],
    ) -> None:
        self.respond = respond
        self.stopping = stopping
        self.idle_timeout = idle_timeout
        self.open_connections = open_connections
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without asking the resolver for this machine's name, which may hang."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def shutdown_request(self, request: Any) -> None:
        """Close at once: what had to be shut down in order has been."""
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about clients that went away, let everything else be seen."""
        del request, client_address
        import sys
        import traceback

        if not isinstance(sys.exc_info()[1], OSError | ClientGoneError):
            traceback.print_exc()


class Listener:
    """Serves in the background, and can refuse connections for a while.

    :param host: address to bind
    :param port: port to bind, 0 for a free one
    :param respond: answers one request
    :param idle_timeout: seconds after which an idle kept-alive connection is closed
    """

    def __init__(self, host: str, port: int, respond: Respond, idle_timeout: float | None) -> None:
        """Bind, without serving yet."""
        self.stopping = threading.Event()
        self._respond = respond
        self._idle_timeout = idle_timeout
        self._closed = threading.Event()
        self._refusing = threading.Lock()
        self._pause = 0.0
        # Whether each open connection has a request in progress; they outlive a refusal.
        self._open_connections: dict[socket.socket, bool] = {}
        self.host = host
        self._server = self._bind(port)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._run, name="sms-sandbox", daemon=True)

    @property
    def refusing(self) -> bool:
        """Whether connections are refused at this moment."""
        return self._closed.is_set()

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and drop every connection."""
        self.stopping.set()
        if not self._thread.is_alive():
            # Waiting for a loop that never ran would last for ever.
            self._server.server_close()
            return
        with self._refusing:
            if not self._closed.is_set():
                self._server.shutdown()
        self._thread.join(5)
        self._drop_connections(idle_only=False)

    def refuse(self, seconds: float) -> None:
        """Refuse connections from now on, for so many seconds; idle connections are dropped.

        :param seconds: how long; a second call while refusing changes nothing
        :raises RuntimeError: before the start
        """
        if self._thread.ident is None:
            raise RuntimeError("start the sandbox before it can refuse connections")
        with self._refusing:
            if self._closed.is_set() or self.stopping.is_set():
                return
            self._pause = seconds
            self._server.shutdown()
            self._closed.wait(5)
            self._drop_connections(idle_only=True)

    def _run(self) -> None:
        while not self.stopping.is_set():
            self._server.serve_forever(_POLL)
            self._server.server_close()
            if self.stopping.is_set():
                break
            with socket.socket() as holder:
                # A bound socket that does not listen keeps the port ours, and refuses.
                holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                holder.bind((self.host, self.port))
                self._closed.set()
                self.stopping.wait(self._pause)
            self._server = self._bind(self.port)
            self._closed.clear()

        self._server.server_close()

    def _bind(self, port: int) -> _Server:
        return _Server(
            (self.host, port), self._respond, self.stopping, self._idle_timeout, self._open_connections
        )

    def _drop_connections(self, *, idle_only: bool) -> None:
        for connection, at_work in list(self._open_connections.items()):
            if not (idle_only and at_work):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
