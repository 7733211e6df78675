"""``example_sms_nightly_delivery_etl`` and the DAG that follows it, run whole; what they write."""

from __future__ import annotations

import csv
import io
import re
import sys
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_sms.operators.delivery import SmsDeliveryDailyOperator
from airflow_provider_sms.operators.sms import SmsCollectOperator

EXAMPLES = Path(__file__).resolve().parents[2] / "example_dags"
QUEUED = ("beidoutong", "wavecom", "smsadmin")
SENT = ("13812345601", "13012345602", "13312345603")


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """Give the folder to publish into, not made yet."""
    folder = tmp_path / "published" / "sms"
    monkeypatch.setenv("AIRFLOW_VAR_SMS_REPORT_FOLDER", str(folder))
    return folder


@pytest.fixture
def sent(sandbox, connections, no_waiting):
    """Send three messages by each vendor that has queues, and let a reply come to each."""
    del no_waiting
    from airflow_provider_sms.hooks.sms import SmsHook

    for vendor in QUEUED:
        hook = SmsHook.for_connection(connections(vendor))
        hook.send(list(SENT), "您的订单已发货【演示】", send_key=f"campaign-{vendor}")
        sandbox.queue_replies(vendor, [(SENT[0], "=1+1 收到")])


@pytest.fixture
def example(monkeypatch):
    """Import the DAG's module."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    sys.modules.pop("example_sms_nightly_delivery_etl", None)
    import example_sms_nightly_delivery_etl

    return example_sms_nightly_delivery_etl


@pytest.fixture
def today(store):
    """Give today in China: a run in the morning would tell of yesterday."""
    return {"day": str(store.now().astimezone(ZoneInfo("Asia/Shanghai")).date())}


DAILY = "SELECT * FROM sms_delivery_daily ORDER BY day, conn_id, carrier"


@pytest.mark.usefixtures("sent")
def test_it_lands_everything_and_writes_a_page_and_a_csv(run, folder, rows, today):
    state, tasks = run("example_sms_nightly_delivery_etl", today)
    assert state == "success"
    assert tasks.pop("watch") == "skipped"
    assert set(tasks.values()) == {"success"}
    assert rows("SELECT count(*) FROM sms_reports") == [len(SENT) * len(QUEUED)]
    assert rows("SELECT count(*) FROM sms_replies") == [len(QUEUED)]
    assert rows("SELECT sum(intended), sum(delivered) FROM sms_delivery_daily") == [(9, 9)]
    extra = _newest_event("sms://daily/deliveries")
    assert (extra["days"], extra["intended"], extra["delivered"]) == (5, 9, 9)
    assert not any(number in str(extra) for number in SENT)
    page = (folder / "delivery.html").read_text(encoding="utf-8")
    assert today["day"] in page
    assert "of 9 intended" in page
    assert "计划 9" in page
    assert not any(number in page for number in SENT)
    with (folder / "delivery_daily.csv").open(encoding="utf-8-sig", newline="") as file:
        written = list(csv.DictReader(file))
    assert len(written) == len(rows(DAILY))
    assert {row["conn_id"] for row in written} == {f"sms_{vendor}" for vendor in QUEUED}
    assert {row["delivery_rate"] for row in written} == {"1.0"}


def _newest_event(uri):
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    events = (
        select(AssetEvent.extra)
        .join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        .where(AssetModel.uri == uri)
        .order_by(AssetEvent.timestamp.desc())
    )
    with create_session() as session:
        return session.scalars(events).first()


@pytest.mark.usefixtures("sent")
def test_running_it_again_changes_nothing(run, folder, rows, today):
    def written():
        page = (folder / "delivery.html").read_text(encoding="utf-8")
        # It says when it was made.
        moment = re.compile(r"[0-9]{4}(?:-[0-9]{2}){2} [0-9]{2}:[0-9]{2}")
        return rows(DAILY), (folder / "delivery_daily.csv").read_bytes(), moment.sub("", page)

    run("example_sms_nightly_delivery_etl", today)
    first = written()
    state, _ = run("example_sms_nightly_delivery_etl", today)
    assert state == "success"
    assert written() == first
    assert sorted(file.name for file in folder.iterdir()) == ["delivery.html", "delivery_daily.csv"]


@pytest.mark.usefixtures("sent")
def test_one_vendor_that_is_away_does_not_keep_the_others_figures_back(
    run, sandbox, connections, folder, rows
):
    with sandbox.closed_port() as port:
        connections("wavecom", fields={"port": port})
        state, tasks = run("example_sms_nightly_delivery_etl")
    assert state == "failed"
    assert tasks["watch"] == "failed"
    assert (tasks["report"], tasks["spreadsheet"]) == ("success", "success")
    delivered = "SELECT conn_id, sum(delivered) FROM sms_delivery_daily GROUP BY conn_id ORDER BY conn_id"
    assert rows(delivered) == [("sms_beidoutong", 3), ("sms_smsadmin", 3), ("sms_wavecom", 0)]
    assert (folder / "delivery.html").exists()


@pytest.mark.usefixtures("no_waiting")
def test_nights_without_messages_are_told_as_such(run, connections, folder):
    for vendor in QUEUED:
        connections(vendor)
    state, _ = run("example_sms_nightly_delivery_etl")
    assert state == "success"
    page = (folder / "delivery.html").read_text(encoding="utf-8")
    assert "No message was planned or sent on this day." in page
    assert len((folder / "delivery_daily.csv").read_text(encoding="utf-8-sig").splitlines()) == 1


@pytest.mark.parametrize("sandbox", [{"failure_share": 1}], indirect=True)
@pytest.mark.usefixtures("sent")
def test_the_consumer_names_the_routes_that_deliver_badly(run, connections, caplog):
    """Those of linkws, which gives no reports, are none."""
    from airflow_provider_sms.hooks.sms import SmsHook

    hook = SmsHook.for_connection(connections("linkws"))
    hook.send(list(SENT), "您的订单已发货【演示】", send_key="campaign-linkws")
    for vendor in QUEUED:
        SmsCollectOperator(task_id="collect", sms_conn_id=f"sms_{vendor}").execute({})
    SmsDeliveryDailyOperator(task_id="refresh").execute({})
    state, tasks = run("example_sms_delivery_consumer")
    assert (state, tasks) == ("success", {"weak_routes": "success"})
    assert "9 of 9 routes deliver less than 90 %" in caplog.text
    assert "sms_wavecom China Unicom: 0.0%" in caplog.text


def _frame(**changes: Any):
    import pandas as pd

    row = {
        "day": pd.Timestamp("2026-10-24"),
        "conn_id": "sms_main",
        "vendor": "smsadmin",
        "carrier": "China Mobile",
        "intended": 10,
        "accepted": 10,
        "delivered": 6,
        "failed": 1,
        "silent": 1,
        "delivery_rate": 0.6,
        "latency_p50_seconds": 3.0,
        "latency_p95_seconds": 9.0,
    }
    return pd.DataFrame([{**row, **changes}])


@pytest.mark.parametrize("text", ["=1+1", "+SUM(A1)", "-2+3", "@SUM(1)", "\t=1", "\r=1"])
def test_no_cell_of_the_csv_is_a_formula(example, text):
    written = example.to_csv(_frame(conn_id=text, carrier=text)).decode("utf-8-sig")
    row = next(csv.DictReader(io.StringIO(written, newline="")))
    assert row["conn_id"].startswith("'")
    assert row["carrier"].startswith("'")
    assert row["failed"] == "1"


def test_the_csv_opens_in_a_chinese_spreadsheet(example):
    written = example.to_csv(_frame(conn_id="短信"))
    assert written.startswith("\ufeff".encode())
    assert "短信" in written.decode("utf-8-sig")
