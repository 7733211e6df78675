"""Which days that are over have changed: what a nightly refresh makes anew besides the last ones."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_sms.records import BatchState
from airflow_provider_sms.store import frames, schema
from airflow_provider_sms.store.frames.changes import changed_days
from airflow_provider_sms.store.leases import Leases

DAY = date(2025, 3, 1)
#: Half past midnight of that day in Shanghai; still the day before in UTC.
EARLY = datetime(2025, 2, 28, 16, 30, tzinfo=UTC)
MOBILE = "13800130001"


@pytest.fixture
def old(store, sent):
    """Send something on the day and let everything be over: ``old("key", state, send_at=...)``."""

    def make(send_key="a", state=BatchState.ACCEPTED, settled_at=EARLY, send_at=None):
        sent(send_key, [[MOBILE]], state)
        with store.begin() as connection:
            these = schema.batches.update().where(schema.batches.c.send_key == send_key)
            connection.execute(these, {"settled_at": settled_at, "send_at": send_at})
        make_table(store)

    return make


def make_table(store, zone="Asia/Shanghai"):
    """Have the days around it in the table, so that only what changes later is found."""
    frames.refresh_delivery_daily(store, DAY - timedelta(days=2), DAY + timedelta(days=2), timezone=zone)


def changed(store, **options: Any):
    return changed_days(store, DAY + timedelta(days=10), **options)


def test_a_day_that_is_over_has_not_changed(store, old):
    old()
    assert changed(store) == []
    frames.refresh_delivery_daily(store, DAY, DAY)
    assert changed(store) == []


def test_a_day_that_was_never_made_is_found(store, old, sent):
    """Nobody was there to make it, or one account's messages of it came to light only now."""
    old()
    with store.begin() as connection:
        connection.execute(schema.delivery_daily.delete())
    assert changed(store) == [DAY]
    make_table(store)
    sent("b", [["13800130002"]], BatchState.ACCEPTED, conn_id="sms_other")
    with store.begin() as connection:
        connection.execute(schema.batches.update(), {"settled_at": EARLY})
    assert changed(store) == [DAY]
    make_table(store)
    assert changed(store) == []


def test_a_day_on_whose_messages_a_report_landed(store, old, land, make_report):
    """By the landing, however early the report says it happened; collected or pushed."""
    old()
    Leases(store).acquire("sms_main", "reports", "reader", 60)
    land([make_report("13800139999", "78", at=EARLY)])
    assert changed(store) == []
    land([make_report(MOBILE, "77", at=EARLY)])
    assert changed(store) == [DAY]
    make_table(store, "UTC")
    assert changed(store, timezone="UTC") == [DAY - timedelta(days=1)]
    make_table(store)
    with store.begin() as connection:
        connection.execute(schema.leases.delete())
        connection.execute(schema.push_queues.insert(), {"conn_id": "sms_main", "queue": "reports"})
    assert changed(store) == [DAY]
    with store.begin() as connection:
        connection.execute(schema.pages.update(), {"landed_at": EARLY + timedelta(days=3)})
    assert changed(store) == []


@pytest.mark.parametrize(("days", "expected"), [(9, []), (10, [DAY]), (40, [DAY])])
def test_a_day_whose_messages_were_due_later(store, old, days, expected):
    """They are silent only so long after the time they were scheduled for."""
    old(send_at=EARLY + timedelta(days=days))
    assert changed(store) == expected


@pytest.mark.parametrize(("days", "expected"), [(9, []), (10, [DAY])])
def test_a_day_of_a_batch_that_was_settled_later(store, old, days, expected):
    old(state=BatchState.UNKNOWN, settled_at=EARLY + timedelta(days=days))
    assert changed(store) == expected


def test_a_day_that_a_batch_has_left(store, old):
    """A refused batch that is submitted again belongs to the day of its last submit, and to no other."""
    old(state=BatchState.REJECTED)
    old("b")
    with store.begin() as connection:
        these = schema.batches.update().where(schema.batches.c.send_key == "a")
        connection.execute(these, {"submitted_at": EARLY + timedelta(days=12)})
    assert changed(store) == [DAY]
    frames.refresh_delivery_daily(store, DAY, DAY)
    assert changed(store) == []
    with store.begin() as connection:
        connection.execute(schema.batches.delete())
    assert changed(store) == [DAY]


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Asia/Kathmandu", "America/New_York", "Pacific/Chatham"])
def test_days_are_those_of_the_zone(store, old, zone):
    """Also where midnight is at no whole hour of UTC; the last moment of a day and the first of the next."""
    midnight = datetime(2025, 3, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    for moment, day in ((midnight, DAY), (midnight - timedelta(microseconds=1), DAY - timedelta(days=1))):
        with store.begin() as connection:
            for table in (schema.batches, schema.batch_ids, schema.recipients, schema.sends):
                connection.execute(table.delete())
        old(send_at=EARLY + timedelta(days=40))
        with store.begin() as connection:
            connection.execute(schema.batches.update(), {"submitted_at": moment})
        make_table(store, zone)
        assert changed(store, timezone=zone) == [day]
