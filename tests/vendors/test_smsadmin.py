from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from urllib.parse import quote, quote_plus, unquote_to_bytes

import pytest

from airflow_provider_sms import errors
from airflow_provider_sms.records import DeliveryStatus, Reply, Report, Submission
from airflow_provider_sms.vendors.smsadmin import SmsAdminVendor

SMSADMIN = SmsAdminVendor()
PASSWORD = "p&=s 密"
MD5 = hashlib.md5(PASSWORD.encode("gbk"), usedforsecurity=False).hexdigest()
API = "/smsmarketing/wwwroot/api"
AT = "2014-10-11 10:22:13"
AT_UTC = datetime(2014, 10, 11, 2, 22, 13, tzinfo=UTC)
TO = ("13800138000", "13800138001")
TEXT = "50% + 喆 & 好;\n【公司】"


@pytest.fixture
def account(account_of):
    return account_of(SMSADMIN, login="uid一", password=PASSWORD)


@pytest.fixture
def account_with(account_of):
    return lambda **extra: account_of(SMSADMIN, login="uid一", password=PASSWORD, **extra)


def fields_of(request, *twice: str):
    """Read a form as the vendor's pages do; the fields of ``twice`` are unescaped a second time."""
    raw = request.query or request.body.decode("ascii")
    fields = {}
    for pair in raw.split("&"):
        name, value = pair.split("=")
        once = unquote_to_bytes(value.replace("+", " "))
        fields[name] = (unquote_to_bytes(once.replace(b"+", b" ")) if name in twice else once).decode(
            "gb18030"
        )
    return fields


# --- §2, §3 send -------------------------------------------------------------------------------------


def test_a_submit_is_a_post_with_the_md5(account):
    request = SMSADMIN.submit_request(account, Submission(TO, TEXT, reference="abc123"))
    assert (request.method, request.path, request.query) == ("POST", f"{API}/post_send_md5/", "")
    assert request.headers == {"Content-Type": "application/x-www-form-urlencoded"}
    assert fields_of(request) == {
        "uid": "uid一",
        "pwd": MD5,
        "mobile": "13800138000;13800138001",
        "msg": TEXT,
        "dtime": "",
        "linkid": "abc123",
    }


@pytest.mark.parametrize(
    ("extra", "method", "page", "password", "twice"),
    [
        ({}, "POST", "post_send_md5", MD5, ()),
        ({"auth": "plain"}, "POST", "post_send", PASSWORD, ()),
        ({"urldecode": True}, "POST", "post_send_urldecode", PASSWORD, ("uid", "msg")),
        ({"method": "get"}, "GET", "get_send_md5", MD5, ()),
        ({"method": "get", "auth": "plain"}, "GET", "get_send", PASSWORD, ()),
        ({"method": "get", "urldecode": "true"}, "GET", "get_send_urldecode", PASSWORD, ("msg",)),
    ],
)
def test_each_page_of_the_document(account_with, extra, method, page, password, twice):
    """Those that decode twice get exactly the documented fields encoded twice (§2, §3)."""
    request = SMSADMIN.submit_request(account_with(**extra), Submission(TO, TEXT, reference="abc123"))
    assert (request.method, request.path) == (method, f"{API}/{page}/")
    assert bool(request.body) is (method == "POST")
    fields = fields_of(request, *twice)
    assert (fields["uid"], fields["pwd"], fields["msg"]) == ("uid一", password, TEXT)
    assert fields["mobile"] == ";".join(TO)


def test_a_scheduled_submit_gives_local_time(account):
    moment = datetime(2026, 12, 24, 16, 5, tzinfo=UTC)
    request = SMSADMIN.submit_request(account, Submission(TO, "好", send_at=moment, reference="a"))
    assert fields_of(request)["dtime"] == "2026-12-25 00:05:00"


def test_get_takes_fewer_numbers(account_with):
    """§2, §3; a template is a POST either way (§4)."""
    assert SMSADMIN.limits_for(account_with()).numbers == 1000
    limits = SMSADMIN.limits_for(account_with(method="get"))
    assert (limits.numbers, limits.template_rows) == (100, 1000)


@pytest.mark.parametrize("said", ["0 发送成功!", "0发送成功！", "0\n发送成功!", "0"])
def test_yes_in_all_its_spellings(account, says, said):
    assert SMSADMIN.parse_submit(account, says(said)).code == "0"


@pytest.mark.parametrize(
    "said", ["", "00", "0123", "0 OK", "0 <b>发送成功</b>", "发送成功!", "0 发送\n成功", "0/1"]
)
def test_anything_else_is_no_yes(account, says, said):
    with pytest.raises(errors.WireFormatError):
        SMSADMIN.parse_submit(account, says(said))


def test_the_remark_of_a_yes_is_kept_without_numbers(account, says):
    receipt = SMSADMIN.parse_submit(account, says("0 发送成功!号码13800138000"))
    assert receipt.text == "发送成功!号码138****8000"


def test_a_text_too_long_is_told_the_channels_length(account, says):
    """§2: XX is what the channel takes."""
    with pytest.raises(errors.ContentRejected, match="it takes 70 characters"):
        SMSADMIN.parse_submit(account, says("7 超过 70 个字,请修改后发送!"))


def test_forbidden_words_are_told_apart_from_the_errors_text(account, says):
    with pytest.raises(errors.ContentRejected) as caught:
        SMSADMIN.parse_submit(account, says("6 含敏感字:发票;代开;"))
    assert caught.value.words == ("发票", "代开")
    assert "发票" not in str(caught.value)


# --- §4 templates ------------------------------------------------------------------------------------


def test_a_template_gets_markers_behind_the_number(account):
    """{value0} is the number itself (§4)."""
    native = SMSADMIN.native_template(account, "{name}，您的验证码 {code}【公司】", ("name", "code"))
    assert native.content == "{value1}，您的验证码 {value2}【公司】"
    assert native.fields == ("name", "code")


def test_the_other_reading_counts_from_zero(account_with):
    native = SMSADMIN.native_template(account_with(ddt_first_index=0), "{name}，{code}", ("name", "code"))
    assert native.content == "{value0}，{value1}"


def test_a_repeated_placeholder_gets_a_marker_of_its_own(account):
    """变量标识符号不能重复 (§4)."""
    native = SMSADMIN.native_template(account, "{a}{b}{a}", ("a", "b", "a"))
    assert native.content == "{value1}{value2}{value3}"
    assert native.fields == ("a", "b", "a")


@pytest.mark.parametrize(
    ("template", "fields"),
    [
        ("没有变量", ()),
        ("{{value0}} {code}", ("code",)),
        ("{code}}}", ("code",)),
        ("{code!r}", ("code",)),
        ("{code:>6}", ("code",)),
        ("{code", ("code",)),
        ("{code}", ("other",)),
        ("1+1 {code}", ("code",)),
        ("%41 {code}", ("code",)),
    ],
)
def test_what_ddt_might_garble_is_no_template(account, template, fields):
    """Such a text goes out as ordinary messages."""
    assert SMSADMIN.native_template(account, template, fields) is None


@pytest.mark.parametrize(
    "value", ["a,b", "a;b", "", " a", "a ", "a\nb", "{value1}", "}", "1+1", "%E9", "\u3000a"]
)
def test_a_value_that_ddt_might_drop_or_garble_does_not_fit(account, value):
    assert not SMSADMIN.template_row_fits(account, ("好", value))


@pytest.mark.parametrize("value", ["好", "50%", "a b", "，；", "1.50", "喆/=&", "0"])
def test_other_values_fit(account, value):
    assert SMSADMIN.template_row_fits(account, (value, "好"))


@pytest.mark.parametrize("extra", [{}, {"auth": "plain"}, {"method": "get"}, {"urldecode": True}])
def test_a_template_submit_is_a_post_with_the_md5_on_every_connection(account_with, extra):
    """§4 has one page."""
    submission = Submission(TO, "{value1}{value2}", (("喆", "10%"), ("李 & 王", "a=b")), reference="abc")
    request = SMSADMIN.template_request(account_with(**extra), submission)
    assert (request.method, request.path) == ("POST", f"{API}/post_send_ddt/")
    expected = {
        "uid": "uid一",
        "pwd": MD5,
        "msg": "{value1}{value2}",
        "params": "13800138000,喆,10%;13800138001,李 & 王,a=b",
        "dtime": "",
        "linkid": "abc",
    }
    # Whether the page decodes once or twice, it reads the same.
    assert fields_of(request) == fields_of(request, "msg", "params") == expected


# --- §5 balance --------------------------------------------------------------------------------------


def test_queries_take_the_plain_password(account_with):
    """No query page has an MD5 sister (§5-§8)."""
    account = account_with()
    for request, page in (
        (SMSADMIN.balance_request(account), "user_info"),
        (SMSADMIN.words_request(account, TEXT), "mgz"),
        (SMSADMIN.reports_request(account), "report"),
        (SMSADMIN.replies_request(account), "reve_urlencode"),
    ):
        assert (request.method, request.path) == ("GET", f"{API}/{page}/")
        fields = fields_of(request)
        assert (fields["uid"], fields["pwd"]) == ("uid一", PASSWORD)
        assert fields.get("msg") in {None, TEXT}


def test_the_escaped_balance_page_decodes_the_uid_twice(account_with):
    """The page of §5 that differs."""
    request = SMSADMIN.balance_request(account_with(urldecode=True))
    assert request.path == f"{API}/user_info_urldecode/"
    assert fields_of(request, "uid") == {"uid": "uid一", "pwd": PASSWORD}


@pytest.mark.parametrize(
    ("said", "remaining"),
    [
        ("用户 ID=uid 剩余资费=100", "100"),
        ("用户ID=uid剩余资费=0.05", "0.05"),
        ("用户ID＝uid\r\n\r\n剩余资费＝ 91\r\n", "91"),
        ("用户 ID:uid 剩余资费:-3.50 元", "-3.50"),
    ],
)
def test_balances_in_all_their_spellings(account, says, said, remaining):
    balance = SMSADMIN.parse_balance(account, says(said))
    assert (str(balance.remaining), balance.unit) == (remaining, "money")


@pytest.mark.parametrize(
    "said",
    ["", "100", "剩余资费=100", "用户ID=uid 剩余资费=", "用户ID=uid 剩余资费=1.", "用户ID=uid 剩余资费=1e9"],
)
def test_what_names_no_amount_is_no_balance(account, says, said):
    with pytest.raises(errors.WireFormatError):
        SMSADMIN.parse_balance(account, says(said))


def test_an_amount_cut_off_is_no_balance(account, says):
    """A "9" may have been "91"."""
    with pytest.raises(errors.WireFormatError, match="cut off"):
        SMSADMIN.parse_balance(account, says("用户ID=uid 剩余资费=9", complete=False))


# --- §6 word check -----------------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["", "敏感字:", "含敏感字", "不含", "敏感字:a;\n1"])
def test_what_is_no_answer_to_the_word_check_is_no_all_clear(account, says, said):
    with pytest.raises(errors.WireFormatError):
        SMSADMIN.parse_words(account, says(said))


# --- §7, §8 queues -----------------------------------------------------------------------------------


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
    "line",
    [
        "",
        "hello",
        "<html>",
        f"13800138000/{AT}/abc/DELIVRD",
        f"13800138000/{AT}/abc/DELIVRD/1/2",
        f"13800138000/{AT}/a b/DELIVRD/1",
        f"x/{AT}/abc/DELIVRD/1",
        "13800138000/2014-02-30 10:22:13/abc/DELIVRD/1",
        "13800138000/0001-01-01 00:00:00/abc/DELIVRD/1",
        "13800138000/2014-10-11/abc/DELIVRD/1",
        f"１３８００１３８０００/{AT}/abc/DELIVRD/1",
    ],
)
def test_what_is_no_report_is_refused(account, says, line):
    with pytest.raises(errors.WireFormatError):
        SMSADMIN.parse_reports(account, says(line))
    if line:
        with pytest.raises(errors.WireFormatError):
            SMSADMIN.parse_reports(account, says(f"13800138000/{AT}/abc/DELIVRD/1\n{line}\n"))


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


# --- §9, §10 push ------------------------------------------------------------------------------------

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
    ],
)
@pytest.mark.parametrize("by_query", [True, False])
def test_an_ampersand_that_is_not_escaped_cuts_no_text(account, sent, content, by_query):
    """§9: the document's own example escapes nothing."""
    event = MO.replace("%CD%CB%B6%A9", sent)
    query, body = (event.encode("gbk").decode("latin-1"), b"") if by_query else ("", event.encode("gbk"))
    assert SMSADMIN.parse_push(account, query, body).record.content == content


def test_a_text_cannot_forge_a_field(account):
    """What stands behind its "&" is a field only where it has a name and a value."""
    event = MO.replace("%CD%CB%B6%A9", "A&Mobile=13900000000")
    with pytest.raises(errors.WireFormatError, match="'Mobile' is given twice"):
        SMSADMIN.parse_push(account, event, b"")


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
