"""
Connections on which every operation ends at the deadline of the current call.

An HTTP library's time-outs bound one read or write each, so a peer that sends a byte now and then can
hold a caller for ever, also between two header bytes, where no library hands anything out. httpcore
lets its users bring their own network backend; this one gives each operation only the seconds that the
whole call has left.

This module imports httpcore and is therefore itself imported where it is used.
"""

from __future__ import annotations

import ipaddress
import queue
import select
import socket
import ssl
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpcore

from airflow_provider_sms.transport.call import current

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)
_Address = tuple[int, Any]


class DeadlineStream(httpcore.NetworkStream):
    """One connection. The time-outs that httpcore passes are ignored for the call's own deadline."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what is there, or wait for something until the deadline."""
        with _mapped(httpcore.ReadTimeout, httpcore.ReadError):
            self._sock.settimeout(_left(timeout))
            if _QUICK_ACK is not None:
                # A server that writes head and body apart waits for the head's acknowledgement, which
                # Linux holds back for 40 ms on a kept connection. The option lasts for one answer only.
                self._sock.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)
            data = self._sock.recv(max_bytes)
        call = current.get()
        if not data and call is not None:
            call.ended = True
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of it until the deadline."""
        call = current.get()
        view = memoryview(buffer)
        with _mapped(httpcore.WriteTimeout, httpcore.WriteError):
            while view:
                # Per piece: a peer that reads slowly must not get the whole time again for each.
                self._sock.settimeout(_left(timeout))
                if call is not None and (not call.by_tls or isinstance(self._sock, ssl.SSLSocket)):
                    # Before the attempt: a write that fails may have got some bytes out.
                    call.touched = True
                view = view[self._sock.send(view) :]

    def close(self) -> None:
        """Close the connection."""
        self._sock.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> DeadlineStream:
        """Shake hands until the deadline (Python bounds a whole handshake, not its single reads)."""
        if isinstance(self._sock, ssl.SSLSocket):
            # TLS inside TLS: an https:// proxy in front of an https:// vendor.
            self.close()
            msg = "TLS cannot be carried inside TLS"
            raise httpcore.ConnectError(msg)
        with _mapped(httpcore.ConnectTimeout, httpcore.ConnectError):
            try:
                self._sock.settimeout(_left(timeout))
                return DeadlineStream(ssl_context.wrap_socket(self._sock, server_hostname=server_hostname))
            except BaseException:
                self.close()
                raise

    def get_extra_info(self, info: str) -> Any:
        """Answer httpcore's questions about a kept connection."""
        if info == "socket":
            return self._sock
        if info == "ssl_object":
            return self._sock if isinstance(self._sock, ssl.SSLSocket) else None
        if info == "is_readable":
            return _readable(self._sock)
        return None


class DeadlineBackend(httpcore.NetworkBackend):
    """Opens connections within the deadline, name resolution and all addresses included."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> DeadlineStream:
        """Try the host's addresses in turn; each gets a fair share of what time is left."""
        del local_address, socket_options  # the pools here set neither
        with _mapped(httpcore.ConnectTimeout, httpcore.ConnectError):
            addresses = _resolve(host, port, _left(timeout))
            problem: OSError = OSError("the name has no address")
            for position, (family, address) in enumerate(addresses):
                share = _left(timeout)
                if share is not None:
                    share /= len(addresses) - position
                try:
                    return DeadlineStream(_connect(family, address, share))
                except OSError as error:
                    problem = error
            raise problem


def _left(timeout: float | None) -> float | None:
    call = current.get()
    return timeout if call is None else call.left()


@contextmanager
def _mapped(on_timeout: type[Exception], on_error: type[Exception]) -> Iterator[None]:
    """Turn the system's errors into httpcore's, which keeps the cause as the first argument."""
    try:
        yield
    except TimeoutError as error:
        raise on_timeout(error) from error
    except OSError as error:
        raise on_error(error) from error


def _connect(family: int, address: Any, timeout: float | None) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(address)
        # Header and body are two writes: the second must not wait for the first's acknowledgement.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock


def _resolve(host: str, port: int, timeout: float | None) -> list[_Address]:
    """
    Find a host's addresses, in time.

    The system's resolver has no time-out of its own that we could set, so a name is looked up in a
    thread that is left behind when it is late (a daemon: it must not hold up the process's end).
    """
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return _look_up(host, port)
    answers: queue.SimpleQueue[list[_Address] | Exception] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put(_look_up(host, port))
        except Exception as error:  # noqa: BLE001 - it is raised in the caller's thread
            answers.put(error)

    threading.Thread(target=run, name="sms-resolver", daemon=True).start()
    try:
        answer = answers.get(timeout=timeout)
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _look_up(host: str, port: int) -> list[_Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


def _readable(sock: socket.socket) -> bool:
    """Whether an idle connection has something to say: it can only be the peer's goodbye."""
    if sock.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
