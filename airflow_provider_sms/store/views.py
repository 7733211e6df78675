"""
What became of each message: the one place that joins reports to messages.

The view ``sms_message_status`` and the frames are both made of :func:`message_status`.

A report belongs to a message when vendor and number agree and its id is one that its batch may bear.
Of a message's reports the best one speaks: a final status before a pending one, the later before the
earlier; so a report that comes twice changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import String, and_, case, func, literal_column, null, or_, select

from airflow_provider_sms.records import BatchState, DeliveryStatus
from airflow_provider_sms.store.clock import Elapsed
from airflow_provider_sms.store.schema import batch_ids, batches, messages, reports

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select, Subquery
    from sqlalchemy.engine import Connection

NAME = "sms_message_status"

#: Nothing was said about the message (so far).
SILENT = "silent"
_FINAL = (DeliveryStatus.DELIVERED.value, DeliveryStatus.FAILED.value)
#: Batches whose messages may have reached somebody.
_OUT = (BatchState.ACCEPTED.value, BatchState.UNKNOWN.value)


def message_status(*conditions: ColumnElement[bool]) -> Select[Any]:
    """
    Select one row per message.

    Columns: ``send_key``, ``batch_no``, ``seq``, ``conn_id``, ``vendor``, ``mobile``, ``segments``,
    ``state`` (of the batch), ``delivery``, ``submitted_at``, ``reported_at``, ``latency_seconds``,
    ``error_code``.

    ``delivery`` is ``delivered`` or ``failed`` once a report says so; else, for batches accepted or
    unknown, ``pending`` when a report says "not yet" and ``silent`` when there is none; else ``NULL``.
    ``latency_seconds`` runs from the submit, or from the time it was scheduled for, to the report, and
    is never negative (vendors' clocks show whole seconds). Where a vendor's reports carry no time it
    runs to the reading of the report.

    :param conditions: on ``sms_messages`` and ``sms_batches``, to read a part of them only.
    """
    ranked = _ranked(conditions).subquery("ranked")
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
    ).where(ranked.c.place == 1)


def _ranked(conditions: tuple[ColumnElement[bool], ...]) -> Select[Any]:
    # One row per message and report (or one without a report), the best of each message first.
    # Partitioned by the columns that people filter by, so that databases filter before they rank.
    place = func.row_number().over(
        partition_by=(messages.c.send_key, messages.c.mobile),
        order_by=(
            case((reports.c.status.in_(_FINAL), 1), else_=0).desc(),
            reports.c.reported_at.desc(),
            reports.c.page_id.desc(),
            reports.c.seq.desc(),
        ),
    )
    return (
        select(
            messages.c.send_key,
            messages.c.batch_no,
            messages.c.seq,
            batches.c.conn_id,
            batches.c.vendor,
            messages.c.mobile,
            messages.c.segments,
            batches.c.state,
            batches.c.submitted_at,
            batches.c.send_at,
            reports.c.status,
            reports.c.reported_at,
            reports.c.error_code,
            place.label("place"),
        )
        .join(
            batches,
            and_(batches.c.send_key == messages.c.send_key, batches.c.batch_no == messages.c.batch_no),
        )
        .outerjoin(reports, _belongs())
        .where(*conditions)
    )


def _belongs() -> ColumnElement[bool]:
    of_batch = (
        select(1)
        .where(
            batch_ids.c.send_key == messages.c.send_key,
            batch_ids.c.batch_no == messages.c.batch_no,
            batch_ids.c.vendor_message_id == reports.c.vendor_message_id,
        )
        .correlate(messages, reports)
        .exists()
    )
    return and_(
        reports.c.mobile == messages.c.mobile,
        reports.c.vendor == batches.c.vendor,
        or_(reports.c.vendor_message_id == messages.c.vendor_message_id, of_batch),
    )


def _latency(ranked: Subquery) -> ColumnElement[Any]:
    scheduled = ranked.c.send_at > ranked.c.submitted_at
    start = case((scheduled, ranked.c.send_at), else_=ranked.c.submitted_at)
    elapsed = Elapsed(start, ranked.c.reported_at)
    return case((elapsed < literal_column("0"), literal_column("0.0")), else_=elapsed)


def create_views(connection: Connection) -> None:
    """Make the view, or make it anew when its definition changed."""
    body = message_status().compile(connection, compile_kwargs={"literal_binds": True})
    # psycopg and pymysql read % as the start of a parameter, but only when there are parameters.
    connection.exec_driver_sql(f"DROP VIEW IF EXISTS {NAME}")
    connection.exec_driver_sql(f"CREATE VIEW {NAME} AS {body}")
