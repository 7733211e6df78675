"""The funnel and the delivery figures: what they count, by what, and that the counts add up."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.records import BatchState, DeliveryStatus
from airflow_provider_sms.store import frames, schema
from airflow_provider_sms.store.carriers import province_of_prefix
from airflow_provider_sms.store.frames.outcomes import BY

DAY = date(2025, 3, 1)
#: Half past midnight of that day in Shanghai.
EARLY = datetime(2025, 2, 28, 16, 30, tzinfo=UTC)
BEIJING, UNICOM = "13800130001", "18600000001"
NUMBERS = [f"1380013{number:04d}" for number in range(10)]


def funnel(store, **options: Any):
    return frames.funnel_frame(store, DAY, DAY, **options)


@pytest.fixture
def mixed(sent, land, make_report):
    """Eleven messages of every fate, to two carriers, from two templates, in two hours."""
    sent("a", [NUMBERS, [UNICOM]], BatchState.ACCEPTED, template_id="first")
    sent("b", [NUMBERS[:3]], BatchState.REJECTED, EARLY + timedelta(hours=5), (), template_id="second")
    sent("c", [NUMBERS[:2]], BatchState.UNKNOWN, ids=(), vendor="linkws", conn_id="sms_other")
    sent("d", [NUMBERS[:1]], BatchState.NOT_SENT, ids=())
    delivered = [
        make_report(number, "77", at=EARLY + timedelta(seconds=10 * place))
        for place, number in enumerate(NUMBERS[:5])
    ]
    failed = [
        make_report(number, "77", DeliveryStatus.FAILED, EARLY + timedelta(minutes=1), error_code=code)
        for number, code in zip(NUMBERS[5:8], ("MK:1", "MK:1", "DB:2"), strict=True)
    ]
    land([*delivered, *failed, make_report(NUMBERS[8], "77", DeliveryStatus.PENDING, EARLY)])


@pytest.mark.usefixtures("mixed")
def test_the_funnel_of_a_day(store):
    [row] = funnel(store).to_dict("records")
    assert row == {
        "day": pd.Timestamp(DAY),
        "intended": 17,
        "accepted": 11,
        "rejected": 3,
        "unknown": 2,
        "not_sent": 1,
        "reported": 9,
        "delivered": 5,
        "failed": 3,
        "silent": 3,
        "waiting": 0,
        "no_reports": 0,
        "segments": 11,
    }


@pytest.mark.parametrize(
    "by", [(), *itertools.combinations(BY, 1), ("vendor", "hour"), ("carrier", "day"), BY]
)
@pytest.mark.usefixtures("mixed")
def test_the_counts_add_up_by_whatever_is_asked(store, by):
    """Within each row, and over all groups to the whole."""
    frame = funnel(store, by=by)
    [whole] = funnel(store, by=()).to_dict("records")
    assert list(frame.columns)[: len(by)] == list(by)
    assert {name: int(frame[name].sum()) for name in whole} == whole
    outcomes = frame[["rejected", "unknown", "not_sent"]].sum(axis=1)
    assert (frame["intended"] == frame["accepted"] + outcomes).all()
    accepted = ["delivered", "failed", "silent", "waiting", "no_reports"]
    assert (frame["accepted"] == frame[accepted].sum(axis=1)).all()
    assert not frame.duplicated(list(by) or None).any()
    rates = frames.delivery_frame(store, DAY, DAY, by=by)
    for name in ("intended", "accepted", *accepted):
        assert list(rates[name]) == list(frame[name])


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("hour", {0: 14, 5: 3}),
        ("template_id", {"": 3, "first": 11, "second": 3}),
        ("error_code", {"": 14, "DB:2": 1, "MK:1": 2}),
        ("carrier", {"China Mobile": 16, "China Unicom": 1}),
        ("province", {"Beijing": 17}),
        ("vendor", {"linkws": 2, "wavecom": 15}),
        ("conn_id", {"sms_main": 15, "sms_other": 2}),
        ("send_key", {"a": 11, "b": 3, "c": 2, "d": 1}),
    ],
)
@pytest.mark.usefixtures("mixed")
def test_the_groups_have_their_names(store, by, groups):
    frame = funnel(store, by=[by])
    assert dict(zip(frame[by], frame["intended"], strict=True)) == groups
    assert list(frame[by]) == sorted(groups)


@pytest.mark.usefixtures("mixed")
def test_names_can_be_had_in_chinese(store):
    frame = funnel(store, by=["carrier", "province"], language="zh")
    assert set(frame["carrier"]) == {"中国移动", "中国联通"}
    assert set(frame["province"]) == {"北京"}


@pytest.mark.usefixtures("mixed")
def test_rate_and_latencies(store):
    """Those of delivered messages; between two of them in proportion."""
    [row] = frames.delivery_frame(store, DAY, DAY, by=["carrier"], percentiles=(50, 75.5)).to_dict("records")[
        :1
    ]
    assert row["carrier"] == "China Mobile"
    assert row["delivery_rate"] == pytest.approx(5 / 10)
    assert row["latency_p50_seconds"] == pytest.approx(20)
    assert row["latency_p75.5_seconds"] == pytest.approx(30.2)


@pytest.mark.parametrize("hours", [0, 24 * 365 * 100])
@pytest.mark.usefixtures("mixed")
def test_a_vendor_without_reports_is_in_no_rate_and_never_silent(store, sent, hours):
    """Nothing is owed for its messages, so nothing is missed; a rate of them alone there is not."""
    expected = frames.delivery_frame(store, DAY, DAY, by=["carrier"], silent_after_hours=hours)
    sent("e", [NUMBERS[:4]], BatchState.ACCEPTED, ids=("88",), vendor="linkws", conn_id="sms_other")
    rates = frames.delivery_frame(store, DAY, DAY, by=["carrier"], silent_after_hours=hours)
    added = {"intended": 4, "accepted": 4, "no_reports": 4}
    for name in expected.columns.drop("carrier"):
        more = rates[name].iloc[0] - expected[name].iloc[0]
        assert more == pytest.approx(added.get(name, 0)), name
    alone = frames.delivery_frame(store, DAY, DAY, by=["vendor"], silent_after_hours=hours)
    row = alone.set_index("vendor").loc["linkws"]
    counts = ["intended", "accepted", "delivered", "failed", "silent", "waiting", "no_reports"]
    assert list(row[counts]) == [6, 4, 0, 0, 0, 0, 4]
    assert pd.isna(row["delivery_rate"])


@pytest.mark.usefixtures("mixed")
def test_days_are_counted_alone_or_together(store, sent, land, make_report):
    """Percentiles over several days are those of all their messages."""
    sent("e", [NUMBERS[:2]], BatchState.ACCEPTED, at=EARLY + timedelta(days=1), ids=("88",))
    land([make_report(NUMBERS[0], "88", at=EARLY + timedelta(days=1, seconds=100))])
    days = (DAY, DAY + timedelta(days=1))
    each = frames.delivery_frame(store, *days, by=["day"])
    assert list(each["delivered"]) == [5, 1]
    assert list(each["latency_p50_seconds"]) == [20, 100]
    [both] = frames.delivery_frame(store, *days, by=[]).to_dict("records")
    assert (both["delivered"], both["latency_p50_seconds"]) == (6, 25)


FATES = [
    (DeliveryStatus.PENDING, 0),
    (DeliveryStatus.FAILED, 1),
    (DeliveryStatus.DELIVERED, 2),
    (DeliveryStatus.UNKNOWN, 3),
]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::5])
def test_reports_late_doubled_and_reordered_end_in_the_right_status(store, sent, land, make_report, order):
    """The last final status stands, whatever comes after it; nothing counts twice."""
    sent("a", [[BEIJING]], BatchState.ACCEPTED)
    reports = [make_report(BEIJING, "77", status, EARLY + timedelta(hours=hour)) for status, hour in FATES]
    for place in (*order, *order):
        land([reports[place], reports[place]])
    [row] = funnel(store).to_dict("records")
    assert (row["intended"], row["reported"], row["delivered"], row["failed"]) == (1, 1, 1, 0)
    [message] = frames.message_frame(store, EARLY, EARLY + timedelta(hours=1)).to_dict("records")
    assert message["delivery"] == "delivered"
    assert message["reported_at"] == EARLY + timedelta(hours=2)


def test_who_is_not_due_is_waiting(store, sent):
    """A report may take its hours from the time that the send was scheduled for."""
    now = store.now()
    today = now.date()
    sent("a", [[BEIJING]], BatchState.ACCEPTED, at=now - timedelta(minutes=90))
    sent(
        "b",
        [[UNICOM]],
        BatchState.ACCEPTED,
        at=now - timedelta(minutes=90),
        send_at=now - timedelta(minutes=30),
    )

    def counts(hours):
        frame = frames.funnel_frame(
            store, today - timedelta(days=1), today, by=[], timezone="UTC", silent_after_hours=hours
        )
        return list(frame[["silent", "waiting"]].iloc[0])

    assert counts(2) == [0, 2]
    assert counts(1) == [1, 1]
    assert counts(0.25) == [2, 0]


@pytest.mark.parametrize("by", [(), ("day",), BY])
def test_no_messages_no_rows_but_all_columns(store, mixed, by):
    """Of the same types as with rows."""
    del mixed
    for make in (frames.funnel_frame, frames.delivery_frame):
        full, empty = make(store, DAY, DAY, by=by), make(store, date(2020, 1, 1), date(2020, 1, 2), by=by)
        assert len(empty) == 0
        assert list(empty.dtypes.items()) == list(full.dtypes.items())


def test_what_cannot_be_grouped_by_is_refused(store):
    with pytest.raises(PreflightError, match=r"'mobile'.*day, hour") as failure:
        funnel(store, by=["mobile", "text", "day", "day"])
    for part in ("'text'", "twice"):
        assert part in str(failure.value)


def test_a_day_of_23_or_25_hours_has_the_clocks_hours(store, sent):
    """Where clocks change, 01:30 may come twice and 02:30 never."""
    berlin = "Europe/Berlin"
    for day, hours in ((date(2025, 3, 30), [1, 3]), (date(2025, 10, 26), [2, 2])):
        with store.begin() as connection:
            for table in schema.metadata.sorted_tables:
                if table is not schema.meta:
                    connection.execute(table.delete())
        noon = datetime(day.year, day.month, day.day, tzinfo=UTC)
        sent(f"a{day}", [[BEIJING]], BatchState.ACCEPTED, at=noon + timedelta(minutes=30))
        sent(f"b{day}", [[BEIJING]], BatchState.ACCEPTED, at=noon + timedelta(minutes=90))
        frame = frames.funnel_frame(store, day, day, by=["hour"], timezone=berlin)
        assert list(frame["hour"].repeat(frame["intended"])) == hours


@pytest.mark.parametrize(
    ("moment", "hour"),
    [(datetime(2025, 4, 5, 15, 40, tzinfo=UTC), 2), (datetime(2025, 10, 4, 16, 10, tzinfo=UTC), 3)],
)
def test_clocks_that_are_changed_by_half_an_hour_show_its_hours(store, sent, moment, hour):
    """Ten past two in autumn, ten past three in spring."""
    zone = "Australia/Lord_Howe"
    day = moment.astimezone(ZoneInfo(zone)).date()
    sent("a", [[BEIJING]], BatchState.ACCEPTED, at=moment)
    frame = frames.funnel_frame(store, day, day, by=["hour"], timezone=zone)
    assert list(frame["hour"]) == [hour]


def test_the_last_moment_of_an_hour_is_in_it(store, sent):
    """Also where the database rounds to milliseconds; so is the last moment of a day."""
    midnight = datetime(2025, 3, 1, tzinfo=UTC)
    for count, hours in enumerate((0, 8, 24)):
        end = midnight + timedelta(hours=hours)
        sent(f"before{count}", [[BEIJING]], BatchState.ACCEPTED, at=end - timedelta(microseconds=1))
        sent(f"after{count}", [[BEIJING]], BatchState.ACCEPTED, at=end)
    frame = frames.funnel_frame(store, DAY, DAY, by=["hour"], timezone="UTC")
    assert list(zip(frame["hour"], frame["intended"], strict=True)) == [(0, 1), (7, 1), (8, 1), (23, 1)]


@pytest.mark.parametrize("frame", [frames.funnel_frame, frames.delivery_frame])
@pytest.mark.parametrize(
    "by", [["vendor", "day"], ["conn_id", "day", "hour"], ["day", "conn_id"], ["send_key"], []]
)
def test_rows_are_in_the_order_of_the_columns_asked_for(store, sent, frame, by):
    """Whichever is first, over several days."""
    noon = datetime(2025, 3, 1, 4, 0, tzinfo=UTC)
    for count, (conn_id, vendor) in enumerate([("b", "linkws"), ("a", "wavecom")] * 3):
        at = noon + timedelta(days=count // 2, hours=-(count % 3))
        fields = {"conn_id": conn_id, "vendor": vendor, "at": at}
        sent(f"s{5 - count}", [[BEIJING]], BatchState.ACCEPTED, ids=(f"{count}",), **fields)
    found = frame(store, DAY, DAY + timedelta(days=2), by=by)
    keys = found[by].to_numpy().tolist()
    assert keys == sorted(keys)
    assert found["intended"].sum() == 6


@pytest.mark.parametrize(
    ("prefix", "english", "chinese"),
    [
        ("1380013", "Beijing", "北京"),
        ("1300220", "Tianjin", "天津"),
        ("1350311", "Hebei", "河北"),
        ("1990000", "unknown", "unknown"),
        ("0755123", "unknown", "unknown"),
        ("", "unknown", "unknown"),
    ],
)
def test_the_province_of_a_prefix(prefix, english, chinese):
    """Of what the library cannot place nothing is said."""
    assert province_of_prefix(prefix) == english
    assert province_of_prefix(prefix, "zh") == chinese
