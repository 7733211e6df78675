"""The ids that reports on a batch may bear: all of them are kept, and none costs an outcome."""

from __future__ import annotations

from airflow_provider_sms.records import BatchState
from airflow_provider_sms.store.plans import Outcome

ACCEPTED, NOT_SENT = BatchState.ACCEPTED, BatchState.NOT_SENT


def test_ids_are_kept_of_every_batch_and_submit(plan, ledger, ask):
    """Also where another batch, or another send, has the same: its reports name the number as well."""
    for key in ("other", "key"):
        plan(key, [["13800000001"], ["13800000002"]])
        ledger.claim_many(key, {1: f"{key}1", 2: f"{key}2"}, "me", 60)
        outcomes = [Outcome(1, NOT_SENT), Outcome(2, ACCEPTED, vendor_batch_id="5", message_ids=("6",))]
        ledger.settle_many(key, outcomes, "me")
    ledger.claim("key", 1, "me", 60, "again")
    outcome = Outcome(1, ACCEPTED, vendor_batch_id="5", message_ids=("6", "again"))
    assert ledger.settle_many("key", [outcome], "me") == [1]
    ids = ask(
        "SELECT b.batch_no, i.vendor_message_id, i.kind FROM sms_batch_ids i "
        "JOIN sms_batches b ON b.send_id = i.send_id AND b.batch_no = i.batch_no WHERE b.send_key = 'key'"
    )
    assert sorted(ids) == [
        (1, "5", "batch"),
        (1, "6", "message"),
        (1, "again", "reference"),
        (1, "key1", "reference"),
        (2, "5", "batch"),
        (2, "6", "message"),
        (2, "key2", "reference"),
    ]


def test_ids_that_are_too_long_cost_no_outcome(plan, ledger, ask, land, make_report):
    """What was accepted would stay under way, and end unknown; a report's id is cut as well."""
    plan("key", [["13800000001", "13800000002"]])
    ledger.claim("key", 1, "me", 60, "ref")
    ids = ("1" * 300, "2" * 300)
    assert ledger.settle("key", 1, ACCEPTED, owner="me", vendor_batch_id="0" * 300, message_ids=ids)
    land([make_report("13800000002", ids[1])])
    shown = ask("SELECT mobile, delivery FROM sms_message_status ORDER BY mobile")
    assert shown == [("13800000001", "silent"), ("13800000002", "delivered")]
