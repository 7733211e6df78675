"""
### Tell customers that their order is on its way, and notice when the message does not arrive.

1. **notify** reads the day's orders with SQL and sends each customer a text of their own, at most once: a
   retry goes on where the first try stopped, and a batch whose outcome nobody knows is never repeated.
2. **wait_for_reports** waits until `min_share` of the accepted messages have a final delivery report. It
   waits on the tables, so other DAGs may watch the same account.
3. **check_delivery** fails below `min_delivery_rate`, and says what to look at.

Runs at ten in the morning, when people may be texted. To notify another region, or by another vendor,
trigger it with other params.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import CronTriggerTimetable, Param, dag, task

from airflow_provider_sms.operators.sms import SmsTemplateSendOperator
from airflow_provider_sms.sensors.sms import SmsReportSensor

CHINA = "Asia/Shanghai"


@dag(
    schedule=CronTriggerTimetable("0 10 * * *", timezone=CHINA),
    start_date=pendulum.datetime(2026, 1, 1, tz=CHINA),
    catchup=False,
    max_active_runs=4,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=2)},
    params={
        "sms_conn_id": Param("sms_beidoutong", type="string", title="Connection of the SMS account"),
        "sql_conn_id": Param("customers", type="string", title="Connection of the customers' database"),
        # These two are put into the SQL: a closed list and a date format let nothing else in.
        "region": Param("华东", enum=["华东", "华南", "华北"], title="Region"),
        "shipped_on": Param(None, type=["null", "string"], format="date", title="Day (the run's if empty)"),
        "min_share": Param(0.9, type="number", exclusiveMinimum=0, maximum=1, title="Reports to wait for"),
        "min_delivery_rate": Param(0.9, type="number", minimum=0, maximum=1, title="Least delivery rate"),
    },
    doc_md=__doc__,
    tags=["example", "sms"],
)
def example_sms_notification() -> None:
    """Send, wait, check."""
    # [START howto_operator_sms_template_send]
    # At ten in the morning the date in UTC, which ds is, and the date in China are the same.
    notify = SmsTemplateSendOperator(
        task_id="notify",
        sms_conn_id="{{ params.sms_conn_id }}",
        template="{name}，您的订单 {order_no} 已发货，共 {amount} 元，预计三日内送达。",
        sql="""
            SELECT mobile, name, order_no, amount
            FROM orders
            WHERE region = '{{ params.region }}' AND shipped_on = '{{ params.shipped_on or ds }}'
        """,
        sql_conn_id="{{ params.sql_conn_id }}",
    )
    # [END howto_operator_sms_template_send]

    # [START howto_sensor_sms_report]
    wait_for_reports = SmsReportSensor(
        task_id="wait_for_reports",
        sms_conn_id="{{ params.sms_conn_id }}",
        send_key="{{ ti.xcom_pull(task_ids='notify')['send_key'] }}",
        min_share="{{ params.min_share }}",
        mode="reschedule",
        poke_interval=timedelta(minutes=1),
        timeout=timedelta(hours=2),
    )
    # [END howto_sensor_sms_report]

    # [START howto_check_delivery_rate]
    @task(retries=0)
    def check_delivery(reports: dict[str, int], params: dict[str, Any] | None = None) -> float:
        """Give the share of the reported messages that were delivered; fail if it is too small."""
        least = (params or {})["min_delivery_rate"]
        rate = reports["delivered"] / reports["reported"]
        if rate < least:
            msg = (
                f"{reports['delivered']:,} of {reports['reported']:,} reported messages were delivered, "
                f"{rate:.1%}; at least {least:.1%} were wanted. "
                "The view sms_message_status has the carriers' error codes"
            )
            raise AirflowFailException(msg)
        return rate

    # [END howto_check_delivery_rate]

    notify >> wait_for_reports >> check_delivery(wait_for_reports.output)  # type: ignore[arg-type]


example_sms_notification()
