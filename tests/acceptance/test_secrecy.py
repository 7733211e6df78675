"""Canaries: a password, texts and numbers that must be in no log, error, XCom or page of Airflow's."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import traceback
from contextlib import suppress
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from airflow.sdk import task

from airflow_provider_sms.hooks.sms import SmsHook
from airflow_provider_sms.operators.sms import (
    SmsBalanceCheckOperator,
    SmsCollectOperator,
    SmsSendOperator,
    SmsTemplateSendOperator,
)
from airflow_provider_sms.sandbox import Fault
from airflow_provider_sms.sensors.sms import SmsReplySensor, SmsReportSensor

pytestmark = pytest.mark.filterwarnings("ignore")  # Airflow's libraries warn about each other
PASSWORD = "Käse 密码&=+/%<canary>"
CONTENT = "金丝雀密文 %41&=+ canary"
REPLY = "金丝雀回复 canary;a|b"
NAME = "金丝雀某人"
FIRST = 13_777_000_000
NUMBERS = [str(FIRST + n) for n in range(120)]
VENDORS = ["beidoutong", "wavecom", "linkws", "smsadmin"]
#: What goes wrong on the way, once each.
WEATHER = [
    Fault("reset_before"),
    Fault("reset_after"),
    Fault("cut", at=0.5),
    Fault("status", status=500, accepted=True),
    Fault("html"),
    Fault("garbage"),
    Fault("redirect"),
    Fault("busy"),
    Fault("wrong_charset"),
    Fault("empty"),
]


def forms_of(secret: str) -> set[str]:
    """Give every form in which a secret might be seen."""
    forms = {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1]}
    for charset in ("utf-8", "gb18030"):
        raw = secret.encode(charset)
        once = {quote(raw, safe=""), quote(raw), quote_plus(raw)}
        forms |= once | {quote(form, safe="") for form in once} | {form.lower() for form in once}
        digest = hashlib.md5(raw, usedforsecurity=False).hexdigest()
        forms |= {digest, digest.upper(), base64.b64encode(raw).decode(), repr(raw)[2:-1], raw.hex()}
    return forms


def hits(seen: str, password: str) -> list[str]:
    """Give the kinds of canaries that are in a text."""
    found = [
        f"{name} as {form!r}"
        for name, secret in {"password": password, "content": CONTENT, "reply": REPLY, "name": NAME}.items()
        for form in forms_of(secret)
        if form in seen
    ]
    found += [f"number {number}" for number in NUMBERS if number in seen]
    return found + [f"the digits {part!r}" for part in (str(FIRST)[:7],) if part in seen]


def password_of(vendor: str) -> str:
    """Give a password that the vendor's charset can hold."""
    return PASSWORD if vendor == "beidoutong" else PASSWORD.replace("ä", "a")


@pytest.fixture
def canary(sandbox, connections):
    """Set a vendor's account to the canary password, and declare its connection."""

    def make(vendor: str, **extra: Any) -> str:
        account = sandbox.account(vendor)
        account.password = password_of(vendor)
        return connections(vendor, timeout=1, max_in_flight=2, **extra)

    return make


def everything(conn_id: str, vendor: str, raised: list[str], returned: list[Any]) -> None:
    """Do all that can be done with a connection, and keep what comes back or is raised, traceback and all."""
    rows = [{"mobile": number, "name": NAME} for number in NUMBERS]
    send = {"task_id": "t", "sms_conn_id": conn_id}
    queue: Any
    acts = [
        lambda: SmsSendOperator(content=f"{CONTENT}【公司】", recipients=NUMBERS, **send).execute({}),
        lambda: SmsTemplateSendOperator(template="{name}canary【公司】", recipients=rows, **send).execute({}),
        lambda: SmsSendOperator(
            content=CONTENT + "😀", recipients=[*NUMBERS, "137770000001"], **send
        ).execute({}),
        lambda: SmsBalanceCheckOperator(threshold=10**9, on_low="continue", **send).execute({}),
        lambda: SmsHook.for_connection(conn_id).test_connection(),
        lambda: repr(SmsHook.for_connection(conn_id).account),
    ]
    if vendor != "linkws":
        for queue in ("reports", "replies"):
            acts += [lambda queue=queue: SmsCollectOperator(queue=queue, **send).execute({})] * 2
        acts += [
            lambda: SmsReportSensor(min_records=10**6, **send).poke({}),
            lambda: SmsReplySensor(mobile=NUMBERS[0], pattern=REPLY[:3], **send).poke({}),
        ]
    if vendor == "smsadmin":
        acts.append(lambda: SmsHook.for_connection(conn_id).check_words(CONTENT) and None)
    for act in acts:
        try:
            returned.append(act())
        except BaseException as error:  # noqa: BLE001 - all of them are looked at
            raised.append("".join(traceback.format_exception(error)))
            raised.append(
                "".join(traceback.TracebackException.from_exception(error, capture_locals=False).format())
            )
            raised.append(_chain(error))


def _chain(error: BaseException | None) -> str:
    told = []
    while error is not None:
        told += [repr(error), str(error), repr(error.args), repr(getattr(error, "__notes__", ""))]
        error = error.__cause__ or error.__context__
    return "\n".join(told)


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("fault", [None, *WEATHER], ids=lambda fault: fault.kind if fault else "fine")
def test_no_canary_is_seen(canary, sandbox, told, caplog, monkeypatch, vendor, fault):
    """With every logger at DEBUG, in good weather and bad, in results, errors and their whole chains."""
    monkeypatch.setattr("airflow_provider_sms.submitting._BACKOFF", (0.01, 0.01))
    monkeypatch.setattr("airflow_provider_sms.vendors.smsadmin.SmsAdminVendor.intervals", {})
    for name in list(logging.root.manager.loggerDict):
        caplog.set_level(logging.NOTSET, name)
    conn_id = canary(vendor)
    if vendor != "linkws":
        sandbox.queue_replies(vendor, [(number, REPLY) for number in NUMBERS[:60]])
        sandbox.queue_reports(vendor, [{"mobile": number} for number in NUMBERS[:60]])
    if fault:
        for operation in ("send", "send_template", "balance", "reports", "replies"):
            sandbox.faults.add(_for(fault, operation))
    raised: list[str] = []
    returned: list[Any] = []
    everything(conn_id, vendor, raised, returned)
    assert returned
    assert raised
    seen = "\n".join([told(), *raised, repr(returned)])
    assert len(seen) > 1000
    assert hits(seen, password_of(vendor)) == []


def _for(fault: Fault, operation: str) -> Fault:
    from dataclasses import replace

    return replace(fault, operation=operation)


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_wrong_password_is_not_seen_either(canary, told, sandbox, monkeypatch, vendor):
    """The vendor's answer may echo it."""
    monkeypatch.setattr("airflow_provider_sms.vendors.smsadmin.SmsAdminVendor.intervals", {})
    conn_id = canary(vendor)
    sandbox.account(vendor).password = "another"
    raised: list[str] = []
    everything(conn_id, vendor, raised, [])
    assert hits("\n".join([told(), *raised]), password_of(vendor)) == []


def test_a_store_that_fails_quotes_no_row(canary, sandbox, told, store):
    """Neither statements nor their values."""
    import sqlite3

    from sqlalchemy import event

    conn_id = canary("wavecom")
    sandbox.queue_replies("wavecom", [(number, REPLY) for number in NUMBERS[:40]])
    raised: list[str] = []

    def fail(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "INSERT INTO sms_re" in statement:
            raise sqlite3.IntegrityError(f"value {NUMBERS[0]} {REPLY}"[:0] or "UNIQUE constraint failed")

    event.listen(store.engine, "before_cursor_execute", fail)
    everything(conn_id, "wavecom", raised, [])
    assert any("StoreUnavailable" in each for each in raised)
    assert hits("\n".join([told(), *raised]), password_of("wavecom")) == []


def test_no_canary_is_in_airflows_own_pages(run_dag, canary, sandbox, told):
    """XComs, rendered fields, asset events and task logs of a whole DAG, failures included."""
    conn_id = canary("wavecom")
    sandbox.queue_replies("wavecom", [(number, REPLY) for number in NUMBERS[:3]])
    sandbox.faults.add(Fault("reset_after", operation="send", after=3))

    def build():
        @task
        def people():
            return 3

        common = {"sms_conn_id": conn_id, "retries": 0}
        sent = SmsSendOperator(task_id="send", content=CONTENT, recipients=NUMBERS, **common)
        unknown = SmsSendOperator(task_id="unknown", content=CONTENT, recipients=NUMBERS, **common)
        replies = SmsCollectOperator(task_id="replies", queue="replies", **common)
        waited = SmsReplySensor(
            task_id="wait", mobile=NUMBERS[0], pattern=REPLY[:3], poke_interval=0.1, timeout=20,
            since="2020-01-01T00:00:00+08:00", **common,
        )  # fmt: skip
        people() >> sent >> replies >> waited >> unknown

    ended = run_dag(build)
    assert ended.states["wait"] == "success"
    shown = json.dumps([list(ended.xcoms.values()), list(ended.rendered.values()), ended.events], default=str)
    logs = told()
    assert hits(shown, password_of("wavecom")) == []
    # The DAG's own definition is the user's; what runs is ours.
    with suppress(ValueError):
        logs = logs[logs.index("Created dag run") :]
    assert hits(logs, password_of("wavecom")) == []
