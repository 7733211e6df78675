"""Settle by evidence: what reports prove of sends whose outcome was not known."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.store.attention import unknown_batches
from airflow_provider_sms.store.ledger import Ledger
from airflow_provider_sms.vendors.base import Operation
from airflow_provider_sms.vendors.registry import vendor_named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_sms.store.attention import LiveBatch
    from airflow_provider_sms.store.engine import Store


def settle_by_evidence(store: Store, send_key: str | None = None) -> list[tuple[str, int]]:
    """
    Call unknown what a crash cut off, and accepted what reports prove.

    :param send_key: only this send.
    :return: send key and number of each batch that is accepted now.
    :raises PreflightError: nothing was ever sent under this key.
    :raises StoreUnavailable: the store is away.
    """
    ledger = Ledger(store)
    if send_key is not None and ledger.send(send_key) is None:
        problem = "nothing was sent under this key: copy it from 'airflow sms settle' or the task's log"
        raise PreflightError([problem], f"send key {send_key!r}")
    settled: list[tuple[str, int]] = []
    unknown = unknown_batches(store, send_key=send_key)
    for key in dict.fromkeys(batch.send_key for batch in unknown):
        ledger.expire(key)
    for key, vendor in dict.fromkeys((batch.send_key, batch.vendor) for batch in unknown):
        # Where reports bear our reference, one without it is about somebody else's message.
        by_number = not vendor_named(vendor).reports_bear_reference
        settled += ledger.settle_by_reports(key, by_number=by_number, landed=None)
    return settled


def gives_reports(vendor: str) -> bool:
    """
    Tell whether a vendor gives delivery reports; of one that does not, silence says nothing.

    :param vendor: its name.
    :raises PreflightError: there is no such vendor.
    """
    known = vendor_named(vendor)
    return known.supports(Operation.REPORTS) or known.supports(Operation.PUSH)


def being_submitted(live: Sequence[LiveBatch]) -> str:
    """Say how many batches are being submitted, and by which minute all their claims have run out."""
    until = max(batch.until for batch in live) + timedelta(minutes=1)
    count = "1 batch is" if len(live) == 1 else f"{len(live):,} batches are"
    return f"{count} being submitted until {until:%H:%M} UTC"
