"""Transactions that a database took back for a deadlock are done again; all others are not."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text

from airflow_provider_sms.errors import StoreUnavailable
from airflow_provider_sms.store.engine import Store
from airflow_provider_sms.store.leases import Leases
from airflow_provider_sms.store.schema import leases, meta


def test_a_deadlock_costs_nobody_their_transaction(store):
    """Two that lock the same rows in opposite order: the one that is taken back is done again."""
    if store.dialect == "sqlite":
        pytest.skip("SQLite knows no deadlock: writers take turns from their first statement on")
    for queue in ("reports", "replies"):
        Leases(store).acquire("deadlocked", queue, "nobody", 0.0)
    meeting, tries, done = threading.Barrier(2), [], []

    def crossing(first: str, second: str):
        met = []

        def work(connection):
            tries.append(first)
            _own(connection, first, first)
            if not met:
                met.append(True)
                meeting.wait(20)
            _own(connection, second, first)

        store.transact(work)
        done.append(first)

    ways = [("reports", "replies"), ("replies", "reports")]
    threads = [threading.Thread(target=crossing, args=way) for way in ways]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(done) == ["replies", "reports"]
    assert len(tries) >= 3
    with store.reading() as connection:
        owners = connection.scalars(select(leases.c.owner).where(leases.c.conn_id == "deadlocked")).all()
    assert len(set(owners)) == 1


def _own(connection, queue, owner):
    row = leases.update().where(leases.c.conn_id == "deadlocked", leases.c.queue == queue)
    connection.execute(row.values(owner=owner))


def _deadlock():
    failure = StoreUnavailable("deadlock")
    failure.deadlocked = True
    return failure


def test_deadlocks_without_end_are_an_error(store):
    """After some tries; nothing of any of them is there."""
    tries = []

    def work(connection):
        tries.append(True)
        connection.execute(meta.insert(), {"name": "deadlocked", "value": ""})
        raise _deadlock()

    with pytest.raises(StoreUnavailable, match="deadlock"):
        store.transact(work)
    assert 3 <= len(tries) <= 10
    with store.reading() as connection:
        assert connection.scalar(select(meta.c.value).where(meta.c.name == "deadlocked")) is None


@pytest.mark.parametrize("failure", [StoreUnavailable("gone"), ValueError("a mistake")], ids=repr)
def test_any_other_failure_is_not_tried_again(store, failure):
    """Of a lost connection nobody knows whether it committed."""
    tries = []

    def work(connection):
        tries.append(connection)
        raise failure

    with pytest.raises(type(failure), match=str(failure)):
        store.transact(work)
    assert len(tries) == 1


def test_what_the_work_gives_is_given_back_once_it_is_committed(store):
    """So that a caller may act on it."""

    def work(connection):
        connection.execute(meta.insert(), {"name": "committed", "value": "1"})
        return 7

    assert store.transact(work) == 7
    with store.reading() as connection:
        assert connection.scalar(select(meta.c.value).where(meta.c.name == "committed")) == "1"


WAITING = text(
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = :us AND wait_event_type = 'Lock'"
)


@pytest.mark.parametrize("level", ["repeatable\\ read", "serializable"])
def test_who_waited_for_a_lock_goes_on_whatever_the_servers_isolation_level(new_place, tmp_path, level):
    """A statement that is committed by itself would fail as soon as the other one commits."""
    place = new_place("postgresql", tmp_path)
    options = f"{place.url.query['options']} -cdefault_transaction_isolation={level}"
    url = place.url.update_query_dict({"options": options, "application_name": place.name})
    store = Store.open(url, spool_dir=tmp_path / "spool")
    mine = Leases(store).acquire("sms_main", "reports", "me", 60)
    with ThreadPoolExecutor(1) as thread:
        with store.begin() as connection:
            connection.execute(leases.update().values(next_read_at=mine.expires_at))
            released = thread.submit(Leases(store).release, mine, read=0.0)
            # Each look takes a transaction's view of the statistics anew.
            while not released.done() and not connection.scalar(WAITING, {"us": place.name}):
                connection.execute(text("SELECT pg_stat_clear_snapshot(), pg_sleep(0.02)"))
        assert released.result(20) is not None
    assert Leases(store).holder("sms_main", "reports") is None
    store.close()
