"""A store's connection that cannot be looked up: another store is never taken for it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from airflow_provider_sms import errors
from airflow_provider_sms.hooks import known_stores
from airflow_provider_sms.hooks.missing import failed_source
from airflow_provider_sms.hooks.sms import SmsHook
from airflow_provider_sms.hooks.store import open_connection, open_store

VARIABLE = "AIRFLOW_CONN_SMS_STORE"


@pytest.fixture
def home(monkeypatch, tmp_path):
    """Give Airflow a home in which nothing was ever opened."""
    home = tmp_path / "home"
    monkeypatch.setenv("AIRFLOW_HOME", str(home))
    monkeypatch.delenv(VARIABLE, raising=False)
    return home


def opened_by_airflow(store, conn_id=None):
    """Open a store as by a connection in Airflow's database, which afterwards is not found."""
    from airflow.sdk import Connection

    return open_connection(
        Connection(conn_id=conn_id or "sms_store", conn_type="sqlite", host=store.engine.url.database),
        conn_id,
    )


@pytest.fixture
def used(home, store):
    """Use ``sms_store`` once, and then have it not found, as in an outage of Airflow's database."""
    opened = opened_by_airflow(store)
    yield home / "sms" / "spool" / "known_stores" / "sms_store"
    opened.close()


@pytest.fixture
def another_process(used, monkeypatch):
    """Forget what this process has opened: only the mark is left."""
    del used
    monkeypatch.setattr(known_stores, "_opened", {})


def asked(monkeypatch, answer):
    """Let the parent process of a task answer so."""
    from airflow.sdk.execution_time import task_runner

    class Parent:
        @staticmethod
        def send(_: object) -> object:
            if isinstance(answer, Exception):
                raise answer
            return answer

    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Parent, raising=False)


def error_of_kind(kind):
    from airflow.sdk.exceptions import ErrorType
    from airflow.sdk.execution_time.comms import ErrorResponse

    return ErrorResponse(error=ErrorType[kind])


def test_a_process_keeps_the_store_it_knows(used, home, store):
    """An outage of Airflow's database is none of the store's."""
    del used
    assert open_store().engine.url.database == store.engine.url.database
    assert open_store("sms_store") is open_store()
    assert not (home / "sms" / "sms.db").exists()


@pytest.mark.usefixtures("another_process")
@pytest.mark.parametrize("conn_id", [None, "sms_store"])
def test_a_later_process_waits_for_the_store_that_was_used(used, home, conn_id):
    """It may try again, is told how to undo it, and makes no other store."""
    with pytest.raises(errors.StoreUnavailable, match=r"used here before.*removed on purpose") as caught:
        open_store(conn_id)
    assert str(caught.value).endswith(f"delete {used}")
    assert not caught.value.terminal
    assert not (home / "sms" / "sms.db").exists()


def test_a_named_store_that_was_used_may_be_tried_again(home, store):
    """A trigger's deferred sensors do not fail for good because a look-up did."""
    opened = opened_by_airflow(store, "archive_2025")
    known_stores._opened.clear()
    with pytest.raises(errors.StoreUnavailable, match=r"archive_2025.*used here before"):
        open_store("archive_2025")
    assert (home / "sms" / "spool" / "known_stores" / "archive_2025").read_text() == "archive_2025\n"
    opened.close()


@pytest.mark.usefixtures("another_process")
def test_a_connection_that_was_removed_on_purpose_is_forgotten_by_its_mark(used, home):
    """After that the store is SQLite again; the mark holds the connection's id and nothing else."""
    assert used.read_text() == "sms_store\n"
    assert used.stat().st_mode & 0o777 == 0o600
    used.unlink()
    store = open_store()
    assert Path(store.engine.url.database) == home / "sms" / "sms.db"
    assert not used.exists()
    store.close()


@pytest.mark.usefixtures("another_process")
def test_the_mark_is_on_the_spools_disk(monkeypatch, tmp_path, home, store):
    """A pod's home goes with the pod; its spool is on a volume."""
    monkeypatch.setenv("AIRFLOW__SMS__SPOOL_DIR", str(tmp_path / "volume"))
    opened_by_airflow(store).close()
    known_stores._opened.clear()
    monkeypatch.setenv("AIRFLOW_HOME", str(home / "of-another-pod"))
    with pytest.raises(errors.StoreUnavailable, match="volume/known_stores/sms_store"):
        open_store()


def test_a_folder_that_takes_no_mark_is_told_once(home, store, caplog):
    """The store is opened all the same."""
    home.write_text("no folder")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            opened = opened_by_airflow(store)
            assert opened.engine.url.database == store.engine.url.database
    assert caplog.text.count("cannot be marked as used") == 1
    opened.close()


def test_what_a_variable_says_is_not_remembered(home, monkeypatch, store):
    """It cannot be away for a minute; whoever takes it away has another store at once."""
    monkeypatch.setenv(VARIABLE, f"sqlite:///{store.engine.url.database}")
    assert open_store().engine.url.database == store.engine.url.database
    monkeypatch.delenv(VARIABLE)
    other = open_store()
    assert Path(other.engine.url.database) == home / "sms" / "sms.db"
    other.close()


# --- a look-up that failed ---------------------------------------------------------------------------


def test_a_metadata_database_that_is_away_is_told_from_a_missing_connection(home, monkeypatch):
    """As the API server and the receiver see it; before any store was ever opened."""
    from airflow.secrets.metastore import MetastoreBackend

    def away(*_: object, **__: object):
        raise ConnectionError("db.example.com does not answer")

    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    monkeypatch.setattr(MetastoreBackend, "get_connection", away)
    with pytest.raises(errors.StoreUnavailable, match=r"MetastoreBackend: ConnectionError") as caught:
        open_store()
    assert "db.example.com" not in str(caught.value)
    assert not (home / "sms" / "sms.db").exists()


@pytest.mark.parametrize("kind", ["API_SERVER_ERROR", "GENERIC_ERROR"])
@pytest.mark.parametrize("raised", [False, True])
def test_an_api_server_that_is_away_is_told_from_a_missing_connection(home, monkeypatch, kind, raised):
    """As a task sees it: Airflow itself makes "not found" of both."""
    from airflow.sdk.exceptions import AirflowRuntimeError

    answer = error_of_kind(kind)
    asked(monkeypatch, AirflowRuntimeError(answer) if raised else answer)
    with pytest.raises(errors.StoreUnavailable, match=f"ExecutionAPISecretsBackend: {kind}"):
        open_store()
    assert not (home / "sms" / "sms.db").exists()


@pytest.mark.usefixtures("home")
def test_an_account_that_cannot_be_looked_up_is_tried_again(monkeypatch):
    """A task does not fail for good because Airflow's database was away for a minute."""
    asked(monkeypatch, error_of_kind("API_SERVER_ERROR"))
    with pytest.raises(errors.VendorUnreachable, match="cannot be looked up") as caught:
        SmsHook.for_connection("sms_somewhere")
    assert not caught.value.terminal
    asked(monkeypatch, error_of_kind("CONNECTION_NOT_FOUND"))
    with pytest.raises(errors.PreflightError, match="no such connection"):
        SmsHook.for_connection("sms_somewhere")


@pytest.mark.usefixtures("home")
def test_a_missing_connection_is_missing(monkeypatch):
    """What every source agrees on is believed."""
    asked(monkeypatch, error_of_kind("CONNECTION_NOT_FOUND"))
    assert failed_source("sms_store") == ""
    open_store().close()


@pytest.mark.usefixtures("home")
def test_a_variable_that_cannot_be_read_is_no_missing_connection(monkeypatch):
    """Airflow passes over a mistyped one in silence."""
    monkeypatch.setenv(VARIABLE, "{not json")
    with pytest.raises(errors.StoreUnavailable, match="EnvironmentVariablesBackend"):
        open_store()


@pytest.mark.usefixtures("home")
def test_with_workers_on_several_machines_only_a_missing_connection_is_final(monkeypatch):
    """A look-up that failed is tried again; a store that nobody set up is not."""
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    asked(monkeypatch, error_of_kind("API_SERVER_ERROR"))
    with pytest.raises(errors.StoreUnavailable):
        open_store()
    asked(monkeypatch, error_of_kind("CONNECTION_NOT_FOUND"))
    with pytest.raises(errors.PreflightError, match="must be PostgreSQL or MySQL/MariaDB"):
        open_store()
