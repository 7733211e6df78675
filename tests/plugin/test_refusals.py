"""Who may not push stores nothing, and no input is a server error (R11)."""

from __future__ import annotations

import json
import logging
import socket
import time

import pytest

# --- who may not -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_of",
    [
        {"token": None},
        {"token": ""},
        {"token": "canary-token-5c1f2ab09e"},
        {"token": "canary-token-5c1f2ab09"},
        {"token": "%00" * 40},
        {"token": "%B8%FC"},
        {"conn_id": "sms_wavecom"},
        {"conn_id": "nowhere"},
        {"token": None, "headers": {"Authorization": "Bearer canary-token-5c1f2ab09d"}},
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET", "PUT"])
def test_whoever_has_no_token_stores_nothing(served, rows, request_of, method):
    assert served.ask(method=method, **request_of) == 403
    assert rows("SELECT count(*) FROM sms_pages") == [0]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_another_method_stores_nothing(served, rows, method):
    assert served.ask(b"", method=method, query=served.fields()) == 405
    assert rows("SELECT count(*) FROM sms_pages") == [0]


def test_get_is_taken_where_it_is_switched_on(serve, rows):
    served = serve({"push_accept_get": "True"})
    assert served.ask(b"", method="GET", query=served.fields()) == 200
    assert served.ask(b"", method="PUT", query=served.fields()) == 405
    assert rows("SELECT content FROM sms_replies") == ["退订"]


@pytest.mark.parametrize("account", ["somebody-else", "SMS", "%"])
def test_a_push_for_another_account_is_refused_and_told(served, rows, caplog, account):
    assert served.ask(served.fields(SmsName=account)) == 403
    assert rows("SELECT count(*) FROM sms_pages") == [0]
    assert "names another account than the connection's login" in caplog.text


def test_the_former_token_is_good_while_it_is_kept(served, rows):
    assert served.ask(token="canary-token-former-77") == 200
    assert rows("SELECT count(*) FROM sms_replies") == [1]


@pytest.mark.parametrize("token", ["", "short", "with blanks in it, which is no token"])
def test_a_connection_without_a_fit_token_takes_nothing(serve, rows, token, caplog):
    served = serve(push_token=token, push_token_previous="")
    assert served.ask(token=token.replace(" ", "%20")) == 503
    assert rows("SELECT count(*) FROM sms_pages") == [0]
    assert "openssl rand -hex 24" in caplog.text


def test_a_vendor_that_never_pushes_has_no_door(serve, connections):
    served = serve({"push_connections": "sms_smsadmin, sms_wavecom"})
    connections("wavecom")
    assert served.ask(conn_id="sms_wavecom") == 503


@pytest.mark.parametrize(
    ("trusted", "forwarded", "status"),
    [
        ("", "", 403),
        ("", "203.0.113.7", 403),
        ("127.0.0.1", "203.0.113.7", 200),
        ("127.0.0.0/8, 10.0.0.0/8", "203.0.113.7, 10.1.2.3", 200),
        ("127.0.0.1", "203.0.113.7, 198.51.100.1", 403),
        ("127.0.0.1", "203.0.113.7:80", 403),
        ("127.0.0.1", "nonsense", 403),
    ],
)
def test_where_a_push_may_come_from(serve, trusted, forwarded, status):
    served = serve({"push_trusted_proxies": trusted}, push_sources="203.0.113.0/24, 2001:db8::1")
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    assert served.ask(headers=headers) == status


def test_it_has_no_other_pages(served):
    for path in ("/docs", "/redoc", "/openapi.json", "/sms/push/docs", "/sms/push/openapi.json", "/sms/push"):
        answer = served.raw(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        assert answer.split(b" ")[1] in {b"403", b"404"}, (path, answer)


def test_a_slash_behind_the_address_changes_nothing(served, rows):
    """A redirect would lose the event: vendors follow none, and the token is not in it."""
    assert served.ask(conn_id="sms_smsadmin/") == 200
    assert rows("SELECT count(*) FROM sms_replies") == [1]
    assert served.ask(conn_id="sms_smsadmin/", token="wrong") == 403
    assert served.ask(conn_id="sms_smsadmin/", method="PUT") == 405


@pytest.mark.parametrize("path", ["sms_smsadmin/more", "sms_smsadmin//", ""])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_an_address_of_nobody_is_refused_and_told(served, rows, caplog, path, method):
    """Not a redirect, and not in silence."""
    assert served.ask(conn_id=path, method=method) == 404
    assert rows("SELECT count(*) FROM sms_pages") == [0]
    assert "a request to the receiver was refused" in caplog.text
    assert "canary" not in caplog.text


# --- what is no event ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {"Class": "other"},
        {"Class": None},
        {"Mobile": "nobody"},
        {"RevertTime": "yesterday"},
        {"RevertTime": "9999-99-99 00:00:00"},
        {"Message": b"\x81"},
        {"SmsName": None},
    ],
)
def test_what_cannot_be_read_is_kept_with_its_bytes(served, rows, changed):
    """The vendor never repeats: that it is stored is all that counts."""
    body = served.fields(**changed)
    assert [served.ask(body), served.ask(body)] == [200, 200]
    assert rows("SELECT state, body FROM sms_pages") == [("quarantined", body)]
    assert rows("SELECT count(*) FROM sms_replies") == [0]


@pytest.mark.parametrize("body", [b"", b"\0", b"\xff" * 100, b"{}", b"<xml/>", "退订".encode("gb18030")])
def test_garbage_with_the_right_token_is_no_server_error(served, body):
    assert served.ask(body) == 200


def test_a_body_that_is_too_large_is_refused(served, rows):
    assert served.ask(served.fields(Message="x" * 1_000_000)) == 413
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    head = b"POST /sms/push/sms_smsadmin?token=canary-token-5c1f2ab09d HTTP/1.1\r\nHost: a\r\n"
    answer = served.raw(head + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + chunk * 2)
    assert b" 413 " in answer.split(b"\r\n")[0] + b" "
    assert rows("SELECT count(*) FROM sms_pages") == [0]


def test_too_many_fields_are_refused(served, rows):
    assert served.ask(served.fields() + b"&a=1" * 2000) == 413
    assert served.ask(served.fields(), query=b"&".join([b"a=1"] * 200)) == 413
    assert rows("SELECT count(*) FROM sms_pages") == [0]


@pytest.mark.parametrize("unescaped", [b"a b", "退订".encode("gbk"), b"a" * 66_000])
def test_an_address_that_is_no_http_is_refused(served, rows, unescaped):
    """By the server, before the receiver sees it; the documentation says so."""
    target = b"/sms/push/sms_smsadmin?token=canary-token-5c1f2ab09d&Message=" + unescaped
    answer = served.raw(b"POST " + target + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400")
    assert rows("SELECT count(*) FROM sms_pages") == [0]


def test_a_slow_body_is_given_up_and_others_are_served_meanwhile(serve, rows):
    served = serve(limits={"body_seconds": 0.7})
    head = b"POST /sms/push/sms_smsadmin?token=canary-token-5c1f2ab09d HTTP/1.1\r\nHost: a\r\n"
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as slow:
        slow.sendall(head + b"Content-Length: 100\r\n\r\nClass=")
        started = time.monotonic()
        assert served.ask() == 200
        assert slow.recv(1000).startswith(b"HTTP/1.1 408")
        assert time.monotonic() - started < 8
    assert rows("SELECT count(*) FROM sms_pages") == [1]


def test_a_client_that_leaves_in_the_middle_stores_nothing(served, rows):
    head = b"POST /sms/push/sms_smsadmin?token=canary-token-5c1f2ab09d HTTP/1.1\r\nHost: a\r\n"
    with socket.create_connection(("127.0.0.1", served.port)) as leaving:
        leaving.sendall(head + b"Content-Length: 1000\r\n\r\n" + served.fields())
    assert served.ask(served.fields(LinkId="next")) == 200
    assert rows("SELECT vendor_message_id FROM sms_replies") == ["next"]


# --- secrecy ---------------------------------------------------------------------------------------


def test_no_token_number_or_text_is_logged(served, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    served.ask()
    served.ask(b"", query=served.fields())
    served.ask(served.fields(SmsName="other"))
    served.ask(served.fields(RevertTime="never"))
    served.ask(served.fields(), token="wrong-token-canary-123")
    served.ask(b"", method="GET", query=served.fields())
    served.raw(b"GET /sms/push/13800138000/canary?Mobile=13800138000 HTTP/1.1\r\nConnection: close\r\n\r\n")
    told = caplog.text + "".join(capfd.readouterr()) + json.dumps([str(r.args) for r in caplog.records])
    for secret in ("canary-token", "wrong-token", "13800138000", "退订", "%CD%CB%B6%A9", "\xcd\xcb"):
        assert secret not in told


def test_strangers_cannot_fill_the_log(served, caplog):
    for _ in range(20):
        served.ask(token="nonsense")
    assert len([record for record in caplog.records if "wrong token" in record.getMessage()]) == 1
