"""
Which connections of stores were used here: such a one is never taken for missing.

Airflow says "not found" of a connection that could not be looked up, too. Whoever took that for "use SQLite"
would put pushes where nobody looks for them, and send a second time with an empty ledger. So a store that was
opened by a connection is remembered, by this process and by a small file in the spool's folder, which is
to outlive the process and the pod. The file's name and its content are the connection's id.

A connection out of an environment variable is not remembered: a variable is there or it is not, and can be
taken away as surely as it was set.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow_provider_sms.replacing import sync_folder

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_sms.store.engine import Store

log = logging.getLogger(__name__)

_opened: dict[Path, Store] = {}
_unwritable: set[Path] = set()


def mark_of(conn_id: str, spool: Path) -> Path:
    """
    Give the path of the file that says that a store's connection was used here.

    :param conn_id: id of the connection.
    :param spool: the folder of the spool, that of the default store.
    """
    return spool / "known_stores" / quote(conn_id, safe="")


def remember(mark: Path, conn_id: str, store: Store) -> None:
    """
    Remember that a store was opened by a connection; the file is on disk when this returns.

    A folder that takes no file is logged, once: the store can be used all the same. What an environment
    variable says is not remembered.

    :param mark: as :func:`mark_of` gives it.
    """
    if _is_in_environment(conn_id):
        return
    _opened[mark] = store
    try:
        if not mark.exists():
            _write(mark, conn_id)
    except OSError as error:
        if mark not in _unwritable:
            _unwritable.add(mark)
            log.warning(
                "connection %r of the SMS store cannot be marked as used (%s: %s): a later process that "
                "cannot look it up may take it for missing",
                conn_id,
                mark,
                error.strerror,
            )


def opened_before(mark: Path) -> Store | None:
    """Give the store that this process opened last by the connection of a mark."""
    return _opened.get(mark)


def is_marked(mark: Path) -> bool:
    """Whether any process that has this spool's folder has used the connection."""
    try:
        return mark.exists()
    except OSError:
        # A folder that this user may not look into; SQLite's file lies in none that is more open.
        return False


def _is_in_environment(conn_id: str) -> bool:
    # Airflow asks the environment after a secrets backend and before its own database.
    return f"AIRFLOW_CONN_{conn_id.upper()}" in os.environ


def _write(mark: Path, conn_id: str) -> None:
    mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(mark, os.O_CREAT | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(f"{conn_id}\n".encode())
        file.flush()
        os.fsync(file.fileno())
    sync_folder(mark.parent)
