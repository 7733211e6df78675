"""What sensors ask the tables."""

from __future__ import annotations

import pytest

from airflow_provider_sms.records import BatchState
from airflow_provider_sms.store import arrivals, schema
from airflow_provider_sms.store.clock import ServerTime


@pytest.mark.parametrize(("hours", "goes_out"), [(0, True), (23, True), (25, False)])
def test_a_send_goes_out_until_its_batches_were_submitted_or_it_was_given_up(
    store, ledger, plan, hours, goes_out
):
    plan("key", [["13800000001"], ["13800000002"]])
    with store.begin() as connection:
        connection.execute(schema.batches.update().values(prepared_at=ServerTime(-3600.0 * hours)))
    assert arrivals.is_going_out(store, "key") is goes_out
    assert not arrivals.is_going_out(store, "another")
    ledger.claim("key", 1, "worker", 60, "ref")
    # However long it lay there: one of its batches is on its way, the others follow.
    assert arrivals.is_going_out(store, "key")
    ledger.claim("key", 2, "worker", 60, "other")
    assert not arrivals.is_going_out(store, "key")
    ledger.settle("key", 1, BatchState.NOT_SENT, owner="worker")
    assert not arrivals.is_going_out(store, "key")
