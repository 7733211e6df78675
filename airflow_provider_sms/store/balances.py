"""Balances that vendors told, with the time they were told."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, func, select

from airflow_provider_sms.records import BalanceSource
from airflow_provider_sms.store.clock import ServerTime
from airflow_provider_sms.store.ids import new_id
from airflow_provider_sms.store.schema import balances

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from sqlalchemy import ColumnElement

    from airflow_provider_sms.records import Balance
    from airflow_provider_sms.store.engine import Store


@dataclass(frozen=True, slots=True)
class BalanceRow:
    """
    A balance as it was told.

    :param checked_at: when, aware UTC.
    :param source: ``check``, or ``answer`` where the answer to a send told it.
    """

    conn_id: str
    vendor: str
    checked_at: datetime
    remaining: Decimal
    unit: str
    total: Decimal | None
    pay_mode: str
    source: str


class Balances:
    """
    The balances in one store.

    :param store: where they are kept. Every method raises ``StoreUnavailable`` when it is away.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def record(
        self,
        conn_id: str,
        vendor: str,
        balance: Balance,
        checked_at: datetime | None = None,
        *,
        source: BalanceSource = BalanceSource.CHECK,
    ) -> BalanceRow:
        """
        Write a balance down.

        :param checked_at: when the vendor told it, aware; now by default.
        :param source: what it was told for.
        :return: the row as written.
        """
        row = BalanceRow(
            conn_id=conn_id,
            vendor=vendor,
            checked_at=checked_at or self._store.now(),
            remaining=balance.remaining,
            unit=balance.unit,
            total=balance.total,
            pay_mode=balance.pay_mode,
            source=source.value,
        )
        with self._store.begin() as connection:
            connection.execute(balances.insert(), {"id": new_id(), **asdict(row)})
        return row

    def last(self, conn_id: str) -> BalanceRow | None:
        """Give the latest balance of a connection, ``None`` when none was ever told."""
        return self._latest(balances.c.conn_id == conn_id)

    def recent(self, conn_id: str, seconds: float) -> BalanceRow | None:
        """
        Give the latest balance of a connection if it is recent enough.

        :param seconds: its greatest age, by the store's clock.
        """
        return self._latest(balances.c.conn_id == conn_id, balances.c.checked_at >= ServerTime(-seconds))

    def latest(self, before: datetime) -> list[BalanceRow]:
        """
        Give of each connection the last balance told before a moment, in the order of their names.

        :param before: aware.
        """
        table = balances
        newest = func.max(table.c.checked_at).label("newest")
        of_each = select(table.c.conn_id, newest).where(table.c.checked_at < before)
        found = of_each.group_by(table.c.conn_id).subquery("found")
        these = and_(table.c.conn_id == found.c.conn_id, table.c.checked_at == found.c.newest)
        columns = (table.c[name] for name in BalanceRow.__slots__)
        # Of two at one moment, the later written.
        statement = select(*columns).join_from(table, found, these).order_by(table.c.conn_id, table.c.id)
        with self._store.reading() as connection:
            rows = [BalanceRow(**row) for row in connection.execute(statement).mappings()]
        return list({row.conn_id: row for row in rows}.values())

    def _latest(self, *conditions: ColumnElement[bool]) -> BalanceRow | None:
        statement = (
            select(*(balances.c[name] for name in BalanceRow.__slots__))
            .where(*conditions)
            .order_by(balances.c.checked_at.desc(), balances.c.id.desc())
            .limit(1)
        )
        with self._store.reading() as connection:
            row = connection.execute(statement).mappings().one_or_none()
        return None if row is None else BalanceRow(**row)
