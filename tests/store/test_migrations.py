"""Stores of every release are brought up to date in place, whoever comes first and whatever is killed."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import MetaData, create_engine, inspect, select, text

from airflow_provider_sms.errors import StoreUnavailable
from airflow_provider_sms.records import BatchState
from airflow_provider_sms.store import migrations, schema
from airflow_provider_sms.store.engine import Store
from airflow_provider_sms.store.landing import Landing
from airflow_provider_sms.store.ledger import Ledger
from airflow_provider_sms.store.plans import PlannedBatch, PlannedSend
from airflow_provider_sms.store.steps import STEPS
from airflow_provider_sms.store.template_id import template_id

SCHEMAS = Path(__file__).with_name("schemas")
RELEASES = sorted({file.name.rsplit(".", 2)[0] for file in SCHEMAS.glob("*.sql")})
ROOT = Path(__file__).parents[2]


def dump_of(release, dialect):
    return SCHEMAS / f"{release}.{dialect}.sql"


def restore(address, dump):
    """Make a store as a release left it, without a line of this package."""
    engine = create_engine(address)
    connection = engine.raw_connection()
    cursor = connection.cursor()
    statements = dump.read_text(encoding="utf-8").rstrip().removesuffix(";").split(";\n\n")
    for statement in statements:
        cursor.execute(statement.partition("\n\n")[2] if statement.startswith("--") else statement)
    connection.commit()
    connection.close()
    engine.dispose()


def shape(engine):
    """Everything that a schema consists of, without the order of columns."""
    with engine.connect() as connection:
        seen = inspect(connection)
        shapes = {}
        for name in [*seen.get_table_names(), *seen.get_view_names()]:
            columns = {
                column["name"]: (str(column["type"]), column["nullable"]) for column in seen.get_columns(name)
            }
            indexes = {
                index["name"]: (tuple(index["column_names"]), bool(index["unique"]))
                for index in seen.get_indexes(name)
            }
            keys = tuple(seen.get_pk_constraint(name)["constrained_columns"])
            unique = {tuple(each["column_names"]) for each in seen.get_unique_constraints(name)}
            shapes[name] = (columns, indexes, keys, unique)
        views = {name: _unnamed(seen.get_view_definition(name)) for name in seen.get_view_names()}
    return shapes, views


def _unnamed(definition):
    # MySQL and PostgreSQL write the database's own name into a view.
    return re.sub(r"sms_test_[0-9a-f]+", "this_place", definition)


@pytest.fixture(params=RELEASES)
def release(request):
    return request.param


@pytest.fixture
def old(place, release):
    """Give a place with the store of a release in it."""
    restore(place.address, dump_of(release, place.dialect))
    return place


def opened(place, tmp_path):
    return Store.open(place.url, spool_dir=tmp_path / "spool")


def test_an_old_store_gets_the_shape_of_a_new_one(old, shared_stores, tmp_path):
    """Columns, types, keys, indexes and views; a change of the schema without a step fails here."""
    fresh = shape(shared_stores(old.dialect).engine)
    store = opened(old, tmp_path)
    assert shape(store.engine) == fresh
    with store.reading() as connection:
        assert migrations._version(connection) == STEPS[-1].version
    store.close()


def test_the_rows_stay(old, tmp_path):
    """Each row of the dump, in each of its columns."""
    engine = create_engine(old.address)
    tables = MetaData()
    tables.reflect(engine)

    def rows():
        # The columns that the old store had.
        with engine.connect() as connection:
            return {
                table.name: sorted(map(repr, connection.execute(select(table))))
                for table in tables.sorted_tables
                if table.name != schema.meta.name
            }

    before = rows()
    opened(old, tmp_path).close()
    assert rows() == before
    assert sum(map(len, before.values())) > 20
    engine.dispose()


def test_balances_were_checks_before_answers_told_any(old, tmp_path):
    """And so are those that an older version goes on to write meanwhile."""
    store = opened(old, tmp_path)
    with store.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO sms_balances (id, conn_id, vendor, checked_at, remaining, unit, pay_mode) "
            "SELECT 'later', conn_id, vendor, checked_at, remaining, unit, pay_mode FROM sms_balances"
        )
    with store.reading() as connection:
        found = connection.exec_driver_sql("SELECT source FROM sms_balances")
        assert [tuple(row) for row in found] == [("check",), ("check",)]
    store.close()


def test_the_flows_go_on_where_they_stood(old, tmp_path, make_report):
    """What was planned is submitted, what was unknown is settled, what was landed shows."""
    store = opened(old, tmp_path)
    ledger = Ledger(store)
    with store.reading() as connection:
        told = connection.exec_driver_sql(
            "SELECT delivery, template_id FROM sms_message_status WHERE send_key = 'accepted' ORDER BY seq"
        )
        assert [tuple(row) for row in told] == [("delivered", None), ("failed", None), ("pending", None)]
        page_id = connection.exec_driver_sql("SELECT page_id FROM sms_pages WHERE queue = 'reports'").scalar()
    assert ledger.claim("planned", 1, "worker", 60, "plannedref1")
    assert ledger.settle("planned", 1, BatchState.ACCEPTED, owner="worker", message_ids=["78"])
    # The page is read again by a better parser: its rows keep their places, one is new.
    reports = [make_report(f"1380000000{place}", "77") for place in (1, 2)]
    reports += [make_report("18600000003", "77"), make_report("13800000001", "78")]
    reports += [make_report("13800000002", "unknownref1")]
    Landing(store).land(page_id, "sms_main", "wavecom", "reports", reports)
    assert ledger.settle_by_reports("unknown") == [("unknown", 1)]
    send = PlannedSend("new", "sms_main", "wavecom", "e" * 64, template_id=template_id("您好{name}"))
    assert ledger.plan(send, [PlannedBatch(1, "new1", ["13900000001"], "您好王【公司】")])
    with store.reading() as connection:
        told = connection.exec_driver_sql(
            "SELECT send_key, count(*) FROM sms_message_status WHERE delivery = 'delivered' GROUP BY send_key"
        )
        assert dict(tuple(row) for row in told) == {"accepted": 3, "planned": 1, "unknown": 1}
        named = connection.exec_driver_sql("SELECT template_id FROM sms_batches WHERE send_key = 'new'")
        assert named.scalar() == template_id("您好{name}")
    store.close()


OPEN = """
import sys
from pathlib import Path
from airflow_provider_sms.store.engine import Store
store = Store.open(sys.argv[1], spool_dir=Path(sys.argv[2]))
store.prove_writable()
store.close()
"""


def test_processes_that_come_at_once_take_turns(old, shared_stores, tmp_path, run_many):
    fresh = shape(shared_stores(old.dialect).engine)
    run_many(OPEN, old.address, tmp_path / "spool")
    engine = create_engine(old.address)
    assert shape(engine) == fresh
    engine.dispose()


#: Restore the old store, migrate it in a child that is killed before its n-th statement, migrate again and
#: tell what came of it; for each n until a child comes through.
KILL = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[4])
from sqlalchemy import create_engine, event, make_url, text
import test_migrations as tests
from airflow_provider_sms.store import dialects, migrations, schema

address, dump, dialect = make_url(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]

fresh = tests.shape_of(sys.argv[5])

def empty():
    if dialect == "sqlite":
        for file in Path(address.database).parent.glob(Path(address.database).name + "*"):
            file.unlink()
        return
    engine = create_engine(address)
    with engine.begin() as connection:
        for view in ("sms_messages", "sms_message_status"):
            connection.exec_driver_sql(f"DROP VIEW IF EXISTS {view}")
        schema.metadata.drop_all(connection)
    engine.dispose()

def migrate(kill_at):
    engine = dialects.make_engine(address, {})
    seen = 0
    @event.listens_for(engine, "before_cursor_execute")
    def strike(*_):
        nonlocal seen
        seen += 1
        if seen == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
    migrations.bring_up(engine)
    return engine

for n in range(1, 200):
    empty()
    tests.restore(address, dump)
    child = os.fork()
    if child == 0:
        migrate(n)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    engine = migrate(0)
    with engine.connect() as connection:
        rows = connection.scalar(text("SELECT count(*) FROM sms_message_status WHERE delivery = 'delivered'"))
    print(n, tests.shape(engine) == fresh and rows == 1)
    engine.dispose()
    if status == 0:
        print("through")
        break
"""


def shape_of(address):
    """Give the shape of the store at an address."""
    engine = create_engine(address)
    try:
        return shape(engine)
    finally:
        engine.dispose()


def test_a_migration_that_is_killed_anywhere_is_taken_up_again(old, release, shared_stores):
    fresh = shared_stores(old.dialect).engine.url.render_as_string(hide_password=False)
    dump = str(dump_of(release, old.dialect))
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", KILL, old.address, dump, old.dialect, str(Path(__file__).parent), fresh],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *kills, last = done.stdout.split("\n")[:-1]
    assert last == "through"
    assert len(kills) > 6
    assert {line.split()[1] for line in kills} == {"True"}


#: Make the tables in a process that is killed before a statement.
CUT_OFF = """
import os, signal, sys
from sqlalchemy import event, make_url
from airflow_provider_sms.store import dialects, migrations

engine = dialects.make_engine(make_url(sys.argv[1]), {})

@event.listens_for(engine, "before_cursor_execute")
def strike(connection, cursor, statement, *_):
    if sys.argv[2] in statement:
        os.kill(os.getpid(), signal.SIGKILL)

migrations.bring_up(engine)
"""


@pytest.mark.parametrize("where", ["INDEX sms_batches_state ", "INDEX sms_recipients_mobile "])
def test_tables_whose_making_was_cut_off_get_all_their_indexes(place, where, shared_stores, tmp_path):
    """The one that keeps a number from being twice in a send is among them."""
    done = subprocess.run([sys.executable, "-c", CUT_OFF, place.address, where], timeout=60, check=False)  # noqa: S603 - our own script
    assert done.returncode == -signal.SIGKILL
    store = opened(place, tmp_path)
    assert shape(store.engine) == shape(shared_stores(place.dialect).engine)
    store.close()


def test_tables_whose_making_an_older_package_was_cut_off_at_are_made_and_brought_up_to_date(
    old, shared_stores, tmp_path
):
    engine = create_engine(old.address)
    with engine.begin() as connection:
        for made_last in (
            "DROP VIEW sms_message_status",
            "DROP VIEW sms_messages",
            "DELETE FROM sms_meta",
            "DROP TABLE sms_watches",
        ):
            connection.exec_driver_sql(made_last)
    engine.dispose()
    store = opened(old, tmp_path)
    assert shape(store.engine) == shape(shared_stores(old.dialect).engine)
    store.prove_writable()
    store.close()


@pytest.fixture
def old_postgres(new_place, release, tmp_path):
    """Give PostgreSQL with the store of a release in it, and an engine of somebody else's."""
    place = new_place("postgresql", tmp_path)
    restore(place.address, dump_of(release, "postgresql"))
    engine = create_engine(place.address, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield place, connection.exec_driver_sql
    engine.dispose()


def granted(ask, view):
    """Tell what everybody may do with a view: ``r`` is to read it."""
    (access,) = ask(f"SELECT relacl::text FROM pg_class WHERE oid = '{view}'::regclass").one()  # noqa: S608
    return re.findall(r"[{,]=(\w+)", access or "")


def test_what_others_made_of_the_views_goes_on(old_postgres, shared_stores, tmp_path):
    """A view made of ours still answers, and who might read ours still may."""
    place, ask = old_postgres
    ask("CREATE VIEW for_analysts AS SELECT send_key, delivery FROM sms_message_status")
    ask("CREATE MATERIALIZED VIEW kept AS SELECT send_key FROM sms_messages")
    ask("GRANT SELECT ON sms_messages, sms_message_status TO PUBLIC")
    opened(place, tmp_path).close()
    assert ask("SELECT count(*) FROM for_analysts WHERE delivery = 'delivered'").scalar() == 1
    assert granted(ask, "sms_messages") == granted(ask, "sms_message_status") == ["r"]
    ask("DROP MATERIALIZED VIEW kept")
    ask("DROP VIEW for_analysts")
    engine = create_engine(place.address)
    assert shape(engine) == shape(shared_stores("postgresql").engine)
    engine.dispose()


@pytest.mark.parametrize("view", ["sms_messages", "sms_message_status"])
def test_who_reads_a_view_meanwhile_is_waited_for(old_postgres, tmp_path, view):
    """A reader locks the view before its tables: a change that had locked these would be in a deadlock."""
    place, ask = old_postgres
    engine = create_engine(place.address)
    blocked = text("SELECT count(*) FROM pg_locks WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))")
    with ThreadPoolExecutor(1) as thread:
        with engine.begin() as reader:
            reader.exec_driver_sql(f"ALTER VIEW {view} RESET (check_option)")
            migrated = thread.submit(opened, place, tmp_path)
            while not migrated.done() and not reader.scalar(blocked):
                time.sleep(0.01)
            assert reader.exec_driver_sql(f"SELECT count(*) FROM {view}").scalar() == 9  # noqa: S608
        migrated.result(20).close()
    engine.dispose()
    assert ask("SELECT value FROM sms_meta WHERE name = 'schema_version'").scalar() == "2"


def test_a_view_whose_columns_are_others_is_made_anew(old_postgres, shared_stores, tmp_path):
    """It keeps its grants, and the error names whose views are in the way."""
    place, ask = old_postgres
    ask("DROP VIEW sms_message_status")
    ask("CREATE VIEW sms_message_status AS SELECT mobile, send_key, 1 AS another FROM sms_messages")
    ask("CREATE VIEW for_analysts AS SELECT another FROM sms_message_status")
    ask('CREATE VIEW "For others" AS SELECT send_key FROM sms_message_status')
    ask("GRANT SELECT ON sms_message_status TO PUBLIC")
    with pytest.raises(StoreUnavailable, match="sms_message_status has other columns") as caught:
        opened(place, tmp_path)
    assert '"For others", for_analysts were built' in str(caught.value)
    assert "psycopg" not in str(caught.value)
    assert ask("SELECT value FROM sms_meta WHERE name = 'schema_version'").scalar() == "1"
    ask("DROP VIEW for_analysts")
    ask('DROP VIEW "For others"')
    opened(place, tmp_path).close()
    assert granted(ask, "sms_message_status") == ["r"]
    engine = create_engine(place.address)
    assert shape(engine) == shape(shared_stores("postgresql").engine)
    engine.dispose()


def test_a_version_that_is_no_number_is_named(place, tmp_path):
    store = opened(place, tmp_path)
    with store.begin() as connection:
        connection.exec_driver_sql("UPDATE sms_meta SET value = 'two' WHERE name = 'schema_version'")
    store.close()
    with pytest.raises(StoreUnavailable, match="is no number: correct the row 'schema_version' of sms_meta"):
        opened(place, tmp_path)


def test_every_schema_version_but_the_last_is_frozen():
    """And in every dialect; who makes a new step freezes the release before it first."""
    frozen = set()
    for file in SCHEMAS.glob("*.sql"):
        (version,) = re.findall(r"VALUES \('schema_version', '(\d+)'\)", file.read_text(encoding="utf-8"))
        frozen.add((int(version), file.name.split(".")[-2]))
    versions = range(1, STEPS[-1].version)
    assert frozen >= {(version, name) for version in versions for name in ("sqlite", "postgresql", "mysql")}


def test_every_release_is_frozen():
    """A heading of the changelog with a date is a release."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## (\d+\.\d+\.\d+) \(\d{4}-", changelog, re.MULTILINE)
    assert set(released) <= set(RELEASES)


def test_steps_follow_one_another():
    assert [step.version for step in STEPS] == list(range(2, len(STEPS) + 2))


def test_no_table_of_the_first_release_is_gone():
    """Tables are a contract; a migration may add."""
    first = (SCHEMAS / "0.1.0.sqlite.sql").read_text(encoding="utf-8")
    assert set(re.findall(r"CREATE TABLE (\w+)", first)) <= set(schema.metadata.tables)
