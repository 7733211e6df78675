"""Deferrable sensors: into the triggerer and back, with the results and errors of poke mode."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)

from airflow_provider_sms.errors import WireFormatError
from airflow_provider_sms.operators.sms import SmsSendOperator
from airflow_provider_sms.sandbox.faults import Fault
from airflow_provider_sms.sensors.sms import SmsReplySensor, SmsReportSensor

LONG_AGO = "2020-01-01T00:00:00+08:00"
MOBILE = "13800138000"


def reply_sensor(**given: Any) -> SmsReplySensor:
    given = {"task_id": "wait", "sms_conn_id": "sms_wavecom", "since": LONG_AGO, "deferrable": True} | given
    return SmsReplySensor(poke_interval=0.2, **given)


def deferred(sensor, context=None) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        sensor.execute(context or {})
    return caught.value


def event_of(trigger) -> dict[str, Any]:
    async def first():
        return (await anext(aiter(trigger.run()))).payload

    return asyncio.run(asyncio.wait_for(first(), 20))


def resumed(sensor, deferral, event=None):
    """Do what a worker does when the trigger has fired."""
    event = event or event_of(deferral.trigger)
    return sensor.resume_execution(deferral.method_name, {**deferral.kwargs, "event": event}, {})


def test_not_deferred_when_it_is_there_already(sandbox, connections):
    connections("wavecom")
    sandbox.queue_replies("wavecom", [{"mobile": MOBILE, "content": "1"}])
    assert reply_sensor().execute({})["replies"] == 1


def test_comes_back_with_the_same_as_a_poke(sandbox, connections, rows):
    connections("wavecom")
    sensor = reply_sensor(mobile=MOBILE, pattern="^好")
    deferral = deferred(sensor)
    sandbox.queue_replies("wavecom", [{"mobile": MOBILE, "content": "好的"}])
    found = resumed(sensor, deferral)
    assert found == reply_sensor(mobile=MOBILE, pattern="^好", deferrable=False).poke({}).xcom_value
    assert found["replies"] == 1
    assert rows("SELECT count(*) FROM sms_waits") == [0]


def test_the_trigger_knows_no_number_and_no_text(connections):
    """Airflow stores, shows and logs what a deferral carries."""
    connections("wavecom")
    deferral = deferred(reply_sensor(mobile=MOBILE, pattern="secret text"))
    carried = repr((deferral.trigger.serialize(), deferral.kwargs, deferral.trigger))
    assert MOBILE not in carried
    assert MOBILE[-8:] not in carried
    assert "secret" not in carried
    assert len(carried) < 1000


def test_reports_of_a_send(sandbox, connections):
    connections("wavecom")
    sent = SmsSendOperator(
        task_id="send", sms_conn_id="sms_wavecom", content="你好", recipients=[MOBILE], send_key="one"
    ).execute({})
    sandbox.faults.add(Fault("busy", vendor="wavecom", operation="reports"))
    sensor = SmsReportSensor(
        task_id="wait",
        sms_conn_id="sms_wavecom",
        send_key=sent["send_key"],
        deferrable=True,
        poll_interval=0.2,
    )
    found = resumed(sensor, deferred(sensor))
    assert found["reported"] == 1
    assert found["pending"] == 0


def test_a_wrong_password_is_noticed_before_deferring(connections):
    connections("wavecom", fields={"password": "wrong"})
    with pytest.raises(AirflowFailException, match="AuthenticationFailed"):
        reply_sensor().execute({})


def test_a_password_that_is_changed_meanwhile_fails_for_good(connections):
    connections("wavecom")
    sensor = reply_sensor()
    deferral = deferred(sensor)
    connections("wavecom", fields={"password": "changed"})
    with pytest.raises(AirflowFailException, match="AuthenticationFailed"):
        resumed(sensor, deferral)


def test_what_a_retry_may_mend_is_retried(connections):
    """What answers is not the vendor: an ordinary error, and Airflow tries again."""
    connections("wavecom")
    sensor = reply_sensor()
    event = {"status": "error", "error": "WireFormatError", "message": "no page of the vendor"}
    with pytest.raises(WireFormatError, match="no page of the vendor"):
        resumed(sensor, deferred(sensor), event)


def test_a_false_alarm_waits_on(connections, rows):
    """Whatever the trigger tells, the tables decide; the wait is a new one, its clock goes on."""
    connections("wavecom")
    sensor = reply_sensor(timeout=60)
    first = deferred(sensor)
    with pytest.raises(TaskDeferred) as caught:
        resumed(sensor, first, {"status": "gone"})
    second = caught.value
    assert second.kwargs["began"] == first.kwargs["began"]
    assert second.timeout < first.timeout <= timedelta(seconds=60)
    assert rows("SELECT wait_id FROM sms_waits") == [second.kwargs["wait_id"]]


def test_the_timeout_counts_across_deferrals(connections):
    connections("wavecom")
    sensor = reply_sensor(timeout=60)
    deferral = deferred(sensor)
    deferral.kwargs["began"] = (datetime.now(UTC) - timedelta(seconds=61)).isoformat()
    with pytest.raises(AirflowSensorTimeout):
        resumed(sensor, deferral, {"status": "gone"})


def test_a_trigger_that_timed_out(connections):
    connections("wavecom")
    sensor = reply_sensor()
    with pytest.raises(AirflowSensorTimeout):
        sensor.resume_execution("__fail__", {"error": "Trigger timeout"}, {})


@pytest.mark.parametrize("lenient", ["soft_fail", "never_fail"])
def test_lenient_sensors_skip(connections, lenient):
    connections("wavecom", fields={"password": "wrong"})
    with pytest.raises(AirflowSkipException):
        reply_sensor(**{lenient: True}).execute({})


def test_silent_sensors_wait_on(connections, sandbox):
    """An error that is no verdict is logged, and the sensor waits."""
    connections("wavecom")
    sandbox.faults.add(Fault("html", vendor="wavecom", operation="replies"))
    deferred(reply_sensor(silent_fail=True))


def test_bad_parameters_fail_before_anything_is_deferred(connections):
    connections("wavecom")
    with pytest.raises(AirflowFailException, match="poll_interval"):
        reply_sensor(poll_interval="often").execute({})
    with pytest.raises(AirflowFailException, match="regular expression"):
        reply_sensor(pattern="(").execute({})


def test_first_looks_share_a_poll(sandbox, connections, rows):
    """Many sensors that start together read the queue once."""
    connections("wavecom")
    for _ in range(5):
        deferred(reply_sensor(poll_interval=30))
    assert rows("SELECT count(*) FROM sms_pages") == [1]
    assert sandbox.calls.by_operation("wavecom")["replies"] == 1


def test_assets_hear_what_landed(sandbox, connections):
    """What the triggerer collected meanwhile is in the event that wakes other DAGs."""
    connections("wavecom")
    sensor = reply_sensor()
    deferral = deferred(sensor)
    sandbox.queue_replies("wavecom", 3)
    event = event_of(deferral.trigger)

    class Told:
        extra: Any = None

    told = Told()
    context = {"outlet_events": {sensor.outlets[0]: told}, "task": sensor}
    sensor.resume_execution(deferral.method_name, {**deferral.kwargs, "event": event}, context)
    assert told.extra == {"pages": 1, "records": 3, "quarantined": 0, "suspect": 0}


def test_deferrable_by_default_where_airflow_says_so(connections):
    """The class follows [operators] default_deferrable, read when it is defined."""
    connections("wavecom")
    assert reply_sensor(deferrable=False).deferrable is False
    sensor = SmsReplySensor(task_id="wait", sms_conn_id="sms_wavecom")
    assert sensor.deferrable is False
    assert sensor._interval() == 60


@pytest.mark.parametrize("store_too", [False, True])
def test_waits_in_dag_test_by_connections_of_airflows_database(
    run_dag, sandbox, store, monkeypatch, store_too
):
    """Where dag.test() and ``airflow dags test`` run a trigger, Airflow looks nothing up for a coroutine."""
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session

    account = sandbox.connection("wavecom")
    fields = {name: account[name] for name in ("conn_type", "host", "port", "schema", "login", "password")}
    added = [Connection(conn_id="kept_account", **fields)]
    if store_too:
        monkeypatch.delenv("AIRFLOW_CONN_SMS_STORE")
        added.append(Connection(conn_id="sms_store", conn_type="sqlite", host=store.engine.url.database))
    with create_session() as session:
        session.add_all(added)
    # The sensor's own look gets nothing, so it is the trigger that reads.
    sandbox.faults.add(Fault("busy", vendor="wavecom", operation="replies"))
    sandbox.queue_replies("wavecom", 1)
    try:
        ended = run_dag(lambda: reply_sensor(sms_conn_id="kept_account", timeout=20))
    finally:
        with create_session() as session:
            for each in added:
                session.delete(each)
    assert ended.state == "success"
    assert ended.xcoms["wait"]["replies"] == 1
