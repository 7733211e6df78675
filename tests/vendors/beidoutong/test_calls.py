"""北斗通's sends and balances, against its document; the samples of the wire are in the contract's tests."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import parse_qsl

import pytest

from airflow_provider_sms import errors
from airflow_provider_sms.records import Queue, Submission
from airflow_provider_sms.transport.soap import SoapCodec
from airflow_provider_sms.vendors.base import Operation
from airflow_provider_sms.vendors.beidoutong import BeidoutongVendor
from airflow_provider_sms.wire import SoapCall, WireResponse

VENDOR = BeidoutongVendor()
TEXT = "镕堃喆玥 %&=+;|/<>\"' 100% \r\n二【公司】"
SUBMISSION = Submission(
    ("13800138000", "13900139000"),
    TEXT,
    send_at=datetime(2010, 10, 24, 1, 8, 10, tzinfo=UTC),
    extno="0123456789",
)


# --- what goes out -----------------------------------------------------------------------------------


def test_a_send_by_form_is_these_bytes(form_account):
    """§2.3.2: the parameters in their documented order, in UTF-8, all but letters and digits escaped."""
    request = VENDOR.submit_request(form_account, SUBMISSION)
    assert (request.method, request.path, request.query) == ("POST", "/SmsWebService.asmx/SendSms", "")
    assert request.headers == {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    assert request.body == (
        b"userid=7788&account=uid1&password=Pa55%20w%26rd&mobile=13800138000%2C13900139000"
        b"&content=%E9%95%95%E5%A0%83%E5%96%86%E7%8E%A5%20%25%26%3D%2B%3B%7C%2F%3C%3E%22%27%20100%25%20%0D%0A"
        b"%E4%BA%8C%E3%80%90%E5%85%AC%E5%8F%B8%E3%80%91"
        b"&sendTime=2010-10-24%2009%3A08%3A10&extno=0123456789"
    )
    assert dict(parse_qsl(request.body.decode(), keep_blank_values=True))["content"] == TEXT


def test_what_is_not_asked_for_is_sent_empty(form_account):
    """§2.2: an empty sendTime is "at once", an empty extno is none; a form has to name both."""
    request = VENDOR.submit_request(form_account, Submission(("13800138000",), "x"))
    assert request.body.endswith(b"&mobile=13800138000&content=x&sendTime=&extno=")


def test_a_send_by_soap_is_this_call(account):
    assert VENDOR.submit_request(account, SUBMISSION) == SoapCall(
        path="/SmsWebService.asmx",
        operations=("SendSms",),
        arguments={
            "userid": "7788",
            "account": "uid1",
            "password": "Pa55 w&rd",
            "mobile": "13800138000,13900139000",
            "content": TEXT,
            "sendTime": "2010-10-24 09:08:10",
            "extno": "0123456789",
        },
        wsdl="beidoutong",
        fetch_wsdl=False,
        version="1.2",
    )


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_the_envelope_carries_the_text_exactly(account_of, version):
    from lxml import etree

    account = account_of(VENDOR, soap_version=version)
    request = SoapCodec(account.endpoint).encode(VENDOR.submit_request(account, SUBMISSION))
    call = etree.fromstring(request.body)[0][0]
    assert call.tag == "{http://tempuri.org/}SendSms"
    assert [etree.QName(child).localname for child in call] == [
        "userid", "account", "password", "mobile", "content", "sendTime", "extno",
    ]  # fmt: skip
    assert call.findtext("{http://tempuri.org/}content") == TEXT
    assert call.findtext("{http://tempuri.org/}password") == "Pa55 w&rd"


def test_the_other_calls(account, form_account):
    """§3.2, §4.2, §5.2."""
    login = {"userid": "7788", "account": "uid1", "password": "Pa55 w&rd"}
    for make, operation, more in (
        (VENDOR.balance_request, "QueryOverage", {}),
        (VENDOR.reports_request, "QueryStatus", {"statusNum": "500"}),
        (VENDOR.replies_request, "QueryCall", {"callNum": "500"}),
    ):
        call = make(account)
        assert (call.operations, call.arguments) == ((operation,), login | more)
        request = make(form_account)
        assert request.path == f"/SmsWebService.asmx/{operation}"
        assert dict(parse_qsl(request.body.decode())) == login | more


def test_the_page_size_is_the_connections(account_of):
    account = account_of(VENDOR, page_size=10_000)
    assert VENDOR.page_size(account, Queue.REPORTS) == VENDOR.page_size(account, Queue.REPLIES) == 10_000
    assert VENDOR.reports_request(account).arguments["statusNum"] == "10000"
    assert VENDOR.replies_request(account).arguments["callNum"] == "10000"


@pytest.mark.parametrize(
    "extra",
    [
        {"page_size": 9},
        {"page_size": 10_001},
        {"protocol": "http"},
        {"soap_version": "2"},
        {"wsdl": "http://x"},
        {"userid": ""},
    ],
)
def test_a_field_outside_its_bounds_is_refused(account_of, extra):
    """§4.2: 10 to 10,000; the company id is required."""
    with pytest.raises(errors.PreflightError, match=repr(next(iter(extra)))):
        account_of(VENDOR, **extra)


def test_the_connection_chooses_its_wsdl_and_version(account_of):
    call = VENDOR.balance_request(account_of(VENDOR, wsdl="fetch", soap_version="1.1"))
    assert (call.fetch_wsdl, call.version) == (True, "1.1")


def test_limits(account):
    """§2.2: at most ten digits of extno, no length stated; 1,000 numbers are our own choice."""
    assert VENDOR.limits_for(account).numbers == 1000
    assert VENDOR.extno_problems(account, "0123456789") == []
    assert VENDOR.extno_problems(account, "01234567890") == ["extno must be at most 10 digits"]
    assert VENDOR.extno_problems(account, "12a") == ["extno must be at most 10 digits"]


def test_characters_xml_cannot_carry_are_found_before(account, form_account):
    problems = VENDOR.content_problems(account, "a\x0bb\x00")
    assert problems == [
        "the text holds the character U+0000, which no phone shows: remove it",
        "SOAP cannot carry the control characters U+000B, U+0000: remove them",
    ]
    assert VENDOR.content_problems(form_account, "a\x0bb") == []
    assert VENDOR.content_problems(account, TEXT) == []


# --- what comes back ---------------------------------------------------------------------------------


def test_the_code_tables_are_those_of_the_document():
    """§2.3, §3.3: Success, Faild; §4.3, §5.3: 1, 0 and "all others"."""
    assert {operation: set(codes) for operation, codes in VENDOR.codes.items()} == {
        Operation.SEND: {"Success", "Faild"},
        Operation.BALANCE: {"Success", "Faild"},
        Operation.REPORTS: {"1", "0", "other"},
        Operation.REPLIES: {"1", "0", "other"},
    }


def test_a_fixed_spelling_of_faild_is_a_no(account):
    answer = WireResponse(200, b"<WsSendResponse><ReturnStatus>Failed</ReturnStatus></WsSendResponse>")
    with pytest.raises(errors.VendorRejected):
        VENDOR.parse_submit(account, answer)


@pytest.mark.parametrize("status", ["Faild", "Failed"])
@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ("<TaskID>0</TaskID><SuccessCounts>0</SuccessCounts>", errors.VendorBusy),
        ("<TaskID></TaskID><SuccessCounts/>", errors.VendorBusy),
        ("<TaskID>0</TaskID><SuccessCounts>-1</SuccessCounts>", errors.VendorBusy),
        ("<TaskID>0</TaskID><SuccessCounts>3</SuccessCounts>", errors.WireFormatError),
        ("<TaskID>0</TaskID><SuccessCounts>some</SuccessCounts>", errors.WireFormatError),
        ("<TaskID>213143</TaskID><SuccessCounts>0</SuccessCounts>", errors.WireFormatError),
        ("<TaskID>x y</TaskID><SuccessCounts>0</SuccessCounts>", errors.WireFormatError),
    ],
)
def test_a_no_that_took_some_leaves_a_send_unknown(account, status, fields, error):
    """A no is submitted again, so one that bears a task id or a count of messages taken is none."""
    said = f"<ReturnStatus>{status}</ReturnStatus><Message>系统忙</Message>{fields}"
    with pytest.raises(error):
        VENDOR.parse_submit(account, WireResponse(200, f"<WsSendResponse>{said}</WsSendResponse>".encode()))


@pytest.mark.parametrize("status", ["Faild", "Failed"])
@pytest.mark.parametrize(
    "said",
    [
        "提交超时,请稍后查询结果",
        "短信已提交,等待审核,请稍后",
        "请勿重复提交,请稍候",
        "处理中",
        "您的短信待审核",
        "网络错误,请稍后重试",
        "服务器内部错误,请稍后重试",
        "系统异常,请稍后再试",
        "提交失败,请稍后查询发送结果",
        "操作失败,部分已发送",
        "任务已生成,通知通道失败",
        *("接口异常", "网关异常", "发送异常", "未知异常", "内部服务错误", "数据库错误", "正在处理", "已入库"),
        *("系统错误", "服务器错误,请稍后重试", "网络连接失败"),
        "Timeout expired. The timeout period elapsed prior to completion of the operation.",
        "The operation has timed out",
        "线程正在中止。",
        "基础连接已经关闭: 接收时发生错误。",
        "The remote server returned an error: (500) Internal Server Error.",
        "远程服务器返回错误: (500) 内部服务器错误。",
        "未将对象引用设置到对象的实例。",
        "Object reference not set to an instance of an object.",
        "System.Data.SqlClient.SqlException",
    ],
)
def test_a_no_that_sounds_like_a_perhaps_leaves_a_send_unknown(account, status, said):
    """A "later" in it is no "busy", which would be submitted again at once."""
    fields = f"<ReturnStatus>{status}</ReturnStatus><Message>{said}</Message>"
    with pytest.raises(errors.WireFormatError, match="may have been taken"):
        VENDOR.parse_submit(account, WireResponse(200, f"<WsSendResponse>{fields}</WsSendResponse>".encode()))


@pytest.mark.parametrize("status", ["", "success", "OK", "1", "失败"])
def test_another_status_leaves_a_send_unknown(account, status):
    """Neither a yes nor a no: whether anything was sent is not known, so nothing may be sent again."""
    body = f"<WsSendResponse><ReturnStatus>{status}</ReturnStatus><TaskID>5</TaskID></WsSendResponse>"
    with pytest.raises(errors.WireFormatError, match="neither Success nor Faild"):
        VENDOR.parse_submit(account, WireResponse(200, body.encode()))


def test_a_yes_stays_a_yes_where_its_details_are_missing(account):
    """A send that is known to be accepted does not become unknown for want of a number."""
    body = (
        "<WsSendResponse><ReturnStatus>Success</ReturnStatus><TaskID>x y</TaskID><RemainPoint>?</RemainPoint>"
    )
    receipt = VENDOR.parse_submit(account, WireResponse(200, f"{body}</WsSendResponse>".encode()))
    assert (receipt.code, receipt.message_ids, receipt.accepted, receipt.remaining) == (
        "Success",
        (),
        None,
        None,
    )


@pytest.mark.parametrize(
    ("counted", "accepted"),
    [("2147483647", 2**31 - 1), ("2147483648", None), ("999999999999999999", None), ("-1", None)],
)
def test_a_count_that_cannot_be_says_nothing(account, counted, accepted):
    """§2.3.2: an int. One too large for its column keeps the yes out of the store."""
    body = f"<ReturnStatus>Success</ReturnStatus><TaskID>5</TaskID><SuccessCounts>{counted}</SuccessCounts>"
    answer = WireResponse(200, f"<WsSendResponse>{body}</WsSendResponse>".encode())
    assert VENDOR.parse_submit(account, answer).accepted == accepted


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("用户名或密码错误", errors.AuthenticationFailed),
        ("帐号不存在", errors.AuthenticationFailed),
        ("企业ID错误", errors.AuthenticationFailed),
        ("余额不足", errors.InsufficientBalance),
        ("条数不足", errors.InsufficientBalance),
        ("内容包含屏蔽词:发票", errors.ContentRejected),
        ("含有敏感字", errors.ContentRejected),
        ("内容包含非法关键词", errors.ContentRejected),
        ("短信未加签名", errors.ContentRejected),
        ("帐号已锁定，密码错误次数过多", errors.NotAllowed),
        ("用户被禁用", errors.NotAllowed),
        ("IP不在白名单", errors.NotAllowed),
        ("系统忙,请稍后再试", errors.VendorBusy),
        ("没有有效的号码", errors.VendorRejected),
        ("号码重复", errors.VendorRejected),
        ("请稍后再试", errors.VendorBusy),
        ("账号异常", errors.VendorRejected),
        ("用户名错误,系统错误代码3", errors.AuthenticationFailed),
        ("内容含敏感词:timeout", errors.ContentRejected),
        ("短信内容含敏感词:网络错误", errors.ContentRejected),
        ("网络短信内容含敏感词", errors.ContentRejected),
        ("您的IP不在白名单,请联系网络管理员", errors.NotAllowed),
        ("同一号码当天已发送10条,超出限制", errors.VendorRejected),
        ("系统检测到异常内容", errors.VendorRejected),
        ("手机号码在黑名单中", errors.VendorRejected),
        ("签名未审核", errors.ContentRejected),
        ("签名审核中", errors.ContentRejected),
        ("模板待审核", errors.VendorRejected),
        ("账号审核中", errors.VendorRejected),
        ("登录超时", errors.VendorRejected),
        ("定时时间超时", errors.VendorRejected),
        ("", errors.VendorRejected),
    ],
)
def test_plain_words_say_which_error_it_is(account, said, error):
    """The document has one failure for everything; the rest is in the message."""
    for status, type_name, parse in (
        ("Faild", "WsSendResponse", VENDOR.parse_submit),
        ("Faild", "WsOverageResponse", VENDOR.parse_balance),
        ("-1", "WsStatusResponse", VENDOR.parse_reports),
        ("99", "WsCallResponse", VENDOR.parse_replies),
    ):
        body = f"<{type_name}><ReturnStatus>{status}</ReturnStatus><Message>{said}</Message></{type_name}>"
        with pytest.raises(error) as caught:
            parse(account, WireResponse(200, body.encode()))
        assert type(caught.value) is error
        assert caught.value.code == status


def test_forbidden_words_are_kept_out_of_the_text(account):
    said = "内容包含屏蔽词：发票,博彩"
    body = f"<WsSendResponse><ReturnStatus>Faild</ReturnStatus><Message>{said}</Message></WsSendResponse>"
    with pytest.raises(errors.ContentRejected) as caught:
        VENDOR.parse_submit(account, WireResponse(200, body.encode()))
    assert caught.value.words == ("发票", "博彩")
    assert "发票" not in str(caught.value)


def test_an_error_tells_the_vendors_words_without_what_they_quote(account_of):
    """The remark is all there is to go by; numbers, credentials and whatever follows a colon are not told."""
    account = account_of(VENDOR, conn_id="sms_main", password="geheim&1")
    said = "提交失败 13800138000 geheim&amp;1：您的验证码是 904217"
    body = f"<WsSendResponse><ReturnStatus>Faild</ReturnStatus><Message>{said}</Message></WsSendResponse>"
    with pytest.raises(errors.VendorRejected) as caught:
        VENDOR.parse_submit(account, WireResponse(200, body.encode()))
    assert str(caught.value) == (
        "connection 'sms_main': beidoutong refused 'send' with status Faild: "
        "the vendor refused, in its own words (提交失败 138****8000 ***). "
        "Ask the vendor if they don't say enough."
    )


@pytest.mark.parametrize("said", ["预付费", "后付费", "月结", ""])
def test_pay_modes(account, said):
    body = (
        "<WsOverageResponse><ReturnStatus>Success</ReturnStatus><Overage>0</Overage>"
        f"<PayInfo>{said}</PayInfo></WsOverageResponse>"
    )
    balance = VENDOR.parse_balance(account, WireResponse(200, body.encode()))
    assert (balance.remaining, balance.total) == (Decimal(0), None)
    assert balance.pay_mode == {"预付费": "prepaid", "后付费": "postpaid"}.get(said, "")


@pytest.mark.parametrize("overage", ["", "abc", "1e5", "１２", "99999999999999999999"])
def test_a_balance_that_is_no_number_is_none(account, overage):
    body = (
        "<WsOverageResponse><ReturnStatus>Success</ReturnStatus>"
        f"<Overage>{overage}</Overage></WsOverageResponse>"
    )
    with pytest.raises(errors.WireFormatError, match="without a number"):
        VENDOR.parse_balance(account, WireResponse(200, body.encode()))


@pytest.mark.parametrize(
    "parse", [VENDOR.parse_submit, VENDOR.parse_balance, VENDOR.parse_reports, VENDOR.parse_replies]
)
def test_every_error_names_the_connection(account_of, parse):
    account = account_of(VENDOR, conn_id="sms_main")
    for body in (b"", b"x", b"<html/>", b"<!DOCTYPE html>", b"<a/>"):
        with pytest.raises(errors.WireFormatError) as caught:
            parse(account, WireResponse(200, body))
        assert re.match(r"connection 'sms_main': beidoutong answered '\w+' with ", str(caught.value))
