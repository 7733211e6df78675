"""
The messages, and what became of each: the one place that joins reports to messages.

The view ``sms_message_status`` and the frames are both made of :func:`message_status`.

A report belongs to a message when vendor and number agree and its id is one that its batch may bear. It
may have been read by another connection, for several may share an account; but not when that connection
sent to the number under that id itself: then these are two accounts, and the report is on its own message.
Of a message's reports the best one speaks: a final status before a pending one, one of the message's own
connection before another's, the later before the earlier; so a report that comes twice changes nothing.

A batch that was unknown and is submitted again may reach its people by either submit. There "delivered"
stands against "failed", for the person has got it; and a report from before the last submit tells no latency.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    String,
    and_,
    case,
    func,
    literal_column,
    not_,
    null,
    or_,
    select,
    type_coerce,
    union_all,
)

from airflow_provider_sms.records import BatchState, DeliveryStatus
from airflow_provider_sms.store.clock import Elapsed
from airflow_provider_sms.store.json_list import ListItem
from airflow_provider_sms.store.schema import batch_ids, batches, recipients, reports

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, FromClause, Select, Subquery

    _Columns = tuple[ColumnElement[Any], ...]

#: Nothing was said about the message (so far).
SILENT = "silent"
_FINAL = (DeliveryStatus.DELIVERED.value, DeliveryStatus.FAILED.value)
#: Batches whose messages may have reached somebody.
_OUT = (BatchState.ACCEPTED.value, BatchState.UNKNOWN.value)
#: Seconds: vendors' clocks show whole ones, so a report may seem that much older than its submit.
_CLOCKS_ARE_OFF = 1


#: A recipient's batch, for joins.
OF_BATCH = and_(batches.c.send_id == recipients.c.send_id, batches.c.batch_no == recipients.c.batch_no)


def all_messages() -> Select[Any]:
    """
    Select one row per message.

    Columns: ``send_key``, ``batch_no``, ``seq``, ``mobile``, ``content``, ``segments``,
    ``vendor_message_id`` (where it is known which is whose), ``template_values`` (a JSON list),
    ``mobile_hash``, ``template_id``.
    """
    return select(
        batches.c.send_key,
        recipients.c.batch_no,
        recipients.c.seq,
        recipients.c.mobile,
        func.coalesce(recipients.c.content, batches.c.content).label("content"),
        recipients.c.segments,
        func.coalesce(batches.c.message_id, ListItem(batches.c.message_ids, recipients.c.seq)).label(
            "vendor_message_id"
        ),
        recipients.c.template_values,
        recipients.c.mobile_hash,
        batches.c.template_id,
    ).join_from(recipients, batches, OF_BATCH)


def message_status(*conditions: ColumnElement[bool], more: Sequence[ColumnElement[Any]] = ()) -> Select[Any]:
    """
    Select one row per message.

    Columns: ``send_key``, ``batch_no``, ``seq``, ``conn_id``, ``vendor``, ``mobile``, ``segments``,
    ``state`` (of the batch), ``delivery``, ``submitted_at``, ``reported_at``, ``latency_seconds``,
    ``error_code``, ``template_id``.

    ``delivery`` is ``delivered`` or ``failed`` once a report says so; else, for batches accepted or
    unknown, ``pending`` when a report says "not yet" and ``silent`` when there is none; else ``NULL``.
    ``latency_seconds`` runs from the submit, or from the time it was scheduled for, to the report, and
    is never negative (vendors' clocks show whole seconds). Where a vendor's reports carry no time it
    runs to the reading of the report. It is ``NULL`` where the report must be on an earlier submit.

    :param conditions: on ``sms_recipients`` and ``sms_batches``, to read a part of them only.
    :param more: named columns made of these two tables, to be told as well, behind the others.
    """
    ranked = _ranked(conditions, (*_MESSAGE, *more)).subquery("ranked")
    final = ranked.c.status.in_(_FINAL)
    delivery = case(
        (final, ranked.c.status),
        (ranked.c.state.not_in(_OUT), null()),
        (ranked.c.status.is_(None), literal_column(f"'{SILENT}'", String)),
        else_=literal_column(f"'{DeliveryStatus.PENDING.value}'", String),
    )
    return select(
        ranked.c.send_key,
        ranked.c.batch_no,
        ranked.c.seq,
        ranked.c.conn_id,
        ranked.c.vendor,
        ranked.c.mobile,
        ranked.c.segments,
        ranked.c.state,
        delivery.label("delivery"),
        ranked.c.submitted_at,
        ranked.c.reported_at,
        _latency(ranked).label("latency_seconds"),
        ranked.c.error_code,
        ranked.c.template_id,
        *(ranked.c[column.name] for column in more),
    ).where(ranked.c.place == 1)


def _ranked(conditions: tuple[ColumnElement[bool], ...], message: _Columns) -> Select[Any]:
    # Every message once without a report and once with each of its reports, the best row first. The
    # second half starts from the ids: a batch may have a hundred, and trying each with each of its
    # numbers would be ten thousand look-ups. Partitioned by the columns that people filter by, so that
    # databases filter before they rank.
    rows = union_all(_without_report(conditions, message), _with_report(conditions, message)).subquery("told")
    got_once = and_(rows.c.status == DeliveryStatus.DELIVERED.value, rows.c.attempts > 1)
    quality = case((got_once, 3), (rows.c.status.in_(_FINAL), 2), (rows.c.status.is_not(None), 1), else_=0)
    place = func.row_number().over(
        partition_by=(rows.c.send_key, rows.c.mobile),
        order_by=(
            quality.desc(),
            rows.c.own.desc(),
            rows.c.reported_at.desc(),
            rows.c.page_id.desc(),
            rows.c.report_seq.desc(),
        ),
    )
    return select(rows, place.label("place"))


_MESSAGE = (
    batches.c.send_key,
    recipients.c.batch_no,
    recipients.c.seq,
    batches.c.conn_id,
    batches.c.vendor,
    recipients.c.mobile,
    recipients.c.segments,
    batches.c.state,
    batches.c.submitted_at,
    batches.c.send_at,
    batches.c.template_id,
    batches.c.attempts,
)
_REPORT = (
    reports.c.status,
    reports.c.reported_at,
    reports.c.error_code,
    reports.c.page_id,
    reports.c.seq.label("report_seq"),
    case((reports.c.conn_id == batches.c.conn_id, 1), else_=0).label("own"),
)


def _without_report(conditions: tuple[ColumnElement[bool], ...], message: _Columns) -> Select[Any]:
    nothing = (type_coerce(null(), column.type).label(column.name) for column in _REPORT)
    return select(*message, *nothing).join_from(recipients, batches, OF_BATCH).where(*conditions)


def _with_report(conditions: tuple[ColumnElement[bool], ...], message: _Columns) -> Select[Any]:
    bears = and_(
        reports.c.vendor_message_id == batch_ids.c.vendor_message_id, reports.c.vendor == batch_ids.c.vendor
    )
    is_for = and_(recipients.c.send_id == batch_ids.c.send_id, recipients.c.mobile == reports.c.mobile)
    return (
        select(*message, *_REPORT)
        .select_from(batch_ids)
        .join(reports, bears)
        .join(recipients, and_(is_for, recipients.c.batch_no == batch_ids.c.batch_no))
        .join(batches, OF_BATCH)
        .where(belongs(batches), *conditions)
    )


def belongs(sent: FromClause) -> ColumnElement[bool]:
    """
    Say whether a report that bears a batch's id, on a number of its own, is on the batch's message.

    :param sent: the batches.
    """
    return or_(reports.c.conn_id == sent.c.conn_id, not_(_is_of_another_account()))


def _is_of_another_account() -> ColumnElement[bool]:
    """Say whether the connection that read a report sent to its number under its id itself."""
    ids, sent, to = batch_ids.alias("its_ids"), batches.alias("its_batches"), recipients.alias("its_people")
    return (
        select(literal_column("1"))
        .select_from(ids)
        .join(sent, and_(sent.c.send_id == ids.c.send_id, sent.c.batch_no == ids.c.batch_no))
        .join(to, and_(to.c.send_id == ids.c.send_id, to.c.batch_no == ids.c.batch_no))
        .where(
            ids.c.vendor_message_id == reports.c.vendor_message_id,
            ids.c.vendor == reports.c.vendor,
            sent.c.conn_id == reports.c.conn_id,
            to.c.mobile == reports.c.mobile,
        )
        .correlate(reports)
        .exists()
    )


def _latency(ranked: Subquery) -> ColumnElement[Any]:
    scheduled = ranked.c.send_at > ranked.c.submitted_at
    start = case((scheduled, ranked.c.send_at), else_=ranked.c.submitted_at)
    elapsed = Elapsed(start, ranked.c.reported_at)
    of_an_earlier_submit = and_(ranked.c.attempts > 1, elapsed < literal_column(f"-{_CLOCKS_ARE_OFF}"))
    return case(
        (of_an_earlier_submit, null()),
        (elapsed < literal_column("0"), literal_column("0.0")),
        else_=elapsed,
    )
