"""The two sending operators in a real Airflow: templates, XComs, retries, mapped tasks, and what is shown."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from airflow.sdk import task

from airflow_provider_sms.errors import SubmitNotSent
from airflow_provider_sms.operators.sms import SmsSendOperator, SmsTemplateSendOperator
from airflow_provider_sms.sandbox import Fault, Sandbox
from airflow_provider_sms.sensors.sms import SmsReplySensor

pytestmark = pytest.mark.filterwarnings("ignore")  # Airflow's libraries warn about each other
EACH_VENDOR = pytest.mark.parametrize("vendor", ["beidoutong", "wavecom", "linkws", "smsadmin"])
TEXT = "您好，{{ dag.dag_id }}【公司】"


def texts_of(sandbox, vendor):
    """Give the text that each number got."""
    return {message.mobile: message.content for message in sandbox.messages(vendor)}


@EACH_VENDOR
def test_a_send_in_a_dag(run_dag, connections, sandbox, numbers, vendor):
    """The text is templated, the counts are the XCom, and the key is dag, task, run and map index."""
    conn_id = connections(vendor)
    ended = run_dag(
        lambda: SmsSendOperator(
            task_id="send", sms_conn_id=conn_id, content=TEXT, recipients=numbers(120), retries=0
        ),
        dag_id=f"greeting_{vendor}",
    )
    assert ended.state == "success"
    result = ended.xcoms["send"]
    key = result.pop("send_key")
    assert key.startswith(f"greeting_{vendor}/send/")
    assert key.endswith("/-1")
    counts = {"accepted": 120, "rejected": 0, "unknown": 0, "not_sent": 0}
    assert result == {"recipients": 120, "segments": 120, **counts}
    assert texts_of(sandbox, vendor) == dict.fromkeys(numbers(120), f"您好，greeting_{vendor}【公司】")


def test_a_transient_failure_is_retried_by_airflow_and_nobody_gets_it_twice(
    run_dag, connections, sandbox, numbers, monkeypatch
):
    """The task is up for retry with its first batch accepted; the second try sends the rest."""
    monkeypatch.setattr("airflow_provider_sms.submitting._BACKOFF", (0.01, 0.01))
    conn_id = connections("wavecom", max_in_flight=1)
    sandbox.faults.add(Fault("busy", operation="send", after=1, times=5))
    ended = run_dag(
        lambda: SmsSendOperator(
            task_id="send",
            sms_conn_id=conn_id,
            content="第{{ ti.try_number }}次【公司】",
            recipients=numbers(250),
            retries=3,
            retry_delay=timedelta(0),
        )
    )
    assert ended.state == "success"
    assert ended.tries["send"] > 1
    assert ended.xcoms["send"]["accepted"] == 250
    assert texts_of(sandbox, "wavecom") == dict.fromkeys(numbers(250), "第1次【公司】")
    assert sandbox.count_messages("wavecom") == 250


def test_an_unknown_outcome_is_not_retried_by_airflow(run_dag, connections, sandbox, numbers):
    """The task fails for good at its first try, whatever its retries."""
    conn_id = connections("wavecom")
    sandbox.faults.add(Fault("reset_after", operation="send"))
    ended = run_dag(
        lambda: SmsSendOperator(
            task_id="send", sms_conn_id=conn_id, content=TEXT, recipients=numbers(3), retries=3,
            retry_delay=timedelta(0),
        )
    )  # fmt: skip
    assert (ended.state, ended.tries["send"]) == ("failed", 1)
    assert sandbox.calls.count("wavecom", "send") == 1


def test_each_mapped_task_is_a_send_of_its_own(run_dag, connections, sandbox, numbers):
    """Its key ends in its map index, and a number in two of them gets two messages."""
    conn_id = connections("smsadmin")
    lists = [numbers(3), numbers(2)]
    ended = run_dag(
        lambda: SmsSendOperator.partial(task_id="send", sms_conn_id=conn_id, content=TEXT).expand(
            recipients=lists
        )
    )
    assert ended.state == "success"
    assert {name: result["accepted"] for name, result in ended.xcoms.items()} == {
        ("send", 0): 3,
        ("send", 1): 2,
    }
    assert [ended.xcoms["send", index]["send_key"].rsplit("/", 1)[1] for index in (0, 1)] == ["0", "1"]
    assert sandbox.count_messages("smsadmin") == 5


def test_recipients_may_come_from_another_task(run_dag, connections, sandbox):
    """As rows by XCom, and a template send fills them in."""
    conn_id = connections("beidoutong")

    def build():
        @task
        def people():
            return [{"mobile": "13800000000", "name": "镕"}, {"mobile": "13800000001", "name": "喆"}]

        SmsTemplateSendOperator(
            task_id="send",
            sms_conn_id=conn_id,
            recipients=people(),
            template="{name}：{{ ds_nodash or '' }}好",
        )

    assert run_dag(build).state == "success"
    assert {text[0] for text in texts_of(sandbox, "beidoutong").values()} == {"镕", "喆"}


def test_numbers_and_texts_are_not_shown_as_rendered_fields(run_dag, connections, sandbox, numbers):
    """Neither on Airflow's page nor in the database behind it; mapped tasks are no exception."""
    conn_id = connections("wavecom")
    people = numbers(2)
    sandbox.queue_replies("wavecom", [(people[0], "暗号")])

    def build():
        send = {"sms_conn_id": conn_id, "extno": ""}
        SmsSendOperator(task_id="one", content="机密【公司】", recipients=people, **send)
        SmsTemplateSendOperator(
            task_id="many", template="机密{name}", recipients=[{"mobile": people[0], "name": "某人"}], **send
        )
        SmsSendOperator.partial(task_id="mapped", content="机密【公司】", **send).expand(recipients=[people])
        SmsReplySensor(
            task_id="wait", sms_conn_id=conn_id, mobile=people[0], pattern="暗号",
            since="2020-01-01T00:00:00+08:00", poke_interval=0.1,
        )  # fmt: skip

    ended = run_dag(build)
    assert ended.state == "success"
    shown = json.dumps(list(ended.rendered.values()), ensure_ascii=False)
    assert len(ended.rendered) == 4
    for secret in ("机密", "某人", "暗号", *people):
        assert secret not in shown
    assert ended.rendered["one"]["content"] == "(concealed: 6 characters)"
    assert ended.rendered["mapped", 0]["recipients"] == "(concealed: 2 entries)"
    assert ended.rendered["one"]["sms_conn_id"] == conn_id


def test_a_field_that_cannot_be_rendered_is_not_quoted(run_dag, connections, numbers, told):
    """Airflow logs the template, and Jinja's error its line: with every number and the whole text."""
    conn_id = connections("beidoutong")
    people = numbers(2)

    def build():
        send = {"sms_conn_id": conn_id, "retries": 0}
        SmsSendOperator(task_id="text", recipients=people, content="张三取件码玖伍贰柒{#12}【公司】", **send)
        SmsSendOperator(task_id="people", recipients=[*people, "{{ gone.x }}"], content="好【公司】", **send)
        mapped = SmsSendOperator.partial(task_id="mapped", recipients=people, **send)
        mapped.expand(content=["张三取件码玖伍贰柒，编号{#12}【公司】"])

    ended = run_dag(build)
    assert ended.state == "failed"
    shown = told()
    assert shown.count("its template cannot be rendered (TemplateSyntaxError)") >= 2
    assert "UndefinedError: 'gone' is undefined" in shown
    for secret in ("玖伍贰柒", *people):
        assert secret not in shown


def test_a_macro_that_skips_the_task_skips_it(run_dag, connections, sandbox, numbers, told):
    """And a Variable that is missing is named, in whatever words this Airflow has."""
    conn_id = connections("beidoutong")

    def nothing_to_say():
        raise AirflowSkipException

    def build():
        send = {"sms_conn_id": conn_id, "recipients": numbers(1), "retries": 0}
        SmsSendOperator(task_id="skipped", content="{{ nothing_to_say() }}", **send)
        SmsSendOperator(task_id="missing", content="{{ var.value.sms_text_of_today }}", **send)

    ended = run_dag(build, user_defined_macros={"nothing_to_say": nothing_to_say})
    assert ended.states["skipped"] == "skipped"
    assert ended.states["missing"] == "failed"
    assert "sms_text_of_today" in told()
    assert sandbox.count_messages("beidoutong") == 0


def test_each_count_is_an_output_of_its_own(run_dag, connections, numbers):
    """A task downstream takes the key alone: ``send.output["send_key"]``."""
    conn_id = connections("wavecom")

    def build():
        @task
        def look(key, accepted):
            return [key, list(accepted)]

        send = SmsSendOperator(task_id="send", sms_conn_id=conn_id, content=TEXT, recipients=numbers(3))
        mapped = SmsSendOperator.partial(task_id="mapped", sms_conn_id=conn_id, content=TEXT)
        each = mapped.expand(recipients=[numbers(1), numbers(2)])
        look(send.output["send_key"], each.output["accepted"])

    ended = run_dag(build)
    assert ended.state == "success"
    assert ended.xcoms["look"] == [ended.xcoms["send"]["send_key"], [1, 2]]


def test_the_error_says_how_the_send_stands_and_what_a_retry_does(run_dag, connections, sandbox, numbers):
    """Of five calls one is accepted, one lost, one refused; the next run sends the rest, nothing twice."""
    conn_id = connections("wavecom", max_in_flight=1)
    sandbox.faults.add(
        Fault("reset_after", operation="send", after=1), Fault("busy", operation="send", after=2, times=None)
    )
    given = {"sms_conn_id": conn_id, "content": "您好【公司】", "recipients": numbers(500), "send_key": "k"}
    operator = SmsSendOperator(task_id="send", on_unknown="ignore", **given)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("airflow_provider_sms.submitting._BACKOFF", (0.01, 0.01))
        with pytest.raises(SubmitNotSent) as caught:
            operator.execute({})
    said = str(caught.value)
    assert "of 500 recipients 100 accepted, 0 rejected, 100 unknown, 300 not sent" in said
    assert "A retry sends what was not sent, and nothing twice" in said
    assert "nothing is sent again by itself" in said
    sandbox.faults.clear()
    sandbox.account("wavecom").locked = True
    with pytest.raises(AirflowFailException) as caught:
        operator.execute({})
    said = str(caught.value)
    assert "of 500 recipients 100 accepted, 100 rejected, 100 unknown, 200 not sent" in said
    assert "it sends what was rejected or not sent, and nothing twice" in said
    sandbox.account("wavecom").locked = False
    counts = operator.execute({})
    assert (counts["accepted"], counts["unknown"], counts["not_sent"]) == (400, 100, 0)
    assert run_dag(lambda: SmsSendOperator(task_id="send", retries=0, **given)).state == "failed"
    assert sandbox.count_messages("wavecom") == 500
    assert sandbox.accepted_more_than_once() == {}


# --- without a DAG ----------------------------------------------------------------------------------


@EACH_VENDOR
def test_an_empty_context_is_enough(connections, sandbox, numbers, vendor, told):
    """In a script or a notebook the key is random, and logged."""
    operator = SmsSendOperator(
        task_id="send", sms_conn_id=connections(vendor), content="您好【公司】", recipients=numbers(3)
    )
    first = operator.execute({})
    assert first["send_key"] in told()
    assert operator.execute({})["send_key"] != first["send_key"]
    assert sandbox.count_messages(vendor) == 6


def test_an_operator_run_by_hand_in_a_task_must_name_its_key(connections, sandbox, numbers):
    """A key made up by every try of the outer task would send everything again with each retry."""
    from airflow.sdk.execution_time.context import set_current_context

    given = {"sms_conn_id": connections("wavecom"), "content": "您好【公司】", "recipients": numbers(3)}
    with set_current_context({"run_id": "run"}):
        with pytest.raises(AirflowFailException, match=r"give a send_key: a retry must know its send"):
            SmsSendOperator(task_id="send", **given).execute({})
        assert sandbox.count_messages("wavecom") == 0
        assert SmsSendOperator(task_id="send", send_key="run/welcome", **given).execute({})["accepted"] == 3


def test_two_operators_that_a_task_executes_by_hand_are_two_sends(run_dag, connections, sandbox, numbers):
    """Both get the task's context; under one key, nobody would read the second text."""
    conn_id = connections("wavecom")

    @task(retries=0)
    def both(**context: Any):
        for name in ("first", "second"):
            SmsSendOperator(
                task_id=name, sms_conn_id=conn_id, content=f"{name}【公司】", recipients=numbers(2)
            ).execute(context)

    assert run_dag(both).state == "success"
    assert sorted(message.content for message in sandbox.messages("wavecom")) == [
        *["first【公司】"] * 2, *["second【公司】"] * 2,
    ]  # fmt: skip


def test_the_same_key_by_two_operators_sends_once(connections, sandbox, numbers):
    """A key that the user gives holds wherever it is used."""
    given = {"sms_conn_id": connections("linkws"), "content": "您好【公司】", "recipients": numbers(3)}
    for task_id in ("one", "two"):
        assert SmsSendOperator(task_id=task_id, send_key="same", **given).execute({})["accepted"] == 3
    assert sandbox.count_messages("linkws") == 3


def test_recipients_from_a_query(connections, sandbox, monkeypatch, tmp_path):
    """Through the engine of the connection's own hook; ``%`` needs no doubling."""
    with closing(sqlite3.connect(tmp_path / "crm.db")) as crm, crm:
        crm.execute("CREATE TABLE people (mobile, name)")
        crm.executemany("INSERT INTO people VALUES (?, ?)", [("13800000000", "镕"), ("13800000001", "李%")])
    monkeypatch.setenv(
        "AIRFLOW_CONN_CRM", json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "crm.db")})
    )
    result = SmsTemplateSendOperator(
        task_id="send", sms_conn_id=connections("smsadmin"), template="{name}您好", sql_conn_id="crm",
        sql="SELECT mobile, name FROM people WHERE name LIKE '%\\%%' ESCAPE '\\'",
    ).execute({})  # fmt: skip
    assert result["accepted"] == 1
    assert texts_of(sandbox, "smsadmin") == {"13800000001": "李%您好"}


@pytest.mark.parametrize("scheme", ["", "file://"])
@pytest.mark.parametrize("kind", ["csv-utf8", "csv-gb", "parquet"])
def test_recipients_from_a_file(connections, sandbox, tmp_path, scheme, kind):
    """By a plain path or an address."""
    rows = pd.DataFrame({"mobile": ["13800000000"], "name": ["镕堃喆玥"]})
    path = tmp_path / f"people.{kind.partition('-')[0]}"
    if kind == "parquet":
        rows.to_parquet(path)
    else:
        rows.to_csv(path, index=False, encoding="gb18030" if kind == "csv-gb" else "utf-8-sig")
    SmsTemplateSendOperator(
        task_id="send", sms_conn_id=connections("wavecom"), template="{name}您好", path=f"{scheme}{path}"
    ).execute({})
    assert texts_of(sandbox, "wavecom") == {"13800000000": "镕堃喆玥您好"}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "exactly one of recipients, sql and path (given: none)"),
        ({"recipients": ["13800000000"], "path": "x.csv"}, "(given: recipients, path)"),
        ({"sql": "SELECT 1"}, "sql needs sql_conn_id"),
        ({"sql": ["SELECT 1"], "sql_conn_id": "crm"}, "sql is a list: give one SELECT as text"),
        ({"sql": " ", "sql_conn_id": "crm"}, "sql is empty: give one SELECT as text"),
        ({"recipients": ["1"]}, "row 1"),
        ({"recipients": ["13800000000"], "content": 123456}, "content is of type int, and must be text"),
        ({"recipients": ["13800000000"], "content": None}, "content is None, and must be text"),
        ({"recipients": ["13800000000"], "send_at": "soon"}, "send_at is no time"),
        ({"recipients": ["13800000000"], "on_unknown": "maybe"}, "on_unknown is 'maybe'"),
        ({"recipients": ["13800000000"], "sms_conn_id": "nowhere"}, "connection 'nowhere': 1 problem"),
        ({"recipients": ["13800000000"], "store_conn_id": "nowhere"}, "store connection 'nowhere'"),
    ],
)
def test_wrong_input_fails_for_good_with_one_clear_error(connections, sandbox, given, says):
    """A retry cannot mend it, so Airflow is told not to try; nothing reaches the vendor."""
    given = {"sms_conn_id": connections("wavecom"), "content": "您好", **given}
    with pytest.raises(AirflowFailException) as caught:
        SmsSendOperator(task_id="send", **given).execute({})
    assert says in str(caught.value)
    assert "nothing was sent" in str(caught.value)
    assert sandbox.calls.count() == 0


def test_a_text_that_rendered_to_a_number_is_told(run_dag, connections, told):
    """By a DAG that renders native objects; what it is, and not the number."""
    conn_id = connections("wavecom")

    def build():
        SmsTemplateSendOperator(
            task_id="send", sms_conn_id=conn_id, recipients=["13800000000"], template="{{ 240617 }}"
        )

    assert run_dag(build, render_template_as_native_obj=True).state == "failed"
    shown = told()
    assert "template is of type int, and must be text" in shown
    assert "240617" not in shown


def test_what_a_retry_mends_is_left_to_airflow(connections, numbers, monkeypatch):
    """A refused connection is our own error, which Airflow retries."""
    monkeypatch.setattr("airflow_provider_sms.submitting._BACKOFF", (0.01, 0.01))
    with Sandbox.closed_port() as port:
        conn_id = connections("wavecom", fields={"port": port})
        operator = SmsSendOperator(
            task_id="send", sms_conn_id=conn_id, content="您好", recipients=numbers(1), send_key="k"
        )
        with pytest.raises(SubmitNotSent):
            operator.execute({})


@EACH_VENDOR
@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param({"password": "wrong-password"}, id="password"),
        pytest.param({"conn_type": "sms_unheard_of"}, id="type"),
        pytest.param({"login": ""}, id="no-login"),
        pytest.param({"extra": {"time_out": 3}}, id="unknown-field"),
        pytest.param({"schema": "ftp"}, id="schema"),
    ],
)
def test_a_wrong_connection_fails_for_good_and_is_named(connections, sandbox, numbers, vendor, spoil):
    """One error, with what to do and without the password."""
    conn_id = connections(vendor, fields=spoil)
    operator = SmsSendOperator(
        task_id="send", sms_conn_id=conn_id, content="您好【公司】", recipients=numbers(2)
    )
    with pytest.raises(AirflowFailException) as caught:
        operator.execute({})
    assert conn_id in str(caught.value)
    assert "wrong-password" not in str(caught.value)
    assert sandbox.account(vendor).password not in str(caught.value)
    assert sandbox.count_messages(vendor) == 0


def test_beidoutong_without_its_company_id_fails_for_good(connections, sandbox, numbers):
    """The vendor cannot do without."""
    conn_id = connections("beidoutong", fields={"extra": {}})
    with pytest.raises(AirflowFailException, match="'userid' is empty"):
        SmsSendOperator(task_id="s", sms_conn_id=conn_id, content="好", recipients=numbers(1)).execute({})
    assert sandbox.calls.count() == 0
