"""What a task's log shows of an error that a retry cannot mend."""

from __future__ import annotations

import traceback

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_sms.errors import PreflightError, VendorBusy
from airflow_provider_sms.hooks.verdict import failing_for_good


def fail(error, cause=None):
    with failing_for_good():
        raise error from cause


def test_one_sentence_is_told_once():
    """By one traceback; a second one would say it again."""
    with pytest.raises(AirflowFailException) as caught:
        fail(PreflightError(["the text is empty"], "task 'send'"))
    assert "".join(traceback.format_exception(caught.value)).count("PreflightError: task 'send'") == 1


def test_what_an_error_was_made_of_is_kept():
    with pytest.raises(AirflowFailException) as caught:
        fail(PreflightError(["it cannot be read"]), ZeroDivisionError("ours"))
    assert "ZeroDivisionError: ours" in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("error", [VendorBusy("later"), ZeroDivisionError("ours")])
def test_what_a_retry_may_mend_and_our_own_mistakes_go_on_as_they_are(error):
    with pytest.raises(type(error)) as caught:
        fail(error)
    assert caught.value is error
