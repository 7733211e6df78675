"""Where a redirect may lead, and what is said of one that may not be followed."""

from __future__ import annotations

import socket
import ssl

import pytest

from airflow_provider_sms.transport.failures import NoAnswer, RedirectRefused
from airflow_provider_sms.wire import WireRequest

CANARY = "canary-7f3a"
ASK = WireRequest("GET", "/ask", f"pwd={CANARY}")
SEND = WireRequest("POST", "/send", f"pwd={CANARY}", CANARY.encode(), {"X-Secret": CANARY})
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def moved(location, status=302):
    return f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("request_", [ASK, SEND], ids=["GET", "POST"])
def test_a_redirect_to_an_unlisted_host_is_refused_and_only_its_host_named(
    serve, transport, status, request_
):
    """The new host hears nothing, and the message holds neither path nor query."""
    other = serve.always(OK)
    peer = serve.always(moved(f"http://u:{CANARY}@localhost:{other.port}/secret?pwd={CANARY}", status))
    with pytest.raises(RedirectRefused) as raised:
        transport(peer.url, redirect_hosts=("elsewhere.example.com",)).exchange(request_, fresh=True)
    assert str(raised.value) == (
        f"the vendor redirects to localhost:{other.port}; nothing was followed: "
        "add this host to the connection's extra field 'redirect_hosts' if it is the vendor's"
    )
    assert raised.value.host == "localhost"
    assert raised.value.surely_not_sent is False
    assert (other.accepted, peer.accepted) == (0, 1)


def test_a_redirect_to_the_same_host_is_not_followed_either(serve, transport):
    """The credentials are in the query, and another path may be another program."""
    peer = serve.always(moved("/elsewhere"))
    with pytest.raises(RedirectRefused):
        transport(peer.url).exchange(ASK)
    assert len(peer.heard) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("listed", ["localhost", "LOCALHOST:{port}"])
def test_a_get_is_sent_again_to_a_listed_host_with_its_own_query(serve, transport, status, listed):
    """The query is the request's, byte for byte, whatever the Location made of it."""
    other = serve.always(OK)
    peer = serve.always(moved(f"http://localhost:{other.port}/new/ask?pwd=mangled", status))
    client = transport(peer.url, redirect_hosts=("x.example.com", listed.format(port=other.port)))
    assert client.exchange(ASK).body == b"ok"
    assert other.heard[0].startswith(f"GET /new/ask?pwd={CANARY} HTTP/1.1".encode())
    assert f"host: localhost:{other.port}".encode() in other.heard[0]


@pytest.mark.parametrize("status", [307, 308])
def test_a_post_keeps_its_method_and_body_on_the_way_to_a_listed_host(serve, transport, status):
    other = serve.always(OK)
    peer = serve.always(moved(f"http://localhost:{other.port}/send", status))
    client = transport(peer.url, redirect_hosts=("localhost",))
    assert client.exchange(SEND, fresh=True).body == b"ok"
    assert other.heard[0].startswith(b"POST /send?")
    assert other.heard[0].endswith(CANARY.encode())


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_post_is_never_turned_into_another_request(serve, transport, status):
    other = serve.always(OK)
    peer = serve.always(moved(f"http://localhost:{other.port}/send", status))
    with pytest.raises(RedirectRefused, match="would change the request"):
        transport(peer.url, redirect_hosts=("localhost",)).exchange(SEND, fresh=True)
    assert other.accepted == 0


@pytest.mark.parametrize("status", [301, 302, 303])
@pytest.mark.parametrize("location", ["http://localhost:{port}/done", "http://localhost:{port}/"])
def test_a_submit_by_get_is_not_followed_to_its_result(serve, transport, status, location):
    """A page that does the work and then redirects would get the same submit twice."""
    other = serve.always(OK)
    peer = serve.always(moved(location.format(port=other.port), status))
    with pytest.raises(
        RedirectRefused, match=f"a {status} may come when the submit is done already"
    ) as raised:
        transport(peer.url, redirect_hosts=("localhost",)).exchange(ASK, fresh=True)
    assert raised.value.surely_not_sent is False
    assert (len(peer.heard), other.accepted) == (1, 0)


def test_a_submit_is_never_followed_by_a_see_other(serve, transport):
    """A 303 says that the work is done, wherever it leads."""
    other = serve.always(OK)
    peer = serve.always(moved(f"http://localhost:{other.port}/ask", 303))
    with pytest.raises(RedirectRefused):
        transport(peer.url, redirect_hosts=("localhost",)).exchange(ASK, fresh=True)
    assert other.accepted == 0


@pytest.mark.parametrize("status", [301, 302])
def test_a_submit_is_not_sent_to_the_very_same_address_again(serve, transport, status):
    """It came from there: to ask again is to submit again."""
    peer = serve.always(moved("/ask?done=1", status))
    with pytest.raises(RedirectRefused):
        transport(peer.url, redirect_hosts=("127.0.0.1",)).exchange(ASK, fresh=True)
    assert len(peer.heard) == 1


@pytest.mark.parametrize(
    ("status", "path"), [(301, "/ask"), (302, "/ask"), (307, "/new/ask"), (308, "/new/ask")]
)
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"], ids=["another host", "another port"])
def test_a_submit_by_get_follows_a_service_that_moved(serve, transport, status, path, host):
    """The same page at another address, or a status that says: this very request, over there."""
    other = serve.always(OK)
    peer = serve.always(moved(f"http://{host}:{other.port}{path}", status))
    client = transport(peer.url, redirect_hosts=(host,))
    assert client.exchange(ASK, fresh=True).body == b"ok"
    assert other.heard[0].startswith(f"GET {path}?pwd={CANARY} ".encode())


def test_a_redirect_from_https_to_http_is_never_followed(serve, transport, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    other = serve.always(OK)

    def play(peer, connection, _):
        with context.wrap_socket(connection, server_side=True) as secured:
            peer.listen(secured)
            secured.sendall(moved(f"http://localhost:{other.port}/ask"))

    url = f"https://localhost:{serve(play).port}"
    with pytest.raises(RedirectRefused, match="from https to http"):
        transport(url, verify=str(certificate), redirect_hosts=("localhost",)).exchange(ASK)
    assert other.accepted == 0


def test_a_chain_of_redirects_ends_after_three(serve, transport):
    peer = serve.always(moved("/again"))
    with pytest.raises(RedirectRefused, match="more than 3 times"):
        transport(peer.url, redirect_hosts=("127.0.0.1",)).exchange(ASK)
    assert len(peer.heard) == 4


def test_what_fails_behind_a_redirect_is_unknown(serve, transport):
    """The first host had the request; that its successor refuses connections proves nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    peer = serve.always(moved(f"http://127.0.0.1:{port}/send", 307))
    with pytest.raises(NoAnswer, match=r"^after a redirect: connection refused$") as raised:
        transport(peer.url, redirect_hosts=("127.0.0.1",)).exchange(SEND, fresh=True)
    assert raised.value.surely_not_sent is False
    assert raised.value.__context__ is None


@pytest.mark.parametrize(
    "location", ["ftp://x/", "http://", "http://a b/", "http://x:y/", "//[::1", "javascript:0"]
)
def test_a_redirect_to_nowhere_is_refused(serve, transport, location):
    peer = serve.always(moved(location))
    with pytest.raises(RedirectRefused):
        transport(peer.url, redirect_hosts=("x",)).exchange(ASK)


@pytest.mark.parametrize("status", [300, 304, 302])
def test_a_300_without_a_location_is_an_answer(serve, transport, status):
    peer = serve.always(f"HTTP/1.1 {status} Hm\r\nContent-Length: 0\r\n\r\n".encode())
    assert transport(peer.url).exchange(ASK).status == status
