"""
Peers on loopback, played by the tests themselves.

A play is a function that gets its peer, an accepted socket and the connection's number.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import threading

import pytest

from airflow_provider_sms.transport.http import HttpTransport
from airflow_provider_sms.wire import Endpoint


class Peer:
    """A listening socket whose connections are played by a function, each in a thread."""

    def __init__(self, play) -> None:
        self.accepted = 0
        self.heard = []
        self._play = play
        self._open = []
        self._threads = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._start(self._accept)

    def _start(self, target, args=()):
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                self.accepted += 1
                self._start(self._serve, (connection, self.accepted))

    def _serve(self, connection, number):
        with contextlib.suppress(OSError), connection:
            self._play(self, connection, number)

    def listen(self, connection):
        """Read one request and remember it; empty when the connection was closed instead."""
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
            body += connection.recv(65536)
        self.heard.append(head + b"\r\n\r\n" + body)
        return self.heard[-1]

    def close(self):
        """Close everything and wait for the play to end."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in self._threads:
            thread.join(5)


class Peers:
    """Starts peers and closes them."""

    def __init__(self) -> None:
        self._peers = []

    def __call__(self, play) -> Peer:
        """Start one."""
        self._peers.append(Peer(play))
        return self._peers[-1]

    def always(self, answer):
        """Give every request the same answer, over as many connections as the client likes."""

        def play(peer, connection, _):
            while peer.listen(connection):
                connection.sendall(answer)

        return self(play)

    def once(self, answer):
        """Answer one request a connection and close it."""

        def play(peer, connection, _):
            if peer.listen(connection):
                connection.sendall(answer)

        return self(play)

    def close(self):
        """Close all of them."""
        for peer in self._peers:
            peer.close()


@pytest.fixture
def serve():
    """Start a peer: ``serve(play)``, ``serve.always(answer)`` or ``serve.once(answer)``."""
    with contextlib.closing(Peers()) as peers:
        yield peers


@pytest.fixture
def transport():
    """Make a transport: ``transport(base_url, timeout=…, redirect_hosts=…)``."""
    with contextlib.ExitStack() as stack:
        yield lambda url, **fields: stack.enter_context(HttpTransport(Endpoint(url, **fields)))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Make a certificate that nobody has signed; one in a repository would get copied, key and all."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + built.public_bytes(serialization.Encoding.PEM)
    )
    return path
