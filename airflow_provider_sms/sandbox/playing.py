"""Acts out a fault on a connection, or answers as the vendor would."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from airflow_provider_sms.sandbox.wire import GB, Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_sms.sandbox.connection import ClientConnection
    from airflow_provider_sms.sandbox.desk import Call, Desk
    from airflow_provider_sms.sandbox.faults import Fault

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
    if fault.kind == "busy":
        return desk.busy(call)
    if fault.kind in _OTHERWISE:
        return _OTHERWISE[fault.kind](call, fault)
    if fault.kind in _BODIES:
        # The vendor's own header, with a body that is none of its answers.
        return replace(desk.busy(call), status=200, body=_BODIES[fault.kind](fault))
    if fault.kind == "wrong_charset":
        other = fault.charset or ("utf-8" if real.charset == GB else GB)
        return replace(real, body=real.body.decode(real.charset, "replace").encode(other, "replace"))
    return real


def _status(call: Call, fault: Fault) -> Answer:
    del call
    retry = () if fault.retry_after is None else (("Retry-After", str(fault.retry_after)),)
    return Answer(_page(fault, f"Error {fault.status}"), status=fault.status, headers=retry)


def _html(call: Call, fault: Fault) -> Answer:
    del call
    return Answer(_page(fault, "Service Unavailable"), content_type="text/html; charset=utf-8")


def _redirect(call: Call, fault: Fault) -> Answer:
    location = fault.location
    if location is None:
        port = call.request.header("host").rpartition(":")[2]
        query = f"?{call.request.query.decode('latin-1')}" if call.request.query else ""
        location = f"http://localhost:{port}{call.request.path}{query}"
    return Answer(b"", status=302, headers=(("Location", location),))


def _garbage(fault: Fault) -> bytes:
    # The same bytes every time, so that what a parser did with them can be repeated.
    return fault.body or random.Random(0).randbytes(fault.size or _GARBAGE)  # noqa: S311


def _huge(fault: Fault) -> bytes:
    piece, size = fault.body or b"0|", fault.size or _HUGE
    return (piece * (size // len(piece) + 1))[:size]


def _page(fault: Fault, title: str) -> bytes:
    return _HTML.format(title=title).encode() if fault.body is None else fault.body


_OTHERWISE: Final[dict[str, Callable[[Call, Fault], Answer]]] = {
    "status": _status,
    "html": _html,
    "redirect": _redirect,
}
_BODIES: Final[dict[str, Callable[[Fault], bytes]]] = {
    "garbage": _garbage,
    "empty": lambda _: b"",
    "huge": _huge,
    "endless": lambda fault: fault.body or b"0|",
}
