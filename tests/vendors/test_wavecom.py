from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import unquote_to_bytes

import pytest

from airflow_provider_sms import errors
from airflow_provider_sms.records import DeliveryStatus, Queue, Submission
from airflow_provider_sms.vendors.wavecom import WavecomVendor

WAVECOM = WavecomVendor()
THREE = "3|1;13800138000;10|2;13800138001;20|3;13800138002;-1"
TALK = "3|1;13800138000;好|2;13800138001;a|b;c|3;13800138002;退订"
#: Characters whose second byte in GBK is "|".
BARS = "".join(bytes((lead, 0x7C)).decode("gb18030") for lead in range(0x81, 0xF8))


@pytest.fixture
def account(account_of):
    return account_of(WAVECOM, login="mysms", password="p&=s 密")


def fields_of(request):
    """Read a query as a classic ASP page does."""
    pairs = (pair.split("=") for pair in request.query.split("&"))
    return {name: unquote_to_bytes(value).decode("gb18030") for name, value in pairs}


# --- requests ----------------------------------------------------------------------------------------


def test_a_submit_is_one_get(account):
    """The password is in its address: §1.1.1 knows no other way."""
    request = WAVECOM.submit_request(
        account, Submission(("13800138000", "075580808080"), "喆 & 50%\n【公司】")
    )
    assert (request.method, request.path, request.body) == ("GET", "/sendsms_txt.asp", b"")
    assert fields_of(request) == {
        "us_name": "mysms",
        "us_pwd": "p&=s 密",
        "send_phone": "13800138000,075580808080",
        "send_content": "喆 & 50%\n【公司】",
    }


def test_a_scheduled_submit_gives_14_digits_of_local_time(account):
    """§1.1.1: 20100903112030 is eleven in Beijing, three in Greenwich."""
    moment = datetime(2010, 9, 3, 3, 20, 30, tzinfo=UTC)
    request = WAVECOM.submit_request(account, Submission(("13800138000",), "好", send_at=moment))
    assert fields_of(request)["send_time"] == "20100903112030"


@pytest.mark.parametrize(
    ("request_name", "path"),
    [
        ("reports_request", "/get_report_txt.asp"),
        ("replies_request", "/get_receive_message_txt.asp"),
        ("balance_request", "/Get_Account_Balance.asp"),
    ],
)
def test_a_query_carries_the_login_alone(account, request_name, path):
    request = getattr(WAVECOM, request_name)(account)
    assert (request.method, request.path) == ("GET", path)
    assert fields_of(request) == {"us_name": "mysms", "us_pwd": "p&=s 密"}


def test_limits_are_those_of_the_document(account):
    limits = WAVECOM.limits_for(account)
    assert (limits.numbers, limits.characters, limits.landline, limits.extno_digits) == (100, 335, True, 0)
    assert WAVECOM.page_size(account, Queue.REPORTS) == 100
    assert WAVECOM.page_size(account, Queue.REPLIES) == 50
    assert WAVECOM.content_problems(account, "好" * 335) == []
    assert len(WAVECOM.content_problems(account, "好" * 336)) == 1
    assert WAVECOM.extno_problems(account, "12")


# --- §1.1.1 answers ----------------------------------------------------------------------------------


def test_forbidden_words_are_told_apart_from_the_errors_text(account, says):
    """The words are part of somebody's message: a caller can ask for them, a log does not get them."""
    with pytest.raises(errors.ContentRejected) as caught:
        WAVECOM.parse_submit(account, says("-3|发票,代开|博彩"))
    assert caught.value.words == ("发票", "代开", "博彩")
    assert "发票" not in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        *("0", "0|1", "0|1|0", "0|1|0|a;b", "0|1|0|5|6", "00|1|0|5", "0|-1|0|5", "0|1|0|\ufffd"),
        *("0|1|0|5 6", "0|1|0| ", "0|2|0|0"),
    ],
)
def test_half_a_yes_is_no_receipt(account, says, body):
    with pytest.raises(errors.WireFormatError):
        WAVECOM.parse_submit(account, says(body))


@pytest.mark.parametrize(
    ("body", "accepted", "ids"),
    [
        ("0|2|0|123, 124 ", 2, ("123", "124")),
        ("0|2|0|123,124,", 2, ("123", "124")),
        ("0|1|1|0,1001", 1, ("1001",)),
        ("0|0|1|0", 0, ()),
        ("0|0|2|0,0", 0, ()),
        ("0|0|1|640", 0, ("640",)),
        ("\ufeff0|1|0|123", 1, ("123",)),
    ],
)
def test_a_receipt_in_all_its_spellings(account, says, body, accepted, ids):
    """A 0 names nothing; any other id contradicts that nothing was taken, and is kept."""
    receipt = WAVECOM.parse_submit(account, says(body.encode()))
    assert (receipt.accepted, receipt.message_ids) == (accepted, ids)


def test_an_answer_cut_off_is_neither_yes_nor_no(account, says):
    """What arrived of "-10" may be "-1", of "0|12|..." an earlier number."""
    for body in ("-1", "0|1|0|6408", "-99"):
        with pytest.raises(errors.WireFormatError, match="cut off"):
            WAVECOM.parse_submit(account, says(body, complete=False))


def test_busy_means_different_things_in_different_places(account, says):
    """-3 is a forbidden word in a send (§1.1.1) and "later" on a queue (§1.1.2)."""
    with pytest.raises(errors.ContentRejected):
        WAVECOM.parse_submit(account, says("-3"))
    with pytest.raises(errors.VendorBusy):
        WAVECOM.parse_replies(account, says("-3"))
    with pytest.raises(errors.WireFormatError):
        WAVECOM.parse_balance(account, says("-3"))


# --- §1.1.2 reports ----------------------------------------------------------------------------------


def test_a_report_has_no_time(account, says):
    report = WAVECOM.parse_reports(account, says(THREE)).records[2]
    assert report.occurred_at is None
    assert (report.status, report.vendor_status) == (DeliveryStatus.PENDING, "-1")


def test_only_a_bar_proves_the_last_report_of_a_cut_page(account, says):
    """A "20" may have been "200"; behind its "|" it cannot."""
    page = WAVECOM.parse_reports(account, says(THREE[:-3], complete=False))
    assert [report.vendor_message_id for report in page.records] == ["1", "2"]
    page = WAVECOM.parse_reports(account, says(f"4{THREE[1:]}|", complete=False))
    assert [report.vendor_message_id for report in page.records] == ["1", "2", "3"]
    assert (page.complete, page.declared) == (False, 4)


@pytest.mark.parametrize("begun", ["1", "2"])
def test_a_status_that_may_go_on_is_not_read_at_the_end_of_a_page(account, says, begun):
    """Where the closed connection alone ends the body, "20" cut to "2" leaves a page that looks whole."""
    cut = says(f"2|1;13800138000;10|2;13800138001;{begun}")
    page = WAVECOM.parse_reports(account, cut)
    assert (len(page.records), page.declared, page.complete) == (1, 2, False)
    assert WAVECOM.columns_of_reports(account, cut) is None
    ended = says(f"2|1;13800138000;10|2;13800138001;{begun}|")
    assert WAVECOM.parse_reports(account, ended).records[-1].status is DeliveryStatus.UNKNOWN
    assert WAVECOM.columns_of_reports(account, ended) is not None


def test_a_whole_page_in_a_body_cut_off_is_not_known_to_be_whole(account, says):
    page = WAVECOM.parse_reports(account, says(THREE, complete=False, problem="reset by peer"))
    assert (page.complete, len(page.records)) == (False, 2)
    assert "reset by peer" in page.problem


@pytest.mark.parametrize(
    "body", ["", "\r\n", "3||", "3|1;13800138000;ok", "3|1;1380013800x;10|", "3;1;2", "1e3|1;2;3"]
)
def test_what_is_no_page_of_reports_is_refused(account, says, body):
    with pytest.raises(errors.WireFormatError):
        WAVECOM.parse_reports(account, says(body))


def test_a_count_that_ends_within_itself_declares_nothing(account, says):
    """The "1" that arrived may have been "100"."""
    for framing in ({"complete": False}, {"complete": True}):
        page = WAVECOM.parse_reports(account, says("1", **framing))
        assert (page.records, page.complete, page.declared) == ([], False, None)


def test_nothing_of_an_answer_is_no_empty_queue(account, says):
    page = WAVECOM.parse_reports(account, says("", complete=False))
    assert not page.empty
    assert not WAVECOM.parse_reports(account, says("0", complete=False)).empty
    assert WAVECOM.parse_reports(account, says("0")).empty


# --- §1.1.3 replies ----------------------------------------------------------------------------------


def test_every_character_that_ends_in_a_bar_stays_whole(account, says):
    """The body is decoded before it is split."""
    assert BARS[:3].encode("gb18030")[1::2] == b"|||"
    body = f"{len(BARS)}|" + "|".join(f"{n};13800138000;{bar}{bar}" for n, bar in enumerate(BARS))
    page = WAVECOM.parse_replies(account, says(body))
    assert [reply.content for reply in page.records] == [bar * 2 for bar in BARS]


def test_bars_and_semicolons_belong_to_the_content(account, says):
    page = WAVECOM.parse_replies(account, says(TALK))
    assert [reply.content for reply in page.records] == ["好", "a|b;c", "退订"]


def test_a_cut_in_the_middle_of_a_character_leaves_the_reply_before_it_alone(account, says):
    body = TALK.encode("gb18030")
    page = WAVECOM.parse_replies(account, says(body[:-1], complete=False))
    assert [reply.content for reply in page.records] == ["好", "a|b;c"]


def test_a_bar_proves_no_reply(account, says):
    """Cut behind "a|", the content may go on with "b"; the reply before has a record behind it."""
    page = WAVECOM.parse_replies(account, says(TALK[: TALK.index("|b") + 1], complete=False))
    assert [reply.content for reply in page.records] == ["好"]


def test_a_forged_reply_is_never_guessed(account, says):
    """Whether "9" is a reply or what somebody wrote cannot be told."""
    forged = TALK.replace("好", "好|9;13900139000;退订")
    with pytest.raises(errors.WireFormatError, match="4 records where it declared 3"):
        WAVECOM.parse_replies(account, says(forged))


def test_a_bar_swallowed_by_a_broken_character_does_not_join_two_replies(account, says):
    """A lone first byte takes the "|" behind it as its second."""
    body = TALK.encode("gb18030").replace("好|".encode("gb18030"), b"\xba|")
    with pytest.raises(errors.WireFormatError, match="seems to hold another"):
        WAVECOM.parse_replies(account, says(body))


@pytest.mark.parametrize("head", ["134;+8613826588212", "134;1069", "A-B_;13826588212", "134,10690000"])
def test_whatever_the_head_looks_like_that_a_broken_character_hides(account, says, head):
    """The text behind it is another person's, who may have asked for silence."""
    body = b"3|133;+8613900000001;hi\xb0" + f"|{head};退订|135;+8613700000000;d".encode("gb18030")
    for framing in ({}, {"complete": False}):
        with pytest.raises(errors.WireFormatError, match="seems to hold another"):
            WAVECOM.parse_replies(account, says(body, **framing))


def test_no_reply_gets_another_persons_text(account, says):
    """With a head damaged, what is behind a "|" may be anybody's: a gap, and the others land."""
    body = "5|1;13800138000;好|2;13800138001;A|;13800138002;secret|4;13800138003;退订|5;13800138004;好"
    page = WAVECOM.parse_replies(account, says(body))
    assert [(reply.vendor_message_id, reply.content) for reply in page.records] == [
        ("1", "好"),
        ("4", "退订"),
    ]
    assert (page.gaps, page.declared, page.complete) == ((1,), 5, False)
    assert "1 replies hold a '|'" in page.problem


@pytest.mark.parametrize("damaged", [";13826588212;b", "134;;b", "134,x;b", ";;"])
def test_where_the_page_is_cut_nothing_is_known_from_the_first_doubt_on(account, says, damaged):
    """What did not come may be the missing ones, and what looks like a record the person's own."""
    body = f"4|1;13800138000;好|2;13800138001;a|{damaged}|3;13800138002;退订|4;13800138003;好"
    for cut, ids in ((body[: body.index("|4;") + 3], ["1"]), (body[:-1], ["1", "2", "3"])):
        page = WAVECOM.parse_replies(account, says(cut, complete=False))
        assert [reply.vendor_message_id for reply in page.records] == ids
        assert page.gaps == ()


@pytest.mark.parametrize("own", ["b", "b;c", "b,c", "|", "0,5|1,5"])
def test_where_the_page_is_cut_a_bar_of_the_persons_own_costs_no_reply(account, says, own):
    """No record could be of this form, whatever had happened to it."""
    body = f"4|1;13800138000;好|2;13800138001;a|{own}|3;13800138002;退订|4;13800138003;好"
    page = WAVECOM.parse_replies(account, says(body[: body.index("退订")], complete=False))
    assert [(reply.vendor_message_id, reply.content) for reply in page.records] == [
        ("1", "好"),
        ("2", f"a|{own}"),
    ]


def test_bytes_that_are_no_text_are_said(account, says):
    """The other replies are fine, so the page lands, and says what is spoilt."""
    page = WAVECOM.parse_replies(account, says(b"2|1;13800138000;\xff\xff|2;13800138001;TD"))
    assert page.complete
    assert "\ufffd" in page.records[0].content
    assert "1 of 2 replies" in page.problem
    assert "encoding" in page.problem


def test_a_line_break_of_the_page_is_not_the_last_persons(account, says):
    page = WAVECOM.parse_replies(account, says("2|1;13800138000;a\r\n|2;13800138001;b \r\n\r\n"))
    assert [reply.content for reply in page.records] == ["a\r\n", "b "]


@pytest.mark.parametrize(
    "body", ["", "0|x", "3|x|1;13800138000;好", "1|好", "2|1:13800138000:好", "1|1;13800138000;a\n<!-- x -->"]
)
def test_what_is_no_page_of_replies_is_refused(account, says, body):
    with pytest.raises(errors.WireFormatError):
        WAVECOM.parse_replies(account, says(body))


# --- §1.1.4 balance ----------------------------------------------------------------------------------


@pytest.mark.parametrize("body", ["", "-5", "12.5", "１２", "1 2", "123456789012345"])
def test_what_is_no_number_of_messages_is_no_balance(account, says, body):
    with pytest.raises(errors.WireFormatError):
        WAVECOM.parse_balance(account, says(body))


@pytest.mark.parametrize("comma", [";", ","])
@pytest.mark.parametrize("lead", [b"\x81", b"\xb1", b"\xfe"])
def test_a_swallowed_bar_does_not_make_room_for_a_forged_reply(account, says, lead, comma):
    """Half a character hides one reply, a text invents another, and the number is right again."""
    body = b"3|1,13800000001;hi%s|2,13800000002;two|3,13800000003;three|9,13900009999;forged" % lead
    with pytest.raises(errors.WireFormatError, match="seems to hold another"):
        WAVECOM.parse_replies(account, says(body.replace(b",138", comma.encode() + b"138")))


def test_a_character_that_holds_a_bar_is_a_character(account, says):
    page = WAVECOM.parse_replies(account, says(f"1|1,13800000001;{BARS}12;"))
    assert (page.records[0].content, page.complete) == (f"{BARS}12;", True)
