"""What every transport can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from airflow_provider_sms.wire import WireRequest, WireResponse

#: Bytes of an answer that are kept unless the caller says otherwise.
MAX_BYTES = 64 * 1024 * 1024


class Transport(Protocol):
    """Something that takes a request to a vendor and brings back whatever bytes it answers."""

    def exchange(
        self,
        request: WireRequest,
        *,
        fresh: bool = False,
        deadline: float | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> WireResponse:
        """
        Send a request once and read its answer, as far as it comes.

        :param request: what to send.
        :param fresh: use a new connection and close it afterwards, and follow no redirect that may mean that
            the work is done already.
        :param deadline: seconds for all of it; the endpoint's ``timeout`` if ``None``.
        :param max_bytes: bytes of the body to keep at most.
        :return: the answer; ``complete`` and ``problem`` say whether it is whole.
        :raises NoAnswer: no answer began; ``surely_not_sent`` says what that means.
        """
        ...

    def close(self) -> None:
        """Close every connection; the transport may be used again and then opens new ones."""
        ...
