"""Tokens and addresses, without a server."""

from __future__ import annotations

import pytest

from airflow_provider_sms.plugin.gate import (
    admits,
    is_within,
    live_tokens,
    networks,
    source_of,
    split_query,
)


@pytest.mark.parametrize(
    ("query", "token", "rest"),
    [
        (b"", b"", b""),
        (b"token=abc", b"abc", b""),
        (b"token=abc&Class=mo&a=b", b"abc", b"Class=mo&a=b"),
        (b"Class=mo&token=abc&a=b", b"abc", b"Class=mo&a=b"),
        (b"token=abc?Class=mo&a=b", b"abc", b"Class=mo&a=b"),
        (b"token=abc&token=def", b"abc", b""),
        (b"token=&Class=mo", b"", b"Class=mo"),
        (b"token&Class=mo", b"", b"token&Class=mo"),
        (b"Token=abc", b"", b"Token=abc"),
        (b"token=a%62c", b"abc", b""),
        (b"Message=\xcd\xcb?&token=abc", b"abc", b"Message=\xcd\xcb?"),
    ],
)
def test_the_token_is_taken_out_and_the_rest_stays_as_it_came(query, token, rest):
    assert split_query(query) == (token, rest)


def test_only_long_plain_tokens_are_live():
    assert live_tokens("", "short", "x" * 19, "y" * 20, "z" * 19 + "镕", "a b" * 10) == (b"y" * 20,)


@pytest.mark.parametrize("token", [b"", b"\0" * 40, b"x" * 19, b"x" * 21, b"\xff" * 20])
def test_nothing_but_a_live_token_is_admitted(token):
    assert not admits(token, (b"x" * 20, b"y" * 20))
    assert not admits(token, ())


def test_each_live_token_is_admitted():
    assert all(admits(token, (b"x" * 20, b"y" * 20)) for token in (b"x" * 20, b"y" * 20))


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "source"),
    [
        ("192.0.2.1", [], "", "192.0.2.1"),
        ("192.0.2.1", ["203.0.113.7"], "", "192.0.2.1"),
        ("192.0.2.1", ["203.0.113.7"], "192.0.2.1", "203.0.113.7"),
        ("192.0.2.1", ["1.1.1.1, 203.0.113.7"], "192.0.2.1", "203.0.113.7"),
        ("192.0.2.1", ["1.1.1.1", "203.0.113.7, 192.0.2.2"], "192.0.2.0/24", "203.0.113.7"),
        ("192.0.2.1", ["192.0.2.9"], "192.0.2.0/24", "192.0.2.9"),
        ("", ["203.0.113.7"], "192.0.2.1", ""),
    ],
)
def test_what_a_proxy_says_counts_if_it_is_trusted(peer, forwarded, trusted, source):
    assert source_of(peer, forwarded, networks(trusted)) == source


def test_addresses_of_both_kinds():
    allowed = networks("203.0.113.0/24, 2001:db8::/32")
    assert is_within("203.0.113.7", allowed)
    assert is_within("::ffff:203.0.113.7", allowed)
    assert is_within("2001:db8::7", allowed)
    assert not any(is_within(each, allowed) for each in ("203.0.114.1", "", "nonsense", "2001:db9::1"))
