"""Recipients by a query: connections that cannot be asked, and what is shown of the query."""

from __future__ import annotations

import json
import sqlite3
import traceback
from contextlib import closing

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, BaseHook
from sqlalchemy.exc import ArgumentError

from airflow_provider_sms.errors import SubmitNotSent
from airflow_provider_sms.operators.sms import SmsSendOperator

CRM = "AIRFLOW_CONN_CRM"


@pytest.fixture
def send(connections, monkeypatch):
    """Send to whom a query in the connection ``crm`` finds; there is no such connection yet."""
    monkeypatch.delenv(CRM, raising=False)
    given = {
        "sms_conn_id": connections("wavecom"),
        "content": "您好",
        "sql": "SELECT 1",
        "sql_conn_id": "crm",
    }
    return lambda: SmsSendOperator(task_id="send", **given).execute({})


@pytest.mark.parametrize(
    ("address", "says"),
    [
        (None, "there is no such connection: create it"),
        ({"conn_type": "http", "host": "crm.example.com"}, "it is no database (its hook is HttpHook)"),
        ({"conn_type": "nosuch", "host": "crm.example.com"}, "install the provider of that database"),
    ],
)
def test_a_connection_that_cannot_be_asked_is_named(send, sandbox, monkeypatch, address, says):
    """And fails for good: Airflow's own errors for it would be retried."""
    if address:
        monkeypatch.setenv(CRM, json.dumps(address))
    with pytest.raises(AirflowFailException) as caught:
        send()
    for words in (says, "connection 'crm': 1 problem; nothing was sent"):
        assert words in str(caught.value)
    assert sandbox.calls.count() == 0


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ImportError(name="oracledb"), r"a driver of its database is not installed here \(oracledb\)"),
        (ArgumentError("oracle://me:geheim@crm"), r"make no address of a database \(ArgumentError\)"),
        (AirflowException("geheim"), r"make no address of a database \(AirflowException\)"),
    ],
)
def test_an_engine_that_cannot_be_made_is_told_without_its_address(send, monkeypatch, error, says):
    class Hook:
        """What this test needs of a provider's hook."""

        def get_sqlalchemy_engine(self):
            raise error

    monkeypatch.setattr(BaseHook, "get_hook", staticmethod(lambda *_args, **_named: Hook()))
    with pytest.raises(AirflowFailException, match=says) as caught:
        send()
    assert "geheim" not in "".join(traceback.format_exception(caught.value))


def test_a_connection_that_cannot_be_looked_up_now_is_left_to_airflow(send, monkeypatch):
    """It may be there for the next try."""
    monkeypatch.setattr("airflow_provider_sms.hooks.databases.failed_source", lambda _: "Vault: Timeout")
    with pytest.raises(SubmitNotSent, match=r"cannot be looked up \(Vault: Timeout\), so nothing was sent"):
        send()


def test_a_database_that_is_away_is_left_to_airflow(send, monkeypatch, tmp_path):
    address = {"conn_type": "sqlite", "host": str(tmp_path / "gone" / "crm.db")}
    monkeypatch.setenv(CRM, json.dumps(address))
    with pytest.raises(SubmitNotSent, match="nothing was sent"):
        send()


def test_numbers_in_a_query_are_masked_where_it_is_shown(
    run_dag, connections, sandbox, monkeypatch, tmp_path
):
    """The query that runs is whole, and so is the rest of what is shown."""
    with closing(sqlite3.connect(tmp_path / "crm.db")) as crm, crm:
        crm.execute("CREATE TABLE people (mobile)")
        crm.executemany("INSERT INTO people VALUES (?)", [("13800138000",), ("13900139000",)])
    monkeypatch.setenv(CRM, json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "crm.db")}))
    given = {"sms_conn_id": connections("wavecom"), "content": "您好", "sql_conn_id": "crm"}

    def build():
        SmsSendOperator(task_id="one", sql="SELECT mobile FROM people WHERE mobile = '13800138000'", **given)
        mapped = SmsSendOperator.partial(task_id="mapped", **given)
        mapped.expand(sql=["SELECT mobile FROM people WHERE mobile IN ('13900139000', 13700137000)"])

    ended = run_dag(build)
    assert ended.state == "success"
    assert {message.mobile for message in sandbox.messages("wavecom")} == {"13800138000", "13900139000"}
    assert ended.rendered["one"]["sql"] == "SELECT mobile FROM people WHERE mobile = '138****8000'"
    assert ended.rendered["mapped", 0]["sql"].endswith("IN ('139****9000', 137****7000)")


def test_a_query_that_cannot_be_rendered_is_not_quoted(run_dag, connections, told):
    """Airflow would log the whole of it."""
    conn_id = connections("wavecom")

    def build():
        SmsSendOperator(
            task_id="one", sms_conn_id=conn_id, content="您好", sql_conn_id="crm",
            sql="SELECT mobile FROM people WHERE mobile = '13800138000' {% if %}",
        )  # fmt: skip

    assert run_dag(build).state == "failed"
    assert "13800138000" not in told()
