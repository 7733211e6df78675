"""Scripts and notebooks: a connection that Airflow looks up for its tasks is found there as well."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from sqlalchemy import delete
from sqlalchemy.exc import ProgrammingError

from airflow_provider_sms import errors
from airflow_provider_sms.hooks import known_stores, outside
from airflow_provider_sms.hooks.missing import failed_source
from airflow_provider_sms.hooks.sms import SmsHook
from airflow_provider_sms.hooks.store import open_store


@pytest.fixture
def script(monkeypatch, tmp_path, airflow_database):
    """Be a script next to Airflow's database; give the file that is the store by default."""
    from airflow.sdk.execution_time import task_runner

    del airflow_database
    monkeypatch.delattr(task_runner, "SUPERVISOR_COMMS", raising=False)
    for name in ("_AIRFLOW_PROCESS_CONTEXT", "AIRFLOW_CONN_SMS_STORE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(known_stores, "_opened", {})
    monkeypatch.setattr(outside, "_told", set())
    return tmp_path / "home" / "sms" / "sms.db"


@pytest.fixture
def add_connection(script):
    """Do as ``airflow connections add`` does."""
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session

    del script
    added = []

    def add(conn_id: str, **fields: object):
        added.append(conn_id)
        with create_session() as session:
            session.add(Connection(conn_id=conn_id, **fields))

    yield add
    with create_session() as session:
        session.execute(delete(Connection).where(Connection.conn_id.in_(added)))


def test_a_script_opens_the_store_that_its_dags_have(script, add_connection, tmp_path):
    """And not an empty one of its own."""
    add_connection("sms_store", conn_type="sqlite", host=str(tmp_path / "theirs.db"))
    store = open_store()
    assert Path(store.engine.url.database) == tmp_path / "theirs.db"
    assert not script.exists()
    store.close()


@pytest.mark.usefixtures("script")
def test_a_script_has_the_accounts_that_its_dags_have(sandbox, add_connection):
    fields = sandbox.connection("wavecom")
    add_connection("sms_of_dags", **fields | {"extra": json.dumps(fields["extra"])})
    assert SmsHook.for_connection("sms_of_dags").balance().unit == "messages"
    with pytest.raises(errors.PreflightError, match="no such connection"):
        SmsHook.for_connection("sms_of_nobody")


def test_without_any_connection_a_script_says_once_which_store_it_has(script, caplog):
    """It goes on with it."""
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            open_store().close()
    told = [record for record in caplog.records if str(script) in record.message]
    assert [record.levelname for record in told] == ["INFO"]
    assert script.exists()


def test_a_home_without_airflow_is_told_to_a_script(script, caplog, monkeypatch):
    """For it may be the wrong one."""
    monkeypatch.setattr(outside.MetadataDatabase, "is_set_up", staticmethod(lambda: False))
    open_store().close()
    (told,) = [record for record in caplog.records if str(script) in record.message]
    assert told.levelname == "WARNING"
    assert "set AIRFLOW_HOME as they have it, or AIRFLOW_CONN_SMS_STORE" in told.message


def test_a_script_that_may_not_ask_opens_no_other_store(script, monkeypatch):
    """It is told how to name the right one."""

    def away(*_: object, **__: object):
        raise ConnectionError("db.example.com does not answer")

    monkeypatch.setattr(outside.MetadataDatabase, "is_set_up", away)
    with pytest.raises(errors.StoreUnavailable, match=r"\(MetadataDatabase: ConnectionError\)") as caught:
        open_store()
    assert "the variable AIRFLOW_CONN_SMS_STORE" in str(caught.value)
    assert "db.example.com" not in str(caught.value)
    with pytest.raises(errors.VendorUnreachable, match="set AIRFLOW_CONN_SMS_MAIN"):
        SmsHook.for_connection("sms_main")
    assert not script.exists()


def test_a_file_of_sqlite_that_is_not_there_is_not_made(script, monkeypatch, tmp_path):
    from airflow import settings
    from sqlalchemy import create_engine
    from sqlalchemy.orm import sessionmaker

    del script
    path = tmp_path / "airflow.db"
    engine = create_engine(f"sqlite:///{path}")
    monkeypatch.setattr(settings, "Session", sessionmaker(engine))
    assert outside.find_connection("sms_store") is None
    assert failed_source("sms_store") == ""
    assert not path.exists()
    # Nor is one without tables asked for any.
    path.touch()
    assert not outside.MetadataDatabase.is_set_up()
    engine.dispose()


@pytest.mark.usefixtures("script")
def test_a_command_names_the_way_to_a_database_without_tables(monkeypatch):
    """Airflow says "not found" there, too."""
    from airflow.secrets.metastore import MetastoreBackend

    def no_table(*_: object, **__: object):
        raise ProgrammingError("SELECT", None, Exception("no such table: connection"))

    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    monkeypatch.setattr(MetastoreBackend, "get_connection", no_table)
    monkeypatch.setattr(outside.MetadataDatabase, "is_set_up", staticmethod(lambda: False))
    with pytest.raises(errors.StoreUnavailable, match="has no tables yet: run 'airflow db migrate'"):
        open_store()
