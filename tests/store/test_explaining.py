"""Whose a report may be that bears no known id: by its number, its time, and who else has the number."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_sms.records import BatchState
from airflow_provider_sms.store.schema import batches

UNKNOWN, ACCEPTED = BatchState.UNKNOWN, BatchState.ACCEPTED
NUMBER = "13800000001"
OTHER = "13800000002"


@pytest.fixture
def soon(ledger):
    """Give a moment soon after the submit of the send ``key``."""
    return lambda: ledger.batches("key")[0].submitted_at + timedelta(minutes=1)


def test_a_report_on_another_batchs_number_proves_nothing(submitted, ledger, land, make_report, soon):
    """Be it another send's, whose batch has the same place, or the send's other batch."""
    submitted("other", [[OTHER]], ACCEPTED, ids=["7001"])
    submitted("key", [[NUMBER], ["13800000003"]], UNKNOWN)
    land([make_report(OTHER, "5001", at=soon()), make_report("13800000003", "5002", at=soon())])
    assert ledger.settle_by_reports() == [("key", 2)]
    assert [batch.state for batch in ledger.batches("key")] == [UNKNOWN, ACCEPTED]


def test_our_reference_on_another_sends_number_proves_nothing(submitted, ledger, land, make_report, soon):
    """Its batch has the same place."""
    submitted("other", [[OTHER]], ACCEPTED, vendor="smsadmin")
    submitted("key", [[NUMBER]], UNKNOWN, vendor="smsadmin")
    land([make_report(OTHER, "keyref1", at=soon())], vendor="smsadmin")
    assert ledger.settle_by_reports(by_number=False) == []


def test_a_report_without_an_id_proves_nothing(submitted, ledger, land, make_report, soon):
    """It could not be joined to the batch afterwards."""
    submitted("key", [[NUMBER]], UNKNOWN)
    land([make_report(NUMBER, "", at=soon())])
    assert ledger.settle_by_reports() == []


def test_an_id_of_another_vendors_batch_explains_nothing(submitted, ledger, land, make_report, soon):
    """Each vendor counts for itself."""
    submitted("other", [[OTHER]], ACCEPTED, ids=["5001"], vendor="beidoutong", conn_id="sms_other")
    submitted("key", [[NUMBER]], UNKNOWN)
    land([make_report(NUMBER, "5001", at=soon())])
    assert ledger.settle_by_reports() == [("key", 1)]


@pytest.mark.parametrize(
    ("submitted_after", "rivals"),
    [({"minutes": -1}, True), ({"minutes": 1, "seconds": 5}, False), ({"hours": -73}, False)],
)
def test_who_cannot_have_caused_it_in_time_is_no_rival(
    submitted, ledger, store, land, make_report, soon, submitted_after, rivals
):
    """Submitted after the report's time, or so long before it that its own reports are over."""
    submitted("key", [[NUMBER]], UNKNOWN)
    submitted("other", [[NUMBER]], UNKNOWN)
    first = ledger.batches("key")[0].submitted_at
    with store.begin() as connection:
        other = batches.update().where(batches.c.send_key == "other")
        connection.execute(other.values(submitted_at=first + timedelta(**submitted_after)))
    land([make_report(NUMBER, "5001", at=soon())])
    assert ledger.settle_by_reports("key") == ([] if rivals else [("key", 1)])


def test_a_rival_of_another_number_leaves_this_ones_report_alone(submitted, ledger, land, make_report, soon):
    submitted("other", [[OTHER]], UNKNOWN)
    submitted("key", [[NUMBER, OTHER]], UNKNOWN)
    land([make_report(OTHER, "5001", at=soon()), make_report(NUMBER, "5002", at=soon())])
    assert ledger.settle_by_reports("key") == [("key", 1)]


@pytest.mark.parametrize("called", [BatchState.REJECTED, BatchState.NOT_SENT])
def test_what_the_vendor_did_not_take_is_no_rival(submitted, ledger, land, make_report, soon, called):
    submitted("other", [[NUMBER]], called)
    submitted("key", [[NUMBER]], UNKNOWN)
    land([make_report(NUMBER, "5001", at=soon())])
    assert ledger.settle_by_reports() == [("key", 1)]


def test_an_accepted_batch_whose_ids_are_known_is_no_rival(submitted, ledger, land, make_report, soon):
    """Its own report would bear one of them."""
    submitted("other", [[NUMBER]], ACCEPTED, ids=["7001"])
    submitted("key", [[NUMBER]], UNKNOWN)
    land([make_report(NUMBER, "5001", at=soon())])
    assert ledger.settle_by_reports() == [("key", 1)]


def test_a_rival_stays_one_whatever_other_batches_reports_are_there(
    submitted, ledger, land, make_report, soon
):
    """Only its own would show that this one is not its: neither its other batch's nor another send's."""
    submitted("known", [[NUMBER]], ACCEPTED, ids=["7001"])
    submitted("other", [[OTHER], [NUMBER]], UNKNOWN)
    submitted("key", [[NUMBER]], UNKNOWN)
    land([make_report(NUMBER, "7001", at=soon()), make_report(OTHER, "5000", at=soon())])
    assert ledger.settle_by_reports() == [("other", 1)]
    land([make_report(NUMBER, "5001", at=soon())])
    assert ledger.settle_by_reports() == []
