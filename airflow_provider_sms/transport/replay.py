"""A transport without a network, for tests: ours, and those of whoever builds on this package."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from airflow_provider_sms.transport.base import MAX_BYTES
from airflow_provider_sms.wire import WireResponse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_sms.wire import WireRequest

    Answer = WireResponse | bytes | BaseException


class ReplayTransport:
    """
    Answers from a script, and remembers what it was asked.

    ::

        transport = ReplayTransport({("GET", "/balance"): [b"100", NoAnswer("reset", surely_not_sent=False)]})

    :param script: per method and path the answers in order: a whole response, the body of a 200, or an
        exception to raise.
    """

    def __init__(self, script: Mapping[tuple[str, str], Iterable[Answer]]) -> None:
        self._script = {key: deque(answers) for key, answers in script.items()}
        #: The requests in the order in which they came, and for each whether it was a fresh one.
        self.requests: list[WireRequest] = []
        self.fresh: list[bool] = []

    def exchange(
        self,
        request: WireRequest,
        *,
        fresh: bool = False,
        deadline: float | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> WireResponse:
        """
        Give the script's next answer for the request's method and path.

        :raises LookupError: the script has no (more) answer for them.
        """
        del deadline, max_bytes
        self.requests.append(request)
        self.fresh.append(fresh)
        answers = self._script.get((request.method, request.path))
        if not answers:
            msg = f"the script has no answer left for {request.method} {request.path}"
            raise LookupError(msg)
        answer = answers.popleft()
        if isinstance(answer, BaseException):
            raise answer
        return WireResponse(200, answer) if isinstance(answer, bytes) else answer

    def close(self) -> None:
        """Do nothing: there are no connections."""
