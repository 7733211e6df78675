"""The tables' names and columns are a public contract."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from sqlalchemy import inspect, select

from airflow_provider_sms.records import Balance
from airflow_provider_sms.store import schema
from airflow_provider_sms.store.balances import Balances

CONTRACT = {
    "sms_batches": "send_key batch_no conn_id vendor state reference vendor_batch_id vendor_code "
    "vendor_text recipients accepted_count dag_id task_id run_id map_index prepared_at submitted_at "
    "settled_at",
    "sms_messages": "send_key batch_no mobile content segments vendor_message_id",
    "sms_pages": "page_id conn_id vendor queue source state started_at read_at landed_at body declared "
    "records error",
    "sms_reports": "page_id seq conn_id vendor vendor_message_id mobile status vendor_status error_code "
    "extno reported_at landed_at",
    "sms_replies": "page_id seq conn_id vendor vendor_message_id mobile content extno received_at landed_at",
    "sms_balances": "conn_id vendor checked_at remaining unit total pay_mode",
    "sms_message_status": "send_key mobile state delivery reported_at latency_seconds error_code",
    "sms_delivery_daily": "day conn_id vendor carrier intended accepted delivered failed silent "
    "delivery_rate latency_p50_seconds latency_p95_seconds",
}


@pytest.mark.parametrize("name", CONTRACT)
def test_every_promised_column_is_there(store, name):
    with store.reading() as connection:
        columns = {column["name"] for column in inspect(connection).get_columns(name)}
    assert set(CONTRACT[name].split()) <= columns


def test_times_come_back_aware_and_utc(store):
    """Whatever zone they had, to the microsecond."""
    east = timezone(timedelta(hours=8))
    moment = datetime(2025, 1, 31, 8, 30, 15, 123456, tzinfo=east)
    row = {"conn_id": "c", "queue": "q", "expires_at": moment}
    with store.begin() as connection:
        connection.execute(schema.leases.insert(), row)
        back = connection.scalar(select(schema.leases.c.expires_at))
    assert back == moment
    assert back.tzinfo is UTC


def test_plain_sql_reads_utc(store, ask):
    """SQLite keeps text that sorts by time, PostgreSQL a moment, others a naive UTC."""
    moment = datetime(2025, 1, 31, 0, 30, tzinfo=UTC)
    with store.begin() as connection:
        connection.execute(schema.leases.insert(), {"conn_id": "c", "queue": "q", "expires_at": moment})
    [(value,)] = ask("SELECT expires_at FROM sms_leases")
    expected = {"sqlite": "2025-01-31 00:30:00.000000", "postgresql": moment}
    assert value == expected.get(store.dialect, moment.replace(tzinfo=None))


def test_a_time_without_a_zone_is_refused(store):
    row = {"conn_id": "c", "queue": "q", "expires_at": datetime(2025, 1, 1)}  # noqa: DTZ001
    with pytest.raises(Exception, match="without a time zone"), store.begin() as connection:
        connection.execute(schema.leases.insert(), row)


def test_ids_are_compared_byte_by_byte(store):
    """``Ab`` and ``aB``, ``é`` and ``e`` are different ids, with or without a blank behind them."""
    with store.begin() as connection:
        connection.execute(
            schema.leases.insert(), [{"conn_id": name, "queue": "q"} for name in ("Ab", "aB", "é", "e")]
        )
        found = connection.scalars(select(schema.leases.c.conn_id).where(schema.leases.c.conn_id == "Ab"))
        assert list(found) == ["Ab"]


@pytest.mark.parametrize("amount", ["0", "12.5", "100", "91", "0.0001", "12345678901.25"])
def test_balances_are_exact(store, amount):
    told = Balances(store).record(
        "sms_main", "linkws", Balance(Decimal(amount), "money", Decimal(7), "prepaid")
    )
    last = Balances(store).last("sms_main")
    assert last == told
    assert str(last.remaining) == amount
    assert (last.unit, last.total, last.pay_mode) == ("money", Decimal(7), "prepaid")


def test_the_latest_balance_counts_and_its_age(store):
    """An answer "asked too soon" is no balance: the last known one stands, if it is young enough."""
    balances = Balances(store)
    assert balances.last("sms_main") is None
    now = store.now()
    balances.record("sms_main", "linkws", Balance(Decimal(2)), now - timedelta(seconds=40))
    balances.record("sms_main", "linkws", Balance(Decimal(1)), now - timedelta(seconds=90))
    balances.record("other", "linkws", Balance(Decimal(9)))
    assert balances.last("sms_main").remaining == 2
    assert balances.recent("sms_main", 60).remaining == 2
    assert balances.recent("sms_main", 30) is None


def test_times_of_rows_written_in_bulk_sort_like_all_others(store, land, make_report, ask):
    """SQLite compares texts: whole seconds must not lose their zeros."""
    land([make_report("13800000001", "1"), make_report("13800000002", "2")])
    [(kept,), _] = ask("SELECT reported_at FROM sms_reports ORDER BY seq")
    if store.dialect == "sqlite":
        assert kept == "2025-03-01 04:00:00.000000"
    else:
        assert kept.replace(tzinfo=UTC) == datetime(2025, 3, 1, 4, tzinfo=UTC)
