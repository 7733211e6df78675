"""``airflow sms purge``: says what would go, asks, and does it; how it purges is proved with the store."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import update

from airflow_provider_sms.records import Reply
from airflow_provider_sms.store import schema
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.landing import Landing

OLD = datetime(2025, 3, 1, 4, 0, tzinfo=UTC)


@pytest.fixture
def old_replies(store, store_connection):
    """Three old replies, of which one asks for silence."""
    assert store_connection
    journal = Journal(store)
    page_id = journal.begin("sms_main", "wavecom", "replies", "reader")
    journal.keep(page_id, b"raw")
    contents = ("好的", "TD", "再来一条")
    replies = [Reply("", f"1380000000{n}", content, "", OLD) for n, content in enumerate(contents)]
    Landing(store).land(page_id, "sms_main", "wavecom", "replies", replies)
    with store.begin() as connection:
        connection.execute(update(schema.pages).values(landed_at=OLD))


@pytest.fixture
def left(rows):
    """Give the texts that are left."""
    return lambda: sorted(filter(None, rows("SELECT content FROM sms_replies")))


@pytest.mark.usefixtures("old_replies")
def test_a_dry_run_says_what_would_go_and_changes_nothing(sms, left):
    said = sms("purge", "--before", "2025-06-01", "--dry-run")
    assert said.status == 0
    assert "older than 2025-06-01T00:00:00+08:00:" in said.out
    assert "the bytes of 1 pages" in said.out
    assert "texts and numbers of 2 replies (1 that ask for silence stay)" in said.out
    assert left() == ["TD", "再来一条", "好的"]


@pytest.mark.usefixtures("old_replies")
def test_it_asks_before_it_purges(sms, left, monkeypatch):
    """Only the whole word is a yes, and where nobody can be asked, nobody said yes."""
    assert sms("purge", "--before", "2025-06-01").status == 1
    terminal = io.StringIO("y\n")
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stdin", terminal)
    assert sms("purge", "--before", "2025-06-01").status == 1
    assert len(left()) == 3
    terminal = io.StringIO("purge\n")
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stdin", terminal)
    assert sms("purge", "--before", "2025-06-01").status == 0
    assert left() == ["TD"]


@pytest.mark.usefixtures("old_replies")
def test_yes_purges_at_once_and_a_second_time_finds_nothing(sms, left):
    assert sms("purge", "--before", "2025-06-01T00:00:00+00:00", "--yes").status == 0
    assert left() == ["TD"]
    assert "there is nothing to purge" in sms("purge", "--before", "2025-06-01", "--yes").out


@pytest.mark.usefixtures("old_replies")
def test_ones_own_opt_out_words(sms, left, monkeypatch):
    monkeypatch.setenv("AIRFLOW__SMS__OPT_OUT_WORDS", "再来")
    assert sms("purge", "--before", "2025-06-01", "-y").status == 0
    assert left() == ["再来一条"]


@pytest.mark.parametrize(
    ("date", "told"),
    [
        ("soon", "is no date"),
        ("2999-01-01", "is not past"),
        ("0001-01-01", "from 1970"),
        ("9999-12-31", "to 2999"),
    ],
)
def test_a_date_that_cannot_be_is_refused(sms, store_connection, date, told):
    said = sms("purge", "--before", date, "--yes")
    assert said.status == 1
    assert told in said.err
    assert store_connection


def test_numbers_are_hashed_where_a_key_is_configured(monkeypatch, tmp_path, connections):
    """The option reaches the store; it is secret, and too short a one is refused."""
    from airflow_provider_sms.errors import PreflightError
    from airflow_provider_sms.hooks.store import open_store

    connections("wavecom")
    address = {"conn_type": "sqlite", "host": str(tmp_path / "hashed.db")}
    monkeypatch.setenv("AIRFLOW_CONN_SMS_STORE", json.dumps(address))
    monkeypatch.setenv("AIRFLOW__SMS__NUMBER_HASH_KEY", "0123456789abcdef")
    assert open_store().number_hash_key == b"0123456789abcdef"
    monkeypatch.setenv("AIRFLOW__SMS__NUMBER_HASH_KEY", "short")
    with pytest.raises(PreflightError, match="fewer than 16"):
        open_store()
