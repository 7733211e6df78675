"""
What a person needs to judge a submit whose outcome is not known, and the way to write the judgement down.

Reports settle what they prove by themselves (:mod:`airflow_provider_sms.store.evidence`). What is left has
signs on both sides, or none; they are gathered here, with numbers masked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, func, or_, select

from airflow_provider_sms.records import BalanceSource, BatchState, Queue
from airflow_provider_sms.redact import mask_number
from airflow_provider_sms.store.clock import ServerTime
from airflow_provider_sms.store.explaining import WINDOW
from airflow_provider_sms.store.schema import balances, batch_ids, batches, pages, recipients, reports

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from sqlalchemy import ColumnElement, Row
    from sqlalchemy.engine import Connection

    from airflow_provider_sms.store.engine import Store

#: What a person may call a batch that is unknown.
DECISIONS = (BatchState.ACCEPTED, BatchState.NOT_SENT)
_SHOWN_REPORTS = 5
_SHOWN_RIVALS = 50
_MAY_HAVE_REACHED = (BatchState.ACCEPTED, BatchState.UNKNOWN, BatchState.SUBMITTING)


class Mention(NamedTuple):
    """
    A report on a number of the batch, from the time in which its reports may come.

    :param mobile: masked.
    :param explained: whether its id belongs to another batch, so that it says nothing about this one.
    """

    mobile: str
    status: str
    reported_at: datetime
    vendor_message_id: str
    explained: bool


class Rival(NamedTuple):
    """Another batch that may have caused the same reports; ``shared`` is how many numbers both have."""

    send_key: str
    batch_no: int
    state: str
    shared: int


class BalanceChange(NamedTuple):
    """
    How the account's balance moved from the last check before the submit to the first one after it.

    :param used: how much less there was afterwards; negative when the account was topped up.
    :param others: what other batches known as accepted in between are charged, in messages.
    """

    before_at: datetime
    after_at: datetime
    used: Decimal
    unit: str
    others: int


class Evidence(NamedTuple):
    """
    Everything the store knows about one unknown batch; times are aware UTC.

    :param references: our ids of all its submits; a vendor that is given them may find them in its records.
    :param reports_by_id: reports that bear one of its ids (and one of its numbers).
    :param mentions: a few of the reports on its numbers.
    :param unexplained: reports on its numbers whose id belongs to no other batch.
    :param explained: reports on its numbers that belong to other batches.
    :param window_end: until when its reports may come.
    :param waiting: whether that time has not passed yet, if the vendor gives any.
    """

    send_key: str
    batch_no: int
    conn_id: str
    vendor: str
    recipients: int
    segments: int
    attempts: int
    submitted_at: datetime
    error: str
    references: tuple[str, ...]
    reports_by_id: int
    mentions: tuple[Mention, ...]
    unexplained: int
    explained: int
    rivals: tuple[Rival, ...]
    balance: BalanceChange | None
    window_end: datetime
    waiting: bool


def evidence_of(store: Store, send_key: str, batch_no: int) -> Evidence | None:
    """
    Gather what speaks for and against a batch having been accepted.

    :return: ``None`` when there is no such batch, or it is not unknown.
    """
    this = and_(batches.c.send_key == send_key, batches.c.batch_no == batch_no)
    wanted = select(batches, ServerTime().label("now")).where(this, batches.c.state == BatchState.UNKNOWN)
    with store.reading() as connection:
        batch = connection.execute(wanted).one_or_none()
        if batch is None:
            return None
        start, end = _window(batch)
        explained, unexplained = _count_mentions(connection, batch, start, end)
        return Evidence(
            send_key=send_key,
            batch_no=batch_no,
            conn_id=batch.conn_id,
            vendor=batch.vendor,
            recipients=batch.recipients,
            segments=batch.segments,
            attempts=batch.attempts,
            submitted_at=batch.submitted_at,
            error=batch.error or "",
            references=_references(connection, batch),
            reports_by_id=_reports_by_id(connection, batch),
            mentions=_mentions(connection, batch, start, end),
            unexplained=unexplained,
            explained=explained,
            rivals=_rivals(connection, batch, start, end),
            balance=_balance(connection, batch),
            window_end=end,
            waiting=batch.now < end,
        )


def decide(store: Store, send_key: str, batch_no: int, state: BatchState, note: str) -> bool:
    """
    Write a person's judgement down; only an unknown batch can be judged.

    :param state: ``accepted`` (never sent again) or ``not_sent`` (the send's next run submits it again).
    :param note: who judged, when and why.
    :return: whether it was written; ``False`` when the batch is not unknown (any more).
    """
    if state not in DECISIONS:
        msg = f"a person can call a batch {' or '.join(DECISIONS)}, not {state!r}"
        raise ValueError(msg)
    judged = (
        batches.update()
        .where(
            batches.c.send_key == send_key,
            batches.c.batch_no == batch_no,
            batches.c.state == BatchState.UNKNOWN,
        )
        .values(
            state=state,
            settled_at=ServerTime(),
            settled_by="person",
            claim_expires_at=None,
            # A late answer to the submit must not overrule the person.
            claim_owner=None,
            error=note,
        )
    )
    with store.begin() as connection:
        return connection.execute(judged).rowcount == 1


# --- the signs -------------------------------------------------------------------------------------


def _window(batch: Row[Any]) -> tuple[datetime, datetime]:
    # Vendors cut their times to whole seconds, so a report may seem to come before its submit.
    start = batch.submitted_at.replace(microsecond=0)
    return start, max(batch.submitted_at, batch.send_at or batch.submitted_at) + WINDOW


def _people(batch: Row[Any]) -> tuple[ColumnElement[bool], ...]:
    return recipients.c.send_id == batch.send_id, recipients.c.batch_no == batch.batch_no


def _references(connection: Connection, batch: Row[Any]) -> tuple[str, ...]:
    statement = select(batch_ids.c.vendor_message_id).where(
        batch_ids.c.send_id == batch.send_id,
        batch_ids.c.batch_no == batch.batch_no,
        batch_ids.c.kind == "reference",
    )
    return tuple(connection.scalars(statement)) or (batch.reference,)


def _reports_by_id(connection: Connection, batch: Row[Any]) -> int:
    statement = (
        select(func.count())
        .select_from(recipients)
        .join(reports, reports.c.mobile == recipients.c.mobile)
        .join(
            batch_ids,
            and_(
                batch_ids.c.vendor_message_id == reports.c.vendor_message_id,
                batch_ids.c.vendor == reports.c.vendor,
            ),
        )
        .where(*_people(batch), batch_ids.c.send_id == batch.send_id, batch_ids.c.batch_no == batch.batch_no)
    )
    return connection.scalar(statement) or 0


def _explained() -> ColumnElement[bool]:
    return (
        select(1)
        .where(
            batch_ids.c.vendor == reports.c.vendor,
            batch_ids.c.vendor_message_id == reports.c.vendor_message_id,
        )
        .exists()
    )


def _on_its_numbers(batch: Row[Any], start: datetime, end: datetime) -> tuple[ColumnElement[bool], ...]:
    # By way of the pages: what landed since the submit is little, and reports have no index by number.
    landed_since = select(pages.c.page_id).where(
        pages.c.conn_id == batch.conn_id, pages.c.queue == Queue.REPORTS, pages.c.landed_at >= start
    )
    return (
        *_people(batch),
        reports.c.mobile == recipients.c.mobile,
        reports.c.page_id.in_(landed_since),
        reports.c.reported_at.between(start, end),
    )


def _count_mentions(
    connection: Connection, batch: Row[Any], start: datetime, end: datetime
) -> tuple[int, int]:
    explained = _explained().label("explained")
    found = select(explained).where(*_on_its_numbers(batch, start, end)).subquery()
    statement = select(found.c.explained, func.count()).group_by(found.c.explained)
    counts = {bool(known): count for known, count in connection.execute(statement)}
    return counts.get(True, 0), counts.get(False, 0)


def _mentions(connection: Connection, batch: Row[Any], start: datetime, end: datetime) -> tuple[Mention, ...]:
    explained = _explained().label("explained")
    statement = (
        select(
            reports.c.mobile,
            reports.c.status,
            reports.c.reported_at,
            reports.c.vendor_message_id,
            explained,
        )
        .where(*_on_its_numbers(batch, start, end))
        .order_by(explained, reports.c.reported_at)
        .limit(_SHOWN_REPORTS)
    )
    return tuple(
        Mention(mask_number(row.mobile), row.status, row.reported_at, row.vendor_message_id, bool(row[-1]))
        for row in connection.execute(statement)
    )


def _rivals(connection: Connection, batch: Row[Any], start: datetime, end: datetime) -> tuple[Rival, ...]:
    candidates = (
        select(batches.c.send_id, batches.c.send_key, batches.c.batch_no, batches.c.state)
        .where(
            batches.c.vendor == batch.vendor,
            # Within one send no number is twice, so its own batches are none.
            batches.c.send_id != batch.send_id,
            batches.c.state.in_(_MAY_HAVE_REACHED),
            batches.c.submitted_at <= end,
            or_(batches.c.submitted_at >= start - WINDOW, batches.c.send_at >= start - WINDOW),
        )
        .order_by(batches.c.submitted_at.desc())
        .limit(_SHOWN_RIVALS)
    )
    found = (
        Rival(row.send_key, row.batch_no, row.state, _shared(connection, batch, row))
        for row in connection.execute(candidates).all()
    )
    return tuple(rival for rival in found if rival.shared)


def _shared(connection: Connection, batch: Row[Any], rival: Any) -> int:
    theirs = recipients.alias("theirs")
    statement = (
        select(func.count())
        .select_from(recipients)
        .join(theirs, theirs.c.mobile == recipients.c.mobile)
        .where(*_people(batch), theirs.c.send_id == rival.send_id, theirs.c.batch_no == rival.batch_no)
    )
    return connection.scalar(statement) or 0


def _balance(connection: Connection, batch: Row[Any]) -> BalanceChange | None:
    # Answers to sends under way together tell in any order what is left: they would prove what is not so.
    told = select(balances.c.checked_at, balances.c.remaining, balances.c.unit).where(
        balances.c.conn_id == batch.conn_id, balances.c.source == BalanceSource.CHECK
    )
    before = _first(connection, told, balances.c.checked_at <= batch.submitted_at, latest=True)
    after = _first(connection, told, balances.c.checked_at > batch.submitted_at, latest=False)
    if before is None or after is None:
        return None
    others = select(func.coalesce(func.sum(batches.c.segments), 0)).where(
        batches.c.conn_id == batch.conn_id,
        batches.c.state == BatchState.ACCEPTED,
        batches.c.submitted_at.between(before.checked_at, after.checked_at),
    )
    return BalanceChange(
        before.checked_at,
        after.checked_at,
        before.remaining - after.remaining,
        after.unit,
        int(connection.scalar(others) or 0),
    )


def _first(connection: Connection, told: Any, when: ColumnElement[bool], *, latest: bool) -> Row[Any] | None:
    moment = balances.c.checked_at
    rows: Sequence[Row[Any]] = connection.execute(
        told.where(when).order_by(moment.desc() if latest else moment).limit(1)
    ).all()
    return rows[0] if rows else None
