"""
### What became of the last days' messages, per day, account and carrier.

1. **collect** takes every account's delivery reports and replies off the vendor's queues, one mapped task
   each. The vendor deletes what it hands over, so each page is on disk before it is read, and lands exactly
   once.
2. **refresh_daily** makes the table `sms_delivery_daily` anew for the days that can still change, and tells
   the asset `sms://daily/deliveries`.
3. **report** writes `delivery.html`, a page with pictures that people open in a browser, and **spreadsheet**
   writes `delivery_daily.csv`, both of the last `days` days, into `folder`, which may be any address that
   Airflow's object storage knows. The page is about the day that ends; the run of the morning tells of the
   day before.

**watch** fails the run when a queue could not be collected, although the others' figures are published.

**Why twice before midnight.** One of the vendors (smsadmin) keeps reports and replies for the current month
only: what has not been collected when the last night of a month ends is gone. So the bulk is collected at
ten, and what came since at a quarter to twelve, at the other vendors the night's reports at half past six.
smsadmin hands out 14,400 records an hour at best; an account that sends more needs its push interface.

`example_sms_delivery_consumer` shows a DAG that starts whenever the table was refreshed.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import MultipleCronTriggerTimetable, Param, dag, task

from airflow_provider_sms.assets import daily_asset
from airflow_provider_sms.operators.delivery import SmsDeliveryDailyOperator
from airflow_provider_sms.operators.report import SmsDeliveryReportOperator
from airflow_provider_sms.operators.sms import SmsCollectOperator

CHINA = "Asia/Shanghai"
log = logging.getLogger(__name__)

# [START howto_operator_sms_collect_queues]
# linkws documents no queues.
QUEUES = [
    {"sms_conn_id": sms_conn_id, "sms_queue": queue}
    for sms_conn_id in ("sms_beidoutong", "sms_wavecom", "sms_smsadmin")
    for queue in ("reports", "replies")
]
# [END howto_operator_sms_collect_queues]


@dag(
    schedule=MultipleCronTriggerTimetable("0 22 * * *", "45 23 * * *", "30 6 * * *", timezone=CHINA),
    start_date=pendulum.datetime(2026, 1, 1, tz=CHINA),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=2)},
    params={
        "start": Param(
            None, type=["null", "string"], format="date", title="First day (empty: all that can change)"
        ),
        "end": Param(None, type=["null", "string"], format="date", title="Last day"),
        "silent_after_hours": Param(
            72, type="number", minimum=0, title="Hours without a report that make it silent"
        ),
        "day": Param(
            None, type=["null", "string"], format="date", title="Day of the page (empty: the one that ends)"
        ),
        "days": Param(31, type="integer", minimum=1, maximum=62, title="Days on the page and in the CSV"),
        "folder": Param("", type="string", title="Folder (empty: the variable sms_report_folder)"),
    },
    doc_md=__doc__,
    tags=["example", "sms"],
)
def example_sms_nightly_delivery_etl() -> None:
    """Collect, refresh, write."""
    # [START howto_operator_sms_collect]
    collect = SmsCollectOperator.partial(
        task_id="collect",
        # Before midnight, the records that matter are those of the month that ends.
        max_seconds=timedelta(hours=1).total_seconds(),
        map_index_template="{{ task.sms_conn_id }} {{ task.sms_queue }}",
    ).expand_kwargs(QUEUES)
    # [END howto_operator_sms_collect]

    # [START howto_operator_sms_delivery_daily]
    refresh_daily = SmsDeliveryDailyOperator(
        task_id="refresh_daily",
        start="{{ params.start or '' }}",
        end="{{ params.end or '' }}",
        timezone=CHINA,
        silent_after_hours="{{ params.silent_after_hours }}",
        # One vendor's bad night must not keep the others' figures back; watch tells of it.
        trigger_rule="all_done",
    )
    # [END howto_operator_sms_delivery_daily]

    # [START howto_operator_sms_delivery_report]
    report = SmsDeliveryReportOperator(
        task_id="report",
        path="{{ params.folder or var.value.sms_report_folder }}/delivery.html",
        day="{{ params.day or '' }}",
        days="{{ params.days }}",
        silent_after_hours="{{ params.silent_after_hours }}",
    )
    # [END howto_operator_sms_delivery_report]

    @task
    def spreadsheet(folder: str, days: str) -> dict[str, Any]:
        """Write delivery_daily.csv; give its name and how many rows it has."""
        from airflow.sdk import ObjectStoragePath

        daily = recent_days(int(days))
        target = ObjectStoragePath(folder)
        target.mkdir(parents=True, exist_ok=True)
        (target / "delivery_daily.csv").write_bytes(to_csv(daily))
        log.info("%d rows of %d days are in %s", len(daily), daily["day"].nunique(), folder)
        return {"file": "delivery_daily.csv", "rows": len(daily)}

    @task(trigger_rule="one_failed", retries=0)
    def watch() -> None:
        """Fail the run when a queue could not be collected."""
        msg = "a queue could not be collected: the log of its task says why. The figures lack what it holds"
        raise AirflowFailException(msg)

    written = spreadsheet("{{ params.folder or var.value.sms_report_folder }}", "{{ params.days }}")
    collect >> refresh_daily >> [report, written]
    collect >> watch()


# [START howto_asset_sms_daily]
@dag(
    schedule=[daily_asset()],
    start_date=pendulum.datetime(2026, 1, 1, tz=CHINA),
    catchup=False,
    params={"least_rate": Param(0.9, type="number", minimum=0, maximum=1, title="Least delivery rate")},
    doc_md="Starts whenever `sms_delivery_daily` was refreshed, and names the routes that deliver badly.",
    tags=["example", "sms"],
)
def example_sms_delivery_consumer() -> None:
    """Read what was refreshed."""

    @task
    def weak_routes(params: dict[str, Any] | None = None) -> list[str]:
        """Name the accounts and carriers of today and yesterday that delivered too little."""
        least = (params or {})["least_rate"]
        daily = recent_days(2)
        # linkws gives no reports: its routes have no rate.
        rated = daily[daily["delivery_rate"].notna()]
        weak = rated[rated["delivery_rate"] < least]
        found = [
            f"{row.day:%Y-%m-%d} {row.conn_id} {row.carrier}: {row.delivery_rate:.1%}"
            for row in weak.itertuples()
        ]
        for route in found:
            log.warning(route)
        log.info("%d of %d routes deliver less than %.0f %%", len(found), len(rated), least * 100)
        return found

    weak_routes()


# [END howto_asset_sms_daily]


def recent_days(days: int) -> Any:
    """Read the last days of ``sms_delivery_daily``, today's included, as a DataFrame."""
    from airflow_provider_sms.hooks.store import open_store
    from airflow_provider_sms.store.frames import daily_frame

    today = pendulum.today(CHINA).date()
    return daily_frame(open_store(), today - timedelta(days=days - 1), today)


def to_csv(daily: Any) -> bytes:
    """
    Write the table as CSV for people: a spreadsheet neither guesses the charset nor runs a cell.

    :param daily: rows of ``sms_delivery_daily``.
    :return: UTF-8 with a byte order mark; text that a spreadsheet would take for a formula begins with ``'``.
    """
    from airflow_provider_sms.spreadsheets import defuse

    shown = daily.assign(day=daily["day"].dt.strftime("%Y-%m-%d"))
    for name in shown.columns:
        if shown[name].dtype.kind not in "biuf":
            shown[name] = shown[name].map(defuse)
    return shown.round(4).to_csv(index=False, lineterminator="\r\n").encode("utf-8-sig")


example_sms_nightly_delivery_etl()
example_sms_delivery_consumer()
