"""
What PostgreSQL knows of its tables before it has looked at them by itself.

It looks a minute after the first many rows, or never where autovacuum is off. Until then it takes a table of
a hundred thousand rows for one of a few, and whoever waits for a large send's reports asks for minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from airflow_provider_sms.store.schema import batch_ids, batches, recipients

if TYPE_CHECKING:
    from airflow_provider_sms.store.engine import Store

#: Of fewer rows it need not know much.
_MANY = 1_000
#: Before PostgreSQL 14, a table that was never looked at has no rows.
_NEVER_SEEN = text("SELECT reltuples <= 0 FROM pg_class WHERE oid = CAST(:name AS regclass)")


def have_seen(store: Store, rows: int) -> None:
    """
    Have the database look at the tables of sends, if it never has.

    :param store: whose.
    :param rows: how many a send has just put into them.
    :raises StoreUnavailable: the store is away.
    """
    if store.dialect != "postgresql" or rows < _MANY:
        return
    with store.begin() as connection:
        if not connection.scalar(_NEVER_SEEN, {"name": batch_ids.name}):
            return
        for table in (batches, recipients, batch_ids):
            # Who does not own them is only told so, and nothing happens.
            connection.exec_driver_sql(f"ANALYZE {table.name}")
