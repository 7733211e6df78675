"""SQLite's one writer: the threads of a process wait for each other, not for SQLite to look again."""

from __future__ import annotations

import threading

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
one_writer._PATIENCE = 3600
store = Store.open(sys.argv[1], spool_dir=Path(sys.argv[2]))
begun, end = threading.Event(), threading.Event()
def have_the_turn():
    # Not in a transaction: SQLite bears no fork while one is open.
    with one_writer.turn_to_write(store.engine):
        begun.set()
        end.wait(30)
thread = threading.Thread(target=have_the_turn)
thread.start()
assert begun.wait(10)
child = os.fork()
if child == 0:
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
