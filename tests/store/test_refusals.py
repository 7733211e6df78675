"""A page that the database does not take, told from a database that is away."""

from __future__ import annotations

import traceback
from typing import Any

import pytest
from sqlalchemy import event, exc, text

from airflow_provider_sms.errors import StoreUnavailable
from airflow_provider_sms.store.failures import is_refusal
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.landing import Landing
from airflow_provider_sms.store.refusals import landed_or_why_not

CANARY = "13812345678"


@pytest.fixture
def page_id(store):
    """Read a page that has not landed."""
    journal = Journal(store)
    page_id = journal.begin("sms_main", "wavecom", "replies", "reader")
    journal.keep(page_id, b"raw")
    return page_id


@pytest.fixture
def land(store, page_id, make_reply):
    """Land one reply."""
    records = [make_reply(CANARY, "好的 😀")]
    return lambda: Landing(store).land(page_id, "sms_main", "wavecom", "replies", records)


def test_what_the_database_refuses_is_told_without_values(store, land, refuse, ask):
    """And nothing of it has landed."""
    refuse("sms_replies", f"mobile = '{CANARY}'")
    why = landed_or_why_not(store, land)
    assert isinstance(why, str)
    assert "not this one" in why
    assert CANARY not in why
    assert ask("SELECT count(*) FROM sms_replies") == [(0,)]


def test_what_a_driver_cannot_write_is_refused(store):
    """Before any database was asked; an error that would quote it is not carried along."""

    def land():
        return f"{CANARY}\ud800".encode()

    why = landed_or_why_not(store, land)
    assert why == "the store takes other pages and not this one (UnicodeEncodeError)"


def test_a_failure_by_chance_is_none(store, land):
    """The second time it lands."""
    failed = []

    def once():
        if not failed:
            failed.append(True)
            with store.begin() as connection:
                connection.execute(text("INSERT INTO sms_meta (name, value) VALUES ('x', NULL)"))
        return land()

    assert landed_or_why_not(store, once).records == 1


def test_a_deadlock_is_no_refusal(store):
    def land():
        failure = StoreUnavailable("deadlock")
        failure.deadlocked = True
        raise failure

    with pytest.raises(StoreUnavailable, match="deadlock"):
        landed_or_why_not(store, land)


@pytest.mark.parametrize("shared", ["postgresql", "mysql"])
def test_a_connection_that_is_lost_is_no_refusal(shared_stores, shared):
    """Killed by the server in the middle: the page waits."""
    store = shared_stores(shared)
    own = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT connection_id()"}[shared]
    kill = {"postgresql": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}[shared]
    tried = []

    def land():
        tried.append(True)
        with store.begin() as connection:
            number = connection.exec_driver_sql(own).scalar_one()
            with store.begin() as other:
                other.exec_driver_sql(kill.format(number))
            connection.exec_driver_sql("SELECT 1 FROM sms_meta")

    with pytest.raises(StoreUnavailable) as caught:
        landed_or_why_not(store, land)
    assert len(tried) == 1
    assert caught.value.refused == ""


def test_a_table_that_is_missing_is_no_refusal(store):
    """Then it is the store that has to be mended: pages wait for that."""

    def land():
        with store.begin() as connection:
            connection.execute(text("INSERT INTO sms_nowhere (name) VALUES ('x')"))

    with pytest.raises(StoreUnavailable):
        landed_or_why_not(store, land)


def test_a_store_that_takes_nothing_else_either_is_away(store, land, refuse):
    """The proof is a write of its own."""
    refuse("sms_replies", f"mobile = '{CANARY}'")

    def full(connection, cursor, statement, *_: object):
        del connection, cursor
        if "sms_pages" in statement and statement.startswith("INSERT"):
            raise exc.OperationalError(None, None, Exception("full"))

    event.listen(store.engine, "before_cursor_execute", full)
    try:
        with pytest.raises(StoreUnavailable) as caught:
            landed_or_why_not(store, land)
    finally:
        event.remove(store.engine, "before_cursor_execute", full)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_locks_and_full_disks_are_no_refusals():
    """By their codes, and by their classes where there are none."""

    class DataError(Exception):
        sqlstate = None

    class OperationalError(Exception):
        pass

    def with_number(number):
        error = DataError(number, "x")
        error.sqlstate = "22001"
        return error

    def with_state(state):
        error = DataError("x")
        error.sqlstate = state
        return error

    assert not any(
        is_refusal(with_state(state))
        for state in (
            "40P01",
            "53100",
            "55P03",
            "57014",
            "08006",
            "25006",
            "26000",
            "XX000",
            "XX001",
            "3D000",
        )
    )
    assert all(is_refusal(with_state(state)) for state in ("22021", "22P05", "23514", "54000", "P0001"))
    # Newer drivers of MySQL give a state as well, and this one for nearly everything.
    OperationalError.sqlstate = "HY000"
    passing = (1205, 1213, 1114, 1021, 3, 1030, 2006, 2013, 1290, 1040, 1969, 3024, 1927, 1146)
    assert not any(is_refusal(OperationalError(number, "x")) for number in passing)
    assert all(is_refusal(OperationalError(number, "x")) for number in (1366, 1292, 1644, 1153, 4025))
    assert is_refusal(with_number(1406))
    assert is_refusal(DataError("NUL"))
    OperationalError.sqlstate = None
    assert not is_refusal(OperationalError("database is locked"))
    assert not is_refusal(None)


def test_a_lock_that_others_hold_is_no_refusal(store, land):
    """By the driver's real error: a backup, a change of the table; the page waits."""
    if store.dialect not in {"mysql", "postgresql"}:
        pytest.skip("there others are waited for, or nobody knows how to lock")
    limit, lock = {
        "mysql": ("SET SESSION lock_wait_timeout = 1", "LOCK TABLES sms_replies READ"),
        "postgresql": ("SET lock_timeout = '300ms'", "LOCK TABLE sms_replies IN ACCESS EXCLUSIVE MODE"),
    }[store.dialect]

    def be_impatient(connection: Any, *_: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(limit)

    with store.engine.connect() as other:
        other.exec_driver_sql(lock)
        event.listen(store.engine, "checkout", be_impatient)
        try:
            with pytest.raises(StoreUnavailable) as caught:
                landed_or_why_not(store, land)
        finally:
            event.remove(store.engine, "checkout", be_impatient)
            if store.dialect == "mysql":
                other.exec_driver_sql("UNLOCK TABLES")
            other.rollback()
    # All of them are back, so all of them are closed: none is to stay impatient.
    store.engine.dispose()
    assert not caught.value.refused
