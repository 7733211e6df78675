"""
What waits for a person: pages that did not land, submits whose outcome nobody knows.

Everything here can be listed across connections, without bodies, texts and numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, func, or_, select

from airflow_provider_sms.records import BatchState, PageState
from airflow_provider_sms.store import schema
from airflow_provider_sms.store.clock import ServerTime
from airflow_provider_sms.store.migrations import VERSION
from airflow_provider_sms.store.schema import batches, leases, pages

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Select

    from airflow_provider_sms.store.engine import Store

#: States that a person can do something about, or has to know of.
OPEN_STATES = (PageState.QUARANTINED, PageState.SUSPECT, PageState.READ)
_DISMISSIBLE = (PageState.QUARANTINED, PageState.SUSPECT)


class PageLine(NamedTuple):
    """
    A page as a list shows it; times are aware UTC.

    :param records: how many of its records have landed.
    :param size: how many bytes of it are kept.
    :param dismissed_at: when a person said that nothing more can be done about it.
    """

    page_id: str
    conn_id: str
    vendor: str
    queue: str
    source: str
    state: PageState
    started_at: datetime
    landed_at: datetime | None
    declared: int | None
    records: int | None
    error: str | None
    dismissed_at: datetime | None
    size: int | None


class UnknownBatch(NamedTuple):
    """A batch that may have reached people; ``recipients`` is how many."""

    send_key: str
    batch_no: int
    conn_id: str
    vendor: str
    recipients: int
    submitted_at: datetime


class LiveBatch(NamedTuple):
    """
    A batch that is being submitted, or was when its process died.

    :param recipients: how many.
    :param until: when its claim runs out; then it is unknown, unless its outcome is written down before.
    """

    send_key: str
    batch_no: int
    recipients: int
    until: datetime


def find_pages(
    store: Store,
    states: Collection[str] = OPEN_STATES,
    *,
    conn_id: str | None = None,
    page_ids: Collection[str] | None = None,
    limit: int | None = None,
    dismissed: bool = False,
) -> list[PageLine]:
    """
    List pages, the latest first.

    :param states: in one of these states.
    :param conn_id: of this connection only.
    :param page_ids: of these ids only.
    :param limit: so many at most.
    :param dismissed: also those that a person has dismissed.
    """
    listed = [pages.c[name] for name in PageLine._fields[:-1]]
    statement: Select[Any] = (
        select(*listed, func.length(pages.c.body).label("size"))
        .where(pages.c.state.in_(states), *_of(conn_id, dismissed=dismissed))
        .order_by(pages.c.started_at.desc(), pages.c.page_id.desc())
        .limit(limit)
    )
    if page_ids is not None:
        statement = statement.where(pages.c.page_id.in_(page_ids))
    with store.reading() as connection:
        rows = connection.execute(statement).mappings()
        return [PageLine(**{**row, "state": PageState(row["state"])}) for row in rows]


def count_pages(store: Store) -> dict[tuple[str, str, PageState], int]:
    """Count the pages by connection, queue and state, without those that a person has dismissed."""
    by = (pages.c.conn_id, pages.c.queue, pages.c.state)
    statement = select(*by, func.count()).where(*_of(None, dismissed=False)).group_by(*by)
    with store.reading() as connection:
        rows = connection.execute(statement)
        return {(conn_id, queue, PageState(state)): count for conn_id, queue, state, count in rows}


def dead_reads(store: Store) -> int:
    """Count reads that nobody is at any more: the queue's next collection will call them suspect."""
    alive = (
        select(1)
        .where(
            leases.c.conn_id == pages.c.conn_id,
            leases.c.queue == pages.c.queue,
            leases.c.expires_at > ServerTime(),
        )
        .exists()
    )
    statement = select(func.count()).select_from(pages).where(pages.c.state == PageState.READING, ~alive)
    with store.reading() as connection:
        return connection.scalar(statement) or 0


def dismiss(store: Store, page_ids: Sequence[str], note: str) -> list[str]:
    """
    Note that nothing more can be done about pages; they keep their state and their bytes.

    :param page_ids: quarantined or suspect pages; others stay as they are.
    :param note: who said so, when and why; it goes behind the page's error.
    :return: the ids of those that were not dismissed before.
    """
    theirs = (
        pages.c.page_id.in_(page_ids),
        pages.c.state.in_(_DISMISSIBLE),
        pages.c.dismissed_at.is_(None),
    )
    found = select(pages.c.page_id, pages.c.error).where(*theirs).order_by(pages.c.page_id).with_for_update()
    with store.begin() as connection:
        rows = connection.execute(found).all()
        for page_id, error in rows:
            marked = pages.update().where(pages.c.page_id == page_id)
            text = "; ".join(part for part in (error, note) if part)
            connection.execute(marked.values(dismissed_at=ServerTime(), error=text))
    return [page_id for page_id, _ in rows]


def unknown_batches(
    store: Store, *, send_key: str | None = None, conn_id: str | None = None
) -> list[UnknownBatch]:
    """
    List batches whose outcome is not known, oldest first.

    One that is still being submitted counts as well once its claim has run out: its process died.

    :param send_key: of this send only.
    :param conn_id: of this connection only.
    """
    dead = and_(batches.c.state == BatchState.SUBMITTING, batches.c.claim_expires_at <= ServerTime())
    statement = (
        select(*(batches.c[name] for name in UnknownBatch._fields))
        .where(or_(batches.c.state == BatchState.UNKNOWN, dead))
        .order_by(batches.c.submitted_at, batches.c.send_key, batches.c.batch_no)
    )
    if send_key is not None:
        statement = statement.where(batches.c.send_key == send_key)
    if conn_id is not None:
        statement = statement.where(batches.c.conn_id == conn_id)
    with store.reading() as connection:
        return [UnknownBatch(*row) for row in connection.execute(statement)]


def live_batches(store: Store, *, send_key: str | None = None) -> list[LiveBatch]:
    """
    List batches whose claim holds.

    Whoever asks for the unknown ones as well asks for these first: a batch whose claim runs out meanwhile is
    then in both lists rather than in neither.

    :param send_key: of this send only.
    """
    statement = (
        select(batches.c.send_key, batches.c.batch_no, batches.c.recipients, batches.c.claim_expires_at)
        .where(batches.c.state == BatchState.SUBMITTING, batches.c.claim_expires_at > ServerTime())
        .order_by(batches.c.send_key, batches.c.batch_no)
    )
    if send_key is not None:
        statement = statement.where(batches.c.send_key == send_key)
    with store.reading() as connection:
        return [LiveBatch(*row) for row in connection.execute(statement)]


def known_connections(store: Store) -> set[str]:
    """Name the connections that anything in the store belongs to."""
    with store.reading() as connection:
        return {
            conn_id
            for table in (schema.sends, pages, leases)
            for conn_id in connection.scalars(select(table.c.conn_id).distinct())
        }


def schema_version(store: Store) -> str:
    """Tell the version of the tables."""
    with store.reading() as connection:
        statement = select(schema.meta.c.value).where(schema.meta.c.name == VERSION)
        return connection.scalar(statement) or "none"


def _of(conn_id: str | None, *, dismissed: bool) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if conn_id is not None:
        conditions.append(pages.c.conn_id == conn_id)
    if not dismissed:
        conditions.append(pages.c.dismissed_at.is_(None))
    return conditions
