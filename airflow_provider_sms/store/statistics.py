"""
What servers know of their tables before they have looked at them by themselves.

PostgreSQL looks a minute after the first many rows, or never where autovacuum is off. Until then it takes a
table of a hundred thousand rows for one of a few, and whoever waits for a large send's reports asks for
minutes. MySQL and MariaDB keep what they knew when a table was opened, which may be that it is empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from airflow_provider_sms.store.schema import batch_ids, batches, recipients, reports

if TYPE_CHECKING:
    from airflow_provider_sms.store.engine import Store

#: Of fewer rows it need not know much.
_MANY = 1_000
#: Before PostgreSQL 14, a table that was never looked at has no rows.
_NEVER_SEEN = text("SELECT reltuples <= 0 FROM pg_class WHERE oid = CAST(:name AS regclass)")


def have_seen(store: Store, rows: int) -> None:
    """
    Have PostgreSQL look at the tables of sends, if it never has.

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


def have_counted(store: Store) -> None:
    """
    Have MySQL and MariaDB count what is in the tables of sends and reports now.

    Else a purge's reports are looked for by walking over all batches, and it takes a hundred times as long.

    :param store: whose.
    :raises StoreUnavailable: the store is away.
    """
    if store.dialect in {"mysql", "mariadb"}:
        with store.reading() as connection:
            for table in (batches, batch_ids, recipients, reports):
                connection.exec_driver_sql(f"ANALYZE LOCAL TABLE {table.name}").close()
