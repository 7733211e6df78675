"""Taking turns: one row that whoever must not run beside its like locks first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from airflow_provider_sms.store.migrations import PROOF
from airflow_provider_sms.store.schema import meta

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


def take_turn(connection: Connection) -> None:
    """Wait until no other transaction has the turn, and have it until this one ends."""
    connection.execute(select(meta).where(meta.c.name == PROOF).with_for_update())
