"""
What tests of more than one room share: an Airflow of their own, a sandbox, a store, and connections.

The environment is set while this file is read, before anything imports Airflow.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import shutil
import signal
import tempfile
import uuid
import warnings
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_sms.sandbox import Sandbox

VENDORS = ("beidoutong", "wavecom", "linkws", "smsadmin")


def _give_airflow_a_home() -> None:
    """Make an Airflow home of this process (each xdist worker is one), and forget all other settings."""
    for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
        del os.environ[name]
    home = Path(tempfile.mkdtemp(prefix="sms-airflow-"))
    (home / "dags").mkdir()
    os.environ |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__UNIT_TEST_MODE": "True",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
    }
    owner = os.getpid()

    def forget() -> None:
        # A forked child ends by the same handlers, and the home is not his.
        if os.getpid() == owner:
            shutil.rmtree(home, ignore_errors=True)

    atexit.register(forget)


_give_airflow_a_home()


@pytest.fixture
def sandbox():
    """Serve all four vendors; reports come at once, balances may be asked for at any pace."""
    with Sandbox(linkws_balance_interval=0) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """Make a SQLite store without a row, to be copied: making its tables takes longer than most tests."""
    from airflow_provider_sms.store.engine import Store

    folder = tmp_path_factory.mktemp("empty")
    Store.open(f"sqlite:///{folder}/sms.db", spool_dir=folder / "spool").close()
    return folder / "sms.db"


@pytest.fixture
def store(tmp_path, empty_store):
    """Open a real SQLite store with a spool of its own."""
    from airflow_provider_sms.store.engine import Store

    shutil.copy(empty_store, tmp_path / "sms.db")
    store = Store.open(f"sqlite:///{tmp_path}/sms.db", spool_dir=tmp_path / "spool")
    yield store
    store.close()


def account_at(connection: dict[str, Any], conn_id: str):
    """Check the fields of a connection as a hook does; give its vendor and its account."""
    from airflow_provider_sms.vendors.accounts import check_account
    from airflow_provider_sms.vendors.registry import vendor_of_type

    vendor = vendor_of_type(connection["conn_type"], conn_id)
    fields = {name: connection[name] for name in ("host", "port", "schema", "login", "password", "extra")}
    return vendor, check_account(vendor, conn_id, **fields)


@pytest.fixture
def gateway_of(sandbox):
    """Make gateways to the sandbox: ``gateway_of("wavecom", timeout=2)``, ``port=...`` for elsewhere."""
    from airflow_provider_sms.gateway import Gateway

    with contextlib.ExitStack() as opened:

        def make(vendor: str, *, conn_id: str = "", gateway: Sandbox | None = None, **extra: Any):
            fields = {name: extra.pop(name) for name in ("port", "password", "login") if name in extra}
            connection = (gateway or sandbox).connection(vendor, **extra) | fields
            return opened.enter_context(Gateway(*account_at(connection, conn_id or f"sms_{vendor}")))

        yield make


@pytest.fixture
def store_connection(monkeypatch, tmp_path, store):
    """Make the store fixture's database the connection ``sms_store``, with its spool."""
    address = {"conn_type": "sqlite", "host": str(tmp_path / "sms.db")}
    monkeypatch.setenv("AIRFLOW_CONN_SMS_STORE", json.dumps(address))
    monkeypatch.setenv("AIRFLOW__SMS__SPOOL_DIR", str(tmp_path / "spool"))
    return store


@pytest.fixture
def connections(monkeypatch, sandbox, store_connection):
    """
    Declare Airflow connections to the sandbox: ``connections("wavecom", timeout=2)`` gives the conn id.

    Fields of the connection itself (``port``, ``password``, ...) go by ``fields``.
    """
    del store_connection

    def declare(vendor: str, conn_id: str = "", fields: dict[str, Any] | None = None, **extra: Any) -> str:
        conn_id = conn_id or f"sms_{vendor}"
        connection = sandbox.connection(vendor, **extra) | (fields or {})
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))
        return conn_id

    return declare


@pytest.fixture
def rows(store):
    """Ask the store: ``rows("SELECT state FROM sms_pages")`` gives tuples, or values of a single column."""

    def ask(sql: str, **values: Any):
        from sqlalchemy import text

        with store.reading() as connection:
            found = [tuple(row) for row in connection.execute(text(sql), values)]
        return [row[0] for row in found] if found and len(found[0]) == 1 else found

    return ask


@pytest.fixture
def told(capfd, caplog):
    """Give what was logged or printed until now, by whichever library, at any level."""
    caplog.set_level(logging.DEBUG)
    return lambda: "".join(capfd.readouterr()) + caplog.text


@pytest.fixture
def programs_hear_ctrl_c():
    """Have started programs hear SIGINT, also where this one was told not to (``nohup``, a shell's ``&``)."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def numbers():
    """Make up so many mainland numbers, each once."""

    def make(count: int, first: int = 13_800_000_000) -> list[str]:
        return [str(first + each) for each in range(count)]

    return make


class DagRun:
    """
    What became of a DAG.

    :param state: of the run.
    :param states: of its tasks, by task id (and map index).
    :param xcoms: what its tasks returned, likewise.
    :param rendered: their rendered fields as Airflow's database has them, likewise.
    :param events: extras of the asset events, by address.
    """

    def __init__(self, ended: Any) -> None:
        from airflow.models.asset import AssetEvent
        from airflow.models.renderedtifields import RenderedTaskInstanceFields
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            self.state = str(ended.state)
            instances = ended.get_task_instances(session=session)
            self.states = {_name(each): str(each.state) for each in instances}
            self.tries = {_name(each): each.try_number for each in instances}
            mine = {"dag_id": ended.dag_id, "run_id": ended.run_id}
            xcoms = session.scalars(select(XComModel).filter_by(key="return_value", **mine))
            self.xcoms = {_name(each): XComModel.deserialize_value(each) for each in xcoms}
            fields = session.scalars(select(RenderedTaskInstanceFields).filter_by(**mine))
            self.rendered = {_name(each): each.rendered_fields for each in fields}
            events = session.scalars(
                select(AssetEvent).filter_by(source_dag_id=ended.dag_id, source_run_id=ended.run_id)
            )
            self.events = [(each.asset.uri, each.extra) for each in events]


def _name(row: Any) -> Any:
    return row.task_id if row.map_index < 0 else (row.task_id, row.map_index)


@pytest.fixture(scope="session")
def airflow_database():
    """Make this process's metadata database."""
    from airflow.utils.db import initdb

    with warnings.catch_warnings():
        # What serves the running tasks warns about its own test client; to import it here once is enough.
        warnings.simplefilter("ignore")
        import airflow.api_fastapi.execution_api.app  # noqa: F401
    initdb()


@pytest.fixture
def run_dag(airflow_database, store_connection):
    """
    Run tasks in a real Airflow.

    ``run_dag(lambda: SmsSendOperator(...))`` makes a DAG of them, runs it and gives a :class:`DagRun`.
    """
    from airflow.dag_processing.collection import update_dag_parsing_results_in_db
    from airflow.models.dagbundle import DagBundleModel
    from airflow.sdk import DAG
    from airflow.serialization.serialized_objects import LazyDeserializedDAG
    from airflow.utils.session import create_session

    del airflow_database, store_connection

    def run(build: Any, *, dag_id: str = "", **options: Any) -> DagRun:
        with DAG(dag_id or f"test_{uuid.uuid4().hex[:12]}", schedule=None, **options) as dag:
            build()
        with create_session() as session:
            session.merge(DagBundleModel(name="tests"))
            session.commit()
            update_dag_parsing_results_in_db(
                "tests", None, [LazyDeserializedDAG.from_dag(dag)], {}, None, set(), session
            )
            session.commit()
        return DagRun(dag.test())

    return run
