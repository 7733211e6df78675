"""The events that smsadmin pushes (§9, §10)."""

from __future__ import annotations

import pytest

from airflow_provider_sms import errors, text
from airflow_provider_sms.vendors.smsadmin import SmsAdminVendor
from airflow_provider_sms.wire import WireResponse

SMSADMIN = SmsAdminVendor()


MO = (
    "Class=mo&SmsName=ID&Mobile=13802102102&Message=%CD%CB%B6%A9"
    "&LinkId=123456789&RevertTime=2017-09-28%2010:22:13"
)


def test_an_event_may_come_in_the_query_the_body_or_both(account):
    """§9: the text says POST, the example is a query."""
    head, _, tail = MO.partition("&Message")
    events = [
        SMSADMIN.parse_push(account, MO, b""),
        SMSADMIN.parse_push(account, "", MO.encode()),
        SMSADMIN.parse_push(account, head, f"Message{tail}\r\n".encode()),
        SMSADMIN.parse_push(account, f"token=x&{MO}", MO.encode()),
    ]
    assert events[0].account == "ID"
    assert events[0].record.content == "退订"
    assert all(event == events[0] for event in events)


def test_unescaped_bytes_in_the_query_come_as_latin_1(account):
    query = MO.replace("%CD%CB%B6%A9", "退订".encode("gbk").decode("latin-1"))
    assert SMSADMIN.parse_push(account, query, b"").record.content == "退订"


@pytest.mark.parametrize(
    ("sent", "content"),
    [
        ("A&B都要", "A&B都要"),
        ("退订&谢谢", "退订&谢谢"),
        ("&B", "&B"),
        ("A&&B & C", "A&&B & C"),
        ("A&", "A"),
        ("A%26B", "A&B"),
        ("电话+8613802102102", "电话+8613802102102"),
        ("1 + 1", "1 + 1"),
        ("1+%2B+1", "1 + 1"),
    ],
)
@pytest.mark.parametrize("by_query", [True, False])
def test_an_ampersand_that_is_not_escaped_cuts_no_text(account, sent, content, by_query):
    """§9: the document's own example escapes nothing."""
    event = MO.replace("%CD%CB%B6%A9", sent)
    query, body = (event.encode("gbk").decode("latin-1"), b"") if by_query else ("", event.encode("gbk"))
    assert SMSADMIN.parse_push(account, query, body).record.content == content


@pytest.mark.parametrize("sent", ["Q&A=none", "Q&A=none&B", "名&a=1", "a b&c=d", "&a=1"])
def test_what_may_be_a_part_of_a_text_is_not_dropped(account, sent):
    """A name and a value that no document knows, right behind a text that is not escaped."""
    event = MO.replace("%CD%CB%B6%A9", sent)
    with pytest.raises(errors.WireFormatError, match="may be a part of it"):
        SMSADMIN.parse_push(account, "", event.encode("gbk"))


def test_a_field_that_no_document_knows_is_passed_over(account):
    """Where the text is escaped, its own "&" would be, too."""
    for event in (MO.replace("&LinkId", "&Port=1&LinkId"), f"{MO}&Port=1", f"Port=1&{MO}"):
        assert SMSADMIN.parse_push(account, event, b"").record.content == "退订"


def test_a_text_cannot_forge_a_field(account):
    """What stands behind its "&" is a field only where it has a name and a value."""
    event = MO.replace("%CD%CB%B6%A9", "A&Mobile=13900000000")
    with pytest.raises(errors.WireFormatError, match="'Mobile' is given twice"):
        SMSADMIN.parse_push(account, event, b"")


@pytest.mark.parametrize("time", ["2017-9-28 10:22", "2017-09-28 10:22:00.0", "0000-00-00 00:00:00", ""])
@pytest.mark.parametrize("status", ["DELIVRD", "MK:100 C", "余额不足", ""])
def test_a_time_and_a_status_are_read_as_in_a_page(account, time, status):
    """What a poll would have taken is the same event when it is pushed."""
    fields = {"Class": "rpt", "SmsName": "ID", "Mobile": "13802102102", "LinkId": "7"}
    sent = text.form(fields | {"Report": status, "ReportTime": time}, "gbk").encode()
    line = f"13802102102/{time}/7/{status}/".encode("gbk")
    (polled,) = SMSADMIN.parse_reports(account, WireResponse(200, line)).records
    assert SMSADMIN.parse_push(account, "", sent).record == polled


@pytest.mark.parametrize("missing", ["Class", "SmsName", "Mobile", "Message", "LinkId", "RevertTime"])
def test_a_missing_field_is_named(account, missing):
    query = "&".join(pair for pair in MO.split("&") if not pair.startswith(missing))
    with pytest.raises(errors.WireFormatError, match=f"'{missing}' is missing"):
        SMSADMIN.parse_push(account, query, b"")


def test_a_field_given_twice_is_no_event(account):
    with pytest.raises(errors.WireFormatError, match="'Mobile' is given twice"):
        SMSADMIN.parse_push(account, f"{MO}&Mobile=13802102103", b"")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("SmsName=ID", "SmsName="),
        ("Mobile=13802102102", "Mobile=138xxxxxxx"),
        ("2017-09-28%2010:22:13", "2017-02-30%2010:22:13"),
        ("2017-09-28%2010:22:13", "gestern"),
        ("%CD%CB%B6%A9", "%E9%80%80%E8%AE%A2"),
        ("Class=mo", "Class=rpt"),
        ("ID", "\u4e00"),
    ],
)
def test_a_field_that_holds_something_else_is_no_event(account, field, value):
    with pytest.raises(errors.WireFormatError):
        SMSADMIN.parse_push(account, MO.replace(field, value), b"")
