"""
Undo compression that nobody asked for.

Requests say ``Accept-Encoding: identity``; a server, or a gateway before it, may compress all the same.
"""

from __future__ import annotations

import zlib

_GZIP = zlib.MAX_WBITS | 16
#: "deflate" is zlib by the standard; some servers send the bare stream.
_WBITS = {
    "gzip": (_GZIP,),
    "x-gzip": (_GZIP,),
    "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS),
}


def decode(body: bytes, coding: str, max_bytes: int) -> tuple[bytes, str] | None:
    """
    Decompress a body, as far as it goes.

    :param body: bytes as they came, perhaps cut off.
    :param coding: the answer's Content-Encoding.
    :param max_bytes: bytes to make of it at most: a small body may unfold to any size.
    :return: the bytes and what is wrong with them, or ``None`` if it cannot be undone: the raw bytes are
        then the best there is.
    """
    for wbits in _WBITS.get(coding.strip().lower(), ()):
        try:
            return _inflate(body, wbits, max_bytes)
        except zlib.error:
            continue
    return None


def _inflate(body: bytes, wbits: int, max_bytes: int) -> tuple[bytes, str]:
    out = bytearray()
    rest = body
    while True:
        stream = zlib.decompressobj(wbits)
        out += stream.decompress(rest, max_bytes - len(out) + 1)
        if len(out) > max_bytes:
            return bytes(out[:max_bytes]), f"the answer unfolds to more than {max_bytes} bytes"
        if not stream.eof:
            return bytes(out), "the compressed answer ends early"
        # gzip may be several streams in a row; anything else behind the end is padding.
        rest = stream.unused_data
        if wbits != _GZIP or not rest.startswith(b"\x1f\x8b"):
            return bytes(out), ""
