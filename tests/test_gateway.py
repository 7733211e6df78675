"""What a web server's answer to a submit means, be it the vendor's own or somebody's on the way."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_sms import errors
from airflow_provider_sms.gateway import Gateway
from airflow_provider_sms.records import Queue, Submission
from airflow_provider_sms.vendors.accounts import check_account
from airflow_provider_sms.vendors.registry import vendor_named
from airflow_provider_sms.wire import WireResponse

SUBMISSION = Submission(("13800138000",), "您好【公司】")
BUSY = (
    "<WsSendResponse><ReturnStatus>Faild</ReturnStatus><Message>系统忙</Message>"
    "<TaskID>0</TaskID><SuccessCounts>0</SuccessCounts></WsSendResponse>"
)


TAKEN = (
    "<WsSendResponse><ReturnStatus>Success</ReturnStatus><Message>ok</Message>"
    "<TaskID>7</TaskID><SuccessCounts>1</SuccessCounts></WsSendResponse>"
)


class Answering:
    """A transport that gives one answer to everything."""

    def __init__(self, response: WireResponse) -> None:
        self.response = response
        self.asked: list[dict[str, Any]] = []

    def exchange(self, *_: Any, **how: Any) -> WireResponse:
        """Answer."""
        self.asked.append(how)
        return self.response

    def close(self) -> None:
        """Do nothing."""


def gateway(status: int, body: str = "", **headers: str) -> Gateway:
    """Make an account's calls that all get this answer."""
    vendor = vendor_named("beidoutong")
    fields: dict[str, Any] = {"host": "sms.example.com", "port": None, "schema": "https", "login": "uid1"}
    extra = {"userid": "1", "protocol": "form"}
    account = check_account(vendor, "sms_test", **fields, password="secret", extra=extra)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Gateway(vendor, account, Answering(WireResponse(status, body.encode(), named)))


def submitted(*answer: Any, **headers: str) -> errors.SmsError:
    """Give the error in which a submit ends."""
    with pytest.raises(errors.SmsError) as caught:
        gateway(*answer, **headers).submit(SUBMISSION)
    return caught.value


@pytest.mark.parametrize("status", [404, 405, 410])
def test_a_status_of_another_place_says_that_the_address_is_wrong(status):
    """The next batch can only end the same way."""
    error = submitted(status)
    assert isinstance(error, errors.SubmitUnknown)
    assert error.misdirected


@pytest.mark.parametrize("status", [204, 400, 401, 403, 407, 408, 409, 413, 425, 429, 451, 500, 502, 503])
def test_any_other_status_leaves_a_submit_unknown_and_the_address_alone(status):
    """It proves nothing about the submit, and correcting the address would mend nothing."""
    error = submitted(status, "<html>later</html>")
    assert isinstance(error, errors.SubmitUnknown)
    assert not error.misdirected
    assert f"HTTP {status}" in str(error)


@pytest.mark.parametrize(
    ("status", "says"), [(401, "a log-in of its own"), (403, "a firewall"), (407, "'proxy'")]
)
def test_who_is_not_let_in_is_told_by_what(status, says):
    """Of a submit and of a question alike; the connection's host and path are not to blame."""
    assert says in str(submitted(status))
    with pytest.raises(errors.WireFormatError, match=says) as caught:
        gateway(status).balance()
    assert "host and path" not in str(caught.value)


def test_a_web_page_in_place_of_the_answer_says_that_the_address_is_wrong():
    """A log-in page, a parked name."""
    error = submitted(200, "<html>log in</html>")
    assert isinstance(error, errors.SubmitUnknown)
    assert error.misdirected


@pytest.mark.parametrize("status", [429, 503])
def test_an_unknown_submit_says_how_long_the_server_wants_to_be_left_alone(status):
    """For the batches behind it; this one is not repeated."""
    error = submitted(status, retry_after="17")
    assert isinstance(error, errors.SubmitUnknown)
    assert error.retry_after == 17.0
    assert submitted(status).retry_after is None
    assert submitted(500, retry_after="17").retry_after is None


def test_a_busy_vendor_says_how_long_it_is():
    """If the web server in front of it said so."""
    error = submitted(200, BUSY, retry_after="17")
    assert isinstance(error, errors.VendorBusy)
    assert error.retry_after == 17.0
    assert submitted(200, BUSY).retry_after is None


def test_a_yes_that_was_cut_off_is_no_yes():
    """Whatever can be read of it: its ids, by which the reports find their batch, may be cut."""
    cut = gateway(200, TAKEN)
    assert cut.submit(SUBMISSION).vendor_batch_id == "7"
    cut._transport.response = WireResponse(200, TAKEN.encode(), complete=False, problem="cut")
    with pytest.raises(errors.SubmitUnknown, match="cut off"):
        cut.submit(SUBMISSION)


def test_only_a_submit_has_a_connection_of_its_own():
    """On a kept one that the vendor gave up, what was surely not sent would be unknown."""
    each = gateway(200, TAKEN)
    each.submit(SUBMISSION)
    each.read(each.prepare_read(Queue.REPORTS))
    assert each._transport.asked == [{"fresh": True}, {}]
