"""What is pushed becomes one row, whatever way and however often it comes."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

REPLY = "SELECT content, mobile, vendor_message_id, received_at FROM sms_replies"
PAGES = "SELECT state FROM sms_pages"


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
