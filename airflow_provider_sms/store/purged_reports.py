"""Which reports a purge may take the numbers of: those that no message which stays has need of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, exists, or_, select

from airflow_provider_sms.store.number_hash import MARK
from airflow_provider_sms.store.schema import batch_ids, batches, recipients, reports
from airflow_provider_sms.store.views import belongs

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, FromClause, Select, Table


def still_whole(table: Table) -> ColumnElement[bool]:
    """Say whether a row's number is there as it was."""
    return table.c.mobile.not_like(f"%{MARK}%")


def reports_on(these: ColumnElement[bool]) -> Select[Any]:
    """
    Select the reports on messages of some batches, whose numbers are there as they were.

    :param these: says which, of ``sms_batch_ids``.
    """
    return select(reports).where(these, _of_batch(batch_ids, batches, recipients), still_whole(reports))


def _of_batch(ids: FromClause, sent: FromClause, to: FromClause) -> ColumnElement[bool]:
    # As views.py joins a report to its message: by an id of its batch, by its number, and by its account.
    return and_(
        ids.c.vendor_message_id == reports.c.vendor_message_id,
        ids.c.vendor == reports.c.vendor,
        sent.c.send_id == ids.c.send_id,
        sent.c.batch_no == ids.c.batch_no,
        to.c.send_id == ids.c.send_id,
        to.c.batch_no == ids.c.batch_no,
        to.c.mobile == reports.c.mobile,
        belongs(sent),
    )


def on_unpurged_batch(but: FromClause | None = None) -> ColumnElement[bool]:
    """
    Say whether a report is on a message of a batch that is not purged.

    :param but: batches that do not count, one of which is in the statement around this.
    """
    ids, sent, to = batch_ids.alias("their_ids"), batches.alias("their_batches"), recipients.alias("them")
    statement = select(1).where(_of_batch(ids, sent, to), sent.c.purged_at.is_(None))
    if but is None:
        return statement.correlate(reports).exists()
    # Nearly every report is on that one alone: the rest is hardly ever looked at.
    others = or_(sent.c.send_id != but.c.send_id, sent.c.batch_no != but.c.batch_no)
    going = but.alias("going")
    goes = exists().where(going.c.send_id == sent.c.send_id, going.c.batch_no == sent.c.batch_no)
    return statement.where(others, ~goes).correlate(reports, but).exists()
