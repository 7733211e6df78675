"""Frames that the database counts: places, latencies and refusals agree with the frames of every message."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from airflow_provider_sms.records import Balance, BatchState, DeliveryStatus
from airflow_provider_sms.store import schema
from airflow_provider_sms.store.balances import Balances
from airflow_provider_sms.store.frames import funnel_frame, message_frame
from airflow_provider_sms.store.frames.latencies import latency_counts
from airflow_provider_sms.store.frames.places import places_frame
from airflow_provider_sms.store.frames.refusals import refusals_frame

DAY = date(2025, 3, 1)
MOMENT = datetime(2025, 3, 1, 2, 0, 0, 250_000, tzinfo=UTC)
NUMBERS = [f"{block}{last:04}" for block in ("1381001", "1301010", "1331010", "1440000") for last in range(5)]
COUNTS = ["intended", "accepted", "delivered", "failed", "silent", "no_reports"]


@pytest.fixture
def filled(store, submitted, land, make_report):
    """Send to twenty numbers, of whom most report; and twice in vain."""
    submitted("a", [NUMBERS[:12], NUMBERS[12:]], BatchState.ACCEPTED, ("77",))
    submitted("b", [NUMBERS[:3]], BatchState.REJECTED, conn_id="sms_other")
    submitted("c", [NUMBERS[:2]], BatchState.UNKNOWN)
    submitted("e", [NUMBERS[:2]], BatchState.ACCEPTED, ("99",))
    submitted("d", [NUMBERS[:2]], BatchState.ACCEPTED, ("88",), vendor="linkws", conn_id="sms_linkws")
    with store.begin() as connection:
        connection.execute(schema.batches.update(), {"submitted_at": MOMENT, "prepared_at": MOMENT})
        refused = schema.batches.update().where(schema.batches.c.send_key == "b")
        connection.execute(refused, {"vendor_code": "-3"})
        # Long after its first submit was reported: those messages have no latency.
        twice = schema.batches.update().where(schema.batches.c.send_key == "e")
        connection.execute(twice, {"attempts": 2, "submitted_at": MOMENT + timedelta(minutes=9)})
    seconds = [0.04, 0.11, 0.19, 59.99, 60.4, 60.9, 61, 3600.5, 90_000, 0.11, 7, 7, 7]
    land(
        [
            make_report(n, "77", at=MOMENT + timedelta(seconds=s))
            for n, s in zip(NUMBERS, seconds, strict=False)
        ]
    )
    land([make_report(number, "99", at=MOMENT) for number in NUMBERS[:2]])
    land([make_report(number, "77", DeliveryStatus.FAILED, MOMENT) for number in NUMBERS[13:16]])
    return store


def test_places_agree_with_the_funnel(filled):
    places = places_frame(filled, DAY, DAY).set_index(["carrier", "province"])
    funnel = funnel_frame(filled, DAY, DAY, by=("carrier", "province")).set_index(["carrier", "province"])
    assert len(places) >= 3
    assert places[COUNTS].to_dict("index") == funnel[COUNTS].to_dict("index")
    assert set(places.dtypes.astype(str)) == {"int64"}
    other = places_frame(filled, DAY, DAY, conn_ids=["sms_other"])
    assert (other["intended"].sum(), other["accepted"].sum()) == (3, 0)
    nothing = places_frame(filled, DAY, DAY, timezone="UTC", conn_ids=["nobody"])
    assert (len(nothing), list(nothing.columns)) == (0, ["carrier", "province", *COUNTS])


def test_latencies_are_those_of_the_messages(filled):
    messages = message_frame(filled, MOMENT - timedelta(hours=1), MOMENT + timedelta(hours=1))
    delivered = messages[messages["delivery"] == "delivered"]["latency_seconds"]
    assert delivered.isna().sum() == 2
    expected: dict[float, int] = {}
    for seconds in delivered.dropna().round(3):
        shown = int(seconds * 10 + 1e-6) / 10 if seconds < 60 else float(int(seconds))
        expected[shown] = expected.get(shown, 0) + 1
    counts = latency_counts(filled, DAY, DAY)
    assert dict(zip(counts["seconds"], counts["messages"], strict=True)) == expected
    assert set(counts["conn_id"]) == {"sms_main"}
    assert counts["messages"].sum() == 13
    assert latency_counts(filled, DAY - timedelta(days=1), DAY - timedelta(days=1)).empty


def test_refusals_are_counted_by_what_is_known(filled):
    rows = refusals_frame(filled, DAY, DAY).to_dict("records")
    assert [(r["conn_id"], r["state"], r["vendor_code"], r["batches"], r["recipients"]) for r in rows] == [
        ("sms_other", "rejected", "-3", 1, 3),
        ("sms_main", "unknown", "", 1, 2),
    ]


def test_the_last_balance_of_each_connection_before_a_moment(store):
    balances = Balances(store)
    for conn_id, hours, remaining in (
        ("b", 1, "5"),
        ("b", 3, "4"),
        ("b", 9, "1"),
        ("a", 2, "7.50"),
        ("c", 8, "2"),
    ):
        balances.record(conn_id, "linkws", Balance(Decimal(remaining)), MOMENT + timedelta(hours=hours))
    found = balances.latest(before=MOMENT + timedelta(hours=8))
    assert [(row.conn_id, row.remaining) for row in found] == [("a", Decimal("7.5")), ("b", Decimal(4))]
