"""``airflow sms report``: a file that is there as a whole, and what is said about it."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_sms.sandbox import Fault

CHINA = ZoneInfo("Asia/Shanghai")


@pytest.fixture
def sent(connections):
    """Send three messages, and collect two reports."""
    from airflow_provider_sms.hooks.sms import SmsHook
    from airflow_provider_sms.operators.sms import SmsCollectOperator

    conn_id = connections("wavecom")
    SmsHook.for_connection(conn_id).send(["13812345601", "13012345602"], "您好【演示】", send_key="one")
    SmsCollectOperator(task_id="collect", sms_conn_id=conn_id).execute({})
    SmsHook.for_connection(conn_id).send(["13312345603"], "您好【演示】", send_key="two")
    return conn_id


@pytest.fixture
def today(store):
    return store.now().astimezone(CHINA).date()


@pytest.mark.usefixtures("sent")
def test_it_writes_the_page_of_a_day(sms, tmp_path, today):
    file = tmp_path / "delivery.html"
    said = sms("report", "--day", today, "--output", file)
    assert said.status == 0
    assert f"{file}: {today} (Asia/Shanghai), 3 messages: 3 accepted, 2 delivered, 0 failed" in said.out
    assert "1 without a report yet" in said.out
    page = file.read_text(encoding="utf-8")
    assert "of 3 intended" in page
    assert "送达率" in page
    assert "13812345601" not in page + said.out + said.err
    assert [each.name for each in tmp_path.glob("*html*")] == ["delivery.html"]


@pytest.mark.usefixtures("sent")
def test_its_options_reach_the_page(sms, tmp_path, today):
    file = tmp_path / "delivery.html"
    options = ["--days", 3, "--language", "en", "--timezone", "UTC", "--silent-after-hours", 0]
    named = ["--conn-id", "sms_elsewhere", "--conn-id", "sms_wavecom"]
    said = sms("report", "--day", today - timedelta(days=9), *named, "--output", file, *options)
    assert said.status == 0
    assert "by 'sms_elsewhere': is it misspelt?" in said.err
    page = file.read_text(encoding="utf-8")
    assert "Accounts: sms_elsewhere, sms_wavecom" in page
    assert "Times are in UTC" in page
    assert "No message was planned or sent on this day." in page
    assert "送达率" not in page


@pytest.mark.usefixtures("store_connection")
def test_of_misspelt_connections_alone_no_page_is_written(sms, tmp_path):
    """An empty one would pass for an account that sent nothing."""
    said = sms("report", "--conn-id", "sms_elsewhere", "--output", tmp_path / "page.html")
    assert said.status == 1
    assert "by 'sms_elsewhere': is it misspelt?" in said.err
    assert "no page was written" in said.err
    assert not (tmp_path / "page.html").exists()


def test_a_day_that_is_none_is_told_how_to_be_written(sms, capsys):
    with pytest.raises(SystemExit):
        sms("report", "--day", "2026-13-22")
    assert "'2026-13-22' is no date: write it like 2026-01-31" in capsys.readouterr().err


@pytest.mark.usefixtures("store_connection")
def test_without_options_it_is_about_the_day_that_ends(sms, tmp_path, monkeypatch, store):
    monkeypatch.chdir(tmp_path)
    day = (store.now().astimezone(CHINA) - timedelta(hours=12)).date()
    assert sms("report").status == 0
    assert (tmp_path / f"sms-delivery-{day}.html").exists()


@pytest.mark.usefixtures("store_connection")
def test_it_says_what_needs_a_person(sms, tmp_path, sandbox, connections):
    from airflow_provider_sms.errors import SmsError
    from airflow_provider_sms.hooks.sms import SmsHook

    sandbox.faults.add(Fault("reset_after", operation="send"))
    with pytest.raises(SmsError):
        SmsHook.for_connection(connections("linkws")).send(["13812345601"], "您好【演示】", send_key="lost")
    said = sms("report", "--output", tmp_path / "page.html")
    assert said.status == 0
    assert "1 thing on it needs a person: airflow sms doctor" in said.out


@pytest.mark.usefixtures("store_connection")
def test_a_page_that_cannot_be_written_leaves_nothing_behind(sms, tmp_path):
    said = sms("report", "--output", tmp_path / "missing" / "page.html")
    assert said.status == 1
    assert "cannot be written" in said.err
    (tmp_path / "taken").mkdir()
    for folder in (tmp_path / "taken", "."):
        said = sms("report", "--output", folder)
        assert said.status == 1
        assert f"{folder} is a folder: name a file in it by --output" in said.err
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


@pytest.mark.usefixtures("store_connection")
@pytest.mark.parametrize(
    ("option", "problem"),
    [
        (("--days", 0), "days is 0"),
        (("--day", "0001-01-01"), "day is 0001-01-01"),
        (("--silent-after-hours", "inf"), "silent_after_hours is inf"),
        (("--timezone", "Mars/Olympus"), "timezone is 'Mars/Olympus'"),
        (("--silent-after-hours", -1), "silent_after_hours is -1"),
    ],
)
def test_options_that_cannot_work_are_named(sms, tmp_path, option, problem):
    said = sms("report", "--output", tmp_path / "page.html", *option)
    assert said.status == 1
    assert problem in said.err
    assert "1 problem; nothing was written" in said.err
    assert not (tmp_path / "page.html").exists()


@pytest.mark.usefixtures("store_connection")
def test_without_matplotlib_it_says_what_to_install(sms, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    said = sms("report")
    assert said.status == 1
    assert "pip install matplotlib" in said.err
