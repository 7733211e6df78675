from __future__ import annotations

import copy
import pickle

import pytest

from airflow_provider_sms import errors

#: What a scheduler must not repeat, and what it may.
TERMINAL = {
    "PreflightError",
    "VendorRejected",
    "AuthenticationFailed",
    "InsufficientBalance",
    "ContentRejected",
    "NotAllowed",
    "NotSupported",
    "SubmitUnknown",
}
TRANSIENT = {
    "SmsError",
    "VendorBusy",
    "VendorUnreachable",
    "SubmitNotSent",
    "WireFormatError",
    "QueueBusy",
    "StoreUnavailable",
}

CLASSES = {
    name: found
    for name, found in vars(errors).items()
    if isinstance(found, type) and issubclass(found, errors.SmsError)
}


def test_every_error_is_terminal_or_transient_on_purpose():
    """A new error has to be put on one of the two lists."""
    assert {name for name, found in CLASSES.items() if found.terminal} == TERMINAL
    assert {name for name, found in CLASSES.items() if not found.terminal} == TRANSIENT


def test_the_tree_in_the_docstring_is_the_tree():
    tree = errors.__doc__ or ""
    assert {name for name in CLASSES if f" {name} " in f" {tree} ".replace("\n", " ")} == set(CLASSES)
    for name in (
        "AuthenticationFailed",
        "InsufficientBalance",
        "ContentRejected",
        "NotAllowed",
        "NotSupported",
    ):
        assert issubclass(CLASSES[name], errors.VendorRejected)


def test_a_preflight_error_lists_every_problem():
    error = errors.PreflightError(["one is wrong", "two is wrong"], "connection 'a'")
    assert str(error) == (
        "connection 'a': 2 problems; nothing was sent or read:\n  - one is wrong\n  - two is wrong"
    )
    assert error.problems == ("one is wrong", "two is wrong")
    assert str(errors.PreflightError(["x"])).startswith("1 problem; ")


@pytest.mark.parametrize(
    "error",
    [
        errors.PreflightError(["one", "two"], "connection 'a'"),
        errors.VendorRejected("no", "-9"),
        errors.ContentRejected("no", "-3", ["发票"]),
        errors.VendorBusy("later", "-99", 30.0),
        errors.SubmitUnknown("who knows", misdirected=True, retry_after=7.0),
        errors.QueueBusy("taken", "host:1"),
        errors.VendorRejected(code="-9"),
        errors.ContentRejected(words=["发票"]),
        errors.VendorBusy(retry_after=3),
        errors.SubmitUnknown(misdirected=True),
        errors.QueueBusy(owner="host:1"),
    ],
)
@pytest.mark.parametrize("through", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy])  # noqa: S301
def test_an_error_comes_out_of_a_pickle_as_it_went_in(error, through):
    """Schedulers and process pools carry errors from one process to another."""
    again = through(error)
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


@pytest.mark.parametrize("name", sorted(CLASSES.keys() - {"PreflightError"}))
def test_an_error_may_be_raised_without_a_message(name):
    """As a test of one's own DAG does that has a hook raise it."""
    assert str(CLASSES[name]()) == ""


def test_words_stay_out_of_the_errors_text():
    error = errors.ContentRejected("the text holds a forbidden word", "-3", ["发票"])
    assert error.words == ("发票",)
    assert "发票" not in f"{error}{error!r}"
