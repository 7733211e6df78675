"""Write a planned send into the ledger: one row for the send, one per batch, one per recipient."""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING, Any

from sqlalchemy import exc, select

from airflow_provider_sms.records import BatchState
from airflow_provider_sms.store import bulk
from airflow_provider_sms.store.clock import ServerTime
from airflow_provider_sms.store.number_hash import hash_numbers
from airflow_provider_sms.store.schema import batch_ids, batches, recipients, sends

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from airflow_provider_sms.store.plans import PlannedBatch, PlannedSend

#: Recipients written at a time, so that a send of millions needs no memory of its size.
_CHUNK = 50_000


class KeyTaken(Exception):
    """The send key is there already."""


def write(
    connection: Connection, send: PlannedSend, planned: Sequence[PlannedBatch], hash_key: bytes = b""
) -> datetime:
    """
    Write a send within the caller's transaction.

    :param hash_key: key of the numbers' hashes; they are left out without it.
    :return: the moment of the plan, which its batches bear as ``prepared_at``.
    :raises KeyTaken: the send key is there already; the transaction must be rolled back.
    """
    now = _now(connection)
    row = {**_common(send), "fingerprint": send.fingerprint, **_sizes(planned), "created_at": now}
    _write_batches(connection, _take_key(connection, row), send, planned, now, hash_key)
    return now


def overwrite(
    connection: Connection,
    send_id: int,
    send: PlannedSend,
    planned: Sequence[PlannedBatch],
    hash_key: bytes = b"",
) -> datetime:
    """
    Write another plan in the place of a send's first, within the caller's transaction, which has its lock.

    Nothing of the first plan may ever have been accepted: its batches and their ids are forgotten.

    :return: as of :func:`write`.
    """
    for table in (recipients, batch_ids, batches):
        connection.execute(table.delete().where(table.c.send_id == send_id))
    now = _now(connection)
    changed = {"fingerprint": send.fingerprint, **_sizes(planned), "created_at": now}
    connection.execute(sends.update().where(sends.c.send_id == send_id).values(changed))
    _write_batches(connection, send_id, send, planned, now, hash_key)
    return now


def _now(connection: Connection) -> datetime:
    moment: datetime = connection.execute(select(ServerTime())).scalar_one()
    return moment


def _common(send: PlannedSend) -> dict[str, Any]:
    return {
        "send_key": send.send_key,
        "conn_id": send.conn_id,
        "vendor": send.vendor,
        "dag_id": send.dag_id,
        "task_id": send.task_id,
        "run_id": send.run_id,
        "map_index": send.map_index,
    }


def _sizes(planned: Sequence[PlannedBatch]) -> dict[str, int]:
    return {"recipients": sum(len(batch.mobiles) for batch in planned), "batches": len(planned)}


def _write_batches(
    connection: Connection,
    send_id: int,
    send: PlannedSend,
    planned: Sequence[PlannedBatch],
    now: datetime,
    hash_key: bytes,
) -> None:
    if not planned:
        return
    columns = {
        **_common(send),
        "send_id": send_id,
        "batch_no": [batch.batch_no for batch in planned],
        "state": BatchState.PREPARED.value,
        "reference": [batch.reference for batch in planned],
        "recipients": [len(batch.mobiles) for batch in planned],
        "segments": [batch.total_segments for batch in planned],
        "content": [batch.content for batch in planned],
        "templated": [bool(batch.values) for batch in planned],
        "template_id": send.template_id,
        "extno": [batch.extno for batch in planned],
        "send_at": [batch.send_at for batch in planned],
        "attempts": 0,
        "prepared_at": now,
    }
    bulk.append(connection, batches, columns, len(planned))
    for chunk in _chunks(planned):
        _write_recipients(connection, send_id, chunk, hash_key)


def _take_key(connection: Connection, row: dict[str, Any]) -> int:
    try:
        key = connection.execute(sends.insert(), row).inserted_primary_key
    except exc.IntegrityError:
        key = None
    if key is None:
        raise KeyTaken
    return int(key[0])


def as_stored(values: Sequence[str]) -> str:
    """Give one recipient's values as the store keeps them."""
    return json.dumps(values, ensure_ascii=False)


def _chunks(planned: Sequence[PlannedBatch]) -> Iterator[list[PlannedBatch]]:
    chunk: list[PlannedBatch] = []
    size = 0
    for batch in planned:
        chunk.append(batch)
        size += len(batch.mobiles)
        if size >= _CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _write_recipients(
    connection: Connection, send_id: int, planned: Sequence[PlannedBatch], hash_key: bytes
) -> None:
    def flat(parts: Iterator[Any]) -> list[Any]:
        return list(chain.from_iterable(parts))

    columns: dict[str, Any] = {
        "send_id": send_id,
        "batch_no": flat([batch.batch_no] * len(batch.mobiles) for batch in planned),
        "seq": flat(range(len(batch.mobiles)) for batch in planned),
        "mobile": flat(batch.mobiles for batch in planned),
        "segments": flat(
            [batch.segments] * len(batch.mobiles) if isinstance(batch.segments, int) else batch.segments
            for batch in planned
        ),
    }
    if any(batch.contents for batch in planned):
        columns["content"] = flat(batch.contents or [None] * len(batch.mobiles) for batch in planned)
    if any(batch.values for batch in planned):
        columns["template_values"] = flat(
            list(map(as_stored, batch.values)) or [None] * len(batch.mobiles) for batch in planned
        )
    if hash_key:
        columns["mobile_hash"] = hash_numbers(columns["mobile"], hash_key)
    bulk.append(connection, recipients, columns, len(columns["mobile"]))
