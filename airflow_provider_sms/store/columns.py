"""Column types that mean the same on SQLite, PostgreSQL and MySQL."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import TIMESTAMP, DateTime, Float, LargeBinary, Numeric, String, Text
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.types import TypeDecorator, TypeEngine

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

#: Digits of an amount before and after the decimal point.
_AMOUNT = (18, 4)


class UtcDateTime(TypeDecorator[datetime]):
    """
    A moment: aware in, aware UTC out.

    PostgreSQL keeps a ``timestamptz``; MySQL a ``DATETIME(6)`` and SQLite a text
    (``2025-01-31 08:30:00.000000``), both in UTC, so that plain SQL and pandas read them and text
    order is time order; other databases a ``TIMESTAMP`` in UTC.
    """

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the database's own type."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.TIMESTAMP(timezone=True))
        if dialect.name in {"mysql", "mariadb"}:
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        # Elsewhere the standard's name: what SQLAlchemy calls DateTime has whole seconds on some databases.
        return dialect.type_descriptor(DateTime() if dialect.name == "sqlite" else TIMESTAMP())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn any aware moment to UTC; a naive one could be any zone's, so it is refused."""
        if value is None:
            return None
        if value.tzinfo is None:
            msg = "a moment without a time zone cannot be stored: make it aware"
            raise ValueError(msg)
        moment = value.astimezone(UTC)
        return moment if dialect.name == "postgresql" else moment.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give back aware UTC, whatever zone the session has."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Amount(TypeDecorator[Decimal]):
    """A decimal of up to four places; SQLite, which has no decimals, keeps it as a number."""

    impl = Numeric
    cache_ok = True

    def __init__(self) -> None:
        super().__init__(*_AMOUNT)

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the database's own type."""
        return dialect.type_descriptor(Float() if dialect.name == "sqlite" else Numeric(*_AMOUNT))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """Give SQLite a float: fifteen digits hold every amount that a vendor prints."""
        return float(value) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """Give back a decimal without trailing zeros of the column's scale."""
        del dialect
        if value is None:
            return None
        amount = Decimal(str(value)).normalize()
        return amount.quantize(Decimal(1)) if amount == amount.to_integral_value() else amount


def key(length: int) -> String:
    """
    Text that is compared byte by byte, for ids and everything that joins.

    The database's usual collation would be slower on PostgreSQL, and on MySQL would take ``"Ab"``
    and ``"aB"`` for one id.
    """
    return (
        String(length)
        .with_variant(postgresql.VARCHAR(length, collation="C"), "postgresql")
        .with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")
    )


def prose() -> Text:
    """Text of any length."""
    return Text().with_variant(mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")


def raw() -> LargeBinary:
    """Bytes of any length."""
    return LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")
