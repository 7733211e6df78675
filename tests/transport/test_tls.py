"""TLS: what is not accepted is surely not sent."""

from __future__ import annotations

import ssl

import pytest

from airflow_provider_sms.transport.failures import NoAnswer
from airflow_provider_sms.wire import WireRequest

CANARY = "canary-7f3a"
ASK = WireRequest("GET", "/ask", f"pwd={CANARY}")
SEND = WireRequest("POST", "/send", f"pwd={CANARY}", CANARY.encode(), {"X-Secret": CANARY})
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def tls_url(serve, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def play(peer, connection, _):
        with context.wrap_socket(connection, server_side=True) as secured:
            while peer.listen(secured):
                secured.sendall(OK)

    return f"https://localhost:{serve(play).port}"


def test_a_certificate_that_is_not_accepted_is_surely_not_sent(tls_url, transport):
    with pytest.raises(NoAnswer, match=r"^TLS certificate not accepted$") as raised:
        transport(tls_url).exchange(SEND, fresh=True)
    assert raised.value.surely_not_sent


@pytest.mark.parametrize("fresh", [False, True])
def test_certificates_are_checked_against_the_given_bundle_or_not_at_all(
    tls_url, transport, certificate, fresh
):
    for verify in (str(certificate), False):
        client = transport(tls_url, verify=verify)
        assert [client.exchange(ASK, fresh=fresh).body for _ in range(3)] == [b"ok"] * 3


def test_a_bundle_that_cannot_be_read_is_named_before_anything_is_sent(tls_url, transport):
    with pytest.raises(NoAnswer, match="'verify' names cannot be read") as raised:
        transport(tls_url, verify="/nowhere/ca.pem").exchange(SEND)
    assert raised.value.surely_not_sent


def test_plain_http_in_place_of_tls_is_surely_not_sent(serve, transport):
    peer = serve(lambda _, connection, __: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    with pytest.raises(NoAnswer, match=r"^no TLS connection") as raised:
        transport(peer.url.replace("http:", "https:")).exchange(SEND)
    assert raised.value.surely_not_sent


@pytest.mark.parametrize("by_proxy", [False, True], ids=["straight", "by a proxy"])
def test_a_submit_that_was_heard_and_not_answered_is_unknown(serve, transport, certificate, by_proxy):
    """Taken for not sent, it would be sent a second time."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def play(peer, connection, _):
        if by_proxy:
            peer.listen(connection)
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with context.wrap_socket(connection, server_side=True) as secured:
            peer.listen(secured)

    peer = serve(play)
    fields = {"proxy": peer.url} if by_proxy else {}
    with pytest.raises(NoAnswer) as raised:
        transport(f"https://localhost:{peer.port}", verify=str(certificate), **fields).exchange(
            SEND, fresh=True
        )
    assert CANARY.encode() in peer.heard[-1]
    assert not raised.value.surely_not_sent
