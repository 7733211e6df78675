"""
HTTP to one endpoint: every request goes out once, and whatever comes back is kept.

This sits on httpcore, the lower half of httpx, because only there a network backend of one's own can be
given (see :mod:`~airflow_provider_sms.transport.deadline`). What the upper half adds would have to be
switched off again: it keeps cookies, logs addresses, follows redirects, decodes bodies and drops the
bytes of those it cannot.
"""

from __future__ import annotations

import email.utils
import re
import threading
import time
from typing import TYPE_CHECKING, Self

from airflow_provider_sms import __version__
from airflow_provider_sms.transport import content_coding, redirects
from airflow_provider_sms.transport.base import MAX_BYTES
from airflow_provider_sms.transport.call import Call, silence_library, under_way
from airflow_provider_sms.transport.failures import NoAnswer, RedirectRefused, cut_short, no_answer
from airflow_provider_sms.wire import WireResponse

if TYPE_CHECKING:
    from types import TracebackType

    import httpcore

    from airflow_provider_sms.wire import Endpoint, WireRequest

#: Fields that are ours to set, as they belong to the framing.
_OURS = frozenset({"host", "accept-encoding", "connection", "content-length", "transfer-encoding"})


class HttpTransport:
    """
    Carries requests to one endpoint.

    Connections are reused, except by ``fresh`` requests. Proxies come from the endpoint alone: the
    environment's ``HTTP_PROXY`` and its kin are not read, since requests bear credentials and a worker's
    environment is nobody's decision about where those go. No cookie is kept.

    Thread-safe. No error, warning or log record shows an address, a query, a header field or a body.

    :param endpoint: where to, and how.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._pools: dict[bool, httpcore.ConnectionPool] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection; the transport may be used again and then opens new ones."""
        with self._lock:
            pools = list(self._pools.values())
            self._pools.clear()
        for pool in pools:
            pool.close()

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
        :param fresh: use a new connection and close it afterwards, as submits must: on a kept one that
            the vendor just gave up, a surely-not-sent turns into an unknown. Redirects that may mean that
            the work is done already are not followed then.
        :param deadline: seconds for all of it, from the name's resolution to the last byte, however
            slowly the vendor drips; the endpoint's ``timeout`` if ``None``.
        :param max_bytes: bytes of the body to keep at most.
        :return: the answer; ``complete`` and ``problem`` say whether it is whole.
        :raises RedirectRefused: the answer is a redirect that the connection does not allow.
        :raises NoAnswer: no answer began; ``surely_not_sent`` says what that means.
        """
        call = Call(self._endpoint.timeout if deadline is None else deadline)
        with under_way(call):
            try:
                return self._follow(request, call, fresh=fresh, max_bytes=max_bytes)
            except NoAnswer as error:
                failure = error.with_traceback(None)
            except Exception as error:  # noqa: BLE001 - what is not known must not look like "not sent"
                failure = no_answer(error, call)
        # Out here nothing hangs on it: the causes quote addresses and the peer's bytes.
        raise failure

    def _follow(self, request: WireRequest, call: Call, *, fresh: bool, max_bytes: int) -> WireResponse:
        address = redirects.below(self._endpoint.base_url, request.path, request.query)
        for _ in range(redirects.MOST_HOPS + 1):
            answer, location = self._hop(address, request, call, fresh=fresh, max_bytes=max_bytes)
            if not location:
                return answer
            address = redirects.follow(
                address,
                location,
                status=answer.status,
                request=request,
                allowed=self._endpoint.redirect_hosts,
                once=fresh,
            )
        msg = (
            f"the vendor redirects more than {redirects.MOST_HOPS} times; the last redirect was not followed"
        )
        raise RedirectRefused(msg, host=address.host)

    def _hop(
        self, address: redirects.Address, request: WireRequest, call: Call, *, fresh: bool, max_bytes: int
    ) -> tuple[WireResponse, str]:
        """Send a request to one address; give the answer and, for a redirect, where it leads."""
        pool = self._pool(fresh=fresh)
        redirected, call.by_tls = call.touched, address.scheme == "https"
        try:
            with pool.stream(
                request.method,
                _url(address),
                headers=_fields(address, request, fresh=fresh),
                # An empty POST still says that its length is nought; a GET has no length.
                content=request.body or (None if request.method == "GET" else b""),
            ) as response:
                return _read(response, call, max_bytes)
        except Exception as error:
            if not redirected:
                raise
            failure = no_answer(error, call)
        # The first host had the request already: that its successor cannot be reached proves nothing.
        msg = f"after a redirect: {failure.reason}"
        raise NoAnswer(msg, surely_not_sent=False)

    def _pool(self, *, fresh: bool) -> httpcore.ConnectionPool:
        with self._lock:
            if fresh not in self._pools:
                from airflow_provider_sms.transport.pools import open_pool

                self._pools[fresh] = open_pool(self._endpoint, keep=not fresh)
                silence_library()
            return self._pools[fresh]


def retry_after(response: WireResponse) -> float | None:
    """
    Read how many seconds an answer asks to wait (RFC 9110 §10.2.3); ``None`` if it does not say.

    A moment in the past is 0 seconds.
    """
    value = response.headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - time.time())


def _url(address: redirects.Address) -> httpcore.URL:
    import httpcore

    return httpcore.URL(
        scheme=address.scheme, host=address.host, port=address.port, target=address.target.encode("ascii")
    )


def _fields(address: redirects.Address, request: WireRequest, *, fresh: bool) -> list[tuple[bytes, bytes]]:
    fields = {"user-agent": f"airflow-provider-sms/{__version__}", "accept": "*/*"}
    fields |= {name.lower(): value for name, value in request.headers.items() if name.lower() not in _OURS}
    fields |= {"accept-encoding": "identity", "connection": "close" if fresh else "keep-alive"}
    fields = {"host": address.host_and_port, **fields}
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in fields.items()]


def _read(response: httpcore.Response, call: Call, max_bytes: int) -> tuple[WireResponse, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in response.headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if response.status in redirects.STATUSES and headers.get("location"):
        # Unread: leaving the response closes its connection.
        return WireResponse(response.status, b"", headers), headers["location"]
    body, problem = _body(response, call, max_bytes)
    coding = headers.get("content-encoding", "identity")
    if coding.strip().lower() not in {"", "identity"}:
        body, unfolding = content_coding.decode(body, coding, max_bytes) or (
            body,
            "the answer's coding is unreadable",
        )
        problem = problem or unfolding
    return WireResponse(response.status, body, headers, complete=not problem, problem=problem), ""


def _body(response: httpcore.Response, call: Call, max_bytes: int) -> tuple[bytes, str]:
    chunks: list[bytes] = []
    size = 0
    try:
        for chunk in response.iter_stream():
            chunks.append(chunk[: max_bytes - size])
            size += len(chunks[-1])
            if len(chunk) > len(chunks[-1]):
                return b"".join(chunks), f"the answer is longer than {max_bytes} bytes; the rest was not read"
    except Exception as error:  # noqa: BLE001 - the bytes that came are the only copy, whatever happened
        return b"".join(chunks), cut_short(error, call, size)
    return b"".join(chunks), ""
