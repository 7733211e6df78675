"""Pages by columns: exactly what the careful parser reads, or nothing at all."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_sms import errors
from airflow_provider_sms.records import Queue
from airflow_provider_sms.wire import WireResponse

FUZZ = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

NUMBERS = st.from_regex(r"\A\+?[0-9]{3,20}\Z")
IDS = st.from_regex(r"\A[0-9A-Za-z_-]{1,64}\Z")
TIMES = st.datetimes().map(lambda moment: moment.strftime("%Y-%m-%d %H:%M:%S")) | st.sampled_from(
    ["2026-01-02T08:00:00", "0001-01-01T00:00:00", "2026-13-01 00:00:00", "2019/4/15 9:08:10", ""]
)
CODES = st.text("ABCDELIVRD:0123456789 '\"]", max_size=12)
ODD = st.sampled_from(
    ["", " ", "&amp;", "&#x1F;", "<b/>", "<!-- -->", "]]>", "退订", "\0", "\n", "|", "/", "0"]
)


def odd_or(usual):
    """Give a usual value, and sometimes one that is not."""
    return st.one_of(usual, usual, usual, usual, ODD, st.tuples(usual, ODD).map("".join))


def beidoutong_page(records, envelope, blank, extno_form):
    """Write a page as the service does, more or less."""
    head, tail = envelope
    boxes = blank.join(
        f"<WsStatusBox>{blank}<Mobile>{mobile}</Mobile>{blank}<TaskID>{task}</TaskID><Status>{status}</Status>"
        f"<ReceiveTime>{time}</ReceiveTime><ErrorCode>{code}</ErrorCode>{extno_form}</WsStatusBox>"
        for mobile, task, status, time, code in records
    )
    return f"{head}{boxes}{tail}".encode()


OPENED = (
    '<?xml version="1.0" encoding="utf-8"?><WsStatusResponse xmlns="http://tempuri.org/">'
    "<ReturnStatus>{}</ReturnStatus><Message>{}</Message>"
)
ENVELOPES = [
    (OPENED.format(1, "ok") + "<StatusList>", "</StatusList></WsStatusResponse>"),
    (OPENED.format(0, "好") + "<StatusList>", "</StatusList></WsStatusResponse>"),
    (OPENED.format(1, "&#x1F;") + "<StatusList>", "</StatusList></WsStatusResponse>"),
    (OPENED.format(1, "ok") + "<StatusList><!-- ", " --></StatusList></WsStatusResponse>"),
    (OPENED.format(1, "ok") + "<StatusList><![CDATA[", "]]></StatusList></WsStatusResponse>"),
    (OPENED.format(1, "ok"), "</WsStatusResponse>"),
    (OPENED.format(1, "ok") + "<StatusList>", "</StatusList>"),
    (OPENED.format(1, "ok") + "<StatusList>", "</StatusList><StatusList></StatusList></WsStatusResponse>"),
    (OPENED.format(1, "ok") + "<StatusList>", "</StatusList></WsStatusResponse>behind"),
    (OPENED.format(1, "ok") + "<StatusList><WsStatusBox />", "</StatusList></WsStatusResponse>"),
    (OPENED.format(1, "ok") + "<List>", "</List></WsStatusResponse>"),
    ('<!DOCTYPE a><a xmlns="b">', "</a>"),
]

BEIDOUTONG = st.builds(
    beidoutong_page,
    st.lists(
        st.tuples(
            odd_or(NUMBERS),
            odd_or(IDS),
            odd_or(st.sampled_from(["10", "20", "30", "-1"])),
            odd_or(TIMES),
            odd_or(CODES),
        ),
        max_size=6,
    ),
    st.sampled_from([*[ENVELOPES[0]] * len(ENVELOPES), *ENVELOPES]),
    st.sampled_from(["", "\r\n  ", " "]),
    st.sampled_from(
        ["<Extno></Extno>", "<Extno />", "<Extno/>", "<Extno>12</Extno>", "", "<Extno>1&lt;</Extno>"]
    ),
)
WAVECOM = st.builds(
    lambda records, offset, end: (
        "|".join([str(len(records) + offset), *map(";".join, records)]) + end
    ).encode("gb18030"),
    st.lists(
        st.tuples(odd_or(IDS), odd_or(NUMBERS), odd_or(st.sampled_from(["10", "20", "-1", "7", "–1"]))),
        max_size=8,
    ),
    st.sampled_from([0, 0, 0, 0, 1, -1]),
    st.sampled_from(["", "|", "\r\n", " \r\n", "||", "<html>"]),
)
SMSADMIN = st.builds(
    lambda lines, ends: "".join(map("{}{}".format, map("/".join, lines), ends)).encode("gb18030"),
    st.lists(
        st.tuples(
            odd_or(NUMBERS),
            odd_or(TIMES | st.just("0000-00-00 00:00:00")),
            odd_or(IDS | st.just("0") | st.just("")),
            odd_or(
                st.sampled_from(["DELIVRD", "delivrd", "UNDELIV", "MA:0001", "DTBLACK", "odd", "ENROUTE"])
            ),
            odd_or(st.sampled_from(["", "56666"])),
        ),
        max_size=8,
    ),
    st.lists(st.sampled_from(["\n", "\n", "\r\n", " \n", "", "\n\n"]), min_size=8, max_size=8),
)
PAGES = {"beidoutong": BEIDOUTONG, "wavecom": WAVECOM, "smsadmin": SMSADMIN}


@pytest.fixture(params=sorted(PAGES))
def reader(request, gateway_of):
    """Give a vendor with its account, and pages that are usual for it, or nearly so."""
    gateway = gateway_of(request.param)
    return gateway.vendor, gateway.account, PAGES[request.param]


def careful(vendor, account, response):
    """Read a page carefully; ``None`` if anything is the matter with it."""
    try:
        page = vendor.parse_reports(account, response)
    except (errors.WireFormatError, errors.VendorRejected, errors.VendorBusy):
        return None
    whole = page.complete and page.records and not page.problem and not page.gaps
    return page if whole else None


def is_read_on(vendor, account, response):
    """Whether a page that something is the matter with is no reason by itself to read no other."""
    try:
        page = vendor.parse_reports(account, response)
    except errors.WireFormatError:
        # By itself: two in a row are.
        return b"<html" not in response.body[:512].lower()
    except (errors.VendorRejected, errors.VendorBusy):
        return False
    return bool(page.records)


def check(vendor, account, response):
    """Compare the two readings; whether the fast one read anything."""
    fast = vendor.columns_of_reports(account, response)
    page = careful(vendor, account, response)
    at_a_glance = vendor.brings_reports(account, response)
    if fast is None:
        # What is said at a glance is said of the page as a whole; what is odd in it is odd in its records.
        assert not at_a_glance or page is not None or is_read_on(vendor, account, response)
        return False
    assert page is not None
    assert at_a_glance == (vendor.name == "beidoutong" and fast.size > 1)
    assert fast.columns.records() == page.records
    assert (fast.size, fast.declared) == (len(page.records), page.declared)
    assert all(len(column) == fast.size for column in fast.columns)
    assert {type(status) for status in fast.columns.status} == {str}
    return True


@FUZZ
@given(data=st.data())
def test_a_page_by_columns_is_what_the_careful_parser_reads(reader, data):
    """Whatever the page: what is read by columns equals what is read with care, declared count and all."""
    vendor, account, pages = reader
    response = WireResponse(200, data.draw(pages))
    check(vendor, account, response)


@FUZZ
@given(data=st.data())
def test_a_page_that_was_damaged_is_never_read_otherwise(reader, data):
    """A byte changed, a piece cut out or repeated: the two readings agree, or the fast one abstains."""
    vendor, account, pages = reader
    body = data.draw(pages)
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, len(body)))
    piece = data.draw(st.sampled_from([b"", body[start:end] * 2, b"<", b"|", b"/", b"\n", b"\xff", b"0"]))
    check(vendor, account, WireResponse(200, body[:start] + piece + body[end:]))


@pytest.mark.parametrize("vendor", sorted(PAGES))
def test_the_gateways_own_pages_are_read_by_columns(sandbox, gateway_of, vendor):
    """An ordinary page is; one that is cut, refused or empty is left to the careful parser."""
    sandbox.queue_reports(vendor, 20)
    gateway = gateway_of(vendor)
    request = gateway.prepare_read(Queue.REPORTS)
    response = gateway.read(request)
    assert check(gateway.vendor, gateway.account, response)
    empty = gateway.read(request)
    for other in (
        replace(response, complete=False, problem="cut"),
        replace(response, status=500),
        replace(response, body=response.body[:-40]),
        empty,
    ):
        assert not check(gateway.vendor, gateway.account, other)


@pytest.mark.parametrize("vendor", sorted(PAGES))
@pytest.mark.parametrize(
    "body",
    [b"", b"</WsStatusBox><WsStatusBox>", b"</WsStatusBox></WsStatusBox><WsStatusBox>", b"|", b"0|", b"\n"],
)
def test_a_page_without_a_record_is_left_to_the_careful_parser(gateway_of, vendor, body):
    """A cut or crossed page may end a record that it never began."""
    gateway = gateway_of(vendor)
    assert gateway.vendor.columns_of_reports(gateway.account, WireResponse(200, body)) is None
