"""One send key is one send, whoever comes with it again."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_sms import errors
from airflow_provider_sms.records import BatchState
from airflow_provider_sms.sandbox import Fault, Sandbox
from airflow_provider_sms.sending import Origin, SendOrder, random_send_key, send
from airflow_provider_sms.store.ledger import Ledger
from airflow_provider_sms.store.schema import sends

EACH_VENDOR = pytest.mark.parametrize("vendor", ["beidoutong", "wavecom", "linkws", "smsadmin"])
TEXT = "您好【公司】"


@EACH_VENDOR
def test_the_same_key_again_sends_nothing(sandbox, gateway_of, send_to, numbers, vendor):
    """And gives the same counts, so that a cleared task ends as it ended."""
    first = send_to(gateway_of(vendor), numbers(120), TEXT)
    assert send_to(gateway_of(vendor), numbers(120), TEXT) == first
    assert sandbox.count_messages(vendor) == 120


def test_the_same_key_for_another_text_is_refused(sandbox, gateway_of, send_to, numbers):
    """A green task that sent nothing would be the alternative."""
    send_to(gateway_of("wavecom"), numbers(2), TEXT)
    with pytest.raises(errors.PreflightError, match="another text"):
        send_to(gateway_of("wavecom"), numbers(2), "别的【公司】")
    assert sandbox.count_messages("wavecom") == 2


def test_the_same_key_for_other_people_is_refused(sandbox, gateway_of, send_to, numbers):
    """They would get nothing, and the counts of the first send would look like theirs."""
    send_to(gateway_of("wavecom"), numbers(2), TEXT)
    with pytest.raises(errors.PreflightError, match="other recipients"):
        send_to(gateway_of("wavecom"), numbers(2, first=13_900_000_000), TEXT)
    assert sandbox.count_messages("wavecom") == 2
    assert send_to(gateway_of("wavecom"), reversed(numbers(2)), TEXT)["accepted"] == 2
    assert sandbox.count_messages("wavecom") == 2


@pytest.mark.parametrize(("count", "strangers"), [(3, 1), (1, 0)], ids=["one more", "one less"])
def test_the_same_key_for_more_or_fewer_people_is_refused(
    sandbox, gateway_of, send_to, numbers, count, strangers
):
    """Green, it would say that one more got it, or that one less did."""
    send_to(gateway_of("wavecom"), numbers(2), TEXT)
    with pytest.raises(errors.PreflightError, match=rf"other recipients \({strangers} of these"):
        send_to(gateway_of("wavecom"), numbers(count), TEXT)
    assert sandbox.count_messages("wavecom") == 2


@pytest.mark.parametrize("other", [{"extno": "7"}, {"send_at": "2099-01-01 08:00:00"}])
def test_the_same_key_for_another_time_or_extension_is_refused(sandbox, gateway_of, send_to, numbers, other):
    """Whoever asks for eight o'clock must not be told that all is accepted, if it went out at once."""
    send_to(gateway_of("linkws"), numbers(2), TEXT)
    with pytest.raises(errors.PreflightError, match="another text, time, extension or signature"):
        send_to(gateway_of("linkws"), numbers(2), TEXT, **other)
    assert sandbox.count_messages("linkws") == 2


def test_a_key_of_an_older_version_is_the_same_send(gateway_of, send_to, numbers, store):
    """Its fingerprint saw less; the key stays used, and the send goes on."""
    first = send_to(gateway_of("linkws"), numbers(2), TEXT, extno="7")
    older = hashlib.sha256(f"linkws\0{TEXT}\0".encode()).hexdigest()
    with store.begin() as connection:
        connection.execute(sends.update().values(fingerprint=older))
    assert send_to(gateway_of("linkws"), numbers(2), TEXT, extno="7") == first
    with pytest.raises(errors.PreflightError, match="another text"):
        send_to(gateway_of("linkws"), numbers(2), "别的【公司】", extno="7")


def test_a_key_of_an_older_version_does_not_send_at_once_what_is_wanted_later(
    sandbox, gateway_of, send_to, numbers, store
):
    """Its fingerprint saw no time: the plan says at once."""
    with Sandbox.closed_port() as port, pytest.raises(errors.SubmitNotSent):
        send_to(gateway_of("linkws", port=port), numbers(2), TEXT)
    older = hashlib.sha256(f"linkws\0{TEXT}\0".encode()).hexdigest()
    with store.begin() as connection:
        connection.execute(sends.update().values(fingerprint=older))
    with pytest.raises(errors.PreflightError, match="the rest would go out at once"):
        send_to(gateway_of("linkws"), numbers(2), TEXT, send_at="2099-01-01 08:00:00")
    assert sandbox.count_messages("linkws") == 0


def test_two_who_plan_one_key_at_once_for_different_people(sandbox, gateway_of, store, numbers, naps):
    """One of them is refused: its people get nothing, so its task must not be green."""
    met, ended = threading.Barrier(2), []

    def run(people):
        def recipients():
            met.wait(10)
            return {"mobile": people}

        order = SendOrder("shared", content=TEXT)
        try:
            log = logging.getLogger("tests")
            result = send(gateway_of("wavecom"), store, order, recipients, log=log, sleep=naps)
            ended.append(result["accepted"])
        except errors.PreflightError as error:
            ended.append(str(error))

    groups = [numbers(3), numbers(3, first=13_900_000_000)]
    threads = [threading.Thread(target=run, args=(group,)) for group in groups]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    [accepted, refused] = sorted(ended, key=str)
    assert accepted == 3
    assert "other recipients (3 of these were not among them)" in refused
    assert sandbox.count_messages("wavecom") == 3


def test_the_same_key_in_another_task_is_refused_for_another_text(gateway_of, send_to, numbers, task):
    """Even where the first was a task instance, too."""
    send_to(gateway_of("wavecom"), numbers(2), TEXT, origin=task)
    with pytest.raises(errors.PreflightError, match="another text"):
        send_to(gateway_of("wavecom"), numbers(2), "别的【公司】", origin=replace(task, run_id="next"))


@pytest.mark.parametrize("other", [{"dag_id": "b"}, {"task_id": "b"}, {"run_id": "b"}, {"map_index": 1}])
def test_another_tasks_plan_is_not_replaced(sandbox, gateway_of, send_to, numbers, task, other):
    """Not even while nothing of it was sent: its people are that task's, be it the next mapped one."""
    with Sandbox.closed_port() as port, pytest.raises(errors.SubmitNotSent):
        send_to(gateway_of("wavecom", port=port), numbers(2), TEXT, origin=task)
    with pytest.raises(errors.PreflightError, match="other recipients"):
        send_to(gateway_of("wavecom"), numbers(3), TEXT, origin=replace(task, **other))
    assert send_to(gateway_of("wavecom"), numbers(2), TEXT, origin=task)["accepted"] == 2
    assert sandbox.count_messages("wavecom") == 2


@pytest.mark.parametrize(
    ("other", "conn_id"), [("wavecom", "sms_other"), ("smsadmin", "sms_other"), ("wavecom", "sms_smsadmin")]
)
def test_a_planned_send_does_not_change_its_connection(
    sandbox, gateway_of, send_to, numbers, task, other, conn_id
):
    """Its batches have the first vendor's size and charset, and its reports come to the first account."""
    with Sandbox.closed_port() as port, pytest.raises(errors.SubmitNotSent):
        send_to(gateway_of("smsadmin", port=port), numbers(500), TEXT, origin=task)
    with pytest.raises(errors.PreflightError, match="sms_smsadmin") as caught:
        send_to(gateway_of(other, conn_id=conn_id), numbers(500), TEXT, origin=task)
    assert f"now it is '{conn_id}' ({other})" in str(caught.value)
    assert sandbox.calls.count() == 0


@pytest.mark.parametrize("workers", [2, 5])
def test_runs_at_the_same_time_share_the_batches(sandbox, gateway_of, send_to, numbers, workers, naps):
    """Two schedulers, one task: every run ends with the whole send's counts, nobody gets it twice."""
    people = numbers(1000)
    ready = threading.Barrier(workers)
    results: list = []
    failures: list = []

    def run():
        try:
            gateway = gateway_of("wavecom", max_in_flight=1)
            ready.wait(10)
            results.append(send_to(gateway, people, TEXT, sleep=lambda _: time.sleep(0.02)))
        except Exception as error:  # noqa: BLE001 - shown below
            failures.append(error)

    del naps
    sandbox.faults.random(0.4, [Fault("slow", seconds=0.05)], vendor="wavecom", operation="send")
    threads = [threading.Thread(target=run) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert [result["accepted"] for result in results] == [1000] * workers
    assert sorted(message.mobile for message in sandbox.messages("wavecom")) == people


def test_a_run_that_lost_a_batch_to_another_does_not_end_before_it(
    sandbox, gateway_of, send_to, numbers, store, monkeypatch, rows
):
    """The other's batch is rejected afterwards: then this run must not be green either."""
    ledger = Ledger(store)
    turn_over, taken = Ledger.turn_over, []

    def claimed_by_another(self, send_key, owner, **options: Any):
        if not taken:
            taken.append(None)
            assert ledger.claim(send_key, 1, "another", options["seconds"], "r" * 32)
            threading.Timer(
                0.2,
                ledger.settle,
                (send_key, 1, BatchState.REJECTED),
                {"owner": "another", "vendor_code": "-10"},
            ).start()
        return turn_over(self, send_key, owner, **options)

    monkeypatch.setattr(Ledger, "turn_over", claimed_by_another)
    sandbox.account("wavecom").locked = True
    with pytest.raises(errors.VendorRejected):
        send_to(gateway_of("wavecom"), numbers(50), TEXT, sleep=lambda _: time.sleep(0.02))
    assert rows("SELECT state FROM sms_batches") == ["rejected"]
    assert taken


def test_a_claim_whose_owner_died_becomes_unknown(
    sandbox, gateway_of, send_to, numbers, store, rows, at_once, caplog
):
    """Waited for until it runs out, said in the log, and not repeated."""
    del at_once
    gateway = gateway_of("wavecom", max_in_flight=1)
    sandbox.faults.add(Fault("busy", operation="send", times=None))
    with pytest.raises(errors.SubmitNotSent):
        send_to(gateway, numbers(200), TEXT)
    sandbox.faults.clear()
    assert Ledger(store).claim("test-send", 1, "died", 0.4, "r" * 32)
    with pytest.raises(errors.SubmitUnknown, match="100 accepted, 0 rejected, 100 unknown"):
        send_to(gateway, numbers(200), TEXT, sleep=lambda _: time.sleep(0.02))
    assert "their outcome is not known" in caplog.text
    assert rows("SELECT state FROM sms_batches ORDER BY batch_no") == ["unknown", "accepted"]
    assert sandbox.count_messages("wavecom") == 100


@pytest.mark.parametrize("key", ["", "k" * 251])
def test_a_send_key_that_does_not_fit_is_refused(gateway_of, send_to, numbers, key):
    """Cut in silence, two long keys could become one."""
    with pytest.raises(errors.PreflightError, match="1 to 250"):
        send_to(gateway_of("wavecom"), numbers(1), TEXT, send_key=key)


@pytest.mark.parametrize("key", ["None", "null", " none ", "NaN", "   "])
def test_a_send_key_that_a_template_made_of_nothing_is_refused(sandbox, gateway_of, send_to, numbers, key):
    """Every run would bear it: the second would find the first one's send, and end green."""
    with pytest.raises(errors.PreflightError, match=r"templates write that there is none|1 to 250"):
        send_to(gateway_of("wavecom"), numbers(1), TEXT, send_key=key)
    assert sandbox.count_messages("wavecom") == 0


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("order-a ", "begins or ends with a blank"),
        ("\u3000order-a", "begins or ends with a blank"),
        ("order-a\n", "begins or ends with a blank"),
        ("order\0a", r"U\+0000"),
        ("order\ta", r"U\+0009"),
        ("order-\ud800", r"U\+D800"),
    ],
    ids=ascii,
)
def test_a_send_key_that_databases_keep_as_another_is_refused(gateway_of, send_to, numbers, key, says):
    """MariaDB takes ``order-a`` and ``order-a `` for one key; others refuse some characters, each its own."""
    with pytest.raises(errors.PreflightError, match=says):
        send_to(gateway_of("wavecom"), numbers(1), TEXT, send_key=key)


@pytest.mark.parametrize(
    "run_id", ["manual__2026-11-28T08:00:00+00:00", "每日 1", "a\n", " ", "r" * 250, "é😀"]
)
def test_the_key_of_a_task_is_taken_whatever_its_ids_are(gateway_of, send_to, numbers, run_id):
    """What ids may look like is Airflow's to say; its patterns let a line break at the end through."""
    origin = Origin("日报.d-a_g\n", "组.t\n", run_id, 0)
    result = send_to(gateway_of("wavecom"), numbers(1), TEXT, send_key=origin.send_key, origin=origin)
    assert result["send_key"] == origin.send_key


def test_what_native_templates_render_is_taken_or_named(sandbox, gateway_of, send_to, numbers):
    """A date without dashes becomes a number, a missing value None."""
    result = send_to(gateway_of("smsadmin"), numbers(1), TEXT, send_key=20261128, extno=None)
    assert (result["send_key"], result["accepted"]) == ("20261128", 1)
    wrong = {"send_key": ["k"], "extno": 12, "content": 123456}
    with pytest.raises(errors.PreflightError) as caught:
        send_to(gateway_of("smsadmin"), numbers(1), **wrong)
    assert [problem.split(" is a ")[0] for problem in caught.value.problems] == [
        "send_key",
        "extno",
        "content",
    ]
    assert sandbox.count_messages("smsadmin") == 1


@pytest.mark.parametrize("vendor", ["beidoutong", "wavecom", "linkws", "smsadmin"])
@pytest.mark.parametrize("part", ["text", "template", "value"])
def test_a_character_that_no_database_takes_is_found_before(gateway_of, send_to, numbers, vendor, part):
    """A U+0000 of a legacy export: told as a problem of the text, not of the store."""
    people = [{"mobile": numbers(1)[0], "name": "王\0" if part == "value" else "王"}]
    order = {
        "text": {"content": "您好\0【公司】"},
        "template": {"template": "您好\0{name}【公司】"},
        "value": {"template": "您好{name}【公司】"},
    }[part]
    with pytest.raises(errors.PreflightError, match="U\\+0000"):
        send_to(gateway_of(vendor), people, **order)


def test_an_unknown_policy_is_refused(gateway_of, send_to, numbers):
    """A misspelt ``resend`` must not mean ``fail``."""
    with pytest.raises(errors.PreflightError, match="on_unknown is 'again'"):
        send_to(gateway_of("wavecom"), numbers(1), TEXT, on_unknown="again")


def test_long_origins_have_distinct_keys_that_fit():
    """Dag, task and run ids of 250 characters each still name one send each."""
    keys = {
        Origin("d" * 250, "t" * 250, "r" * 249 + end, index).send_key for end in "ab" for index in (-1, 0)
    }
    assert len(keys) == 4
    assert all(len(key) <= 250 for key in keys)
    assert Origin("d", "t", "r", 3).send_key == "d/t/r/3"


def test_a_random_key_is_logged(caplog):
    """So that a script can try the same send again."""
    with caplog.at_level("INFO"):
        key = random_send_key(logging.getLogger("tests"))
    assert key in caplog.text
    assert key != random_send_key(logging.getLogger("tests"))


def test_an_order_shows_no_text():
    """Orders end up in tracebacks."""
    assert "secret" not in repr(SendOrder("key", content="secret", template="secret"))


def test_content_and_template_exclude_each_other(gateway_of, send_to, numbers):
    """And one of them there must be."""
    for order in ({"content": "a", "template": "b"}, {}):
        with pytest.raises(errors.PreflightError, match="exactly one"):
            send_to(gateway_of("wavecom"), numbers(1), **order)


def test_what_another_run_claims_between_two_looks_is_waited_for(
    sandbox, gateway_of, send_to, numbers, store, monkeypatch
):
    """It is under way and nothing is the matter with it: nobody is to be told that its outcome is unknown."""
    with Sandbox.closed_port() as port, pytest.raises(errors.SubmitNotSent):
        send_to(gateway_of("wavecom", port=port), numbers(50), TEXT)
    ledger, look, met = Ledger(store), Ledger.pending_claims, []

    def claimed_just_after(self, send_key, owner):
        busy_until = look(self, send_key, owner)
        met.append(busy_until)
        if busy_until is None and len(met) == 1:
            assert ledger.claim(send_key, 1, "another", 60, "r" * 32)
            answer = (send_key, 1, BatchState.ACCEPTED)
            threading.Timer(0.2, ledger.settle, answer, {"owner": "another"}).start()
        return busy_until

    monkeypatch.setattr(Ledger, "pending_claims", claimed_just_after)
    assert (
        send_to(gateway_of("wavecom"), numbers(50), TEXT, sleep=lambda _: time.sleep(0.02))["accepted"] == 50
    )
    assert len(met) > 2
    assert sandbox.count_messages("wavecom") == 0
