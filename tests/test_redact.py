from __future__ import annotations

import base64
import hashlib
import json
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sms import redact


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("13800138000", "138****8000"),
        ("075580808080", "075****8080"),
        ("0108080808", "010****0808"),
        ("12345678", "********"),
        ("1", "*"),
        ("", ""),
    ],
)
def test_a_number_keeps_its_ends_if_they_are_not_most_of_it(number, shown):
    assert redact.mask_number(number) == shown


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("139-1234-56789", "139****6789"),
        ("+86 (139) 1234 5678 9", "+86****78 9"),
        ("139123", "******"),
        ("139 1234 5678 张三", "16 characters, others than 0 to 9 among them"),
        ("您的验证码是 8842", "11 characters, others than 0 to 9 among them"),
        ("１３９１２３４５６７８", "11 characters, others than 0 to 9 among them"),
    ],
)
def test_of_what_is_no_number_nothing_is_shown(written, shown):
    """Where a wrong column was taken, the ends of a text may be its code, or somebody's name."""
    assert redact.shown_instead(written) == shown


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("to 13800138000, 13912345678;", "to 138****8000, 139****5678;"),
        ("+8613800138000", "+86138****8000"),
        ("008613800138000", "0086138****8000"),
        ("mobile=13800138000%3B13912345678", "mobile=138****8000%3B139****5678"),
        ("mobile=%2013800138000%2C13912345678", "mobile=%20138****8000%2C139****5678"),
        ("075580808080 busy", "075****8080 busy"),
        ("码13800138000码", "码138****8000码"),
    ],
)
def test_numbers_inside_a_text_are_masked(said, shown):
    assert redact.mask_numbers(said) == shown


@pytest.mark.parametrize("said", ["20261224003000", "138001380001", "12800138000", "id 6408676", "1.5 s", ""])
def test_other_digits_stay(said):
    assert redact.mask_numbers(said) == said


@given(st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True), st.text(st.characters(exclude_categories=["Nd"])))
def test_no_number_survives_between_other_characters(number, around):
    assert number not in redact.mask_numbers(f"{around}{number}{around}")


def test_each_form_in_which_a_password_travels():
    secret = "Pä ss/&<密>+'"
    forms = redact.secret_forms(secret)
    for charset in ("utf-8", "gb18030"):
        raw = secret.encode(charset)
        digest = hashlib.md5(raw, usedforsecurity=False).hexdigest()
        for form in (
            secret,
            quote(raw, safe=""),
            quote(raw),
            quote_plus(raw),
            quote(quote(raw, safe=""), safe=""),
            quote(quote_plus(raw), safe=""),
            digest,
            digest.upper(),
            base64.b64encode(raw).decode(),
        ):
            assert form in forms
    for form in (escape(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1]):
        assert form in forms
    assert len(forms) == len(set(forms))


def test_escapes_may_be_written_in_lower_case_the_letters_beside_them_stay():
    assert "Geheim%e5%af%86" in redact.secret_forms("Geheim密")
    assert "Geheim%c3%dc" in redact.secret_forms("Geheim密")


def test_an_empty_secret_masks_nothing():
    assert redact.secret_forms("") == ()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_form_is_empty(secret):
    assert all(redact.secret_forms(secret))
