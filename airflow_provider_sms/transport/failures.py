"""
Why no answer came, and whether the request can have reached the vendor.

"Surely not sent" needs proof. There are two kinds: no byte was handed to a connection yet, or the
failure is one of those that can only happen before the request is written. Everything else is
unknown, above all what nobody has thought of.
"""

from __future__ import annotations

import os
import socket
import ssl
from typing import TYPE_CHECKING

from airflow_provider_sms.errors import SmsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_sms.transport.call import Call

#: Failures of httpx and httpcore (which share their names) that come before the request itself.
NOT_SENT = frozenset(
    {"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol", "InvalidURL", "ProxyError"}
)

#: Those that may come when the vendor has it already. A name that is in neither set counts as one of these.
UNKNOWN = frozenset(
    {
        # bases, raised for what has no class of its own
        *("HTTPError", "RequestError", "TransportError", "TimeoutException", "NetworkError", "ProtocolError"),
        # Some bytes may be out when a write fails, and a whole request when its last write "times out".
        *("WriteError", "WriteTimeout", "ReadError", "ReadTimeout", "CloseError"),
        # Local ones, too: a body longer than declared is noticed when its head is gone already.
        *(
            "LocalProtocolError",
            "RemoteProtocolError",
            "DecodingError",
            "TooManyRedirects",
            "HTTPStatusError",
        ),
        *(
            "CookieConflict",
            "StreamError",
            "StreamConsumed",
            "StreamClosed",
            "ResponseNotRead",
            "RequestNotRead",
        ),
        "ConnectionNotAvailable",
    }
)

_WORDS = {
    "ProxyError": "the proxy refused to connect to the vendor",
    "UnsupportedProtocol": "the connection's address is no http:// or https:// address",
    "InvalidURL": "the connection's address cannot be read",
    "ReadError": "the connection was reset before an answer",
    "WriteError": "the connection was reset before an answer",
}

_LIBRARIES = ("httpx", "httpcore")
_DEEPEST = 8


class NoAnswer(SmsError):
    """
    No answer began.

    :param reason: why, in words that hold no address, query, header or body.
    :param surely_not_sent: whether it is proved that the request did not reach the vendor.
    """

    def __init__(self, reason: str, *, surely_not_sent: bool) -> None:
        self.reason = reason
        self.surely_not_sent = surely_not_sent
        super().__init__(reason)


class RedirectRefused(NoAnswer):
    """
    The vendor's host answered with a redirect that is not followed.

    Most such answers mean that nothing was done, but a host may as well do the work and then redirect
    (that is what 303 is for), so a refused redirect proves nothing: ``surely_not_sent`` is false.

    :param reason: why it is not followed and what to do.
    :param host: the host that it leads to.
    """

    def __init__(self, reason: str, *, host: str) -> None:
        self.host = host
        super().__init__(reason, surely_not_sent=False)


def surely_not_sent(error: BaseException) -> bool:
    """Whether an error of httpx or httpcore can only come before a request is written."""
    for kind in type(error).__mro__:
        if kind.__module__.split(".", 1)[0] in _LIBRARIES and kind.__name__ in NOT_SENT | UNKNOWN:
            return kind.__name__ in NOT_SENT
    return False


def no_answer(error: BaseException, call: Call) -> NoAnswer:
    """
    Make of any failure before an answer the one that callers handle.

    Raise it outside of the ``except`` block: the original must not hang on it, as its text may quote
    the request's address or the peer's bytes.

    :param error: what the HTTP library, or anything below it, raised.
    :param call: the exchange that failed.
    """
    return NoAnswer(_reason(error, call), surely_not_sent=surely_not_sent(error) or not call.touched)


def cut_short(error: BaseException, call: Call, size: int) -> str:
    """
    Say why a body is not whole.

    :param error: what was raised while the body was read.
    :param size: bytes that had arrived.
    """
    if _is_timeout(error):
        return f"the answer was not whole within {call.seconds:g} s; {size} bytes had arrived"
    if _is(error, "RemoteProtocolError") and not call.ended:
        return f"the answer breaks the rules of HTTP after {size} bytes of its body"
    return f"the connection was cut after {size} bytes of the answer's body"


def _reason(error: BaseException, call: Call) -> str:
    if _is_timeout(error):
        waited = "connection" if not call.touched or _is(error, "ConnectTimeout") else "answer"
        return f"no {waited} within {call.seconds:g} s"
    if _is(error, "ConnectError"):
        return _not_connected(error)
    if _is(error, "RemoteProtocolError"):
        return "the connection was closed before an answer" if call.ended else "the answer is not HTTP"
    for name, words in _WORDS.items():
        if _is(error, name):
            return words
    # Only the kind: the texts of such errors quote what could not be written or read.
    what = "the exchange failed" if call.touched else "the request could not be made"
    return f"{what} ({type(error).__name__})"


def _not_connected(error: BaseException) -> str:
    cause = next((found for found in _causes(error) if isinstance(found, OSError)), None)
    match cause:
        case socket.gaierror():
            return "the host name could not be resolved"
        case ConnectionRefusedError():
            return "connection refused"
        case ssl.SSLCertVerificationError():
            return "TLS certificate not accepted"
        case ssl.SSLError():
            return "no TLS connection: the two sides could not agree"
        case OSError(errno=int(number)):
            # Only the system's own words for the number: the error's text may hold more.
            return f"no connection: {os.strerror(number)}"
    return "no connection"


def _is(error: BaseException, *names: str) -> bool:
    return any(kind.__name__ in names for kind in type(error).__mro__)


def _is_timeout(error: BaseException) -> bool:
    return _is(error, "TimeoutException", "TimeoutError")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk to what lies below: httpcore keeps it as an argument, httpx as the cause."""
    found: object = error
    for _ in range(_DEEPEST):
        if not isinstance(found, BaseException):
            return
        yield found
        below = found.__cause__ or found.__context__
        found = below if below is not None else next(iter(found.args), None)
