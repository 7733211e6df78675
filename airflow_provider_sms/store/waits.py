"""
Waits: what deferred sensors wait for, kept out of Airflow's tables and logs.

A trigger's parameters are stored, shown and logged by Airflow, and a sensor may wait for the reply of one
person. So the trigger gets an id, and what it stands for is looked up here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from airflow_provider_sms.store.clock import ServerTime
from airflow_provider_sms.store.ids import new_id
from airflow_provider_sms.store.schema import waits

if TYPE_CHECKING:
    from airflow_provider_sms.store.engine import Store

_OWNER_LENGTH = 250


class Waits:
    """
    The waits in one store.

    :param store: where they are kept. Every method raises ``StoreUnavailable`` when it is away.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def register(self, conn_id: str, queue: str, condition: str, owner: str, seconds: float) -> str:
        """
        Write down what is waited for, and forget waits that ran out.

        :param condition: as text; see :func:`~airflow_provider_sms.conditions.as_text`.
        :param owner: who waits, for people to read.
        :param seconds: after so many, nobody waits any more.
        :return: the wait's id.
        """
        wait_id = new_id()
        row = {
            "wait_id": wait_id,
            "conn_id": conn_id,
            "queue": queue,
            "condition": condition,
            "owner": owner[:_OWNER_LENGTH],
            "registered_at": ServerTime(),
            "expires_at": ServerTime(seconds),
        }
        with self._store.begin() as connection:
            connection.execute(waits.delete().where(waits.c.expires_at <= ServerTime()))
            connection.execute(waits.insert().values(row))
        return wait_id

    def condition(self, wait_id: str) -> str | None:
        """Give what is waited for; ``None`` when nobody waits any more."""
        with self._store.asking() as connection:
            found: str | None = connection.scalar(select(waits.c.condition).where(waits.c.wait_id == wait_id))
        return found

    def forget(self, wait_id: str) -> None:
        """End a wait; one that has ended stays so."""
        with self._store.begin() as connection:
            connection.execute(waits.delete().where(waits.c.wait_id == wait_id))
