"""Whatever a template gives, the vendor takes it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sms.notifications.wording import note, worded
from airflow_provider_sms.store.storms import Held


def account_of(vendor, **extra: str):
    from airflow_provider_sms.vendors.accounts import check_account
    from airflow_provider_sms.vendors.registry import vendor_named

    needed = {"userid": "1"} if vendor == "beidoutong" else {}
    codec = vendor_named(vendor)
    fields = {"host": "h", "port": 1, "schema": "http", "login": "a", "password": "b"}
    return codec, check_account(codec, "c", **fields, extra=needed | extra)


@pytest.mark.parametrize("vendor", ["beidoutong", "wavecom", "linkws", "smsadmin"])
@given(
    content=st.text(min_size=1),
    held=st.builds(Held, st.integers(0, 9999), st.integers(0, 9999)),
    repeat=st.integers(1, 60),
)
def test_a_wording_has_no_problems_but_that_of_an_empty_text(vendor, content, held, repeat):
    codec, account = account_of(vendor, signature="公司")
    wording = worded(codec, account, content * repeat, held, 300)
    problems = codec.content_problems(account, wording.content)
    assert not [problem for problem in problems if "empty" not in problem]


def test_a_short_text_stays_as_it_is():
    codec, account = account_of("smsadmin")
    assert worded(codec, account, "磁盘已满\n请处理", Held(), 300) == ("磁盘已满\n请处理", 0, 0)


def test_a_long_text_is_cut_and_says_so():
    codec, account = account_of("smsadmin", signature="公司")
    wording = worded(codec, account, "满" * 500, Held(same=12), 100)
    assert wording.content.endswith("满…（另有 12 条相同提醒被合并）【公司】")
    assert len(wording.content) == 100
    assert wording.shortened == 500 - wording.content.count("满")


def test_the_vendors_own_limit_counts_if_it_is_lower():
    codec, account = account_of("linkws", signature="公司")
    assert len(worded(codec, account, "满" * 500, Held(), 1000).content) == 300


def test_a_signature_at_the_end_is_not_cut_off():
    codec, account = account_of("linkws", signature="公司")
    wording = worded(codec, account, "满" * 500 + "【别的】", Held(same=1), 300)
    assert wording.content.endswith("…（另有 1 条相同提醒被合并）【别的】")


def test_what_the_charset_lacks_is_a_box_and_what_cannot_be_shown_goes():
    codec, account = account_of("smsadmin")
    wording = worded(codec, account, "\x1b[31m失败\x1b[0m 😀😀 \ud800\x00ok\tfine", Held(), 300)
    assert wording == ("失败 □□ ok fine", 0, 2)


@pytest.mark.parametrize("content", ["", " \n", "\x00", "【公司】"])
def test_a_text_that_says_nothing_gets_neither_signature_nor_note(content):
    codec, account = account_of("smsadmin", signature="公司")
    wording = worded(codec, account, content, Held(same=12), 300)
    assert wording.content == content.strip(" \n\x00")
    assert any("empty" in problem for problem in codec.content_problems(account, wording.content))


def test_the_note_tells_what_was_held_back():
    assert note(Held()) == ""
    assert note(Held(12)) == "（另有 12 条相同提醒被合并）"
    assert note(Held(0, 3)) == "（3 条提醒因超过每小时上限未发）"
    assert note(Held(12, 3)) == "（另有 12 条相同提醒被合并，3 条提醒因超过每小时上限未发）"
