"""LinkWS, against its document; what the samples on the wire shelf already say is in the contract's tests."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qsl

import pytest

from airflow_provider_sms import errors
from airflow_provider_sms.records import Submission
from airflow_provider_sms.transport.soap import SoapCodec
from airflow_provider_sms.vendors.base import Operation
from airflow_provider_sms.vendors.linkws import LinkWSVendor
from airflow_provider_sms.wire import WireResponse

VENDOR = LinkWSVendor()
TEXT = "镕堃喆玥 %&=+;|/【公司】"
SUBMISSION = Submission(
    ("13812345678", "13519876543"), TEXT, send_at=datetime(2006, 9, 12, 7, 24, 35, tzinfo=UTC), extno="12"
)
MD5 = "5f4dcc3b5aa765d61d8327deb882cf99"  # of "password"
BODY = (
    b"CorpID=uid1&Pwd=5f4dcc3b5aa765d61d8327deb882cf99&Mobile=13812345678%2C13519876543"
    b"&Content=%E9F%88%D2%86%B4%ABh%20%25%26%3D%2B%3B%7C%2F%A1%BE%B9%AB%CB%BE%A1%BF&Cell=12&SendTime=20060912152435"
)
#: 一 (一) and 二 (一) of the document, dashes as printed.
SEND_CODES = "–1 –2 –3 -5 –7 -6 –8 –9 -10 -12 -20 -21 -22 -23 -100 -102 -103"
BALANCE_CODES = "–1 –2 –3 -20 -21 -101 -100 -102 -103"


@pytest.fixture
def account(account_of):
    return account_of(VENDOR, password="password")


@pytest.fixture
def soap_account(account_of):
    return account_of(VENDOR, password="password", protocol="soap")


# --- what goes out -----------------------------------------------------------------------------------


def test_a_send_is_these_bytes(account):
    """二: POST keeps the credential out of the address; GB2312 means GBK, which has 镕堃喆玥."""
    request = VENDOR.submit_request(account, SUBMISSION)
    assert (request.method, request.path, request.query) == ("POST", "/sdk2/IntlSend.aspx", "")
    assert request.headers == {"Content-Type": "application/x-www-form-urlencoded; charset=gb2312"}
    assert request.body == BODY
    assert dict(parse_qsl(request.body.decode(), encoding="gbk"))["Content"] == TEXT


def test_a_send_by_get_is_the_same_in_the_address(account_of):
    request = VENDOR.submit_request(account_of(VENDOR, password="password", method="get"), SUBMISSION)
    assert (request.method, request.path, request.body) == ("GET", "/sdk2/IntlSend.aspx", b"")
    assert (
        request.query.encode()
        == VENDOR.submit_request(account_of(VENDOR, password="password"), SUBMISSION).body
    )


def test_another_charset_is_declared(account_of):
    request = VENDOR.submit_request(account_of(VENDOR, encoding="utf-8"), SUBMISSION)
    assert request.headers["Content-Type"].endswith("; charset=utf-8")
    assert dict(parse_qsl(request.body.decode()))["Content"] == TEXT


def test_what_is_not_asked_for_is_sent_empty(account):
    body = VENDOR.submit_request(account, Submission(("13812345678",), "x")).body
    assert body.endswith(b"&Content=x&Cell=&SendTime=")


@pytest.mark.parametrize(
    ("method", "query", "body"),
    [("post", "", f"CorpID=uid1&Pwd={MD5}"), ("get", f"CorpID=uid1&Pwd={MD5}", "")],
)
def test_the_balance_is_asked_for(account_of, method, query, body):
    request = VENDOR.balance_request(account_of(VENDOR, password="password", method=method))
    assert (request.method, request.path) == (method.upper(), "/sdk2/GetBalance.aspx")
    assert (request.query, request.body.decode()) == (query, body)


def test_soap_offers_the_names_of_the_send(soap_account):
    """The document lost the name: the usual ones are tried in the WSDL, nothing is tried on the vendor."""
    call = VENDOR.submit_request(soap_account, SUBMISSION)
    assert call.path == "/sdk2/LinkWS.asmx"
    assert call.operations == ("BatchSend2", "IntlSend", "BatchSend", "Send2", "Send")
    assert (call.wsdl, call.fetch_wsdl, call.version) == ("linkws", False, "1.2")
    assert call.arguments == {
        "CorpID": "uid1",
        "Pwd": MD5,
        "Mobile": "13812345678,13519876543",
        "Content": TEXT,
        "Cell": "12",
        "SendTime": "20060912152435",
    }
    assert VENDOR.balance_request(soap_account).operations == ("GetBalance",)


@pytest.mark.parametrize("version", ["1.1", "1.2"])
@pytest.mark.parametrize("operation", ["BatchSend2", "IntlSend", "BatchSend", "Send2", "Send"])
def test_the_envelope_carries_the_text_exactly(account_of, operation, version):
    from lxml import etree

    account = account_of(VENDOR, protocol="soap", send_operation=operation, soap_version=version)
    request = SoapCodec(account.endpoint).encode(VENDOR.submit_request(account, SUBMISSION))
    call = etree.fromstring(request.body)[0][0]
    assert call.tag == f"{{http://tempuri.org/}}{operation}"
    assert call.findtext("{http://tempuri.org/}Content") == TEXT


@pytest.mark.parametrize(
    ("extra", "what"),
    [
        ({"send_operation": "Batch Send"}, "must be the name"),
        ({"send_operation": "MassSend"}, "set the extra field 'wsdl' to 'fetch'"),
    ],
)
def test_a_send_operation_that_cannot_be_is_refused(account_of, extra, what):
    with pytest.raises(errors.PreflightError, match=what):
        account_of(VENDOR, **extra)
    account_of(VENDOR, send_operation="MassSend", wsdl="fetch")


# --- the password ------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [MD5, MD5.upper()])
def test_a_password_that_is_an_md5_is_sent_as_it_is(account_of, given):
    account = account_of(VENDOR, password=given, password_is_md5=True)
    assert VENDOR.balance_request(account).body.decode() == f"CorpID=uid1&Pwd={given}"
    assert VENDOR.content_problems(account, TEXT) == []


def test_a_password_that_looks_like_an_md5_is_none_unless_said_so(account_of):
    body = VENDOR.balance_request(account_of(VENDOR, password=MD5)).body.decode()
    assert MD5 not in body


@pytest.mark.parametrize("given", ["Geheim", MD5[:-1], f"{MD5}0", MD5[:-1] + "g", MD5[:-1] + "０"])
def test_a_password_that_is_no_md5_is_found_before_anything_is_sent(account_of, given):
    """In the check of the text and, for the balance, when the request is made; the password is not told."""
    account = account_of(VENDOR, password=given, password_is_md5=True)
    (problem,) = VENDOR.content_problems(account, TEXT)
    assert problem == (
        "the password is not an MD5 of 32 hexadecimal digits: correct it, or unset the extra field "
        "'password_is_md5' if it is the password itself"
    )
    for make in (lambda: VENDOR.balance_request(account), lambda: VENDOR.submit_request(account, SUBMISSION)):
        with pytest.raises(errors.PreflightError) as caught:
            make()
        assert given not in str(caught.value)


# --- limits ------------------------------------------------------------------------------------------


def test_limits(account):
    assert VENDOR.limits_for(account).numbers == 500
    assert VENDOR.intervals == {Operation.BALANCE: 30.0}
    assert VENDOR.extno_problems(account, "1234567890123") == []
    assert VENDOR.extno_problems(account, "1a")


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (TEXT, 0),
        ("字" * 296 + "【公司】", 0),
        ("字" * 297 + "【公司】", 1),
        ("【公司】前", 1),
        ("没有签名", 1),
        ("", 1),
        ("😀【公司】", 1),
        ("囧祎【公司】", 0),
    ],
)
def test_texts(account, text, problems):
    """-7, -8, -22: a signature at the end, 1 to 300 characters, in GBK."""
    assert len(VENDOR.content_problems(account, text)) == problems


def test_characters_xml_cannot_carry_are_found_before(account, soap_account):
    assert "U+000B" in VENDOR.content_problems(soap_account, "a\x0b【公司】")[0]
    assert VENDOR.content_problems(account, "a\x0b【公司】") == []


# --- what comes back ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "printed"), [(Operation.SEND, SEND_CODES), (Operation.BALANCE, BALANCE_CODES)]
)
def test_the_code_tables_are_those_of_the_document(operation, printed):
    codes = printed.replace("–", "-").split()
    assert set(VENDOR.codes[operation]) == set(codes)
    assert all(VENDOR.codes[operation][code].error for code in codes)


def wrappings(value):
    """Give an integer as each of the interfaces answers it."""
    declaration = '<?xml version="1.0" encoding="utf-8"?>'
    return [
        value.encode("gb18030"),
        f"\r\n {value}\r\n".encode("gb18030"),
        f'{declaration}\r\n<int xmlns="http://tempuri.org/">{value}</int>'.encode(),
        f'{declaration}<string xmlns="http://tempuri.org/">{value}</string>'.encode(),
        (
            f'{declaration}<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
            f'<BatchSend2Response xmlns="http://tempuri.org/"><BatchSend2Result>{value}</BatchSend2Result>'
            "</BatchSend2Response></soap:Body></soap:Envelope>"
        ).encode(),
    ]


@pytest.mark.parametrize(
    ("operation", "parse"), [(Operation.SEND, VENDOR.parse_submit), (Operation.BALANCE, VENDOR.parse_balance)]
)
def test_every_code_is_refused_in_every_wrapping(account, operation, parse):
    """With the minus of the wire, or the dashes that the document prints."""
    for code, known in VENDOR.codes[operation].items():
        for dash in "-–—−－":
            for body in wrappings(code.replace("-", dash)):
                with pytest.raises(known.error) as caught:
                    parse(account, WireResponse(200, body))
                assert caught.value.code == code


def test_any_integer_above_zero_is_a_yes(account):
    """大于0的整数: its meaning is not stated, so it is kept as it stands, as text."""
    for number in ("1", "4825931", "007", "99999999999999999999"):
        for body in wrappings(number):
            receipt = VENDOR.parse_submit(account, WireResponse(200, body))
            assert (receipt.code, receipt.vendor_batch_id, receipt.message_ids) == (number, number, ())


@pytest.mark.parametrize(
    "said", ["0", "-0", "-4", "-13", "-101", "1.5", "+5", "5;6", "１", "", "ok", "1" * 21, "–"]
)
def test_what_is_no_documented_answer_leaves_a_send_unknown(account, said):
    for body in wrappings(said):
        with pytest.raises(
            errors.WireFormatError, match="connection 'sms_test': linkws answered 'send' with "
        ):
            VENDOR.parse_submit(account, WireResponse(200, body))


@pytest.mark.parametrize("body", [b"<h1>404</h1>", b"<error>17</error>", b"<Response>1</Response>"])
@pytest.mark.parametrize("parse", [VENDOR.parse_submit, VENDOR.parse_balance])
def test_a_number_in_other_xml_is_no_answer(account, parse, body):
    """Any number above 0 is a yes, so it has to stand where the service writes it."""
    with pytest.raises(errors.WireFormatError):
        parse(account, WireResponse(200, body))


def test_asking_too_soon_is_no_balance(account):
    """-101 says that nothing was told, and when to ask again."""
    with pytest.raises(errors.VendorBusy) as caught:
        VENDOR.parse_balance(account, WireResponse(200, b"-101"))
    assert caught.value.retry_after == 30.0


def test_a_cut_answer_is_none(account):
    """A cut "-10" reads as "-1", a cut "12345" as "12"."""
    for body in (b"-1", b"12", b"12345"):
        for parse in (VENDOR.parse_submit, VENDOR.parse_balance):
            with pytest.raises(errors.WireFormatError):
                parse(account, WireResponse(200, body, complete=False, problem="connection reset"))


@pytest.mark.parametrize(
    "operation", [Operation.REPORTS, Operation.REPLIES, Operation.CHECK_WORDS, Operation.PUSH]
)
def test_it_has_no_queues(operation):
    assert not VENDOR.supports(operation)
    with pytest.raises(errors.NotSupported, match="It can do: send, balance"):
        VENDOR.require(operation, "sms_main")
