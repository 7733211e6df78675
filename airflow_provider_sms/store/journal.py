"""
The journal of pages: what a vendor handed over and deleted, byte for byte.

A pulled page has a row before the vendor is asked (``reading``) and its bytes before anybody parses
them (``read``). A row that stays ``reading`` after its reader's lease ended is ``suspect``: something
may have been handed over and lost, and now it can be seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import exc, func, select

from airflow_provider_sms.errors import StoreUnavailable
from airflow_provider_sms.records import PULL, PUSH, PageState, Queue
from airflow_provider_sms.store import page_statements as statements
from airflow_provider_sms.store.clock import ServerTime
from airflow_provider_sms.store.ids import new_id
from airflow_provider_sms.store.schema import pages
from airflow_provider_sms.wire import WireResponse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sqlalchemy import ColumnElement, RowMapping, Select

    from airflow_provider_sms.store.engine import Store

_OWNER_LENGTH = 250


@dataclass(frozen=True, slots=True)
class PageRow:
    """
    One page as it stands in the journal; times are aware UTC.

    :param source: ``pull`` or ``push``.
    :param http_status: status of the answer that brought it.
    :param framing_complete: whether the framing said that the body is whole.
    :param framing_problem: why it is not.
    :param declared: how many records the vendor said it has.
    :param records: how many landed.
    :param error: why it is in this state.
    :param dismissed_at: when a person said that nothing more can be done about it.
    :param purged_at: when its bytes went.
    :param body: the raw bytes; ``None`` when there are none, or they were not asked for.
    """

    page_id: str
    conn_id: str
    vendor: str
    queue: Queue
    source: str
    state: PageState
    owner: str | None
    started_at: datetime
    read_at: datetime | None
    landed_at: datetime | None
    http_status: int | None
    framing_complete: bool
    framing_problem: str | None
    declared: int | None
    records: int | None
    error: str | None
    dismissed_at: datetime | None = None
    purged_at: datetime | None = None
    body: bytes | None = field(default=None, repr=False)

    @property
    def response(self) -> WireResponse:
        """The page as a parser takes it, the same as when it was read."""
        return WireResponse(
            status=self.http_status or 0,
            body=self.body or b"",
            complete=self.framing_complete,
            problem=self.framing_problem or "",
        )


class Journal:
    """
    The journal in one store.

    :param store: where it is kept. Every method raises ``StoreUnavailable`` when it is away.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, conn_id: str, vendor: str, queue: str, owner: str, *, page_id: str = "") -> str:
        """
        Write down that a queue is about to be read; committed before this returns.

        :param owner: who reads.
        :param page_id: the page's id, where it must be known even if this fails: the commit's answer may be
            lost, and the intent is there to be withdrawn. A fresh one if empty.
        :return: the page's id.
        """
        page_id = page_id or new_id()
        values = {"page": page_id, "conn": conn_id, "of_vendor": vendor, "of_queue": queue}
        self._store.run(statements.BEGUN, **values, reader=owner[:_OWNER_LENGTH])
        return page_id

    def keep(
        self,
        page_id: str,
        body: bytes,
        *,
        complete: bool = True,
        status: int = 200,
        problem: str = "",
        ahead: str = "",
    ) -> None:
        """
        Write down what arrived, whole or not; committed before this returns.

        A page that was called suspect meanwhile is taken, too: here it is after all, also if a person had
        dismissed it. Keeping a page twice changes nothing.

        :param complete: whether the framing says that the body is whole.
        :param status: HTTP status.
        :param problem: why the body is not whole.
        :param ahead: id of the queue's next page, whose read the same commit writes down as about to happen;
            to be withdrawn should it not happen. ``""`` if it is not known whether there will be one.
        """
        values = {
            "page": page_id,
            "raw_body": body,
            "http": status,
            "whole": complete,
            "why": problem or None,
        }
        if self._kept_at_once(values, ahead):
            return
        with self._store.begin() as connection:
            if statements.KEPT.run(connection, **values).rowcount == 0:
                state = connection.scalar(select(pages.c.state).where(pages.c.page_id == page_id))
                if state is None:
                    msg = f"page {page_id} has no row in the SMS store: was it deleted?"
                    raise StoreUnavailable(msg)
            if ahead:
                statements.BEGUN_AFTER.run(connection, page=page_id, next_page=ahead)

    def _kept_at_once(self, values: dict[str, Any], ahead: str) -> bool:
        """Do all of it by one statement, if that is enough; otherwise nothing is done."""
        if not ahead:
            return self._store.run(statements.KEPT, **values) == 1
        if self._store.dialect != "postgresql":
            return False
        return self._store.run(statements.KEPT_AND_BEGUN, **values, next_page=ahead) == 1

    def close_empty(self, page_id: str, conn_id: str, queue: str, declared: int | None = None) -> bool:
        """
        End a read of which the vendor said that nothing is left.

        The queue's older reads of this kind go: a queue that is asked every five seconds would leave 17,000
        rows a day that say nothing. Refusals say something, and stay.

        :param declared: how many records the vendor said the page has.
        :return: whether the page was waiting to land until now.
        """
        these, this = {"conn": conn_id, "of_queue": queue}, {"page": page_id, "said": declared}
        if self._store.dialect == "postgresql":
            return self._store.run(statements.FOUND_EMPTY_AND_FORGOTTEN, **these, **this) == 1
        with self._store.begin() as connection:
            statements.FORGOTTEN.run(connection, **these)
            return statements.FOUND_EMPTY.run(connection, **this).rowcount == 1

    def withdraw(self, page_id: str) -> None:
        """Take back the intent of a read that surely did not happen: nothing is to be seen of it."""
        self._store.run(statements.WITHDRAWN, page=page_id)

    def close_unread(self, page_id: str, state: PageState, error: str = "") -> bool:
        """
        End a read that brought no records: no body, or one that says "no".

        :param state: ``empty`` when the queue surely handed over nothing, ``suspect`` when it is not
            known whether it did.
        :param error: why.
        :return: whether the page was open until now.
        """
        if state not in {PageState.EMPTY, PageState.SUSPECT}:
            msg = f"a read without a body cannot end as {state!r}"
            raise ValueError(msg)
        closed = (
            pages.update()
            .where(pages.c.page_id == page_id, pages.c.state.in_((PageState.READING, PageState.READ)))
            .values(state=state, error=error or None, records=0 if state == PageState.EMPTY else None)
        )
        with self._store.begin() as connection:
            return connection.execute(closed).rowcount == 1

    def quarantine(self, page_id: str, error: str, records: int = 0) -> bool:
        """
        Set a page aside whose bytes cannot be parsed; they stay for a better parser.

        :param error: what the parser missed, without content.
        :param records: how many of its records have landed.
        :return: whether it was changed; a page that has landed stays landed.
        """
        aside = (
            pages.update()
            .where(pages.c.page_id == page_id, pages.c.state.in_((PageState.READ, PageState.QUARANTINED)))
            .values(state=PageState.QUARANTINED, error=error, records=records)
        )
        with self._store.begin() as connection:
            return connection.execute(aside).rowcount == 1

    def has_open(self, conn_id: str, queue: str) -> bool:
        """Tell whether a queue has pages that are being read, or were read and have not landed."""
        with self._store.asking() as connection:
            return statements.ANY_OPEN.run(connection, conn=conn_id, of_queue=queue).first() is not None

    def mark_suspects(self, conn_id: str, queue: str, keep: str = "") -> list[str]:
        """
        Call suspect what dead readers left; to be called by the holder of the queue's lease.

        :param keep: id of the caller's own page, if it has begun one.
        :return: ids of the pages that changed.
        """
        left = (
            *_of(conn_id, queue, PageState.READING),
            pages.c.source == PULL,
            pages.c.page_id != keep,
        )
        found = select(pages.c.page_id).where(*left).order_by(pages.c.started_at).with_for_update()
        with self._store.begin() as connection:
            ids = list(connection.scalars(found))
            if ids:
                changed = pages.update().where(*left, pages.c.page_id.in_(ids))
                error = "the reader ended between asking the vendor and writing down the answer"
                connection.execute(changed.values(state=PageState.SUSPECT, error=error))
        return ids

    def suspects(self, conn_id: str, queue: str) -> list[PageRow]:
        """Give the suspect pages of a queue, oldest first."""
        return self._rows(_listing().where(*_of(conn_id, queue, PageState.SUSPECT)))

    def quarantined(self, conn_id: str, queue: str) -> list[PageRow]:
        """Give the quarantined pages of a queue, oldest first, without bodies."""
        return self._rows(_listing().where(*_of(conn_id, queue, PageState.QUARANTINED)))

    def unlanded(self, conn_id: str, queue: str) -> Iterator[PageRow]:
        """Give the pages that were read and have not landed, oldest first, each body when its turn comes."""
        for row in self._rows(_listing().where(*_of(conn_id, queue, PageState.READ))):
            yield self.page(row.page_id)

    def page(self, page_id: str) -> PageRow:
        """
        Give one page with its body.

        :raises KeyError: there is none.
        """
        found = self._rows(select(pages).where(pages.c.page_id == page_id))
        if not found:
            raise KeyError(page_id)
        return found[0]

    def push(
        self,
        conn_id: str,
        vendor: str,
        queue: str,
        body: bytes,
        *,
        page_id: str = "",
        status: int = 200,
    ) -> str:
        """
        Write down what a vendor pushed; committed before this returns, so "stored" may be answered.

        :param body: the bytes from which the event can be parsed again.
        :param page_id: an id made from the event, so that a repeat of the same call finds its page and
            changes nothing; a fresh one if empty.
        :return: the page's id.
        """
        row = {
            "page_id": page_id or new_id(),
            "conn_id": conn_id,
            "vendor": vendor,
            "queue": queue,
            "source": PUSH,
            "state": PageState.READ,
            "started_at": ServerTime(),
            "read_at": ServerTime(),
            "http_status": status,
            "framing_complete": True,
            "body": body,
        }
        with self._store.begin() as connection:
            known = select(pages.c.page_id).where(pages.c.page_id == row["page_id"])
            if page_id and connection.scalar(known) is not None:
                return page_id
            try:
                with connection.begin_nested():
                    connection.execute(pages.insert().values(row))
            except exc.IntegrityError:
                # The repeat came while the first was being written.
                if connection.scalar(known) is None:
                    raise
        return str(row["page_id"])

    def counts(self, conn_id: str | None = None, queue: str | None = None) -> dict[PageState, int]:
        """
        Count the pages by state; every state is there.

        :param conn_id: only pages of this connection.
        :param queue: only pages of this queue.
        """
        statement = select(pages.c.state, func.count()).group_by(pages.c.state)
        if conn_id is not None:
            statement = statement.where(pages.c.conn_id == conn_id)
        if queue is not None:
            statement = statement.where(pages.c.queue == queue)
        counts = dict.fromkeys(PageState, 0)
        with self._store.reading() as connection:
            for state, number in connection.execute(statement):
                counts[PageState(state)] = number
        return counts

    def _rows(self, statement: Select[Any]) -> list[PageRow]:
        with self._store.reading() as connection:
            rows = connection.execute(statement.order_by(pages.c.started_at, pages.c.page_id)).mappings()
            return [PageRow(**{**row, **_plain(row)}) for row in rows]


def _plain(row: RowMapping) -> dict[str, Any]:
    return {
        "queue": Queue(row["queue"]),
        "state": PageState(row["state"]),
        # Nothing is known to be missing of what has not been read.
        "framing_complete": row["framing_complete"] is not False,
    }


def _listing() -> Select[Any]:
    return select(*(column for column in pages.c if column.name != "body"))


def _of(conn_id: str, queue: str, state: PageState) -> tuple[ColumnElement[bool], ...]:
    return pages.c.conn_id == conn_id, pages.c.queue == queue, pages.c.state == state
