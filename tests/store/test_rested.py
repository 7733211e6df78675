"""Connections that were lost while they rested are replaced before anybody uses them."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine

from airflow_provider_sms.errors import StoreUnavailable

_WHO_AM_I = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT connection_id()"}
_END = {"postgresql": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}


def _server(store) -> str:
    return store.dialect.removeprefix("other")


@pytest.fixture
def end_connection(store):
    """End the server's side of the connection that the store rests on; gives its number."""
    if store.dialect == "sqlite":
        pytest.skip("SQLite has no server that could give a connection up")

    def end() -> int:
        with store.reading() as connection:
            number = int(connection.exec_driver_sql(_WHO_AM_I[_server(store)]).scalar_one())
        other = create_engine(store.engine.url, isolation_level="AUTOCOMMIT")
        with other.connect() as connection:
            connection.exec_driver_sql(_END[_server(store)].format(number))
        other.dispose()
        return number

    return end


def test_after_a_rest_nobody_notices(store, end_connection, monkeypatch):
    """A sensor pokes once a minute; firewalls forget faster than that."""
    monkeypatch.setattr("airflow_provider_sms.store.rested._RESTED", 0.0)
    ended = end_connection()
    with store.begin() as connection:
        assert connection.exec_driver_sql(_WHO_AM_I[_server(store)]).scalar_one() != ended


def test_in_the_midst_of_work_it_is_an_error_once(store, end_connection, monkeypatch):
    """Of which Airflow's retry knows what to make; the next transaction has a new connection."""
    monkeypatch.setattr("airflow_provider_sms.store.rested._RESTED", 60.0)
    ended = end_connection()
    with pytest.raises(StoreUnavailable), store.begin() as connection:
        connection.exec_driver_sql(_WHO_AM_I[_server(store)])
    with store.begin() as connection:
        assert connection.exec_driver_sql(_WHO_AM_I[_server(store)]).scalar_one() != ended
