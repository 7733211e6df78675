"""An alert gets out, gets out once, and a failure to get out is seen."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import re
from types import SimpleNamespace

import pytest
from jinja2 import StrictUndefined

from airflow_provider_sms.errors import AuthenticationFailed, PreflightError, SubmitNotSent, SubmitUnknown
from airflow_provider_sms.notifications.sms import SmsNotifier, event_of
from airflow_provider_sms.sandbox import Fault

TO = ["13800138000", "13800138001"]


@pytest.fixture
def conn_id(connections):
    return connections("smsadmin")


@pytest.fixture
def texts(sandbox):
    """Give what the vendor accepted: (number, text) in order."""
    return lambda: [(each.mobile, each.content) for each in sandbox.messages("smsadmin")]


@pytest.fixture
def told(capfd, caplog):
    """Give what was logged, by whichever library."""
    caplog.set_level(logging.DEBUG)
    return lambda: "".join(capfd.readouterr()) + caplog.text


def instance(try_number=1, task_id="load"):
    return SimpleNamespace(dag_id="etl", task_id=task_id, run_id="r1", map_index=-1, try_number=try_number)


def test_everybody_gets_the_rendered_text(conn_id, texts, rows):
    SmsNotifier(conn_id, "{{ duty }}", "{{ ti.task_id }} 失败")({"duty": ", ".join(TO), "ti": instance()})
    assert texts() == [(mobile, "load 失败") for mobile in TO]
    assert rows("SELECT dag_id, task_id, run_id, state FROM sms_batches") == [
        ("etl", "load", "r1", "accepted")
    ]


def test_one_notifier_for_many_tasks_tells_each_by_its_own_name(conn_id, texts):
    notifier = SmsNotifier(conn_id, TO[0], "{{ ti.task_id }} 失败")
    for task_id in ("load", "check"):
        notifier({"ti": instance(task_id=task_id)})
    assert [content for _, content in texts()] == ["load 失败", "check 失败"]


def test_an_alert_without_a_text_is_an_error(connections, texts):
    notifier = SmsNotifier(connections("smsadmin", "signing", signature="公司"), TO, "")
    with pytest.raises(PreflightError, match="the text is empty"):
        notifier.notify({})
    assert texts() == []


def test_a_context_of_a_script_will_do(conn_id, texts):
    SmsNotifier(conn_id, TO[0], "一切正常")({})
    assert texts() == [(TO[0], "一切正常")]


def test_the_same_text_is_held_back_counted_and_told(conn_id, texts, store):
    from sqlalchemy import text

    notifier = {"sms_conn_id": conn_id, "to": TO, "content": "磁盘已满"}
    for number in range(5):
        SmsNotifier(**notifier)({"ti": instance(number)})
    assert len(texts()) == 2
    with store.begin() as connection:
        connection.execute(text("UPDATE sms_storms SET since = '2025-01-01 00:00:00.000000'"))
    SmsNotifier(**notifier)({"ti": instance(9)})
    assert texts()[2:] == [(mobile, "磁盘已满（另有 4 条相同提醒被合并）") for mobile in TO]


def test_the_same_event_twice_is_one_message_whatever_the_guard_says(conn_id, texts):
    for _ in range(2):
        SmsNotifier(conn_id, TO, "x", window_seconds=0, max_per_hour=0)({"ti": instance()})
    assert len(texts()) == 2
    SmsNotifier(conn_id, TO, "x", window_seconds=0, max_per_hour=0)({"ti": instance(try_number=2)})
    assert len(texts()) == 4


def test_two_notifiers_of_two_vendors_are_two_alerts(connections, sandbox):
    """One is there for when the other's vendor is down: whatever became of the one, the other gets out."""
    first, second = (connections(vendor) for vendor in ("smsadmin", "beidoutong"))
    context = {"ti": instance()}
    SmsNotifier(first, TO, "失败【公司】")(context)
    SmsNotifier(second, TO, "失败【公司】")(context)
    assert (sandbox.count_messages("smsadmin"), sandbox.count_messages("beidoutong")) == (2, 2)
    sandbox.faults.add(Fault("status", vendor="smsadmin", operation="send", status=502, times=None))
    with pytest.raises(SubmitUnknown):
        SmsNotifier(first, TO, "又失败【公司】").notify(context)
    SmsNotifier(second, TO, "又失败【公司】")(context)
    assert sandbox.count_messages("beidoutong") == 4


def test_what_a_callback_does_not_have_keeps_no_alert_back(conn_id, texts, told):
    """A callback of a DAG has no exception, and one of a run that timed out no task instance."""
    from airflow.sdk import DAG

    strict = DAG("strict", schedule=None, template_undefined=StrictUndefined).get_template_env()
    text = "{{ run }}: {{ ti.task_id }} {{ (exception | string)[:12] }} 失败{% if reason %}!{% endif %}"
    SmsNotifier(conn_id, TO[0], text)({"run": "r1"})
    notifier = SmsNotifier(conn_id, TO[1], text)
    notifier.render_template_fields({"run": "r1"}, strict)
    notifier.notify({"run": "r1"})
    assert texts() == [(mobile, "r1: {{ ti }} {{ exception 失败") for mobile in TO]
    assert re.search(r"goes out with gaps in its text: .*UndefinedError: 'ti' is undefined", told())


def test_a_template_that_cannot_be_rendered_is_not_quoted(conn_id, texts, told):
    """Airflow logs the whole field, with every number in it."""
    with pytest.raises(PreflightError, match=r"field 'to'(.|\n)*UndefinedError: 'nothing' is undefined"):
        SmsNotifier(conn_id, [TO[0], "{{ nothing.x }}"], "一切正常")({"ti": instance()})
    with pytest.raises(PreflightError, match=r"field 'content'(.|\n)*TemplateSyntaxError"):
        SmsNotifier(conn_id, TO[0], "取件码{#12}")({"ti": instance()})
    assert texts() == []
    assert TO[0] not in told()
    assert "取件码" not in told()


def test_so_many_alerts_an_hour(conn_id, texts):
    for number in range(6):
        SmsNotifier(conn_id, TO[0], f"alert {number}", max_per_hour=4)({"ti": instance(number)})
    assert [content for _, content in texts()] == [f"alert {number}" for number in range(4)]


def _notify(conn_id, number):
    SmsNotifier(conn_id, TO, "磁盘已满")({"ti": instance(number, f"task{number}")})


def test_the_guard_holds_across_processes(conn_id, texts):
    processes = multiprocessing.get_context("fork")
    running = [processes.Process(target=_notify, args=(conn_id, number)) for number in range(6)]
    for each in running:
        each.start()
    for each in running:
        each.join(60)
    assert [each.exitcode for each in running] == [0] * 6
    assert sorted(texts()) == [(mobile, "磁盘已满") for mobile in TO]


def test_a_refusal_is_an_error_and_the_next_one_goes_out(connections, texts, told):
    broken = connections("smsadmin", fields={"password": "wrong-canary"})
    with pytest.raises(AuthenticationFailed):
        SmsNotifier(broken, TO, "磁盘已满")({"ti": instance()})
    assert "Failed to send notification" in told()
    assert texts() == []
    connections("smsadmin")
    SmsNotifier(broken, TO, "磁盘已满")({"ti": instance(2)})
    assert len(texts()) == 2


def test_what_may_have_arrived_is_not_said_again(conn_id, sandbox, texts):
    sandbox.faults.add(Fault("reset_after", vendor="smsadmin", times=1))
    with pytest.raises(SubmitUnknown):
        SmsNotifier(conn_id, TO, "磁盘已满")({"ti": instance()})
    SmsNotifier(conn_id, TO, "磁盘已满")({"ti": instance(2)})
    assert len(texts()) == 2


def test_a_vendor_that_cannot_be_reached_is_an_error(connections, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    nowhere = connections("smsadmin", fields={"port": 9})
    with pytest.raises(SubmitNotSent):
        SmsNotifier(nowhere, TO, "磁盘已满")({"ti": instance()})


def test_a_wrong_number_keeps_nobody_else_from_being_told(conn_id, texts):
    with pytest.raises(PreflightError, match=r"1 of 2 numbers .* \(123\*{4}\d{4}\).*the others were told"):
        SmsNotifier(conn_id, ["12345678901", TO[0]], "x")({"ti": instance()})
    assert texts() == [(TO[0], "x")]


@pytest.mark.parametrize("to", ["", [], ["nobody"]])
def test_nobody_to_tell_is_an_error(conn_id, to):
    with pytest.raises(PreflightError, match="nobody was told"):
        SmsNotifier(conn_id, to, "x")({"ti": instance()})


def test_too_long_and_unfit_texts_get_out_and_the_log_says_so(conn_id, texts, told):
    SmsNotifier(conn_id, TO[0], "😀" + "满" * 400)({"ti": instance()})
    ((_, content),) = texts()
    assert content.startswith("□满")
    assert content.endswith("满…")
    assert len(content) == 300
    said = told()
    assert "its last 102 characters were cut off" in said
    assert "1 characters of the alert are none of the vendor's charset" in said


def test_secrets_that_airflow_knows_are_masked(conn_id, texts, monkeypatch):
    from airflow.providers.common.compat.sdk import mask_secret
    from airflow.sdk._shared.secrets_masker import secrets_masker

    monkeypatch.setattr(secrets_masker, "_is_test_mode", lambda: False, raising=False)
    mask_secret("canary-secret-of-a-connection")
    SmsNotifier(conn_id, TO[0], "login failed: canary-secret-of-a-connection")({"ti": instance()})
    ((_, content),) = texts()
    assert content == "login failed: ***"


def test_awaited_in_a_triggerer(conn_id, texts):
    context = {
        "dag_run": {"dag_id": "etl", "dag_run_id": "r1"},
        "deadline": {"id": "d1", "deadline_time": "2025-01-31T00:00:00Z"},
    }

    async def alert():
        await SmsNotifier(conn_id, TO[0], "{{ dag_run.dag_id }} 超时", context=context)

    asyncio.run(alert())
    asyncio.run(alert())
    assert texts() == [(TO[0], "etl 超时")]


def test_events_are_named_by_what_happened():
    assert event_of({}) == ""
    assert event_of({"ti": instance(3)}) == "etl/load/r1/-1/3"
    run = SimpleNamespace(dag_id="etl", run_id="r1", clear_number=2)
    assert event_of({"dag_run": run}) == "etl/r1/2"
    assert event_of({"ti": instance(3), "dag_run": run}) == "etl/load/r1/-1/3/2", "a DAG's, cleared twice"
    assert event_of({"dag_run": {"dag_id": "etl", "dag_run_id": "r1"}, "deadline": {"id": 7}}) == "etl/r1/7"


def test_nothing_about_people_is_logged(conn_id, told):
    SmsNotifier(conn_id, TO, "canary 磁盘已满")({"ti": instance()})
    SmsNotifier(conn_id, TO, "canary 磁盘已满")({"ti": instance(2)})
    said = told()
    assert "storm guard: 2 of 2 numbers" in said
    for secret in ("canary", "磁盘", *TO):
        assert secret not in said


# Airflow's libraries warn about each other.
@pytest.mark.filterwarnings("ignore")
def test_a_failing_dag_alerts_and_a_refused_alert_is_in_its_log(connections, texts, told):
    from airflow.sdk import DAG, task
    from airflow.utils.db import initdb

    initdb()
    conn_id = connections("smsadmin")

    def run(dag_id, password):
        connections("smsadmin", fields={"password": password} if password else None)
        alert = SmsNotifier(conn_id, TO, "{{ dag.dag_id }}.{{ ti.task_id }} 失败: {{ exception }}")
        with DAG(dag_id, schedule=None) as dag:

            @task(on_failure_callback=alert)
            def load():
                raise ValueError("disk is full")

            load()
        return _tested(dag)

    assert run("etl_alerts", None) == "failed"
    assert texts() == [(mobile, "etl_alerts.load 失败: disk is full") for mobile in TO]
    assert run("etl_alerts_in_vain", "wrong") == "failed"
    assert len(texts()) == 2
    assert "Failed to send notification" in told()


def _tested(dag):
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session

    with create_session() as session:
        session.merge(DagBundleModel(name="tests"))
        session.commit()
        try:
            from airflow.dag_processing.collection import update_dag_parsing_results_in_db
            from airflow.serialization.serialized_objects import LazyDeserializedDAG

            update_dag_parsing_results_in_db(
                "tests", None, [LazyDeserializedDAG.from_dag(dag)], {}, None, set(), session
            )
        finally:
            session.commit()
    return str(dag.test().state.value)
