"""What goes out over HTTP, over which connections, and what it means when no answer comes."""

from __future__ import annotations

import datetime as dt
import socket
import struct
import threading
import time
from email.utils import format_datetime

import pytest

from airflow_provider_sms.transport.failures import NoAnswer
from airflow_provider_sms.transport.http import retry_after
from airflow_provider_sms.wire import WireRequest, WireResponse

CANARY = "canary-7f3a"
ASK = WireRequest("GET", "/ask", f"pwd={CANARY}")
SEND = WireRequest("POST", "/send", f"pwd={CANARY}", CANARY.encode(), {"X-Secret": CANARY})
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def reset(connection):
    """Close with RST in place of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


# --- what goes out ---


def test_a_get_goes_out_as_it_was_written(serve, transport):
    """The query is not re-encoded: GBK stays GBK."""
    peer = serve.always(OK)
    request = WireRequest("GET", "/api/ask.asp", "a=%B1%d1+x&b=", headers={"SOAPAction": '"x"'})
    answer = transport(f"{peer.url}/base").exchange(request)
    assert answer.body == b"ok"
    lines = peer.heard[0].split(b"\r\n")
    assert lines[0] == b"GET /base/api/ask.asp?a=%B1%d1+x&b= HTTP/1.1"
    assert f"host: 127.0.0.1:{peer.port}".encode() in lines
    assert b'soapaction: "x"' in lines
    assert b"accept-encoding: identity" in lines
    assert not any(line.lower().startswith((b"content-length", b"cookie")) for line in lines)


def test_a_post_goes_out_with_its_raw_body(serve, transport):
    peer = serve.always(OK)
    body = "内容".encode("gbk")
    transport(peer.url).exchange(
        WireRequest("POST", "/send", body=body, headers={"Content-Type": "text/plain"})
    )
    head, _, sent = peer.heard[0].partition(b"\r\n\r\n")
    assert sent == body
    assert b"content-type: text/plain" in head
    assert b"Content-Length: 4" in head


def test_an_empty_post_says_that_it_is_empty(serve, transport):
    """Old servers answer 411 or wait for a body otherwise."""
    peer = serve.always(OK)
    transport(peer.url).exchange(WireRequest("POST", "/send", "a=1"))
    assert b"Content-Length: 0" in peer.heard[0]


def test_cookies_are_not_kept(serve, transport):
    peer = serve.always(b"HTTP/1.1 200 OK\r\nSet-Cookie: id=1\r\nContent-Length: 2\r\n\r\nok")
    client = transport(peer.url)
    client.exchange(ASK)
    client.exchange(ASK)
    assert b"cookie" not in peer.heard[1].lower()


@pytest.mark.parametrize(
    "request_",
    [
        WireRequest("GET", "/a b", "x"),
        WireRequest("GET", "/ask", "a=\r\nX: 1"),
        WireRequest("GET", "/ask", "a=堃"),
        WireRequest("GET", "/ask", headers={"X": "a\r\nY: b"}),
        WireRequest("GET", "/ask", headers={"X": "堃"}),
    ],
    ids=["space", "line break", "raw text", "field with a line break", "field with raw text"],
)
def test_what_http_cannot_carry_is_surely_not_sent(serve, transport, request_):
    peer = serve.always(OK)
    with pytest.raises(NoAnswer, match="could not be made") as raised:
        transport(peer.url).exchange(request_)
    assert raised.value.surely_not_sent
    assert peer.heard == []


def test_header_names_come_back_in_lower_case_and_joined(serve, transport):
    peer = serve.always(b"HTTP/1.1 503 Busy\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 0\r\n\r\n")
    answer = transport(peer.url).exchange(ASK)
    assert answer == WireResponse(503, b"", {"x-a": "1, 2", "content-length": "0"})


# --- connections ---


def test_connections_are_reused(serve, transport):
    peer = serve.always(OK)
    client = transport(peer.url)
    for _ in range(5):
        client.exchange(ASK)
    assert peer.accepted == 1


def test_a_fresh_request_opens_a_connection_and_closes_it(serve, transport):
    """It neither takes a kept one nor leaves one, and says so to the server."""
    closed = []

    def play(peer, connection, number):
        while peer.listen(connection):
            connection.sendall(OK)
        closed.append(number)

    peer = serve(play)
    client = transport(peer.url)
    client.exchange(ASK)
    client.exchange(SEND, fresh=True)
    client.exchange(SEND, fresh=True)
    client.exchange(ASK)
    assert peer.accepted == 3
    assert [b"connection: close" in request for request in peer.heard] == [False, True, True, False]
    limit = time.monotonic() + 2
    while len(closed) < 2 and time.monotonic() < limit:
        time.sleep(0.01)
    assert sorted(closed) == [2, 3]


def test_a_connection_that_the_server_gave_up_is_not_used_again(serve, transport):
    peer = serve.once(OK)
    client = transport(peer.url)
    for expected in (1, 2, 3):
        assert client.exchange(ASK).body == b"ok"
        assert peer.accepted == expected
        time.sleep(0.03)


def test_a_connection_is_not_kept_after_a_body_that_was_not_whole(serve, transport):
    """The rest of one page must never be read as the start of the next."""
    late = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nfor"

    def play(peer, connection, number):
        peer.listen(connection)
        connection.sendall(late if number == 1 else OK)
        time.sleep(0.3)

    peer = serve(play)
    client = transport(peer.url)
    assert client.exchange(ASK, deadline=0.15).body == b"for"
    assert client.exchange(ASK).body == b"ok"
    assert peer.accepted == 2


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="only Linux has the remedy")
def test_a_kept_connection_does_not_wait_for_acknowledgements(serve, transport):
    """Servers that write head and body apart cost 40 ms a request otherwise."""
    head, end, body = OK.partition(b"\r\n\r\n")

    def play(peer, connection, _):
        while peer.listen(connection):
            connection.sendall(head + end)
            connection.sendall(body)

    client = transport(serve(play).url)
    client.exchange(ASK)
    started = time.monotonic()
    for _ in range(30):
        assert client.exchange(ASK).body == b"ok"
    assert time.monotonic() - started < 0.6


def test_a_closed_transport_may_be_used_again(serve, transport):
    peer = serve.always(OK)
    client = transport(peer.url)
    client.exchange(ASK)
    client.close()
    client.close()
    assert client.exchange(ASK).body == b"ok"
    assert peer.accepted == 2


@pytest.mark.parametrize("fresh", [False, True])
def test_threads_get_their_own_answers(serve, transport, fresh):
    def play(peer, connection, _):
        while heard := peer.listen(connection):
            query = heard.split(b" ", 2)[1].partition(b"?")[2]
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(query), query))

    peer = serve(play)
    client = transport(peer.url)
    wrong = []

    def work(name):
        for count in range(20):
            query = f"{name}-{count}"
            if client.exchange(WireRequest("GET", "/", query), fresh=fresh).body != query.encode():
                wrong.append(query)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert peer.accepted == 160 if fresh else peer.accepted <= 8


def test_proxies_of_the_environment_are_not_used(serve, transport, monkeypatch):
    """Requests bear credentials; where those go is the connection's decision alone."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert transport(serve.always(OK).url).exchange(ASK).body == b"ok"


def test_the_proxy_of_the_connection_is_used(serve, transport):
    proxy = serve.always(OK)
    client = transport("http://sms.example.com:8080/base", proxy=f"http://me:p%40ss@127.0.0.1:{proxy.port}")
    assert client.exchange(ASK).body == b"ok"
    assert proxy.heard[0].startswith(f"GET http://sms.example.com:8080/base/ask?pwd={CANARY} ".encode())
    assert b"Proxy-Authorization: Basic bWU6cEBzcw==" in proxy.heard[0]


@pytest.mark.parametrize("seconds", [0.0, 1.5], ids=["closes", "hangs"])
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_proxy_that_never_opens_the_way_proves_that_nothing_was_sent(serve, transport, scheme, seconds):
    """Of a request by TLS it gets nothing before the way is open; one by plain HTTP it has whole."""

    def play(peer, connection, _):
        peer.listen(connection)
        time.sleep(seconds)

    proxy = serve(play)
    with pytest.raises(NoAnswer) as raised:
        transport(f"{scheme}://sms.example.com", proxy=proxy.url, timeout=0.5).exchange(SEND, fresh=True)
    assert raised.value.surely_not_sent is (scheme == "https")
    assert (CANARY.encode() in b"".join(proxy.heard)) is (scheme == "http")


def test_a_proxy_that_refuses_the_way_proves_that_nothing_was_sent(serve, transport):
    """The request itself is written only when the tunnel stands."""
    proxy = serve.always(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises(NoAnswer, match=r"^the proxy refused to connect to the vendor$") as raised:
        transport("https://sms.example.com", proxy=proxy.url).exchange(SEND, fresh=True)
    assert raised.value.surely_not_sent
    assert CANARY.encode() not in b"".join(proxy.heard)


# --- no answer ---


def test_a_refused_connection_is_surely_not_sent(transport):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(NoAnswer, match=r"^connection refused$") as raised:
        transport(f"http://127.0.0.1:{port}").exchange(SEND, fresh=True)
    assert raised.value.surely_not_sent


def test_a_reset_before_an_answer_is_unknown(serve, transport):
    def play(peer, connection, _):
        peer.listen(connection)
        reset(connection)

    with pytest.raises(NoAnswer, match=r"^the connection was reset before an answer$") as raised:
        transport(serve(play).url).exchange(SEND, fresh=True)
    assert not raised.value.surely_not_sent


@pytest.mark.parametrize(
    "url", ["ftp://example.com", "example.com", "http://", "http://a b", "http://h:x", ""]
)
def test_a_connection_without_a_usable_address_is_surely_not_sent(transport, url):
    with pytest.raises(NoAnswer, match="is no http:// or https:// address") as raised:
        transport(url).exchange(ASK)
    assert raised.value.surely_not_sent


@pytest.mark.parametrize(
    "garbage",
    [
        b"\0\xff\n\n",
        b"0,sent\r\n",
        b"<html>hello</html>\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/9.9.9 200\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: nonsense\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 60_000,
    ],
    ids=range(12),
)
def test_what_is_not_http_is_unknown(serve, transport, garbage):
    with pytest.raises(NoAnswer) as raised:
        transport(serve.once(garbage).url).exchange(SEND, fresh=True)
    assert not raised.value.surely_not_sent


def test_interim_answers_and_bare_line_feeds_are_fine(serve, transport):
    wire = b"HTTP/1.1 103 Early\r\nX: 1\r\n\r\nHTTP/1.1 200\nContent-Length: 2\n\nok"
    assert transport(serve.once(wire).url).exchange(ASK).body == b"ok"


# --- Retry-After ---


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30", 30.0),
        (" 0 ", 0.0),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("９", None),
        ("1e9", None),
    ],
)
def test_retry_after_in_seconds(value, seconds):
    assert retry_after(WireResponse(503, b"", {"retry-after": value})) == seconds


def test_retry_after_as_a_moment():
    now = dt.datetime.now(dt.UTC)
    for offset, least, most in ((60, 55, 60), (-60, 0, 0)):
        moment = format_datetime(now + dt.timedelta(seconds=offset), usegmt=True)
        assert least <= retry_after(WireResponse(503, b"", {"retry-after": moment})) <= most


def test_no_retry_after():
    assert retry_after(WireResponse(503, b"")) is None
