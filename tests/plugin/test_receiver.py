"""The promise of the receiver: 200 means stored, and nobody else stores anything (R11)."""

from __future__ import annotations

import json
import logging
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_sms.errors import StoreUnavailable
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.spool import Spool

REPLY = "SELECT content, mobile, vendor_message_id, received_at FROM sms_replies"
PAGES = "SELECT state FROM sms_pages"


@pytest.fixture
def spooled(tmp_path):
    """List the files in the spool."""
    return lambda: list((tmp_path / "spool").rglob("*.page"))


def eventually(look, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


# --- what the vendor pushes ------------------------------------------------------------------------


@pytest.mark.parametrize("in_query", [False, True])
def test_a_reply_is_a_row_when_200_is_answered(served, sandbox, rows, in_query):
    reply = sandbox.make_reply("smsadmin", ("13800138000", "退订", "", "link1", "2025-01-31 16:30:00"))
    assert sandbox.push(served.url(), reply, in_query=in_query) == 200
    assert rows(REPLY) == [("退订", "13800138000", "link1", "2025-01-31 08:30:00.000000")]
    assert rows("SELECT source, state, records, queue FROM sms_pages") == [("push", "landed", 1, "replies")]


@pytest.mark.parametrize("in_query", [False, True])
def test_a_report_is_a_row(served, sandbox, rows, in_query):
    report = sandbox.make_report("smsadmin", {"mobile": "13800138000", "status": "failed"})
    assert sandbox.push(served.url(), report, in_query=in_query) == 200
    assert rows("SELECT status, mobile FROM sms_reports") == [("failed", "13800138000")]


@pytest.mark.parametrize(
    "message", ["退订", "TD\n退订 &=+%|~", "喆玥镕囧", "", "=1+1", "\u3000退 订\r\n"], ids=range(6)
)
@pytest.mark.parametrize("raw", [False, True])
def test_texts_stay_as_they_were_written(served, rows, message, raw):
    """Escaped, or as raw GB bytes where they need no escaping in a form."""
    value = message.encode("gbk") if raw and not set(message) & set("&=+%\r\n") else message
    assert served.ask(served.fields(Message=value)) == 200
    assert rows("SELECT content FROM sms_replies") == [message]


def test_fields_half_in_the_query_and_half_in_the_body(served, rows):
    assert served.ask(served.fields(Class=None, Mobile=None), query=b"Class=mo&Mobile=13800138000") == 200
    assert rows("SELECT content, mobile FROM sms_replies") == [("退订", "13800138000")]


def test_a_vendor_that_joins_its_fields_with_a_second_question_mark(served, rows):
    target = f"/sms/push/sms_smsadmin?token={'canary-token-5c1f2ab09d'}?".encode() + served.fields()
    answer = served.raw(b"POST " + target + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert rows("SELECT content FROM sms_replies") == ["退订"]


def test_the_same_request_again_is_one_row(served, rows):
    assert [served.ask() for _ in range(5)] == [200] * 5
    assert rows("SELECT count(*) FROM sms_replies") == [1]
    assert rows(PAGES) == ["landed"]


def test_the_same_requests_at_the_same_time_are_one_row_each(served, rows):
    bodies = [served.fields(LinkId=str(each % 5)) for each in range(40)]
    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(served.ask, bodies)) == {200}
    assert sorted(rows("SELECT vendor_message_id FROM sms_replies")) == ["", "1", "2", "3", "4"]


def test_the_same_event_in_another_order_or_place_is_one_row(served, rows):
    assert served.ask() == 200
    assert served.ask(b"", query=served.fields()) == 200
    assert served.ask(b"&".join(reversed(served.fields().split(b"&")))) == 200
    assert rows("SELECT count(*) FROM sms_replies") == [1]
    assert rows(PAGES) == ["landed"] * 2


def test_what_was_pushed_and_is_polled_later_is_one_row(served, sandbox, rows, store):
    from airflow_provider_sms import collecting
    from airflow_provider_sms.hooks.sms import SmsHook
    from airflow_provider_sms.records import Queue

    (reply,) = sandbox.queue_replies("smsadmin", 1)
    assert sandbox.push(served.url(), reply) == 200
    with SmsHook("sms_smsadmin").gateway() as gateway:
        collector = collecting.Collector(
            gateway, store, Queue.REPLIES, owner="me", log=logging.getLogger(), sleep=lambda _: None
        )
        assert collector.run(max_pages=1).records == 0
    assert rows("SELECT count(*) FROM sms_replies") == [1]


def test_a_report_settles_a_send_whose_outcome_was_unknown(served, sandbox, rows, store):
    from airflow_provider_sms.store.ledger import Ledger
    from airflow_provider_sms.store.plans import PlannedBatch, PlannedSend

    ledger = Ledger(store)
    batch = PlannedBatch(
        batch_no=1, reference="linkA", mobiles=("13800138000",), content="x", segments=1, extno=""
    )
    ledger.plan(
        PlannedSend(send_key="k", conn_id="sms_smsadmin", vendor="smsadmin", fingerprint="f"), [batch]
    )
    ledger.claim("k", 1, "me", 60, "linkA")
    ledger.settle("k", 1, "unknown", owner="me")
    report = sandbox.make_report("smsadmin", {"mobile": "13800138000", "message_id": "linkA"})
    assert sandbox.push(served.url(), report) == 200
    assert rows("SELECT state FROM sms_batches") == ["accepted"]
    assert rows("SELECT delivery FROM sms_message_status") == ["delivered"]


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


# --- the store goes away ---------------------------------------------------------------------------


def away(*_: object, **__: object):
    raise StoreUnavailable("the SMS store cannot be used (test)")


def test_with_the_store_away_the_spool_takes_it_and_it_lands_later(served, rows, spooled, monkeypatch):
    monkeypatch.setattr("airflow_provider_sms.plugin.desk.MEND_SECONDS", 0.2)
    with monkeypatch.context() as broken:
        broken.setattr(Journal, "push", away)
        assert served.ask() == 200
        assert [file.read_bytes().partition(b"\n")[2] for file in spooled()] == [served.fields()]
        assert rows("SELECT count(*) FROM sms_pages") == [0]
    assert served.ask(served.fields(LinkId="next")) == 200
    assert eventually(lambda: len(rows("SELECT content FROM sms_replies")) == 2)
    assert not spooled()


def test_with_store_and_disk_away_it_says_so(served, monkeypatch, caplog):
    monkeypatch.setattr(Journal, "push", away)
    monkeypatch.setattr(Spool, "put", away)
    assert served.ask() == 503
    assert "A PUSH IS LOST" in caplog.text


def test_a_store_that_hangs_is_not_waited_for(serve, monkeypatch, spooled):
    served = serve(limits={"store_seconds": 0.3})
    push = Journal.push

    def slowly(*values: object, **named: object):
        time.sleep(1.5)
        return push(*values, **named)

    with monkeypatch.context() as slow:
        slow.setattr(Journal, "push", slowly)
        started = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            bodies = [served.fields(LinkId=f"slow{each}") for each in range(8)]
            assert set(pool.map(served.ask, bodies)) == {200}
        assert time.monotonic() - started < 2.5
        assert len(spooled()) == 8


def test_what_could_not_land_lands_later(served, rows, monkeypatch):
    from airflow_provider_sms.store.landing import Landing

    monkeypatch.setattr("airflow_provider_sms.plugin.desk.MEND_SECONDS", 0.2)
    with monkeypatch.context() as broken:
        broken.setattr(Landing, "land", away)
        assert served.ask() == 200
        assert rows(PAGES) == ["read"]
    assert eventually(lambda: rows("SELECT content FROM sms_replies") == ["退订"])


def test_what_an_earlier_process_left_is_landed_by_the_next_one(serve, rows, store, sandbox):
    login = sandbox.account("smsadmin").login
    body = f"Class=mo&SmsName={login}&Mobile=13800138000&Message=TD&LinkId=1&RevertTime=2025-01-31 1:02:03"
    Journal(store).push("sms_smsadmin", "smsadmin", "replies", body.encode(), page_id="left")
    served = serve()
    assert served.ask() == 200
    assert eventually(lambda: sorted(rows("SELECT content FROM sms_replies")) == ["TD", "退订"])


def test_a_collection_lands_it_as_well(connections, rows, store, sandbox):
    from airflow_provider_sms.collecting import Collector
    from airflow_provider_sms.hooks.sms import SmsHook
    from airflow_provider_sms.records import Queue

    login = sandbox.account("smsadmin").login
    body = f"Class=mo&SmsName={login}&Mobile=13800138000&Message=TD&LinkId=1&RevertTime=2025-01-31 1:02:03"
    Journal(store).push("sms_smsadmin", "smsadmin", "replies", body.encode(), page_id="left")
    Journal(store).push("sms_smsadmin", "smsadmin", "replies", b"no event", page_id="odd")
    with SmsHook(connections("smsadmin")).gateway() as gateway:
        collector = Collector(gateway, store, Queue.REPLIES, owner="me", log=logging.getLogger())
        assert collector.run(max_pages=1).records == 1
    assert rows("SELECT page_id, state FROM sms_pages ORDER BY page_id")[-1] == ("odd", "quarantined")
    assert rows("SELECT content FROM sms_replies") == ["TD"]


# --- connections change ----------------------------------------------------------------------------


def test_a_new_token_takes_effect_and_a_lost_connection_keeps_the_last(serve, monkeypatch, connections):
    monkeypatch.setattr("airflow_provider_sms.plugin.accounts.FRESH_SECONDS", 0.0)
    monkeypatch.setattr("airflow_provider_sms.plugin.accounts.RETRY_SECONDS", 0.0)
    served = serve()
    assert served.ask() == 200
    connections("smsadmin", push_token="another-token-0123456789")
    assert served.ask() == 403
    assert served.ask(token="another-token-0123456789") == 200
    # Airflow's database away looks as if there were no such connection.
    monkeypatch.delenv("AIRFLOW_CONN_SMS_SMSADMIN")
    assert served.ask(token="another-token-0123456789") == 200
    assert served.ask() == 403
    monkeypatch.setattr("airflow_provider_sms.plugin.accounts.STALE_SECONDS", 0.0)
    connections("smsadmin", push_token="another-token-0123456789")
    assert served.ask(token="another-token-0123456789") == 200
    monkeypatch.delenv("AIRFLOW_CONN_SMS_SMSADMIN")
    assert served.ask(token="another-token-0123456789") == 503


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
