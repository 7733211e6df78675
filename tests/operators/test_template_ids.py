"""Figures can be had per template: the ledger names it, and never keeps or hashes a rendered text."""

from __future__ import annotations

import hashlib

from airflow_provider_sms.operators.sms import SmsSendOperator, SmsTemplateSendOperator
from airflow_provider_sms.store.template_id import template_id

TEMPLATE = "{name}，您的验证码 {code}"


def test_a_template_has_one_name_whatever_becomes_of_it(connections, numbers, rows):
    """Rendered here or by the vendor, signed or not, through whichever vendor."""
    people = [
        {"mobile": mobile, "name": name, "code": "1234"}
        for mobile, name in zip(numbers(3), ("王", "李", "张"), strict=True)
    ]
    for vendor, signature in (("wavecom", "公司"), ("smsadmin", "")):
        SmsTemplateSendOperator(
            task_id="send",
            sms_conn_id=connections(vendor, signature=signature),
            template=TEMPLATE,
            recipients=people,
            send_key=vendor,
        ).execute({})
    named = rows("SELECT DISTINCT template_id FROM sms_message_status")
    assert named == [hashlib.sha256(TEMPLATE.encode()).hexdigest()[:16]] == [template_id(TEMPLATE)]
    assert len(rows("SELECT send_key FROM sms_messages WHERE template_id IS NOT NULL")) == 6


def test_one_text_for_all_has_none(connections, numbers, rows):
    """It may hold a code that somebody could find by trying."""
    SmsSendOperator(
        task_id="send",
        sms_conn_id=connections("wavecom"),
        content="您的验证码 1234【公司】",
        recipients=numbers(2),
        send_key="a",
    ).execute({})
    assert rows("SELECT DISTINCT template_id FROM sms_batches") == [None]
