"""Sends over real HTTP and SOAP: the texts as they arrive, the counts, and the times."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from airflow_provider_sms.errors import PreflightError, SubmitNotSent
from airflow_provider_sms.sandbox import Fault
from airflow_provider_sms.sending import SendOrder, send

#: Each way to send that some vendor documents, with the most numbers one of its calls may hold.
WAYS = [
    ("beidoutong", {"protocol": "soap"}, 1000),
    ("beidoutong", {"protocol": "soap", "soap_version": "1.1"}, 1000),
    ("beidoutong", {"protocol": "soap", "wsdl": "fetch"}, 1000),
    ("beidoutong", {"protocol": "form"}, 1000),
    ("wavecom", {}, 100),
    ("linkws", {"method": "post"}, 500),
    ("linkws", {"method": "get"}, 500),
    ("linkws", {"protocol": "soap"}, 500),
    ("linkws", {"protocol": "soap", "soap_version": "1.1"}, 500),
    ("linkws", {"protocol": "soap", "wsdl": "fetch"}, 500),
    *(
        ("smsadmin", {"method": method, "auth": auth, "urldecode": urldecode}, most)
        for method, most in (("post", 1000), ("get", 100))
        for auth in ("md5", "plain")
        for urldecode in (False, True)
    ),
]
EVERY_WAY = pytest.mark.parametrize(
    ("vendor", "extra", "most"), WAYS, ids=["-".join([way[0], *map(str, way[1].values())]) for way in WAYS]
)
EACH_VENDOR = pytest.mark.parametrize("vendor", ["beidoutong", "wavecom", "linkws", "smsadmin"])

TEXT = "镕堃喆玥 100%&a=b+c;d|e/f,g 你好"
SIGNATURE = "【演示公司】"
CHINA = ZoneInfo("Asia/Shanghai")


def batches_of(messages):
    """Give the numbers of each request as the vendor saw it."""
    return [[message.mobile for message in batch] for _, batch in groupby(messages, key=attrgetter("raw"))]


@EVERY_WAY
def test_1234_people_get_the_very_text_in_batches_within_the_limit(
    sandbox, gateway_of, send_to, numbers, vendor, extra, most
):
    """Every character arrives as it was written, each number once, and no call holds more than allowed."""
    people = numbers(1234)
    result = send_to(gateway_of(vendor, max_in_flight=1, **extra), people, TEXT + SIGNATURE)
    assert result == {
        "send_key": "test-send",
        "recipients": 1234,
        "segments": 1234,
        "accepted": 1234,
        "rejected": 0,
        "unknown": 0,
        "not_sent": 0,
    }
    messages = sandbox.messages(vendor)
    assert {message.content for message in messages} == {TEXT + SIGNATURE}
    assert [message.mobile for message in messages] == people
    if vendor != "smsadmin":
        batches = batches_of(messages)
        assert max(map(len, batches)) <= most
        assert len(batches) == -(-1234 // most)
    assert sandbox.calls.count(vendor, "send") == -(-1234 // most)


@EVERY_WAY
def test_the_connections_signature_is_put_behind_a_text_without_one(
    sandbox, gateway_of, send_to, numbers, vendor, extra, most
):
    """A text that bears a signature keeps its own, whether it stands in front or behind."""
    del most
    gateway = gateway_of(vendor, **{**extra, "signature": "公司"})
    send_to(gateway, numbers(1), "您好", send_key="unsigned")
    send_to(gateway, numbers(1), "您好【别的】", send_key="signed")
    assert [message.content for message in sandbox.messages(vendor)] == ["您好【公司】", "您好【别的】"]


@pytest.mark.parametrize("given", [{"content": "【重要】今晚停水"}, {"template": "【重要】今晚停水"}])
def test_what_a_text_begins_with_is_no_signature_where_it_must_stand_at_the_end(
    sandbox, gateway_of, send_to, numbers, given
):
    """The signature that is set goes behind such a text, be it a template, so that linkws takes it."""
    people = [{"mobile": number} for number in numbers(1)]
    send_to(gateway_of("linkws", signature="公司"), people, **given)
    assert [message.content for message in sandbox.messages("linkws")] == ["【重要】今晚停水【公司】"]


@EACH_VENDOR
@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda moment: moment.replace(tzinfo=None), id="naive-is-chinese"),
        pytest.param(lambda moment: moment.astimezone(UTC), id="aware-utc"),
        pytest.param(lambda moment: moment.astimezone(UTC).isoformat(), id="iso-utc"),
        pytest.param(lambda moment: f" {moment:%Y-%m-%d %H:%M:%S} ", id="text-chinese"),
    ],
)
def test_a_scheduled_time_arrives_in_chinese_local_time(sandbox, gateway_of, send_to, numbers, vendor, write):
    """Whatever form the time was given in, the vendor reads the same moment."""
    moment = (datetime.now(CHINA) + timedelta(days=1)).replace(microsecond=0)
    send_to(gateway_of(vendor, signature="公司"), numbers(2), "定时", send_at=write(moment))
    assert {message.due for message in sandbox.messages(vendor)} == {moment}


@EACH_VENDOR
@pytest.mark.parametrize(
    ("send_at", "says"),
    [
        ("2020-01-01 08:00:00", "is past"),
        (datetime(2020, 1, 1, tzinfo=UTC), "is past"),
        ("tomorrow morning", "is no time"),
        (1_800_000_000, "is a int"),
        (pd.NaT, "is a NaTType"),
        ("9999-12-31T23:59:59Z", "end of the calendar"),
        ("0001-01-01T00:00:00+08:00", "end of the calendar"),
    ],
)
def test_a_time_that_is_past_or_none_is_refused_before_anything_is_sent(
    sandbox, gateway_of, send_to, numbers, vendor, send_at, says
):
    """The error names the connection and says what to write."""
    with pytest.raises(PreflightError, match=says) as caught:
        send_to(gateway_of(vendor, signature="公司"), numbers(2), "定时", send_at=send_at)
    assert f"sms_{vendor}" in str(caught.value)
    assert sandbox.calls.count() == 0


@EACH_VENDOR
def test_a_number_that_comes_twice_gets_one_message(sandbox, gateway_of, send_to, numbers, vendor, caplog):
    """However it is written; how many rows were dropped is logged."""
    first, second = numbers(2)
    people = [first, f"+86 {first}", second, f"86-{second}", int(first), float(second), first]
    with caplog.at_level("INFO"):
        result = send_to(gateway_of(vendor, signature="公司"), people, "您好")
    assert result["recipients"] == result["accepted"] == 2
    assert [message.mobile for message in sandbox.messages(vendor)] == [first, second]
    assert "5 rows dropped because their number came before" in caplog.text


def test_a_landline_number_goes_where_the_vendor_takes_it(sandbox, gateway_of, send_to):
    """Wavecom takes numbers with an area code; the others refuse them before anything is sent."""
    assert send_to(gateway_of("wavecom"), ["02012345678"], "您好")["accepted"] == 1
    with pytest.raises(PreflightError, match="no mainland Chinese mobile"):
        send_to(gateway_of("smsadmin"), ["02012345678"], "您好", send_key="other")
    assert sandbox.calls.count("smsadmin") == 0


def test_a_text_in_a_numbers_place_is_not_shown(gateway_of, send_to):
    with pytest.raises(PreflightError) as refused:
        send_to(gateway_of("smsadmin"), ["您的验证码是 8842", "139 1234 5678 张三"], "您好")
    assert "row 1 (11 characters" in str(refused.value)
    assert not {"8842", "您的", "张三", "139"} & set(re.findall(r"\d+|[\u4e00-\u9fff]+", str(refused.value)))


def test_an_extension_number_arrives(sandbox, gateway_of, send_to, numbers):
    """Where the vendor has them; elsewhere it is refused by name."""
    send_to(gateway_of("beidoutong"), numbers(1), "您好", extno="0123")
    assert sandbox.messages("beidoutong")[0].extno == "0123"
    with pytest.raises(PreflightError, match="takes no extno"):
        send_to(gateway_of("wavecom"), numbers(1), "您好", extno="0123", send_key="other")


@EACH_VENDOR
def test_long_texts_are_counted_in_segments(sandbox, gateway_of, send_to, numbers, vendor):
    """70 characters are one segment, 71 are two: as the vendor charges them."""
    content = "字" * (71 - 4) + "【公司】"
    result = send_to(gateway_of(vendor), numbers(3), content)
    assert result["segments"] == 6 == sum(message.segments for message in sandbox.messages(vendor))


@EACH_VENDOR
def test_preflight_lists_every_problem_at_once(sandbox, gateway_of, send_to, vendor):
    """Number, text, extension and time in one error, and nothing reaches the vendor."""
    people = ["13800000000", "12345", "", None]
    with pytest.raises(PreflightError) as caught:
        send_to(gateway_of(vendor, signature=""), people, " ", send_at="soon", extno="12a")
    told = str(caught.value)
    for part in (
        "3 of 4 numbers",
        "row 2",
        "row 3 (empty)",
        "row 4 (empty)",
        "text is empty",
        "extno",
        "send_at",
    ):
        assert part in told
    assert sandbox.calls.count() == 0


@EACH_VENDOR
@pytest.mark.parametrize("content", ["", " \n\u3000", "【公司】", "【】"])
def test_a_signature_alone_is_no_text(sandbox, gateway_of, send_to, numbers, vendor, content):
    """A Jinja ``or ''`` is enough for one: everybody would get the company's name, and the task be green."""
    with pytest.raises(PreflightError, match="the text is empty") as caught:
        send_to(gateway_of(vendor, signature="公司"), numbers(2), content)
    assert len(caught.value.problems) == 1
    assert sandbox.calls.count() == 0


@EACH_VENDOR
def test_no_recipients_is_an_error(sandbox, gateway_of, send_to, vendor):
    """A query without rows must not end as a green task that sent nothing."""
    with pytest.raises(PreflightError, match="no recipients"):
        send_to(gateway_of(vendor, signature="公司"), [], "您好")
    assert sandbox.calls.count() == 0


@pytest.mark.parametrize("vendor", ["wavecom", "linkws", "smsadmin"])
def test_a_character_that_would_arrive_as_a_question_mark_is_named(gateway_of, send_to, numbers, vendor):
    """GBK has no emoji: the error names it, and nothing is sent."""
    with pytest.raises(PreflightError, match=r"U\+1F600"):
        send_to(gateway_of(vendor), numbers(1), "您好😀【公司】")


def test_what_the_answers_say_is_left_is_kept(sandbox, gateway_of, send_to, numbers, rows):
    """Beidoutong's answers to sends tell the balance (§2.3): one row a send, the last one's."""
    gateway = gateway_of("beidoutong", max_in_flight=4)
    before = gateway.balance().remaining
    send_to(gateway, numbers(2500), TEXT, send_key="a")
    send_to(gateway_of("wavecom"), numbers(3), TEXT, send_key="b")
    told = rows("SELECT conn_id, unit, remaining, source FROM sms_balances")
    assert told == [("sms_beidoutong", "messages", before - 2500, "answer")]
    assert gateway.balance().remaining == before - 2500
    assert sandbox.count_messages("beidoutong") == 2500


def test_a_balance_told_by_an_answer_is_of_its_moment(sandbox, gateway_of, store, numbers, rows):
    """One send rests while another spends: what the first was told before is no top-up afterwards."""
    sandbox.faults.add(Fault("busy", operation="send", after=1, times=1))
    first, second = gateway_of("beidoutong", max_in_flight=1), gateway_of("beidoutong")
    log, met = logging.getLogger("tests"), []

    def rest(seconds):
        if not met:
            met.append(seconds)
            others = {"mobile": numbers(300, first=13_900_000_000)}
            send(second, store, SendOrder("b", content=TEXT), lambda: others, log=log)
            sandbox.faults.add(Fault("busy", operation="send", times=2))

    people = {"mobile": numbers(1001)}
    with pytest.raises(SubmitNotSent):
        send(first, store, SendOrder("a", content=TEXT), lambda: people, log=log, sleep=rest)
    told = rows("SELECT remaining FROM sms_balances ORDER BY checked_at")
    assert told == sorted(told, reverse=True)
    assert told[-1] == second.balance().remaining
