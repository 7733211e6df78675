"""``airflow sms pages``: what waits for a person, without a number or a text."""

from __future__ import annotations

import json
import stat

import pytest

from airflow_provider_sms.records import PageState, Reply
from airflow_provider_sms.store.attention import find_pages
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.landing import Landing
from airflow_provider_sms.store.spool import SpooledPage

NUMBER = "13812345678"
BODY = f"secret text of {NUMBER}".encode()


@pytest.fixture
def pages(store, connections, spool):
    """One page of each sort that waits for a person."""
    connections("wavecom")
    journal = Journal(store)

    def begun():
        return journal.begin("sms_wavecom", "wavecom", "replies", "reader")

    broken, suspect, unlanded = begun(), begun(), begun()
    journal.keep(broken, BODY)
    journal.quarantine(broken, f"cannot be read near {NUMBER}")
    journal.close_unread(suspect, PageState.SUSPECT, "reset by peer")
    journal.keep(unlanded, BODY)
    spooled = SpooledPage("f" * 32, "sms_wavecom", "wavecom", "replies", BODY)
    spool.put(spooled)
    spool.directory.mkdir(parents=True, exist_ok=True)
    (spool.directory / "torn.torn").write_bytes(b"half")
    # Nobody can read it as a file, not even root.
    (spool.directory / "theirs.page").mkdir()
    return {
        "quarantined": broken,
        "suspect": suspect,
        "read": unlanded,
        "spooled": "f" * 32,
        "torn": "torn",
        "unreadable": "theirs",
    }


def test_everything_that_waits_is_listed_and_says_what_to_do(sms, pages):
    said = sms("pages", "--output", "json")
    assert said.status == 0
    rows = {row["state"]: row for row in json.loads(said.out)}
    assert {state: row["page"] for state, row in rows.items()} == pages
    assert rows["quarantined"]["bytes"] == len(BODY)
    assert rows["quarantined"]["error"] == "cannot be read near 138****5678"
    assert rows["suspect"]["lost_at_most"] == 50
    for advice in (
        "airflow sms replay --all-quarantined",
        "Ask the vendor for the records of that time",
        "At most 50 records may be lost",
        "the queue's next collection lands them",
        "files in this machine's spool that are not whole",
        "Let Airflow's user read and delete them",
    ):
        assert advice in said.err


@pytest.mark.parametrize("form", ["table", "plain", "json"])
def test_no_form_shows_a_number_or_a_text(sms, pages, form):
    said = sms("pages", "--output", form)
    assert NUMBER not in said.out + said.err
    assert "secret text" not in said.out + said.err
    assert pages["quarantined"] in said.out


def test_states_connections_and_a_limit_can_be_chosen(sms, pages, store):
    said = sms("pages", "--state", "suspect", "--state", "read", "--output", "json")
    assert {row["state"] for row in json.loads(said.out)} == {"suspect", "read"}
    assert json.loads(sms("pages", "--conn-id", "sms_other", "--state", "read", "--output", "json").out) == []
    said = sms("pages", "--limit", 1, "--state", "read", "--state", "suspect", "--output", "json")
    assert [row["page"] for row in json.loads(said.out)] == [pages["read"]]
    assert "there are more" in said.err
    assert "no page is in this state" in sms("pages", "--state", "landed").err
    assert store


def test_nothing_to_do_is_said(sms, store_connection):
    said = sms("pages")
    assert (said.out, said.status) == ("", 0)
    assert "no page waits for a person" in said.err
    assert store_connection


def test_bytes_are_handed_over_on_request_only_to_their_owner(sms, pages, tmp_path):
    """Exact bytes, a file nobody else can read, a warning, and no file is overwritten."""
    folder = tmp_path / "for-support"
    said = sms("pages", "--save", folder, pages["quarantined"])
    assert said.status == 0
    path = folder / f"{pages['quarantined']}.body"
    assert path.read_bytes() == BODY
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "whole phone numbers" in said.err
    assert NUMBER not in said.out + said.err
    again = sms("pages", "--save", folder, pages["quarantined"], pages["suspect"], "nonsense")
    assert again.status == 1
    assert "File exists" in again.err
    assert "no bytes of it are kept (suspect)" in again.err
    assert "nonsense: there is no such page" in again.err


def test_a_page_is_dismissed_with_a_reason_and_keeps_its_bytes(sms, pages, store):
    reason = f"vendor sent the file of {NUMBER}"
    said = sms("pages", "--dismiss", "--reason", reason, pages["suspect"], pages["quarantined"])
    assert said.status == 0
    listed = json.loads(sms("pages", "--output", "json").out)
    assert {row["state"] for row in listed} == {"read", "spooled", "torn", "unreadable"}
    everything = json.loads(sms("pages", "--all", "--output", "json").out)
    told = next(row for row in everything if row["page"] == pages["suspect"])
    assert told["state"] == "suspect, dismissed"
    assert "dismissed by" in told["error"]
    assert "138****5678" in told["error"]
    assert Journal(store).page(pages["quarantined"]).body == BODY
    assert sms("pages", "--dismiss", "--reason", "x", pages["suspect"], pages["read"]).status == 1


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_folder_that_cannot_be_made_is_told(sms, pages, tmp_path, below):
    """A file is in its place."""
    (tmp_path / "file").touch()
    said = sms("pages", "--save", tmp_path / "file" / below, pages["quarantined"])
    assert said.status == 1
    assert "cannot be made" in said.err


@pytest.mark.parametrize(
    "words", [["pages", "--save", "folder"], ["pages", "--dismiss", "--reason", "x"], ["replay"]]
)
@pytest.mark.parametrize("odd", ["\udcff", "a\0b"])
def test_a_page_id_that_is_no_text_is_told(sms, store_connection, words, odd):
    """As a shell may pass it on."""
    assert store_connection
    said = sms(*words, "fine", odd)
    assert said.status == 1
    assert "the 2. page" in said.err


@pytest.mark.parametrize(
    "words", [["--dismiss", "p"], ["p"], ["--save", "folder"], ["--dismiss", "--reason", "x"]]
)
def test_half_a_request_is_refused(sms, store_connection, words):
    said = sms("pages", *words)
    assert said.status == 1
    assert "--" in said.err
    assert store_connection


def test_replies_that_landed_show_only_as_counts(sms, pages, store):
    journal = Journal(store)
    page_id = journal.begin("sms_wavecom", "wavecom", "replies", "reader")
    journal.keep(page_id, BODY)
    Landing(store).land(page_id, "sms_wavecom", "wavecom", "replies", [Reply("", NUMBER, "内容", "", None)])
    said = sms("pages", "--state", "landed")
    assert "内容" not in said.out
    assert NUMBER not in said.out
    assert [line.records for line in find_pages(store, [PageState.LANDED])] == [1]
    assert pages
