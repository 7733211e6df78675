"""What each failure proves about the request."""

from __future__ import annotations

import errno
import inspect
import socket
import ssl

import httpcore
import httpx
import pytest

from airflow_provider_sms.errors import SmsError
from airflow_provider_sms.transport import failures
from airflow_provider_sms.transport.call import Call
from airflow_provider_sms.transport.failures import (
    NoAnswer,
    RedirectRefused,
    cut_short,
    no_answer,
    surely_not_sent,
)

CANARY = "http://host/path?pwd=canary-7f3a"

#: Written by hand, not derived from the code: these, and no others, come before the request.
BEFORE_THE_REQUEST = {
    "ConnectError",
    "ConnectTimeout",
    "InvalidURL",
    "PoolTimeout",
    "ProxyError",
    "UnsupportedProtocol",
}


def _exceptions(module):
    return [
        kind
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, BaseException) and kind.__module__.split(".")[0] == module.__name__
    ]


EVERY = [*_exceptions(httpx), *_exceptions(httpcore)]


def _make(kind, text=""):
    error = kind.__new__(kind)
    error.args = (text,)
    return error


def _call(*, touched, ended=False):
    return Call(30.0, touched=touched, ended=ended)


def test_introspection_finds_the_libraries_exceptions():
    """The tests below do not pass because nothing was found."""
    assert len(_exceptions(httpx)) >= 28
    assert len(_exceptions(httpcore)) >= 15


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_exception_of_the_libraries_is_classified_by_name(kind):
    """A new version's new exception fails this test until somebody has thought about it."""
    assert kind.__name__ in failures.NOT_SENT | failures.UNKNOWN


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_only_what_comes_before_the_request_is_surely_not_sent(kind):
    assert surely_not_sent(_make(kind)) is (kind.__name__ in BEFORE_THE_REQUEST)


def test_no_failure_is_in_both_classes():
    assert failures.NOT_SENT.isdisjoint(failures.UNKNOWN)
    assert failures.NOT_SENT == BEFORE_THE_REQUEST


@pytest.mark.parametrize(
    "base", [Exception, RuntimeError, OSError, httpx.TransportError, httpcore.NetworkError]
)
def test_something_new_is_unknown(base):
    """What nobody has classified never counts as "not sent" once bytes are out."""
    kind = type("Brandnew", (base,), {"__module__": "httpx"})
    failure = no_answer(_make(kind), _call(touched=True))
    assert failure.surely_not_sent is False


def test_a_name_alone_proves_nothing():
    """Another library's ConnectError may come at any time."""
    kind = type("ConnectError", (Exception,), {"__module__": "elsewhere"})
    assert surely_not_sent(kind()) is False


def test_a_new_kind_of_connect_error_is_still_one():
    kind = type("ConnectErrorOnTuesdays", (httpcore.ConnectError,), {"__module__": "httpcore._later"})
    assert surely_not_sent(_make(kind)) is True


@pytest.mark.parametrize("kind", [*EVERY, ValueError, RuntimeError, OSError], ids=lambda kind: kind.__name__)
def test_nothing_is_sent_before_a_connection_was_touched(kind):
    """No byte handed to a connection is a proof, whatever the exception."""
    assert no_answer(_make(kind), _call(touched=False)).surely_not_sent is True


@pytest.mark.parametrize("touched", [False, True])
@pytest.mark.parametrize("kind", [*EVERY, ValueError, RuntimeError], ids=lambda kind: kind.__name__)
def test_the_reason_holds_nothing_of_the_exception_text(kind, touched):
    failure = no_answer(_make(kind, CANARY), _call(touched=touched))
    assert "canary" not in str(failure)
    assert "host/path" not in failure.reason
    assert failure.reason
    assert "canary" not in cut_short(_make(kind, CANARY), _call(touched=True), 5)


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, CANARY), "connection refused"),
        (socket.gaierror(-2, CANARY), "the host name could not be resolved"),
        (ssl.SSLCertVerificationError(1, CANARY), "TLS certificate not accepted"),
        (ssl.SSLError(1, CANARY), "no TLS connection: the two sides could not agree"),
        (OSError(errno.EHOSTUNREACH, CANARY), "no connection: No route to host"),
        (OSError(CANARY), "no connection"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
@pytest.mark.parametrize("library", [httpcore, httpx])
def test_a_failed_connection_says_why(library, cause, words):
    """The cause: httpcore keeps the cause as an argument, httpx as the cause of the cause."""
    error = library.ConnectError(cause if library is httpcore else CANARY)
    if library is httpx:
        error.__cause__ = httpcore.ConnectError(cause)
    failure = no_answer(error, _call(touched=False))
    assert (failure.reason, failure.surely_not_sent) == (words, True)


@pytest.mark.parametrize(
    ("kind", "ended", "words"),
    [
        ("ConnectTimeout", False, "no connection within 30 s"),
        ("ReadTimeout", False, "no answer within 30 s"),
        ("WriteTimeout", False, "no answer within 30 s"),
        ("ReadError", False, "the connection was reset before an answer"),
        ("WriteError", False, "the connection was reset before an answer"),
        ("RemoteProtocolError", True, "the connection was closed before an answer"),
        ("RemoteProtocolError", False, "the answer is not HTTP"),
        ("ProxyError", False, "the proxy refused to connect to the vendor"),
        ("LocalProtocolError", False, "the exchange failed (LocalProtocolError)"),
    ],
)
def test_each_failure_has_words_that_people_understand(kind, ended, words):
    for library in (httpx, httpcore):
        assert no_answer(_make(getattr(library, kind)), _call(touched=True, ended=ended)).reason == words


def test_both_are_errors_of_this_package():
    assert issubclass(RedirectRefused, NoAnswer)
    assert issubclass(NoAnswer, SmsError)


def test_a_refused_redirect_does_not_prove_that_nothing_was_sent():
    """A host may do the work and then redirect to a page that says so."""
    assert RedirectRefused("why", host="new.example.com").surely_not_sent is False
