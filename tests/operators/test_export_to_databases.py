"""``SmsExportOperator`` into databases: what is there, that a day is replaced, and what is refused."""

from __future__ import annotations

import json
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, date, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from sqlalchemy import create_engine, event, exc, inspect, text

from airflow_provider_sms.exporting.sql_table import ExportFailed, SqlTable
from airflow_provider_sms.exporting.tables import TABLES
from airflow_provider_sms.operators.export import SmsExportOperator
from airflow_provider_sms.store.frames.fields import Field, Kind


@pytest.fixture
def other(monkeypatch, tmp_path):
    """Declare another database as an Airflow connection; give its engine."""
    address = {"conn_type": "sqlite", "host": str(tmp_path / "other.db")}
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(address))
    engine = create_engine(f"sqlite:///{tmp_path / 'other.db'}")
    yield engine
    engine.dispose()


def to_table(table="messages", sql_table="sms_out", **given: Any):
    given = {"sql_conn_id": "other", "sql_table": sql_table, "timezone": "UTC"} | given
    return SmsExportOperator(task_id="export", table=table, **given).execute({})


@pytest.mark.parametrize("table", TABLES)
def test_every_table_goes_to_a_database(other, table, day):
    """And is replaced there, day by day."""
    result = to_table(table, since=day - timedelta(days=1), until=day, texts=True)
    again = to_table(table, since=day, texts=True)
    assert result["rows"] == again["rows"] > 0
    assert result["sql_table"] == "sms_out"
    with other.connect() as connection:
        rows = connection.execute(text("SELECT * FROM sms_out")).mappings().all()
    assert len(rows) == result["rows"]
    assert {str(row["day"]) for row in rows} == {str(day)}
    if "mobile" in rows[0]:
        assert {row["mobile"] for row in rows} <= {"138****0001", "186****0002"}


def test_other_days_of_the_table_stay(other, day):
    to_table(since=day)
    with other.begin() as connection:
        connection.execute(text("UPDATE sms_out SET day = '2020-01-01'"))
    to_table(since=day)
    with other.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM sms_out WHERE day = '2020-01-01'")) == 2
        assert connection.scalar(text("SELECT count(*) FROM sms_out")) == 4


def test_a_table_that_lacks_columns_is_refused(other, day):
    with other.begin() as connection:
        connection.execute(text("CREATE TABLE sms_out (day date, seq integer)"))
    with pytest.raises(AirflowFailException, match=r"lacks the columns send_key, batch_no, conn_id"):
        to_table(since=day)


def test_a_failure_in_the_middle_changes_nothing_and_tells_no_number(other, day):
    to_table(since=day, number="plain")
    with other.begin() as connection:
        connection.execute(text("CREATE UNIQUE INDEX one_a_batch ON sms_out (day, batch_no, mobile)"))
        connection.execute(
            text(
                "CREATE TRIGGER strike BEFORE INSERT ON sms_out WHEN NEW.seq = 1 "
                "BEGIN SELECT RAISE(ABORT, 'no more'); END"
            )
        )
    with pytest.raises(ExportFailed, match="nothing of this day was changed") as failure:
        to_table(since=day, number="plain")
    assert failure.value.__cause__ is None
    assert failure.value.__context__ is None
    assert not re.search("1[0-9]{10}", str(failure.value))
    with other.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM sms_out")) == 2


@pytest.mark.usefixtures("filled")
def test_a_connection_that_is_no_database_fails_for_good(monkeypatch, day):
    """By its id; Airflow's own errors for it would be retried."""
    with pytest.raises(AirflowFailException, match=r"connection 'nowhere'.*\n.*there is no such connection"):
        to_table(since=day, sql_conn_id="nowhere")
    monkeypatch.setenv("AIRFLOW_CONN_NOWHERE", "http://db.example.com")
    with pytest.raises(AirflowFailException, match="it is no database"):
        to_table(since=day, sql_conn_id="nowhere")


@pytest.fixture(params=["postgresql", "mysql", "mariadb"])
def server(request, monkeypatch):
    """Declare a database of a server as the connection ``other``; drop it afterwards."""
    import secrets

    name = f"sms_test_{secrets.token_hex(6)}"
    address = {
        "postgresql": os.environ.get(
            "SMS_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
        ),
    }.get(request.param) or os.environ.get("SMS_TEST_MYSQL", "mysql+pymysql://root@127.0.0.1:3306/test")
    if request.param == "mariadb":
        # SQLAlchemy's other name of the same server.
        address = "mariadb" + address.removeprefix("mysql")
    # As many old databases are: the table is to take Chinese all the same.
    options = "" if request.param == "postgresql" else " CHARACTER SET latin1"
    engine = create_engine(address, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}{options}"))
    except Exception as error:  # noqa: BLE001 - whatever keeps us from a server
        pytest.skip(f"no {request.param} ({type(error).__name__}): set SMS_TEST_POSTGRES / SMS_TEST_MYSQL")
    from airflow.providers.common.compat.sdk import BaseHook

    here = create_engine(engine.url.set(database=name))

    class Hook:
        """What this test needs of a provider's hook, which may not be installed."""

        def get_sqlalchemy_engine(self):
            return create_engine(engine.url.set(database=name))

    monkeypatch.setattr(BaseHook, "get_hook", staticmethod(lambda *_args, **_named: Hook()))
    yield here
    here.dispose()
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name}"))
    engine.dispose()


def test_to_a_server(filled, server, day):
    """Made, replaced, and with times that are UTC; exports at once take turns."""
    to_table("answers", "answers_out", since=day, texts=True)
    to_table(since=day)
    with ThreadPoolExecutor(3) as pool:
        results = [pool.submit(to_table, since=day) for _ in range(3)]
        assert [each.result()["rows"] for each in results] == [2, 2, 2]
    to_table("messages", "texts_out", since=day, texts=True)
    with server.connect() as connection:
        assert set(connection.scalars(text("SELECT content FROM texts_out"))) == {"您的订单已发货【公司】"}
        columns = {column["name"] for column in inspect(connection).get_columns("sms_out")}
        rows = connection.execute(text("SELECT day, mobile, submitted_at FROM sms_out")).all()
    assert {"day", "send_key", "mobile", "template_id"} <= columns
    assert sorted(row[1] for row in rows) == ["138****0001", "186****0002"]
    moment = rows[0][2] if rows[0][2].tzinfo else rows[0][2].replace(tzinfo=UTC)
    assert abs(filled.now() - moment) < timedelta(minutes=5)


FIELDS = (Field("number", Kind.WHOLE, ""), Field("word", Kind.LABEL, ""))
DAYS = [date(2025, 3, number) for number in range(1, 5)]


def write_at_once(engine, prepared=None, replaced=None):
    """Write each day to one table, all of them at once; they meet where it is told, if they get there."""

    def meet(gate):
        with suppress(threading.BrokenBarrierError):
            gate.wait(0.5)

    def write(day):
        def rows():
            if replaced:
                meet(replaced)
            yield [range(100), ["字"] * 100]

        table = SqlTable(engine, "at_once", FIELDS)
        if prepared:
            event.listen(table._table, "before_create", lambda *_given, **_named: meet(prepared))
        table.prepare()
        return table.replace_day(day, rows)

    with ThreadPoolExecutor(len(DAYS)) as pool:
        assert list(pool.map(write, DAYS)) == [100] * len(DAYS)
    with engine.connect() as connection:
        counts = connection.execute(text("SELECT day, count(*) FROM at_once GROUP BY day ORDER BY day"))
        assert [(str(day), count) for day, count in counts] == [(str(day), 100) for day in DAYS]


def test_days_that_are_exported_at_once_make_one_table(server):
    """Each has found none; one makes it."""
    write_at_once(server, prepared=threading.Barrier(len(DAYS)))


def test_days_that_are_exported_at_once_are_all_written(server):
    """Each has nothing to delete; none is in another's way."""
    SqlTable(server, "at_once", FIELDS).prepare()
    write_at_once(server, replaced=threading.Barrier(len(DAYS)))


def test_one_of_several_makes_the_table_in_sqlite(other):
    write_at_once(other, prepared=threading.Barrier(len(DAYS)))


class Deadlock(Exception):
    """What psycopg2 raises: its state has another name than psycopg's."""

    pgcode = "40P01"


@pytest.mark.parametrize("times", [2, 99])
def test_a_day_that_was_taken_back_because_of_others_is_written_again(other, monkeypatch, times):
    """A few times; then the error says that nothing was changed."""
    monkeypatch.setattr("airflow_provider_sms.exporting.sql_table.time.sleep", lambda _: None)
    table, tries = SqlTable(other, "sms_out", FIELDS), []
    table.prepare()

    def rows():
        tries.append(1)
        yield [[len(tries)], ["x"]]
        if len(tries) <= times:
            raise exc.OperationalError("", {}, Deadlock("number 1"))

    if times > len(DAYS):
        with pytest.raises(ExportFailed, match="nothing of this day was changed"):
            table.replace_day(DAYS[0], rows)
    else:
        assert table.replace_day(DAYS[0], rows) == 1
    with other.connect() as connection:
        assert connection.scalars(text("SELECT number FROM sms_out")).all() == ([3] if times == 2 else [])
