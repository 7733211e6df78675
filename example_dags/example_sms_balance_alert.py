"""
### Ask four vendors what is left, and tell the chat group before it runs out.

**check_balance** is mapped over the accounts, each with the threshold at which somebody should pay; the
amounts are kept in `sms_balances`. A low balance is told to the group's webhook, in the form that DingTalk's
and WeCom's robots take, and the run goes on. **summarise** fails when an account could not be asked: no news
is not good news.

The connection `sms_alert_chat` is of type `http`: its host is the robot's, its password the robot's token.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.providers.http.notifications.http import HttpNotifier
from airflow.sdk import CronTriggerTimetable, dag, task

from airflow_provider_sms.operators.sms import SmsBalanceCheckOperator

CHINA = "Asia/Shanghai"
log = logging.getLogger(__name__)

# [START howto_operator_sms_balance_check_accounts]
# Thresholds are in the vendor's own unit: messages, or yuan for smsadmin.
ACCOUNTS: list[dict[str, Any]] = [
    {"sms_conn_id": "sms_beidoutong", "threshold": 10_000},
    {"sms_conn_id": "sms_wavecom", "threshold": 5_000},
    {"sms_conn_id": "sms_linkws", "threshold": 5_000},
    {"sms_conn_id": "sms_smsadmin", "threshold": 500},
]
# [END howto_operator_sms_balance_check_accounts]


@dag(
    schedule=CronTriggerTimetable("0 8-20 * * *", timezone=CHINA),
    start_date=pendulum.datetime(2026, 1, 1, tz=CHINA),
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
    tags=["example", "sms"],
)
def example_sms_balance_alert() -> None:
    """Ask each account, then sum up."""
    # [START howto_operator_sms_balance_check]
    check_balance = SmsBalanceCheckOperator.partial(
        task_id="check_balance",
        on_low="continue",
        notifiers=[
            HttpNotifier(
                http_conn_id="sms_alert_chat",
                endpoint="robot/send?access_token={{ conn.sms_alert_chat.password }}",
                json={
                    "msgtype": "text",
                    "text": {
                        "content": "短信余额不足: {{ sms_conn_id }} 还剩"
                        " {{ sms_balance.remaining }} {{ '条' if sms_balance.unit == 'messages' else '元' }}"
                    },
                },
            )
        ],
        retries=2,
        retry_delay=timedelta(minutes=1),
        map_index_template="{{ task.sms_conn_id }}",
    ).expand_kwargs(ACCOUNTS)
    # [END howto_operator_sms_balance_check]

    @task(trigger_rule="all_done")
    def summarise(ti: Any = None) -> dict[str, list[str]]:
        """Sort the accounts into fine and low; fail if one could not be asked."""
        sorted_out: dict[str, list[str]] = {"fine": [], "low": [], "not asked": []}
        for index, account in enumerate(ACCOUNTS):
            conn_id = account["sms_conn_id"]
            balance = ti.xcom_pull(task_ids="check_balance", map_indexes=index)
            if balance is None:
                sorted_out["not asked"].append(conn_id)
                continue
            sorted_out["low" if balance["low"] else "fine"].append(conn_id)
            log.info("%s: %s %s at %s", conn_id, balance["remaining"], balance["unit"], balance["checked_at"])
        if sorted_out["not asked"]:
            unknown = ", ".join(sorted_out["not asked"])
            msg = f"the balance of {unknown} is not known: the log of check_balance says why"
            raise AirflowFailException(msg)
        return sorted_out

    check_balance >> summarise()


example_sms_balance_alert()
