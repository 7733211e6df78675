"""What becomes of a submit that goes wrong: surely not sent is tried again, unknown never is."""

from __future__ import annotations

import socket
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from airflow_provider_sms import errors
from airflow_provider_sms.records import DeliveryStatus, Report
from airflow_provider_sms.sandbox import Fault, Sandbox
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.landing import Landing
from airflow_provider_sms.store.ledger import Ledger
from airflow_provider_sms.vendors.accounts import check_account
from airflow_provider_sms.vendors.registry import vendor_named

EACH_VENDOR = pytest.mark.parametrize("vendor", ["beidoutong", "wavecom", "linkws", "smsadmin"])
TEXT = "您好【公司】"


@EACH_VENDOR
def test_a_refused_connection_is_tried_again_with_growing_pauses(
    sandbox, gateway_of, send_to, numbers, naps, batch_states, vendor
):
    """Surely not sent: within the task a few times, then the task's own retry sends it."""
    with (
        Sandbox.closed_port() as port,
        pytest.raises(errors.SubmitNotSent, match="connection refused") as caught,
    ):
        send_to(gateway_of(vendor, port=port), numbers(3), TEXT)
    assert not caught.value.terminal
    assert "3 not sent" in str(caught.value)
    assert f"sms_{vendor}" in str(caught.value)
    pauses = [nap for nap in naps.taken if nap > 0.5]
    assert len(pauses) == 2
    assert pauses == sorted(pauses)
    assert batch_states() == ["not_sent"]
    assert send_to(gateway_of(vendor), numbers(3), TEXT)["accepted"] == 3
    assert sandbox.count_messages(vendor) == 3


@pytest.mark.parametrize("vendor", ["beidoutong", "wavecom"])
def test_a_busy_vendor_is_asked_again(sandbox, gateway_of, send_to, numbers, naps, vendor):
    """Its "later" is a no for now: nothing was taken, so trying again harms nobody."""
    sandbox.faults.add(Fault("busy", operation="send", times=2))
    assert send_to(gateway_of(vendor), numbers(3), TEXT)["accepted"] == 3
    assert len([nap for nap in naps.taken if nap > 0.5]) == 2
    assert sandbox.accepted_more_than_once() == {}


@pytest.mark.parametrize("vendor", ["beidoutong", "wavecom"])
def test_a_vendor_that_stays_busy_is_left_to_the_tasks_retry(sandbox, gateway_of, send_to, numbers, vendor):
    """After a few tries; the error says that nothing was sent."""
    sandbox.faults.add(Fault("busy", operation="send", times=None))
    with pytest.raises(errors.SubmitNotSent, match="3 not sent") as caught:
        send_to(gateway_of(vendor), numbers(3), TEXT)
    assert not caught.value.terminal
    sandbox.faults.clear()
    assert send_to(gateway_of(vendor), numbers(3), TEXT)["accepted"] == 3


@EACH_VENDOR
def test_a_terminal_no_stops_the_batches_behind_it(
    sandbox, gateway_of, send_to, numbers, batch_states, vendor
):
    """A wrong password will not get better with the next batch: one call, one error, nothing sent."""
    gateway = gateway_of(vendor, max_in_flight=1, password="wrong-password")
    with pytest.raises(errors.VendorRejected) as caught:
        send_to(gateway, numbers(2500), TEXT)
    assert caught.value.terminal
    assert f"sms_{vendor}" in str(caught.value)
    assert "0 accepted" in str(caught.value)
    assert sandbox.calls.count(vendor, "send") == 1
    assert sandbox.count_messages(vendor) == 0
    # Mended, the same send goes out whole.
    assert send_to(gateway_of(vendor), numbers(2500), TEXT)["accepted"] == 2500
    assert set(batch_states()) == {"accepted"}


@pytest.mark.parametrize("vendor", ["beidoutong", "wavecom"])
def test_a_retry_sends_only_the_rest(sandbox, gateway_of, send_to, numbers, vendor):
    """What was accepted is not sent again, what surely was not is."""
    gateway = gateway_of(vendor, max_in_flight=1)
    sandbox.faults.add(Fault("refuse", operation="send", vendor=vendor, after=1, seconds=3))
    with pytest.raises(errors.SubmitNotSent):
        send_to(gateway, numbers(1234), TEXT)
    first = sandbox.count_messages(vendor)
    assert 0 < first < 1234
    _wait_until_open(sandbox)
    assert send_to(gateway, numbers(1234), TEXT)["accepted"] == 1234
    assert sorted(message.mobile for message in sandbox.messages(vendor)) == numbers(1234)


def _wait_until_open(sandbox):
    for _ in range(500):
        try:
            socket.create_connection((sandbox.host, sandbox.port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    pytest.fail("the sandbox stayed closed")


def test_fewer_accepted_than_given_counts_as_rejected(sandbox, gateway_of, send_to, numbers, serve_answers):
    """Beidoutong says how many it took and not which: the counts add up, and the log says so."""
    answer = (
        "<WsSendResponse><ReturnStatus>Success</ReturnStatus><Message>ok</Message><RemainPoint>5</RemainPoint>"
        "<TaskID>77</TaskID><SuccessCounts>{}</SuccessCounts></WsSendResponse>"
    )
    del sandbox
    port = serve_answers(answer.format(2))
    result = send_to(gateway_of("beidoutong", port=port, protocol="form"), numbers(3), TEXT)
    assert (result["accepted"], result["rejected"]) == (2, 1)


def success(count, task=77):
    """Write beidoutong's yes with a count of numbers taken."""
    return (
        f"<WsSendResponse><ReturnStatus>Success</ReturnStatus><Message>ok</Message><RemainPoint>5</RemainPoint>"
        f"<TaskID>{task}</TaskID><SuccessCounts>{count}</SuccessCounts></WsSendResponse>"
    )


def test_none_accepted_is_a_no(gateway_of, send_to, numbers, serve_answers, batch_states):
    """A "Success" for nobody must not end green."""
    port = serve_answers(success(0, task=0))
    with pytest.raises(errors.VendorRejected, match="took none"):
        send_to(gateway_of("beidoutong", port=port, protocol="form"), numbers(3), TEXT)
    assert batch_states() == ["rejected"]


@pytest.mark.parametrize(("vendor", "said"), [("beidoutong", ""), ("wavecom", "0|0|0|77")])
def test_none_accepted_under_an_id_is_unknown(
    store, vendor, said, gateway_of, send_to, numbers, serve_answers, batch_states
):
    """A clear would send it again, and nobody knows whether the count or the id is right: its reports do."""
    port = serve_answers(said or success(0))
    protocol = {"protocol": "form"} if vendor == "beidoutong" else {}
    with pytest.raises(errors.SubmitUnknown, match="took none"):
        send_to(gateway_of(vendor, port=port, **protocol), numbers(3), TEXT)
    assert batch_states() == ["unknown"]
    report = Report("77", numbers(3)[1], DeliveryStatus.DELIVERED, "", "", "", datetime.now(UTC))
    page_id = Journal(store).begin(f"sms_{vendor}", vendor, "reports", "reader")
    Journal(store).keep(page_id, b"raw")
    Landing(store).land(page_id, f"sms_{vendor}", vendor, "reports", [report])
    assert [number for _, number in Ledger(store).settle_by_reports()] == [1]
    assert batch_states() == ["accepted"]


def test_a_count_that_is_none_makes_no_no_of_a_yes(gateway_of, send_to, numbers, serve_answers, batch_states):
    """The vendor took the send and gave it an id: a no would be submitted again, to people who have it."""
    port = serve_answers(success(-1))
    assert send_to(gateway_of("beidoutong", port=port, protocol="form"), numbers(3), TEXT)["accepted"] == 3
    assert batch_states() == ["accepted"]


@pytest.mark.parametrize(("task", "count"), [(77, 0), (0, 2)])
def test_a_no_that_took_some_is_not_submitted_again(
    sandbox, gateway_of, send_to, numbers, serve_answers, rows, task, count, batch_states
):
    """A "busy" with a task id or a count may have gone out in part: it is unknown, and stays so."""
    del sandbox
    answer = (
        f"<WsSendResponse><ReturnStatus>Faild</ReturnStatus><Message>系统忙</Message><RemainPoint>5</RemainPoint>"
        f"<TaskID>{task}</TaskID><SuccessCounts>{count}</SuccessCounts></WsSendResponse>"
    )
    port = serve_answers(answer)
    for _ in range(2):
        with pytest.raises(errors.SubmitUnknown):
            send_to(gateway_of("beidoutong", port=port, protocol="form"), numbers(3), TEXT)
    assert batch_states() == ["unknown"]
    assert rows("SELECT attempts FROM sms_batches") == [1]


def test_one_refused_text_of_many_does_not_stop_the_others(
    sandbox, gateway_of, send_to, numbers, batch_states
):
    """In a template send each text is judged by itself; the error names what is left."""
    first, second, third = numbers(3)
    people = [
        {"mobile": first, "what": "好"},
        {"mobile": second, "what": "赌博"},
        {"mobile": third, "what": "早"},
    ]
    with pytest.raises(errors.ContentRejected, match="2 accepted, 1 rejected") as caught:
        send_to(gateway_of("wavecom", max_in_flight=1), people, template="您{what}")
    assert "赌博" not in str(caught.value)
    assert "the plan stands, because people may have read it" in str(caught.value)
    assert batch_states() == ["accepted", "rejected", "accepted"]
    assert sandbox.count_messages("wavecom") == 2


def test_one_refused_text_of_many_costs_the_others_no_retry(sandbox, gateway_of, send_to, numbers, task):
    """What surely was not sent is sent by Airflow's retry; only then the refusal is the error."""
    people = [
        {"mobile": number, "what": what}
        for number, what in zip(numbers(3), ["赌博", "好", "早"], strict=True)
    ]
    gateway = gateway_of("wavecom", max_in_flight=1)
    sandbox.faults.add(Fault("busy", operation="send", after=2, times=None))
    with pytest.raises(errors.SubmitNotSent, match="1 accepted, 1 rejected, 0 unknown, 1 not sent") as caught:
        send_to(gateway, people, template="您{what}【公司】", origin=task)
    assert not caught.value.terminal
    sandbox.faults.clear()
    with pytest.raises(errors.ContentRejected, match="2 accepted, 1 rejected"):
        send_to(gateway, people, template="您{what}【公司】", origin=task)


def test_a_no_to_all_ends_the_task_behind_a_refused_text(sandbox, gateway_of, send_to, numbers, task):
    """The balance is gone: a retry cannot mend that, and it is what the error has to say."""
    people = [
        {"mobile": number, "what": what}
        for number, what in zip(numbers(3), ["赌博", "好", "早"], strict=True)
    ]
    sandbox.account("wavecom").balance = 1
    with pytest.raises(errors.InsufficientBalance, match="After that is mended, clear the task"):
        send_to(gateway_of("wavecom", max_in_flight=1), people, template="您{what}【公司】", origin=task)


@EACH_VENDOR
def test_a_web_page_in_place_of_the_vendor_ends_the_pass(
    sandbox, gateway_of, send_to, numbers, batch_states, vendor
):
    """A login page answers everything: what was in flight is unknown, the rest is surely not sent."""
    sandbox.faults.add(Fault("html", operation="send", times=None))
    with pytest.raises(errors.SmsError) as caught:
        send_to(gateway_of(vendor, max_in_flight=2), numbers(5000), TEXT)
    assert f"sms_{vendor}" in str(caught.value)
    assert sandbox.calls.count(vendor, "send") <= 2
    assert batch_states().count("unknown") <= 2


def test_a_wsdl_that_cannot_be_read_sends_nothing(sandbox, gateway_of, send_to, numbers, batch_states):
    """Only the service's description was asked for: the batch is surely not sent, not unknown."""
    for fault in (
        Fault("status", operation="wsdl", status=500, times=None),
        Fault("garbage", operation="wsdl", times=None),
        Fault("reset_before", operation="wsdl", times=None),
    ):
        sandbox.faults.clear()
        sandbox.faults.add(fault)
        with pytest.raises(errors.SmsError) as caught:
            send_to(gateway_of("beidoutong", wsdl="fetch"), numbers(3), TEXT, send_key="wsdl")
        assert not isinstance(caught.value, errors.SubmitUnknown)
        assert "sms_beidoutong" in str(caught.value)
        assert batch_states() == ["not_sent"]
    sandbox.faults.clear()
    assert send_to(gateway_of("beidoutong", wsdl="fetch"), numbers(3), TEXT, send_key="wsdl")["accepted"] == 3


def test_answers_are_written_down_while_the_flow_waits(sandbox, gateway_of, send_to, numbers, batch_states):
    """A pause before the next submit must not hold back the outcome of the last one."""
    sandbox.faults.add(Fault("busy", operation="send"), Fault("slow", operation="send", seconds=0.3))
    seen = []

    def sleep(seconds):
        if seconds > 0.5:
            seen.append(batch_states())

    gateway = gateway_of("wavecom", max_in_flight=2, requests_per_second=50)
    assert send_to(gateway, numbers(200), TEXT, sleep=sleep)["accepted"] == 200
    assert all("submitting" not in before for before in seen)


def test_a_time_that_passed_since_the_first_try_is_left_out(
    gateway_of, send_to, numbers, store, batch_states, task
):
    """What was to go out at eight and could not goes out when it can; a past time would be refused."""
    soon = datetime.now(UTC) + timedelta(hours=1)
    with Sandbox.closed_port() as port, pytest.raises(errors.SubmitNotSent):
        send_to(gateway_of("linkws", port=port), numbers(3), TEXT, send_at=soon, origin=task)
    with store.begin() as connection:
        connection.execute(text("UPDATE sms_batches SET send_at = '2020-01-01 00:00:00.000000'"))
    then = datetime(2020, 1, 1, tzinfo=UTC)
    assert send_to(gateway_of("linkws"), numbers(3), TEXT, send_at=then, origin=task)["accepted"] == 3
    assert batch_states() == ["accepted"]


@pytest.mark.parametrize(
    ("vendor", "spoil", "says"),
    [
        ("beidoutong", {"extra": {}}, "extra field 'userid' is empty"),
        ("wavecom", {"extra": {"time_out": 3}}, "extra has unknown fields 'time_out'"),
        ("linkws", {"login": ""}, "login is empty"),
        ("smsadmin", {"password": ""}, "password is empty"),
        ("smsadmin", {"host": ""}, "host is empty"),
    ],
)
def test_a_connection_with_a_mistake_is_one_error_that_names_it(sandbox, vendor, spoil, says):
    """Before any socket opens."""
    connection = sandbox.connection(vendor) | spoil
    fields = {name: connection[name] for name in ("host", "port", "schema", "login", "password", "extra")}
    with pytest.raises(errors.PreflightError, match=says) as caught:
        check_account(vendor_named(vendor), "sms_shop", **fields)
    assert "sms_shop" in str(caught.value)
    assert sandbox.calls.count() == 0


def test_the_batches_behind_one_that_met_a_full_server_wait_as_long_as_it_asked(
    sandbox, gateway_of, send_to, numbers, batch_states, naps
):
    """What the server may have taken is left alone; nothing else is sent to it before its time."""
    sandbox.faults.add(Fault("status", operation="send", status=429, retry_after=7))
    with pytest.raises(errors.SubmitUnknown):
        send_to(gateway_of("wavecom", max_in_flight=1), numbers(300), TEXT)
    assert batch_states() == ["unknown", "accepted", "accepted"]
    assert 6 < max(naps.taken) <= 7


def test_a_wait_that_is_too_long_for_a_task_is_left_to_airflow(
    sandbox, gateway_of, send_to, numbers, batch_states
):
    """The rest surely was not sent, so that a retry gets it."""
    sandbox.faults.add(Fault("status", operation="send", status=503, retry_after=600))
    with pytest.raises(errors.SubmitNotSent, match="100 unknown, 200 not sent"):
        send_to(gateway_of("wavecom", max_in_flight=1), numbers(300), TEXT)
    assert batch_states() == ["unknown", "prepared", "prepared"]
