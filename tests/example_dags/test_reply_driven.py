"""The customers' side of the DAG that replies wake, on the databases that customers may be in."""

from __future__ import annotations

import importlib.util
import os
import secrets
from pathlib import Path

import pytest
from sqlalchemy import create_engine, exc, make_url, text

EXAMPLE = Path(__file__).resolve().parents[2] / "example_dags" / "example_sms_reply_driven.py"
SERVERS = {
    "postgresql": os.environ.get("SMS_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/test"),
    "mysql": os.environ.get("SMS_TEST_MYSQL", "mysql+pymysql://root@127.0.0.1:3306/test"),
}


@pytest.fixture
def example():
    spec = importlib.util.spec_from_file_location("reply_driven", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["sqlite", *SERVERS])
def customers(request, tmp_path):
    """Give an engine of an empty database."""
    if request.param == "sqlite":
        yield create_engine(f"sqlite:///{tmp_path}/customers.db")
        return
    server = create_engine(SERVERS[request.param], isolation_level="AUTOCOMMIT")
    name = f"sms_test_{secrets.token_hex(6)}"
    try:
        with server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
    except (exc.DBAPIError, ImportError) as error:
        pytest.skip(f"no {request.param} ({type(error).__name__}): set SMS_TEST_POSTGRES / SMS_TEST_MYSQL")
    engine = create_engine(make_url(SERVERS[request.param]).set(database=name))
    yield engine
    engine.dispose()
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name}"))
    server.dispose()


def test_each_reply_is_handled_once_and_each_opt_out_kept_once(example, customers):
    replies = [
        ("page", 0, "13800138000", "TD"),
        ("page", 1, "13800138001", "１"),
        ("page", 2, "13800138000", "退订"),
    ]
    assert example.not_handled(customers, replies) == replies

    for _ in range(2):
        for page_id, seq, mobile, content in replies:
            meaning = example.meaning_of(content)
            example.write_down(customers, page_id, seq, mobile, meaning)

    assert example.not_handled(customers, [*replies, ("next", 0, "13800138002", "?")]) == [
        ("next", 0, "13800138002", "?")
    ]
    with customers.connect() as connection:
        handled = connection.execute(text("SELECT seq, meaning FROM appointment_replies ORDER BY seq"))
        assert [tuple(row) for row in handled] == [(0, "opted_out"), (1, "acknowledged"), (2, "opted_out")]
        assert connection.execute(text("SELECT mobile FROM sms_opt_outs")).scalars().all() == ["13800138000"]
