"""
What proves that a submit was accepted although its answer was lost.

Two kinds of evidence, both reports that have landed: one that bears an id of the batch (our own
reference, where the vendor gives it back), or one on a number of the batch that nothing else known to
the store can explain. Doubt leaves a batch unknown: calling it accepted would only lose messages, but
nobody would look again.

A report that bears an id of the batch is stronger than whatever the batch was called: it settles one that
was called rejected or not sent as well, be it by a vendor's answer or by a person.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, or_, select

from airflow_provider_sms.records import BatchState, Queue
from airflow_provider_sms.store.claims import add_ids, names_of_messages
from airflow_provider_sms.store.clock import ServerTime
from airflow_provider_sms.store.plans import UNSENT
from airflow_provider_sms.store.schema import batch_ids, batches, pages, recipients, reports

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import ColumnElement, Row, Select
    from sqlalchemy.engine import Connection

#: How long after a submit (or the time it was scheduled for) its reports may come.
WINDOW = timedelta(hours=72)
_WHY_ACCEPTED = "the answer to the submit was lost; delivery reports prove that it was accepted"
_WHY_ACCEPTED_AFTER_ALL = "it was called rejected or not sent; delivery reports prove that it was accepted"


def anything_unknown(connection: Connection, conditions: Sequence[ColumnElement[bool]]) -> bool:
    """Whether there is a batch whose outcome is not known: nearly never, and this is the cheap way to ask."""
    unknown = select(batches.c.batch_no).where(batches.c.state == BatchState.UNKNOWN, *conditions)
    return connection.scalar(unknown.limit(1)) is not None


def belied(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], *, recent: bool
) -> Sequence[tuple[str, int]]:
    """
    Find batches that were submitted, are called rejected or not sent, and have a report that bears their id.

    :param recent: only those whose reports may still come, which keeps this cheap however many sends there
        are.
    :return: send key and number of each.
    """
    statement = (
        _with_reports(batches.c.send_key, batches.c.batch_no)
        .join(
            batches,
            and_(batches.c.send_id == batch_ids.c.send_id, batches.c.batch_no == batch_ids.c.batch_no),
        )
        .where(batches.c.state.in_(UNSENT), batches.c.attempts > 0, *conditions)
    )
    if recent:
        since = ServerTime(-WINDOW.total_seconds())
        statement = statement.where(or_(batches.c.submitted_at >= since, batches.c.send_at >= since))
    return sorted((row.send_key, row.batch_no) for row in connection.execute(statement.distinct()))


def settle(
    connection: Connection,
    conditions: Sequence[ColumnElement[bool]],
    page_id: str | None,
    *,
    by_number: bool,
    also: Sequence[tuple[str, int]] = (),
) -> list[tuple[str, int]]:
    """
    Settle what reports prove, as :meth:`Ledger.settle_by_reports` describes.

    :param also: batches that :func:`belied` found.
    """
    settled = []
    unknown = _locked(connection, (batches.c.state == BatchState.UNKNOWN, *conditions))
    for batch in [*unknown, *_still_unsent(connection, also)]:
        ids = _proving_ids(connection, batch)
        if not ids and by_number and batch.state == BatchState.UNKNOWN:
            ids = _unexplained_ids(connection, batch, page_id)
        if ids:
            _accept(connection, batch, ids)
            settled.append((batch.send_key, batch.batch_no))
    return settled


def _still_unsent(connection: Connection, found: Sequence[tuple[str, int]]) -> Iterator[Row[Any]]:
    for send_key, batch_no in found:
        this = (batches.c.send_key == send_key, batches.c.batch_no == batch_no)
        yield from _locked(connection, (*this, batches.c.state.in_(UNSENT)))


def _locked(connection: Connection, conditions: Sequence[ColumnElement[bool]]) -> Sequence[Row[Any]]:
    statement = (
        select(batches).where(*conditions).order_by(batches.c.send_key, batches.c.batch_no).with_for_update()
    )
    return connection.execute(statement).all()


def _accept(connection: Connection, batch: Row[Any], ids: Sequence[str]) -> None:
    accepted = (
        batches.update()
        .where(batches.c.send_key == batch.send_key, batches.c.batch_no == batch.batch_no)
        .values(
            state=BatchState.ACCEPTED,
            settled_at=ServerTime(),
            settled_by="report",
            error=_WHY_ACCEPTED if batch.state == BatchState.UNKNOWN else _WHY_ACCEPTED_AFTER_ALL,
            **names_of_messages(ids, batch.recipients),
        )
    )
    connection.execute(accepted)
    add_ids(connection, [(batch, dict.fromkeys(ids, "evidence"))])


def _proving_ids(connection: Connection, batch: Row[Any]) -> list[str]:
    statement = _with_reports(batch_ids.c.vendor_message_id).where(
        batch_ids.c.send_id == batch.send_id, batch_ids.c.batch_no == batch.batch_no
    )
    return list(connection.scalars(statement.limit(1)))


def _with_reports(*columns: Any) -> Select[Any]:
    """Join ids of batches to the reports that bear them, on numbers of the batches."""
    return (
        select(*columns)
        .select_from(batch_ids)
        .join(
            recipients,
            and_(recipients.c.send_id == batch_ids.c.send_id, recipients.c.batch_no == batch_ids.c.batch_no),
        )
        .join(
            reports,
            and_(
                reports.c.mobile == recipients.c.mobile,
                reports.c.vendor_message_id == batch_ids.c.vendor_message_id,
                reports.c.vendor == batch_ids.c.vendor,
            ),
        )
    )


def _unexplained_ids(connection: Connection, batch: Row[Any], page_id: str | None) -> list[str]:
    found = _unexplained(connection, batch, page_id)
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


def _unexplained(connection: Connection, batch: Row[Any], page_id: str | None) -> Sequence[Any]:
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
    if page_id is not None:
        statement = statement.where(pages.c.page_id == page_id)
    return connection.execute(statement).all()


def _rivals(connection: Connection, batch: Row[Any]) -> Sequence[Row[Any]]:
    # Other batches that may have caused such a report: their outcome is open, or the vendor took them
    # without telling an id. Within one send no number is twice, so its own batches are none.
    start, end = _window(batch)
    has_ids = (
        select(1)
        .where(
            batch_ids.c.send_id == batches.c.send_id,
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
    theirs = recipients.alias("theirs")
    statement = (
        select(recipients.c.mobile)
        .join(theirs, theirs.c.mobile == recipients.c.mobile)
        .where(
            recipients.c.send_id == batch.send_id,
            recipients.c.batch_no == batch.batch_no,
            theirs.c.send_id == rival.send_id,
            theirs.c.batch_no == rival.batch_no,
        )
    )
    return set(connection.scalars(statement))
