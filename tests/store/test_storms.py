"""The storm guard holds across processes, and what it holds back is told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text

from airflow_provider_sms.store.schema import storms
from airflow_provider_sms.store.storms import Held, Storms, digest_of

NUMBERS = ["13800138000", "13800138001"]
TEXT = digest_of("磁盘已满")


@pytest.fixture
def guard(store):
    return Storms(store, "sms", window=600, per_hour=3, pending=60)


@pytest.fixture
def age(store):
    """Let time pass for all rows."""

    def age(minutes):
        shift = {
            "sqlite": "strftime('%Y-%m-%d %H:%M:%f', since, :shift || ' minutes') || '000'",
            "postgresql": "since + make_interval(mins => CAST(:shift AS int))",
            "mysql": "since + INTERVAL :shift MINUTE",
        }[store.dialect.removeprefix("other")]
        died = shift.replace("since", "pending_until")
        with store.begin() as connection:
            update = f"UPDATE sms_storms SET since = {shift}, pending_until = {died}"  # noqa: S608
            connection.execute(text(update), {"shift": -minutes})

    return age


def say(guard, what=TEXT, to=NUMBERS):
    admitted = guard.admit(to, what)
    guard.sent(admitted.held, what)
    return admitted.held


def test_the_same_text_goes_out_once_per_window(guard, age):
    assert set(say(guard)) == set(NUMBERS)
    assert [say(guard) for _ in range(3)] == [{}] * 3
    age(11)
    assert say(guard) == dict.fromkeys(NUMBERS, Held(same=3))
    age(11)
    assert say(guard) == dict.fromkeys(NUMBERS, Held())


def test_a_number_gets_so_many_texts_an_hour(guard, age):
    told = [say(guard, digest_of(str(each)), NUMBERS[:1]) for each in range(5)]
    assert [len(each) for each in told] == [1, 1, 1, 0, 0]
    assert say(guard, TEXT, NUMBERS[1:])
    age(61)
    assert say(guard, digest_of("next"), NUMBERS[:1]) == {NUMBERS[0]: Held(other=2)}


def test_what_was_not_sent_holds_nothing_back_and_keeps_the_counts(guard, age):
    say(guard)
    say(guard)
    age(11)
    admitted = guard.admit(NUMBERS, TEXT)
    assert admitted.held == dict.fromkeys(NUMBERS, Held(same=1))
    guard.failed(admitted.held, TEXT)
    assert say(guard) == dict.fromkeys(NUMBERS, Held(same=1))


def test_each_hour_begins_with_its_first_text(guard, age):
    """And is over an hour later, however steadily alerts come."""
    told = []
    for each in range(12):
        told.append(len(say(guard, digest_of(str(each)), NUMBERS[:1])))
        age(16)
    assert told == [1, 1, 1, 0] * 3


def test_what_was_not_sent_does_not_count_in_the_hour(guard, age):
    """Nor does it lose what the hour held back before."""
    for each in range(4):
        say(guard, digest_of(str(each)))
    age(61)
    for _ in range(4):
        admitted = guard.admit(NUMBERS, TEXT)
        assert admitted.held == dict.fromkeys(NUMBERS, Held(other=1))
        guard.failed(admitted.held, TEXT)
    assert say(guard) == dict.fromkeys(NUMBERS, Held(other=1))


def test_what_came_while_one_failed_is_counted(guard):
    admitted = guard.admit(NUMBERS, TEXT)
    for _ in range(5):
        assert not guard.admit(NUMBERS, TEXT).held
    guard.failed(admitted.held, TEXT)
    assert say(guard) == dict.fromkeys(NUMBERS, Held(same=5))


def test_a_process_that_died_on_the_way_does_not_silence_the_next(guard, age):
    assert guard.admit(NUMBERS, TEXT).held
    assert not guard.admit(NUMBERS, TEXT).held
    age(2)
    assert guard.admit(NUMBERS, TEXT).held == dict.fromkeys(NUMBERS, Held(same=1))


def test_rules_can_be_switched_off(store):
    free = Storms(store, "sms", window=0, per_hour=0, pending=60)
    assert all(say(free) for _ in range(10))


def test_connections_count_for_themselves(guard, store):
    say(guard)
    assert say(Storms(store, "other", window=600, per_hour=3, pending=60))


def test_many_at_once_are_one_message_and_the_rest_is_counted(guard, age):
    with ThreadPoolExecutor(4) as pool:
        admitted = list(pool.map(lambda _: guard.admit(NUMBERS, TEXT), range(20)))
    assert sum(len(each.held) for each in admitted) == 2
    age(11)
    assert guard.admit(NUMBERS, TEXT).held == dict.fromkeys(NUMBERS, Held(same=19))


def test_no_text_is_stored(guard, rows):
    say(guard)
    assert set(rows("SELECT digest FROM sms_storms")) == {TEXT, "*"}


@pytest.mark.parametrize("note", ["sent", "failed"])
def test_an_alert_that_ends_while_another_begins_waits_for_it(guard, store, note):
    """Both change the number's two rows: in another order, the database would take one of them back."""
    admitted = guard.admit(NUMBERS[:1], TEXT)
    of_number = select(storms.c.sent).where(storms.c.mobile == NUMBERS[0]).with_for_update()
    with ThreadPoolExecutor(1) as thread:
        with store.begin() as connection:
            connection.execute(of_number.where(storms.c.digest == "*")).one()
            ended = thread.submit(getattr(guard, note), admitted.held, TEXT)
            with pytest.raises(TimeoutError):
                ended.result(0.5)
            connection.execute(of_number.where(storms.c.digest == TEXT)).one()
        ended.result(20)
