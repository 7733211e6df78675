"""Opening a store: one engine per process, tables made once, failures told without values."""

from __future__ import annotations

import sqlite3
import stat
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_engine, inspect, select, text

from airflow_provider_sms.errors import PreflightError, StoreUnavailable
from airflow_provider_sms.store import migrations, schema
from airflow_provider_sms.store.clock import ServerTime
from airflow_provider_sms.store.engine import Store
from airflow_provider_sms.store.migrations import bring_up
from airflow_provider_sms.store.steps import STEPS, Step

CANARY = "13812345678"

FORK = """
import os, sys
from pathlib import Path
from airflow_provider_sms.store.engine import Store
store = Store.open(sys.argv[1], spool_dir=Path(sys.argv[2]))
before = store.engine.pool
child = os.fork()
if child == 0:
    again = Store.open(sys.argv[1], spool_dir=Path(sys.argv[2]))
    ok = store.engine.pool is not before and again.now() and store.now()
    store.prove_writable()
    os._exit(0 if ok else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
store.prove_writable()
assert store.engine.pool is before
print("ok")
"""


def test_as_many_connections_as_asked_for_and_no_more(place, tmp_path):
    """A triggerer needs some thirty at once; whoever asks for one more waits for another's."""
    store = Store.open(place.url, spool_dir=tmp_path / "spool", connections=12)
    with ExitStack() as held:
        for _ in range(12):
            held.enter_context(store.reading()).execute(select(ServerTime()))
        assert store.engine.pool.checkedout() == 12
        store.engine.pool._timeout = 0.01
        with pytest.raises(StoreUnavailable, match="no free connection"), store.reading():
            pass
    assert store.now()
    store.close()


def test_a_store_without_connections_is_refused(place, tmp_path):
    with pytest.raises(PreflightError, match="store_connections"):
        Store.open(place.url, spool_dir=tmp_path / "spool", connections=0)


def test_twenty_eight_threads_of_a_triggerer_do_not_wait_for_each_other(place, tmp_path):
    """All of them hold a connection at the same moment."""
    store = Store.open(place.url, spool_dir=tmp_path / "spool")
    everybody = threading.Barrier(28, timeout=20)

    def ask(_number):
        with store.reading() as connection:
            connection.execute(select(ServerTime()))
            everybody.wait()
        return True

    with ThreadPoolExecutor(28) as threads:
        assert sum(threads.map(ask, range(28))) == 28
    store.close()


def test_a_forked_child_leaves_its_parents_connections_alone(place, tmp_path, run_many):
    """Both go on working: the child with new connections, the parent with its own."""
    assert run_many(FORK, place.address, tmp_path / "spool", processes=1) == ["ok"]


def test_the_same_address_is_opened_once(place, tmp_path):
    first = Store.open(place.url, spool_dir=tmp_path / "spool")
    assert Store.open(place.address, spool_dir=tmp_path / "spool") is first
    first.close()
    second = Store.open(place.url, spool_dir=tmp_path / "spool")
    assert second is not first
    second.close()


def test_a_store_that_was_replaced_keeps_no_connection(place, tmp_path):
    """A triggerer lives for weeks in which passwords change: each time it would keep ten connections more."""

    def used(store):
        with store.reading() as connection:
            connection.execute(select(ServerTime()))
            return connection.connection.driver_connection

    former = Store.open(place.url, spool_dir=tmp_path / "spool", connections=5)
    rested = used(former)
    with former.reading() as connection:
        second = used(former)
        in_use = connection.connection.driver_connection
        store = Store.open(place.url, spool_dir=tmp_path / "spool", connections=6)
        assert connection.execute(select(ServerTime())).scalar()
    later = used(former)
    for closed in (rested, second, in_use, later):
        with pytest.raises(Exception, match=r"closed|\(0, ''\)"):
            closed.cursor().execute("SELECT 1")
    assert used(store).cursor().execute("SELECT 1")
    assert Store.open(place.url, spool_dir=tmp_path / "spool", connections=6) is store
    store.close()


def test_a_sqlite_store_is_its_owners_alone(tmp_path):
    """The folder is made; neither the file nor its journal can be read by others."""
    store = Store.open(f"sqlite:///{tmp_path}/deep/down/sms.db", spool_dir=tmp_path)
    store.prove_writable()
    folder = tmp_path / "deep" / "down"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    store.close()


def test_a_sqlite_store_behind_a_link_is_its_owners_alone(tmp_path):
    """Also where the link came first."""
    link, target = tmp_path / "sms.db", tmp_path / "disk" / "real.db"
    link.symlink_to(target)
    store = Store.open(f"sqlite:///{link}", spool_dir=tmp_path)
    store.prove_writable()
    assert {stat.S_IMODE(file.stat().st_mode) for file in target.parent.iterdir()} == {0o600}
    store.close()


def test_a_sqlite_store_survives_a_power_cut(tmp_path):
    """WAL with synchronous=FULL: what was committed is on disk."""
    store = Store.open(f"sqlite:///{tmp_path}/sms.db", spool_dir=tmp_path)
    with store.reading() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30000}
    store.close()


def test_sqlite_sweeps_in_little_memory(tmp_path):
    """Its sorts take what its cache may; the next to use the connection has all of the cache again."""
    store = Store.open(f"sqlite:///{tmp_path}/sms.db", spool_dir=tmp_path, connections=1)
    sizes = []
    for connected in (
        store.sweeping,
        store.sweeping,
        store.reading,
        store.begin,
        store.sweeping,
        store.begin,
    ):
        with connected() as connection:
            store.clock(connection)
            sizes.append(-connection.exec_driver_sql("PRAGMA cache_size").scalar_one())
    assert sizes == [16_384, 16_384, 65_536, 65_536, 16_384, 65_536]
    store.close()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "oracle://host/db", "no address"])
def test_what_cannot_be_a_store_is_refused(url, tmp_path):
    with pytest.raises(PreflightError, match="SMS store"):
        Store.open(url, spool_dir=tmp_path)


def test_a_server_that_is_away_is_told_without_its_address(tmp_path):
    url = "postgresql+psycopg://somebody:canary-password@127.0.0.1:1/secretdb"
    with pytest.raises(StoreUnavailable) as caught:
        Store.open(url, spool_dir=tmp_path)
    told = "".join(traceback.format_exception(caught.value))
    assert not any(word in told.replace(__file__, "") for word in ("canary-password@", "secretdb?", "port 1"))
    assert "canary-password" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_refused_statement_tells_no_values(store):
    """Drivers quote values and parameters in their errors; ours have neither, nor a context that has."""
    row = {"page_id": CANARY, "seq": 1}
    with pytest.raises(StoreUnavailable) as caught, store.begin() as connection:
        connection.execute(text("INSERT INTO sms_reports (page_id, seq) VALUES (:page_id, :seq)"), row)
    assert CANARY not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_an_error_in_the_block_rolls_back(store):
    def write_and_fail():
        with store.begin() as connection:
            connection.execute(schema.leases.insert(), {"conn_id": "c", "queue": "q"})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    with store.reading() as connection:
        assert connection.execute(schema.leases.select()).all() == []


def test_proving_finds_a_read_only_store(tmp_path):
    """A store that cannot be written is found before anything is read from a vendor."""
    path = tmp_path / "sms.db"
    Store.open(f"sqlite:///{path}", spool_dir=tmp_path).close()
    store = Store.open(f"sqlite:///file:{path}?mode=ro&uri=true", spool_dir=tmp_path)
    with pytest.raises(StoreUnavailable, match="readonly"):
        store.prove_writable()
    store.close()


def test_proving_finds_a_full_store(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path}/sms.db", spool_dir=tmp_path)
    rows = [{"name": f"x{number}", "value": "y" * 250} for number in range(500)]
    with store.engine.connect() as connection:
        # The least that SQLite takes is what it has; it holds for this connection, which is pooled.
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
    with pytest.raises(StoreUnavailable, match="full"), store.begin() as connection:
        connection.execute(schema.meta.insert(), rows)
    store.close()


def test_the_clock_is_the_servers_and_utc(store):
    moment = store.now()
    assert moment.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - moment) < timedelta(minutes=5)


def test_a_store_of_a_newer_package_is_refused(place, tmp_path):
    """Its tables may mean something else; nothing is touched."""
    store = Store.open(place.url, spool_dir=tmp_path)
    with store.begin() as connection:
        connection.execute(
            schema.meta.update().where(schema.meta.c.name == migrations.VERSION), {"value": "99"}
        )
    store.close()
    with pytest.raises(StoreUnavailable, match=r"version 99.*upgrade airflow-provider-sms"):
        Store.open(place.url, spool_dir=tmp_path)


def test_migrations_run_in_order_and_once(place, tmp_path):
    store = Store.open(place.url, spool_dir=tmp_path)
    ran = []
    last = STEPS[-1].version
    steps = [
        *STEPS,
        *(Step(number, lambda _, number=number: ran.append(number)) for number in (last + 1, last + 2)),
    ]
    bring_up(store.engine, steps[:-1])
    bring_up(store.engine, steps)
    bring_up(store.engine, steps)
    assert ran == [last + 1, last + 2]
    with store.reading() as connection:
        assert migrations._version(connection) == last + 2
    store.close()


def test_a_creation_that_was_cut_off_is_taken_up_again(place, tmp_path):
    """MySQL commits each CREATE on its own; what is missing is made the next time."""
    store = Store.open(place.url, spool_dir=tmp_path)
    with store.begin() as connection:
        connection.exec_driver_sql("DROP VIEW sms_message_status")
        schema.replies.drop(connection)
        connection.execute(schema.meta.delete().where(schema.meta.c.name == migrations.VERSION))
    store.close()
    store = Store.open(place.url, spool_dir=tmp_path)
    with store.reading() as connection:
        assert inspect(connection).has_table("sms_replies")
        assert connection.exec_driver_sql("SELECT count(*) FROM sms_message_status").scalar() == 0
    store.prove_writable()
    store.close()


@pytest.mark.parametrize(
    "extra", [{"charset": "utf8"}, {"charset": "latin1", "collation": "latin1_swedish_ci"}], ids=str
)
def test_mysql_keeps_every_character_whatever_the_connection_says(new_place, tmp_path, extra):
    """The charset that Airflow's own hook is told is not the store's."""
    given = extra | {"init_command": "SET NAMES latin1"}
    store = Store.open(new_place("mysql", tmp_path).url, spool_dir=tmp_path, connect_args=given)
    with store.begin() as connection:
        connection.execute(schema.meta.insert(), {"name": "text", "value": "好的 😀𠮷"})
    with store.reading() as connection:
        found = select(schema.meta.c.value).where(schema.meta.c.name == "text")
        assert connection.scalar(found) == "好的 😀𠮷"
    store.close()


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "EUC_CN"])
def test_a_postgresql_database_without_all_characters_is_refused(new_place, tmp_path, encoding):
    """Before a queue is read; the error says what to do."""
    place = new_place("postgresql", tmp_path)
    server = create_engine(place.url.set(query={}), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        options = f"ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
        connection.exec_driver_sql(f"CREATE DATABASE {place.name} {options}")
        try:
            url = place.url.set(database=place.name, query={})
            with pytest.raises(PreflightError, match=rf"encoding {encoding}.*ENCODING 'UTF8'"):
                Store.open(url, spool_dir=tmp_path)
        finally:
            connection.exec_driver_sql(f"DROP DATABASE {place.name} WITH (FORCE)")
    server.dispose()


def test_postgresql_is_spoken_to_in_utf8_whatever_the_connection_says(new_place, tmp_path):
    given = {"client_encoding": "LATIN1"}
    store = Store.open(new_place("postgresql", tmp_path).url, spool_dir=tmp_path, connect_args=given)
    with store.reading() as connection:
        assert connection.exec_driver_sql("SELECT '好的 😀𠮷'").scalar() == "好的 😀𠮷"
    store.close()


def test_a_writer_waits_for_the_other_instead_of_failing(tmp_path):
    """A transaction that reads before it writes holds SQLite's lock from its start."""
    store = Store.open(f"sqlite:///{tmp_path}/sms.db", spool_dir=tmp_path)
    other = sqlite3.connect(tmp_path / "sms.db", timeout=0)
    with store.begin() as connection:
        connection.exec_driver_sql("SELECT 1 FROM sms_meta")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
    with store.reading() as connection:
        connection.exec_driver_sql("SELECT 1 FROM sms_meta")
        other.execute("BEGIN IMMEDIATE")
        other.rollback()
    other.close()
    store.close()
