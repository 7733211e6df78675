"""Acts out a fault on a connection, or answers as the vendor would."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Final

from airflow_provider_sms.sandbox.connection import ClientConnection
from airflow_provider_sms.sandbox.desk import Call, Desk
from airflow_provider_sms.sandbox.faults import Fault
from airflow_provider_sms.sandbox.wire import GB, Answer

_ACCEPTED: Final = ("reset_after", "cut", "slow", "drip", "close", "wrong_count", "wrong_charset")
_GARBAGE: Final = 512
_HUGE: Final = 64 * 1024 * 1024
_HTML: Final = (
    "<html><head><title>{title}</title></head><body><h1>{title}</h1>"
    "<p>The service you asked for cannot be reached right now.</p></body></html>"
)


def play(connection: ClientConnection, desk: Desk, call: Call, fault: Fault | None) -> Answer | None:
    """Process a call and answer it, with whatever goes wrong; return the answer meant for the client, if any.

    :param connection: where the answer goes
    :param desk: the vendor's
    :param call: what it is asked
    :param fault: what goes wrong, if anything
    :raises ClientGoneError: if the client left first
    """
    if fault is None:
        answer = desk.answer(call)
        connection.send(answer)
        return answer
    if fault.kind == "wrong_count":
        call = replace(call, count_offset=fault.offset)
    if fault.kind == "slow" and fault.accepted is False:
        connection.wait(fault.wait)
    # Here records leave their queue and messages are sent: before a byte of the answer is written.
    accepted = fault.kind in _ACCEPTED if fault.accepted is None else fault.accepted
    real = desk.answer(call) if accepted or fault.kind in ("slow", "cut", "drip", "close") else Answer(b"")
    if fault.kind in ("reset_before", "reset_after"):
        connection.reset()
        return None
    answer = _replaced(desk, call, fault, real)
    _deliver(connection, fault, answer)
    return answer


def _deliver(connection: ClientConnection, fault: Fault, answer: Answer) -> None:
    if fault.kind == "cut":
        connection.send_cut(answer, _kept(fault.at, answer.body), fault.framing, reset=fault.reset)
    elif fault.kind == "drip":
        connection.send_slowly(answer, fault.chunk, fault.wait, fault.framing, headers=fault.headers)
    elif fault.kind == "endless":
        connection.send_endlessly(answer, fault.framing)
    else:
        if fault.kind == "slow" and fault.accepted is not False:
            connection.wait(fault.wait)
        connection.send(answer, fault.framing)
        if fault.kind == "close":
            connection.end()


def _kept(at: float, body: bytes) -> int:
    return int(at * len(body)) if isinstance(at, float) else at


def _replaced(desk: Desk, call: Call, fault: Fault, real: Answer) -> Answer:
    if fault.kind == "status":
        retry = () if fault.retry_after is None else (("Retry-After", str(fault.retry_after)),)
        return Answer(_body(fault, f"Error {fault.status}"), status=fault.status, headers=retry)
    if fault.kind == "busy":
        return desk.busy(call)
    if fault.kind == "garbage":
        # The same bytes every time, so that what a parser did with them can be repeated.
        noise = random.Random(0).randbytes(fault.size or _GARBAGE)  # noqa: S311
        return replace(desk.busy(call), status=200, body=fault.body or noise)
    if fault.kind == "html":
        return Answer(_body(fault, "Service Unavailable"), content_type="text/html; charset=utf-8")
    if fault.kind == "empty":
        return replace(desk.busy(call), status=200, body=b"")
    if fault.kind == "redirect":
        return Answer(b"", status=302, headers=(("Location", _location(call, fault)),))
    if fault.kind == "wrong_charset":
        other = fault.charset or ("utf-8" if real.charset == GB else GB)
        return replace(real, body=real.body.decode(real.charset, "replace").encode(other, "replace"))
    if fault.kind in ("huge", "endless"):
        piece = fault.body or b"0|"
        size = (fault.size or _HUGE) if fault.kind == "huge" else len(piece)
        return replace(desk.busy(call), status=200, body=(piece * (size // len(piece) + 1))[:size])
    return real


def _body(fault: Fault, title: str) -> bytes:
    return _HTML.format(title=title).encode() if fault.body is None else fault.body


def _location(call: Call, fault: Fault) -> str:
    if fault.location is not None:
        return fault.location
    port = call.request.header("host").rpartition(":")[2]
    query = f"?{call.request.query.decode('latin-1')}" if call.request.query else ""
    return f"http://localhost:{port}{call.request.path}{query}"
