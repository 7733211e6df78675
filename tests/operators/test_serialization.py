"""Every operator goes into a DAG's serialized form and back, and into partial tasks."""

from __future__ import annotations

import pytest
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from airflow_provider_sms.notifications.sms import SmsNotifier
from airflow_provider_sms.operators.delivery import SmsDeliveryDailyOperator
from airflow_provider_sms.operators.export import SmsExportOperator
from airflow_provider_sms.operators.report import SmsDeliveryReportOperator
from airflow_provider_sms.operators.settle import SmsSettleOperator
from airflow_provider_sms.operators.sms import (
    SmsBalanceCheckOperator,
    SmsCollectOperator,
    SmsSendOperator,
    SmsTemplateSendOperator,
)
from airflow_provider_sms.sensors.sms import SmsReplySensor, SmsReportSensor

OPERATORS = {
    SmsSendOperator: {
        "content": "{{ ds }} 您好",
        "recipients": ["{{ params.mobile }}"],
        "send_at": "{{ data_interval_end }}",
        "extno": "12",
        "send_key": "{{ run_id }}",
        "on_unknown": "ignore",
    },
    SmsTemplateSendOperator: {"template": "{name} {{ ds }}", "sql": "people.sql", "sql_conn_id": "crm"},
    SmsBalanceCheckOperator: {"threshold": "{{ var.value.least }}", "on_low": "skip"},
    SmsCollectOperator: {"sms_queue": "replies", "max_pages": "{{ params.pages }}", "max_seconds": 5},
}


#: All of them, with what their constructors ask for.
WITH_RESULTS = {
    **{kind: {"sms_conn_id": "sms_main", **given} for kind, given in OPERATORS.items()},
    SmsSettleOperator: {"send_key": "campaign"},
    SmsDeliveryDailyOperator: {},
    SmsExportOperator: {"table": "messages"},
    SmsDeliveryReportOperator: {"path": "delivery.html"},
}


@pytest.mark.parametrize("kind", WITH_RESULTS, ids=lambda kind: kind.__name__)
def test_each_entry_of_a_result_is_an_xcom_of_its_own(kind):
    """A task downstream takes one by its name; who wants the dict alone says so."""
    assert kind(task_id="task", **WITH_RESULTS[kind]).multiple_outputs is True
    assert kind(task_id="task", multiple_outputs=False, **WITH_RESULTS[kind]).multiple_outputs is False


#: What says "otherwise as" of another class.
TOLD_ELSEWHERE = {SmsTemplateSendOperator: SmsSendOperator}


@pytest.mark.parametrize(
    "kind", [*WITH_RESULTS, SmsReportSensor, SmsReplySensor, SmsNotifier], ids=lambda kind: kind.__name__
)
def test_the_reference_marks_what_is_templated(kind):
    """All of it, and nothing else."""
    doc = kind.__doc__ + TOLD_ELSEWHERE.get(kind, object).__doc__
    pieces = [piece.partition(":") for piece in doc.split(":param ")[1:]]
    told = {name for name, _, about in pieces if "(templated" in about}
    assert told - {"content"} == set(kind.template_fields) - {"content"}


@pytest.mark.parametrize("kind", OPERATORS, ids=lambda kind: kind.__name__)
def test_template_fields_come_back_as_they_were_given(kind, tmp_path):
    """What is templated is an attribute of the same name, and survives."""
    (tmp_path / "people.sql").write_text("SELECT mobile, name FROM people")
    given = {"sms_conn_id": "sms_{{ params.vendor }}", "store_conn_id": "archive", **OPERATORS[kind]}
    with DAG("serialized", schedule=None, template_searchpath=[str(tmp_path)]) as dag:
        operator = kind(task_id="task", **given)
    assert set(given) <= set(kind.template_fields)
    back = DagSerialization.from_dict(DagSerialization.to_dict(dag)).get_task("task")
    for name, value in given.items():
        assert getattr(operator, name) == value
        assert getattr(back, name) == value


def test_a_sql_file_is_read_when_it_is_rendered(tmp_path):
    """By its ending, relative to the DAG's search path."""
    (tmp_path / "people.sql").write_text("SELECT mobile FROM people WHERE day = '{{ ds }}'")
    with DAG("files", schedule=None, template_searchpath=[str(tmp_path)]):
        operator = SmsSendOperator(
            task_id="send", sms_conn_id="c", content="好", sql="people.sql", sql_conn_id="crm"
        )
    operator.resolve_template_files()
    operator.render_template_fields({"ds": "2026-01-01"})
    assert operator.sql == "SELECT mobile FROM people WHERE day = '2026-01-01'"
    assert operator.content == "好"
    assert "好" not in repr(operator.content)


@pytest.mark.parametrize("sms_conn_id", ["sms_{{ ds }}", "sms_main"])
def test_outlets_are_those_of_a_connection_that_is_known(sms_conn_id):
    """A templated one is known too late for Airflow to schedule on it."""
    operator = SmsCollectOperator(task_id="collect", sms_conn_id=sms_conn_id, queue="replies")
    expected = [] if "{{" in sms_conn_id else ["sms://sms_main/replies"]
    assert [outlet.uri for outlet in operator.outlets] == expected
    own = SmsCollectOperator(task_id="own", sms_conn_id=sms_conn_id, outlets=[])
    assert own.outlets == []
