"""How long the oldest thing has been waited for: a report that does not come, a page that did not land."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, case, func, select

from airflow_provider_sms.records import BatchState, DeliveryStatus
from airflow_provider_sms.store.attention import OPEN_STATES
from airflow_provider_sms.store.clock import Elapsed, ServerTime
from airflow_provider_sms.store.explaining import WINDOW
from airflow_provider_sms.store.schema import batch_ids, batches, pages, reports

if TYPE_CHECKING:
    from airflow_provider_sms.store.engine import Store

_FINAL = (DeliveryStatus.DELIVERED, DeliveryStatus.FAILED)


def pending_age(store: Store, conn_id: str) -> float:
    """
    Tell how many seconds ago the oldest accepted message left that has no final report; 0 if there is none.

    After 72 hours no report is expected any more: such a message is silent, and counts no longer.

    :param conn_id: of this connection.
    :raises StoreUnavailable: the store is away.
    """
    scheduled = batches.c.send_at > batches.c.submitted_at
    left_at = case((scheduled, batches.c.send_at), else_=batches.c.submitted_at)
    # By ids, which are few: a batch's numbers would have to be tried with each of them.
    bears = and_(
        reports.c.vendor_message_id == batch_ids.c.vendor_message_id, reports.c.vendor == batch_ids.c.vendor
    )
    reported = (
        select(func.count(reports.c.mobile.distinct()))
        .join_from(batch_ids, reports, bears)
        .where(batch_ids.c.send_id == batches.c.send_id, batch_ids.c.batch_no == batches.c.batch_no)
        .where(reports.c.status.in_(_FINAL))
        .correlate(batches)
        .scalar_subquery()
    )
    statement = (
        select(Elapsed(left_at, ServerTime()))
        .where(batches.c.conn_id == conn_id, batches.c.state == BatchState.ACCEPTED)
        .where(batches.c.submitted_at > ServerTime(-WINDOW.total_seconds()), left_at <= ServerTime())
        .where(reported < func.coalesce(batches.c.accepted_count, batches.c.recipients))
        .order_by(batches.c.submitted_at)
        .limit(1)
    )
    with store.reading() as connection:
        return float(connection.scalar(statement) or 0.0)


def open_page_age(store: Store, conn_id: str, queue: str) -> float:
    """
    Tell how many seconds ago the oldest page was begun that did not land and nobody dismissed; 0 if none.

    :param conn_id: of this connection.
    :param queue: of this queue.
    :raises StoreUnavailable: the store is away.
    """
    statement = select(Elapsed(func.min(pages.c.started_at), ServerTime())).where(
        pages.c.conn_id == conn_id,
        pages.c.queue == queue,
        pages.c.state.in_(OPEN_STATES),
        pages.c.dismissed_at.is_(None),
    )
    with store.reading() as connection:
        return float(connection.scalar(statement) or 0.0)
