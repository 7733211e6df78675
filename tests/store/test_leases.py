"""Leases: one reader per queue, by the store's clock."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from sqlalchemy import event

from airflow_provider_sms.errors import QueueBusy
from airflow_provider_sms.store.leases import Leases

QUEUE = ("sms_main", "reports")


@pytest.fixture
def leases(store):
    return Leases(store)


def test_one_holds_it_and_the_others_learn_who(leases, store):
    lease = leases.acquire(*QUEUE, "host:1", 60)
    assert timedelta(seconds=50) < lease.expires_at - store.now() <= timedelta(seconds=60)
    with pytest.raises(QueueBusy, match=r"host:1 .* until 20[0-9: -]+ UTC, .*nothing was read") as caught:
        leases.acquire(*QUEUE, "host:2", 60)
    assert caught.value.owner == "host:1"
    assert leases.holder(*QUEUE).owner == "host:1"


def test_other_queues_are_free(leases):
    leases.acquire(*QUEUE, "me", 60)
    leases.acquire("sms_main", "replies", "you", 60)
    leases.acquire("other", "reports", "you", 60)


def test_what_is_done_with_one_lease_changes_no_other(leases):
    """Neither those that are free nor those of the same owner."""
    others = (("sms_main", "replies"), ("other", "reports"))
    for queue in (QUEUE, *others):
        leases.release(leases.acquire(*queue, "me", 60))
    lease = leases.acquire(*QUEUE, "me", 60)
    assert [leases.holder(*queue) for queue in others] == [None, None]
    held = [leases.acquire(*queue, "me", 60) for queue in others]
    leases.mark_read(lease, 5)
    leases.renew(lease, 90)
    leases.release(lease, read=5.0)
    assert leases.holder(*QUEUE) is None
    assert [leases.holder(*queue) for queue in others] == held
    assert [leases.wait_seconds(*queue) for queue in others] == [0, 0]


def test_taking_it_is_one_statement_where_the_database_tells_what_it_wrote(leases, store):
    """With two, a connection that breaks in between leaves a lease that nobody knows to be his."""
    leases.release(leases.acquire(*QUEUE, "me", 60))
    statements = []

    def note(_connection, _cursor, statement, *_: object):
        statements.append(statement.split()[0])

    event.listen(store.engine, "before_cursor_execute", note)
    try:
        taken = leases.acquire(*QUEUE, "me", 60)
    finally:
        event.remove(store.engine, "before_cursor_execute", note)
    assert (taken.owner, taken.expires_at) == ("me", leases.holder(*QUEUE).expires_at)
    statements = [each for each in statements if each != "BEGIN"]
    assert statements == (["UPDATE"] if store.engine.dialect.update_returning else ["UPDATE", "SELECT"])


def test_its_owner_takes_it_again(leases):
    first = leases.acquire(*QUEUE, "me", 10)
    assert leases.acquire(*QUEUE, "me", 60).expires_at > first.expires_at


def test_a_dead_holders_lease_runs_out(leases):
    leases.acquire(*QUEUE, "dead", -1)
    assert leases.holder(*QUEUE) is None
    assert leases.acquire(*QUEUE, "me", 60).owner == "me"


def test_a_lease_that_was_given_back_is_free(leases):
    leases.release(leases.acquire(*QUEUE, "me", 60))
    assert leases.holder(*QUEUE) is None
    leases.acquire(*QUEUE, "you", 60)


def test_giving_back_a_lost_lease_takes_it_from_nobody(leases):
    lost = leases.acquire(*QUEUE, "slow", -1)
    leases.acquire(*QUEUE, "me", 60)
    leases.release(lost)
    assert leases.holder(*QUEUE).owner == "me"


def test_renewing_holds_it_longer(leases):
    lease = leases.acquire(*QUEUE, "me", 1)
    assert leases.renew(lease, 60).expires_at > lease.expires_at


def test_renewing_late_is_fine_while_nobody_took_it(leases):
    leases.renew(leases.acquire(*QUEUE, "me", -1), 60)


def test_renewing_a_lost_lease_is_refused(leases):
    """Reading on would be a second reader."""
    lost = leases.acquire(*QUEUE, "slow", -1)
    leases.acquire(*QUEUE, "me", 60)
    with pytest.raises(QueueBusy) as caught:
        leases.renew(lost, 60)
    assert caught.value.owner == "me"


def test_of_eight_threads_one_gets_it(leases):
    taken, gate = [], threading.Barrier(8)

    def work(name):
        gate.wait()
        try:
            taken.append(leases.acquire(*QUEUE, name, 60).owner)
        except QueueBusy as busy:
            taken.append(busy.owner)

    threads = [threading.Thread(target=work, args=(f"worker{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 8
    assert len(set(taken)) == 1


def test_the_vendors_interval_holds_for_whoever_is_next(leases):
    """Also after the lease changed hands."""
    assert leases.wait_seconds(*QUEUE) == 0
    lease = leases.acquire(*QUEUE, "me", 60)
    assert leases.wait_seconds(*QUEUE) == 0
    leases.mark_read(lease, 5)
    leases.release(lease)
    leases.acquire(*QUEUE, "you", 60)
    assert 3 < leases.wait_seconds(*QUEUE) <= 5
    assert leases.wait_seconds("sms_main", "replies") == 0


def test_a_passed_interval_is_no_wait(leases):
    leases.mark_read(leases.acquire(*QUEUE, "me", 60), -1)
    assert leases.wait_seconds(*QUEUE) == 0


@pytest.mark.parametrize("interval", [0.0, 5.0], ids=["no interval", "an interval"])
def test_a_clock_that_was_set_back_delays_no_read(leases, store, interval):
    """A last read that lies hours ahead counts as one of now, and only once."""
    lease = leases.acquire(*QUEUE, "me", 60)
    leases.release(lease, read=interval, ago=-8 * 3600.0)
    due = leases.due(*QUEUE, 10.0)
    assert 9 < due.wait <= 10
    assert 0 <= due.age < 1
    assert interval - 1 < leases.wait_seconds(*QUEUE) <= interval
    time.sleep(0.3)
    after = leases.due(*QUEUE, 10.0)
    assert after.wait < due.wait - 0.2
    assert after.last == due.last
    assert store.now() - timedelta(seconds=30) < leases.acquire(*QUEUE, "me", 0).expires_at


def test_a_lease_that_is_given_back_says_when_its_queue_was_read(store):
    """Not when it was given back: rows may have landed in between."""
    leases = Leases(store)
    lease = leases.acquire("sms_main", "reports", "me", 60)
    leases.release(lease, read=500.0, ago=300.0)
    due = leases.due("sms_main", "reports")
    assert 300.0 <= due.age < 400.0
    assert due.wait == pytest.approx(500.0 - due.age, abs=0.1)
    assert leases.holder("sms_main", "reports") is None


def test_whoever_gives_a_lease_back_learns_which_read_was_the_last(store):
    """Found again it is equal; another's read is not, and a lease that was lost tells nothing."""
    leases = Leases(store)
    queue = ("sms_main", "reports")
    assert leases.due(*queue).last is None
    mine = leases.release(leases.acquire(*queue, "me", 60), read=0.0)
    assert mine is not None
    assert leases.due(*queue).last == mine
    # Who read nothing leaves it as it was.
    assert leases.release(leases.acquire(*queue, "you", 60)) == mine
    lost = leases.acquire(*queue, "slow", -1)
    theirs = leases.release(leases.acquire(*queue, "you", 60), read=0.0, ago=-0.01)
    assert theirs != mine
    assert leases.due(*queue).last == theirs
    assert leases.release(lost, read=0.0) is None
    assert leases.due(*queue).last == theirs
