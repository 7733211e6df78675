"""Submits of which nobody can tell whether they were accepted: none is repeated on its own."""

from __future__ import annotations

import pytest

from airflow_provider_sms import errors
from airflow_provider_sms.sandbox import Fault, Sandbox

EACH_VENDOR = pytest.mark.parametrize("vendor", ["beidoutong", "wavecom", "linkws", "smsadmin"])
TEXT = "您好【公司】"
#: Faults of a submit after which nobody can tell whether it was accepted; the vendor did accept it or not.
UNKNOWN = [
    pytest.param(Fault("reset_before", operation="send"), 0, id="reset-before-acceptance"),
    pytest.param(Fault("reset_after", operation="send"), 1, id="reset-after-acceptance"),
    pytest.param(Fault("status", operation="send", status=500, accepted=True), 1, id="500-after-acceptance"),
    pytest.param(Fault("status", operation="send", status=502), 0, id="502-before-acceptance"),
    pytest.param(Fault("cut", operation="send", at=0.5), 1, id="cut-answer"),
    pytest.param(Fault("cut", operation="send", at=0.5, framing="chunked"), 1, id="cut-chunked-answer"),
    pytest.param(Fault("cut", operation="send", at=0), 1, id="no-byte-of-the-body"),
    pytest.param(Fault("slow", operation="send", seconds=3), 1, id="slow-answer"),
    pytest.param(Fault("drip", operation="send", seconds=0.2), 1, id="dripping-answer"),
    pytest.param(Fault("garbage", operation="send", accepted=True), 1, id="garbage"),
    pytest.param(Fault("empty", operation="send", accepted=True), 1, id="empty-answer"),
    pytest.param(Fault("html", operation="send"), 0, id="web-page"),
    pytest.param(Fault("redirect", operation="send"), 0, id="redirect"),
    pytest.param(Fault("status", operation="send", status=404), 0, id="404"),
]


@EACH_VENDOR
@pytest.mark.parametrize(("fault", "accepted"), UNKNOWN)
def test_an_unknown_outcome_is_never_repeated_on_its_own(
    sandbox, gateway_of, send_to, numbers, batch_states, task, vendor, fault, accepted
):
    """One error that counts it and says what to do; a retry of the task submits nothing."""
    sandbox.faults.add(fault)
    gateway = gateway_of(vendor, timeout=1)
    for _ in range(3):
        with pytest.raises(errors.SubmitUnknown) as caught:
            send_to(gateway, numbers(3), TEXT, origin=task)
        assert caught.value.terminal
        assert "0 accepted, 0 rejected, 3 unknown, 0 not sent" in str(caught.value)
        assert "on_unknown" in str(caught.value)
        assert "airflow sms settle 'test-send'" in str(caught.value)
    assert batch_states() == ["unknown"]
    assert sandbox.calls.count(vendor, "send") == 1
    assert sandbox.count_messages(vendor) == 3 * accepted


@EACH_VENDOR
def test_unknown_can_be_ignored(sandbox, gateway_of, send_to, numbers, vendor):
    """With ``ignore`` the task goes on; the count still says so, and nothing is sent again."""
    sandbox.faults.add(Fault("reset_after", operation="send"))
    gateway = gateway_of(vendor)
    for _ in range(2):
        result = send_to(gateway, numbers(3), TEXT, on_unknown="ignore")
        assert (result["accepted"], result["unknown"]) == (0, 3)
    assert sandbox.calls.count(vendor, "send") == 1


@EACH_VENDOR
def test_unknown_can_be_sent_again_on_purpose(
    sandbox, gateway_of, send_to, numbers, rows, vendor, batch_states
):
    """With ``resend``, and with a reference of its own for the second submit."""
    sandbox.faults.add(Fault("reset_before", operation="send"))
    gateway = gateway_of(vendor)
    with pytest.raises(errors.SubmitUnknown):
        send_to(gateway, numbers(3), TEXT)
    result = send_to(gateway, numbers(3), TEXT, on_unknown="resend")
    assert (result["accepted"], result["unknown"]) == (3, 0)
    assert batch_states() == ["accepted"]
    references = rows("SELECT vendor_message_id FROM sms_batch_ids WHERE kind = 'reference'")
    assert len(set(references)) == 2
    assert sandbox.accepted_more_than_once() == {}


def _refused(gateway_of, vendor, sandbox):
    """Make a second submit that surely comes to nothing: no connection."""
    del sandbox
    with Sandbox.closed_port() as port:
        return gateway_of(vendor, port=port)


def _denied(gateway_of, vendor, sandbox):
    """Make a second submit that the vendor refuses."""
    del sandbox
    return gateway_of(vendor, password="wrong-password")


def _busy(gateway_of, vendor, sandbox):
    """Make a second submit that is put off."""
    sandbox.faults.add(Fault("busy", operation="send", times=None))
    return gateway_of(vendor)


@pytest.mark.parametrize("second", [_refused, _denied, _busy])
@pytest.mark.parametrize("vendor", ["beidoutong", "wavecom"])
def test_a_second_submit_that_came_to_nothing_leaves_the_first_in_doubt(
    sandbox, gateway_of, send_to, numbers, rows, task, vendor, second, batch_states
):
    """The first was accepted: no later run may take it for unsent, whatever became of ``resend``."""
    sandbox.faults.add(Fault("reset_after", operation="send"))
    with pytest.raises(errors.SubmitUnknown):
        send_to(gateway_of(vendor), numbers(3), TEXT, origin=task)
    with pytest.raises(errors.SmsError, match="3 unknown, 0 not sent"):
        send_to(second(gateway_of, vendor, sandbox), numbers(3), TEXT, origin=task, on_unknown="resend")
    assert batch_states() == ["unknown"]
    assert "an earlier submit may have been accepted" in rows("SELECT error FROM sms_batches")[0]
    sandbox.faults.clear()
    with pytest.raises(errors.SubmitUnknown):
        send_to(gateway_of(vendor), numbers(3), TEXT, origin=task)
    assert sandbox.accepted_more_than_once() == {}


def test_a_report_on_the_first_submit_settles_it_after_a_second_came_to_nothing(
    sandbox, gateway_of, send_to, collect, numbers, batch_states, task
):
    """Its linkid is kept, and the next run sends nothing."""
    sandbox.faults.add(Fault("reset_after", operation="send"))
    with pytest.raises(errors.SubmitUnknown):
        send_to(gateway_of("smsadmin"), numbers(3), TEXT, origin=task)
    with pytest.raises(errors.SmsError):
        send_to(_refused(gateway_of, "smsadmin", sandbox), numbers(3), TEXT, origin=task, on_unknown="resend")
    assert collect(gateway_of("smsadmin")).records == 3
    assert batch_states() == ["accepted"]
    assert send_to(gateway_of("smsadmin"), numbers(3), TEXT, origin=task)["accepted"] == 3
    assert sandbox.count_messages("smsadmin") == 3


@EACH_VENDOR
def test_resend_submits_what_was_unknown_once(sandbox, gateway_of, send_to, numbers, batch_states, vendor):
    """What becomes unknown again, or for the first time, is not repeated within the run."""
    sandbox.faults.add(Fault("reset_before", operation="send", times=None))
    gateway = gateway_of(vendor)
    for calls in (1, 2):
        with pytest.raises(errors.SubmitUnknown):
            send_to(gateway, numbers(3), TEXT, on_unknown="resend")
        assert sandbox.calls.count(vendor, "send") == calls
    assert batch_states() == ["unknown"]


@pytest.mark.parametrize("on_unknown", ["fail", "ignore", "resend"])
def test_three_unknowns_in_a_row_end_the_pass(
    sandbox, gateway_of, send_to, numbers, batch_states, on_unknown
):
    """Whatever is to become of them: the rest stays unsent, and Airflow's retry gets it."""
    sandbox.faults.add(Fault("reset_before", operation="send", times=None))
    with pytest.raises(errors.SubmitNotSent, match="A retry sends what was not sent"):
        send_to(gateway_of("wavecom", max_in_flight=1), numbers(1000), TEXT, on_unknown=on_unknown)
    # A fourth may have been handed to the lane when the third answer came.
    assert 3 <= batch_states().count("unknown") <= 4
    assert batch_states().count("unknown") == sandbox.calls.count("wavecom", "send")
