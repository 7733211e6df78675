"""Tasks that are told to stop: on SIGTERM Airflow calls ``on_kill``, and goes on when that returns."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
from airflow.sdk.exceptions import AirflowTaskTimeout

from airflow_provider_sms.operators.sms import SmsCollectOperator, SmsSendOperator, SmsTemplateSendOperator
from airflow_provider_sms.sandbox import Fault
from airflow_provider_sms.sensors.sms import SmsReplySensor, SmsReportSensor

TASKS = [
    lambda: SmsCollectOperator(task_id="t", sms_conn_id="sms_wavecom"),
    lambda: SmsSendOperator(task_id="t", sms_conn_id="sms_wavecom", content="x", recipients=[]),
    lambda: SmsTemplateSendOperator(task_id="t", sms_conn_id="sms_wavecom", template="{a}", recipients=[]),
    lambda: SmsReportSensor(task_id="t", sms_conn_id="sms_wavecom", min_records=1),
    lambda: SmsReplySensor(task_id="t", sms_conn_id="sms_wavecom", min_records=1),
]


@pytest.mark.parametrize("make", TASKS)
def test_a_task_that_is_told_to_stop_stops(make):
    """Airflow lets a SystemExit be retried."""
    with pytest.raises(SystemExit) as stopped:
        make().on_kill()
    assert stopped.value.code == 143


@pytest.mark.parametrize("make", TASKS)
def test_after_a_time_out_the_time_out_is_what_airflow_sees(make):
    """Airflow calls ``on_kill`` then, too, before it lets its own error go on."""
    try:
        raise AirflowTaskTimeout  # noqa: TRY301 - as Airflow does it
    except AirflowTaskTimeout:
        assert make().on_kill() is None


def test_a_collection_told_to_stop_ends_between_two_pages(sandbox, connections, rows):
    """What Airflow's SIGKILL would find five seconds later is a read that was cut off; it finds nothing."""
    sandbox.queue_reports("wavecom", 1000)
    sandbox.faults.add(Fault("slow", operation="reports", seconds=0.4, times=None))
    operator = SmsCollectOperator(task_id="t", sms_conn_id=connections("wavecom"))

    def terminate() -> None:
        while sandbox.calls.in_flight_now("wavecom", "reports") == 0:
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, lambda *_: operator.on_kill())
    try:
        threading.Thread(target=terminate, daemon=True).start()
        with pytest.raises(SystemExit):
            operator.execute({})
    finally:
        signal.signal(signal.SIGTERM, before)
    assert rows("SELECT state, count(*) FROM sms_pages GROUP BY state") == [("read", 1)]
    sandbox.faults.clear()
    assert operator.execute({})["records"] == 1000
    assert rows("SELECT count(*) FROM sms_pages WHERE state = 'suspect'") == [0]
