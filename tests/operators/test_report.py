"""The operator that writes the page: in a DAG, onto object storage, as a whole or not at all."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_sms.operators.report import SmsDeliveryReportOperator

pytestmark = pytest.mark.filterwarnings("ignore")  # Airflow's libraries warn about each other
NUMBERS = ["13812345601", "13012345602", "13312345603"]


@pytest.fixture
def sent(connections):
    """Send three messages, and collect their reports."""
    from airflow_provider_sms.hooks.sms import SmsHook
    from airflow_provider_sms.operators.sms import SmsCollectOperator

    conn_id = connections("wavecom")
    SmsHook.for_connection(conn_id).send(NUMBERS, "您的订单已发货【演示】", send_key="one")
    SmsCollectOperator(task_id="collect", sms_conn_id=conn_id).execute({})


@pytest.fixture
def today(store):
    return str(store.now().astimezone(ZoneInfo("Asia/Shanghai")).date())


@pytest.mark.usefixtures("sent")
def test_in_a_dag(run_dag, tmp_path, today):
    """Its result is a path and counts; the page has the day's figures."""
    ended = run_dag(
        lambda: SmsDeliveryReportOperator(
            task_id="report", path=f"file://{tmp_path}/published/{{{{ 'delivery' }}}}.html", day=today,
            days="{{ 3 }}", sms_conn_ids=["{{ 'sms_wavecom' }}"], language="en",
        )
    )  # fmt: skip
    assert ended.state == "success"
    file = tmp_path / "published" / "delivery.html"
    page = file.read_text(encoding="utf-8")
    told = ended.xcoms["report"]
    assert told.pop("path").endswith(str(file))
    assert told == {
        "bytes": file.stat().st_size, "day": today, "intended": 3, "accepted": 3, "delivered": 3, "failed": 0,
        "silent": 0, "waiting": 0, "no_reports": 0, "needs_a_person": 0,
    }  # fmt: skip
    assert "of 3 intended" in page
    assert "Accounts: sms_wavecom" in page
    assert "The last 3 days" in page
    assert not any(number in page + str(told) + str(ended.rendered) for number in NUMBERS)


@pytest.mark.usefixtures("sent")
def test_a_page_is_replaced_as_a_whole(tmp_path, today):
    """Whoever has the old one open keeps it: the new one is another file under its name."""
    file = tmp_path / "delivery.html"
    file.write_text("the old one", encoding="utf-8")
    with file.open(encoding="utf-8") as opened:
        SmsDeliveryReportOperator(task_id="report", path=str(file), day=today).execute({})
        assert opened.read() == "the old one"
    assert file.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [each.name for each in tmp_path.glob("*delivery*")] == ["delivery.html"]
    # A folder stands where the page should go: nothing is left beside it.
    (tmp_path / "taken.html").mkdir()
    with pytest.raises(OSError, match="taken"):
        SmsDeliveryReportOperator(task_id="report", path=str(tmp_path / "taken.html"), day=today).execute({})
    assert [each.name for each in tmp_path.glob("*taken*")] == ["taken.html"]


@pytest.mark.usefixtures("sent")
def test_onto_an_object_store(today):
    """Any address that Airflow's object storage knows; one put, and nothing beside it."""
    from airflow.sdk import ObjectStoragePath

    written = SmsDeliveryReportOperator(
        task_id="report", path="memory://reports/sms/delivery.html", day=today
    ).execute({})["path"]
    assert written == "memory://reports/sms/delivery.html"
    folder = ObjectStoragePath("memory://reports/sms")
    assert [each.name for each in folder.iterdir()] == ["delivery.html"]
    assert "of 3 intended" in (folder / "delivery.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("store_connection")
def test_parameters_that_cannot_work_are_all_named(tmp_path):
    wrong = SmsDeliveryReportOperator(
        task_id="report", path=" ", day="yesterday", days="many", language="fr", timezone="Mars/Olympus",
        silent_after_hours="soon",
    )  # fmt: skip
    with pytest.raises(AirflowFailException) as failure:
        wrong.execute({})
    for name in ("path", "day", "days", "language", "timezone", "silent_after_hours"):
        assert f"{name} is" in str(failure.value)
    assert list(tmp_path.glob("*.html")) == []


@pytest.mark.usefixtures("store_connection")
def test_slips_of_any_kind_are_named(tmp_path):
    """What is out of reach, and what is no list."""
    wrong = SmsDeliveryReportOperator(
        task_id="report",
        path=str(tmp_path / "page.html"),
        day="0001-01-01",
        days=float("inf"),
        sms_conn_ids=5,
    )
    with pytest.raises(AirflowFailException) as failure:
        wrong.execute({})
    for name in ("day", "days", "sms_conn_ids"):
        assert f"{name} is" in str(failure.value)
    assert list(tmp_path.glob("*.html")) == []


@pytest.mark.usefixtures("sent")
def test_a_connection_that_nobody_ever_used_is_told(tmp_path, told, today):
    """The page is empty, and the log says why; ``None`` is all of them."""
    given = {"task_id": "report", "path": str(tmp_path / "page.html"), "day": today}
    result = SmsDeliveryReportOperator(sms_conn_ids="sms_wavecom, sms_misspelt", **given).execute({})
    logs = told()
    assert "by 'sms_misspelt': is it misspelt?" in logs
    assert "'sms_wavecom': is it" not in logs
    assert result["intended"] == 3
    assert SmsDeliveryReportOperator(sms_conn_ids=None, **given).execute({})["intended"] == 3


@pytest.mark.usefixtures("store_connection")
def test_without_matplotlib_a_retry_would_not_help(monkeypatch, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(AirflowFailException, match="pip install matplotlib"):
        SmsDeliveryReportOperator(task_id="report", path=str(tmp_path / "page.html")).execute({})
