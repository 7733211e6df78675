"""What a database saw of its leases: a trigger writes down each change of hands, by the server's clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import create_engine, pool, text

if TYPE_CHECKING:
    from sqlalchemy import Engine

_TABLE = {
    "postgresql": "CREATE TABLE lease_history (had text, has text, early boolean)",
    "mysql": "CREATE TABLE lease_history (had varchar(250), has varchar(250), early boolean)",
}
_TRIGGER = {
    "postgresql": (
        """
        CREATE FUNCTION write_lease_history() RETURNS trigger AS $$
        BEGIN
            IF NEW.owner IS DISTINCT FROM OLD.owner AND NEW.owner IS NOT NULL THEN
                INSERT INTO lease_history VALUES (
                    OLD.owner, NEW.owner, OLD.owner IS NOT NULL AND OLD.expires_at > clock_timestamp()
                );
            END IF;
            RETURN NEW;
        END $$ LANGUAGE plpgsql
        """,
        """
        CREATE TRIGGER lease_history AFTER UPDATE ON sms_leases
        FOR EACH ROW EXECUTE FUNCTION write_lease_history()
        """,
    ),
    "mysql": (
        """
        CREATE TRIGGER lease_history AFTER UPDATE ON sms_leases FOR EACH ROW
        BEGIN
            IF NOT (NEW.owner <=> OLD.owner) AND NEW.owner IS NOT NULL THEN
                INSERT INTO lease_history VALUES (
                    OLD.owner, NEW.owner, OLD.owner IS NOT NULL AND OLD.expires_at > UTC_TIMESTAMP(6)
                );
            END IF;
        END
        """,
    ),
}


class Changes(NamedTuple):
    """
    How often leases changed hands.

    :param released: after the one before had given it back.
    :param expired: after the one before had let it run out.
    :param early: while the one before still had it.
    """

    released: int
    expired: int
    early: int


class LeaseHistory:
    """
    The history of one store's leases.

    :param url: SQLAlchemy address of the store, which must have its tables.
    """

    def __init__(self, url: str) -> None:
        self._engine: Engine = create_engine(url, poolclass=pool.NullPool)
        dialect = self._engine.dialect.name
        with self._engine.begin() as connection:
            for statement in (_TABLE[dialect], *_TRIGGER[dialect]):
                connection.exec_driver_sql(statement)

    def changes(self) -> Changes:
        """Count them."""
        kind = "CASE WHEN early THEN 'early' WHEN had IS NULL THEN 'released' ELSE 'expired' END"
        with self._engine.connect() as connection:
            rows = connection.execute(text(f"SELECT {kind}, count(*) FROM lease_history GROUP BY 1"))  # noqa: S608
            found = dict(rows.all())
        return Changes(*(found.get(kind, 0) for kind in Changes._fields))
