"""Databases that the package does not know: tried first, refused by what they lack, told of once."""

from __future__ import annotations

import logging
from importlib.util import find_spec

import pytest
from sqlalchemy import inspect

from airflow_provider_sms.errors import PreflightError, StoreUnavailable
from airflow_provider_sms.store import trial
from airflow_provider_sms.store.engine import Store

#: Opens a store of a kind that only this script knows.
OPEN = """
import sys
from pathlib import Path
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
class Other(PGDialect_psycopg):
    name = "otherpostgresql"
    supports_statement_cache = True
registry.impls["otherpostgresql"] = lambda: Other
from airflow_provider_sms.store.engine import Store
store = Store.open(sys.argv[1], spool_dir=Path(sys.argv[2]))
store.prove_writable()
print("ok")
"""


@pytest.fixture
def empty(request, tmp_path, new_place):
    """Give an empty place of a kind."""
    return new_place(request.param, tmp_path)


@pytest.mark.parametrize("empty", ["other"], indirect=True)
def test_one_that_has_all_it_takes_is_used_with_a_warning(empty, tmp_path, caplog):
    """The trial's table is gone; opening again neither tries nor warns."""
    with caplog.at_level(logging.WARNING, "airflow_provider_sms"):
        store = Store.open(empty.url, spool_dir=tmp_path / "spool")
        assert Store.open(empty.url, spool_dir=tmp_path / "spool") is store
    assert [record.getMessage() for record in caplog.records] == [
        "SMS store: otherpostgresql is not tested by this project; PostgreSQL, MySQL, MariaDB and SQLite are"
    ]
    store.prove_writable()
    with store.reading() as connection:
        tables = inspect(connection).get_table_names()
    assert "sms_pages" in tables
    assert not [name for name in tables if "trial" in name]
    store.close()


@pytest.mark.parametrize("empty", ["other"], indirect=True)
def test_several_first_users_do_not_get_into_each_others_way(empty, tmp_path, run_many):
    """Nobody knows how to lock it, so they try again."""
    assert run_many(OPEN, empty.address, tmp_path / "spool") == ["ok"] * 4


@pytest.mark.parametrize("empty", ["mysql"], indirect=True)
def test_one_that_speaks_no_standard_sql_is_refused_by_what_it_lacks(empty, tmp_path):
    """MySQL, were it not known: whole seconds, short texts. Nothing is left behind."""
    with pytest.raises(PreflightError, match="othermysql lacks") as caught:
        Store.open(empty.url.set(drivername="othermysql"), spool_dir=tmp_path)
    told = str(caught.value)
    assert "times with microseconds" in told
    assert "a clock in UTC" in told
    assert "texts and bytes of any length" in told
    assert "transactions" not in told
    assert "savepoints" not in told
    store = Store.open(empty.url, spool_dir=tmp_path)
    with store.reading() as connection:
        assert not [name for name in inspect(connection).get_table_names() if "trial" in name]
    store.close()


@pytest.mark.parametrize("empty", ["other"], indirect=True)
@pytest.mark.parametrize("lacking", trial._CHECKS)
def test_whatever_is_missing_refuses_it(empty, tmp_path, monkeypatch, lacking):
    """By name; and the tables are not even made."""
    monkeypatch.setitem(trial._CHECKS, lacking, lambda _engine, _table: False)
    with pytest.raises(PreflightError) as caught:
        Store.open(empty.url, spool_dir=tmp_path)
    assert f"otherpostgresql lacks {lacking}" in str(caught.value)


def test_duckdb_is_refused(tmp_path):
    """It has no savepoints, and one process at a time may open a file."""
    if find_spec("duckdb_engine") is None:
        pytest.skip("no duckdb_engine: pip install duckdb-engine")
    with pytest.raises(PreflightError, match="duckdb lacks"):
        Store.open(f"duckdb:///{tmp_path}/sms.duckdb", spool_dir=tmp_path)


def test_one_that_is_away_is_away_and_not_refused(tmp_path):
    """So that Airflow tries again."""
    with pytest.raises(StoreUnavailable):
        Store.open("otherpostgresql://somebody@127.0.0.1:1/nowhere", spool_dir=tmp_path)
