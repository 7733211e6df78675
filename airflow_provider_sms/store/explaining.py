"""
Reports that nothing known to the store explains but one batch, by its numbers and the time.

Another batch is a rival for such a report while it may have caused it: it was submitted in time to one of the
numbers, and not all of its own reports can be known by their ids.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, not_, or_, select

from airflow_provider_sms.records import BatchState, Queue
from airflow_provider_sms.store.plans import UNSENT
from airflow_provider_sms.store.schema import batch_ids, batches, pages, recipients, reports
from airflow_provider_sms.store.views import OF_BATCH

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Row
    from sqlalchemy.engine import Connection

#: How long after a submit (or the time it was scheduled for) its reports may come.
WINDOW = timedelta(hours=72)


def unexplained(connection: Connection, batch: Row[Any], page_ids: Collection[str] | None) -> dict[str, str]:
    """
    Give the ids of reports that only this batch can have caused, by number, the first of each number.

    :param batch: a row of ``sms_batches``.
    :param page_ids: look at the reports of these pages alone.
    """
    found = _without_batch(connection, batch, page_ids)
    if found:
        for rival in _rivals(connection, batch, {row.mobile for row in found}):
            start, end = _window(rival)
            found = [
                row for row in found if row.mobile != rival.mobile or not start <= row.reported_at <= end
            ]
    ids: dict[str, str] = {}
    for row in found:
        ids.setdefault(row.mobile, row.vendor_message_id)
    return ids


def _window(batch: Row[Any]) -> tuple[datetime, datetime]:
    # Vendors cut their times to whole seconds, so a report may seem to come before its submit.
    start = batch.submitted_at.replace(microsecond=0)
    return start, max(batch.submitted_at, batch.send_at or batch.submitted_at) + WINDOW


def _without_batch(
    connection: Connection, batch: Row[Any], page_ids: Collection[str] | None
) -> Sequence[Any]:
    start, end = _window(batch)
    of_a_batch = (
        select(1)
        .where(
            batch_ids.c.vendor == reports.c.vendor,
            batch_ids.c.vendor_message_id == reports.c.vendor_message_id,
        )
        .exists()
    )
    statement = (
        select(reports.c.vendor_message_id, reports.c.mobile, reports.c.reported_at)
        .select_from(pages)
        .join(reports, reports.c.page_id == pages.c.page_id)
        .join(recipients, recipients.c.mobile == reports.c.mobile)
        .where(
            # By way of the pages: none that landed before the submit can hold a report on it.
            pages.c.conn_id == batch.conn_id,
            pages.c.queue == Queue.REPORTS,
            pages.c.landed_at >= start,
            recipients.c.send_id == batch.send_id,
            recipients.c.batch_no == batch.batch_no,
            reports.c.vendor == batch.vendor,
            reports.c.reported_at.between(start, end),
            # An id is needed to join the report to the batch afterwards.
            reports.c.vendor_message_id != "",
            ~of_a_batch,
        )
        .order_by(reports.c.reported_at)
    )
    if page_ids is not None:
        statement = statement.where(pages.c.page_id.in_(page_ids))
    return connection.execute(statement).all()


def _rivals(connection: Connection, batch: Row[Any], mobiles: Collection[str]) -> Sequence[Any]:
    """Give the other batches that may have caused a report on these numbers, once for each such number."""
    # Within one send no number is twice, so its own batches are none.
    start, end = _window(batch)
    own_ids = (
        batch_ids.c.send_id == batches.c.send_id,
        batch_ids.c.batch_no == batches.c.batch_no,
    )
    told_ids = select(1).where(*own_ids, batch_ids.c.kind.in_(("batch", "message"))).exists()
    once = batches.c.attempts <= 1
    # Taken by its first submit, whose answer told the ids: all its reports are known by them.
    known = and_(once, batches.c.settled_by == "answer", told_ids)
    open_or_doubtful = or_(
        batches.c.state.in_((BatchState.UNKNOWN, BatchState.SUBMITTING)),
        and_(batches.c.state == BatchState.ACCEPTED, not_(known)),
        # A person may be wrong.
        and_(batches.c.state.in_(UNSENT), batches.c.settled_by == "person"),
    )
    # One submit makes one report with a number, and here it is.
    has_its_own = (
        select(1)
        .where(
            *own_ids,
            reports.c.vendor_message_id == batch_ids.c.vendor_message_id,
            reports.c.vendor == batch_ids.c.vendor,
            reports.c.mobile == recipients.c.mobile,
        )
        .exists()
    )
    statement = (
        select(batches.c.submitted_at, batches.c.send_at, recipients.c.mobile)
        .join(recipients, OF_BATCH)
        .where(
            batches.c.vendor == batch.vendor,
            batches.c.send_key != batch.send_key,
            batches.c.submitted_at <= end,
            or_(batches.c.submitted_at >= start - WINDOW, batches.c.send_at >= start - WINDOW),
            open_or_doubtful,
            recipients.c.mobile.in_(mobiles),
            not_(and_(once, has_its_own)),
        )
    )
    return connection.execute(statement).all()
