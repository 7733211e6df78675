from __future__ import annotations

import pytest
import zeep


def test_any_integer_above_zero_is_a_batch(client, gateway):
    """The answer is the batch id, and the text arrives as GB2312 beyond its 1980 table."""
    batch = int(client.linkws(Content="囧【演示】", Mobile="13800001111,13800001111"))
    assert batch > 0
    assert {message.batch_id for message in gateway.messages("linkws")} == {str(batch)}
    # Duplicates are the client's to filter (请过滤掉重复号码): here the number gets two.
    assert gateway.accepted_more_than_once() == {("linkws", "13800001111", "囧【演示】"): 2}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"CorpID": "nobody"}, -1),
        ({"Cell": "x"}, -2),
        ({"Pwd": "0" * 32}, -3),
        ({"SendTime": "2099"}, -6),
        ({"Content": "没有签名"}, -7),
        ({"Content": "【演示】在前"}, -7),
        ({"Content": "字" * 297 + "【演示】"}, -8),
        ({"Mobile": ""}, -9),
        ({"SendTime": "20060912152435"}, -10),
        ({"Content": "代开发票【演示】"}, -12),
        ({"CorpID": ""}, -20),
        ({"Pwd": ""}, -21),
        ({"Content": ""}, -22),
        ({"Pwd": "clear-text"}, -23),
    ],
)
def test_every_documented_refusal_of_a_send_is_produced(client, gateway, fields, code):
    """Each code of the table that a request can bring about comes back, and nothing is sent."""
    assert int(client.linkws(**fields)) == code
    assert gateway.messages("linkws") == []


@pytest.mark.parametrize(
    ("lock", "code"), [("ip_blacklisted", -100), ("blacklisted", -102), ("ip_unlisted", -103)]
)
def test_shut_out_accounts_are_told_so(client, gateway, lock, code):
    """For sends and balance alike."""
    setattr(gateway.account("linkws"), lock, True)
    assert int(client.linkws()) == code
    assert int(client.linkws("GetBalance.aspx")) == code


def test_low_balance_is_refused(client, gateway):
    """-5 when the account cannot pay for every number."""
    gateway.account("linkws").balance = 1
    assert int(client.linkws(Mobile="13800001111,13800002222")) == -5


def test_balance_asked_too_soon_is_no_balance(serve):
    """-101 within the interval; a wrong password does not start the clock."""
    _, client = serve(linkws_balance_interval=30)
    assert int(client.linkws("GetBalance.aspx", Pwd="0" * 32)) == -3
    assert int(client.linkws("GetBalance.aspx")) == 100_000
    assert int(client.linkws("GetBalance.aspx")) == -101


def test_forms_answer_xml_with_one_integer(client, gateway):
    """``/LinkWS.asmx/BatchSend2`` by GET and by POST, with GB2312 content."""
    answer = client.linkws("LinkWS.asmx/BatchSend2")
    assert "<int xmlns:xsi" in answer
    assert gateway.messages("linkws")[0].content == "你好【演示】"
    assert ">99999</string>" in client.linkws("LinkWS.asmx/GetBalance")


@pytest.mark.parametrize("operation", ["BatchSend", "BatchSend2", "IntlSend"])
def test_zeep_sends_by_any_of_the_operations_that_fit(gateway, operation):
    """The document lost the operation's name; several have its parameters."""
    soap = zeep.Client(f"{gateway.url}/sdk2/LinkWS.asmx?wsdl")
    account = gateway.account("linkws")
    send = soap.service[operation]
    assert send(account.login, account.password_md5, "13800001111", "你好【演示】", "", "") > 0
    assert soap.service.GetBalance(account.login, account.password_md5) == "99999"


def test_there_is_no_queue(gateway):
    """No report interface is documented, so none can be filled."""
    with pytest.raises(ValueError, match="linkws"):
        gateway.queue_reports("linkws", 1)
