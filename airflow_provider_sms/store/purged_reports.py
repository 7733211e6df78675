"""Which reports a purge may take the numbers of: those that no message which stays has need of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, or_, select

from airflow_provider_sms.store.number_hash import MARK
from airflow_provider_sms.store.schema import batch_ids, batches, recipients, reports
from airflow_provider_sms.store.views import belongs

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, FromClause, Select, Table

_COUNT = func.count()


def still_whole(table: Table) -> ColumnElement[bool]:
    """Say whether a row's number is there as it was."""
    return table.c.mobile.not_like(f"%{MARK}%")


def reports_on(these: ColumnElement[bool]) -> Select[Any]:
    """
    Select the reports on messages of some batches, whose numbers are there as they were.

    :param these: says which, of ``sms_batch_ids``.
    """
    on_them = and_(
        _by_id(batch_ids, batches), _is_there(select(_COUNT).where(_by_number(batch_ids, recipients)))
    )
    return select(reports).where(these, on_them, still_whole(reports))


def _by_id(ids: FromClause, sent: FromClause) -> ColumnElement[bool]:
    # As views.py joins a report to its message: by an id of its batch, by its account, and by its number.
    return and_(
        ids.c.vendor_message_id == reports.c.vendor_message_id,
        ids.c.vendor == reports.c.vendor,
        sent.c.send_id == ids.c.send_id,
        sent.c.batch_no == ids.c.batch_no,
        belongs(sent),
    )


def _by_number(ids: FromClause, to: FromClause) -> ColumnElement[bool]:
    return and_(
        to.c.send_id == ids.c.send_id,
        to.c.batch_no == ids.c.batch_no,
        to.c.mobile == reports.c.mobile,
    )


def _is_there(counted: Select[Any]) -> ColumnElement[bool]:
    """
    Ask of each row by itself whether there is anything to count.

    PostgreSQL takes a join, or an ``EXISTS``, for an invitation to begin anywhere. It thinks far too few of
    the recipients of a batch, and went over all reports for each of their numbers.
    """
    return counted.scalar_subquery() > 0


def on_unpurged_batch(but: FromClause | None = None) -> ColumnElement[bool]:
    """
    Say whether a report is on a message of a batch that is not purged.

    :param but: batches that do not count, one of which is in the statement around this.
    """
    ids, sent, to = batch_ids.alias("their_ids"), batches.alias("their_batches"), recipients.alias("them")
    statement = select(_COUNT).where(_by_id(ids, sent), _by_number(ids, to), sent.c.purged_at.is_(None))
    if but is None:
        return _is_there(statement.correlate(reports))
    # Nearly every report is on that one alone: the rest is hardly ever looked at.
    others = or_(sent.c.send_id != but.c.send_id, sent.c.batch_no != but.c.batch_no)
    going = but.alias("going")
    goes = select(_COUNT).where(going.c.send_id == sent.c.send_id, going.c.batch_no == sent.c.batch_no)
    return _is_there(statement.where(others, ~_is_there(goes)).correlate(reports, but))
