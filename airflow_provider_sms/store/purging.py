"""
Retention: take texts, raw bytes and whole numbers out of old rows, and leave the rows.

Keys, states, counts and times stay, and a send key that was used stays used. A number becomes the block of
ten thousand numbers it is in, and a keyed hash. A send's numbers go in one transaction with those of its
reports, and turn into the same: what became of each message can still be told, and figures made anew from
purged rows are the same figures. Not so where a report may be on messages of several sends, of which the
older are purged before it; nor are replies and the messages that they answer, which grow old each by itself.

The hash's key is the store's ``number_hash_key``. Without one, each purge makes its own and throws it away
at its end: nobody can try numbers against what it left, and equal numbers of two purges look different.

A purge works in chunks, each of them one transaction that marks what it purged. It can be cut off and run
again at any time. Each chunk begins behind the one before: walking over the marks from the start, the last
of a year's pages would take hundreds of times as long as the first.
"""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, exists, func, or_, select

from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.records import BatchState, PageState, Queue
from airflow_provider_sms.store import bulk
from airflow_provider_sms.store.clock import ServerTime
from airflow_provider_sms.store.explaining import WINDOW
from airflow_provider_sms.store.number_hash import pseudonym
from airflow_provider_sms.store.purged_reports import on_unpurged_batch, reports_on, still_whole
from airflow_provider_sms.store.schema import (
    batch_ids,
    batches,
    pages,
    pushed_events,
    recipients,
    replies,
    reports,
    sends,
    storms,
    waits,
)
from airflow_provider_sms.store.statistics import have_counted
from airflow_provider_sms.store.turns import take_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Row, Select, Table
    from sqlalchemy.engine import Connection

    from airflow_provider_sms.optouts import OptOuts
    from airflow_provider_sms.store.engine import Store

#: Rows of a chunk: as many as one commit is worth.
_ROWS = 10_000
#: Batches or pages of a chunk; SQLite takes no expression of a thousand parts.
_PARTS = 200
_LANDED = (PageState.LANDED, PageState.EMPTY)
_OUTCOME_OPEN = (BatchState.SUBMITTING, BatchState.UNKNOWN)


class Purged(NamedTuple):
    """
    What a purge took, or would take.

    :param pages: pages whose bytes went.
    :param reports: reports whose numbers went.
    :param replies: replies whose texts and numbers went.
    :param opt_outs: replies of these pages that stayed whole, because they ask for silence.
    :param batches: batches whose texts went.
    :param recipients: recipients whose numbers and texts went.
    """

    pages: int = 0
    reports: int = 0
    replies: int = 0
    opt_outs: int = 0
    batches: int = 0
    recipients: int = 0


class Left(NamedTuple):
    """
    What is old enough and stays all the same.

    :param pages: pages in quarantine, suspect, or not landed.
    :param sends: sends with a batch whose outcome is not known.
    """

    pages: int
    sends: int


class Purge:
    """
    One purge.

    A page is old by the time it landed. A send is old when the 72 hours in which its reports may come
    were over before the date.

    :param store: what is purged.
    :param before: what is older than this, aware.
    :param opt_outs: tells the replies that stay.
    :param conn_id: only what belongs to this connection.
    :param also_quarantined: quarantined pages, too; nobody can replay them afterwards.
    :raises PreflightError: the date is not past.
    """

    def __init__(
        self,
        store: Store,
        before: datetime,
        opt_outs: OptOuts,
        *,
        conn_id: str | None = None,
        also_quarantined: bool = False,
    ) -> None:
        if before > store.now():
            problem = f"{before.isoformat()} is not past: give an earlier date"
            raise PreflightError([problem], "purge", "nothing was changed")
        self._store = store
        self._before = before
        self._opt_outs = opt_outs
        self._conn_id = conn_id
        self._states = (*_LANDED, PageState.QUARANTINED) if also_quarantined else _LANDED

    def preview(self) -> Purged:
        """Count what :meth:`run` would take; changes nothing."""
        old = self._old_pages().subquery()
        of_old = select(func.count()).select_from(old)
        with self._store.reading() as connection:
            _run_at_once(connection)
            kept = sum(map(self._opt_outs.matches, self._old_contents(connection)))
            found_replies = connection.scalar(of_old.join(replies, replies.c.page_id == old.c.page_id)) or 0
            # A CTE is made once, however often it is looked at.
            found_batches = self._old_batches(self._old_sends()).cte("old_batches")
            counts = select(func.count(), func.coalesce(func.sum(found_batches.c.recipients), 0))
            batch_count, recipient_count = connection.execute(counts.select_from(found_batches)).one()
            return Purged(
                pages=connection.scalar(of_old) or 0,
                reports=self._count_reports(connection, found_batches),
                replies=found_replies - kept,
                opt_outs=kept,
                batches=batch_count,
                recipients=int(recipient_count),
            )

    def left(self) -> Left:
        """Count what is old enough and is not purged, because somebody still needs it."""
        open_pages = select(func.count()).select_from(pages)
        open_pages = open_pages.where(*self._aged_page(), pages.c.state.not_in(self._states))
        open_sends = select(func.count(batches.c.send_id.distinct())).where(
            *self._aged_batch(batches), batches.c.purged_at.is_(None), batches.c.state.in_(_OUTCOME_OPEN)
        )
        with self._store.reading() as connection:
            return Left(connection.scalar(open_pages) or 0, connection.scalar(open_sends) or 0)

    def _count_reports(self, connection: Connection, old_batches: Any) -> int:
        old = self._old_pages().where(pages.c.queue == Queue.REPORTS).subquery()
        alone = select(func.count()).select_from(reports).join(old, old.c.page_id == reports.c.page_id)
        theirs = reports_on(
            and_(batch_ids.c.send_id == old_batches.c.send_id, batch_ids.c.batch_no == old_batches.c.batch_no)
        )
        theirs = theirs.select_from(old_batches).where(~on_unpurged_batch(but=old_batches))
        named = select(func.count()).select_from(theirs.distinct().subquery())
        return sum(
            connection.scalar(statement) or 0 for statement in (alone.where(~on_unpurged_batch()), named)
        )

    def run(self, told: Callable[[Purged], None] = lambda _: None) -> Purged:
        """
        Purge.

        :param told: called after each chunk with what has been taken so far.
        :return: what was taken.
        :raises StoreUnavailable: the store went away; the chunks before are done, run it again.
        """
        total = Purged()
        have_counted(self._store)
        key = self._store.number_hash_key or secrets.token_bytes(32)
        # Sends first: a report keeps its number for as long as its message does.
        for step in (self._purge_batches, self._purge_pages):
            # The last part of the chunk before.
            last: Row[Any] | None = None
            while (chunk := self._store.transact(partial(step, key, last))) is not None:
                done, last = chunk
                total = Purged(*map(sum, zip(total, done, strict=True)))
                told(total)
        self._store.transact(self._forget)
        return total

    def _forget(self, connection: Connection) -> None:
        """Delete old rows that were made to compare numbers, and have nothing left to be compared with."""
        storms_of = [storms.c.since < self._before]
        # What was pushed may still be polled as long as reports come, however short the retention.
        polled = ServerTime(-WINDOW.total_seconds())
        events_of = [pushed_events.c.landed_at < self._before, pushed_events.c.landed_at < polled]
        if self._conn_id is not None:
            theirs = select(pages.c.page_id).where(pages.c.conn_id == self._conn_id)
            storms_of.append(storms.c.conn_id == self._conn_id)
            events_of.append(pushed_events.c.page_id.in_(theirs))
        connection.execute(storms.delete().where(*storms_of))
        if queues := connection.execute(_queues_with_unlanded_pages()).all():
            # Without them, a replay of such a page would land what was pushed as well a second time.
            of_them = (and_(pages.c.conn_id == conn, pages.c.queue == name) for conn, name in queues)
            needed = select(pages.c.page_id).where(or_(*of_them))
            events_of.append(pushed_events.c.page_id.not_in(needed))
        connection.execute(pushed_events.delete().where(*events_of))
        connection.execute(waits.delete().where(waits.c.expires_at <= ServerTime()))

    # --- pages and their rows --------------------------------------------------------------------

    def _aged_page(self) -> list[ColumnElement[bool]]:
        age = func.coalesce(pages.c.landed_at, pages.c.read_at, pages.c.started_at)
        conditions = [pages.c.purged_at.is_(None), age < self._before]
        if self._conn_id is not None:
            conditions.append(pages.c.conn_id == self._conn_id)
        return conditions

    def _old_pages(self) -> Any:
        return select(pages.c.page_id, pages.c.queue, pages.c.records).where(
            *self._aged_page(), pages.c.state.in_(self._states)
        )

    def _old_contents(self, connection: Connection) -> Iterable[str]:
        old = self._old_pages().where(pages.c.queue == Queue.REPLIES).subquery()
        statement = select(replies.c.content).join(old, old.c.page_id == replies.c.page_id)
        return connection.execution_options(yield_per=_ROWS).scalars(statement)

    def _purge_pages(
        self, key: bytes, last: Row[Any] | None, connection: Connection
    ) -> tuple[Purged, Row[Any]] | None:
        _run_at_once(connection)
        _overwrite(connection)
        wanted = self._old_pages().order_by(pages.c.page_id).limit(_PARTS)
        if last is not None:
            wanted = wanted.where(pages.c.page_id > last.page_id)
        # Another purge, or a replay, waits until this chunk is done, and sees its marks.
        found = connection.execute(wanted.with_for_update()).all()
        if not found:
            return None
        chunk = list(_up_to(found, _ROWS))
        ids = [page.page_id for page in chunk]
        going = select(reports).where(reports.c.page_id.in_(ids), ~on_unpurged_batch(), still_whole(reports))
        found_reports = _rewrite(connection, reports, connection.execute(going).all(), key)
        purged_replies, kept = self._purge_replies(connection, ids, key)
        _close_pages(connection, ids)
        return Purged(len(ids), found_reports, purged_replies, kept), chunk[-1]

    def _purge_replies(self, connection: Connection, ids: Sequence[str], key: bytes) -> tuple[int, int]:
        rows = connection.execute(select(replies).where(replies.c.page_id.in_(ids))).all()
        going = [row for row in rows if not self._opt_outs.matches(row.content)]
        _rewrite(connection, replies, going, key, content="")
        return len(going), len(rows) - len(going)

    # --- sends -----------------------------------------------------------------------------------

    def _aged_batch(self, table: Any) -> list[ColumnElement[bool]]:
        cut = self._before - WINDOW
        conditions = [
            table.c.prepared_at < cut,
            or_(table.c.submitted_at.is_(None), table.c.submitted_at < cut),
            or_(table.c.send_at.is_(None), table.c.send_at < cut),
        ]
        if self._conn_id is not None:
            conditions.append(table.c.conn_id == self._conn_id)
        return conditions

    def _old_sends(self) -> Select[Any]:
        other = batches.alias("other")
        # A send goes as a whole: while one batch of it is open, people may still need the others. Asked of
        # each send, not of each batch: a send may have thousands.
        open_one = exists().where(
            other.c.send_id == sends.c.send_id,
            or_(other.c.state.in_(_OUTCOME_OPEN), ~and_(*self._aged_batch(other))),
        )
        return select(sends.c.send_id).where(~open_one)

    def _old_batches(self, of_sends: Any) -> Select[Any]:
        return select(batches.c.send_id, batches.c.batch_no, batches.c.recipients).where(
            batches.c.purged_at.is_(None), *self._aged_batch(batches), batches.c.send_id.in_(of_sends)
        )

    def _next_batches(self, connection: Connection, last: Row[Any] | None) -> Select[Any]:
        # Sends first, and no more than may be needed: else each chunk would ask this of all that there are.
        left = exists().where(batches.c.send_id == sends.c.send_id, batches.c.purged_at.is_(None))
        next_sends = self._old_sends().where(left).order_by(sends.c.send_id).limit(_PARTS)
        if last is None:
            return self._old_batches(connection.scalars(next_sends).all())
        next_sends = next_sends.where(sends.c.send_id >= last.send_id)
        behind = or_(batches.c.send_id > last.send_id, batches.c.batch_no > last.batch_no)
        return self._old_batches(connection.scalars(next_sends).all()).where(behind)

    def _purge_batches(
        self, key: bytes, last: Row[Any] | None, connection: Connection
    ) -> tuple[Purged, Row[Any]] | None:
        _run_at_once(connection)
        _overwrite(connection)
        # Purges take turns: of a report on batches of both, each would leave the number to the other.
        take_turn(connection)
        wanted = self._next_batches(connection, last)
        wanted = wanted.order_by(batches.c.send_id, batches.c.batch_no).limit(_PARTS)
        found = connection.execute(wanted.with_for_update()).all()
        if not found:
            return None
        chunk = list(_up_to(found, _ROWS))
        emptied = batches.update().where(_in_batches(batches, chunk))
        connection.execute(emptied.values(content="", vendor_text=None, purged_at=ServerTime()))
        # While their recipients' numbers are still there to be joined. What another batch needs as well
        # goes with the last of them.
        theirs = reports_on(_in_batches(batch_ids, chunk)).where(~on_unpurged_batch())
        found_reports = _rewrite(connection, reports, connection.execute(theirs.distinct()).all(), key)
        rows = connection.execute(select(recipients).where(_in_batches(recipients, chunk))).all()
        _rewrite(connection, recipients, rows, key, content=None, template_values=None)
        return Purged(reports=found_reports, batches=len(chunk), recipients=len(rows)), chunk[-1]


# ---------------------------------------------------------------------------------------------------


def _run_at_once(connection: Connection) -> None:
    # To compile what is asked of each row takes PostgreSQL far longer than to ask it.
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL jit = off")


def _overwrite(connection: Connection) -> None:
    # SQLite would leave what was deleted in free parts of the file until they are used again.
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")


def _up_to(found: Iterable[Row[Any]], rows: int) -> Iterator[Row[Any]]:
    """Give parts until they hold so many rows; one part at least."""
    count = 0
    for part in found:
        if count and count + (part[-1] or 0) > rows:
            return
        count += part[-1] or 0
        yield part


def _in_batches(table: Table, chunk: Sequence[Row[Any]]) -> ColumnElement[bool]:
    by_send: dict[int, list[int]] = {}
    for batch in chunk:
        by_send.setdefault(batch.send_id, []).append(batch.batch_no)
    return or_(
        *(
            and_(table.c.send_id == send_id, table.c.batch_no.in_(numbers))
            for send_id, numbers in by_send.items()
        )
    )


def _rewrite(
    connection: Connection, table: Table, rows: Sequence[Row[Any]], key: bytes, **blank: str | None
) -> int:
    """Write rows back without their numbers, and with other columns blank; how many."""
    if not rows:
        return 0
    names = [column.name for column in table.columns]
    columns: dict[str, Any] = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    known: dict[str, str] = {}
    for mobile in columns["mobile"]:
        if mobile not in known:
            known[mobile] = pseudonym(mobile, key)
    columns["mobile"] = [known[mobile] for mobile in columns["mobile"]]
    columns |= blank
    changed = {"mobile", *blank}
    bulk.upsert(connection, table, columns, len(rows), keep=[name for name in names if name not in changed])
    return len(rows)


def _queues_with_unlanded_pages() -> Select[Any]:
    unlanded = pages.c.state.not_in(_LANDED), pages.c.body.is_not(None)
    return select(pages.c.conn_id, pages.c.queue).where(*unlanded).distinct()


def _close_pages(connection: Connection, page_ids: Sequence[str]) -> None:
    these = pages.update().where(pages.c.page_id.in_(page_ids))
    connection.execute(these.values(body=None, purged_at=ServerTime()))
    # Nothing can be done about a quarantined page without its bytes.
    aside = these.where(pages.c.state == PageState.QUARANTINED, pages.c.dismissed_at.is_(None))
    connection.execute(aside.values(dismissed_at=ServerTime()))
