"""
What every vendor promises, ours or registered by another package.

Each wire sample is replayed whole, cut at every byte and with bytes behind it; any other bytes either parse
or raise one of three errors.
"""

from __future__ import annotations

import inspect
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_provider_sms import errors
from airflow_provider_sms.records import Page, Queue, Submission
from airflow_provider_sms.redact import secret_forms
from airflow_provider_sms.vendors.base import Operation, Vendor
from airflow_provider_sms.vendors.registry import vendors

#: What a parser may raise, whatever comes in.
ALLOWED = (errors.WireFormatError, errors.VendorRejected, errors.VendorBusy)

PAIRS = {
    Operation.SEND: ("submit_request", "parse_submit"),
    Operation.SEND_TEMPLATE: ("template_request", "parse_template"),
    Operation.BALANCE: ("balance_request", "parse_balance"),
    Operation.CHECK_WORDS: ("words_request", "parse_words"),
    Operation.REPORTS: ("reports_request", "parse_reports"),
    Operation.REPLIES: ("replies_request", "parse_replies"),
    Operation.PUSH: ("parse_push",),
}
QUEUES = {Operation.REPORTS: Queue.REPORTS, Operation.REPLIES: Queue.REPLIES}

SECRET = "Kanarie 密码&%<7"
NUMBER = "13912345678"
CONTENT = "您的验证码 904217，请勿告诉他人【公司】"
MOMENT = datetime(2026, 12, 24, 0, 30, tzinfo=UTC)

FUZZ = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def requests(vendor, account):
    """Make each request the vendor has."""
    submission = Submission((NUMBER, "13800138000"), CONTENT, send_at=MOMENT, reference="abc123")
    template = Submission((NUMBER,), "{value1}", (("904217",),), reference="abc124")
    arguments = {
        Operation.SEND: (submission,),
        Operation.SEND_TEMPLATE: (template,),
        Operation.CHECK_WORDS: (CONTENT,),
    }
    return {
        operation: getattr(vendor, PAIRS[operation][0])(account, *arguments.get(operation, ()))
        for operation in vendor.operations
        if operation is not Operation.PUSH
    }


def parsers(vendor, account, says):
    """Give each parser the vendor has, as a function of bytes and framing."""
    found = {}
    for operation in vendor.operations:
        parse = getattr(vendor, PAIRS[operation][-1])
        if operation is Operation.PUSH:
            found[operation] = lambda body, parse=parse, **_: parse(account, "", body)
        else:
            found[operation] = lambda body, parse=parse, **framing: parse(account, says(body, **framing))
    return found


# --- declarations ------------------------------------------------------------------------------------


def test_the_registry_has_the_four():
    """None is missing, and ours come first."""
    assert list(vendors())[:4] == ["beidoutong", "wavecom", "linkws", "smsadmin"]


def test_names_are_declared(vendor):
    assert vendor.conn_type == f"sms_{vendor.name}"
    assert vendor.name.isidentifier()
    for text in (vendor.title, vendor.document, vendor.login_label, vendor.host_example):
        assert text
    assert vendor.balance_unit in {"messages", "money"}


def test_a_vendor_can_at_least_send(vendor):
    assert Operation.SEND in vendor.codes


def test_each_operation_has_its_pair(vendor):
    """What has a code table is implemented, what is implemented has a code table."""
    for operation, pair in PAIRS.items():
        implemented = [getattr(type(vendor), name) is not getattr(Vendor, name) for name in pair]
        if operation in vendor.codes:
            assert all(implemented), operation
        elif operation is not Operation.SEND_TEMPLATE:  # its parser is that of a submit by default
            assert not any(implemented), operation


def test_each_code_says_what_it_means_and_what_to_do(vendor):
    for operation, codes in vendor.codes.items():
        for code, meaning in codes.items():
            assert meaning.meaning, (operation, code)
            assert bool(meaning.advice) is bool(meaning.error), (operation, code)


def test_limits_are_positive(vendor, account_of):
    limits = vendor.limits_for(account_of(vendor))
    assert limits.numbers > 0
    assert limits.characters is None or limits.characters > 0
    assert (limits.template_rows > 0) is (Operation.SEND_TEMPLATE in vendor.codes)


def test_each_queue_has_a_page_size(vendor, account_of):
    assert set(vendor.page_sizes) == {
        queue for operation, queue in QUEUES.items() if operation in vendor.codes
    }
    for queue in vendor.page_sizes:
        assert vendor.page_size(account_of(vendor), queue) > 0


def test_intervals_belong_to_operations(vendor):
    assert set(vendor.intervals) <= set(vendor.codes)
    assert all(seconds > 0 for seconds in vendor.intervals.values())


def test_connection_fields_explain_themselves(vendor):
    names = [field.name for field in vendor.fields]
    assert len(names) == len(set(names))
    for field in vendor.fields:
        assert field.label, field.name
        assert field.description.endswith("."), field.name
        assert field.default is None or not field.choices or field.default in field.choices, field.name


def test_an_operation_it_lacks_is_refused_by_name(vendor, account_of):
    """The error names the connection and what it can do, and nothing was built."""
    account = account_of(vendor, conn_id="sms_marketing")
    for operation in set(Operation) - set(vendor.operations):
        builder = getattr(vendor, PAIRS[operation][0])
        arguments = [None] * (len(inspect.signature(builder).parameters) - 1)
        with pytest.raises(errors.NotSupported) as caught:
            builder(account, *arguments)
        assert "'sms_marketing'" in str(caught.value)
        assert repr(operation.value) in str(caught.value)
        assert all(can in str(caught.value) for can in vendor.operations)


# --- samples -----------------------------------------------------------------------------------------


def test_each_operation_has_samples(vendor, shelf):
    """A yes and a no of every operation are on the wire shelf."""
    for operation in vendor.operations:
        of_it = [
            sample
            for sample in shelf
            if (sample.vendor.name, sample.parser) == (vendor.name, PAIRS[operation][-1])
        ]
        said = [sample.expected for sample in of_it]
        assert any("error" in expected for expected in said), operation
        assert any("error" not in expected for expected in said), operation


def test_a_sample_means_what_it_should(sample):
    if "error" not in sample.expected:
        sample.check(sample.parse())
        return
    with pytest.raises(getattr(errors, sample.expected["error"])) as caught:
        sample.parse()
    assert type(caught.value).__name__ == sample.expected["error"]
    assert getattr(caught.value, "code", "") == sample.expected.get("code", "")


def test_a_line_break_behind_it_changes_nothing(sample):
    for trailing in (b"\n", b"\r\n"):
        if not sample.expected.get("complete", True):
            # Behind a cut record it ends the record, or spoils it.
            continue
        if "error" not in sample.expected:
            sample.check(sample.parse(sample.body + trailing))
        else:
            with pytest.raises(getattr(errors, sample.expected["error"])):
                sample.parse(sample.body + trailing)


@pytest.mark.parametrize("trailing", [b"\0", b"|", b"/", b"<!-- -->", b"</html>", b"\xff\xfe", b"\x81"])
def test_bytes_behind_it_add_no_record(sample, trailing):
    with suppress(*ALLOWED):
        result = sample.parse(sample.body + trailing)
        if isinstance(result, Page) and sample.expected.get("complete", True):
            assert len(result.records) <= len(sample.expected.get("records", ()))


def test_cut_at_every_byte_nothing_is_half(sample):
    """The records of a prefix are a prefix of the records, they never get fewer, and the cut is noticed."""
    account, kept = sample.account, 0
    whole = [] if "error" in sample.expected else sample.expected.get("records", [])
    for length in range(len(sample.body)):
        try:
            result = sample.parse(sample.body[:length], account, complete=False)
        except ALLOWED:
            # Only what is broken as a whole may lose its records again.
            assert not kept or "error" in sample.expected, length
            continue
        if isinstance(result, Page):
            assert not result.complete, length
            assert result.problem, length
            if "error" not in sample.expected:
                sample.check_prefix(result.records)
                assert kept <= len(result.records) <= len(whole), length
            kept = len(result.records)
        elif sample.kind != "push":
            # An answer that is no page is worth nothing in parts, but its frame may go on behind it.
            assert "error" not in sample.expected, length
            sample.check(result)


def test_a_cut_that_nothing_tells_of_raises_only_our_errors(sample):
    """A body that only the closed connection delimits looks whole wherever it ends."""
    account = sample.account
    for length in range(len(sample.body)):
        with suppress(*ALLOWED):
            sample.parse(sample.body[:length], account)


# --- any bytes ---------------------------------------------------------------------------------------


@FUZZ
@given(body=st.binary(max_size=400), complete=st.booleans())
@example(body=b"", complete=True)
@example(body=b"9" * 5000, complete=True)
def test_any_bytes_parse_or_raise_our_errors(vendor, account_of, says, body, complete):
    for parse in parsers(vendor, account_of(vendor), says).values():
        with suppress(*ALLOWED):
            parse(body, complete=complete)


@settings(FUZZ, max_examples=20)
@given(data=st.data())
def test_a_mutated_sample_parses_or_raises_our_errors(sample, data):
    body = bytearray(sample.body)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(body)))
        end = min(len(body), start + data.draw(st.integers(0, 8)))
        alien = st.binary(max_size=6) | st.sampled_from(
            [b"|", b";", b"/", b"\n", b"\x81", b"&", b"<", b"%", b"0"]
        )
        body[start:end] = data.draw(alien | st.just(bytes(body[:end])))
    for complete in (True, False):
        with suppress(*ALLOWED):
            result = sample.parse(bytes(body), complete=complete)
            assert complete or not isinstance(result, Page) or not result.complete


@pytest.mark.parametrize(
    "unit",
    [
        b"\n",
        b" ",
        b"|",
        b"0|",
        b"1;2;3|",
        b"<a>",
        b"\x81",
        b"/",
        b"13800138000/",
        b"%",
        b"&Class=mo",
        b"\xd3\xc3\xbb\xa7ID= ",
    ],
)
def test_a_megabyte_of_anything_is_read_at_once(vendor, account_of, says, unit):
    """No pattern takes more than linear time: 1 MB in seconds, where a quadratic one would take hours."""
    body = unit * (1_000_000 // len(unit))
    for parse in parsers(vendor, account_of(vendor), says).values():
        for prefix in (b"", b"3|"):
            with suppress(*ALLOWED):
                parse(prefix + body)


def test_an_answer_longer_than_any_page_is_not_read(vendor, account_of, says):
    """It stays bytes: to take it apart would take a minute and gigabytes."""
    account = account_of(vendor)
    for unit in (b"<a/>", b"13800138000/2026-01-01 08:00:00//DELIVRD/1\n", b"9|1;13800138000;10|"):
        body = unit * (9_000_000 // len(unit))
        for operation, parse in parsers(vendor, account, says).items():
            if operation is not Operation.PUSH:
                with pytest.raises(errors.WireFormatError):
                    parse(body)
        assert vendor.columns_of_reports(account, says(body)) is None


def test_a_web_servers_answer_is_no_vendors_answer(vendor, account_of, says):
    """A status that is not 200 is never read as a yes, an empty queue or a balance."""
    for operation in vendor.operations:
        if operation is Operation.PUSH:
            continue
        for body in ("0", "160", "150", "0 发送成功!", "0|1|0|6408676", "1", ""):
            with pytest.raises(ALLOWED):
                getattr(vendor, PAIRS[operation][-1])(account_of(vendor), replace(says(body), status=500))


# --- secrets -----------------------------------------------------------------------------------------


def hidden():
    """Give everything that no error and no repr may hold."""
    return [*secret_forms(SECRET), CONTENT, "904217", NUMBER]


def test_no_repr_shows_what_it_must_not(vendor, account_of):
    account = account_of(vendor, password=SECRET)
    for shown in (account, *requests(vendor, account).values(), Submission((), CONTENT, (("904217",),))):
        assert not [secret for secret in hidden() if secret in repr(shown)]


def test_a_request_carries_the_password_once_per_call_at_most_in_known_places(vendor, account_of):
    """Headers and paths, which every proxy logs, carry no credential."""
    for request in requests(vendor, account_of(vendor, password=SECRET)).values():
        known = f"{request.path}{getattr(request, 'headers', '')}"
        assert not [secret for secret in hidden() if secret in known]


@pytest.mark.parametrize("field", ["login", "content"])
def test_a_value_the_charset_lacks_is_named_not_shown(vendor, account_of, field):
    """Such a value is found long before; if it is not, the error still does not repeat it."""
    account = replace(account_of(vendor), charset="ascii")
    login = "uid" if field == "content" else f"uid{CONTENT}"
    content = CONTENT if field == "content" else "TD"
    try:
        vendor.submit_request(replace(account, login=login), Submission((NUMBER,), content, reference="abc"))
    except errors.PreflightError as caught:
        told = f"{caught!r}{caught.__cause__!r}{caught.__context__!r}"
    else:
        told = ""  # a vendor whose charset holds everything
    assert not [secret for secret in hidden() if secret in told]


def test_no_error_repeats_what_the_vendor_echoed(vendor, account_of, says):
    """An answer may echo the request: codes with remarks, error pages, half a record."""
    account = account_of(vendor, password=SECRET)
    echo = f"{SECRET} {NUMBER} {CONTENT} {secret_forms(SECRET)[1]}"
    codes = {code for table in vendor.codes.values() for code in table} | {"-3", "-55", "6", "99", "1", ""}
    bodies = [f"{code}{gap}{echo}" for code in codes for gap in ("|", " ", "")]
    bodies += [
        NUMBER,
        f"-{NUMBER}",
        CONTENT,
        f"<html>{echo}</html>",
        f"3|{echo}",
        f"<int>{NUMBER}</int>",
        f"{NUMBER}/{echo}",
    ]
    bodies += [f"敏感字:{CONTENT}", f"Class=mo&SmsName={echo}", f"{NUMBER}={echo}&{NUMBER}=1"]
    for parse in parsers(vendor, account, says).values():
        for body in bodies:
            for charset in ("gb18030", "utf-8"):
                try:
                    parse(body.encode(charset))
                except ALLOWED as error:
                    told = f"{error}{error!r}{error.__cause__!r}"
                    assert not [secret for secret in hidden() if secret in told], body


def test_every_refusal_advises_and_names_the_connection(vendor, account_of):
    account = account_of(vendor, conn_id="sms_marketing")
    for operation, codes in vendor.codes.items():
        for code, known in codes.items():
            if known.error is None:
                continue
            for spelling in {code, code.replace("-", "\u2013")}:
                with pytest.raises(known.error) as caught:
                    vendor.refuse(operation, account, spelling)
                assert "'sms_marketing'" in str(caught.value)
                assert known.advice.rstrip(".") in str(caught.value)
                assert caught.value.code == code


def test_a_code_without_a_meaning_is_no_refusal(vendor, account_of):
    """What an unlisted code means is not known, so it is no certain "no"."""
    for operation in vendor.operations:
        for code in ("-4711", "4711", NUMBER, CONTENT):
            with pytest.raises(errors.WireFormatError) as caught:
                vendor.refuse(operation, account_of(vendor), code)
            assert NUMBER not in str(caught.value)
            assert CONTENT not in str(caught.value)
