"""
One event may come twice: pushed and polled, or pushed again with its fields in another order.

Rows are named by page and place, and two equal replies in polled pages are two replies. A push, though,
is the vendor's second way to tell what a poll tells: both are one event when connection, id, number,
status (or content) and time agree, and the table gets one row of it, from whichever came first. So of k
polled copies and any number of pushes, max(k, 1) rows are made. Events without a time are never joined:
nothing would tell an old one from a new one.

What joins what is kept in ``sms_pushed_events``; pages keep all bytes.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from sqlalchemy import exc, select

from airflow_provider_sms.records import PUSH
from airflow_provider_sms.store.schema import push_queues, pushed_events, replies

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Row, Table
    from sqlalchemy.engine import Connection

    from airflow_provider_sms.store.engine import Store


def announce(store: Store, conn_id: str, queue: str) -> None:
    """
    Note that events of a queue are pushed, so that landing looks for pairs from now on.

    :raises StoreUnavailable: the store is away.
    """
    with store.begin() as connection:
        if not _hold(connection, conn_id, queue):
            _make_row(connection, conn_id, queue)


def places_to_write(
    connection: Connection,
    page: Row[Any],
    queue: str,
    table: Table,
    columns: Mapping[str, Any],
    count: int,
) -> Sequence[int]:
    """
    Give the places of a page whose records become rows, and keep which ones do not.

    :param page: its ``page_id``, ``conn_id``, ``source``, and ``now``.
    :param table: where its records land.
    :param columns: its records as the table takes them.
    :param count: how many there are.
    """
    if page.source == PUSH:
        if not _hold(connection, page.conn_id, queue):
            _make_row(connection, page.conn_id, queue)
            _hold(connection, page.conn_id, queue)
        keys = _keys(page.conn_id, table, columns, count)
        return [place for place in range(count) if _is_new(connection, page, table, columns, place, keys)]
    if not count or not _hold(connection, page.conn_id, queue):
        return range(count)
    joined = _joined_places(connection, page.page_id)
    joined |= _join(connection, page, _keys(page.conn_id, table, columns, count), joined)
    return [place for place in range(count) if place not in joined] if joined else range(count)


def _hold(connection: Connection, conn_id: str, queue: str) -> bool:
    held = select(push_queues.c.queue).where(push_queues.c.conn_id == conn_id, push_queues.c.queue == queue)
    return connection.scalar(held.with_for_update()) is not None


def _make_row(connection: Connection, conn_id: str, queue: str) -> None:
    try:
        with connection.begin_nested():
            connection.execute(push_queues.insert(), {"conn_id": conn_id, "queue": queue})
    except exc.IntegrityError:
        return  # Another process made it in this very moment.


def are_pushed(connection: Connection, conn_id: str, queue: str) -> bool:
    """Tell whether a queue's events are pushed as well, so that landing has to look for pairs."""
    return _hold(connection, conn_id, queue)


# --- a polled page ---------------------------------------------------------------------------------


def _joined_places(connection: Connection, page_id: str) -> set[int]:
    earlier = select(pushed_events.c.twin_seq).where(pushed_events.c.twin_page_id == page_id)
    return set(connection.scalars(earlier))


def _join(connection: Connection, page: Row[Any], keys: Sequence[str], joined: set[int]) -> set[int]:
    """Pair records of a polled page with pushed events that have no pair yet, one with one."""
    wanted = {key for key in keys if key}
    alone = select(pushed_events.c.event_key).where(
        pushed_events.c.event_key.in_(wanted),
        pushed_events.c.twin_page_id.is_(None),
        pushed_events.c.page_id != page.page_id,
    )
    unpaired = set(connection.scalars(alone)) if wanted else set()
    found = set()
    for place, key in enumerate(keys):
        if key in unpaired and place not in joined:
            unpaired.remove(key)
            found.add(place)
            pair = pushed_events.update().where(pushed_events.c.event_key == key)
            connection.execute(pair.values(twin_page_id=page.page_id, twin_seq=place))
    return found


# --- a pushed page ---------------------------------------------------------------------------------


def _is_new(
    connection: Connection,
    page: Row[Any],
    table: Table,
    columns: Mapping[str, Any],
    place: int,
    keys: Sequence[str],
) -> bool:
    key = keys[place]
    if not key:
        return True
    known = select(pushed_events.c.page_id).where(pushed_events.c.event_key == key)
    stands_in = connection.scalar(known)
    if stands_in is not None:
        return bool(stands_in == page.page_id)
    polled = _polled(connection, page.conn_id, table, columns, place, key)
    event: dict[str, Any] = {"event_key": key, "landed_at": page.now}
    if polled is None:
        event |= {"page_id": page.page_id, "seq": place}
    else:
        event |= {"page_id": polled.page_id, "seq": polled.seq}
        event |= {"twin_page_id": page.page_id, "twin_seq": place}
    connection.execute(pushed_events.insert(), event)
    return polled is None


def _polled(
    connection: Connection, conn_id: str, table: Table, columns: Mapping[str, Any], place: int, key: str
) -> Row[Any] | None:
    like = select(table).where(table.c.mobile == columns["mobile"][place], table.c.conn_id == conn_id)
    # By what the table's index knows; the key decides.
    if table is replies:
        like = like.where(table.c.received_at == columns["received_at"][place])
    else:
        like = like.where(table.c.vendor_message_id == columns["vendor_message_id"][place])
    for row in connection.execute(like.order_by(table.c.page_id, table.c.seq)):
        if row.time_source == "vendor" and _row_key(table, row) == key:
            return row
    return None


# --- what makes an event ---------------------------------------------------------------------------


def _keys(conn_id: str, table: Table, columns: Mapping[str, Any], count: int) -> Sequence[str]:
    """Name each record's event; ``""`` for a record without a time of the vendor's."""
    if not count:
        return ()
    said, moment = _names(table)
    sources = columns["time_source"]
    timed = [sources == "vendor"] * count if isinstance(sources, str) else [s == "vendor" for s in sources]
    values = (columns[name] for name in ("vendor_message_id", "mobile", said, moment))
    return [
        _key(conn_id, table, *record) if has_time else ""
        for has_time, record in zip(timed, zip(*values, strict=True), strict=True)
    ]


def _row_key(table: Table, row: Row[Any]) -> str:
    said, moment = _names(table)
    values = row._mapping  # noqa: SLF001 - SQLAlchemy's public name
    return _key(row.conn_id, table, row.vendor_message_id, row.mobile, values[said], values[moment])


def _names(table: Table) -> tuple[str, str]:
    return ("content", "received_at") if table is replies else ("status", "reported_at")


def _key(conn_id: str, table: Table, vendor_id: str, mobile: str, said: str, moment: datetime) -> str:
    parts = (table.name, conn_id, vendor_id, mobile, moment.isoformat(), said)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
