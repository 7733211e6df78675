"""What pandas gets, and the daily table it makes."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from airflow_provider_sms.records import BatchState, DeliveryStatus
from airflow_provider_sms.store import frames, schema
from airflow_provider_sms.store.carriers import carrier_of_prefix

DAY = date(2025, 3, 1)
#: Half past midnight of that day in Shanghai; still the day before in UTC.
EARLY = datetime(2025, 2, 28, 16, 30, tzinfo=UTC)
MOBILE, UNICOM = "13800130001", "18600000001"


def refreshed(store, **options: Any):
    return frames.refresh_delivery_daily(store, DAY, DAY, **options)


def test_a_days_figures(store, sent, land, make_report):
    """Per carrier; latencies are those of delivered messages."""
    numbers = [f"1380013{number:04d}" for number in range(10)]
    sent("a", [[*numbers, UNICOM]], BatchState.ACCEPTED)
    land(
        [
            make_report(number, "77", at=EARLY + timedelta(seconds=10 * place))
            for place, number in enumerate(numbers[:6])
        ]
    )
    land(
        [
            make_report(number, "77", DeliveryStatus.FAILED, EARLY + timedelta(hours=1))
            for number in numbers[6:8]
        ]
    )
    land([make_report(numbers[8], "77", DeliveryStatus.PENDING, EARLY)])
    frame = refreshed(store).set_index("carrier")
    mobile, unicom = frame.loc["China Mobile"], frame.loc["China Unicom"]
    counted = ["intended", "accepted", "delivered", "failed", "silent"]
    assert list(mobile[counted]) == [10, 10, 6, 2, 2]
    assert list(unicom[counted]) == [1, 1, 0, 0, 1]
    assert mobile["delivery_rate"] == pytest.approx(0.6)
    assert mobile["latency_p50_seconds"] == pytest.approx(25)
    assert mobile["latency_p95_seconds"] == pytest.approx(47.5)
    assert unicom["delivery_rate"] == 0
    assert pd.isna(unicom["latency_p50_seconds"])


def test_a_vendor_without_reports_has_no_rate(store, sent, ask):
    sent("a", [[UNICOM]], BatchState.ACCEPTED, vendor="linkws")
    [row] = refreshed(store).to_dict("records")
    assert [row[name] for name in ("intended", "accepted", "delivered", "failed", "silent")] == [
        1,
        1,
        0,
        0,
        0,
    ]
    assert pd.isna(row["delivery_rate"])
    assert ask("SELECT delivery_rate FROM sms_delivery_daily") == [(None,)]


@pytest.mark.parametrize(
    ("state", "counts"),
    [
        (BatchState.ACCEPTED, (1, 1, 1)),
        (BatchState.REJECTED, (1, 0, 0)),
        (BatchState.NOT_SENT, (1, 0, 0)),
        (BatchState.UNKNOWN, (1, 0, 0)),
    ],
)
def test_what_was_not_accepted_was_intended(store, sent, state, counts):
    """A rate of nothing is no rate."""
    sent("a", [[MOBILE]], state)
    [row] = refreshed(store).to_dict("records")
    assert (row["intended"], row["accepted"], row["silent"]) == counts
    assert pd.isna(row["delivery_rate"]) is (counts[1] == 0)


def test_a_report_proves_an_unknown_message_accepted(store, sent, land, make_report):
    sent("a", [[MOBILE]], BatchState.UNKNOWN)
    land([make_report(MOBILE, "aref1", at=EARLY)])
    [row] = refreshed(store).to_dict("records")
    assert (row["accepted"], row["delivered"], row["delivery_rate"]) == (1, 1, 1.0)


def test_nothing_is_silent_before_its_time(store, sent):
    sent("a", [[MOBILE]], BatchState.ACCEPTED, at=store.now() - timedelta(hours=71))
    day = (store.now() - timedelta(hours=71)).astimezone(timezone("Asia/Shanghai")).date()
    [row] = frames.refresh_delivery_daily(store, day, day).to_dict("records")
    assert row["silent"] == 0
    [row] = frames.refresh_delivery_daily(store, day, day, silent_after_hours=70).to_dict("records")
    assert row["silent"] == 1


def timezone(name):
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)


@pytest.mark.parametrize(
    ("moment", "counts"),
    [
        (datetime(2025, 2, 28, 15, 59, 59, tzinfo=UTC), 0),
        (datetime(2025, 2, 28, 16, 0, tzinfo=UTC), 1),
        (datetime(2025, 3, 1, 15, 59, 59, 999999, tzinfo=UTC), 1),
        (datetime(2025, 3, 1, 16, 0, tzinfo=UTC), 0),
    ],
)
def test_a_day_is_a_local_day_of_the_submit(store, sent, moment, counts):
    sent("a", [[MOBILE]], BatchState.ACCEPTED, at=moment)
    assert len(refreshed(store)) == counts
    assert len(refreshed(store, timezone="UTC")) == int(moment.date() == DAY)


def test_a_send_that_was_never_submitted_counts_by_its_plan(store, plan):
    plan("a", [[MOBILE]])
    with store.begin() as connection:
        connection.execute(schema.batches.update(), {"prepared_at": EARLY})
    assert list(refreshed(store)["intended"]) == [1]


def test_refreshing_again_gives_the_same(store, sent, land, make_report):
    """Also after a report came, and after a send was taken away: nothing is left of what was."""
    sent("a", [[MOBILE, UNICOM]], BatchState.ACCEPTED)
    first = refreshed(store)
    pd.testing.assert_frame_equal(refreshed(store), first)
    land([make_report(MOBILE, "77", at=EARLY)])
    assert list(refreshed(store)["delivered"]) == [1, 0]
    with store.begin() as connection:
        connection.execute(schema.batches.delete())
    assert refreshed(store).empty


def test_other_days_stay(store, sent):
    sent("a", [[MOBILE]], BatchState.ACCEPTED)
    sent("b", [[MOBILE]], BatchState.ACCEPTED, at=EARLY + timedelta(days=1))
    both = frames.refresh_delivery_daily(store, DAY, DAY + timedelta(days=1))
    assert list(both["day"]) == [pd.Timestamp(DAY), pd.Timestamp(DAY) + pd.Timedelta(days=1)]
    refreshed(store)
    assert len(frames.daily_frame(store, DAY, DAY + timedelta(days=1))) == 2


def test_two_refreshes_at_once_take_turns(store, sent):
    sent("a", [[MOBILE]], BatchState.ACCEPTED)
    gate, failures = threading.Barrier(3), []

    def work():
        gate.wait()
        try:
            refreshed(store)
        except Exception as failure:  # noqa: BLE001 - any is one too many
            failures.append(failure)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(frames.daily_frame(store, DAY, DAY)) == 1


TIMES = {"submitted_at", "reported_at", "received_at", "landed_at"}


@pytest.mark.parametrize("filled", [True, False])
def test_frames_have_the_same_columns_and_types_full_or_empty(
    store, sent, land, make_report, make_reply, filled
):
    """Times are aware UTC, counts are whole, days are days."""
    sent("a", [[MOBILE]], BatchState.ACCEPTED)
    land([make_report(MOBILE, "77", at=EARLY)])
    land([make_reply(MOBILE, "好", at=EARLY)], queue="replies")
    refreshed(store)
    shift = timedelta(0 if filled else 900)
    span = (EARLY - shift, EARLY - shift + timedelta(seconds=1))
    made = {
        "message": frames.message_frame(store, *span),
        "replies": frames.replies_frame(store, *span),
        "daily": frames.daily_frame(store, DAY - shift, DAY - shift),
    }
    for frame in made.values():
        assert len(frame) == int(filled)
        for name in TIMES & set(frame):
            assert str(frame[name].dtype) == "datetime64[us, UTC]"
    assert made["message"]["seq"].dtype == "int64"
    assert made["message"]["latency_seconds"].dtype == "float64"
    assert made["daily"]["intended"].dtype == "int64"
    assert made["daily"]["delivery_rate"].dtype == "float64"
    assert made["daily"]["day"].dtype.kind == "M"
    if filled:
        assert made["message"]["reported_at"][0] == EARLY
        assert made["message"]["latency_seconds"][0] == 0
        assert made["replies"]["content"][0] == "好"


@pytest.mark.parametrize(
    ("prefix", "carrier"),
    [
        ("1380013", "China Mobile"),
        ("1860000", "China Unicom"),
        ("1890000", "China Telecom"),
        ("0755123", "unknown"),
        ("", "unknown"),
        ("13800", "unknown"),
        ("１380013", "unknown"),
    ],
)
def test_the_carrier_of_a_prefix(prefix, carrier):
    assert carrier_of_prefix(prefix) == carrier


def test_an_older_count_never_overwrites_a_newer_one(store, sent, land, make_report, monkeypatch):
    """A reads, a report lands, B reads and writes, A writes: what stands is what B saw."""
    from airflow_provider_sms.store.frames import daily

    sent("a", [[MOBILE]], BatchState.ACCEPTED)
    count, counted = daily.delivery_frame, []

    def count_and_be_overtaken(*given: Any, **options: Any):
        figures = count(*given, **options)
        counted.append(figures)
        if len(counted) == 1:
            land([make_report(MOBILE, "77", at=EARLY)])
            assert list(refreshed(store)["delivered"]) == [1]
        return figures

    monkeypatch.setattr(daily, "delivery_frame", count_and_be_overtaken)
    assert list(refreshed(store)["delivered"]) == [1]
    assert list(frames.daily_frame(store, DAY, DAY)["delivered"]) == [1]
    # A, B, and A again; another day's refresh would have been in nobody's way.
    assert len(counted) == 3


def test_a_refresh_that_is_overtaken_again_and_again_says_so(store, sent, monkeypatch):
    """It ends, and in an error that Airflow retries; the others' rows stand."""
    from airflow_provider_sms.errors import StoreUnavailable
    from airflow_provider_sms.store.frames import daily

    sent("a", [[MOBILE]], BatchState.ACCEPTED)
    count = daily.delivery_frame

    def always_be_overtaken(*given: Any, **options: Any):
        figures = count(*given, **options)
        with monkeypatch.context() as patch:
            patch.setattr(daily, "delivery_frame", count)
            refreshed(store)
        return figures

    monkeypatch.setattr(daily, "delivery_frame", always_be_overtaken)
    with pytest.raises(StoreUnavailable, match="refreshed by others"):
        refreshed(store)
    assert len(frames.daily_frame(store, DAY, DAY)) == 1
