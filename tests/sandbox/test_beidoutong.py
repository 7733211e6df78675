from __future__ import annotations

import re

import httpx
import pytest
import zeep
from lxml import etree

SPACE = "{http://tempuri.org/}"


def read(answer, name):
    return etree.fromstring(answer.encode()).findtext(f".//{SPACE}{name}")


@pytest.mark.parametrize("port", ["SmsWebServiceSoap", "SmsWebServiceSoap12"])
def test_zeep_loads_the_wsdl_and_sends_by_both_soap_versions(gateway, port):
    """The WSDL is real, below any prefix, and its address is the one it was fetched from."""
    soap = zeep.Client(f"{gateway.url}/anything/SmsWebService.asmx?wsdl")
    service = soap.bind("SmsWebService", port)
    assert service._binding_options["address"] == f"{gateway.url}/anything/SmsWebService.asmx"
    account = gateway.account("beidoutong")
    login = (account.userid, account.login, account.password)
    sent = service.SendSms(*login, "13800001111,1", "您好 & <再见>", "", "12")
    assert (sent.ReturnStatus, sent.Message, sent.SuccessCounts) == ("Success", "ok", 1)
    report = service.QueryStatus(*login, "").StatusList.WsStatusBox[0]
    assert (report.TaskID, report.Status, report.ErrorCode, report.Extno) == (
        sent.TaskID,
        10,
        "DELIVRD",
        "12",
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", report.ReceiveTime)
    assert service.QueryStatus(*login, "").ReturnStatus == 0
    assert service.QueryOverage(*login).Overage == sent.RemainPoint == 99_999
    assert gateway.messages("beidoutong")[0].content == "您好 & <再见>"


def test_form_answer_has_the_type_as_its_root(client):
    """The root of a form POST's answer is the response type's name."""
    for operation, root in {
        "SendSms": "WsSendResponse",
        "QueryOverage": "WsOverageResponse",
        "QueryStatus": "WsStatusResponse",
        "QueryCall": "WsCallResponse",
    }.items():
        assert etree.fromstring(client.beidoutong(operation).encode()).tag == f"{SPACE}{root}"


@pytest.mark.parametrize(
    "fields",
    [
        {"userid": "1"},
        {"account": "nobody"},
        {"password": "wrong"},
        {"mobile": ""},
        {"mobile": "123"},
        {"content": ""},
        {"content": "来赌博"},
        {"sendTime": "20100903112030"},
        {"sendTime": "2010-13-24 09:08:10"},
        {"extno": "12345678901"},
        {"extno": "x"},
    ],
)
def test_what_the_document_forbids_is_refused_in_words(client, gateway, fields):
    """``Faild``, spelt so, with a message that is not ok; and nothing is sent."""
    answer = client.beidoutong(**fields)
    assert read(answer, "ReturnStatus") == "Faild"
    assert read(answer, "Message") != "ok"
    assert gateway.messages("beidoutong") == []


def test_low_balance_and_locked_account_are_refused(client, gateway):
    """Both are a ``Faild``, and the balance stays."""
    gateway.account("beidoutong").balance = 0
    assert read(client.beidoutong(), "Message") == "余额不足"
    gateway.account("beidoutong").locked = True
    assert read(client.beidoutong(), "ReturnStatus") == "Faild"
    assert read(client.beidoutong("QueryStatus"), "ReturnStatus") == "-1"


def test_page_sizes_are_the_documented_ones(client, gateway):
    """4,000 reports and 500 replies unless asked otherwise, 10 at least, 10,000 at most."""
    gateway.queue_reports("beidoutong", 15_000)
    gateway.queue_replies("beidoutong", 600)
    assert client.beidoutong("QueryStatus", statusNum="").count("<WsStatusBox>") == 4_000
    assert client.beidoutong("QueryStatus", statusNum="10000").count("<WsStatusBox>") == 10_000
    assert client.beidoutong("QueryStatus", statusNum="10").count("<WsStatusBox>") == 10
    for bad in ("9", "10001", "ten"):
        assert read(client.beidoutong("QueryStatus", statusNum=bad), "ReturnStatus") == "-1"
    assert client.beidoutong("QueryCall").count("<WsCallBox>") == 500
    assert gateway.waiting("beidoutong", "reports") == 990


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("empty", "<TaskID />"),
        ("zero", "<TaskID>0</TaskID>"),
        ("nil", '<TaskID xsi:nil="true" />'),
        ("absent", "13800001111</Mobile><Content>"),
    ],
)
def test_a_direct_reply_carries_no_task(serve, written, found):
    """§5.2 says it may be empty, the sample says int: all four readings can be had."""
    gateway, client = serve(direct_reply_task_id=written)
    gateway.queue_replies("beidoutong", [("13800001111", "退订")])
    assert found in client.beidoutong("QueryCall")


def test_an_envelope_that_is_no_call_is_a_soap_fault(gateway):
    """Broken XML, a DOCTYPE, an unknown operation and a wrong action are faults with status 500."""
    envelope = (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>{}</s:Body></s:Envelope>'
    )
    for body in (
        "<broken",
        "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>" + envelope.format("<SendSms>&e;</SendSms>"),
        envelope.format('<Delete xmlns="http://tempuri.org/"/>'),
        envelope.format(""),
    ):
        answer = httpx.post(f"{gateway.url}/SmsWebService.asmx", content=body, trust_env=False)
        assert answer.status_code == 500
        assert b":Fault>" in answer.content


def test_parameters_outside_the_namespace_are_not_seen(gateway):
    """A hard-coded wrong namespace fails as it would at the vendor's: no login arrives."""
    account = gateway.account("beidoutong")
    body = (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        f'<QueryOverage xmlns="urn:wrong"><userid>{account.userid}</userid><account>{account.login}</account>'
        f"<password>{account.password}</password></QueryOverage></s:Body></s:Envelope>"
    )
    answer = httpx.post(f"{gateway.url}/SmsWebService.asmx", content=body, trust_env=False)
    assert read(answer.text, "ReturnStatus") == "Faild"


def test_a_form_that_leaves_out_a_parameter_is_an_error(gateway):
    """ASMX answers 500 in plain text; a GET of a POST operation likewise."""
    answer = httpx.post(f"{gateway.url}/SmsWebService.asmx/SendSms", data={"userid": "1"}, trust_env=False)
    assert answer.status_code == 500
    assert "Missing parameter" in answer.text
    assert httpx.get(f"{gateway.url}/SmsWebService.asmx/QueryStatus", trust_env=False).status_code == 500
