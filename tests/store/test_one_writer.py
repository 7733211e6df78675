"""SQLite's one writer: the threads of a process wait for each other, not for SQLite to look again."""

from __future__ import annotations

import sqlite3
import threading
import time

import pytest
from sqlalchemy import event

from airflow_provider_sms.errors import StoreUnavailable
from airflow_provider_sms.store import one_writer
from airflow_provider_sms.store.engine import Store

FORK = """
import os, sys, threading, time
from pathlib import Path
from airflow_provider_sms.store import one_writer
from airflow_provider_sms.store.engine import Store
one_writer._PATIENCE = 0.1
store = Store.open(sys.argv[1], spool_dir=Path(sys.argv[2]))
begun, end = threading.Event(), threading.Event()
def have_the_turn():
    # Without a transaction: SQLite bears no fork while one is open, and this one is not waited for.
    with one_writer.turn_to_write(store.engine):
        begun.set()
        end.wait(30)
thread = threading.Thread(target=have_the_turn)
thread.start()
assert begun.wait(10)
child = os.fork()
if child == 0:
    one_writer._PATIENCE = 3600
    store.prove_writable()
    os._exit(0)
deadline = time.monotonic() + 20
while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
    if time.monotonic() > deadline:
        os.kill(child, 9)
    time.sleep(0.01)
assert os.waitstatus_to_exitcode(ended[1]) == 0
end.set()
thread.join()
print("ok")
"""

FORK_WHILE_WRITING = """
import os, sys, threading, time
from pathlib import Path
from airflow_provider_sms.store.engine import Store
store = Store.open(sys.argv[1], spool_dir=Path(sys.argv[2]), connect_args={"timeout": 2})
begun = threading.Event()
def write():
    with store.begin() as connection:
        connection.exec_driver_sql("UPDATE sms_meta SET value = value")
        begun.set()
        time.sleep(0.3)
def child_writes():
    child = os.fork()
    if child == 0:
        try:
            store.prove_writable()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
thread = threading.Thread(target=write)
thread.start()
assert begun.wait(10)
assert child_writes()
thread.join()
with store.begin():
    # The thread that forks has the turn itself: that must not hang, nor lose the turn.
    assert isinstance(child_writes(), bool)
store.prove_writable()
print("ok")
"""


def test_sqlites_writers_of_one_process_take_turns(tmp_path):
    """The second does not even ask the database before the first is done."""
    store = Store.open(f"sqlite:///{tmp_path}/sms.db", spool_dir=tmp_path)
    asked, done = threading.Event(), threading.Event()
    event.listen(store.engine, "checkout", lambda *_: asked.set())

    def write():
        with store.begin():
            done.set()

    with store.begin():
        asked.clear()
        thread = threading.Thread(target=write)
        thread.start()
        assert not asked.wait(0.3)
        with store.reading() as connection:
            connection.exec_driver_sql("SELECT 1 FROM sms_meta")
        assert not done.is_set()
    assert done.wait(10)
    thread.join()
    store.close()


def test_a_writer_whose_turn_does_not_come_asks_the_database(tmp_path, monkeypatch):
    """What holds the others up need not be one of them; SQLite has its own word for it."""
    monkeypatch.setattr(one_writer, "_PATIENCE", 0.1)
    store = Store.open(f"sqlite:///{tmp_path}/sms.db", spool_dir=tmp_path, connect_args={"timeout": 0.1})
    failures = []

    def write():
        try:
            store.prove_writable()
        except StoreUnavailable as failure:
            failures.append(str(failure))

    with store.begin():
        thread = threading.Thread(target=write)
        thread.start()
        thread.join(30)
    assert len(failures) == 1
    store.prove_writable()
    store.close()


class Raising:
    """A turn that is had in the moment in which a signal's handler raises."""

    def __init__(self) -> None:
        self.turn = threading.RLock()

    def acquire(self, timeout):
        """Have the turn, and hear of the signal."""
        assert self.turn.acquire(timeout=timeout)
        raise KeyboardInterrupt

    def release(self):
        """Give it back."""
        self.turn.release()


def test_whatever_is_raised_gives_the_turn_back(tmp_path, monkeypatch):
    """In the block, or by a signal in the moment in which the turn is had."""
    monkeypatch.setattr(one_writer, "_PATIENCE", 3600)
    store = Store.open(f"sqlite:///{tmp_path}/sms.db", spool_dir=tmp_path)

    def fail():
        with store.begin():
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    turn = one_writer._turns[store.engine]
    one_writer._turns[store.engine] = interrupted = Raising()
    with pytest.raises(KeyboardInterrupt):
        store.prove_writable()
    one_writer._turns[store.engine] = turn
    taken = []
    # The turn is a thread's, so another has to ask for it.
    for asked in (turn, interrupted.turn):
        thread = threading.Thread(target=lambda asked=asked: taken.append(asked.acquire(timeout=0.1)))
        thread.start()
        thread.join(10)
    assert taken == [True, True]
    store.close()


def test_a_forked_child_writes_although_a_thread_of_its_parent_had_the_turn(tmp_path, run_many):
    """There is no such thread in the child to give the turn back."""
    assert run_many(FORK, f"sqlite:///{tmp_path}/sms.db", tmp_path / "spool", processes=1) == ["ok"]


def test_a_process_is_forked_between_two_writes(tmp_path, run_many):
    """SQLite's note of the lock would go along, and the child could never write."""
    told = run_many(FORK_WHILE_WRITING, f"sqlite:///{tmp_path}/sms.db", tmp_path / "spool", processes=1)
    assert told == ["ok"]


def test_a_fork_waits_for_a_writer_as_long_as_another_writer_would(tmp_path, monkeypatch):
    """One that is held up by another process may have the turn for half a minute."""
    monkeypatch.setattr(one_writer, "_PATIENCE", 0.1)
    store = Store.open(f"sqlite:///{tmp_path}/sms.db", spool_dir=tmp_path)
    begun, end = threading.Event(), threading.Event()

    def write():
        with one_writer.turn_to_write(store.engine):
            begun.set()
            end.wait(30)

    thread = threading.Thread(target=write)
    thread.start()
    assert begun.wait(10)
    began = time.monotonic()
    # Not by a fork: this process has threads of its own.
    one_writer._before_fork()
    assert time.monotonic() - began < 5
    one_writer._after_fork_in_parent()
    end.set()
    thread.join()
    store.prove_writable()
    assert not one_writer._taken
    store.close()


class Stop(BaseException):
    """What Airflow's time-out is: no ``Exception``."""


def test_a_stop_within_a_statement_leaves_the_database_unlocked(tmp_path):
    """The traceback knows the cursor, and SQLite keeps what a cursor belongs to."""
    store = Store.open(f"sqlite:///{tmp_path}/sms.db", spool_dir=tmp_path)

    def strike(*told: str):
        if told[2].startswith("SELECT"):
            raise Stop

    event.listen(store.engine, "after_cursor_execute", strike)

    def work():
        with store.begin() as connection:
            connection.exec_driver_sql("UPDATE sms_meta SET value = 'torn'")
            connection.exec_driver_sql("SELECT name FROM sms_meta UNION ALL SELECT 'one more'")

    with pytest.raises(Stop) as stopped:
        work()
    assert stopped.tb is not None
    other = sqlite3.connect(tmp_path / "sms.db", timeout=0, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert other.execute("SELECT count(*) FROM sms_meta WHERE value = 'torn'").fetchone() == (0,)
    other.close()
    event.remove(store.engine, "after_cursor_execute", strike)
    store.prove_writable()
    store.close()
