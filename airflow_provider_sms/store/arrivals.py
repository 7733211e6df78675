"""What has arrived: the questions that sensors ask the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import case, func, or_, select

from airflow_provider_sms.records import BatchState, DeliveryStatus, Queue
from airflow_provider_sms.store.clock import ServerTime
from airflow_provider_sms.store.schema import batches, pages, replies, reports
from airflow_provider_sms.store.views import message_status

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_sms.store.engine import Store


#: Airflow's longest pause before a retry, unless told otherwise.
_GIVEN_UP_SECONDS = 86_400.0


class DeliveryCounts(NamedTuple):
    """
    Messages (or reports) by what is known of their delivery.

    :param delivered: finally reported as delivered.
    :param failed: finally reported as failed.
    :param pending: without a final report.
    """

    delivered: int
    failed: int
    pending: int


class ArrivedReply(NamedTuple):
    """A landed reply; the id is that of its page and its place there."""

    reply_id: str
    content: str


def delivery_of(store: Store, send_key: str) -> DeliveryCounts:
    """
    Count a send's messages that the vendor accepted, or may have accepted.

    :param send_key: which send.
    """
    status = message_status(batches.c.send_key == send_key).subquery()
    statement = (
        select(status.c.delivery, func.count())
        .where(status.c.delivery.is_not(None))
        .group_by(status.c.delivery)
    )
    with store.asking() as connection:
        return _counts(dict(connection.execute(statement).all()))


def is_going_out(store: Store, send_key: str) -> bool:
    """
    Tell whether batches of a send wait for their first submit, and a run or a retry can be expected for them.

    :param send_key: which send; one of which nothing has been planned, submitted or settled for a day was
        given up.
    """
    then = ServerTime(-_GIVEN_UP_SECONDS)
    waits = batches.c.state == BatchState.PREPARED
    lives = or_(*(batches.c[name] > then for name in ("prepared_at", "submitted_at", "settled_at")))
    statement = select(func.max(case((waits, 1), else_=0)), func.max(case((lives, 1), else_=0)))
    with store.asking() as connection:
        row = connection.execute(statement.where(batches.c.send_key == send_key)).one()
    return all(row)


def reports_since(store: Store, conn_id: str, since: datetime) -> DeliveryCounts:
    """
    Count an account's reports that have landed.

    :param conn_id: which account.
    :param since: landed at this time or later, aware.
    """
    # By way of the pages: they are few, and known by connection and time.
    statement = (
        select(reports.c.status, func.count())
        .join_from(pages, reports, reports.c.page_id == pages.c.page_id)
        .where(pages.c.conn_id == conn_id, pages.c.queue == Queue.REPORTS, pages.c.landed_at >= since)
        .where(reports.c.landed_at >= since)
        .group_by(reports.c.status)
    )
    with store.asking() as connection:
        return _counts(dict(connection.execute(statement).all()))


def replies_since(
    store: Store, conn_id: str, since: datetime, mobile: str | None = None
) -> list[ArrivedReply]:
    """
    Give an account's replies, oldest first.

    :param conn_id: which account.
    :param since: received at this time or later, aware.
    :param mobile: of this national number only.
    """
    statement = (
        select(replies.c.page_id, replies.c.seq, replies.c.content)
        .where(replies.c.conn_id == conn_id, replies.c.received_at >= since)
        .order_by(replies.c.received_at, replies.c.page_id, replies.c.seq)
    )
    if mobile is not None:
        statement = statement.where(replies.c.mobile == mobile)
    with store.asking() as connection:
        return [
            ArrivedReply(f"{page}:{seq}", content) for page, seq, content in connection.execute(statement)
        ]


def _counts(found: dict[str, int]) -> DeliveryCounts:
    delivered = found.pop(DeliveryStatus.DELIVERED, 0)
    failed = found.pop(DeliveryStatus.FAILED, 0)
    return DeliveryCounts(delivered, failed, sum(found.values()))
