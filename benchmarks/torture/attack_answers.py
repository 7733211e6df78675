"""Answers of HTTP that are an attack: redirects elsewhere, bodies and headers without an end, bombs."""

from __future__ import annotations

import time
import zlib
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STATUSES = (301, 302, 303, 307, 308)
_OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
_NOTHING = "Connection: close\r\nContent-Length: 0\r\n\r\n"
_GZIP = zlib.MAX_WBITS | 16
_MEGABYTE = 1 << 20
_BLOCK = b"<a>1</a>" * (_MEGABYTE // 8)


def locations(host: str, port: int, own_port: int, other_port: int) -> list[str]:
    """
    Give addresses that a redirect may name; none of them is the connection's, or may be gone to.

    :param host: the trap's, a dotted address of this machine.
    :param own_port: the port of the redirecting server.
    :param other_port: that of a second trap on the server's own host.
    """
    last = host.rpartition(".")[2]
    number = int.from_bytes(bytes(int(part) for part in host.split(".")), "big")
    return [
        f"http://{host}:{port}/",
        f"http://{host}:{port}/steal?account=",
        f"//{host}:{port}/",
        f"https://{host}:{port}/",
        f"HTTP://{host}:{port}",
        f"http://127.0.0.1:{own_port}@{host}:{port}/",
        f"http://{host}:{port}#@127.0.0.1:{own_port}/",
        f"http:\\\\{host}:{port}\\",
        f"/\\{host}:{port}/",
        f"http://{number}:{port}/",
        f"http://{number:#x}:{port}/",
        f"http://127.{last}:{port}/",
        f"http://[::ffff:{host}]:{port}/",
        f" http://{host}:{port}/",
        f"http://127.0.0.1:{other_port}/",
        f"//127.0.0.1:{other_port}/",
        "/elsewhere",
        "?account=",
        "file:///etc/passwd",
        f"ftp://{host}:{port}/",
        f"gopher://{host}:{port}/_x",
        "javascript:0",
        "http://",
    ]


def redirect(status: int, location: str) -> bytes:
    """Give a redirect."""
    return f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\n{_NOTHING}".encode("latin-1")


def asides(url: str) -> dict[str, bytes]:
    """Give other ways to say "go there"."""
    page = f'<html><head><meta http-equiv="refresh" content="0;url={url}"></head></html>'.encode()
    size = b"Content-Length: %d\r\n\r\n" % len(page)
    return {
        "Refresh": _OK + f"Refresh: 0;url={url}\r\n{_NOTHING}".encode(),
        "meta refresh": _OK + size + page,
        "two Locations": f"HTTP/1.1 302 Found\r\nLocation: /a\r\nLocation: {url}\r\n{_NOTHING}".encode(),
        "Content-Location": _OK + f"Content-Location: {url}\r\n{_NOTHING}".encode(),
        "300": f"HTTP/1.1 300 Many\r\nLocation: {url}\r\n{_NOTHING}".encode(),
        "305": f"HTTP/1.1 305 Use Proxy\r\nLocation: {url}\r\n{_NOTHING}".encode(),
        "401": f'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="{url}"\r\n{_NOTHING}'.encode(),
        "101": f"HTTP/1.1 101 Switch\r\nUpgrade: {url}\r\nConnection: upgrade\r\n\r\n".encode(),
    }


def _gigabyte() -> Iterator[bytes]:
    yield _OK + b"Content-Length: %d\r\n\r\n" % (1 << 30)
    for _ in range(1 << 10):
        yield _BLOCK


def _endless_close() -> Iterator[bytes]:
    yield _OK + b"\r\n"
    while True:
        yield _BLOCK


def _endless_chunks() -> Iterator[bytes]:
    yield _OK + b"Transfer-Encoding: chunked\r\n\r\n"
    while True:
        yield b"%x\r\n%s\r\n" % (len(_BLOCK), _BLOCK)


def _drips(first: bytes, drop: bytes) -> Iterator[bytes]:
    yield first
    while True:
        time.sleep(0.02)
        yield drop


def _flood(first: bytes, piece: bytes) -> Iterator[bytes]:
    yield first
    while True:
        yield piece


def _silence() -> Iterator[bytes]:
    time.sleep(20)
    yield b""


@cache
def _bomb(wbits: int, members: int) -> bytes:
    """Give what unfolds to a gigabyte, in so many members; made piece by piece, to take no memory itself."""
    member = bytearray()
    folder = zlib.compressobj(9, zlib.DEFLATED, wbits)
    for _ in range((1 << 10) // members):
        member += folder.compress(_BLOCK)
    return bytes(member + folder.flush()) * members


def _folded(coding: bytes, body: bytes) -> Iterator[bytes]:
    yield _OK + b"Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (coding, len(body)) + body


def floods() -> dict[str, Callable[[], Iterator[bytes]]]:
    """Give servers that will not stop, each as a play of one connection."""
    # Beforehand: what it takes to make them is not the client's.
    for wbits, members in ((_GZIP, 1), (_GZIP, 1 << 10), (zlib.MAX_WBITS, 1)):
        _bomb(wbits, members)
    return {
        "a gigabyte": _gigabyte,
        "endless until the close": _endless_close,
        "endless chunks": _endless_chunks,
        "endless elements": lambda: _flood(_OK + b"\r\n<WsStatusResponse><StatusList>", b"<a/>" * 65536),
        "endless reports, in bars": lambda: _flood(_OK + b"\r\n9|", b"1;13800138000;10|" * 16384),
        "endless replies, in bars": lambda: _flood(_OK + b"\r\n9|", b"1,13800138000;1|" * 16384),
        "endless reports, in lines": lambda: _flood(
            _OK + b"\r\n", b"13800138000/2026-01-01 08:00:00//DELIVRD/1\n" * 8192
        ),
        "dripping body": lambda: _drips(_OK + b"Content-Length: 99999\r\n\r\n", b"1"),
        "dripping chunks": lambda: _drips(_OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n1\r\n"),
        "dripping head": lambda: _drips(_OK, b"X"),
        "silence": _silence,
        "endless head": lambda: _flood(_OK, b"X-A: b\r\n" * 1000),
        "endless header line": lambda: _flood(_OK + b"X-A: ", b"b" * 65536),
        "endless status line": lambda: _flood(b"HTTP/1.1 200 ", b"O" * 65536),
        "many headers": lambda: iter([_OK + b"X-A: b\r\n" * 20_000 + b"Content-Length: 1\r\n\r\n1"]),
        "endless 100": lambda: _flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
        "endless chunk size": lambda: _flood(_OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 65536),
        "endless chunk extension": lambda: _flood(
            _OK + b"Transfer-Encoding: chunked\r\n\r\n1;", b"a=b;" * 16384
        ),
        "endless trailers": lambda: _flood(
            _OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n", b"X-A: b\r\n" * 1000
        ),
        "huge chunk": lambda: _flood(_OK + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n", _BLOCK),
        "length of 30 digits": lambda: _flood(_OK + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n", _BLOCK),
        "length below zero": lambda: iter([_OK + b"Content-Length: -1\r\n\r\n1"]),
        "two lengths": lambda: iter([_OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n12"]),
        "gzip bomb": lambda: _folded(b"gzip", _bomb(_GZIP, 1)),
        "gzip bomb of many members": lambda: _folded(b"gzip", _bomb(_GZIP, 1 << 10)),
        "deflate bomb": lambda: _folded(b"deflate", _bomb(zlib.MAX_WBITS, 1)),
        "no HTTP at all": lambda: iter([b"\x16\x03\x01\x02\x00\x01" * 1000]),
    }
