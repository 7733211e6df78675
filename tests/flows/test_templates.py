"""Sends of a text of each recipient's own."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from airflow_provider_sms import planning
from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.sandbox import Sandbox

TEMPLATE = "{name}，您的验证码 {code}【公司】"


def people_of(count):
    """Make up rows with a name and a code each."""
    names = "镕堃喆玥"
    return [
        {"mobile": str(13_800_000_000 + n), "name": names[n % 4], "code": f"{n:06d}"} for n in range(count)
    ]


def texts_of(sandbox, vendor):
    """Give the text that each number got."""
    return {message.mobile: message.content for message in sandbox.messages(vendor)}


@pytest.mark.parametrize(("first_index", "reading"), [(1, "number"), (0, "first_value")])
def test_rows_go_out_as_the_vendors_own_templates(gateway_of, send_to, first_index, reading):
    """Smsadmin fills its markers in, under either reading of its document; two calls of up to 1,000 rows."""
    people = people_of(1234)
    with Sandbox(ddt_value0=reading) as sandbox:
        gateway = gateway_of("smsadmin", gateway=sandbox, ddt_first_index=first_index)
        assert send_to(gateway, people, template=TEMPLATE)["accepted"] == 1234
        assert sandbox.calls.by_operation("smsadmin") == {"send_template": 2}
        assert texts_of(sandbox, "smsadmin") == {
            row["mobile"]: f"{row['name']}，您的验证码 {row['code']}【公司】" for row in people
        }


def test_what_the_vendors_template_would_drop_goes_as_ordinary_messages(sandbox, gateway_of, send_to):
    """A value with a separator makes its group malformed, which the vendor drops in silence."""
    people = people_of(6)
    for row, name in zip(people, ["a,b", "c;d", " blank", "{x}", "50%41", "好"], strict=True):
        row["name"] = name
    result = send_to(gateway_of("smsadmin"), people, template=TEMPLATE)
    assert (result["accepted"], result["rejected"]) == (6, 0)
    assert texts_of(sandbox, "smsadmin") == {
        row["mobile"]: f"{row['name']}，您的验证码 {row['code']}【公司】" for row in people
    }
    assert sandbox.calls.by_operation("smsadmin") == {"send_template": 1, "send": 5}


def test_a_repeated_placeholder_is_filled_in_each_time(sandbox, gateway_of, send_to):
    """The vendor takes each marker once, so each repeat gets a marker of its own."""
    send_to(gateway_of("smsadmin"), people_of(3), template="{name}{name}：{code}，再说一遍 {code}")
    assert texts_of(sandbox, "smsadmin")["13800000001"] == "堃堃：000001，再说一遍 000001"
    assert sandbox.calls.by_operation("smsadmin") == {"send_template": 1}


def test_a_template_that_the_vendor_cannot_express_goes_as_ordinary_messages(sandbox, gateway_of, send_to):
    """Literal braces look like markers."""
    send_to(gateway_of("smsadmin"), people_of(2), template="{{{name}}} {code}")
    assert texts_of(sandbox, "smsadmin")["13800000001"] == "{堃} 000001"
    assert sandbox.calls.by_operation("smsadmin") == {"send": 2}


@pytest.mark.parametrize("vendor", ["beidoutong", "wavecom", "linkws"])
def test_equal_texts_share_a_call_where_there_are_no_templates(sandbox, gateway_of, send_to, vendor):
    """250 people, four texts: as few calls as the vendor's batch size allows."""
    people = people_of(250)
    result = send_to(gateway_of(vendor), people, template="{name}，您好【公司】")
    assert result["accepted"] == 250
    assert texts_of(sandbox, vendor) == {row["mobile"]: f"{row['name']}，您好【公司】" for row in people}
    assert sandbox.calls.count(vendor, "send") == 4


@pytest.mark.parametrize("vendor", ["beidoutong", "wavecom", "linkws", "smsadmin"])
def test_a_retry_of_a_template_send_sends_only_the_rest(sandbox, gateway_of, send_to, vendor):
    """From what the ledger keeps, values and all; nobody gets it twice."""
    people = people_of(40)
    with Sandbox.closed_port() as port, pytest.raises(Exception, match="40 not sent"):
        send_to(gateway_of(vendor, port=port), people, template=TEMPLATE)
    assert send_to(gateway_of(vendor), people, template=TEMPLATE)["accepted"] == 40
    assert texts_of(sandbox, vendor) == {
        row["mobile"]: f"{row['name']}，您的验证码 {row['code']}【公司】" for row in people
    }
    assert sandbox.accepted_more_than_once() == {}


def test_a_number_in_a_text_is_written_in_its_national_form(sandbox, gateway_of, send_to):
    """However the row spells it."""
    people = [{"mobile": "+86 138-0000-0000", "code": 1}, {"mobile": 13800000001.0, "code": 2}]
    send_to(gateway_of("smsadmin"), people, template="{mobile} {code}")
    assert list(texts_of(sandbox, "smsadmin").values()) == ["13800000000 1", "13800000001 2"]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([1, 2], "a list, an array or bytes in rows 2: give one text or number"),
        (np.array([1, 2]), "a list, an array or bytes in rows 2"),
        (b"a", "a list, an array or bytes in rows 2"),
        (float("inf"), "is infinite in rows 2"),
        (Decimal("Infinity"), "is infinite in rows 2"),
        (np.float32(12.5), "a float of fewer than 64 bits in rows 2"),
    ],
    ids=["list", "array", "bytes", "inf", "decimal", "float32"],
)
def test_a_value_that_is_no_text_is_a_problem_of_its_field(sandbox, gateway_of, send_to, value, says):
    """Among the other problems, by row."""
    people = people_of(3)
    people[1]["code"] = value
    people[2]["mobile"] = "1234"
    with pytest.raises(PreflightError, match=f"field 'code' is {says.removeprefix('is ')}") as caught:
        send_to(gateway_of("smsadmin"), people, template=TEMPLATE)
    assert len(caught.value.problems) == 2
    assert sandbox.calls.count() == 0


@pytest.mark.parametrize("vendor", ["wavecom", "smsadmin"])
def test_a_row_that_says_the_same_again_is_dropped(sandbox, gateway_of, send_to, vendor, caplog):
    """However the number is written, and whatever stands in columns that the text does not use."""
    people = people_of(3)
    again = [{**people[0], "mobile": "+86 138-0000-0000", "order": "1"}, {**people[2]}, {**people[2]}]
    with caplog.at_level("INFO"):
        result = send_to(gateway_of(vendor), [*people, *again], template=f"{{mobile}}：{TEMPLATE}")
    assert (result["recipients"], sandbox.count_messages(vendor)) == (3, 3)
    assert "3 rows dropped" in caplog.text


@pytest.mark.parametrize("vendor", ["wavecom", "smsadmin"])
def test_a_row_with_another_text_for_a_number_is_not_lost(sandbox, gateway_of, send_to, vendor):
    """Two orders of one person: only the first would be told, and the task be green."""
    people = people_of(30)
    others = [{**row, "mobile": f"+86{row['mobile']}", "code": f"again {row['code']}"} for row in people]
    with pytest.raises(PreflightError) as caught:
        send_to(gateway_of(vendor), [*people, {**people[7]}, *others], template=TEMPLATE)
    [problem] = caught.value.problems
    assert problem.startswith(
        "30 rows have another text for a number that came before (rows 32, 33, 34, 35, 36, 37, 38, 39, 40, 41"
        " and 20 more)"
    )
    assert "under a send_key of its own" in problem
    assert sandbox.calls.count() == 0


@pytest.mark.parametrize("value", [None, [1]])
def test_a_row_without_a_value_for_a_number_that_came_before_is_another_text(gateway_of, send_to, value):
    """It is not known that it would say the same."""
    people = [*people_of(2), {**people_of(2)[1], "code": value}]
    with pytest.raises(PreflightError, match=r"1 rows have another text .*\(rows 3\)"):
        send_to(gateway_of("wavecom"), people, template=TEMPLATE)


@pytest.mark.parametrize("vendor", ["wavecom", "smsadmin"])
def test_every_problem_of_every_row_is_in_one_error(sandbox, gateway_of, send_to, vendor):
    """Missing fields, empty fields, bad numbers, characters that do not fit: at once, and nothing is sent."""
    people = people_of(5)
    people[1]["name"] = None
    people[2]["name"] = "  "
    people[3]["mobile"] = "1234"
    people[4]["name"] = "😀"
    with pytest.raises(PreflightError) as caught:
        send_to(gateway_of(vendor), people, template=TEMPLATE, send_at="soon")
    told = str(caught.value)
    for part in ("'name' is empty in rows 2, 3", "row 4", "U+1F600", "(row 5", "send_at"):
        assert part in told
    assert sandbox.calls.count() == 0


def test_a_field_that_no_row_has_is_named(gateway_of, send_to):
    """With those that there are."""
    with pytest.raises(PreflightError, match=r"lack the template's fields 'nmae': they have .*'name'"):
        send_to(gateway_of("wavecom"), people_of(2), template="{nmae}您好")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("x {尊敬的张三 电话13800138009 密码 4711}", "placeholder 1 is no plain field name"),
        ("{code} {0.13800138009}", "placeholder 2 is no plain field name"),
        ("{13800138009}", "lack the template's fields placeholder 1: they have 'mobile', 'code'"),
        (
            "{nmae}{code}{张三密码4711}{nmae}",
            "fields 'nmae', placeholder 3: .*'code', \\(a name not shown\\)",
        ),
    ],
)
def test_what_stands_in_braces_may_be_a_part_of_the_text(gateway_of, send_to, source, says):
    """So the error shows no more of it than a name that is nobody's, and of the columns' names neither."""
    people = [{"mobile": "13800000000", "code": "1", "李四13900139009": "2"}]
    with pytest.raises(PreflightError, match=says) as caught:
        send_to(gateway_of("wavecom"), people, template=source)
    chain = repr(caught.value) + repr(caught.value.__cause__) + repr(caught.value.__context__)
    assert not any(part in chain for part in ("张三", "1380013", "4711", "李四", "1390013"))


def test_a_row_that_lacks_a_field_is_named(gateway_of, send_to):
    """Among rows that have it."""
    people = people_of(3)
    del people[1]["code"]
    with pytest.raises(PreflightError, match="'code' is empty in rows 2"):
        send_to(gateway_of("wavecom"), people, template=TEMPLATE)


@pytest.mark.parametrize("source", ["{name", "name}", "{}", "{0.real}", "{name!r}", "{code:>9}", "{a b}"])
def test_a_template_that_cannot_be_read_is_refused(gateway_of, send_to, source):
    """Before anything else; the error holds no part of it but the placeholder's name."""
    with pytest.raises(PreflightError, match="template cannot be read"):
        send_to(gateway_of("wavecom"), people_of(1), template=source)


def test_values_read_as_people_write_them(sandbox, gateway_of, send_to):
    """A whole number out of a float column has no ``.0``, money keeps its cents."""
    people = pd.DataFrame(
        {
            "mobile": [13800000000.0, 13800000001.0],
            "count": [3.0, 4.0],
            "amount": [Decimal("12.50"), Decimal("7.00")],
            "share": [0.5, 0.00001],
        }
    )
    send_to(gateway_of("smsadmin"), people, template="{count} {amount} {share}")
    assert list(texts_of(sandbox, "smsadmin").values()) == ["3 12.50 0.5", "4 7.00 0.00001"]


@pytest.mark.parametrize("gone", [None, float("nan"), pd.NA, pd.NaT, ""])
def test_nothing_is_no_value(gateway_of, send_to, gone):
    """However a data frame says "nothing", nobody reads "nan"."""
    people = people_of(2)
    people[1]["name"] = gone
    with pytest.raises(PreflightError, match="'name' is empty in rows 2"):
        send_to(gateway_of("wavecom"), people, template=TEMPLATE)


@pytest.mark.parametrize("vendor", ["beidoutong", "smsadmin"])
@pytest.mark.parametrize(
    ("source", "name", "signature"),
    [
        ("", "好", "公司"),
        ("  ", "好", "公司"),
        ("【公司】", "好", "公司"),
        ("【{name}】", "公司", "公司"),
        ("{name}", "\u200b", "公司"),
        ("{name}", "【公司】", ""),
        ("【{name}", "公司】", ""),
    ],
)
def test_a_template_that_makes_a_signature_alone_is_refused(
    sandbox, gateway_of, send_to, vendor, source, name, signature
):
    """Whether the brackets are the template's, the value's or the connection's."""
    people = [{"mobile": "13800000000", "name": name}]
    with pytest.raises(PreflightError, match=r"the text is empty.*\(row 1\)"):
        send_to(gateway_of(vendor, signature=signature), people, template=source)
    assert sandbox.calls.count() == 0


def test_many_problems_are_counted_and_the_first_ones_shown(gateway_of, send_to):
    """A hundred thousand bad rows make one readable error."""
    people = [{"mobile": f"{n}", "name": f"😀{n}", "code": None} for n in range(3000)]
    with pytest.raises(PreflightError) as caught:
        send_to(gateway_of("wavecom"), people, template=TEMPLATE)
    assert "3,000 of 3,000 numbers" in str(caught.value)
    assert "and 2,990 more" in str(caught.value)
    assert len(str(caught.value)) < 3000


def test_a_template_renders_columns():
    """Literals, braces and fields in their order."""
    template = planning.Template("{{a}} {x}-{y}-{x}")
    assert template.fields == ("x", "y", "x")
    assert template.render({"mobile": ["1", "2"], "x": ["p", "q"], "y": ["r", "s"]}) == [
        "{a} p-r-p",
        "{a} q-s-q",
    ]
