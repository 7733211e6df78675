"""A task that is tried again with another text, time or people: what nobody can have read is planned anew."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_sms import errors
from airflow_provider_sms.sandbox import Fault, Sandbox
from airflow_provider_sms.sending import SendOrder, send
from airflow_provider_sms.store.ledger import Ledger
from airflow_provider_sms.store.schema import batches

TEXT = "您好【公司】"
OTHERS = 13_900_000_000


@pytest.fixture
def partly_sent(sandbox, gateway_of, send_to, numbers, task):
    """Send to two hundred, of whom the vendor takes a hundred: ``partly_sent("text", send_at=...)``."""

    def run(content=TEXT, **order: Any):
        sandbox.faults.add(Fault("busy", operation="send", after=1, times=None))
        with pytest.raises(errors.SubmitNotSent, match="100 accepted"):
            send_to(gateway_of("wavecom", max_in_flight=1), numbers(200), content, origin=task, **order)
        sandbox.faults.clear()

    return run


def test_a_refused_text_is_mended_by_clearing_the_task(sandbox, gateway_of, send_to, numbers, task, caplog):
    """The new text goes out, to all, once; the log says that the plan was replaced."""
    gateway = gateway_of("wavecom", max_in_flight=1)
    with pytest.raises(errors.ContentRejected, match="After that is mended, clear the task"):
        send_to(gateway, numbers(200), "赌博【公司】", origin=task)
    assert send_to(gateway, numbers(200), TEXT, origin=task)["accepted"] == 200
    assert {message.content for message in sandbox.messages("wavecom")} == {TEXT}
    assert "the plan is replaced and has 200 recipients now" in caplog.text
    assert sandbox.accepted_more_than_once() == {}


def test_a_refused_word_in_one_row_is_mended_likewise(sandbox, gateway_of, send_to, numbers, task):
    """The template is the same, the values are not."""
    people = [{"mobile": number, "what": "赌博"} for number in numbers(2)]
    with pytest.raises(errors.ContentRejected):
        send_to(gateway_of("wavecom"), people, template="您{what}【公司】", origin=task)
    mended = [{"mobile": number, "what": "好"} for number in numbers(2)]
    assert send_to(gateway_of("wavecom"), mended, template="您{what}【公司】", origin=task)["accepted"] == 2
    assert {message.content for message in sandbox.messages("wavecom")} == {"您好【公司】"}


@pytest.mark.parametrize(
    "changed", [{"extno": "7"}, {"send_at": "2099-01-01 08:00:00"}, {"signature": "别家"}, {"people": 3}]
)
def test_whatever_differs_is_taken_while_nothing_was_accepted(
    sandbox, gateway_of, send_to, numbers, task, rows, changed
):
    """Time, extension, signature and people are part of what is sent."""
    changed = dict(changed)
    first = {"signature": "公司"}
    with Sandbox.closed_port() as port, pytest.raises(errors.SubmitNotSent):
        send_to(gateway_of("linkws", port=port, **first), numbers(2), "您好", origin=task)
    gateway = gateway_of("linkws", signature=changed.pop("signature", "公司"))
    people = numbers(changed.pop("people", 2))
    assert send_to(gateway, people, "您好", origin=task, **changed)["accepted"] == len(people)
    messages = sandbox.messages("linkws")
    assert [message.mobile for message in messages] == people
    [content] = {message.content for message in messages}
    assert content == f"您好【{gateway.account.options['signature']}】"
    assert rows("SELECT extno FROM sms_batches") == [changed.get("extno", "")]
    assert {message.due.year == 2099 for message in messages} == {"send_at" in changed}


def test_an_unchanged_plan_stays_as_it_is(gateway_of, send_to, numbers, task, rows, caplog):
    """Its references are those of the submits that a report may bear."""
    with Sandbox.closed_port() as port:
        for _ in range(2):
            with pytest.raises(errors.SubmitNotSent):
                send_to(gateway_of("smsadmin", port=port), numbers(3), TEXT, origin=task)
    assert rows("SELECT attempts FROM sms_batches") == [6]
    assert "replaced" not in caplog.text


def test_the_plan_stands_once_somebody_may_have_read_it(
    sandbox, gateway_of, send_to, numbers, task, partly_sent, caplog
):
    """
    A template that renders the time gives another text each try; some have read the first already.

    The rest of the plan goes out, and the task is not green: the others got nothing.
    """
    partly_sent("八点【公司】")
    with pytest.raises(
        errors.PreflightError, match=r"of 200 recipients 200 accepted(.|\n)*100 numbers are not"
    ):
        send_to(gateway_of("wavecom"), numbers(300), "九点【公司】", origin=task)
    assert {message.content for message in sandbox.messages("wavecom")} == {"八点【公司】"}
    assert "the plan stands, because people may have read it" in caplog.text
    assert "100 numbers are not in this send's plan and get nothing" in caplog.text
    assert "13800000" not in caplog.text
    assert sandbox.accepted_more_than_once() == {}


def test_an_unknown_outcome_keeps_the_plan(sandbox, gateway_of, send_to, numbers, task):
    """People may have read it: a new text under ``resend`` would be a second message, not a second copy."""
    sandbox.faults.add(Fault("reset_after", operation="send"))
    with pytest.raises(errors.SubmitUnknown):
        send_to(gateway_of("wavecom"), numbers(2), TEXT, origin=task)
    with pytest.raises(errors.SubmitUnknown):
        send_to(gateway_of("wavecom"), numbers(2), "别的【公司】", origin=task)
    assert {message.content for message in sandbox.messages("wavecom")} == {TEXT}


def test_what_is_wanted_later_does_not_go_out_at_once(
    sandbox, gateway_of, send_to, numbers, task, partly_sent
):
    """The plan says at once, the caller says tomorrow: the rest is not sent, and the error says why."""
    partly_sent()
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    with pytest.raises(errors.PreflightError, match=r"100 accepted(.|\n)*give a new send_key") as caught:
        send_to(gateway_of("wavecom"), numbers(200), TEXT, origin=task, send_at=tomorrow)
    assert "nothing was sent" not in str(caught.value)
    assert sandbox.count_messages("wavecom") == 100
    assert send_to(gateway_of("wavecom"), numbers(200), TEXT, origin=task)["accepted"] == 200


def test_what_is_wanted_later_is_not_resent_at_once(sandbox, gateway_of, send_to, numbers, task):
    """Nor is what may have been accepted, and would be submitted once more."""
    sandbox.faults.add(Fault("reset_before", operation="send"))
    with pytest.raises(errors.SubmitUnknown):
        send_to(gateway_of("wavecom"), numbers(2), TEXT, origin=task)
    later = {"send_at": datetime.now(UTC) + timedelta(days=1), "on_unknown": "resend"}
    with pytest.raises(errors.PreflightError, match="the rest would go out at once"):
        send_to(gateway_of("wavecom"), numbers(2), TEXT, origin=task, **later)
    assert sandbox.count_messages("wavecom") == 0


@pytest.fixture
def all_past(store):
    """Let the planned time of all batches pass: ``all_past()`` gives it."""

    def run():
        past = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
        with store.begin() as connection:
            connection.execute(batches.update().values(send_at=past))
        return past

    return run


TOMORROW = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)


def test_a_plan_whose_time_has_passed_does_not_send_at_once_what_is_wanted_later(
    sandbox, gateway_of, send_to, numbers, task, partly_sent, all_past
):
    """The vendor takes a time that is past for now."""
    partly_sent(send_at=TOMORROW)
    all_past()
    with pytest.raises(errors.PreflightError, match="the rest would go out at once"):
        send_to(gateway_of("wavecom"), numbers(200), TEXT, origin=task, send_at=TOMORROW)
    assert sandbox.count_messages("wavecom") == 100


def test_a_retry_before_the_planned_time_goes_on(sandbox, gateway_of, send_to, numbers, task, partly_sent):
    partly_sent(send_at=TOMORROW)
    result = send_to(gateway_of("wavecom"), numbers(200), TEXT, origin=task, send_at=TOMORROW)
    assert result["accepted"] == 200
    assert {message.due for message in sandbox.messages("wavecom")} == {TOMORROW}


@pytest.mark.parametrize("begun", [False, True])
def test_a_retry_after_the_planned_time_goes_on(
    sandbox, gateway_of, send_to, numbers, task, partly_sent, all_past, begun
):
    """The task that says eight o'clock was right to: it is no mistake of its now."""
    if begun:
        partly_sent(send_at=TOMORROW)
    else:
        with Sandbox.closed_port() as port, pytest.raises(errors.SubmitNotSent):
            send_to(gateway_of("wavecom", port=port), numbers(200), TEXT, origin=task, send_at=TOMORROW)
    result = send_to(gateway_of("wavecom"), numbers(200), TEXT, origin=task, send_at=all_past())
    assert result["accepted"] == 200
    assert sandbox.accepted_more_than_once() == {}


@pytest.mark.parametrize("content", [TEXT, "别的【公司】"])
def test_recipients_that_cannot_be_read_again_do_not_fail_a_retry(
    sandbox, gateway_of, numbers, task, store, naps, partly_sent, caplog, content
):
    """The plan has them; the log says so, without what the database said."""
    partly_sent()

    def gone():
        raise ValueError(numbers(1)[0])

    log = logging.getLogger("tests")
    order = SendOrder("test-send", content=content, origin=task)
    assert send(gateway_of("wavecom"), store, order, gone, log=log, sleep=naps)["accepted"] == 200
    assert {message.content for message in sandbox.messages("wavecom")} == {TEXT}
    assert "the recipients cannot be read again (ValueError): going on with the plan's" in caplog.text
    assert numbers(1)[0] not in caplog.text


def test_a_new_text_without_readable_recipients_is_an_error(
    sandbox, gateway_of, send_to, numbers, task, store, naps
):
    """Nothing was accepted of the first text, and it is not what the caller wants to be read any more."""
    with Sandbox.closed_port() as port, pytest.raises(errors.SubmitNotSent):
        send_to(gateway_of("wavecom", port=port), numbers(2), "八点【公司】", origin=task)
    with pytest.raises(errors.PreflightError, match="no recipients"):
        send_to(gateway_of("wavecom"), [], TEXT, origin=task)

    def gone():
        raise errors.SubmitNotSent("the database is away")

    order, log = SendOrder("test-send", content=TEXT, origin=task), logging.getLogger("tests")
    with pytest.raises(errors.SubmitNotSent, match="the database is away"):
        send(gateway_of("wavecom"), store, order, gone, log=log, sleep=naps)
    assert sandbox.count_messages("wavecom") == 0


@pytest.mark.parametrize("left", [[], ["13800000001", "999"]], ids=["called off", "one taken off, one wrong"])
def test_people_taken_off_the_list_get_nothing(gateway_of, send_to, task, sandbox, left):
    """Nothing was sent yet: a list that is wrong or empty by now is an error, not the first one again."""
    with Sandbox.closed_port() as port, pytest.raises(errors.SubmitNotSent):
        send_to(gateway_of("wavecom", port=port), ["13800000000", "13800000001"], TEXT, origin=task)
    with pytest.raises(errors.PreflightError):
        send_to(gateway_of("wavecom"), left, TEXT, origin=task)
    assert sandbox.count_messages("wavecom") == 0
    assert send_to(gateway_of("wavecom"), ["13800000001"], TEXT, origin=task)["accepted"] == 1
    assert [message.mobile for message in sandbox.messages("wavecom")] == ["13800000001"]


@pytest.mark.parametrize(
    "tried", ["", TEXT, "七点【公司】"], ids=["planned by itself", "found as its own", "replaced"]
)
@pytest.mark.parametrize("sends", [True, False], ids=["and sent", "and not sent"])
def test_a_plan_replaced_before_the_first_look_is_not_taken_for_the_own_one(
    sandbox, gateway_of, send_to, numbers, task, monkeypatch, tried, sends
):
    """Another run of the task, for others, was there between this run's plan and its look at the batches."""
    if tried:
        with Sandbox.closed_port() as port, pytest.raises(errors.SubmitNotSent):
            send_to(gateway_of("wavecom", port=port), numbers(3), tried, origin=task)
    look, met = Ledger.pending_claims, []

    def late(ledger, *given: Any):
        if not met:
            met.append(True)
            with Sandbox.closed_port() as port:
                gateway = gateway_of("wavecom") if sends else gateway_of("wavecom", port=port)
                with nullcontext() if sends else pytest.raises(errors.SubmitNotSent):
                    send_to(gateway, numbers(1, first=OTHERS), "九点【公司】", origin=task)
        return look(ledger, *given)

    monkeypatch.setattr(Ledger, "pending_claims", late)
    with pytest.raises(errors.SubmitNotSent, match="replaced the plan"):
        send_to(gateway_of("wavecom"), numbers(3), TEXT, origin=task)
    assert sandbox.count_messages("wavecom") == sends


def test_a_shorter_plan_in_the_middle_of_a_run_is_told(sandbox, gateway_of, send_to, numbers, task, store):
    """The batches that the run still has in hand are gone; that is no trouble with the database."""
    with Sandbox.closed_port() as port, pytest.raises(errors.SubmitNotSent):
        send_to(gateway_of("wavecom", port=port), numbers(300), TEXT, origin=task)
    sandbox.faults.add(Fault("busy", operation="send", times=1))
    met = []

    def rest(seconds):
        del seconds
        if not met:
            met.append(True)
            with Sandbox.closed_port() as port, pytest.raises(errors.SubmitNotSent):
                send_to(
                    gateway_of("wavecom", port=port), numbers(1, first=OTHERS), "九点【公司】", origin=task
                )

    order = SendOrder("test-send", content=TEXT, origin=task)
    people = {"mobile": numbers(300)}
    log = logging.getLogger("tests")
    with pytest.raises(errors.SubmitNotSent, match="replaced the plan"):
        send(gateway_of("wavecom", max_in_flight=1), store, order, lambda: people, log=log, sleep=rest)
    assert sandbox.count_messages("wavecom") == 0


def test_others_than_the_plans_make_no_green_task(sandbox, gateway_of, send_to, numbers, task, caplog):
    """Upstream was cleared as well, or a mapped task got another's rows: all is sent, but not to them."""
    send_to(gateway_of("wavecom"), numbers(5), TEXT, origin=task)
    with pytest.raises(
        errors.PreflightError, match=r"5 accepted(.|\n)*3 numbers are not in this send's plan"
    ):
        send_to(gateway_of("wavecom"), [*numbers(2), *numbers(3, first=OTHERS)], TEXT, origin=task)
    assert str(OTHERS)[:7] not in caplog.text
    assert send_to(gateway_of("wavecom"), numbers(2), TEXT, origin=task)["accepted"] == 5
    assert sandbox.count_messages("wavecom") == 5


CODE = "{name}，您的验证码 {code}【公司】"


def with_code(people, code):
    return [{"mobile": mobile, "name": "李", "code": code} for mobile in people]


@pytest.mark.parametrize("vendor", ["wavecom", "smsadmin"])
def test_other_values_of_a_templates_fields_are_refused(sandbox, gateway_of, send_to, numbers, vendor):
    """Nobody would ever read them: a green task would say that they were sent."""
    people = numbers(3)
    send_to(gateway_of(vendor), with_code(people, "1111"), template=CODE)
    changed = [*with_code(people[:1], "1111"), *with_code(people[1:], "2222")]
    with pytest.raises(errors.PreflightError, match=r"2 recipients would read something else"):
        send_to(gateway_of(vendor), changed, template=CODE)
    send_to(gateway_of(vendor), reversed(with_code(people, "1111")), template=CODE)
    assert sandbox.count_messages(vendor) == 3


def test_other_values_in_a_retry_are_told(sandbox, gateway_of, send_to, numbers, task, caplog):
    """Some have read the first ones, so these go out to the rest as well, as any other text would."""
    people = numbers(2)
    sandbox.account("wavecom").balance = 1
    with pytest.raises(errors.InsufficientBalance):
        send_to(
            gateway_of("wavecom", max_in_flight=1),
            [*with_code(people, "1111")[:1], {"mobile": people[1], "name": "王", "code": "1112"}],
            template=CODE,
            origin=task,
        )
    sandbox.account("wavecom").balance = 100
    result = send_to(gateway_of("wavecom"), with_code(people, "2222"), template=CODE, origin=task)
    assert result["accepted"] == 2
    assert {message.content for message in sandbox.messages("wavecom")} == {
        "李，您的验证码 1111【公司】",
        "王，您的验证码 1112【公司】",
    }
    assert "differ from the first try's for 2 recipients: the plan stands" in caplog.text
    assert "2222" not in caplog.text


def test_a_plan_replaced_under_a_run_is_not_sent_by_halves(
    sandbox, gateway_of, send_to, numbers, task, monkeypatch
):
    """Two runs of one task at once: what goes out is the ledger's, and who planned otherwise is not green."""
    turn_over, met = Ledger.turn_over, []

    def late(self, *given: Any, **options: Any):
        if not met:
            met.append(None)
            send_to(gateway_of("wavecom"), numbers(150, first=13_800_000_050), "九点【公司】", origin=task)
        return turn_over(self, *given, **options)

    monkeypatch.setattr(Ledger, "turn_over", late)
    with pytest.raises(errors.SubmitNotSent, match="another run of this task has replaced the plan"):
        send_to(gateway_of("wavecom"), numbers(300), "八点【公司】", origin=task)
    with pytest.raises(errors.PreflightError, match="150 numbers are not in this send's plan"):
        send_to(gateway_of("wavecom"), numbers(300), "八点【公司】", origin=task)
    assert {message.content for message in sandbox.messages("wavecom")} == {"九点【公司】"}
    assert sandbox.count_messages("wavecom") == 150
    assert sandbox.accepted_more_than_once() == {}
