"""
Stores to test with: SQLite always, PostgreSQL and MySQL where a server answers.

The kind ``other`` is PostgreSQL under a name that the package does not know: all of it goes the way of a
database that nobody has tested.

``SMS_TEST_POSTGRES`` and ``SMS_TEST_MYSQL`` say where (SQLAlchemy addresses). Everything happens in a
schema or database that is made here and dropped at the end.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from sqlalchemy import create_engine, exc, make_url, text
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from airflow_provider_sms.records import DeliveryStatus, Reply, Report
from airflow_provider_sms.store import schema
from airflow_provider_sms.store.engine import Store
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.landing import Landing
from airflow_provider_sms.store.ledger import Ledger
from airflow_provider_sms.store.plans import PlannedBatch, PlannedSend

ADDRESSES = {
    "postgresql": os.environ.get("SMS_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/test"),
    "mysql": os.environ.get("SMS_TEST_MYSQL", "mysql+pymysql://root@127.0.0.1:3306/test"),
}
#: Servers by kind of store.
SERVERS = {"postgresql": "postgresql", "mysql": "mysql", "other": "postgresql"}
NOON = datetime(2025, 3, 1, 4, 0, tzinfo=UTC)
#: Of the same day in China.
HALF_PAST_MIDNIGHT = datetime(2025, 2, 28, 16, 30, tzinfo=UTC)


class OtherPostgres(PGDialect_psycopg):
    """PostgreSQL, known to nobody by that name."""

    name = "otherpostgresql"
    supports_statement_cache = True


class OtherMySQL(MySQLDialect_pymysql):
    """MySQL, known to nobody by that name."""

    name = "othermysql"
    supports_statement_cache = True


registry.impls |= {kind.name: (lambda kind=kind: kind) for kind in (OtherPostgres, OtherMySQL)}


@cache
def _why_not(dialect: str) -> str:
    """Say why a server cannot be used, ``""`` if it can."""
    url = make_url(ADDRESSES[SERVERS[dialect]])
    engine = create_engine(url, connect_args={"connect_timeout": 3})
    try:
        engine.connect().close()
    except (exc.DBAPIError, ImportError) as error:
        kind = type(error).__name__
        return f"no {dialect} at {url.host}:{url.port} ({kind}): set SMS_TEST_POSTGRES / SMS_TEST_MYSQL"
    finally:
        engine.dispose()
    return ""


def _run(dialect: str, statement: str) -> None:
    engine = create_engine(ADDRESSES[SERVERS[dialect]], isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


class Place:
    """An empty place for a store: a file, a schema, or a database."""

    def __init__(self, dialect: str, folder) -> None:
        if dialect in SERVERS and (reason := _why_not(dialect)):
            pytest.skip(reason)
        self.dialect = dialect
        self.name = f"sms_test_{secrets.token_hex(6)}"
        if dialect == "sqlite":
            self.url = make_url(f"sqlite:///{folder / 'sms.db'}")
        elif SERVERS[dialect] == "postgresql":
            _run(dialect, f"CREATE SCHEMA {self.name}")
            self.url = make_url(ADDRESSES["postgresql"]).update_query_dict(
                {"options": f"-csearch_path={self.name}"}
            )
            if dialect == "other":
                self.url = self.url.set(drivername=OtherPostgres.name)
        else:
            _run(dialect, f"CREATE DATABASE {self.name}")
            self.url = make_url(ADDRESSES[dialect]).set(database=self.name)

    @property
    def address(self) -> str:
        """Where it is, password and all."""
        return self.url.render_as_string(hide_password=False)

    def drop(self) -> None:
        """Remove it from its server."""
        if SERVERS.get(self.dialect) == "postgresql":
            _run(self.dialect, f"DROP SCHEMA {self.name} CASCADE")
        elif self.dialect == "mysql":
            _run(self.dialect, f"DROP DATABASE {self.name}")


@pytest.fixture(scope="session")
def shared_stores(tmp_path_factory):
    """Open one store per server for the whole session; making tables takes longer than most tests."""
    opened = {}

    def get(dialect: str) -> Store:
        if dialect not in opened:
            folder = tmp_path_factory.mktemp(dialect)
            place = Place(dialect, folder)
            opened[dialect] = (place, Store.open(place.url, spool_dir=folder / "spool"))
        return opened[dialect][1]

    yield get
    for place, store in opened.values():
        store.close()
        place.drop()


@pytest.fixture(params=["sqlite", "postgresql", "mysql", "other"])
def store(request, shared_stores):
    """Give an empty store of each kind."""
    store = shared_stores(request.param)
    with store.begin() as connection:
        for table in schema.metadata.sorted_tables:
            if table is not schema.meta:
                connection.execute(table.delete())
    for file in store.spool_dir.glob("*"):
        file.unlink()
    return store


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def place(request, tmp_path):
    """Give a place without any tables."""
    place = Place(request.param, tmp_path)
    yield place
    place.drop()


@pytest.fixture
def new_place():
    """Make empty places of a kind: ``new_place("other", folder)``."""
    made = []

    def make(dialect, folder):
        made.append(Place(dialect, folder))
        return made[-1]

    yield make
    for each in made:
        each.drop()


@pytest.fixture
def ledger(store):
    return Ledger(store)


@pytest.fixture
def plan(ledger):
    """Plan a send of some batches: ``plan("key", [["138..."], ["139...", "137..."]])``."""

    def make(send_key="key", batches=(("13800000001", "13800000002"),), **fields: Any):
        send = {"conn_id": "sms_main", "vendor": "wavecom", "fingerprint": "f" * 64} | {
            name: fields.pop(name)
            for name in ("conn_id", "vendor", "fingerprint", "template_id")
            if name in fields
        }
        fields = {"content": "您好【公司】"} | fields
        return ledger.plan(
            PlannedSend(send_key=send_key, **send),
            [
                PlannedBatch(batch_no=number, reference=f"planned{number}", mobiles=tuple(mobiles), **fields)
                for number, mobiles in enumerate(batches, 1)
            ],
        )

    return make


@pytest.fixture
def submitted(ledger, plan):
    """Plan a send, claim all of it and settle it as told: ``submitted("key", batches, "accepted")``."""

    def make(send_key, batches, state, ids=(), **fields: Any):
        assert plan(send_key, batches, **fields)
        for number in range(1, len(batches) + 1):
            assert ledger.claim(send_key, number, "worker", 60, f"{send_key}ref{number}")
            settled = {"owner": "worker", "message_ids": ids}
            assert ledger.settle(send_key, number, state, **settled)

    return make


@pytest.fixture
def sent(store, submitted):
    """Send as if at a moment, in China half past midnight: ``sent("key", [[...]], state, at)``."""

    def make(send_key, batches, state, at=HALF_PAST_MIDNIGHT, ids=("77",), **fields: Any):
        submitted(send_key, batches, state, ids, **fields)
        moved = {"submitted_at": at, "prepared_at": at - timedelta(seconds=1)}
        with store.begin() as connection:
            these = schema.batches.update().where(schema.batches.c.send_key == send_key)
            connection.execute(these, moved)

    return make


def report(number, vendor_id, status=DeliveryStatus.DELIVERED, at=NOON, **fields: Any):
    values = {"vendor_status": "DELIVRD", "error_code": "", "extno": ""} | fields
    return Report(vendor_message_id=vendor_id, mobile=number, status=status, occurred_at=at, **values)


def reply(number, content, at=NOON, vendor_id=""):
    return Reply(vendor_message_id=vendor_id, mobile=number, content=content, extno="", occurred_at=at)


@pytest.fixture
def make_report():
    """Make a report: ``make_report("138...", "id", at=...)``."""
    return report


@pytest.fixture
def make_reply():
    """Make a reply: ``make_reply("138...", "好")``."""
    return reply


@pytest.fixture
def land(store):
    """Read and land a page of records; gives its id."""

    def run(records, queue="reports", conn_id="sms_main", vendor="wavecom", **options: Any):
        journal = Journal(store)
        page_id = journal.begin(conn_id, vendor, queue, "reader")
        journal.keep(page_id, b"raw")
        Landing(store).land(page_id, conn_id, vendor, queue, records, **options)
        return page_id

    return run


@pytest.fixture
def ask(store):
    """Ask in plain SQL, as an analyst does: a list of tuples."""

    def run(sql):
        with store.reading() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(sql)]

    return run


@pytest.fixture
def refuse(store):
    """Let the database refuse some new rows of a table: ``refuse("sms_replies", "content = 'x'")``."""
    made = []

    def make(table, condition):
        # In each database's own way; the rows' values are in its error, as they are with others.
        trigger = f"CREATE TRIGGER sms_refuses BEFORE INSERT ON {table}"
        undo = "DROP TRIGGER sms_refuses"
        if store.dialect == "mysql":
            signal = "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'a value of it'"
            statement = f"{trigger} FOR EACH ROW IF NEW.{condition} THEN {signal}; END IF"
        elif store.dialect == "sqlite":
            statement = f"{trigger} WHEN NEW.{condition} BEGIN SELECT RAISE(ABORT, 'a value of it'); END"
        else:
            statement = f"ALTER TABLE {table} ADD CONSTRAINT sms_refuses CHECK (NOT {condition})"
            undo = f"ALTER TABLE {table} DROP CONSTRAINT sms_refuses"
        with store.begin() as connection:
            connection.execute(text(statement))
        made.append(undo)

    yield make
    with store.begin() as connection:
        for undo in made:
            connection.execute(text(undo))


@pytest.fixture
def run_many():
    """Run a script in several processes at once; gives what each printed."""

    def run(script, *arguments: Any, processes=4):
        command = [sys.executable, "-c", script, *map(str, arguments)]
        running = [
            subprocess.Popen(  # noqa: S603 - our own script
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            for _ in range(processes)
        ]
        outcomes = [(*process.communicate(timeout=60), process.returncode) for process in running]
        assert all(code == 0 for *_, code in outcomes), outcomes
        return [out.strip() for out, *_ in outcomes]

    return run


@pytest.fixture
def states():
    """Give the states of a send's batches: ``states(ledger, "key")``."""

    def states_of(ledger: Ledger, send_key: str = "key"):
        return [batch.state for batch in ledger.batches(send_key)]

    return states_of
