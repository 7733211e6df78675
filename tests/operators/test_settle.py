"""SmsSettleOperator: what reports prove is settled, what they do not is not guessed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from sqlalchemy import update

from airflow_provider_sms.errors import SubmitUnknown
from airflow_provider_sms.operators.settle import SmsSettleOperator
from airflow_provider_sms.records import BatchState, DeliveryStatus, Report
from airflow_provider_sms.store import schema
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.landing import Landing
from airflow_provider_sms.store.ledger import Ledger
from airflow_provider_sms.store.plans import PlannedBatch, PlannedSend


@pytest.fixture
def unknown(store, store_connection):
    """Two batches whose outcome is unknown, of which a report proves the first."""
    assert store_connection
    ledger = Ledger(store)
    send = PlannedSend("lost", "sms_smsadmin", "smsadmin", "f" * 64)
    ledger.plan(send, [PlannedBatch(n, "planned", (f"1380000000{n}",), "您好【公司】") for n in (1, 2)])
    for number in (1, 2):
        ledger.claim("lost", number, "worker", 60, f"reference{number}")
        ledger.settle("lost", number, BatchState.UNKNOWN, owner="worker")
    return ledger


@pytest.fixture
def land(store):
    """Land a report on a batch of the send."""

    def run(number):
        journal = Journal(store)
        page_id = journal.begin("sms_smsadmin", "smsadmin", "reports", "reader")
        journal.keep(page_id, b"raw")
        fields = (f"reference{number}", f"1380000000{number}", DeliveryStatus.DELIVERED, "DELIVRD", "", "")
        Landing(store).land(
            page_id, "sms_smsadmin", "smsadmin", "reports", [Report(*fields, occurred_at=store.now())]
        )

    return run


def settle(**options: Any):
    return SmsSettleOperator(task_id="settle", **{"send_key": "lost", **options}).execute({})


def test_reports_settle_what_they_prove(unknown, land):
    land(1)
    land(2)
    assert settle() == {"settled": 2, "still_unknown": 0}
    assert {batch.state for batch in unknown.batches("lost")} == {BatchState.ACCEPTED}
    assert settle() == {"settled": 0, "still_unknown": 0}


def test_it_says_that_there_was_nothing_to_settle(unknown, land, told):
    """A task without a line in its log looks as if it had not run."""
    assert unknown
    land(1)
    land(2)
    settle()
    settle()
    assert "send lost: batches settled by their reports: 0, still unknown: 0" in told()


def test_what_is_left_fails_and_can_be_retried_while_reports_may_come(unknown, land):
    land(1)
    with pytest.raises(SubmitUnknown, match=r"by their reports: 1, still unknown: 1, of 1 recipients"):
        settle()
    assert [batch.state for batch in unknown.batches("lost")] == [BatchState.ACCEPTED, BatchState.UNKNOWN]


def test_after_the_last_report_it_fails_for_good(unknown, store):
    with store.begin() as connection:
        long_ago = store.clock(connection) - timedelta(hours=73)
        connection.execute(update(schema.batches).values(submitted_at=long_ago))
    with pytest.raises(AirflowFailException, match="airflow sms settle"):
        settle()
    assert unknown


def test_no_report_is_waited_for_where_the_vendor_gives_none(store, store_connection):
    assert store_connection
    ledger = Ledger(store)
    send = PlannedSend("lost", "sms_linkws", "linkws", "f" * 64)
    ledger.plan(send, [PlannedBatch(1, "planned", ("13800000001",), "您好【公司】")])
    ledger.claim("lost", 1, "worker", 60, "reference")
    ledger.settle("lost", 1, BatchState.UNKNOWN, owner="worker")
    with pytest.raises(AirflowFailException, match="No more reports are expected: 'airflow sms settle'"):
        settle()


def test_it_can_be_told_to_let_be(unknown):
    assert settle(on_unknown="ignore") == {"settled": 0, "still_unknown": 2}
    assert unknown


@pytest.fixture
def live(store, store_connection):
    """Three batches: one accepted, one whose claim holds, one whose claim ran out."""
    assert store_connection
    ledger = Ledger(store)
    send = PlannedSend("lost", "sms_smsadmin", "smsadmin", "f" * 64)
    ledger.plan(send, [PlannedBatch(n, "planned", (f"1380000000{n}",), "您好【公司】") for n in (1, 2, 3)])
    for number, seconds in ((1, 60), (2, 60), (3, -1)):
        ledger.claim("lost", number, "worker", seconds, f"reference{number}")
    ledger.settle("lost", 1, BatchState.ACCEPTED, owner="worker")
    return ledger


def test_it_is_not_green_while_a_dead_senders_claim_holds(live):
    """A batch that is being submitted may end as unknown: the task asks again when the claim has run out."""
    with pytest.raises(
        SubmitUnknown, match=r"1 batch is being submitted until \d\d:\d\d UTC: try again then"
    ):
        settle()
    assert settle(on_unknown="ignore") == {"settled": 0, "still_unknown": 2}
    states = [batch.state for batch in live.batches("lost")]
    assert states == [BatchState.ACCEPTED, BatchState.SUBMITTING, BatchState.UNKNOWN]


def test_a_claim_that_holds_can_be_waited_for_beside_overdue_reports(live, store):
    """Failing for good would leave the submit that is under way unwatched."""
    with store.begin() as connection:
        long_ago = store.clock(connection) - timedelta(hours=73)
        connection.execute(update(schema.batches).values(submitted_at=long_ago))
    with pytest.raises(SubmitUnknown, match="try again then"):
        settle()
    assert live


@pytest.mark.parametrize("options", [{"send_key": "unheard-of"}, {"on_unknown": "resend"}])
def test_what_cannot_be_is_refused_for_good(unknown, options):
    with pytest.raises(AirflowFailException, match="PreflightError"):
        settle(**options)
    assert unknown
