"""Reading XML: what is whole is read exactly, what is cut as far as it goes, what is hostile not at all."""

from __future__ import annotations

import random
import subprocess
import sys
import tracemalloc
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_sms.errors import WireFormatError
from airflow_provider_sms.vendors.xml import LocalTimes, read_answer, single_value
from airflow_provider_sms.wire import WireResponse

FIELDS = ("Mobile", "Content")


def page(*contents: str, declaration='<?xml version="1.0" encoding="utf-8"?>', mobile="138"):
    """Make a form answer with one record per content, which is put in as it is."""
    boxes = "".join(f"<B><Mobile>{mobile}</Mobile><Content>{content}</Content></B>" for content in contents)
    return f'{declaration}<R xmlns="http://tempuri.org/"><ReturnStatus>1</ReturnStatus><L>{boxes}</L></R>'


def read(body, **framing: Any):
    if isinstance(body, str):
        body = body.encode()
    return read_answer(WireResponse(200, body, **framing), "Q", "R", "L")


def rows(body, **framing: Any):
    return list(read(body, **framing).rows("B", FIELDS))


def contents(body, **framing: Any):
    return [row if isinstance(row, str) else row[1] for row in rows(body, **framing)]


def escaped(text):
    """Write a text as .NET's XmlTextWriter does: what XML cannot carry becomes a reference."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#xD;")
    return "".join(f"&#x{ord(c):X};" if c < " " and c not in "\t\n" else c for c in text)


def test_dag_parsing_does_not_load_lxml():
    """Importing every vendor of this room leaves lxml and zeep alone."""
    code = (
        "import sys\n"
        "import airflow_provider_sms.vendors.beidoutong, airflow_provider_sms.vendors.linkws\n"
        "import airflow_provider_sms.transport.soap\n"
        "assert not {'lxml', 'zeep'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 - our own interpreter


# --- exact -------------------------------------------------------------------------------------------


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=4))
@example(["\x1f", "\x0b\x00", "\ufdd0\ue000\x01", "\ufdd0", "\ufffe", "]]>", "&#x1F;", "\r\n"])
@settings(deadline=None)
def test_a_text_is_read_exactly_or_not_at_all(texts):
    """Whatever people write, their reply is never changed in silence."""
    got = contents(page(*map(escaped, texts)))
    for text, content in zip(texts, got, strict=True):
        assert content in {text, "has characters in Content that cannot be read"}
        # Only what stands for nothing is given up.
        if not any(c in "\0\ufffe\uffff" for c in text):
            assert content == text


def test_a_comment_or_cdata_does_not_split_a_text():
    assert contents(page("be<!-- x -->fore", "<![CDATA[<i>]]> &amp;", "a<?pi b?>c")) == [
        "before",
        "<i> &",
        "ac",
    ]


def test_a_reference_in_cdata_is_no_reference():
    """Whatever else the page holds, and however it was cut."""
    answer = page(
        "<![CDATA[&#x1F;]]>", "b&#x1F;", "<![CDATA[<!-- \x1f]]>", "<!--&#x1F;-->c", "\ufdd0&#xFDD0;\ue000"
    )
    whole = ["&#x1F;", "b\x1f", "<!-- \x1f", "c", "\ufdd0\ufdd0\ue000"]
    assert contents(answer) == whole
    for length in range(80, len(answer)):
        assert contents(answer[:length], complete=False) == whole[: answer[:length].count("</B>")]


def test_elements_inside_a_text_make_it_unreadable():
    assert contents(page("a<b/>c", "d")) == ["has further elements inside of Content", "d"]


def test_elements_are_found_by_name_where_their_order_differs():
    body = page("x").replace(
        "<Mobile>138</Mobile><Content>x</Content>", "<Content>x</Content><Mobile>1</Mobile>"
    )
    assert rows(body) == [("1", "x")]


@pytest.mark.parametrize(
    ("record", "row"),
    [
        ("<B><Mobile>1</Mobile></B>", ("1", None)),
        ("<B />", (None, None)),
        ("<B><Mobile>1</Mobile><SmsText>a</SmsText></B>", "has no Content, but an unknown element"),
        ("<B><Mobile>1</Mobile><Content>a</Content><New>b</New></B>", ("1", "a")),
        ("<B><Mobile>1</Mobile><Content>a</Content><Content>b</Content></B>", "has Content twice"),
        ("<C><Mobile>1</Mobile><Content>a</Content></C>", "is none"),
    ],
)
def test_a_record_of_another_form(record, row):
    """A missing element is a null unless it may have been renamed; nothing is guessed."""
    body = page("x").replace("<L>", f"<L>{record}")
    assert rows(body) == [row, ("138", "x")]


@pytest.mark.parametrize("space", ['xmlns="http://tempuri.org/"', 'xmlns="urn:other"', ""])
def test_namespaces_do_not_matter(space):
    assert contents(page("x").replace('xmlns="http://tempuri.org/"', space)) == ["x"]


def test_a_prefix_does_not_matter():
    body = (
        '<p:R xmlns:p="urn:x"><p:ReturnStatus>1</p:ReturnStatus><p:L><p:B><p:Mobile>1</p:Mobile>'
        "<p:Content>x</p:Content></p:B></p:L></p:R>"
    )
    assert rows(body) == [("1", "x")]
    assert read(body).fields == {"ReturnStatus": "1"}


@pytest.mark.parametrize("declared", ["gb2312", "GBK", "gb18030"])
def test_gb_answers_hold_more_than_gb2312(declared):
    body = page("镕堃喆玥", declaration=f'<?xml version="1.0" encoding="{declared}"?>')
    assert contents(body.encode("gb18030")) == ["镕堃喆玥"]


def test_a_bom_and_blanks_before_the_declaration_do_no_harm():
    assert contents(b"\xef\xbb\xbf\r\n " + page("好").encode()) == ["好"]


def test_a_page_of_more_than_ten_megabytes_is_read():
    """libxml2 takes no single text of that size, but a page is many."""
    body = page(*["内" * 335] * 12_000).encode()
    assert len(body) > 12_000_000
    assert len(contents(body)) == 12_000
    assert len(contents(body[:-200], complete=False)) == 11_999


# --- cut ---------------------------------------------------------------------------------------------


def test_a_large_page_cut_anywhere_gives_all_records_before_the_cut():
    """Also around the edges of the pieces that the incremental parser is fed."""
    body = page(*[f"内容{number}" for number in range(3000)]).encode()
    ends = [start + 4 for start in range(len(body)) if body.startswith(b"</B>", start)]
    chooser = random.Random(7)  # noqa: S311 - reproducible on purpose
    edges = [edge + offset for edge in (1 << 16, 2 << 16) for offset in (-1, 0, 1)]
    for length in [chooser.randrange(60, len(body)) for _ in range(30)] + edges:
        answer = read(body[:length], complete=False, problem="connection reset")
        got = list(answer.rows("B", FIELDS))
        assert len(got) == sum(end <= length for end in ends)
        assert [row[1] for row in got] == [f"内容{number}" for number in range(len(got))]
        assert answer.problem == "a part of its answer (connection reset)"
        assert not answer.closed


def test_an_answer_that_ends_early_is_noticed_without_the_framing():
    body = page("a", "b")
    answer = read(body.removesuffix("</L></R>"))
    assert (len(answer.records), answer.closed, answer.problem) == (2, False, "XML that ends early")


@pytest.mark.parametrize("trailing", ["x", "<R/>", "\0", "&", "<", "<!DOCTYPE x>"])
def test_bytes_behind_the_end_are_noticed(trailing):
    answer = read(page("a") + trailing)
    assert [row[1] for row in answer.rows("B", FIELDS)] == ["a"]
    assert answer.problem == "other bytes behind the end of the XML"


def test_a_mistake_in_the_middle_ends_what_can_be_read():
    """Tags that don't match are no matter of characters: what follows may be anything."""
    answer = read(page("a", "b</Mobile>", "c"))
    assert [row[1] for row in answer.rows("B", FIELDS)] == ["a"]
    assert answer.problem.startswith("XML broken at line 1, column ")


def test_records_under_another_status_are_kept_and_noticed():
    answer = read_answer(WireResponse(500, page("a").encode()), "Q", "R", "L")
    assert len(answer.records) == 1
    assert answer.problem == "HTTP status 500"


# --- hostile -----------------------------------------------------------------------------------------

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
BOMBS = {
    "laughs": f'<!DOCTYPE R [<!ENTITY l0 "ha">{LAUGHS}]>{page("&l9;", declaration="")}',
    "quadratic": f'<!DOCTYPE R [<!ENTITY a "{"a" * 50_000}">]>{page("&a;" * 5000, declaration="")}',
    "in an attribute": f'<!DOCTYPE R [<!ENTITY l0 "ha">{LAUGHS}]><R a="&l9;"/>',
    "file": f'<!DOCTYPE R [<!ENTITY f SYSTEM "file:///etc/passwd">]>{page("&f;", declaration="")}',
    "network": f'<!DOCTYPE R [<!ENTITY f SYSTEM "http://127.0.0.1:9/">]>{page("&f;", declaration="")}',
    "parameter": '<!DOCTYPE R [<!ENTITY % p SYSTEM "http://127.0.0.1:9/"> %p;]><R/>',
    "external": '<!DOCTYPE R SYSTEM "http://127.0.0.1:9/x.dtd"><R/>',
    "declared first": '<?xml version="1.0"?>\n<!DOCTYPE R><R/>',
    "behind a comment": "<!-- > --><?a ?>\n<!DOCTYPE R><R/>",
    "default": '<!DOCTYPE R [<!ATTLIST R a CDATA "x">]><R/>',
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=list(BOMBS))
@pytest.mark.parametrize("complete", [True, False])
def test_a_doctype_is_refused_unread(bomb, complete):
    """No entity is expanded, no file and no address opened, no memory spent."""
    tracemalloc.start()
    with pytest.raises(WireFormatError, match="DOCTYPE"):
        read(bomb, complete=complete)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("charset", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp037", "utf-7"])
def test_a_doctype_cannot_hide_in_another_encoding(charset):
    """Encodings whose bytes are not those of ASCII are refused, declared or not."""
    for declaration in ("", f'<?xml version="1.0" encoding="{charset}"?>'):
        bomb = '<!DOCTYPE R [<!ENTITY a "x">]>' + page("&a;", declaration="")
        for body in (declaration.encode() + bomb.encode(charset), (declaration + bomb).encode(charset)):
            with pytest.raises(WireFormatError):
                read(body)


@pytest.mark.parametrize("name", ["utf-16", "klingon", "UTF-7", "cp037", "iso-8859-1"])
def test_an_encoding_the_service_does_not_use_is_refused(name):
    with pytest.raises(WireFormatError, match="encoding"):
        read(page("x", declaration=f'<?xml version="1.0" encoding="{name}"?>'))


def test_an_entity_without_a_doctype_is_broken_xml():
    answer = read(page("a", "&secret;", "c"))
    assert [row[1] for row in answer.rows("B", FIELDS)] == ["a"]
    assert not answer.closed


@pytest.mark.parametrize("complete", [True, False])
def test_more_tags_than_any_page_has_are_refused_unread(complete):
    """An element of four bytes takes hundreds: an answer within the transport's limit could fill a worker."""
    body = b"<R><L>" + b"<a/>" * 1_000_000
    tracemalloc.start()
    with pytest.raises(WireFormatError, match="more than 1,000,000 tags"):
        read(body, complete=complete)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * len(body)


@pytest.mark.parametrize("depth", [300, 100_000])
def test_depth_is_no_danger(depth):
    for body in ("<R>" * depth, "<R>" * depth + "</R>" * depth):
        assert not read(body).closed


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"", "an empty body"),
        (b" \r\n", "an empty body"),
        (b"System.InvalidOperationException", "not XML"),
        (b"<?xml version=", "not XML"),
        (b"<", "not XML"),
        (b"<html><body>13800138000", "an HTML page"),
        (b"<HTML/>", "an HTML page"),
        (b"<other/>", "XML that is no R"),
    ],
)
def test_what_is_no_answer_is_named(body, what):
    with pytest.raises(WireFormatError, match=what):
        read(body)
    with pytest.raises(WireFormatError, match="HTTP status 502 and "):
        read_answer(WireResponse(502, body), "Q", "R", "L")


FAULT = """<s:Envelope xmlns:s="{space}"><s:Body><s:Fault>{fault}</s:Fault></s:Body></s:Envelope>"""
FAULT_11 = "<faultcode>s:{code}</faultcode><faultstring>pass=Pa55 13800138000 您的验证码</faultstring>"
FAULT_12 = (
    "<s:Code><s:Value>s:{code}</s:Value></s:Code>"
    "<s:Reason><s:Text xml:lang='zh'>pass=Pa55 13800138000 您的验证码</s:Text></s:Reason>"
)


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        (FAULT_11, "Client", "refused the request (Client)"),
        (FAULT_11, "Server", "failed (Server)"),
        (FAULT_12, "Sender", "refused the request (Sender)"),
        (FAULT_12, "Receiver", "failed (Receiver)"),
        (FAULT_12, "VersionMismatch", "'soap_version'"),
        (FAULT_12, "Pa55", "of an unknown kind"),
    ],
)
def test_a_fault_is_told_without_its_text(fault, code, said):
    """A fault may quote the request, so that only the codes that SOAP defines are repeated."""
    body = FAULT.format(
        space="http://www.w3.org/2003/05/soap-envelope", fault=fault.format(code=code)
    ).encode()
    for status in (200, 500):
        with pytest.raises(WireFormatError) as caught:
            read_answer(WireResponse(status, body), "Q", "R", "L")
        assert said in str(caught.value)
        assert not [secret for secret in ("Pa55", "138", "验证码") if secret in str(caught.value)]


def test_an_answer_to_another_operation_is_refused():
    body = (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><PResponse><PResult>'
        "<ReturnStatus>1</ReturnStatus></PResult></PResponse></s:Body></s:Envelope>"
    )
    with pytest.raises(WireFormatError, match="without a result of Q"):
        read(body)


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=200), st.integers(0, 400), st.booleans())
def test_any_bytes_anywhere_are_read_or_refused(noise, place, complete):
    """Bytes put into an answer end in records, a problem or a WireFormatError."""
    body = page("&#x1F;好", "二").encode()
    mixed = body[:place] + noise + body[place:]
    with suppress(WireFormatError):
        for row in rows(mixed, complete=complete):
            assert isinstance(row, (str, tuple))


# --- one value ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        '<int xmlns="http://tempuri.org/"> 5 </int>',
        '<?xml version="1.0" encoding="gb2312"?><string>5</string>',
        '<s:Envelope xmlns:s="urn:s"><s:Header><a/></s:Header><s:Body><X><Y>5</Y></X></s:Body></s:Envelope>',
    ],
)
def test_one_value(body):
    assert single_value(WireResponse(200, body.encode())) == "5"
    assert single_value(WireResponse(200, body.encode() + b"\r\n", complete=False, problem="cut")) == "5"
    for end in range(len(body)):
        with pytest.raises(WireFormatError):
            single_value(WireResponse(200, body[:end].encode(), complete=False))


@pytest.mark.parametrize("body", ["<a><b>5</b></a>", "<int>5</int>6", "<s:Envelope xmlns:s='s'/>", "5"])
def test_what_is_not_one_value(body):
    with pytest.raises(WireFormatError):
        single_value(WireResponse(200, body.encode()))


def test_one_value_under_another_status_is_none():
    with pytest.raises(WireFormatError, match="HTTP status 500"):
        single_value(WireResponse(500, b"<int>5</int>"))


# --- times -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2019-04-15 09:08:10", datetime(2019, 4, 15, 1, 8, 10, tzinfo=UTC)),
        ("2019-04-15T09:08:10", datetime(2019, 4, 15, 1, 8, 10, tzinfo=UTC)),
        ("2019/4/15 9:08:10", datetime(2019, 4, 15, 1, 8, 10, tzinfo=UTC)),
        ("2019/04/15 00:00:00", datetime(2019, 4, 14, 16, 0, 0, tzinfo=UTC)),
        (" 2019-4-5 9:08:10 ", datetime(2019, 4, 5, 1, 8, 10, tzinfo=UTC)),
        ("2019-04-15T09:08:10.1234567", datetime(2019, 4, 15, 1, 8, 10, 123456, tzinfo=UTC)),
        ("2019-04-15T09:08:10+09:00", datetime(2019, 4, 15, 0, 8, 10, tzinfo=UTC)),
        ("2019-04-15T09:08:10Z", datetime(2019, 4, 15, 9, 8, 10, tzinfo=UTC)),
        ("", None),
        ("  ", None),
        ("0001-01-01 00:00:00", None),
        ("0001/1/1 0:00:00", None),
    ],
)
def test_a_time_is_read(written, moment):
    times = LocalTimes(ZoneInfo("Asia/Shanghai"))
    assert times[written] == moment
    assert times[written] is times[written]


@pytest.mark.parametrize(
    "written",
    [
        "2019-04-15",
        "20190415 090810",
        "2019-W15-1T09:08:10",
        "2019-13-15 09:08:10",
        "2019-02-29 09:08:10",
        "2019-04-15x09:08:10",
        "2019-04-15 24:08:10",
        "２０１９-04-15 09:08:10",
        "15/04/2019 09:08:10",
        "9999-12-31T23:59:59-23:59",
        "4月15日",
        "0",
    ],
)
def test_what_is_no_time_is_not_guessed(written):
    with pytest.raises(ValueError, match=r"\w"):
        LocalTimes(ZoneInfo("Asia/Shanghai"))[written]


LOCAL = st.datetimes(datetime(1902, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001 - the zone is drawn, too


@given(LOCAL, st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "Australia/Lord_Howe"]))
def test_every_time_is_that_of_its_zone(local, zone):
    """Also in the hours in which clocks are changed, and whatever was read before."""
    times = LocalTimes(ZoneInfo(zone))
    local = local.replace(fold=0)  # a time on the wire does not say which of two it is
    for moment in (local.replace(second=0), local, local.replace(hour=2), local.replace(hour=3)):
        aware = moment.replace(microsecond=0, tzinfo=ZoneInfo(zone))
        assert times[f"{moment:%Y-%m-%d %H:%M:%S}"] == aware.astimezone(UTC)
