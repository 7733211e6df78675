"""
Look up a connection also where Airflow does not: in a script or a notebook.

Airflow has tasks and triggers ask their parent process, and servers and commands the metadata database. A
process that is none of these is given environment variables and a secrets backend alone, so that what
``airflow connections add`` has stored is "not found" there. Taken at its word, a script would open another
store than its DAGs do. So outside of tasks, servers and commands the metadata database is asked as well.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook, mask_secret

log = logging.getLogger(__name__)

#: What to say of a metadata database that was never set up.
NOT_SET_UP = "Airflow's metadata database has no tables yet: run 'airflow db migrate'"

#: Default stores that were told of by this process.
_told: set[Path] = set()


def find_connection(conn_id: str) -> Any | None:
    """
    Give a connection; this blocks.

    :param conn_id: its id.
    :return: ``None`` if it was not found. :func:`~airflow_provider_sms.hooks.missing.failed_source` tells
        whether that is to be believed.
    """
    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        if not is_outside():
            return None
    try:
        return MetadataDatabase().get_connection(conn_id)
    except Exception:  # noqa: BLE001 - as Airflow does it with its own sources
        return None


def is_outside() -> bool:
    """Whether this process is neither a task or trigger of Airflow's nor one of its servers or commands."""
    from airflow.sdk.execution_time import task_runner

    if getattr(task_runner, "SUPERVISOR_COMMS", None) is not None:
        return False
    return os.environ.get("_AIRFLOW_PROCESS_CONTEXT") != "server"


def tell_of_default(conn_id: str, path: Path) -> None:
    """
    Say in a script, once, which file is the store where no connection of one was found.

    :param conn_id: the connection that a store would have.
    :param path: the file.
    """
    if path in _told or not is_outside():
        return
    _told.add(path)
    if MetadataDatabase().is_set_up():
        log.info("there is no connection %r, so the SMS store is %s", conn_id, path)
    else:
        log.warning(
            "the SMS store is %s: no connection %r was found, and the Airflow of this AIRFLOW_HOME has no "
            "metadata database. If your DAGs use another store, set AIRFLOW_HOME as they have it, or %s",
            path,
            conn_id,
            f"AIRFLOW_CONN_{conn_id.upper()}",
        )


class MetadataDatabase:
    """Airflow's metadata database as a source of connections, as a script may ask it."""

    def get_connection(self, conn_id: str) -> Any | None:
        """
        Give a connection.

        :param conn_id: its id.
        :return: ``None`` if it is not there, or if the database was never set up and so holds none.
        :raises Exception: whatever SQLAlchemy or Airflow raises where it cannot be asked.
        """
        from airflow.secrets.metastore import MetastoreBackend

        if not self.is_set_up():
            return None
        connection = MetastoreBackend().get_connection(conn_id)
        if connection is not None:
            # Airflow's own look-up does so.
            for secret in filter(None, (connection.password, connection.extra)):
                mask_secret(secret)
        return connection

    @staticmethod
    def is_set_up() -> bool:
        """Whether it has Airflow's tables; errors as :meth:`get_connection`."""
        from airflow.utils.session import create_session
        from sqlalchemy import inspect

        with create_session() as session:
            engine = session.get_bind()
            path = engine.engine.url.database or ""
            # To connect to a SQLite file that is not there would make an empty one.
            absent = engine.dialect.name == "sqlite" and path.startswith("/") and not Path(path).exists()
            return not absent and inspect(engine).has_table("connection")
