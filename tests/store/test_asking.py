"""Days are dates and moments are aware: whatever else a frame is asked for is refused before it reads."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pandas as pd
import pytest

from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.store import frames, schema
from airflow_provider_sms.store.frames.changes import changed_days
from airflow_provider_sms.store.frames.latencies import latency_counts
from airflow_provider_sms.store.frames.places import places_frame
from airflow_provider_sms.store.frames.refusals import refusals_frame

DAY = date(2025, 3, 1)
NOON = datetime(2025, 3, 1, 4, 0, tzinfo=UTC)
OF_DAYS = (
    frames.funnel_frame,
    frames.delivery_frame,
    frames.spending_frame,
    frames.daily_frame,
    frames.refresh_delivery_daily,
    latency_counts,
    places_frame,
    refusals_frame,
)
OF_MOMENTS = (
    frames.message_frame,
    frames.answers_frame,
    frames.reports_frame,
    frames.replies_frame,
    frames.balances_frame,
)


def name_of(value):
    return getattr(value, "__name__", None)


def marks_of(store):
    """Read which days of the table were written by whom."""
    with store.reading() as connection:
        return connection.execute(schema.meta.select().where(schema.meta.c.name.like("daily %"))).all()


@pytest.fixture
def store(shared_stores):
    """Give one store for what is refused before it is read."""
    return shared_stores("sqlite")


@pytest.mark.parametrize("frame", OF_DAYS, ids=name_of)
@pytest.mark.parametrize(
    "given",
    [datetime(2025, 3, 1, 5), NOON, pd.Timestamp(DAY), pd.NaT, "2025-03-01", None, 20250301],  # noqa: DTZ001
)
def test_a_day_is_a_date(store, frame, given):
    """Both problems in one error, and nothing is written."""
    before = marks_of(store)
    with pytest.raises(PreflightError) as caught:
        frame(store, given, given)
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        f"{name} is a {type(given).__name__}" for name in ("start", "end")
    ]
    assert "date(2026, 12, 24)" in str(caught.value)
    assert marks_of(store) == before


@pytest.mark.parametrize("frame", OF_MOMENTS, ids=name_of)
@pytest.mark.parametrize(
    "given",
    [DAY, datetime(2025, 3, 1, 5), pd.Timestamp(DAY), pd.NaT, "2025-03-01 00:00", None],  # noqa: DTZ001
)
def test_a_moment_has_a_zone(store, frame, given):
    with pytest.raises(PreflightError) as caught:
        frame(store, given, given)
    assert len(caught.value.problems) == 2
    assert "tzinfo=UTC" in str(caught.value)


def test_everything_that_is_wrong_is_in_one_error(store):
    with pytest.raises(PreflightError) as caught:
        frames.delivery_frame(
            store,
            "today",
            date(9999, 12, 31),
            by=["month"],
            timezone="Mars/Olympus",
            percentiles=[101],
        )
    told = [problem.split()[0] for problem in caught.value.problems]
    assert told == ["by", "percentiles", "timezone", "start", "end"]


def test_the_day_before_which_days_have_changed(store):
    with pytest.raises(PreflightError, match="before is a datetime: give a day") as caught:
        changed_days(store, NOON)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql", "mysql"])
def test_moments_of_any_zone_and_of_pandas_are_taken(shared_stores, dialect):
    store = shared_stores(dialect)
    noon = datetime(2020, 3, 1, 4, 0, tzinfo=UTC)
    china = noon.astimezone(timezone(timedelta(hours=8)))
    for start in (noon, china, pd.Timestamp(noon), pd.Timestamp(china)):
        for frame in OF_MOMENTS:
            assert frame(store, start, start + timedelta(hours=1)).empty
