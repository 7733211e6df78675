"""What the demonstration shows at its end, and the proof that all of it is right."""

from __future__ import annotations

import csv
import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

from demo.surroundings import REGIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from airflow_provider_sms.sandbox import Reply, Report, Sandbox

#: Tables to show: title, header, SQL. Numbers are masked as the package's own logs mask them.
TABLES: tuple[tuple[str, Sequence[str], str], ...] = (
    (
        "sms_batches: one row per call to a vendor, written before its connection opens",
        ("connection", "send key", "calls", "numbers", "accepted calls", "tried again"),
        """SELECT conn_id, send_key, count(*), sum(recipients), sum(state = 'accepted'), sum(attempts > 1)
           FROM sms_batches GROUP BY conn_id, send_key ORDER BY min(prepared_at)""",
    ),
    (
        "sms_delivery_daily: what became of the messages",
        ("day", "connection", "carrier", "intended", "accepted", "delivered", "failed", "silent",
         "rate", "p50 s", "p95 s"),
        """SELECT day, conn_id, carrier, intended, accepted, delivered, failed, silent,
                  CASE WHEN delivery_rate IS NULL THEN '–' ELSE printf('%.1f %%', 100 * delivery_rate) END,
                  latency_p50_seconds, latency_p95_seconds
           FROM sms_delivery_daily ORDER BY day, conn_id, carrier""",
    ),
    (
        "sms_balances: the last of each account",
        ("connection", "remaining", "unit", "checked at (UTC)"),
        """SELECT conn_id, remaining, unit, substr(max(checked_at), 1, 19)
           FROM sms_balances GROUP BY conn_id ORDER BY conn_id""",
    ),
    (
        "sms_replies: what people answered (the first ten)",
        ("connection", "number", "reply", "received at (UTC)"),
        """SELECT conn_id, substr(mobile, 1, 3) || '****' || substr(mobile, -4), content,
                  substr(received_at, 1, 19)
           FROM sms_replies ORDER BY received_at, page_id, seq LIMIT 10""",
    ),
)  # fmt: skip


def rows(database: Path, sql: str) -> list[Any]:
    """Ask a SQLite file."""
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(sql).fetchall()


def problems(folder: Path, sandbox: Sandbox, alerts: Sequence[str]) -> Iterator[str]:
    """
    Compare what Airflow's side believes with what the vendors' side knows.

    :param folder: the output folder.
    :param sandbox: the vendors' side.
    :param alerts: what the chat group was told.
    :return: one sentence for each thing that is wrong.
    """
    yield from _wrong_messages(folder, sandbox)
    yield from _wrong_records(folder, sandbox)
    yield from _wrong_daily(folder)
    if len(alerts) != 1 or "sms_wavecom" not in alerts[0]:
        yield f"the chat group should have been told of sms_wavecom once, and was told {len(alerts)} times"
    people = sum(count for _, count in REGIONS.values())
    if f"of {people:,} intended" not in (folder / "delivery.html").read_text(encoding="utf-8"):
        yield f"delivery.html does not tell of {people} messages"


def _wrong_messages(folder: Path, sandbox: Sandbox) -> Iterator[str]:
    ordered = rows(folder / "customers.db", "SELECT mobile, name, order_no, amount, region FROM orders")
    expected = Counter(
        (REGIONS[region][0], mobile, f"{name}，您的订单 {order_no} 已发货，共 {amount} 元，预计三日内送达。")
        for mobile, name, order_no, amount, region in ordered
    )
    # A vendor or a connection puts a signature behind the text.
    arrived = Counter(
        (vendor, message.mobile, message.content.partition("【")[0])
        for vendor, _ in REGIONS.values()
        for message in sandbox.messages(vendor)
    )
    if arrived != expected:
        yield (
            f"{len(expected)} people should have got their text exactly once; "
            f"{(expected - arrived).total()} messages are missing or altered, "
            f"{(arrived - expected).total()} are too many"
        )


def _wrong_records(folder: Path, sandbox: Sandbox) -> Iterator[str]:
    for vendor, _ in REGIONS.values():
        for queue, handed_out in (
            ("reports", sandbox.handed_out_reports(vendor)),
            ("replies", sandbox.handed_out_replies(vendor)),
        ):
            table = folder / "sms.db", f"SELECT vendor, vendor_message_id, mobile FROM sms_{queue}"  # noqa: S608
            landed = Counter((row[1], row[2]) for row in rows(*table) if row[0] == vendor)
            sent = Counter((_id_of(record, vendor), record.mobile) for record in handed_out)
            if landed != sent:
                yield f"{vendor} handed out {sent.total()} {queue}; {(landed & sent).total()} of them landed"
            if sandbox.waiting(vendor, queue):
                yield f"{sandbox.waiting(vendor, queue)} {queue} still wait at {vendor}"


def _id_of(record: Report | Reply, vendor: str) -> str:
    # wavecom's replies bear a number of their own in place of the message's.
    return getattr(record, "reply_id", record.message_id) if vendor == "wavecom" else record.message_id


def _wrong_daily(folder: Path) -> Iterator[str]:
    counted = rows(
        folder / "sms.db",
        """SELECT conn_id, count(*), sum(state = 'accepted'),
                  sum(delivery = 'delivered'), sum(delivery = 'failed')
           FROM sms_message_status GROUP BY conn_id""",
    )
    summed = rows(
        folder / "sms.db",
        """SELECT conn_id, sum(intended), sum(accepted), sum(delivered), sum(failed)
           FROM sms_delivery_daily GROUP BY conn_id""",
    )
    if sorted(counted) != sorted(summed):
        yield f"sms_delivery_daily says {sorted(summed)}, the messages say {sorted(counted)}"
    with (folder / "delivery_daily.csv").open(encoding="utf-8-sig", newline="") as file:
        written = len(list(csv.DictReader(file)))
    expected = rows(folder / "sms.db", "SELECT count(*) FROM sms_delivery_daily")[0][0]
    if written != expected:
        yield f"delivery_daily.csv has {written} rows in place of {expected}"
