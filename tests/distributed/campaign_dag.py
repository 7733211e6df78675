"""The DAG that the workers and triggerers of this folder's test run: a send, and two who want its reports."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_sms.operators.sms import SmsCollectOperator, SmsSendOperator
from airflow_provider_sms.sensors.sms import SmsReportSensor

with DAG(
    "campaign",
    schedule=None,
    start_date=datetime(2025, 1, 1),  # noqa: DTZ001 - of no interest to a DAG without a schedule
    max_active_runs=50,
    default_args={"retries": 20, "retry_delay": timedelta(seconds=1), "sms_conn_id": "account"},
):
    send = SmsSendOperator(
        task_id="send",
        content="您的订单 {{ run_id }} 已发货【公司】",
        recipients="{{ dag_run.conf['recipients'] }}",
        send_key="{{ run_id }}",
        # The run goes on: whether the people got it, its reports will say.
        on_unknown="ignore",
    )
    collect = SmsCollectOperator(task_id="collect", sms_queue="reports", max_pages=1)
    wait = SmsReportSensor(
        task_id="wait", send_key="{{ run_id }}", deferrable=True, poll_interval=2, timeout=600
    )
    send >> [collect, wait]
