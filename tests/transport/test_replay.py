"""The transport for tests, ours and others'."""

from __future__ import annotations

import inspect

import pytest

from airflow_provider_sms.transport import Transport
from airflow_provider_sms.transport.failures import NoAnswer
from airflow_provider_sms.transport.http import HttpTransport
from airflow_provider_sms.transport.replay import ReplayTransport
from airflow_provider_sms.wire import WireRequest, WireResponse

ASK = WireRequest("GET", "/balance", "a=1")


def test_answers_come_in_the_order_of_the_script():
    """Bytes are the body of a whole 200, responses come as they are, exceptions are raised."""
    cut = WireResponse(200, b"4", complete=False, problem="cut")
    lost = NoAnswer("reset", surely_not_sent=False)
    transport: Transport = ReplayTransport({("GET", "/balance"): [b"41", cut, lost]})
    assert transport.exchange(ASK) == WireResponse(200, b"41")
    assert transport.exchange(ASK) is cut
    with pytest.raises(NoAnswer) as raised:
        transport.exchange(ASK)
    assert raised.value is lost
    transport.close()


def test_every_request_is_remembered_with_how_it_was_sent():
    transport = ReplayTransport({("GET", "/balance"): [b"1"], ("POST", "/send"): [b"0"]})
    send = WireRequest("POST", "/send", body=b"x")
    transport.exchange(ASK)
    transport.exchange(send, fresh=True, deadline=2.0, max_bytes=10)
    assert transport.requests == [ASK, send]
    assert transport.fresh == [False, True]


@pytest.mark.parametrize("key", [("GET", "/balance"), ("POST", "/elsewhere")])
def test_a_request_beyond_the_script_is_an_error_of_the_test(key):
    """It names method and path, never the query, and is not mistaken for a failure of the network."""
    transport = ReplayTransport({("GET", "/balance"): []})
    with pytest.raises(LookupError, match=f"no answer left for {key[0]} {key[1]}$"):
        transport.exchange(WireRequest(*key, "pwd=canary"))


@pytest.mark.parametrize("name", ["exchange", "close"])
def test_all_transports_have_the_same_signatures(name):
    expected = inspect.signature(getattr(Transport, name))
    for kind in (HttpTransport, ReplayTransport):
        assert inspect.signature(getattr(kind, name)) == expected
