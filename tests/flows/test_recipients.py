"""Recipients from wherever a data team has them."""

from __future__ import annotations

import json
import logging
import sqlite3
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import create_engine

from airflow_provider_sms import recipients
from airflow_provider_sms.errors import PreflightError, SubmitNotSent

FIRST, SECOND = "13800000000", "13900000001"


class Row(NamedTuple):
    """What a cursor may give."""

    mobile: Any


@pytest.mark.parametrize(
    "given",
    [
        [FIRST, SECOND],
        (FIRST, SECOND),
        iter([FIRST, SECOND]),
        f"{FIRST},{SECOND}",
        f"{FIRST}; {SECOND};",
        f"{FIRST}，{SECOND}",
        f"{FIRST}\n{SECOND}\n",
        [{"mobile": FIRST}, {"mobile": SECOND}],
        [{"手机号": FIRST}, {"手机号": SECOND}],
        [{0: FIRST}, {0: SECOND}],
        {"mobile": [FIRST, SECOND]},
        {"Phone": (FIRST, SECOND)},
        pd.DataFrame({"mobile": [FIRST, SECOND]}),
        pd.DataFrame({"whatever": [FIRST, SECOND]}),
        pd.Series([FIRST, SECOND]),
        np.array([FIRST, SECOND]),
        [(FIRST,), (SECOND,)],
        [[FIRST], [int(SECOND)]],
        [Row(FIRST), Row(SECOND)],
        np.array([[FIRST], [SECOND]]),
        f"['{FIRST}', '{SECOND}']",
        f' ["{FIRST}", {SECOND}]\n',
        f"[('{FIRST}',), ['{SECOND}']]",
        f"[{{'mobile': '{FIRST}', 'name': None}}, {{'mobile': '{SECOND}', 'name': '好'}}]",
    ],
    ids=lambda given: type(given).__name__,
)
def test_people_come_in_many_shapes(given):
    """Lists, texts, rows, columns, frames: all end as columns with ``mobile``."""
    mobiles = recipients.from_values(given)["mobile"]
    assert [str(mobile).strip() for mobile in mobiles] == [FIRST, SECOND]


def test_one_number_is_a_list_of_one():
    """Given as text or as a whole number; one row dict is one row."""
    assert recipients.from_values(FIRST) == {"mobile": [FIRST]}
    assert recipients.from_values(int(FIRST)) == {"mobile": [FIRST]}
    assert recipients.from_values({"mobile": FIRST, "name": "好"}) == {"mobile": [FIRST], "name": ["好"]}


def test_rows_of_one_value_beside_numbers_and_an_empty_list():
    assert recipients.from_values([FIRST, (SECOND,)]) == {"mobile": [FIRST, SECOND]}
    assert recipients.from_values("[]") == {"mobile": []}


@pytest.mark.parametrize(
    "written",
    [
        f"[{FIRST}, __import__('os').abort()]",
        f"['{FIRST}', '{SECOND}'",
        f"[{FIRST}, Decimal('1')]",
        f"[{FIRST}] + [{SECOND}]",
        "[{[]}, 1]",
        "[" * 100_000,
        "[1, \0]",
    ],
)
def test_a_text_that_is_no_list_is_split_as_any_other(written):
    """Nothing in it is run; the check of the numbers then names the rows."""
    found = recipients.from_values(written)["mobile"]
    assert found == [part for part in map(str.strip, written.split(",")) if part]


def test_a_set_has_no_order_and_is_fine():
    """Each of it gets the message."""
    assert sorted(recipients.from_values({FIRST, SECOND})["mobile"]) == [FIRST, SECOND]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (3.5, "is a float"),
        (object(), "is a object"),
        ([{"name": "a", "age": 1}], "no column 'mobile'"),
        ([{"mobile": FIRST, 1: "a"}, {"mobile": SECOND, "1": "b"}], "more than once"),
        ([{"mobile": FIRST}, SECOND], "rows 2 are not"),
        ([{"mobile": FIRST}, (SECOND,)], "rows 2 are not"),
        ([(FIRST,), (SECOND, "好"), ()], "rows 2, 3 do not hold one value each"),
        ({"mobile": [FIRST], "name": ["a", "b"]}, "not of one length"),
        (pd.DataFrame([[FIRST, SECOND]], columns=["mobile", "mobile"]), "'mobile' .*more than once"),
        (pd.DataFrame({"mobile": [FIRST]}, pd.Index([SECOND], name="mobile")), "'mobile' .*more than once"),
    ],
)
def test_other_shapes_are_refused(given, says):
    """With what was found and what to give instead."""
    with pytest.raises(PreflightError, match=says):
        recipients.from_values(given)


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_csv_in_any_chinese_charset(tmp_path, charset, end):
    """With or without a byte order mark; quoted fields may hold commas and line breaks."""
    path = tmp_path / "人.CSV"
    lines = ["mobile,name,note", f'{FIRST},镕堃喆玥,"a,b"', f'{SECOND},好,"c\nd"', ""]
    path.write_bytes(end.join(lines).encode(charset))
    assert recipients.from_path(path) == {
        "mobile": [FIRST, SECOND],
        "name": ["镕堃喆玥", "好"],
        "note": ["a,b", "c\nd"],
    }


def test_a_parquet_file(tmp_path):
    """Numbers in it may be whole numbers."""
    path = tmp_path / "people.parquet"
    pd.DataFrame({"mobile": [int(FIRST), int(SECOND)], "name": ["镕", "好"]}).to_parquet(path)
    assert recipients.from_path(path) == {"mobile": [int(FIRST), int(SECOND)], "name": ["镕", "好"]}


@pytest.mark.parametrize("named", ["mobile", "手机号", ["name", "Phone"]])
def test_numbers_in_the_index_of_a_frame_are_the_numbers(tmp_path, named):
    """The only column left held somebody else's, and those got the messages."""
    names = [named] if isinstance(named, str) else named
    backups = ["13900000001", "13900000002"]
    people = pd.DataFrame({"backup": backups} | {name: [FIRST, SECOND] for name in names}).set_index(names)
    people.to_parquet(tmp_path / "people.parquet")
    for found in (recipients.from_values(people), recipients.from_path(tmp_path / "people.parquet")):
        assert found["mobile"] == [FIRST, SECOND]
        assert found["backup"] == backups


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("people.xlsx", b"", "neither .csv nor .parquet"),
        ("people.csv", b"\xff\xff\xff\xff", "neither UTF-8 nor GB18030"),
        ("people.csv", b"mobile,name\n13800000000\n", "lines .*: 2"),
        ("people.csv", b"mobile,name,name\n13800000000,a,b\n", "'name' .*more than once"),
        ("people.csv", b"number,name\n13800000000,a\n", "no column 'mobile'"),
        ("people.csv", b"", "no columns"),
        ("people.csv", b'mobile,name\n13800000000,"a\n13800000001,b\n', "begins in line 2 is no CSV"),
        ("people.csv", b'mobile,name\n13800000000,a\n13800000001,"b"c\n', "begins in line 3 is no CSV"),
        ("people.parquet", b"not parquet", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_clear_error(tmp_path, name, content, says):
    """Naming the file and the place in it."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(PreflightError, match=says):
        recipients.from_path(path)


@pytest.mark.parametrize(
    "content",
    [
        f"{FIRST}\n{SECOND}\n",
        f"+86 138-0000-0000\n{SECOND}\n",
        f"{FIRST}0\n{SECOND}\n",
        f"1.38E+10\n{SECOND}0\n",
        f"王小明,{FIRST}\n李雷,{SECOND}\n",
        f"{FIRST},{FIRST}\n{SECOND},{SECOND}\n",
    ],
    ids=["numbers", "spaced", "wrong", "rounded", "names", "twice"],
)
def test_a_file_without_a_header_line_loses_nobody(tmp_path, content):
    """The first row is not taken for the names of columns, and the error shows nothing of it."""
    path = tmp_path / "people.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(PreflightError, match="no header line") as caught:
        recipients.from_path(path)
    assert not any(part in str(caught.value) for part in ("138", "王小明"))


@pytest.mark.parametrize(
    "given",
    [
        {FIRST: "王小明", SECOND: "李雷"},
        {int(FIRST): "王小明"},
        {FIRST: ["王小明"], "code": ["1"]},
        [{FIRST: "王小明"}, {SECOND: "李雷"}],
        pd.DataFrame({FIRST: [SECOND]}),
        pd.Series([SECOND], name=FIRST),
    ],
    ids=["row", "whole", "columns", "rows", "frame", "series"],
)
def test_a_field_named_by_a_number_is_refused(given):
    """Its owner would get nothing, in silence; the error names nobody."""
    with pytest.raises(PreflightError, match="a field is named by a number") as caught:
        recipients.from_values(given)
    assert not any(part in str(caught.value) for part in (FIRST, SECOND, "王小明"))


@pytest.mark.parametrize(
    "given",
    [
        pd.DataFrame([["a", "b"]], columns=["王小明", "王小明"]),
        {"mobile": [FIRST], "王小明": []},
        {"王小明": "1", "tel138000000001": "2", "name": "3"},
    ],
    ids=["repeated", "lengths", "none"],
)
def test_an_error_shows_only_names_that_are_nobodys(given):
    """What stands where a column's name should be may be a person's name or number."""
    with pytest.raises(PreflightError, match="a name not shown") as caught:
        recipients.from_values(given)
    assert not any(part in str(caught.value) for part in ("王小明", "138000000001"))


def test_a_file_that_is_not_there_is_one_clear_error(tmp_path):
    """And no traceback of a file system."""
    with pytest.raises(PreflightError, match="FileNotFoundError"):
        recipients.from_path(tmp_path / "none.csv")


@pytest.fixture
def customers(tmp_path):
    """Make a database of customers."""
    path = tmp_path / "customers.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE people (mobile TEXT, name TEXT, share REAL)")
        connection.executemany(
            "INSERT INTO people VALUES (?, ?, ?)", [(FIRST, "镕100%", 0.5), (SECOND, "好", None)]
        )
    connection.close()
    engine = create_engine(f"sqlite:///{path}")
    yield engine
    engine.dispose()


def test_a_query_with_a_percent_sign_runs_as_it_is_written(customers):
    """``LIKE '%...'`` and ``%s`` are text, not placeholders."""
    sql = "SELECT mobile, name, '%s' AS odd FROM people WHERE name LIKE '%100%' -- :x"
    assert recipients.from_sql(customers, sql) == {"mobile": [FIRST], "name": ["镕100%"], "odd": ["%s"]}


def test_a_query_that_fails_is_told_without_its_text(customers):
    """A statement may hold numbers; a database that is away may come back, so the task may retry."""
    with pytest.raises(SubmitNotSent) as caught:
        recipients.from_sql(customers, f"SELECT 1 FROM gone WHERE mobile = '{FIRST}'")  # noqa: S608
    chain = repr(caught.value) + repr(caught.value.__cause__) + repr(caught.value.__context__)
    assert FIRST not in chain
    assert "OperationalError" in str(caught.value)


def test_what_a_database_quotes_of_a_query_shows_no_number(customers):
    """SQLite's words begin where the statement is wrong."""
    with pytest.raises(SubmitNotSent, match="the query for the recipients failed") as caught:
        recipients.from_sql(customers, 'SELECT mobile FROM customers WHERE mobile = 1 "13800138000"')
    assert "13800138000" not in str(caught.value)


@pytest.mark.parametrize("extra", [{"nosuch": 1}, {"timeout": "13800000001"}])
def test_a_driver_that_does_not_take_its_options_is_told_for_good(tmp_path, extra):
    """No retry mends them; and none of their values is quoted."""
    engine = create_engine(f"sqlite:///{tmp_path}/customers.db", connect_args=extra)
    with pytest.raises(PreflightError, match=r"not take what its connection says \(TypeError\)") as caught:
        recipients.from_sql(engine, "SELECT 1")
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_a_query_logs_neither_statement_nor_rows(customers, told, caplog, monkeypatch):
    """At no level; whoever else uses the engine is logged as ever."""
    for name in ("sqlalchemy", "sqlalchemy.engine", "sqlalchemy.engine.Engine"):
        caplog.set_level(logging.DEBUG, name)
        # A test before this one may have made Airflow's database, whose migrations disable loggers.
        monkeypatch.setattr(logging.getLogger(name), "disabled", False)
    # Whether it logs is decided when an engine is made.
    customers = create_engine(customers.url)
    sql = f"SELECT mobile, name FROM people WHERE mobile = '{FIRST}'"  # noqa: S608
    assert recipients.from_sql(customers, sql)["mobile"] == [FIRST]
    assert FIRST not in told()
    with customers.connect() as connection:
        connection.exec_driver_sql("SELECT 'somebody else'")
    customers.dispose()
    assert "somebody else" in told()


def test_a_query_whose_columns_share_a_name_is_refused(customers):
    """Which of them is meant cannot be told."""
    with pytest.raises(PreflightError, match=r"'mobile' .*more than once"):
        recipients.from_sql(customers, "SELECT a.mobile, b.mobile FROM people a, people b")


def test_no_rows_are_no_rows(customers):
    """The check for recipients comes later and says so."""
    assert recipients.from_sql(customers, "SELECT mobile FROM people WHERE 1=0") == {"mobile": []}


@pytest.mark.parametrize(
    "given",
    [
        np.array([13912345678], "float32"),
        pd.Series([13912345678], dtype="float32"),
        pd.Series([13912345678], dtype="Float32"),
        pd.Series(np.array([13912345678], "float32"), dtype="float32[pyarrow]"),
        pd.Series([13912345678], dtype="float32").astype("category"),
        pd.DataFrame({"mobile": np.array([13912345678], "float32"), "name": ["王小明"]}),
        [np.float32(13912345678)],
        [{"mobile": np.float32(13912345678)}],
    ],
    ids=["array", "series", "nullable", "arrow", "category", "frame", "list", "rows"],
)
def test_a_float_of_32_bits_reaches_no_stranger(sandbox, gateway_of, send_to, given):
    """13912345678 is 13912345600 in one, which is somebody else's number."""
    with pytest.raises(PreflightError, match=r"floats of fewer than 64 bits \(rows 1\b.*as text") as caught:
        send_to(gateway_of("beidoutong"), given, "您好【公司】")
    assert len(caught.value.problems) == 1
    assert sandbox.calls.count() == 0


def test_a_parquet_file_with_floats_of_32_bits_reaches_no_stranger(tmp_path):
    """Nor does a column of them that a file brings."""
    path = tmp_path / "people.parquet"
    pd.DataFrame({"mobile": np.array([13912345678], "float32"), "name": ["王小明"]}).to_parquet(path)
    [mobile] = recipients.from_path(path)["mobile"]
    assert type(mobile) is np.float32


@pytest.mark.parametrize("dtype", [object, "float64", "Int64", "str", "string[pyarrow]", "category"])
def test_a_number_that_a_frame_lacks_is_told_as_empty(sandbox, gateway_of, send_to, dtype):
    """Whatever pandas writes for nothing, a row of stars would look like a number."""
    people = pd.DataFrame({"mobile": pd.Series([13800138000, None], dtype="Int64").astype(dtype)})
    with pytest.raises(PreflightError, match=r"1 of 2 numbers .*: row 2 \(empty\); "):
        send_to(gateway_of("wavecom"), people, "您好")
    assert sandbox.calls.count() == 0


def test_a_float_of_64_bits_is_exact():
    """As pandas makes of whole numbers with a gap among them."""
    given = pd.DataFrame({"mobile": [13912345678, None], "share": np.array([0.5, 1], "float32")})
    columns = recipients.from_values(given)
    assert [type(mobile) for mobile in columns["mobile"]] == [float, float]
    assert columns["mobile"][0] == 13912345678
    assert columns["share"] == [0.5, 1]


def test_columns_survive_json():
    """What a templated field renders to is plain JSON."""
    rows = json.loads(json.dumps([{"mobile": FIRST, "code": 7}]))
    assert recipients.from_values(rows) == {"mobile": [FIRST], "code": [7]}
