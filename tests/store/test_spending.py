"""What was sent against what the balance lost."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pandas as pd
import pytest

from airflow_provider_sms.records import Balance, BalanceSource, BatchState
from airflow_provider_sms.store import frames
from airflow_provider_sms.store.balances import Balances

DAY = date(2025, 3, 1)
MIDNIGHT = datetime(2025, 2, 28, 16, 0, tzinfo=UTC)
NUMBERS = [f"1380013{number:04d}" for number in range(100)]


@pytest.fixture
def told(store):
    """Write a balance down: ``told(hours, remaining)``, counted from the Chinese midnight."""

    def write(hours, remaining, conn_id="sms_main", unit="messages", source=BalanceSource.CHECK):
        at = MIDNIGHT + timedelta(hours=hours)
        balance = Balance(Decimal(str(remaining)), unit)
        Balances(store).record(conn_id, "wavecom", balance, at, source=source)

    return write


@pytest.fixture
def answered(told):
    """Have the answer to a send tell a balance: ``answered(hours, remaining)``."""
    return partial(told, source=BalanceSource.ANSWER)


@pytest.fixture
def spent(sent):
    """Send so many one-segment messages at an hour."""
    keys = iter(range(1000))

    def send(hours, count, state=BatchState.ACCEPTED, **fields: Any):
        sent(f"s{next(keys)}", [NUMBERS[:count]], state, at=MIDNIGHT + timedelta(hours=hours), **fields)

    return send


def spending(store, start=DAY, end=DAY):
    return frames.spending_frame(store, start, end).to_dict("records")


def test_a_day_between_checks(store, told, spent):
    told(-2, 1000)
    spent(1, 30)
    spent(2, 20, segments=2)
    told(12, 930)
    spent(13, 5)
    told(20, 925)
    [row] = spending(store)
    assert (row["day"], row["conn_id"], row["vendor"]) == (pd.Timestamp(DAY), "sms_main", "wavecom")
    assert (row["messages"], row["segments"], row["checks"]) == (55, 75, 2)
    assert (row["opening"], row["closing"], row["spent"], row["topped_up"]) == (1000, 925, 75, 0)
    assert (row["opening_at"], row["closing_at"]) == (
        MIDNIGHT - timedelta(hours=2),
        MIDNIGHT + timedelta(hours=20),
    )
    assert (row["segments_between"], row["difference"], row["per_segment"]) == (75, 0, 1)


def test_a_rise_is_a_top_up(store, told, spent):
    """What was spent meanwhile is in neither sum."""
    told(1, 100)
    spent(2, 10)
    told(3, 90)
    spent(4, 7)
    told(5, 583)
    spent(6, 3)
    told(7, 580)
    [row] = spending(store)
    assert (row["opening"], row["closing"]) == (100, 580)
    assert (row["topped_up"], row["spent"], row["segments_between"], row["difference"]) == (493, 13, 13, 0)
    assert row["segments"] == 20


def test_what_somebody_else_spent_shows(store, told, spent):
    told(1, 100)
    spent(2, 10)
    told(3, 50)
    [row] = spending(store)
    assert (row["spent"], row["segments_between"], row["difference"]) == (50, 10, 40)


def test_what_was_sent_outside_the_checks_is_compared_with_nothing(store, told, spent):
    spent(0.5, 10)
    told(1, 100)
    spent(2, 5)
    told(3, 95)
    spent(4, 10)
    [row] = spending(store)
    assert (row["segments"], row["segments_between"], row["spent"], row["difference"]) == (25, 5, 5, 0)


def test_money_has_a_price_and_no_difference(store, told, spent):
    told(1, "10.00", unit="money")
    spent(2, 50)
    told(3, "7.50", unit="money")
    [row] = spending(store)
    assert (row["unit"], row["spent"], row["per_segment"]) == ("money", 2.5, pytest.approx(0.05))
    assert pd.isna(row["difference"])


def test_days_follow_one_another(store, told, spent):
    """What was lost over midnight belongs to the check that told it."""
    told(20, 100)
    spent(22, 10)
    told(26, 90)
    spent(30, 4)
    told(40, 86)
    rows = spending(store, DAY, DAY + timedelta(days=2))
    assert [(row["day"].day, row["segments"], row["spent"], row["difference"]) for row in rows] == [
        (1, 10, 0, 0),
        (2, 4, 14, 0),
    ]
    # The day alone says the same as among others.
    assert spending(store, DAY + timedelta(days=1), DAY + timedelta(days=1)) == rows[1:]


def test_no_row_is_read_of_batches_outside_of_the_checks(store, told, spent, monkeypatch):
    """A balance that was told once, long ago, makes nothing read what was sent since; nor do many batches."""
    from airflow_provider_sms.store.frames import spending as module

    read, rows = module.read, []

    def counting(*given: Any):
        frame = read(*given)
        rows.append(len(frame))
        return frame

    monkeypatch.setattr(module, "read", counting)
    told(-24 * 365, 100, conn_id="sms_retired")
    told(-2, 100)
    spent(1, 10)
    told(3, 90)
    expected, first = spending(store), sum(rows)
    for hours in range(-300, 0, 30):
        spent(hours - 3, 2, conn_id="sms_retired")
        spent(hours - 3, 2)
    rows.clear()
    assert spending(store) == expected
    assert sum(rows) == first
    # Within the checks the database sums as well.
    for _ in range(10):
        spent(2, 1)
    rows.clear()
    [row] = spending(store)
    assert (row["segments"], row["segments_between"], sum(rows)) == (20, 20, first)


def test_what_is_sent_in_the_moment_of_a_check_belongs_to_the_next(store, told, spent):
    told(1, 100)
    spent(1, 10)
    told(3, 90)
    told(3, 90)
    spent(3, 5)
    told(5, 85)
    [row] = spending(store)
    assert (row["checks"], row["spent"], row["segments_between"], row["difference"]) == (4, 15, 15, 0)


def test_accounts_are_told_apart(store, told, spent):
    told(1, 100)
    told(1, 500, conn_id="sms_other")
    spent(2, 10)
    spent(2, 20, conn_id="sms_other")
    told(3, 90)
    told(3, 480, conn_id="sms_other")
    rows = spending(store)
    assert [(row["conn_id"], row["spent"], row["difference"]) for row in rows] == [
        ("sms_main", 10, 0),
        ("sms_other", 20, 0),
    ]


@pytest.mark.parametrize(
    ("state", "segments", "unknown"),
    [(BatchState.ACCEPTED, 10, 0), (BatchState.UNKNOWN, 0, 10)],
)
def test_without_checks_there_are_the_messages(store, spent, state, segments, unknown):
    spent(2, 10, state)
    [row] = spending(store)
    assert (row["segments"], row["unknown_segments"], row["checks"]) == (segments, unknown, 0)
    assert all(pd.isna(row[name]) for name in ("unit", "opening", "closing_at", "spent", "per_segment"))


def test_what_was_refused_costs_nothing(store, spent):
    spent(2, 10, BatchState.REJECTED)
    assert spending(store) == []


def test_a_batch_of_which_the_vendor_took_a_part(store, ledger, plan):
    """Only that part is charged."""
    plan("a", [NUMBERS[:10]], segments=2)
    assert ledger.claim("a", 1, "worker", 60, "ref")
    assert ledger.settle("a", 1, BatchState.ACCEPTED, owner="worker", accepted_count=7)
    today = store.now().date()
    [row] = spending(store, today - timedelta(days=1), today + timedelta(days=1))
    assert (row["messages"], row["segments"]) == (7, 14)


def test_a_change_of_unit_is_no_movement(store, told):
    told(1, 100)
    told(2, "3.5", unit="money")
    [row] = spending(store)
    assert (row["unit"], row["opening"], row["closing"]) == ("money", 100, 3.5)
    assert (row["spent"], row["topped_up"]) == (0, 0)


def test_answers_that_cross_are_no_top_up(store, told, spent, answered):
    """Answers to sends under way together come in any order; the checks around them tell what was spent."""
    told(1, 200_000)
    for hours, remaining in ((2.0, 199_990), (2.1, 199_950), (2.2, 199_980), (2.3, 199_960)):
        spent(hours - 0.05, 10)
        answered(hours, remaining)
    told(3, 199_960)
    [row] = spending(store)
    assert (row["topped_up"], row["spent"], row["segments_between"], row["difference"]) == (0, 40, 40, 0)
    assert (row["checks"], row["opening"], row["closing"]) == (2, 200_000, 199_960)


def test_behind_the_last_check_answers_tell_what_is_left(store, told, spent, answered):
    """As far as they fall: one that comes late tells nothing."""
    told(1, 100)
    for hours, remaining in ((2.0, 90), (2.1, 60), (2.2, 80), (2.3, 70)):
        spent(hours - 0.05, 10)
        answered(hours, remaining)
    [row] = spending(store)
    assert (row["topped_up"], row["spent"], row["checks"]) == (0, 40, 1)
    assert (row["closing"], row["closing_at"]) == (60, MIDNIGHT + timedelta(hours=2.1))
    # What was sent since is compared with what is told next.
    assert row["segments_between"] == 20
    spent(3, 5)
    answered(3.1, 55)
    [row] = spending(store)
    assert (row["spent"], row["segments_between"], row["difference"]) == (45, 45, 0)


def test_what_answers_told_on_one_day_is_not_told_again_by_the_next(store, told, spent, answered):
    """And each day alone says the same as among others, also once a check came later."""
    told(10, 100)
    spent(20, 30)
    answered(20.1, 70)
    answered(20.2, 75)
    [first] = spending(store)
    assert (first["spent"], first["difference"], first["closing"]) == (30, 0, 70)
    spent(26, 5)
    answered(26.1, 65)
    told(30, 64)
    days = [DAY + timedelta(days=count) for count in range(3)]
    rows = spending(store, days[0], days[-1])
    assert rows == [first, *spending(store, days[1], days[1])]
    second = rows[1]
    assert (second["opening"], second["spent"], second["topped_up"], second["closing"]) == (70, 6, 0, 64)
    assert (second["segments_between"], second["difference"], second["checks"]) == (5, 1, 1)


@pytest.mark.parametrize(("checked", "topped_up"), [(95, 0), (160, 100)])
def test_only_a_rise_from_check_to_check_is_a_top_up(store, told, spent, answered, checked, topped_up):
    """What answers told since the first is no measure for it: the check may have been told before them."""
    told(10, 100)
    spent(20, 40)
    answered(20.1, 60)
    told(26, checked)
    told(28, checked - 5)
    first, second = spending(store, DAY, DAY + timedelta(days=1))
    assert (first["spent"], first["topped_up"]) == (40, 0)
    assert (second["spent"], second["topped_up"]) == (5, topped_up)


def test_an_account_that_is_never_checked_shows_falls_alone(store, spent, answered):
    answered(1, 100)
    spent(2, 10)
    answered(2.1, 90)
    answered(3, 1000)
    answered(26, 990)
    [row] = spending(store, DAY, DAY + timedelta(days=2))
    assert (row["spent"], row["topped_up"], row["checks"], row["closing"]) == (10, 0, 0, 90)


def test_no_rows_but_all_columns(store, told, spent):
    told(1, 100)
    spent(2, 10)
    full = frames.spending_frame(store, DAY, DAY)
    for empty in (
        frames.spending_frame(store, date(2020, 1, 1), date(2020, 1, 1)),
        frames.spending_frame(store, DAY, DAY - timedelta(days=1)),
    ):
        assert len(empty) == 0
        assert list(empty.dtypes.items()) == list(full.dtypes.items())
    assert str(full["closing_at"].dtype) == "datetime64[us, UTC]"
    assert str(full["segments"].dtype) == "int64"
