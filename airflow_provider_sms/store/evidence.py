"""
What proves that a submit was accepted although its answer was lost.

Two kinds of evidence, both reports that have landed: one that bears an id of the batch (our own
reference, where the vendor gives it back), or one on a number of the batch that nothing else known to
the store can explain (see :mod:`~airflow_provider_sms.store.explaining`). Doubt leaves a batch unknown:
calling it accepted would only lose messages, but nobody would look again.

A report that bears an id of the batch is stronger than whatever the batch was called: it settles one that
was called rejected or not sent as well, be it by a vendor's answer or by a person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, or_, select

from airflow_provider_sms.records import BatchState
from airflow_provider_sms.store.claims import add_ids, names_of_messages
from airflow_provider_sms.store.clock import ServerTime
from airflow_provider_sms.store.explaining import WINDOW, unexplained
from airflow_provider_sms.store.plans import UNSENT
from airflow_provider_sms.store.schema import batch_ids, batches, recipients, reports

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, Row, Select, Update
    from sqlalchemy.engine import Connection

_WHY_ACCEPTED = "the answer to the submit was lost; delivery reports prove that it was accepted"
_WHY_ACCEPTED_AFTER_ALL = "it was called rejected or not sent; delivery reports prove that it was accepted"


def anything_open(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], *, by_number: bool
) -> bool:
    """
    Whether there is a batch whose outcome, or whose ids, are not known: nearly never, and this asks cheaply.

    :param by_number: as for :func:`settle`.
    """
    wanted = [batches.c.state == BatchState.UNKNOWN]
    if by_number:
        wanted.append(_by_some_of_its_ids())
    return any(
        connection.scalar(select(batches.c.batch_no).where(one, *conditions).limit(1)) is not None
        for one in wanted
    )


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
        if ids:
            _accept(connection, batch, names_of_messages(ids, batch.recipients))
            settled.append((batch.send_key, batch.batch_no))
        elif by_number and batch.state == BatchState.UNKNOWN:
            found = unexplained(connection, batch, page_id)
            if found:
                _accept(connection, batch, _note(connection, batch, found))
                settled.append((batch.send_key, batch.batch_no))
    if by_number:
        for batch in _locked(connection, (_by_some_of_its_ids(), *conditions)):
            _learn_more_ids(connection, batch, page_id)
    return settled


def _by_some_of_its_ids() -> ColumnElement[bool]:
    """Say that a batch was proved accepted by reports, and that more of them may still come."""
    return and_(
        batches.c.state == BatchState.ACCEPTED,
        batches.c.settled_by == "report",
        batches.c.submitted_at >= ServerTime(-WINDOW.total_seconds()),
    )


def _learn_more_ids(connection: Connection, batch: Row[Any], page_id: str | None) -> None:
    """Find the ids of the other messages of a batch, where each has its own and one proved it accepted."""
    known = _ids_by_number(connection, batch)
    ids = list(known.values())
    if len(known) == batch.recipients or len(set(ids)) < len(ids):
        return  # all of them, or one for all
    found = unexplained(connection, batch, page_id)
    if found:
        names = _note(connection, batch, found | known)
        connection.execute(_this(batch).values(**names))


def _still_unsent(connection: Connection, found: Sequence[tuple[str, int]]) -> Iterator[Row[Any]]:
    for send_key, batch_no in found:
        this = (batches.c.send_key == send_key, batches.c.batch_no == batch_no)
        yield from _locked(connection, (*this, batches.c.state.in_(UNSENT)))


def _locked(connection: Connection, conditions: Sequence[ColumnElement[bool]]) -> Sequence[Row[Any]]:
    statement = (
        select(batches).where(*conditions).order_by(batches.c.send_key, batches.c.batch_no).with_for_update()
    )
    return connection.execute(statement).all()


def _accept(connection: Connection, batch: Row[Any], names: Mapping[str, str | None]) -> None:
    accepted = _this(batch).values(
        state=BatchState.ACCEPTED,
        settled_at=ServerTime(),
        settled_by="report",
        error=_WHY_ACCEPTED if batch.state == BatchState.UNKNOWN else _WHY_ACCEPTED_AFTER_ALL,
        **names,
    )
    connection.execute(accepted)


def _this(batch: Row[Any]) -> Update:
    return batches.update().where(batches.c.send_key == batch.send_key, batches.c.batch_no == batch.batch_no)


def _note(connection: Connection, batch: Row[Any], found: Mapping[str, str]) -> dict[str, str | None]:
    """
    Note ids that reports on a batch bear, and say which is whose as far as that is known.

    :param found: ids by number.
    """
    add_ids(connection, [(batch, dict.fromkeys(found.values(), "evidence"))])
    if len(found) < batch.recipients and (len(found) == 1 or len(set(found.values())) > 1):
        # Whether the others have the same id or their own is not known yet.
        return names_of_messages([], batch.recipients)
    people = select(recipients.c.mobile).where(*_of(batch)).order_by(recipients.c.seq)
    ids = [found[mobile] for mobile in connection.scalars(people) if mobile in found]
    return names_of_messages(ids, batch.recipients)


def _of(batch: Row[Any]) -> tuple[ColumnElement[bool], ...]:
    return recipients.c.send_id == batch.send_id, recipients.c.batch_no == batch.batch_no


def _ids_by_number(connection: Connection, batch: Row[Any]) -> dict[str, str]:
    """Give the ids under which a batch's numbers have reports."""
    statement = _with_reports(recipients.c.mobile, batch_ids.c.vendor_message_id).where(*_of(batch))
    return {row.mobile: row.vendor_message_id for row in connection.execute(statement.distinct())}


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
