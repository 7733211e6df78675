"""Many rows at once: every way that can write to a database writes the same rows."""

from __future__ import annotations

import traceback
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, event, exc, select

from airflow_provider_sms.errors import StoreUnavailable
from airflow_provider_sms.store import bulk, plain
from airflow_provider_sms.store.engine import Store
from airflow_provider_sms.store.schema import replies

NOON = datetime(2025, 3, 1, 4, 0, 0, 123_456, tzinfo=UTC)
LATER = NOON + timedelta(seconds=1)
#: What some way or other to write rows would have to escape, or cannot tell from NULL.
NASTY = [
    "",
    "NULL",
    "\\N",
    "a\tb",
    "a\nb",
    "a\r\nb",
    "\\",
    "\\\\t",
    "'",
    '"',
    "%s",
    "?",
    ":x",
    "{",
    "退订𠮷😀",
    " x ",
]
#: Vendors' texts; NUL is no text to PostgreSQL, and half a character none to anybody.
_TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)


@pytest.fixture(params=["its own way", "plain"])
def way(request, monkeypatch):
    """Write as the package does on this database, and as it would on one that it does not know."""
    if request.param == "plain":
        monkeypatch.setattr(bulk, "_way", lambda _connection: plain)
    return request.param


def _columns(contents, seqs=None, **fields: Any):
    return {
        "page_id": "page",
        "seq": list(range(len(contents))) if seqs is None else seqs,
        "conn_id": "sms_main",
        "vendor": "wavecom",
        "vendor_message_id": "",
        "mobile": "13800000001",
        "content": contents,
        "extno": "",
        "received_at": [NOON + timedelta(seconds=place % 3) for place in range(len(contents))],
        "time_source": "vendor",
        "landed_at": NOON,
        "mobile_hash": [None if place % 2 else "hash" for place in range(len(contents))],
    } | fields


def _rows(connection, *names: str):
    wanted = [replies.c[name] for name in names]
    return [
        tuple(row) for row in connection.execute(select(*wanted).order_by(replies.c.page_id, replies.c.seq))
    ]


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("times", [1, bulk.COPY_FROM])
@pytest.mark.parametrize("write", [bulk.append, bulk.upsert])
def test_what_is_written_is_what_is_read(store, write, times):
    """Texts to the character, times to the microsecond, nothing where there is nothing."""
    columns = _columns(NASTY * times)
    with store.begin() as connection:
        write(connection, replies, columns, len(NASTY) * times)
        found = _rows(connection, "content", "received_at", "mobile_hash", "conn_id")
    wanted = zip(columns["content"], columns["received_at"], columns["mobile_hash"], strict=True)
    assert found == [(*row, "sms_main") for row in wanted]


@pytest.mark.usefixtures("way")
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=st.lists(_TEXTS, min_size=1, max_size=15))
def test_any_text_survives(store, contents):
    with store.engine.connect() as connection:
        bulk.append(connection, replies, _columns(contents), len(contents))
        assert [text for (text,) in _rows(connection, "content")] == contents


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("count", [4, bulk.COPY_FROM + 1])
def test_rows_that_are_there_get_the_new_values_but_for_those_that_stay(store, count):
    with store.begin() as connection:
        bulk.append(connection, replies, _columns(["old"] * (count - 2)), count - 2)
        newer = _columns(["new"] * count, landed_at=LATER)
        bulk.upsert(connection, replies, newer, count, keep=("landed_at",))
        found = _rows(connection, "seq", "content", "landed_at")
    assert found == [(seq, "new", NOON if seq < count - 2 else LATER) for seq in range(count)]


def test_many_rows_are_changed_without_the_right_to_temporary_tables(new_place, tmp_path):
    """As of a user whose database was closed to PUBLIC, and who was granted the tables."""
    place = new_place("postgresql", tmp_path)
    server = create_engine(place.url.set(query={}), isolation_level="AUTOCOMMIT")
    url = place.url.set(database=place.name, query={"options": f"-crole={place.name}"})
    with server.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {place.name} ENCODING 'UTF8' TEMPLATE template0")
        connection.exec_driver_sql(f"CREATE ROLE {place.name}")
        try:
            connection.exec_driver_sql(f"REVOKE ALL ON DATABASE {place.name} FROM PUBLIC")
            connection.exec_driver_sql(f"GRANT CONNECT, CREATE ON DATABASE {place.name} TO {place.name}")
            owner = create_engine(url)
            with owner.begin() as writing:
                writing.exec_driver_sql("CREATE SCHEMA sms")
            owner.dispose()
            url = url.update_query_dict({"options": f"-crole={place.name} -csearch_path=sms"})
            with closing(Store.open(url, spool_dir=tmp_path)) as store, store.begin() as writing:
                bulk.upsert(writing, replies, _columns(["old"] * 300), 300)
                bulk.upsert(writing, replies, _columns(["new"] * 300), 300)
                assert set(writing.scalars(select(replies.c.content))) == {"new"}
        finally:
            connection.exec_driver_sql(f"DROP DATABASE {place.name} WITH (FORCE)")
            connection.exec_driver_sql(f"DROP ROLE {place.name}")
    server.dispose()


@pytest.mark.usefixtures("way")
def test_keys_of_several_columns_that_all_vary(store):
    pages = ["a", "a", "b", "b"]
    with store.begin() as connection:
        bulk.append(connection, replies, _columns(["old", "old"], [0, 1], page_id=["a", "b"]), 2)
        bulk.upsert(connection, replies, _columns(["new"] * 4, [0, 1, 0, 1], page_id=pages), 4)
        assert _rows(connection, "page_id", "seq", "content") == [
            (page, seq, "new") for page, seq in zip(pages, [0, 1, 0, 1], strict=True)
        ]


@pytest.mark.usefixtures("way")
def test_rows_that_must_not_be_there_are_refused_when_they_are(store):
    """An append never changes a row."""
    with store.engine.connect() as connection:
        bulk.append(connection, replies, _columns(["old"]), 1)
        with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
            bulk.append(connection, replies, _columns(["new"] * bulk.COPY_FROM), bulk.COPY_FROM)


@pytest.mark.usefixtures("way")
def test_a_refusal_of_many_rows_tells_no_values(store):
    """Neither does the driver's own error, which quotes the key, hang on to it."""
    many = bulk.COPY_FROM
    with pytest.raises(StoreUnavailable) as caught, store.begin() as connection:
        bulk.append(connection, replies, _columns(["x"] * many, page_id="canary", seqs=[7] * many), many)
    told = "".join(traceback.format_exception(caught.value))
    assert "canary" not in told.replace('page_id="canary"', "")
    assert caught.value.__context__ is None


@pytest.mark.usefixtures("way")
def test_a_connection_that_is_lost_before_many_rows_is_dropped(store):
    """The store is away for this transaction and back for the next."""
    kind = store.dialect.removeprefix("other")
    if kind == "sqlite":
        pytest.skip("SQLite has no connection that could be lost")
    who, end = {
        "postgresql": ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend({})"),
        "mysql": ("SELECT connection_id()", "KILL {}"),
    }[kind]
    many = bulk.COPY_FROM

    def write_after_the_end():
        with store.begin() as connection:
            number = connection.exec_driver_sql(who).scalar_one()
            with store.begin() as other:
                other.exec_driver_sql(end.format(number))
            bulk.append(connection, replies, _columns(["x"] * many), many)

    with pytest.raises(StoreUnavailable):
        write_after_the_end()
    with store.begin() as connection:
        assert _rows(connection, "seq") == []


def test_the_plain_way_yields_to_who_was_faster(store):
    """Between its question and its insert another makes one of the rows: none is lost, none is twice."""
    if store.dialect == "sqlite":
        pytest.skip("on SQLite writers take turns: there is no between")
    raced = []

    def race(_connection, clause, *_more: Any):
        if clause.is_insert and not raced:
            raced.append(True)
            with store.begin() as other:
                other.execute(replies.insert(), _row(_columns(["theirs"], [2]), 0))

    with store.begin() as connection:
        event.listen(connection, "before_execute", race)
        plain.upsert(connection, replies, _columns(["ours"] * 5), 5, ())
        event.remove(connection, "before_execute", race)
        assert raced
        assert _rows(connection, "seq", "content") == [(seq, "ours") for seq in range(5)]


def test_the_plain_way_does_not_take_any_refusal_for_a_row_that_is_there(store):
    with store.engine.connect() as connection, pytest.raises(exc.IntegrityError):
        plain.upsert(connection, replies, _columns(["fine", None]), 2, ())


def _row(columns, place):
    return {name: values[place] if isinstance(values, list) else values for name, values in columns.items()}
