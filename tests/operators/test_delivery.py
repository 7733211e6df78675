"""``SmsDeliveryDailyOperator``: its days, its counts, its refusals."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_sms.hooks.sms import SmsHook
from airflow_provider_sms.operators.delivery import SmsDeliveryDailyOperator
from airflow_provider_sms.operators.sms import SmsCollectOperator
from airflow_provider_sms.store import schema
from airflow_provider_sms.store.frames import daily

CHINA = ZoneInfo("Asia/Shanghai")


@pytest.fixture
def today():
    """Give the Chinese date, of which no test may see the end."""
    now = datetime.now(CHINA)
    if now.hour == 23 and now.minute == 59:
        pytest.skip("the day is about to change")
    return now.date()


@pytest.fixture
def sent(connections, numbers):
    """Send to four numbers and collect their reports."""
    conn_id = connections("wavecom")
    SmsHook.for_connection(conn_id).send(numbers(4), "您的订单已发货", send_key="campaign")
    SmsCollectOperator(task_id="collect", sms_conn_id=conn_id).execute({})


def refresh(**given: Any):
    return SmsDeliveryDailyOperator(task_id="refresh", **given).execute({})


def move(store, moment, **more: Any):
    """Let every batch have been submitted at a moment."""
    moved = dict.fromkeys(("submitted_at", "prepared_at", "settled_at"), moment) | more
    with store.begin() as connection:
        connection.execute(schema.batches.update(), moved)


@pytest.mark.usefixtures("sent")
def test_one_day_is_counted(today, rows):
    counts = {"intended": 4, "accepted": 4, "delivered": 4, "failed": 0, "silent": 0}
    assert refresh(start=str(today)) == {"days": 1, "rows": 1, **counts}
    assert rows("SELECT day, intended, delivered FROM sms_delivery_daily") == [(str(today), 4, 4)]


@pytest.mark.parametrize("given", ["date", "text", "aware datetime"])
@pytest.mark.usefixtures("sent")
def test_a_day_may_be_given_in_three_ways(today, given):
    evening = datetime(today.year, today.month, today.day, 23, 30, tzinfo=CHINA)
    start = {"date": today, "text": str(today), "aware datetime": evening.astimezone(UTC)}[given]
    assert refresh(start=start)["delivered"] == 4


@pytest.mark.usefixtures("sent")
def test_both_ends_are_included(today):
    result = refresh(start=today - timedelta(days=2), end=today)
    assert (result["days"], result["delivered"]) == (3, 4)


@pytest.mark.usefixtures("sent")
def test_the_day_is_one_of_the_zone(rows):
    """Somewhere on earth it is another day than in China."""
    now = datetime.now(UTC)
    for zone in ("Pacific/Kiritimati", "Etc/GMT+12"):
        there = now.astimezone(ZoneInfo(zone)).date()
        assert refresh(start=there, timezone=zone)["intended"] == 4
        assert str(there) in rows("SELECT day FROM sms_delivery_daily")


@pytest.mark.parametrize(("hours", "days"), [(72, 5), ("72", 5), (24, 3), (1, 3), (0, 2)])
@pytest.mark.usefixtures("store_connection")
def test_without_a_start_all_days_that_can_still_change_are_refreshed(hours, days):
    assert refresh(silent_after_hours=hours)["days"] == days


@pytest.mark.usefixtures("store_connection")
def test_templates_that_render_to_nothing_are_no_days():
    assert refresh(start="", end="")["days"] == 5


def test_older_days_that_have_changed_are_refreshed_as_well(connections, numbers, today, store, rows):
    """A message that was scheduled for later changes after its day; a day that is named is that day alone."""
    conn_id = connections("beidoutong")
    SmsHook.for_connection(conn_id).send(numbers(3), "您的订单已发货", send_key="campaign")
    then, due = (datetime.now(UTC) - timedelta(days=days) for days in (30, 4))
    move(store, then, send_at=due)
    day = then.astimezone(CHINA).date()
    assert refresh(start=today)["intended"] == 0
    result = refresh()
    assert (result["days"], result["rows"], result["intended"], result["silent"]) == (6, 1, 3, 3)
    assert rows("SELECT day, silent FROM sms_delivery_daily") == [(str(day), 3)]


def test_after_a_pause_no_day_is_left_as_it_was(connections, numbers, store, rows):
    """
    Eleven nights without a refresh: days between were never made, the last one made was not silent yet.

    After it, a night is a night again.
    """
    conn_id = connections("beidoutong")
    last, between = (datetime.now(UTC) - timedelta(days=days) for days in (11, 8))
    for send_key, moment in (("a", last), ("b", between)):
        SmsHook.for_connection(conn_id).send(numbers(3), "您的订单已发货", send_key=send_key)
        moved = dict.fromkeys(("submitted_at", "prepared_at", "settled_at"), moment)
        with store.begin() as connection:
            these = schema.batches.update().where(schema.batches.c.send_key == send_key)
            connection.execute(these, moved)
    night = last.astimezone(CHINA).date()
    daily.refresh_delivery_daily(store, night, night, silent_after_hours=24 * 365)
    daily.note_up_to_date(store, last)
    assert rows("SELECT silent FROM sms_delivery_daily") == [0]
    assert refresh()["days"] == 11 + 5
    assert rows("SELECT day, silent FROM sms_delivery_daily ORDER BY day") == [
        (str(moment.astimezone(CHINA).date()), 3) for moment in (last, between)
    ]
    assert refresh()["days"] == 5


def test_two_runs_at_once_are_both_done(store):
    """Each notes that all is up to date; the later moment stays."""
    moments = [datetime.now(UTC) - timedelta(seconds=each) for each in range(8)]
    for _ in range(5):
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda moment: daily.note_up_to_date(store, moment), moments))
        assert daily.up_to_date_since(store) == max(moments)


def test_a_batch_that_went_out_on_a_later_day_counts_once(connections, numbers, store, rows):
    """The day that it has left is made anew."""
    SmsHook.for_connection(connections("beidoutong")).send(numbers(3), "您的订单已发货", send_key="campaign")
    then, now = datetime.now(UTC) - timedelta(days=30), datetime.now(UTC)
    move(store, then)
    refresh(start=then.astimezone(CHINA))
    move(store, now)
    assert refresh()["intended"] == 3
    assert rows("SELECT sum(intended) FROM sms_delivery_daily") == [3]


def test_a_message_is_silent_only_after_so_many_hours(connections, numbers, today):
    SmsHook.for_connection(connections("beidoutong")).send(numbers(3), "您的订单已发货", send_key="campaign")
    assert refresh(start=today)["silent"] == 0
    assert refresh(start=today, silent_after_hours=0)["silent"] == 3


@pytest.mark.usefixtures("sent")
def test_again_gives_the_same_rows(today, rows):
    table = "SELECT * FROM sms_delivery_daily"
    refresh(start=today)
    first = rows(table)
    refresh(start=today)
    assert rows(table) == first


@pytest.mark.usefixtures("store_connection")
def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(AirflowFailException) as failure:
        refresh(start="24.12.2026", end="soon", timezone="Asia/Atlantis", silent_after_hours=-1)
    told = str(failure.value)
    for part in ("start is '24.12.2026'", "end is 'soon'", "Asia/Atlantis", "silent_after_hours is -1"):
        assert part in told


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"end": "2026-10-24"}, "end is given without start"),
        ({"start": "2026-10-24", "end": "2026-10-23"}, "before start"),
        ({"start": "2026-02-30"}, "give a day like"),
        ({"start": ["2026-02-03"]}, "give a day like"),
        ({"start": datetime.max.replace(tzinfo=UTC)}, "give a day like"),
        ({"start": "9999-12-31"}, "give a day from"),
        ({"start": "2026-02-03", "end": "0001-01-01"}, "give a day from"),
        ({"silent_after_hours": "nan"}, "silent_after_hours"),
        ({"silent_after_hours": "three days"}, "silent_after_hours"),
        ({"timezone": "/etc/passwd"}, "timezone"),
        ({"store_conn_id": "no_such_store"}, "no such connection"),
    ],
)
@pytest.mark.usefixtures("store_connection")
def test_what_cannot_be_is_refused_for_good(given, problem):
    with pytest.raises(AirflowFailException, match=problem):
        refresh(**given)


def test_its_outlet_is_the_table_unless_it_is_given_others():
    (outlet,) = SmsDeliveryDailyOperator(task_id="refresh").outlets
    assert outlet.uri == "sms://daily/deliveries"
    assert SmsDeliveryDailyOperator(task_id="refresh", outlets=[]).outlets == []


def test_the_constructor_checks_nothing():
    """A template may still become a day."""
    operator = SmsDeliveryDailyOperator(
        task_id="refresh", start="{{ ds }}", silent_after_hours="{{ params.x }}"
    )
    assert operator.start == "{{ ds }}"
