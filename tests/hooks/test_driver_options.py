"""Extras of a store's connection: what Airflow's own hooks keep there, and what the driver does not take."""

from __future__ import annotations

import json
import os
import secrets
from contextlib import ExitStack
from typing import Any

import pytest
from sqlalchemy import create_engine, exc, make_url

from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.hooks.driver_options import driver_options
from airflow_provider_sms.hooks.store import open_store

ADDRESSES = {
    "postgres": os.environ.get("SMS_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/test"),
    "mysql": os.environ.get("SMS_TEST_MYSQL", "mysql+pymysql://root@127.0.0.1:3306/test"),
}
OF_AIRFLOWS_HOOKS = {
    "postgres": {"cursor": "dictcursor", "enable_log_db_messages": True, "iam": False, "redshift": False}
    | {"cluster-identifier": "a", "aws_conn_id": "aws_default", "sqlalchemy_scheme": "postgresql+psycopg"}
    | {"sqlalchemy_query": {"application_name": "sms"}, "sslmode": "prefer", "keepalives_idle": 30},
    "mysql": {"client": "mysqlclient", "cursor": "SSCursor", "charset": "utf8", "iam": False, "ssl": "{}"}
    | {"aws_conn_id": "aws_default", "local_infile": True, "unix_socket": None, "connect_timeout": "5"}
    | {"ssl_mode": "PREFERRED"},
}


def _run(kind: str, statement: str) -> None:
    engine = create_engine(ADDRESSES[kind], isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
    except exc.OperationalError:
        pytest.skip(f"no {kind} server: set SMS_TEST_POSTGRES / SMS_TEST_MYSQL")
    finally:
        engine.dispose()


@pytest.fixture
def store_at(monkeypatch, tmp_path):
    """Open a store on a server by a connection with extras: ``store_at("mysql", {"charset": "utf8"})``."""
    name = f"sms_test_{secrets.token_hex(6)}"
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    with ExitStack() as undone:

        def open_at(kind: str, extra: dict):
            _run(kind, f"CREATE DATABASE {name}")
            undone.callback(_run, kind, f"DROP DATABASE {name}")
            url = make_url(ADDRESSES[kind])
            address = {"conn_type": kind, "host": url.host, "port": url.port, "schema": name}
            address |= {"login": url.username, "password": url.password, "extra": extra}
            monkeypatch.setenv("AIRFLOW_CONN_ELSEWHERE", json.dumps(address))
            store = open_store("elsewhere")
            undone.callback(store.close)
            return store

        yield open_at


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_a_connection_of_airflows_own_hooks_is_a_store(store_at, kind):
    """Their options are left to them, the others reach the driver."""
    store_at(kind, OF_AIRFLOWS_HOOKS[kind]).prove_writable()


@pytest.mark.parametrize(
    ("driver", "extra", "named"),
    [
        (
            "psycopg",
            {"sslmode": "prefer", "sslca": "/etc/ca.pem"},
            ["'sslca' is no option of the driver psycopg"],
        ),
        ("psycopg", {"a": 1, "b": 2}, ["'a' is no option", "'b' is no option"]),
        ("psycopg", {"row_factory": "dict_row"}, ["'row_factory' is no option"]),
        ("psycopg", {"sqlalchemy_query": "a=b"}, ["'sqlalchemy_query' is no JSON object"]),
        ("psycopg", {"iam": True}, ["'iam'", "give the connection a password"]),
        ("pymysql", {"iam": "true"}, ["'iam'", "give the connection a password"]),
        ("pymysql", {"ssl": {"ca": "/missing.pem"}}, ["'ssl' cannot be used (FileNotFoundError", "files"]),
        ("pymysql", {"ssl": {"cert": __file__}}, ["'ssl' cannot be used (SSLError"]),
        ("pymysql", {"ssl_ca": "/missing.pem", "local_infile": 1}, ["'ssl_ca' cannot be used (FileNotFound"]),
        ("pymysql", {"ssl": "{"}, ["'ssl' is no JSON object"]),
        ("pymysql", {"ssl": "[]"}, ["'ssl' is no JSON object"]),
        ("pymysql", {"ssl": True}, ["'ssl' is no JSON object"]),
        ("pymysql", {"ssl_mode": "VERIFY_CA"}, ["'ssl_mode' is VERIFY_CA: name the file of the authority"]),
        ("pymysql", {"ssl_mode": "on"}, ["'ssl_mode' is none of DISABLED"]),
        ("pymysql", {"connect_timeout": "soon"}, ["'connect_timeout' cannot be used (TypeError)"]),
        ("pymysql", {"connect_timeout": None}, ["'connect_timeout' cannot be used (TypeError)"]),
        ("pymysql", {"cursorclass": "DictCursor"}, ["'cursorclass' is no option of the driver PyMySQL"]),
        ("pymysql", {"nosuch": 1, "compress": True}, ["'nosuch' is no option of the driver PyMySQL"]),
    ],
)
def test_an_extra_that_the_driver_does_not_take_is_named(driver, extra, named):
    """Before anything is connected, and for good: no retry mends it."""
    with pytest.raises(PreflightError) as caught:
        driver_options(extra, driver, "store connection 'x'", password=False)
    for words in ["store connection 'x'", *named]:
        assert words in str(caught.value)


def test_with_a_password_iam_is_airflows_own_affair():
    assert driver_options({"iam": True}, "psycopg", "", password=True) == {}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"ssl": "{}"}, {"ssl": {}}),
        ({"ssl": ""}, {"ssl": {}}),
        ({"ssl": None, "ssl_mode": None}, {"ssl": {}}),
        ({"ssl_mode": "required"}, {"ssl": {"verify_mode": "none"}}),
        ({"ssl_mode": "REQUIRED", "ssl": '{"capath": "/"}'}, {"ssl": {"capath": "/"}}),
        (
            {"ssl_mode": "VERIFY_CA", "ssl": {"capath": "/"}},
            {"ssl": {"capath": "/", "verify_mode": "required", "check_hostname": False}},
        ),
        (
            {"ssl_mode": "VERIFY_IDENTITY", "ssl": {"capath": "/"}},
            {"ssl": {"capath": "/", "verify_mode": "required", "check_hostname": True}},
        ),
        ({"ssl_mode": "DISABLED"}, {"ssl_disabled": True}),
        (
            {"ssl_mode": "REQUIRED", "ssl_disabled": "false"},
            {"ssl": {"verify_mode": "none"}, "ssl_disabled": False},
        ),
        ({"local_infile": "True"}, {"local_infile": True}),
        ({"read_timeout": " 60"}, {"read_timeout": 60}),
        ({"charset": "utf-8", "collation": "utf8_bin"}, {}),
    ],
)
def test_pymysql_is_told_in_its_own_words(given, told):
    assert driver_options(given, "pymysql", "", password=False) == told


@pytest.mark.parametrize("error", [TypeError, AttributeError, FileNotFoundError])
def test_what_another_driver_says_of_its_options_is_final_too(monkeypatch, tmp_path, error):
    """It names them all, and none of their values."""
    address = {"conn_type": "generic", "host": "db.example.com", "schema": "sms"}
    address["extra"] = {"sqlalchemy_scheme": "postgresql+psycopg2", "hidden": "value-1", "placeholder": "?"}

    def raise_it(*_args: Any, **_kwargs: Any):
        raise error("value-1")

    monkeypatch.setenv("AIRFLOW__SMS__SPOOL_DIR", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_CONN_ELSEWHERE", json.dumps(address))
    monkeypatch.setattr("airflow_provider_sms.store.engine.Store.open", raise_it)
    says = rf"does not take its extra \({error.__name__}\).*of 'hidden'"
    with pytest.raises(PreflightError, match=says) as told:
        open_store("elsewhere")
    assert "value-1" not in str(told.value)


def test_what_an_option_is_not_to_blame_for_is_raised_as_it_is(monkeypatch, store_connection):
    del store_connection

    def raise_it(*_args: Any, **_kwargs: Any):
        raise TypeError

    monkeypatch.setattr("airflow_provider_sms.store.engine.Store.open", raise_it)
    with pytest.raises(TypeError):
        open_store()
