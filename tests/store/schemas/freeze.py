"""
Write down what a store of this release looks like: its own DDL, and some rows in every table.

Run once per release, before the version is raised: ``python tests/store/schemas/freeze.py 0.2.0``. It needs
the servers that the tests use (``SMS_TEST_POSTGRES``, ``SMS_TEST_MYSQL``). The files are never changed again:
they stand for stores that people have.
"""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event, make_url, select

from airflow_provider_sms.records import Balance, BatchState, DeliveryStatus, Reply, Report
from airflow_provider_sms.store import dialects, schema
from airflow_provider_sms.store.balances import Balances
from airflow_provider_sms.store.engine import Store
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.landing import Landing
from airflow_provider_sms.store.ledger import Ledger
from airflow_provider_sms.store.plans import PlannedBatch, PlannedSend

ADDRESSES = {
    "postgresql": os.environ.get("SMS_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/test"),
    "mysql": os.environ.get("SMS_TEST_MYSQL", "mysql+pymysql://root@127.0.0.1:3306/test"),
}
_KEY = "a secret of the frozen store"
_FIRST, _SECOND, _THIRD = "13800000001", "13800000002", "18600000003"


def freeze(version: str, dialect: str, folder: Path) -> None:
    """Make a store, fill it by the package's own means, and write its statements down."""
    name = f"sms_freeze_{secrets.token_hex(4)}"
    server, url = _place(dialect, name, folder)
    told: list[str] = []
    engines = dialects.make_engine

    def listening(*arguments: Any):
        engine = engines(*arguments)

        @event.listens_for(engine, "before_cursor_execute")
        def tell(_connection, _cursor, statement, *_more: Any) -> None:
            if statement.lstrip().upper().startswith("CREATE"):
                told.append(statement.strip())

        return engine

    sys.modules["airflow_provider_sms.store.engine"].make_engine = listening
    store = Store.open(url, spool_dir=folder / "spool", number_hash_key=_KEY)
    made = list(told)
    _fill(store)
    tables = [each for each in made if " VIEW " not in each]
    views = [each for each in made if " VIEW " in each]
    lines = [f"-- A store of release {version}, as the package makes it, with some rows. Never changed."]
    lines += [each + ";" for each in tables] + list(_rows(store)) + [each + ";" for each in views]
    Path(__file__).with_name(f"{version}.{dialect}.sql").write_text(
        "\n\n".join(line.replace("\t", "  ") for line in lines) + "\n", encoding="utf-8"
    )
    store.close()
    if server is not None:
        with server.connect() as connection:
            connection.exec_driver_sql(_DROP[dialect].format(name))
        server.dispose()


_DROP = {"postgresql": "DROP SCHEMA {} CASCADE", "mysql": "DROP DATABASE {}"}


def _place(dialect: str, name: str, folder: Path):
    if dialect == "sqlite":
        return None, make_url(f"sqlite:///{folder / 'sms.db'}")
    server = create_engine(ADDRESSES[dialect], isolation_level="AUTOCOMMIT")
    kind = "SCHEMA" if dialect == "postgresql" else "DATABASE"
    with server.connect() as connection:
        connection.exec_driver_sql(f"CREATE {kind} {name}")
    url = make_url(ADDRESSES[dialect])
    if dialect == "mysql":
        return server, url.set(database=name)
    return server, url.update_query_dict({"options": f"-csearch_path={name}"})


def _fill(store: Store) -> None:
    """One send of each outcome, reports of each status, replies, and a balance."""
    ledger = Ledger(store)
    for key, state, ids in (
        ("accepted", BatchState.ACCEPTED, ("77",)),
        ("unknown", BatchState.UNKNOWN, ()),
        ("planned", None, ()),
    ):
        send = PlannedSend(key, "sms_main", "wavecom", "f" * 64, "dag", "task", "run", -1)
        batch = PlannedBatch(
            batch_no=1,
            reference=f"{key}planned",
            mobiles=(_FIRST, _SECOND, _THIRD),
            content="您好，这是'测试'【公司】",
        )
        ledger.plan(send, [batch])
        if state is not None:
            ledger.claim(key, 1, "worker", 60, f"{key}ref1")
            ledger.settle(key, 1, state, owner="worker", message_ids=ids)
    now = store.now()
    reports = [
        Report("77", _FIRST, DeliveryStatus.DELIVERED, "DELIVRD", "", "", now),
        Report("77", _SECOND, DeliveryStatus.FAILED, "UNDELIV", "MK:0001", "", now),
        Report("77", _THIRD, DeliveryStatus.PENDING, "", "", "", None),
    ]
    _land(store, "reports", reports)
    _land(store, "replies", [Reply("", _FIRST, "退订\n谢谢", "12", now)])
    Balances(store).record("sms_main", "wavecom", Balance(Decimal("1234.5")))


def _land(store: Store, queue: str, records) -> None:
    journal = Journal(store)
    page = journal.begin("sms_main", "wavecom", queue, "reader")
    journal.keep(page, "<raw>页</raw>".encode("gb18030"))
    Landing(store).land(page, "sms_main", "wavecom", queue, records)


def _rows(store: Store):
    with store.reading() as connection:
        for table in schema.metadata.sorted_tables:
            for row in connection.execute(select(table)).mappings():
                given = {name: value for name, value in row.items() if value is not None}
                values = ", ".join(_literal(value, store.dialect) for value in given.values())
                yield f"INSERT INTO {table.name} ({', '.join(given)}) VALUES ({values});"  # noqa: S608 - our own names and values
    if store.dialect == "postgresql":
        # The rows brought their numbers; the counter behind them has to know.
        yield "SELECT setval('sms_sends_send_id_seq', (SELECT max(send_id) FROM sms_sends));"


def _literal(value, dialect: str) -> str:
    if isinstance(value, bool):
        return str(value).lower() if dialect == "postgresql" else str(int(value))
    if isinstance(value, int | float | Decimal):
        return str(value)
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'" if dialect == "postgresql" else f"x'{value.hex()}'"
    if isinstance(value, datetime):
        zone = "+00:00" if dialect == "postgresql" else ""
        return f"'{value:%Y-%m-%d %H:%M:%S.%f}{zone}'"
    if isinstance(value, date):
        return f"'{value}'"
    text = str(value).replace("'", "''")
    return f"'{text}'" if dialect != "mysql" else "'{}'".format(text.replace("\\", "\\\\"))


if __name__ == "__main__":
    for kind in ("sqlite", "postgresql", "mysql"):
        with tempfile.TemporaryDirectory() as folder:
            freeze(sys.argv[1], kind, Path(folder))
