"""
Pushed pages: the form in which a push is stored, and how it becomes a row.

A push is one event. The vendor's fields come in the query, in the body, or in both, and mean the same
either way, so the stored form is one string of fields: the query (without our token) and the body, byte
for byte, joined as fields are joined.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_sms import errors
from airflow_provider_sms.records import PUSH, Queue, Report
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.landing import Landing
from airflow_provider_sms.store.ledger import Ledger
from airflow_provider_sms.store.refusals import landed_or_why_not

if TYPE_CHECKING:
    import logging

    from airflow_provider_sms.records import Pushed, Reply
    from airflow_provider_sms.store.engine import Store
    from airflow_provider_sms.store.landing import Landed
    from airflow_provider_sms.vendors.base import Account, Vendor


def stored_form(query: bytes, body: bytes) -> bytes:
    """
    Give the bytes to store of a push.

    :param query: raw query string, without our own parameters.
    :param body: raw body.
    """
    return b"&".join(part for part in (query, body) if part)


def read(vendor: Vendor, account: Account, stored: bytes) -> Pushed:
    """
    Read the stored form of a push.

    :raises WireFormatError: it is no event of the vendor.
    """
    try:
        return vendor.parse_push(account, "", stored)
    except errors.WireFormatError:
        raise
    except Exception as bug:  # noqa: BLE001 - a parser's mistake must not cost the only copy
        reason = f"connection {account.conn_id!r}: the parser of pushes failed with {type(bug).__name__}"
    raise errors.WireFormatError(reason)


def queue_of(pushed: Pushed) -> Queue:
    """Tell which queue an event belongs to."""
    return Queue.REPORTS if isinstance(pushed.record, Report) else Queue.REPLIES


def land(
    vendor: Vendor,
    account: Account,
    store: Store,
    page_id: str,
    queue: Queue,
    stored: bytes,
    *,
    log: logging.Logger | Any,
) -> int:
    """
    Make a row of a stored push, or quarantine it with its bytes.

    :param queue: the queue its page is filed under.
    :return: how many rows came of it: 0 when it is quarantined, or a row stands for its event already.
    :raises StoreUnavailable: the page stays ``read`` and is landed later.
    """
    landed: Landed | str
    try:
        records = _records(read(vendor, account, stored), queue)
    except errors.WireFormatError as unreadable:
        landed = str(unreadable)
    else:
        landed = landed_or_why_not(
            store, lambda: Landing(store).land(page_id, account.conn_id, vendor.name, queue.value, records)
        )
    if isinstance(landed, str):
        Journal(store).quarantine(page_id, landed)
        log.error("%s. Push %s is in quarantine: 'airflow sms pages' shows it", landed, page_id)
        return 0
    if landed.records and queue is Queue.REPORTS:
        by_number = not vendor.reports_bear_reference
        settled = Ledger(store).settle_by_reports(
            conn_id=account.conn_id, page_id=page_id, by_number=by_number, landed=[page_id]
        )
        for send_key, batch_no in settled:
            log.info("batch %d of send %s was unknown and is accepted: a report came", batch_no, send_key)
    return landed.records


def _records(pushed: Pushed, queue: Queue) -> list[Report] | list[Reply]:
    if queue_of(pushed) is not queue:
        msg = f"the event belongs to the {queue_of(pushed).value}, its page to the {queue.value}"
        raise errors.WireFormatError(msg)
    if isinstance(pushed.record, Report):
        return [pushed.record]
    return [pushed.record]


def land_left_over(
    vendor: Vendor, account: Account, store: Store, queue: Queue, *, log: logging.Logger | Any
) -> int:
    """
    Land the pushes of a queue that were stored and not landed.

    :return: how many pages there were.
    :raises StoreUnavailable: the store is away; nothing is lost.
    """
    pages = 0
    for page in Journal(store).unlanded(account.conn_id, queue.value):
        if page.source == PUSH:
            land(vendor, account, store, page.page_id, queue, page.body or b"", log=log)
            pages += 1
    return pages
