"""Sandboxes in a process of their own: a proof that forks must not have their threads."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

#: Accounts that never run dry, and that may be asked at any pace.
_ROOMY = {
    "balance": 10**9,
    "smsadmin_balance": 10**9,
    "smsadmin_poll_interval": 0,
    "linkws_balance_interval": 0,
}


@dataclass(frozen=True)
class RemoteSandbox:
    """One of them: ``sandbox("calls.count", "wavecom", "reports")`` calls its method there."""

    _pipe: Connection
    _number: int

    def __call__(self, method: str, /, *given: Any, **named: Any) -> Any:
        """Call a method of the sandbox, of its ``calls`` or of its ``faults``."""
        self._pipe.send((self._number, method, given, named))
        answer, error = self._pipe.recv()
        if error is not None:
            raise error
        return answer


class Sandboxes:
    """
    So many sandboxes behind as many ports of this machine; use it as a context manager.

    :param count: how many.
    :param changes: settings, over accounts that never run dry.
    """

    def __init__(self, count: int, **changes: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        given = (theirs, count, _ROOMY | changes)
        self._process = context.Process(target=_serve, args=given, daemon=True)
        self._count = count

    def __enter__(self) -> Self:
        """Start them and wait until they serve."""
        self._process.start()
        self._pipe.recv()
        return self

    def __exit__(self, *_: object) -> None:
        """End them."""
        with contextlib.suppress(OSError):
            self._pipe.send(None)
        self._process.join(10)

    def __getitem__(self, number: int) -> RemoteSandbox:
        """Give one of them."""
        if not 0 <= number < self._count:
            raise IndexError(number)
        return RemoteSandbox(self._pipe, number)


def _serve(pipe: Connection, count: int, changes: dict[str, Any]) -> None:
    from airflow_provider_sms.sandbox import Sandbox

    logging.disable()
    # An interrupted proof ends by closing the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.ExitStack() as opened:
        sandboxes = [opened.enter_context(Sandbox(**changes)) for _ in range(count)]
        pipe.send(None)
        with contextlib.suppress(EOFError):
            while (asked := pipe.recv()) is not None:
                number, method, given, named = asked
                pipe.send(_answer(sandboxes[number], method, given, named))


def _answer(sandbox: Any, method: str, given: Any, named: Any) -> tuple[Any, Exception | None]:
    called = sandbox
    for name in method.split("."):
        called = getattr(called, name)
    try:
        answer = called(*given, **named)
    except Exception as error:  # noqa: BLE001 - raised at the other end
        return None, error
    # What was put into a queue is many records; nobody asks for them that way.
    return (len(answer) if method.startswith("queue_") else answer), None
