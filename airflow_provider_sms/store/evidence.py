"""
What proves that a submit was accepted although its answer was lost.

Two kinds of evidence, both reports that have landed: one that bears an id of the batch (our own
reference, where the vendor gives it back), or one on a number of the batch that nothing else known to
the store can explain. Doubt leaves a batch unknown: calling it accepted would only lose messages, but
nobody would look again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, or_, select

from airflow_provider_sms.records import BatchState
from airflow_provider_sms.store.clock import ServerTime
from airflow_provider_sms.store.schema import ID_LENGTH, batch_ids, batches, messages, reports

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import ColumnElement, Row
    from sqlalchemy.engine import Connection

#: How long after a submit (or the time it was scheduled for) its reports may come.
WINDOW = timedelta(hours=72)


def settle(
    connection: Connection, send_key: str | None, conn_id: str | None, *, by_number: bool
) -> list[tuple[str, int]]:
    """Settle what reports prove, as :meth:`Ledger.settle_by_reports` describes."""
    settled = []
    for batch in _unknown(connection, send_key, conn_id):
        ids = _proving_ids(connection, batch)
        if not ids and by_number:
            ids = _unexplained_ids(connection, batch)
        if ids and _accept(connection, batch):
            add_ids(connection, batch.send_key, batch.batch_no, ids, "evidence")
            name_messages(connection, batch.send_key, batch.batch_no, ids)
            settled.append((batch.send_key, batch.batch_no))
    return settled


def add_ids(connection: Connection, send_key: str, batch_no: int, ids: Iterable[str], kind: str) -> None:
    """
    Note ids that reports on a batch may bear; those noted already stay as they are.

    :param kind: ``reference`` (ours), ``batch`` or ``message`` (the vendor's), ``evidence``.
    """
    wanted = dict.fromkeys(identifier[:ID_LENGTH] for identifier in ids if identifier)
    if not wanted:
        return
    this = and_(batch_ids.c.send_key == send_key, batch_ids.c.batch_no == batch_no)
    known = set(connection.scalars(select(batch_ids.c.vendor_message_id).where(this)))
    vendor = connection.scalar(
        select(batches.c.vendor).where(batches.c.send_key == send_key, batches.c.batch_no == batch_no)
    )
    rows = [
        {
            "send_key": send_key,
            "batch_no": batch_no,
            "vendor_message_id": identifier,
            "vendor": vendor,
            "kind": kind,
        }
        for identifier in wanted
        if identifier not in known
    ]
    if rows:
        connection.execute(batch_ids.insert(), rows)


def name_messages(connection: Connection, send_key: str, batch_no: int, ids: Sequence[str]) -> None:
    """
    Give messages the vendor's id, as far as it is known which is whose.

    One id is the whole batch's; as many ids as numbers are theirs in order. Anything else would be a
    guess: then the ids stay with the batch, and reports are joined by id and number.
    """
    this = and_(messages.c.send_key == send_key, messages.c.batch_no == batch_no)
    named = [identifier[:ID_LENGTH] for identifier in ids if identifier]
    if len(named) == 1:
        connection.execute(messages.update().where(this).values(vendor_message_id=named[0]))
        return
    if not named:
        return
    places = list(connection.scalars(select(messages.c.seq).where(this).order_by(messages.c.seq)))
    if len(places) == len(named):
        statement = messages.update().where(this, messages.c.seq == bindparam("place"))
        connection.execute(
            statement.values(vendor_message_id=bindparam("identifier")),
            [{"place": place, "identifier": one} for place, one in zip(places, named, strict=True)],
        )


def _unknown(connection: Connection, send_key: str | None, conn_id: str | None) -> Sequence[Row[Any]]:
    statement = (
        select(batches)
        .where(batches.c.state == BatchState.UNKNOWN)
        .order_by(batches.c.send_key, batches.c.batch_no)
        .with_for_update()
    )
    if send_key is not None:
        statement = statement.where(batches.c.send_key == send_key)
    if conn_id is not None:
        statement = statement.where(batches.c.conn_id == conn_id)
    return connection.execute(statement).all()


def _accept(connection: Connection, batch: Row[Any]) -> bool:
    accepted = (
        batches.update()
        .where(*_is(batch), batches.c.state == BatchState.UNKNOWN)
        .values(
            state=BatchState.ACCEPTED,
            settled_at=ServerTime(),
            settled_by="report",
            error="the answer to the submit was lost; delivery reports prove that it was accepted",
        )
    )
    return connection.execute(accepted).rowcount == 1


def _is(batch: Row[Any]) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return batches.c.send_key == batch.send_key, batches.c.batch_no == batch.batch_no


def _proving_ids(connection: Connection, batch: Row[Any]) -> list[str]:
    statement = (
        select(batch_ids.c.vendor_message_id)
        .join(
            messages,
            and_(messages.c.send_key == batch_ids.c.send_key, messages.c.batch_no == batch_ids.c.batch_no),
        )
        .join(
            reports,
            and_(
                reports.c.mobile == messages.c.mobile,
                reports.c.vendor_message_id == batch_ids.c.vendor_message_id,
                reports.c.vendor == batch_ids.c.vendor,
            ),
        )
        .where(batch_ids.c.send_key == batch.send_key, batch_ids.c.batch_no == batch.batch_no)
        .limit(1)
    )
    return list(connection.scalars(statement))


def _unexplained_ids(connection: Connection, batch: Row[Any]) -> list[str]:
    found = _unexplained(connection, batch)
    if not found:
        return []
    for rival in _rivals(connection, batch):
        start, end = _window(rival)
        shared = _shared_numbers(connection, batch, rival)
        found = [row for row in found if row.mobile not in shared or not start <= row.reported_at <= end]
    return list(dict.fromkeys(row.vendor_message_id for row in found))


def _window(batch: Row[Any]) -> tuple[datetime, datetime]:
    # Vendors cut their times to whole seconds, so a report may seem to come before its submit.
    start = batch.submitted_at.replace(microsecond=0)
    return start, max(batch.submitted_at, batch.send_at or batch.submitted_at) + WINDOW


def _unexplained(connection: Connection, batch: Row[Any]) -> Sequence[Any]:
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
        .join(messages, messages.c.mobile == reports.c.mobile)
        .where(
            messages.c.send_key == batch.send_key,
            messages.c.batch_no == batch.batch_no,
            reports.c.vendor == batch.vendor,
            reports.c.conn_id == batch.conn_id,
            reports.c.reported_at.between(start, end),
            # An id is needed to join the report to the batch afterwards.
            reports.c.vendor_message_id != "",
            ~of_a_batch,
        )
        .order_by(reports.c.reported_at)
    )
    return connection.execute(statement).all()


def _rivals(connection: Connection, batch: Row[Any]) -> Sequence[Row[Any]]:
    # Other batches that may have caused such a report: their outcome is open, or the vendor took them
    # without telling an id. Within one send no number is twice, so its own batches are none.
    start, end = _window(batch)
    has_ids = (
        select(1)
        .where(
            batch_ids.c.send_key == batches.c.send_key,
            batch_ids.c.batch_no == batches.c.batch_no,
            batch_ids.c.kind != "reference",
        )
        .exists()
    )
    open_states = (BatchState.UNKNOWN, BatchState.SUBMITTING)
    statement = select(batches).where(
        batches.c.vendor == batch.vendor,
        batches.c.send_key != batch.send_key,
        batches.c.submitted_at <= end,
        or_(batches.c.submitted_at >= start - WINDOW, batches.c.send_at >= start - WINDOW),
        or_(batches.c.state.in_(open_states), and_(batches.c.state == BatchState.ACCEPTED, ~has_ids)),
    )
    return connection.execute(statement).all()


def _shared_numbers(connection: Connection, batch: Row[Any], rival: Row[Any]) -> set[str]:
    theirs = messages.alias("theirs")
    statement = (
        select(messages.c.mobile)
        .join(theirs, theirs.c.mobile == messages.c.mobile)
        .where(
            messages.c.send_key == batch.send_key,
            messages.c.batch_no == batch.batch_no,
            theirs.c.send_key == rival.send_key,
            theirs.c.batch_no == rival.batch_no,
        )
    )
    return set(connection.scalars(statement))
