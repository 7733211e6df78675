"""What a user was promised, done as a user does it: operators, connections, a gateway, a store."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_sms import errors
from airflow_provider_sms.hooks.sms import SmsHook
from airflow_provider_sms.operators.sms import (
    SmsBalanceCheckOperator,
    SmsCollectOperator,
    SmsSendOperator,
    SmsTemplateSendOperator,
)
from airflow_provider_sms.sandbox import Fault
from airflow_provider_sms.sensors.sms import SmsReplySensor, SmsReportSensor

TEXT = "镕堃喆玥，您的快递 %&=+;|/ 到了【公司】"
PROTOCOLS = [
    ("beidoutong", {"protocol": "soap"}),
    ("beidoutong", {"protocol": "form"}),
    ("wavecom", {}),
    ("linkws", {"protocol": "http"}),
    ("linkws", {"protocol": "soap"}),
    ("smsadmin", {"method": "post"}),
    ("smsadmin", {"method": "get"}),
]


def execute(kind, conn_id, **given: Any):
    """Run an operator as a script does."""
    return kind(task_id="task", sms_conn_id=conn_id, **given).execute({})


@pytest.mark.parametrize(
    ("vendor", "extra"), PROTOCOLS, ids=["-".join(map(str, (v, *e.values()))) for v, e in PROTOCOLS]
)
def test_1234_numbers_by_every_vendor_and_protocol(connections, sandbox, numbers, rows, vendor, extra):
    """Each gets the very text, once; the ledger has a row for each call."""
    result = execute(SmsSendOperator, connections(vendor, **extra), content=TEXT, recipients=numbers(1234))
    assert result["accepted"] == result["recipients"] == 1234
    assert Counter((message.mobile, message.content) for message in sandbox.messages(vendor)) == Counter(
        (number, TEXT) for number in numbers(1234)
    )
    calls = sandbox.calls.count(vendor, "send")
    assert rows("SELECT state, count(*), sum(recipients) FROM sms_batches GROUP BY state") == [
        ("accepted", calls, 1234)
    ]
    assert rows("SELECT count(*) FROM sms_messages") == [1234]


@pytest.mark.parametrize(("vendor", "amount"), [("beidoutong", 2500), ("wavecom", 450), ("smsadmin", 90)])
def test_whole_queues_land(connections, sandbox, rows, monkeypatch, vendor, amount):
    """Reports and replies, until the vendor says that there is nothing more."""
    from airflow_provider_sms.vendors.smsadmin import SmsAdminVendor

    monkeypatch.setattr(SmsAdminVendor, "intervals", {})
    conn_id = connections(vendor)
    sandbox.queue_reports(vendor, amount)
    replies = [(f"138000{n:05d}", f"回复/{n};a|b,c%d&e\n第二行") for n in range(45)]
    sandbox.queue_replies(vendor, replies)
    reports = execute(SmsCollectOperator, conn_id, queue="reports")
    assert (reports["records"], reports["queue_empty"]) == (amount, True)
    assert execute(SmsCollectOperator, conn_id, queue="replies")["records"] == 45
    assert rows("SELECT count(*), count(DISTINCT vendor_message_id) FROM sms_reports") == [(amount, amount)]
    assert Counter(rows("SELECT mobile, content FROM sms_replies")) == Counter(replies)


@pytest.mark.parametrize("vendor", ["beidoutong", "wavecom", "smsadmin"])
def test_from_send_to_delivery(connections, sandbox, numbers, rows, monkeypatch, vendor):
    """A template send, its reports, a reply, and one view that says what became of each message."""
    from airflow_provider_sms.vendors.smsadmin import SmsAdminVendor

    monkeypatch.setattr(SmsAdminVendor, "intervals", {})
    conn_id = connections(vendor)
    people = [{"mobile": number, "code": f"{n:04d}"} for n, number in enumerate(numbers(30))]
    sent = execute(SmsTemplateSendOperator, conn_id, template="验证码 {code}", recipients=people)
    reported = SmsReportSensor(task_id="t", sms_conn_id=conn_id, send_key=sent["send_key"]).poke({})
    assert reported.is_done
    sandbox.queue_replies(vendor, [(people[0]["mobile"], "退订")])
    since = datetime.now(UTC) - timedelta(hours=1)
    replied = SmsReplySensor(task_id="t", sms_conn_id=conn_id, pattern="退订", since=since).poke({})
    assert replied.xcom_value["replies"] == 1
    status = rows("SELECT delivery, count(*) FROM sms_message_status GROUP BY delivery")
    assert status == [("delivered", 30)]


# --- no operator turns green unless the vendor said yes ---------------------------------------------

#: What may answer in place of a yes; every one of them, for every operation.
WRONG = {
    "web page": Fault("html", times=None),
    "garbage": Fault("garbage", times=None, accepted=True),
    "zero bytes": Fault("garbage", times=None, body=b"\x00" * 40),
    "nothing": Fault("empty", times=None),
    "200 with text": Fault("garbage", times=None, body=b"OK"),
    "success elsewhere": Fault("garbage", times=None, body=b'{"code": 0, "msg": "success"}'),
    "half an answer": Fault("cut", times=None, at=0.5),
    "no byte": Fault("cut", times=None, at=0),
    "redirect": Fault("redirect", times=None),
    "204": Fault("status", times=None, status=204, body=b""),
    "401": Fault("status", times=None, status=401),
    "404": Fault("status", times=None, status=404),
    "500": Fault("status", times=None, status=500, accepted=True),
    "503": Fault("status", times=None, status=503),
    "reset": Fault("reset_before", times=None),
    "reset after": Fault("reset_after", times=None),
    "late": Fault("slow", times=None, seconds=2),
}
OPERATIONS = {
    "send": lambda conn_id: execute(SmsSendOperator, conn_id, content=TEXT, recipients=["13800000000"]),
    "balance": lambda conn_id: execute(SmsBalanceCheckOperator, conn_id, threshold=0),
    "reports": lambda conn_id: execute(SmsCollectOperator, conn_id, queue="reports"),
    "replies": lambda conn_id: execute(SmsCollectOperator, conn_id, queue="replies"),
}


@pytest.mark.parametrize("vendor", ["beidoutong", "wavecom", "linkws", "smsadmin"])
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("answer", WRONG)
def test_nothing_is_green_unless_the_vendor_said_yes(
    connections, sandbox, rows, monkeypatch, vendor, operation, answer
):
    """Each wrong answer is an error that names the connection; no balance and no row is made up."""
    monkeypatch.setattr("airflow_provider_sms.submitting._BACKOFF", (0.01, 0.01))
    monkeypatch.setattr("airflow_provider_sms.vendors.smsadmin.SmsAdminVendor.intervals", {})
    if vendor == "linkws" and operation in {"reports", "replies"}:
        pytest.skip("linkws documents no queues")
    conn_id = connections(vendor, timeout=0.6)
    if operation in {"reports", "replies"}:
        getattr(sandbox, f"queue_{operation}")(vendor, 3)
    sandbox.faults.add(WRONG[answer])
    with pytest.raises(Exception, match=conn_id) as caught:
        OPERATIONS[operation](conn_id)
    told = caught.value
    assert isinstance(told, errors.SmsError) or type(told).__name__ == "AirflowFailException"
    assert rows("SELECT state FROM sms_batches WHERE state = 'accepted'") == []
    assert rows("SELECT remaining FROM sms_balances") == []
    if operation in {"reports", "replies"}:
        visible = rows("SELECT state FROM sms_pages")
        assert visible
        assert set(visible) <= {"quarantined", "suspect"}


@pytest.mark.parametrize("vendor", ["beidoutong", "wavecom", "linkws", "smsadmin"])
@pytest.mark.parametrize("operation", ["send", "balance"])
def test_a_no_of_the_vendor_is_not_green(connections, sandbox, rows, vendor, operation):
    """Wrong password, empty account: the vendor's own words, as an error."""
    conn_id = connections(vendor, fields={"password": "wrong-password"})
    with pytest.raises(Exception, match="AuthenticationFailed"):
        OPERATIONS[operation](conn_id)
    if operation == "send":
        sandbox.account(vendor).balance = Decimal(0)
        with pytest.raises(Exception, match="InsufficientBalance"):
            OPERATIONS[operation](connections(vendor))
    assert sandbox.count_messages(vendor) == 0
    assert set(rows("SELECT state FROM sms_batches")) <= {"rejected"}


def test_the_vendors_differ_in_what_they_can_do_and_say_so(connections):
    """Before anything is asked, with what to use instead."""
    hook = SmsHook.for_connection(connections("linkws"))
    with pytest.raises(errors.NotSupported, match="Use a connection of another vendor"):
        hook.read_reports()
