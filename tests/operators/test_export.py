"""``SmsExportOperator`` into files: what is in them, that a day is replaced, and what is refused."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath
from sqlalchemy import text

from airflow_provider_sms.exporting.tables import TABLES
from airflow_provider_sms.operators.export import SmsExportOperator
from airflow_provider_sms.store import frames

WANG, LI = "13800130001", "18600000002"
FORMULA = "=cmd|' /C calc'!A0"
SECRET = "a secret of these tests"


@pytest.fixture
def export(tmp_path):
    """Export into a folder: ``export("messages")`` gives the result and the file of the last day."""

    def run(table, context=None, **given: Any):
        given = {"path": f"file://{tmp_path}/out", "timezone": "UTC"} | given
        result = SmsExportOperator(task_id="export", table=table, **given).execute(context or {})
        return result, Path(result["paths"][-1].removeprefix("file://"))

    return run


@pytest.fixture
def hashing(monkeypatch, store_connection):
    """Give the store a key for hashes."""
    monkeypatch.setenv("AIRFLOW__SMS__NUMBER_HASH_KEY", SECRET)
    return store_connection


def read(path):
    if path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))
    parquet = pytest.importorskip("pyarrow.parquet")
    # Of the file alone: a dataset would add the folder's day.
    return parquet.ParquetFile(path).read().to_pylist()


@pytest.mark.parametrize("format_", ["parquet", "csv"])
@pytest.mark.parametrize("table", TABLES)
def test_every_table_goes_to_files(export, table, format_, day):
    """One file per day, in a folder that readers take the day from; no number and no text by default."""
    result, path = export(table, since=day, format=format_)
    expected = {"messages": 2, "delivery": 1, "funnel": 1, "daily": 2}.get(table, 1)
    assert path.parts[-3:] == (table, f"day={day}", f"{table}.{format_}")
    assert {name: result[name] for name in ("table", "since", "until", "days", "rows")} == {
        "table": table, "since": str(day), "until": str(day), "days": 1, "rows": expected,
    }  # fmt: skip
    rows = read(path)
    assert len(rows) == expected
    assert "day" not in rows[0]
    assert "content" not in rows[0]
    whole = path.read_bytes()
    assert WANG.encode() not in whole
    assert "您的订单".encode() not in whole


@pytest.mark.parametrize("format_", ["parquet", "csv"])
def test_the_values_are_those_of_the_frame(filled, export, format_, day):
    _, path = export("messages", since=day, format=format_, number="plain", texts=True)
    rows = read(path)
    frame = frames.message_frame(filled, datetime(day.year, day.month, day.day, tzinfo=UTC), filled.now())
    assert list(rows[0]) == [*frame.columns, "content"]
    for row, expected in zip(
        rows, frame.astype(object).where(frame.notna(), None).to_dict("records"), strict=True
    ):
        for name, value in expected.items():
            if format_ == "csv":
                assert row[name] == _in_csv(value)
            else:
                assert row[name] == value
        assert row["content"] == "您的订单已发货【公司】"


def _in_csv(value):
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    return "" if value is None else str(value)


def test_times_of_a_csv_have_one_form(filled, export, day):
    """A whole second has its zero decimals: pandas refuses a column of two forms."""
    import pandas as pd

    from airflow_provider_sms.records import Balance
    from airflow_provider_sms.store.balances import Balances

    Balances(filled).record("sms_main", "wavecom", Balance(97))
    with filled.begin() as connection:
        for remaining, moment in ((98, "00:00:01.000000"), (97, "00:00:02.500000")):
            values = {"at": f"{day} {moment}", "remaining": remaining}
            connection.execute(
                text("UPDATE sms_balances SET checked_at = :at WHERE remaining = :remaining"), values
            )
    _, path = export("balances", since=day, format="csv")
    frame = pd.read_csv(path, parse_dates=["checked_at"])
    assert list(frame["checked_at"]) == [pd.Timestamp(f"{day}T00:00:0{each}Z") for each in ("1", "2.5")]


def test_types_come_from_the_schema_and_not_from_the_rows(export, day):
    """A day without rows has a file as well, of the same types."""
    parquet = pytest.importorskip("pyarrow.parquet")
    for table in TABLES:
        full = parquet.ParquetFile(export(table, since=day, texts=True)[1]).schema_arrow
        result, path = export(table, since=date(2020, 1, 1), texts=True)
        assert result["rows"] == 0
        assert parquet.ParquetFile(path).schema_arrow.equals(full)
    types = {name: str(kind) for name, kind in zip(full.names, full.types, strict=True)}
    assert types["closing_at"] == "timestamp[us, tz=UTC]"


def test_a_dataset_of_days_is_read_as_one(export, tmp_path, day):
    dataset = pytest.importorskip("pyarrow.dataset")
    result, _ = export("messages", since=day - timedelta(days=2), until=day)
    assert (result["days"], len(result["paths"])) == (3, 3)
    table = dataset.dataset(tmp_path / "out" / "messages", format="parquet", partitioning="hive").to_table()
    assert {str(each) for each in table["day"].to_pylist()} == {str(day)}


@pytest.mark.parametrize(
    ("number", "column", "shown"),
    [("masked", "mobile", "138****0001"), ("plain", "mobile", WANG), ("hash", "mobile_hash", None)],
)
def test_numbers_are_shown_as_asked(hashing, export, number, column, shown, day):
    del hashing
    from airflow_provider_sms.store.number_hash import hash_numbers

    shown = shown or hash_numbers([WANG], SECRET.encode())[0]
    for table in ("messages", "reports", "replies", "answers"):
        _, path = export(table, since=day, format="csv", number=number)
        rows = read(path)
        assert rows[0][column] == shown
        assert {"mobile", "mobile_hash"} & set(rows[0]) == {column}


@pytest.mark.parametrize("number", ["masked", "hash", "plain"])
def test_a_number_inside_of_a_send_key_is_shown_as_numbers_are(hashing, filled, export, number, day):
    """Sends to one person are often named by the number; who asks for plain ones gets the key as it is."""
    del hashing
    with filled.begin() as connection:
        for table in ("sms_sends", "sms_batches"):
            connection.execute(text(f"UPDATE {table} SET send_key = 'otp-{WANG}'"))  # noqa: S608 - our own
    shown = f"otp-{WANG}" if number == "plain" else "otp-138****0001"
    for table in ("messages", "answers", "delivery"):
        _, path = export(table, since=day, format="csv", number=number, by="send_key")
        assert {row["send_key"] for row in read(path)} == {shown}


def test_a_purged_number_has_no_hash(hashing, filled, export, rows, day):
    with filled.begin() as connection:
        connection.execute(text("UPDATE sms_reports SET mobile = '1380013~0123456789abcdef01234567'"))
    del hashing, rows
    _, path = export("reports", since=day, format="csv", number="hash")
    assert read(path)[0]["mobile_hash"] == ""


def test_no_cell_is_a_formula(export, day):
    _, path = export("replies", since=day, format="csv", texts=True)
    assert read(path)[0]["content"] == "'" + FORMULA
    _, path = export("replies", since=day, texts="True")
    assert read(path)[0]["content"] == FORMULA


def test_figures_are_told_by_what_is_asked(export, day):
    _, path = export("delivery", since=day, format="csv", by="carrier, template_id")
    rows = read(path)
    assert [(row["carrier"], row["template_id"], row["delivered"]) for row in rows] == [
        ("China Mobile", "t1", "1"),
        ("China Unicom", "t1", "0"),
    ]


def test_again_makes_the_same_bytes(export, day):
    for format_ in ("parquet", "csv"):
        _, path = export("messages", since=day, format=format_)
        first = path.read_bytes()
        assert export("messages", since=day, format=format_)[1] == path
        assert path.read_bytes() == first


def test_a_day_is_replaced_and_its_other_format_goes(filled, export, day):
    """Also what is no more: the folder has exactly the day's file."""
    _, old = export("messages", since=day, format="csv")
    with filled.begin() as connection:
        connection.execute(text("DELETE FROM sms_recipients WHERE seq = 1"))
    _, new = export("messages", since=day)
    assert [each.name for each in new.parent.iterdir()] == ["messages.parquet"]
    assert not old.exists()
    assert len(read(new)) == 1


def test_what_failed_leaves_the_old_file(export, monkeypatch, day):
    """Nothing of it, and nothing beside it."""
    _, path = export("messages", since=day, format="csv")
    before = path.read_bytes()
    from airflow_provider_sms.exporting import files

    def fail(row):
        del row
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "defuse_row", fail)
    with pytest.raises(OSError, match="No space left"):
        export("messages", since=day, format="csv")
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


KILLED = """
import os, signal, sys
from airflow_provider_sms.exporting import files
from airflow_provider_sms.operators.export import SmsExportOperator
rows = files.defuse_row
def die(row):
    os.kill(os.getpid(), signal.SIGKILL)
files.defuse_row = die
SmsExportOperator(
    task_id="x", table="messages", path=sys.argv[1], since=sys.argv[2], timezone="UTC", format="csv"
).execute({})
"""


def test_a_killed_export_leaves_the_old_file_and_readers_see_no_other(export, tmp_path, day):
    _, path = export("messages", since=day, format="csv")
    before = path.read_bytes()
    command = [sys.executable, "-c", KILLED, f"file://{tmp_path}/out", str(day)]
    killed = subprocess.run(command, check=False, capture_output=True)  # noqa: S603 - our own script
    assert killed.returncode == -signal.SIGKILL
    assert path.read_bytes() == before
    left = [each for each in path.parent.iterdir() if each != path]
    assert [each.name[0] for each in left] == ["."]
    # The next one takes it away when it surely is nobody's any more, of whatever day and format that is.
    next_day = {"since": day + timedelta(days=1), "format": "parquet"}
    export("messages", **next_day)
    assert left[0].exists()
    os.utime(left[0], (0, 0))
    export("reports", **next_day)
    assert left[0].exists()
    export("messages", **next_day)
    assert list(path.parent.iterdir()) == [path]


def test_to_another_file_system(tmp_path, day):
    """One put per file, as on an object store."""
    fsspec = pytest.importorskip("fsspec")
    from airflow.sdk.io import attach

    memory = fsspec.filesystem("memory")
    attach("memory", fs=memory)
    memory.store.clear()
    for format_ in ("csv", "parquet", "parquet"):
        given = {"path": "memory://bucket/sms", "since": day, "timezone": "UTC", "format": format_}
        result = SmsExportOperator(task_id="x", table="messages", **given).execute({})
    (path,) = result["paths"]
    assert path.endswith(f"bucket/sms/messages/day={day}/messages.parquet")
    assert [name for name in memory.find("/bucket") if "messages" in name] == [
        f"/bucket/sms/messages/day={day}/messages.parquet"
    ]
    copy = tmp_path / "copy.parquet"
    copy.write_bytes(ObjectStoragePath(path).read_bytes())
    assert len(read(copy)) == 2


# --- days ----------------------------------------------------------------------------------------


def interval(start, end):
    return {
        "data_interval_start": datetime.fromisoformat(start).replace(tzinfo=UTC),
        "data_interval_end": datetime.fromisoformat(end).replace(tzinfo=UTC),
    }


NIGHT = interval("2025-03-01T16:00", "2025-03-02T16:00")


@pytest.mark.parametrize(
    ("context", "given", "days"),
    [
        (NIGHT, {}, ("2025-03-02", "2025-03-02")),
        (NIGHT, {"timezone": "UTC"}, ("2025-03-01", "2025-03-02")),
        (NIGHT, {"days": "3"}, ("2025-02-28", "2025-03-02")),
        (NIGHT, {"since": "2025-02-27"}, ("2025-02-27", "2025-02-27")),
        (NIGHT, {"until": "2025-02-27"}, ("2025-02-27", "2025-02-27")),
        (NIGHT, {"until": "2025-02-27", "days": 2}, ("2025-02-26", "2025-02-27")),
        (interval("2025-03-02T18:00", "2025-03-02T18:00"), {}, ("2025-03-02", "2025-03-02")),
        ({}, {"since": "2025-02-27T16:00:00+00:00", "until": "2025-03-01T16:00:00+00:00"},
         ("2025-02-28", "2025-03-01")),
        ({}, {"since": date(2025, 2, 27), "until": datetime(2025, 2, 28, tzinfo=UTC)},
         ("2025-02-27", "2025-02-28")),
        ({}, {"since": "2025-02-27", "until": "2025-02-27", "days": ""}, ("2025-02-27", "2025-02-27")),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("store_connection")
def test_which_days(export, context, given, days):
    result, path = export("balances", context, **{"timezone": "Asia/Shanghai", "format": "csv"} | given)
    assert (result["since"], result["until"]) == days
    assert path.parent.name == f"day={days[1]}"
    assert len(result["paths"]) == result["days"]


@pytest.mark.usefixtures("store_connection")
def test_without_anything_it_is_the_last_whole_day(export):
    before = datetime.now(UTC).date()
    result, _ = export("balances", format="csv")
    assert result["since"] == result["until"]
    assert date.fromisoformat(result["since"]) in {before - timedelta(days=1), before}


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.usefixtures("store_connection")
def test_all_that_is_wrong_is_told_at_once():
    wrong = {
        "table": "people", "number": "half", "texts": "perhaps", "by": "mobile", "timezone": "Mars",
        "silent_after_hours": "soon", "since": "24.12.2026", "until": "then", "days": "0", "path": "/x",
        "format": "xlsx",
    }  # fmt: skip
    with pytest.raises(AirflowFailException) as failure:
        SmsExportOperator(task_id="export", **wrong).execute({})
    for part in (
        "table is 'people'", "number is 'half'", "texts is 'perhaps'", "by is mobile", "timezone is 'Mars'",
        "silent_after_hours is 'soon'", "since is '24.12.2026'", "until is 'then'", "days is '0'",
        "format is 'xlsx'",
    ):  # fmt: skip
        assert part in str(failure.value)


@pytest.mark.usefixtures("store_connection")
def test_slips_of_any_kind_are_told_together_and_before_anything_is_written(tmp_path, monkeypatch):
    """What is out of reach, of the wrong type, or needs a secret or a store that is not there."""
    monkeypatch.chdir(tmp_path)
    wrong = {
        "table": "delivery", "number": "hash", "by": 5, "since": "0001-01-01", "path": "   ",
        "until": datetime.max.replace(tzinfo=UTC), "days": float("inf"),
    }  # fmt: skip
    with pytest.raises(AirflowFailException) as failure:
        SmsExportOperator(task_id="export", **wrong).execute({})
    for part in (
        "by is 5", "since is 0001-01-01", "until is 9999-12-31", "days is inf", "path is blank",
        "number_hash_key is not set",
    ):  # fmt: skip
        assert part in str(failure.value)
    with pytest.raises(AirflowFailException) as failure:
        SmsExportOperator(task_id="export", **wrong | {"store_conn_id": "no_such_store"}).execute({})
    for part in ("by is 5", "no such connection"):
        assert part in str(failure.value)
    assert not list(tmp_path.glob("*/day=*"))


def test_by_nothing_is_a_row_per_day(export, day):
    for by in (None, "", []):
        _, path = export("delivery", since=day, format="csv", by=by)
        assert [row["intended"] for row in read(path)] == ["2"]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"path": "/x", "days": 10**9}, "days is 1000000000: give a whole number, 1 to 3,660"),
        ({"path": "/x", "since": datetime.min.replace(tzinfo=UTC)}, "since is 0001-01-01"),
        ({"path": "/x", "by": [["vendor"]]}, "use any of"),
        ({}, "not said where to"),
        ({"sql_conn_id": "other"}, "not said where to"),
        ({"path": "/x", "sql_conn_id": "other", "sql_table": "t"}, "both a path and a table"),
        ({"path": "/x", "since": "2026-01-02", "until": "2026-01-01"}, "turn them round"),
        ({"path": "/x", "since": "2026-01-02", "days": 3}, "both since and days"),
        ({"path": "/x", "since": "1990-01-02", "until": "2026-01-01"}, "at most 3,660"),
        ({"path": "/x", "by": ["vendor", "vendor"]}, "each once"),
        ({"path": "/x", "number": "hash"}, "number_hash_key is not set"),
        ({"path": "/x", "store_conn_id": "no_such_store"}, "no such connection"),
    ],
)
@pytest.mark.usefixtures("store_connection")
def test_what_cannot_be_is_refused_for_good(given, problem):
    with pytest.raises(AirflowFailException, match=problem):
        SmsExportOperator(task_id="export", table="messages", **given).execute({})


def test_it_goes_into_a_dags_serialized_form_and_back():
    """What is templated is an attribute of the same name; the constructor checks nothing."""
    from airflow.sdk import DAG
    from airflow.serialization.serialized_objects import DagSerialization

    given = {name: f"{{{{ params.{name} }}}}" for name in SmsExportOperator.template_fields}
    with DAG("serialized", schedule=None) as dag:
        SmsExportOperator(task_id="export", **given)
    back = DagSerialization.from_dict(DagSerialization.to_dict(dag)).get_task("export")
    assert {name: getattr(back, name) for name in given} == given


@pytest.mark.usefixtures("store_connection")
def test_parquet_without_its_library_is_refused(monkeypatch):
    from airflow_provider_sms.exporting import order

    monkeypatch.setattr(order, "find_spec", lambda _: None)
    with pytest.raises(AirflowFailException, match="pip install pyarrow"):
        SmsExportOperator(task_id="export", table="messages", path="/x").execute({})


def test_the_result_and_the_logs_tell_no_number_and_no_text(export, told, day):
    """At any level, whatever is exported."""
    for table in TABLES:
        result, _ = export(table, since=day, number="plain", texts=True)
        assert not re.search("1[3-9][0-9]{9}", json.dumps(result))
    logs = told()
    for secret in (WANG, LI, "您的订单", FORMULA):
        assert secret not in logs
