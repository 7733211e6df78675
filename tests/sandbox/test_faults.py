from __future__ import annotations

import socket
import time

import httpx
import pytest

from airflow_provider_sms.sandbox import Fault, Sandbox

NUMBER = "13800001111"


def send(client):
    return client.wavecom(send_phone=NUMBER, send_content="您好")


def raw(gateway, page, read_for=5.0):
    """Return every byte of the answer and whether the connection was reset."""
    account = gateway.account("wavecom")
    with socket.create_connection((gateway.host, gateway.port), timeout=read_for) as sock:
        query = f"us_name={account.login}&us_pwd={account.password}&send_phone={NUMBER}&send_content=x"
        sock.sendall(
            f"GET /{page}.asp?{query} HTTP/1.1\r\nHost: {gateway.host}:{gateway.port}\r\n\r\n".encode()
        )
        got = b""
        try:
            while piece := sock.recv(65536):
                got += piece
        except ConnectionResetError:
            return got, True
    return got, False


def test_reset_before_and_after_differ_in_what_was_accepted(gateway):
    """Both end in a reset without a byte; only after the second has the number got a message."""
    gateway.faults.add(Fault("reset_before"), Fault("reset_after"))
    assert raw(gateway, "sendsms_txt") == (b"", True)
    assert gateway.messages("wavecom") == []
    assert raw(gateway, "sendsms_txt") == (b"", True)
    assert len(gateway.messages("wavecom")) == 1


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_cut_keeps_exactly_the_bytes_asked_for_and_loses_the_records(gateway, framing):
    """What the answer held has left the queue, whatever arrived."""
    gateway.queue_reports("wavecom", 3)
    gateway.faults.add(Fault("cut", operation="reports", at=9, framing=framing))
    got, was_reset = raw(gateway, "get_report_txt")
    head, _, body = got.partition(b"\r\n\r\n")
    if framing == "chunked":
        assert b"Transfer-Encoding: chunked" in head
        body = body.partition(b"\r\n")[2]
    assert (body, was_reset) == (b"3|6408650", False)
    assert (b"Content-Length" in head) == (framing == "length")
    assert gateway.waiting("wavecom", "reports") == 0
    assert len(gateway.handed_out_reports("wavecom")) == 3


def test_cut_is_noticed_by_a_client_except_when_close_delimited(client, gateway):
    """Length and chunks show it, a close-delimited body does not."""
    for framing in ("length", "chunked"):
        gateway.queue_reports("wavecom", 3)
        gateway.faults.add(Fault("cut", at=0.5, framing=framing))
        with pytest.raises(httpx.RemoteProtocolError):
            client.wavecom("get_report_txt")
    gateway.queue_reports("wavecom", 3)
    gateway.faults.add(Fault("cut", at=0.5, framing="close"))
    assert client.wavecom("get_report_txt").startswith("3|")


def test_refuse_closes_the_door_and_opens_it_again(client, gateway):
    """Connections are refused, idle ones dropped, and afterwards the same port answers."""
    assert send(client).startswith("0|")
    gateway.faults.add(Fault("refuse", seconds=0.3))
    with pytest.raises(httpx.ConnectError):
        send(client)
    time.sleep(0.5)
    assert send(client).startswith("0|")
    assert gateway.faults.met() == {"refuse": 1}


def test_refuse_after_some_requests_lets_those_pass(client, gateway):
    """The last request that passes gets its answer, the next finds the door closed."""
    gateway.faults.add(Fault("refuse", after=2, seconds=5))
    assert send(client).startswith("0|")
    assert send(client).startswith("0|")
    with pytest.raises(httpx.ConnectError):
        send(client)


def test_a_closed_port_refuses(gateway):
    """For tests that want a refusal without a sandbox behind it."""
    with gateway.closed_port() as port, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_slow_accepts_first_and_a_client_that_gives_up_ends_the_call(client, gateway):
    """The message is sent although the client saw a time-out, and the call does not stay in flight."""
    gateway.faults.add(Fault("slow", seconds=30))
    client.http.timeout = 0.2
    with pytest.raises(httpx.ReadTimeout):
        send(client)
    assert len(gateway.messages("wavecom")) == 1
    until = time.monotonic() + 2
    while gateway.calls.in_flight_now("wavecom", "send") and time.monotonic() < until:
        time.sleep(0.02)
    assert gateway.calls.in_flight_now("wavecom", "send") == 0


def test_drip_arrives_whole(client, gateway):
    """Byte by byte, header included, in any framing."""
    for framing in ("length", "chunked"):
        gateway.faults.add(Fault("drip", seconds=0.001, chunk=8, headers=True, framing=framing))
        assert send(client).startswith("0|1|0|")


def test_status_may_come_after_acceptance(client, gateway):
    """A 503 with Retry-After, before or after the message was sent."""
    gateway.faults.add(Fault("status", status=503, retry_after=7), Fault("status", status=500, accepted=True))
    url = f"/sendsms_txt.asp?us_name=demo_wavecom&us_pwd=sandbox-wavecom&send_phone={NUMBER}&send_content=x"
    answer = client.http.get(url)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
    assert gateway.messages("wavecom") == []
    assert client.http.get(url).status_code == 500
    assert len(gateway.messages("wavecom")) == 1


def test_busy_is_each_vendors_own(client, gateway):
    """Nothing is done, and the code is the operation's."""
    gateway.faults.add(Fault("busy", times=None))
    assert send(client) == "-99"
    assert client.wavecom("get_report_txt") == "-3"
    assert client.linkws() == "-2"
    assert client.linkws("GetBalance.aspx") == "-101"
    assert client.smsadmin("report").startswith("9 ")
    assert "<ReturnStatus>Faild</ReturnStatus>" in client.beidoutong()
    assert "<ReturnStatus>-1</ReturnStatus>" in client.beidoutong("QueryStatus")


def test_bodies_that_are_no_answer(client, gateway):
    """Garbage, HTML with 200, nothing at all, and far too much."""
    page = "/get_report_txt.asp"
    gateway.faults.add(
        Fault("garbage", size=99), Fault("html"), Fault("empty"), Fault("huge", size=3_000_001)
    )
    assert len(client.http.get(page).content) == 99
    assert client.http.get(page).text.startswith("<html>")
    assert client.http.get(page).content == b""
    assert len(client.http.get(page).content) == 3_000_001
    gateway.faults.add(Fault("endless"))
    with client.http.stream("GET", page) as answer:
        got = 0
        for piece in answer.iter_raw():
            got += len(piece)
            if got > 10_000_000:
                break


def test_redirect_goes_to_another_host_name(client, gateway):
    """By default to this very request at ``localhost``, so that a client that follows gives itself away."""
    gateway.faults.add(Fault("redirect"), Fault("redirect", location="http://example.invalid/"))
    location = client.http.get("/get_report_txt.asp?us_name=a").headers["Location"]
    assert location == f"http://localhost:{gateway.port}/get_report_txt.asp?us_name=a"
    assert client.http.get("/get_report_txt.asp").headers["Location"] == "http://example.invalid/"


def test_counts_and_charsets_can_be_wrong(client, gateway):
    """The declared count is off by one, and the text in the other charset."""
    gateway.faults.add(Fault("wrong_count"), Fault("wrong_count", offset=-1))
    assert send(client).startswith("0|2|0|")
    assert client.wavecom("get_report_txt").startswith("0|6408650;")
    gateway.queue_replies("smsadmin", [(NUMBER, "收到")])
    gateway.faults.add(Fault("wrong_charset"))
    query = "uid=demo_smsadmin&pwd=sandbox-smsadmin"
    assert "收到".encode() in client.http.get(f"/smsmarketing/wwwroot/api/reve/?{query}").content


def test_close_leaves_a_stale_kept_alive_connection(gateway):
    """The answer does not announce the close."""
    gateway.faults.add(Fault("close"))
    got, was_reset = raw(gateway, "sendsms_txt")
    assert b"0|1|0|" in got
    assert b"Connection: close" not in got
    assert not was_reset


def test_faults_wait_for_their_turn_vendor_and_operation(client, gateway):
    """``after`` lets matching requests pass, ``times`` ends it, others are left alone."""
    gateway.faults.add(Fault("empty", vendor="wavecom", operation="reports", after=1, times=2))
    assert [client.wavecom("get_report_txt") for _ in range(4)] == ["0", "", "", "0"]
    gateway.faults.add(Fault("empty", vendor="wavecom", operation="reports"))
    assert client.linkws("GetBalance.aspx") == "100000"
    assert send(client).startswith("0|")
    assert [fault.kind for fault in gateway.faults.pending()] == ["empty"]


def test_random_faults_repeat_with_their_seed():
    """The same seed gives the same faults to the same requests."""

    def run(seed):
        with Sandbox() as gateway:
            gateway.faults.random(0.3, ["empty", Fault("status", status=502)], seed=seed)
            url = f"{gateway.url}/get_report_txt.asp?us_name=demo_wavecom&us_pwd=sandbox-wavecom"
            with httpx.Client(trust_env=False) as http:
                return [
                    (answer.status_code, answer.text[:1]) for answer in (http.get(url) for _ in range(60))
                ]

    first = run(1)
    assert first == run(1)
    assert first != run(2)
    assert {(200, "0"), (200, ""), (502, "<")} == set(first)


def test_a_kind_that_does_not_exist_is_refused(gateway):
    """A misspelt script fails at once, not by never happening."""
    with pytest.raises(ValueError, match="no such fault"):
        Fault("explode")
    with pytest.raises(ValueError, match="no such fault"):
        gateway.faults.random(0.1, ["explode"])
