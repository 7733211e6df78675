"""
Another plan in the place of a send's first, as long as nobody can have read anything of the first.

The send's row and those of all its batches are locked before they are looked at, so that no batch is claimed
between the look and the change. Whoever has read the first plan meanwhile claims nothing of the second: a
claim names the reference that the batch bore when its content was read.
"""

from __future__ import annotations

from itertools import chain, repeat, zip_longest
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from airflow_provider_sms.store import evidence, planning
from airflow_provider_sms.store.plans import UNSENT, Replaced
from airflow_provider_sms.store.schema import batches, recipients, sends

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from airflow_provider_sms.store.plans import PlannedBatch, PlannedSend

#: Recipients compared at a time.
_CHUNK = 10_000


def replace(
    connection: Connection, send: PlannedSend, planned: Sequence[PlannedBatch], hash_key: bytes
) -> tuple[Replaced, datetime | None]:
    """Put a plan into the place of the first, as :meth:`Ledger.replace` describes."""
    of_send = batches.c.send_key == send.send_key
    key = select(sends.c.send_id).where(sends.c.send_key == send.send_key).with_for_update()
    send_id = connection.scalar(key)
    wanted = (batches.c.state, batches.c.purged_at, batches.c.batch_no, batches.c.content)
    told = (*wanted, batches.c.send_at, batches.c.extno, batches.c.prepared_at)
    first = select(*told).where(of_send).order_by(batches.c.batch_no)
    rows = connection.execute(first.with_for_update()).all()
    if send_id is None or any(row.state not in UNSENT or row.purged_at is not None for row in rows):
        return Replaced.STANDS, None
    if evidence.belied(connection, [of_send], recent=False):
        return Replaced.STANDS, None
    if _same_batches(rows, planned) and _same_people(connection, send_id, planned):
        return Replaced.SAME, rows[0].prepared_at
    return Replaced.REPLACED, planning.overwrite(connection, send_id, send, planned, hash_key)


def _same_batches(rows: Sequence[Any], planned: Sequence[PlannedBatch]) -> bool:
    return [(row.batch_no, row.content, row.send_at, row.extno) for row in rows] == [
        (batch.batch_no, batch.content, batch.send_at, batch.extno) for batch in planned
    ]


def _same_people(connection: Connection, send_id: int, planned: Sequence[PlannedBatch]) -> bool:
    columns = (recipients.c.batch_no, recipients.c.mobile, recipients.c.template_values)
    statement = select(*columns).where(recipients.c.send_id == send_id)
    statement = statement.order_by(recipients.c.batch_no, recipients.c.seq)
    with connection.execute(statement, execution_options={"yield_per": _CHUNK}) as found:
        return all(map(_equal, zip_longest(found, chain.from_iterable(map(_people, planned)))))


def _equal(pair: tuple[Any, Any]) -> bool:
    first, second = pair
    return first is not None and second is not None and tuple(first) == second


def _people(batch: PlannedBatch) -> Iterator[tuple[int, str, str | None]]:
    values = map(planning.as_stored, batch.values) if batch.values else repeat(None)
    return zip(repeat(batch.batch_no), batch.mobiles, values, strict=False)
