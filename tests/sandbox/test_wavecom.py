from __future__ import annotations

from urllib.parse import unquote_to_bytes

import pytest

NUMBER = "13800001111"


def test_send_gives_one_id_per_accepted_number_and_counts_the_bad_ones(client, gateway):
    """``0|a|b|d``: accepted, failed, and as many SMSIDs as accepted numbers; 小灵通 numbers count."""
    answer = client.wavecom(send_phone=f"{NUMBER},123,075580808080", send_content="喆玥您好")
    code, accepted, failed, ids = answer.split("|")
    assert (code, accepted, failed) == ("0", "2", "1")
    assert len(ids.split(",")) == 2
    first = gateway.messages("wavecom")[0]
    assert first.content == "喆玥您好"
    assert unquote_to_bytes(first.raw).endswith("send_content=喆玥您好".encode("gb18030"))


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"send_phone": "", "send_content": "x"}, "-1"),
        ({"send_phone": NUMBER, "send_content": ""}, "-2"),
        ({"send_phone": NUMBER, "send_content": "代开发票"}, "-3|代开发票"),
        ({"send_phone": ",".join([NUMBER] * 101), "send_content": "x"}, "-4"),
        ({"us_pwd": "wrong", "send_phone": NUMBER, "send_content": "x"}, "-7"),
        ({"us_name": "nobody", "send_phone": NUMBER, "send_content": "x"}, "-7"),
        ({"send_phone": NUMBER, "send_content": "字" * 336}, "-8"),
    ],
)
def test_every_documented_refusal_of_a_send_is_produced(client, gateway, fields, code):
    """Each code of §1.1.1 that a request can bring about comes back, and nothing is sent."""
    assert client.wavecom(**fields) == code
    assert gateway.messages("wavecom") == []


def test_low_balance_and_locked_account_are_refused(client, gateway):
    """-9 leaves the balance alone, and -10 comes before it."""
    gateway.account("wavecom").balance = 1
    assert client.wavecom(send_phone=NUMBER, send_content="字" * 71) == "-9"
    assert gateway.account("wavecom").balance == 1
    gateway.account("wavecom").locked = True
    assert client.wavecom(send_phone=NUMBER, send_content="x") == "-10"


def test_balance_falls_by_segments_times_numbers(client):
    """71 characters to two numbers cost four messages."""
    before = int(client.wavecom("Get_Account_Balance"))
    client.wavecom(send_phone=f"{NUMBER},13800002222", send_content="字" * 71)
    assert int(client.wavecom("Get_Account_Balance")) == before - 4


def test_queries_tell_an_unknown_account_from_a_wrong_password(client):
    """§1.1.2 to §1.1.4 have -1 and -7."""
    for page in ("get_report_txt", "get_receive_message_txt", "Get_Account_Balance"):
        assert client.wavecom(page, us_name="nobody") == "-1"
        assert client.wavecom(page, us_pwd="wrong") == "-7"


def test_reports_come_a_hundred_at_a_time_and_once(client, gateway):
    """The count before the first bar is right, and no record comes twice."""
    sent = gateway.queue_reports("wavecom", 130)
    pages = [client.wavecom("get_report_txt") for _ in range(3)]
    assert [page.split("|")[0] for page in pages] == ["100", "30", "0"]
    records = [record for page in pages for record in page.split("|")[1:]]
    assert records == [f"{report.message_id};{report.mobile};10" for report in sent]


def test_statuses_are_written_as_documented(client, gateway):
    """10 delivered, 20 failed, -1 not yet reported."""
    gateway.queue_reports("wavecom", [{"status": status} for status in ("delivered", "failed", "pending")])
    page = client.wavecom("get_report_txt")
    assert [record.rpartition(";")[2] for record in page.split("|")[1:]] == ["10", "20", "-1"]


def test_replies_come_in_both_forms_and_nothing_in_them_is_escaped(client, serve):
    """The text of §1.1.3 and its example differ in one separator; bars stay as they are."""
    reply = [("13798361236", "我回复|一条;x")]
    client.gateway.queue_replies("wavecom", reply)
    assert client.wavecom("get_receive_message_txt") == "1|133;13798361236;我回复|一条;x"
    gateway, other = serve(wavecom_reply_form="example")
    gateway.queue_replies("wavecom", reply)
    assert other.wavecom("get_receive_message_txt") == "1|133,13798361236;我回复|一条;x"


def test_one_id_for_a_whole_batch_can_be_had(serve):
    """As in the example of §1.1.2, where one id stands before two numbers."""
    _, client = serve(wavecom_ids="batch")
    answer = client.wavecom(send_phone=f"{NUMBER},13800002222", send_content="x")
    batch = answer.split("|")[3]
    assert client.wavecom("get_report_txt") == f"2|{batch};{NUMBER};10|{batch};13800002222;10"


def test_a_scheduled_message_reports_after_its_time(client, gateway):
    """A message for next century is charged now and reported then."""
    assert client.wavecom(send_phone=NUMBER, send_content="x", send_time="21000101000000").startswith(
        "0|1|0|"
    )
    assert client.wavecom("get_report_txt") == "0"
    assert gateway.waiting("wavecom", "reports") == 1
