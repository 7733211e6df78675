"""How long somebody has been waiting: for reports of what was accepted, and for pages that did not land."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_sms.records import DeliveryStatus
from airflow_provider_sms.store import attention
from airflow_provider_sms.store.ages import open_page_age, pending_age
from airflow_provider_sms.store.clock import ServerTime
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.schema import batches, pages

HOUR = 3600.0
PEOPLE = ("13800000001", "13800000002")


@pytest.fixture
def sent(store, submitted):
    """Have two numbers sent to: ``sent("key", hours_ago, state="accepted")``; their ids are key1 and key2."""

    def send(key, hours, state="accepted", **columns: Any):
        submitted(key, [PEOPLE], state, ids=(f"{key}1", f"{key}2") if state == "accepted" else ())
        with store.begin() as connection:
            moments = {"submitted_at": ServerTime(-hours * HOUR)} | columns
            connection.execute(batches.update().where(batches.c.send_key == key).values(**moments))

    return send


def test_the_oldest_message_without_a_final_report_counts(store, sent, land, make_report):
    assert pending_age(store, "sms_main") == 0
    sent("old", 5)
    sent("new", 2)
    assert pending_age(store, "sms_main") == pytest.approx(5 * HOUR, abs=60)
    land([make_report(PEOPLE[0], "old1"), make_report(PEOPLE[1], "old2", DeliveryStatus.PENDING)])
    assert pending_age(store, "sms_main") == pytest.approx(5 * HOUR, abs=60)
    land([make_report(PEOPLE[1], "old2", DeliveryStatus.FAILED)])
    assert pending_age(store, "sms_main") == pytest.approx(2 * HOUR, abs=60)
    land([make_report(PEOPLE[number], f"new{number + 1}") for number in range(2)])
    assert pending_age(store, "sms_main") == 0


def test_only_what_a_report_is_due_for_counts(store, sent):
    """Not what is silent for good, refused, unknown, still to leave, or another connection's."""
    sent("silent", 73)
    sent("refused", 4, "rejected")
    sent("doubtful", 4, "unknown")
    sent("later", 4, send_at=ServerTime(HOUR))
    assert pending_age(store, "sms_main") == 0
    sent("scheduled", 4, send_at=ServerTime(-HOUR))
    assert pending_age(store, "sms_main") == pytest.approx(HOUR, abs=60)
    assert pending_age(store, "sms_other") == 0


@pytest.mark.parametrize("state", ["read", "suspect", "quarantined"])
def test_the_oldest_page_that_did_not_land_counts(store, land, make_report, state):
    land([make_report(PEOPLE[0], "landed")])
    page_id = Journal(store).begin("sms_main", "wavecom", "reports", "reader")
    assert open_page_age(store, "sms_main", "reports") == 0
    with store.begin() as connection:
        values = {"state": state, "started_at": ServerTime(-2 * HOUR)}
        connection.execute(pages.update().where(pages.c.page_id == page_id).values(**values))
    assert open_page_age(store, "sms_main", "reports") == pytest.approx(2 * HOUR, abs=60)
    assert open_page_age(store, "sms_main", "replies") == open_page_age(store, "sms_other", "reports") == 0
    if attention.dismiss(store, [page_id], "looked at"):
        assert open_page_age(store, "sms_main", "reports") == 0
