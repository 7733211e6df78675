"""The calls of smsadmin and their answers (§2 to §6)."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from urllib.parse import unquote_to_bytes

import pytest

from airflow_provider_sms import errors
from airflow_provider_sms.records import Submission
from airflow_provider_sms.vendors.smsadmin import SmsAdminVendor

SMSADMIN = SmsAdminVendor()
#: That of the account, see conftest.py.
PASSWORD = "p&=s 密"
MD5 = hashlib.md5(PASSWORD.encode("gbk"), usedforsecurity=False).hexdigest()
API = "/smsmarketing/wwwroot/api"
TO = ("13800138000", "13800138001")
TEXT = "50% + 喆 & 好;\n【公司】"


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


@pytest.mark.parametrize("said", ["0 发送成功!", "0发送成功！", "0\n发送成功!", "0", "0 成功1条,失败0条"])
def test_yes_in_all_its_spellings(account, says, said):
    assert SMSADMIN.parse_submit(account, says(said)).code == "0"


@pytest.mark.parametrize(
    "said",
    ["", "00", "0123", "0 OK", "0 <b>发送成功</b>", "发送成功!", "0 发送\n成功", "0/1", "0 发送失败!"],
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
