"""A call ends at its deadline, whatever the peer does."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest

from airflow_provider_sms.transport.failures import NoAnswer
from airflow_provider_sms.wire import WireRequest

CANARY = "canary-7f3a"
ASK = WireRequest("GET", "/ask", f"pwd={CANARY}")
SEND = WireRequest("POST", "/send", f"pwd={CANARY}", CANARY.encode(), {"X-Secret": CANARY})
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def drip(connection, data, pause=0.05):
    for position in range(len(data)):
        connection.sendall(data[position : position + 1])
        time.sleep(pause)


def _timed(exchange):
    started = time.monotonic()
    try:
        return exchange(), time.monotonic() - started
    except NoAnswer as error:
        return error, time.monotonic() - started


def test_dripped_header_bytes_do_not_outlast_the_deadline(serve, transport):
    def play(peer, connection, _):
        peer.listen(connection)
        drip(connection, OK)

    got, took = _timed(lambda: transport(serve(play).url, timeout=0.4).exchange(SEND, fresh=True))
    assert isinstance(got, NoAnswer)
    assert (got.reason, got.surely_not_sent) == ("no answer within 0.4 s", False)
    assert 0.39 < took < 1.5


BODY = b"138,1;139,2;"


@pytest.mark.parametrize(
    ("fields", "start"),
    [
        (b"Content-Length: 12\r\n", b""),
        (b"Transfer-Encoding: chunked\r\n", b"c\r\n"),
        (b"Connection: close\r\n", b""),
    ],
    ids=["length", "chunked", "close"],
)
def test_dripped_body_bytes_do_not_outlast_the_deadline(serve, transport, fields, start):
    """What was dripped until then is kept."""

    def play(peer, connection, _):
        peer.listen(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n" + start)
        drip(connection, BODY)

    answer, took = _timed(lambda: transport(serve(play).url).exchange(ASK, deadline=0.3))
    assert BODY.startswith(answer.body)
    assert 2 <= len(answer.body) <= 7
    assert answer.problem == f"the answer was not whole within 0.3 s; {len(answer.body)} bytes had arrived"
    assert took < 1.5


def test_an_endless_body_ends_at_the_deadline(serve, transport):
    """Bytes that never stop coming are no reason to go on."""

    def play(peer, connection, _):
        peer.listen(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 1000)
            time.sleep(0.001)

    answer, took = _timed(lambda: transport(serve(play).url).exchange(ASK, deadline=0.3))
    assert answer.body
    assert not answer.complete
    assert took < 1.5


def test_endless_interim_answers_end_at_the_deadline(serve, transport):
    def play(peer, connection, _):
        peer.listen(connection)
        while True:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 10)
            time.sleep(0.002)

    got, took = _timed(lambda: transport(serve(play).url).exchange(ASK, deadline=0.3))
    assert isinstance(got, NoAnswer)
    assert not got.surely_not_sent
    assert took < 1.5


@pytest.mark.parametrize(("room", "size"), [(4096, 2048), (200_000, 200_000)], ids=["hardly", "steadily"])
def test_a_peer_that_reads_slowly_does_not_outlast_the_deadline(serve, transport, room, size):
    """A part of the request is out, and the outcome unknown."""

    def play(_, connection, __):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        while connection.recv(size):
            time.sleep(0.02)

    request = WireRequest("POST", "/send", body=b"x" * 30_000_000)
    got, took = _timed(lambda: transport(serve(play).url).exchange(request, deadline=0.4))
    assert isinstance(got, NoAnswer)
    assert not got.surely_not_sent
    assert took < 1.5


def test_no_connection_in_time_is_surely_not_sent(transport):
    """A listener with a full queue does not answer any more."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)  # noqa: FBT003 - the socket's own API
            waiting.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        got, took = _timed(lambda: transport(url, timeout=0.3).exchange(SEND, fresh=True))
    assert (got.reason, got.surely_not_sent) == ("no connection within 0.3 s", True)
    assert took < 1.5


def test_a_handshake_that_never_comes_is_surely_not_sent(serve, transport):
    peer = serve(lambda _, connection, __: drip(connection, b"\x16\x03\x03\x40\x00" + b"\0" * 100))
    url = peer.url.replace("http:", "https:")
    got, took = _timed(lambda: transport(url).exchange(SEND, fresh=True, deadline=0.4))
    assert got.surely_not_sent
    assert took < 1.5


def test_a_slow_name_server_does_not_outlast_the_deadline(transport, monkeypatch):
    late = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: late.wait(3))
    got, took = _timed(lambda: transport("http://sms.example.com").exchange(SEND, deadline=0.2))
    late.set()
    assert (got.reason, got.surely_not_sent) == ("no connection within 0.2 s", True)
    assert took < 1.5


def test_a_name_that_does_not_exist_says_so(transport, monkeypatch):
    def fail(_host, _port, type):  # noqa: A002 - the name in the standard library
        del type
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(NoAnswer, match=r"^the host name could not be resolved$") as raised:
        transport("http://sms.example.com").exchange(SEND)
    assert raised.value.surely_not_sent


def test_a_dead_first_address_leaves_time_for_the_second(serve, transport, monkeypatch):
    peer = serve.always(OK)
    with contextlib.ExitStack() as stack:
        dead = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)  # noqa: FBT003 - the socket's own API
            waiting.connect_ex(dead.getsockname())
        both = [(socket.AF_INET, 1, 6, "", where) for where in (dead.getsockname(), ("127.0.0.1", peer.port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
        assert transport("http://sms.example.com").exchange(ASK, deadline=0.8).body == b"ok"
