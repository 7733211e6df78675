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
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, Row, Select, Update
    from sqlalchemy.engine import Connection

#: So many batches at most are looked at for more of their ids after a page.
_MOST_LEARNT = 10
_BY_REPORTS = (batches.c.state == BatchState.ACCEPTED, batches.c.settled_by == "report")
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


def more_ids(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], landed: Collection[str] | None
) -> list[tuple[Row[Any], dict[str, str]]]:
    """
    Find ids of other messages of batches where each has its own and one proved the batch accepted.

    Nothing is locked for it: of a long queue, it looks at many reports.

    :param landed: ids of the pages to look at; ``None`` for all that landed since the submit.
    :return: batches, each with its ids by number.
    """
    proved = select(batches).where(*_BY_REPORTS, *conditions)
    if landed is not None:
        # Those whose reports may still come. One that was scheduled for later is looked at by itself.
        since = ServerTime(-WINDOW.total_seconds())
        proved = proved.where(batches.c.submitted_at >= since)
        proved = proved.order_by(batches.c.submitted_at.desc()).limit(_MOST_LEARNT)
    found = []
    for batch in connection.execute(proved).all():
        known = _ids_by_number(connection, batch)
        ids = list(known.values())
        if len(known) == batch.recipients or len(set(ids)) < len(ids):
            continue  # all of them, or one for all
        more = unexplained(connection, batch, landed)
        if batch.attempts <= 1:
            # One submit makes one report with a number: where it is there, another one is a stranger's.
            more = {mobile: one for mobile, one in more.items() if mobile not in known}
        if more:
            found.append((batch, known | more))
    return found


def settle(
    connection: Connection,
    conditions: Sequence[ColumnElement[bool]],
    page_id: str | None,
    *,
    by_number: bool,
    also: Sequence[tuple[str, int]] = (),
    learnt: Sequence[tuple[Row[Any], dict[str, str]]] = (),
) -> list[tuple[str, int]]:
    """
    Settle what reports prove, as :meth:`Ledger.settle_by_reports` describes.

    :param also: batches that :func:`belied` found.
    :param learnt: what :func:`more_ids` found.
    """
    settled = []
    unknown = _locked(connection, (batches.c.state == BatchState.UNKNOWN, *conditions))
    for batch in [*unknown, *_still_unsent(connection, also)]:
        ids = _proving_ids(connection, batch)
        if ids:
            _accept(connection, batch, names_of_messages(ids, batch.recipients))
            settled.append((batch.send_key, batch.batch_no))
        elif by_number and batch.state == BatchState.UNKNOWN:
            found = unexplained(connection, batch, None if page_id is None else [page_id])
            if found:
                _accept(connection, batch, _note(connection, batch, found))
                settled.append((batch.send_key, batch.batch_no))
    for seen, ids_by_number in learnt:
        this = (batches.c.send_id == seen.send_id, batches.c.batch_no == seen.batch_no)
        for batch in _locked(connection, (*this, *_BY_REPORTS)):
            connection.execute(_this(batch).values(**_note(connection, batch, ids_by_number)))
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
