"""The queue pages of smsadmin (§7, §8)."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote, quote_plus

import pytest

from airflow_provider_sms import errors
from airflow_provider_sms.records import DeliveryStatus, Reply, Report
from airflow_provider_sms.vendors.smsadmin import SmsAdminVendor

SMSADMIN = SmsAdminVendor()
API = "/smsmarketing/wwwroot/api"
AT = "2014-10-11 10:22:13"
AT_UTC = datetime(2014, 10, 11, 2, 22, 13, tzinfo=UTC)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("DELIVRD", DeliveryStatus.DELIVERED),
        ("ACCEPTD", DeliveryStatus.PENDING),
        ("ENROUTE", DeliveryStatus.PENDING),
        ("UNDELIV", DeliveryStatus.FAILED),
        ("EXPIRED", DeliveryStatus.FAILED),
        ("DELETED", DeliveryStatus.FAILED),
        ("REJECTD", DeliveryStatus.FAILED),
        ("DTBLACK", DeliveryStatus.FAILED),
        ("MBBLACK", DeliveryStatus.FAILED),
        ("MK:0001", DeliveryStatus.FAILED),
        ("CB:0010", DeliveryStatus.FAILED),
        ("UNKNOWN", DeliveryStatus.UNKNOWN),
        ("SOMETHING", DeliveryStatus.UNKNOWN),
        ("MA:0000", DeliveryStatus.UNKNOWN),
        ("失败", DeliveryStatus.UNKNOWN),
        ("UNDELIV 12", DeliveryStatus.UNKNOWN),
        ("", DeliveryStatus.UNKNOWN),
        ("1", DeliveryStatus.UNKNOWN),
    ],
)
def test_status_words(account, says, word, status):
    """The word itself is always kept; a failure's is its error code, too."""
    report = SMSADMIN.parse_reports(account, says(f"13800138000/{AT}/abc/{word}/56666\n")).records[0]
    failure = status in {DeliveryStatus.FAILED, DeliveryStatus.UNKNOWN}
    assert report == Report("abc", "13800138000", status, word, word if failure else "", "56666", AT_UTC)


def test_only_a_line_break_proves_the_last_line_of_a_cut_page(account, says):
    """A "566" may have been "56666"."""
    body = f"13800138000/{AT}/abc/DELIVRD/56666\n13800138001/{AT}/abd/DELIVRD/566"
    page = SMSADMIN.parse_reports(account, says(body, complete=False, problem="reset by peer"))
    assert ([report.mobile for report in page.records], page.complete) == (["13800138000"], False)
    assert "reset by peer" in page.problem
    page = SMSADMIN.parse_reports(account, says(f"{body}66\n", complete=False))
    assert (len(page.records), page.complete) == (2, False)
    assert SMSADMIN.parse_reports(account, says(f"{body}66")).complete


def test_a_code_cut_off_may_be_a_number(account, says):
    """A "160" is an empty queue, or the beginning of 16012345678."""
    for body in ("", "1", "160", "160\n"):
        page = SMSADMIN.parse_reports(account, says(body, complete=False))
        assert (page.records, page.complete, page.empty) == ([], False, False)


def test_the_two_queues_say_empty_differently(account, says):
    """150 is the replies' (§7), 160 the reports' (§8)."""
    assert SMSADMIN.parse_reports(account, says("160")).empty
    assert SMSADMIN.parse_replies(account, says("150")).empty
    with pytest.raises(errors.WireFormatError):
        SMSADMIN.parse_reports(account, says("150"))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("", None),
        ("2014-10-11 10:22", datetime(2014, 10, 11, 2, 22, tzinfo=UTC)),
        ("2014-10-1 9:05", datetime(2014, 10, 1, 1, 5, tzinfo=UTC)),
        ("2014-10-1 9:05:03", datetime(2014, 10, 1, 1, 5, 3, tzinfo=UTC)),
        ("2014-10-11 10:22:13.0", datetime(2014, 10, 11, 2, 22, 13, tzinfo=UTC)),
        ("2014-10-11 10:22:13.4567891", datetime(2014, 10, 11, 2, 22, 13, 456789, tzinfo=UTC)),
    ],
)
def test_times_in_all_their_spellings(account, says, written, meant):
    """By columns as well; where there is none, the time of reading will stand for it."""
    answer = says(f"13800138000/{written}/abc/DELIVRD/1\n")
    assert SMSADMIN.parse_reports(account, answer).records[0].occurred_at == meant
    assert SMSADMIN.columns_of_reports(account, answer).columns.occurred_at == [meant]


_NO_RECORDS = ["", "hello", "<html>", f"x/{AT}/abc/DELIVRD/1", f"１３８００１３８０００/{AT}/abc/DELIVRD/1"]
_ODD_RECORDS = [
    f"13800138000/{AT}/abc/DELIVRD",
    f"13800138000/{AT}/abc/DELIVRD/1/2",
    f"13800138000/{AT}/a b/DELIVRD/1",
    "13800138000/2014-02-30 10:22:13/abc/DELIVRD/1",
    "13800138000/0001-01-01 00:00:00/abc/DELIVRD/1",
    "13800138000/2014-10-11/abc/DELIVRD/1",
    "13800138000/2014-10-11 10/abc/DELIVRD/1",
]


@pytest.mark.parametrize("line", _NO_RECORDS + _ODD_RECORDS)
def test_what_is_no_report_is_refused(account, says, line):
    with pytest.raises(errors.WireFormatError):
        SMSADMIN.parse_reports(account, says(line))
    if line and line in _NO_RECORDS:
        with pytest.raises(errors.WireFormatError):
            SMSADMIN.parse_reports(account, says(f"13800138000/{AT}/abc/DELIVRD/1\n{line}\n"))


@pytest.mark.parametrize("line", _ODD_RECORDS)
def test_an_odd_report_costs_that_report_alone(account, says, line):
    """It begins like a record, so it is one; the others keep their places, and the page says which it is."""
    good = f"13800138000/{AT}/abc/DELIVRD/1\n"
    page = SMSADMIN.parse_reports(account, says(f"{good}{line}\n{good}{line}\n{good}"))
    assert (len(page.records), page.gaps, page.complete) == (3, (1, 3), False)
    assert page.problem == "of the records, these cannot be read: 2, 4"
    assert SMSADMIN.columns_of_reports(account, says(f"{good}{line}\n{good}")) is None


def test_an_odd_reply_costs_that_reply_alone(account, says):
    """An escaped content holds no line break: nobody can have written the line into another's."""
    good = f"13800138000/{AT}/abc/TD/1\n"
    page = SMSADMIN.parse_replies(account, says(f"{good}13800138001/{AT}/abc/TD\n{good}"))
    assert (len(page.records), page.gaps, page.complete) == (2, (1,), False)


def test_a_page_begun_by_an_editors_mark_is_read(account, says):
    """Whatever the charset: a file written with UTF-8's mark puts it before every answer."""
    mark = b"\xef\xbb\xbf"
    assert SMSADMIN.parse_submit(account, says(mark + "0 发送成功!".encode("gbk"))).code == "0"
    page = SMSADMIN.parse_reports(account, says(mark + f"13800138000/{AT}/abc/DELIVRD/1\n".encode()))
    assert len(page.records) == 1


@pytest.mark.parametrize("content", ["退订", "a/b\nc", "1 + 1 = 2%", "", "喆;&|,\r\n", "{value0}", "100%25"])
def test_an_escaped_content_is_exact(account, says, content):
    """Whichever escapes the vendor's encoder writes."""
    for escape in (quote, quote_plus):
        escaped = escape(content.encode("gb18030"), safe="")
        page = SMSADMIN.parse_replies(account, says(f"13800138000/{AT}/abc/{escaped}/1\n"))
        assert page.records == [Reply("abc", "13800138000", content, "1", AT_UTC)]


def test_bytes_that_are_no_text_are_said(account, says):
    page = SMSADMIN.parse_replies(
        account, says(f"13800138000/{AT}/abc/%FF%FF/1\n13800138001/{AT}/abc/TD/1\n")
    )
    assert page.complete
    assert len(page.records) == 2
    assert "1 of 2 replies" in page.problem


def test_the_plain_page_is_read_from_both_ends(account_with, says):
    """A content may hold "/": the fields before and behind it cannot (§7)."""
    account = account_with(replies_page="plain")
    assert SMSADMIN.replies_request(account).path == f"{API}/reve/"
    page = SMSADMIN.parse_replies(account, says(f"13800138000/{AT}/abc/好/1/+%41/1\n"))
    assert page.records[0].content == "好/1/+%41"


@pytest.mark.parametrize(
    "content",
    ["好\n13900139000/2014-10-11 10:22:13/abc/退订", "好\n", "好/1\n不", "\n" * 3 + "好", "a\nb\nc"],
)
def test_a_line_break_in_a_plain_reply_is_never_guessed(account_with, says, content):
    with pytest.raises(errors.WireFormatError):
        SMSADMIN.parse_replies(
            account_with(replies_page="plain"), says(f"13800138000/{AT}/abc/{content}/1\n")
        )


def test_a_plain_page_with_more_lines_than_there_can_be_is_forged(account_with, says):
    """Forged lines that look like any other are seen by their number, on a full page."""
    body = f"13800138000/{AT}/abc/好/1\n" * 21
    with pytest.raises(errors.WireFormatError, match="21 replies where it hands over 20"):
        SMSADMIN.parse_replies(account_with(replies_page="plain"), says(body))
