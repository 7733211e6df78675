from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sms import text


@pytest.mark.parametrize(
    "raw",
    [
        "13800138000",
        13800138000,
        13800138000.0,
        " 138-0013-8000\n",
        "138 0013 8000",
        "+86 13800138000",
        "+8613800138000",
        "008613800138000",
        "8613800138000",
        "(+86)138\u20110013\u20138000",
        "\ufeff13800138000\u200b",
        "\u202d13800138000\u202c",
    ],
)
def test_a_mobile_number_in_all_its_spellings(raw):
    assert text.normalise_mobile(raw) == "13800138000"


@pytest.mark.parametrize(
    "raw",
    [
        "",
        None,
        "1380013800",
        "138001380000",
        "12800138000",
        "１３８００１３８０００",
        "1380013800a",
        "1.3800138e10x",
        13800138000.5,
        float("nan"),
        float("inf"),
        True,
        "+1 202 555 0123",
        "8613800138000x",
        "075580808080",
    ],
)
def test_what_is_no_mainland_mobile_number(raw):
    assert text.normalise_mobile(raw) is None


@pytest.mark.parametrize("raw", ["075580808080", "0755-8080-8080", "010 80808080", "86075580808080"])
def test_a_number_with_an_area_code_where_the_vendor_takes_it(raw):
    assert text.normalise_mobile(raw, landline=True) == raw.removeprefix("86").replace("-", "").replace(
        " ", ""
    )
    assert text.normalise_mobile(raw) is None


@pytest.mark.parametrize("raw", ["013800138000", "+86013800138000", "01380013800", "019912345678"])
def test_a_mobile_number_behind_a_0_is_no_landline(raw):
    """It would be a second recipient beside the number without it."""
    assert text.normalise_mobile(raw, landline=True) is None


@given(st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.binary()))
def test_whatever_is_given_is_eleven_ascii_digits_or_nothing(raw):
    found = text.normalise_mobile(raw)
    assert found is None or (len(found) == 11 and found.isascii() and found.isdigit())


@pytest.mark.parametrize(
    ("length", "segments"), [(0, 1), (1, 1), (70, 1), (71, 2), (134, 2), (135, 3), (335, 5)]
)
def test_a_long_text_is_cut_into_67s(length, segments):
    assert text.segments("好" * length) == segments
    assert text.segments("a" * length) == segments


def test_a_character_outside_the_basic_plane_takes_two_places():
    assert text.utf16_length("a😀好𠮷") == 6
    assert text.segments("😀" * 36) == 2


def test_everyday_name_characters_fit_gbk():
    """They are why "GB2312" is not taken at its word."""
    assert text.unencodable("镕喆玥祎堃囧", "gbk") == ()
    assert text.unencodable("镕喆玥祎堃囧", "gb2312")


def test_characters_that_do_not_fit_are_named_once_in_order():
    assert text.unencodable("好😀한a😀€", "gbk") == ("😀", "한", "€")
    assert text.unencodable("好😀한a😀€", "gb18030") == ()
    assert text.unencodable("好\ud800", "utf-8") == ("\ud800",)


def test_nothing_is_sent_as_a_question_mark():
    with pytest.raises(UnicodeEncodeError):
        text.encode("好😀", "gbk")


def test_gbk_is_a_part_of_what_is_read():
    """Whatever is written as GBK reads the same as GB18030, character by character."""
    for code in (*range(0xD800), *range(0xE000, 0x10000)):
        if not text.unencodable(chr(code), "gbk"):
            assert text.decode(text.encode(chr(code), "gbk"), "gbk") == chr(code)


@given(st.binary(), st.sampled_from(["gbk", "gb2312", "gb18030", "utf-8"]))
def test_decoding_never_fails(body, charset):
    text.decode(body, charset)


def test_bytes_that_are_no_text_show():
    assert "\ufffd" in text.decode(b"\xff\xff", "gbk")


def test_everything_but_unreserved_characters_is_escaped():
    assert text.quote("喆 a-b_c.d~&=+%/;", "gbk") == "%86%B4%20a-b_c.d~%26%3D%2B%25%2F%3B"
    assert text.form({"a": "1&2", "b": "好"}, "utf-8") == "a=1%262&b=%E5%A5%BD"


@pytest.mark.parametrize("content", ["好【公司】", "好【公司】 \n", "【公司】"])
def test_a_signature_at_the_end(content):
    assert text.ends_with_signature(content)
    assert text.has_signature(content)


@pytest.mark.parametrize("content", ["", "好", "好【】", "好[公司]", "【公司】好", "好【公司】。"])
def test_no_signature_at_the_end(content):
    assert not text.ends_with_signature(content)
    assert text.has_signature(content) is content.startswith("【公司】")


@pytest.mark.parametrize("content", ["", " \n\u3000", "\ufeff\u200b", "【公司】", " 【公司】\n", "【】"])
def test_a_signature_alone_says_nothing(content):
    assert text.says_nothing(content)


@pytest.mark.parametrize(
    "content", ["好", "好【公司】", "【公司】好", "【停水】【公司】", "【公司", "】", "😀"]
)
def test_any_more_than_a_signature_says_something(content):
    assert not text.says_nothing(content)
