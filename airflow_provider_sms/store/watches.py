"""
Watches: what has landed in a queue, and up to when a watcher has told it.

A row's landing time is taken shortly before its transaction commits, so rows may show up a little behind
others that are later. Whoever goes on from a moment looks some seconds further back, and leaves out the
pages he knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import exc, func, or_, select

from airflow_provider_sms.records import PageState
from airflow_provider_sms.store.clock import ServerTime
from airflow_provider_sms.store.schema import pages, watches

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement

    from airflow_provider_sms.store.engine import Store

_RECENT_SECONDS = 120.0


class Landed(NamedTuple):
    """
    What landed in a queue.

    :param pages: pages with at least one record.
    :param records: how many records they have.
    :param first_page_id: the first of them by id; ids sort by time.
    :param last_page_id: the last of them.
    """

    pages: int = 0
    records: int = 0
    first_page_id: str = ""
    last_page_id: str = ""


class Watches:
    """
    The watches in one store.

    :param store: where they are kept. Every method raises ``StoreUnavailable`` when it is away.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def told_until(self, watcher: str) -> datetime | None:
        """Give the moment up to which a watcher has told what landed; ``None`` if it never told anything."""
        with self._store.reading() as connection:
            moment: datetime | None = connection.scalar(
                select(watches.c.told_until).where(watches.c.watcher == watcher)
            )
        return moment

    def tell_until(self, watcher: str, conn_id: str, queue: str, moment: datetime) -> None:
        """
        Note up to which moment a watcher has told what landed; never an earlier one than before.

        Unless that one lies ahead: the server's clock has been set back since.
        """
        row = {"watcher": watcher, "conn_id": conn_id, "queue": queue, "told_until": moment}
        known = watches.c.watcher == watcher
        with self._store.begin() as connection:
            passed = or_(watches.c.told_until <= moment, watches.c.told_until > ServerTime())
            later = watches.update().where(known, passed).values(told_until=moment)
            if connection.execute(later).rowcount or connection.scalar(
                select(watches.c.watcher).where(known)
            ):
                return
            try:
                with connection.begin_nested():
                    connection.execute(watches.insert(), row)
            except exc.IntegrityError:
                return  # Another triggerer began the same watch in this very moment.

    def landed_since(self, conn_id: str, queue: str, since: datetime) -> Landed:
        """
        Count what has landed in a queue, pushed or pulled.

        :param since: landed at this time or later, aware.
        """
        page_id = pages.c.page_id
        counts = select(func.count(), func.sum(pages.c.records), func.min(page_id), func.max(page_id))
        with self._store.reading() as connection:
            number, records, first, last = connection.execute(
                counts.where(*_with_records(conn_id, queue, since))
            ).one()
        return Landed(number, int(records or 0), first or "", last or "")

    def latest(self, conn_id: str, queue: str) -> tuple[Any, ...]:
        """
        Give what is another once something more has landed in a queue.

        A little may be late, and seem nothing new: whoever goes by this looks for himself now and then.
        """
        recent = _with_records(conn_id, queue, ServerTime(-_RECENT_SECONDS))
        with self._store.asking() as connection:
            found = select(func.count(), func.max(pages.c.landed_at)).where(*recent)
            return tuple(connection.execute(found).one())

    def pages_since(self, conn_id: str, queue: str, since: datetime) -> dict[str, int]:
        """
        Give the pages that have landed in a queue with their numbers of records.

        :param since: landed at this time or later, aware.
        """
        wanted = select(pages.c.page_id, pages.c.records).where(*_with_records(conn_id, queue, since))
        with self._store.reading() as connection:
            return dict(connection.execute(wanted).all())


def _with_records(conn_id: str, queue: str, since: datetime | ServerTime) -> tuple[ColumnElement[bool], ...]:
    return (
        pages.c.conn_id == conn_id,
        pages.c.queue == queue,
        pages.c.landed_at >= since,
        pages.c.state.in_((PageState.LANDED, PageState.QUARANTINED)),
        pages.c.records > 0,
    )
