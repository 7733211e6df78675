"""Read a request's body within limits of size and time."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

if TYPE_CHECKING:
    from starlette.requests import Request

_DRAIN_BYTES = 2 * 1024 * 1024
_DRAIN_SECONDS = 2.0


class RefusedError(Exception):
    """
    The request is answered with no.

    :param status: HTTP status of the answer.
    """

    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        self.reason = reason
        super().__init__(reason)


async def read_body(request: Request, *, limit: int, seconds: float) -> bytes:
    """
    Give a request's whole body.

    :param limit: bytes at most.
    :param seconds: how long it may take to arrive.
    :raises RefusedError: it is larger (413) or takes longer (408).
    :raises starlette.requests.ClientDisconnect: the other side left in the middle of it.
    """
    request.state.body_read = False
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise _too_large(limit)
    except TimeoutError:
        request.state.body_read = True  # as far as it will be
        raise RefusedError(408, f"the body did not arrive within {seconds:g} s") from None
    request.state.body_read = True
    return bytes(body)


async def drain(request: Request) -> None:
    """
    Read what is left of a body after a refusal, for a while, and keep nothing.

    A server that closes with bytes unread resets the connection, and the answer may never be seen.
    """
    left = 0 if getattr(request.state, "body_read", False) else _DRAIN_BYTES
    with contextlib.suppress(TimeoutError, ClientDisconnect, RuntimeError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while left > 0:
                message = await request.receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return


def _too_large(limit: int) -> RefusedError:
    return RefusedError(413, f"the body is larger than {limit:,} bytes")
