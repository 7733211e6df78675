"""P1 and P2: a queue into the tables, journal and all."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

import bare
import places
from baseline import reports as by_hand
from figures import Goal, Row, at_least, at_most, medians
from sqlalchemy import func, select, text

from airflow_provider_sms.collecting import Collector
from airflow_provider_sms.records import Queue
from airflow_provider_sms.store import schema
from airflow_provider_sms.vendors.smsadmin import SmsAdminVendor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from figures import Stopwatch
    from gateway import GatewayProcess

    from airflow_provider_sms.gateway import Gateway
    from airflow_provider_sms.store.engine import Store

_NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mysql": "MariaDB"}


def collect(client: Gateway, store: Store, expected: int) -> None:
    """Collect a queue with this package, as the operator does."""
    Collector(client, store, Queue.REPORTS, owner="benchmark", log=logging.getLogger("bench")).run()
    with store.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(schema.reports)) == expected


def large_pages(vendors: GatewayProcess, runs: int, count: int) -> Iterator[Row]:
    """P1: beidoutong's reports in pages of 10,000."""
    page = 10_000
    for dialect in filter(places.available, ("sqlite", "postgresql", "mysql")):
        taken = medians(
            {
                "ours": partial(_ours, vendors, dialect, "beidoutong", count, page_size=page),
                "by hand": partial(
                    _by_hand,
                    vendors,
                    dialect,
                    "beidoutong",
                    count,
                    partial(by_hand.collect_beidoutong, page_size=page),
                ),
                "limit": partial(_limit, vendors, dialect, "beidoutong", count, page, page_size=page),
            },
            runs,
        )
        ours, hand, limit = taken["ours"], taken["by hand"], taken["limit"]
        goals: tuple[Goal, ...] = (at_least(8, hand / ours), at_most(2.5, ours / limit))
        work = f"{count:,} beidoutong reports, pages of {page:,}, {_NAMES[dialect]}"
        yield Row("P1", work, ours, hand, limit, goals if dialect != "mysql" else ())


def small_pages(vendors: GatewayProcess, runs: int, share: float) -> Iterator[Row]:
    """P2: wavecom's and smsadmin's reports, page by page."""
    # The 5 s between two reads that smsadmin's document asks for would be all that is measured.
    SmsAdminVendor.intervals = {}
    work: tuple[tuple[str, int, int, Callable[..., int]], ...] = (
        ("wavecom", round(1000 * share), 100, by_hand.collect_wavecom),
        ("smsadmin", round(500 * share), 20, by_hand.collect_smsadmin),
    )
    for vendor, pages, size, baseline in work:
        for dialect in filter(places.available, ("sqlite", "postgresql")):
            count = pages * size
            taken = medians(
                {
                    "ours": partial(_ours, vendors, dialect, vendor, count),
                    "by hand": partial(_by_hand, vendors, dialect, vendor, count, baseline),
                    "limit": partial(_limit, vendors, dialect, vendor, count, size),
                },
                runs,
            )
            ours, hand = taken["ours"], taken["by hand"]
            told = f"{pages:,} {vendor} pages of {size}, {_NAMES[dialect]}"
            yield Row("P2", told, ours, hand, taken["limit"], (at_least(2, hand / ours),))
            least = partial(_least, vendors, dialect, vendor, count, size)
            yield Row("", "  bare socket and driver, a commit a page", medians({"": least}, runs)[""], hand)
            # For the record, and once: the form that loses one page, not all, when something fails.
            careful = partial(baseline, page_by_page=True)
            each = medians({"": partial(_by_hand, vendors, dialect, vendor, count, careful)}, 1)
            yield Row("", "  by hand: each page written as it comes", ours, each[""])


def _ours(
    vendors: GatewayProcess, dialect: str, vendor: str, count: int, watch: Stopwatch, **extra: Any
) -> None:
    vendors.queue_reports(vendor, count)
    with places.empty_store(dialect) as store, vendors.client(vendor, **extra) as client, watch.running():
        collect(client, store, count)


def _by_hand(
    vendors: GatewayProcess,
    dialect: str,
    vendor: str,
    count: int,
    baseline: Callable[..., int],
    watch: Stopwatch,
) -> None:
    vendors.queue_reports(vendor, count)
    connection = vendors.connection(vendor)
    with places.plain_engine(dialect) as engine:
        with watch.running():
            collected = baseline(connection, engine)
        with engine.connect() as asking:
            stored = asking.execute(text(f"SELECT count(*) FROM {by_hand.TABLE}")).scalar()  # noqa: S608
    assert collected == stored == count


def _least(
    vendors: GatewayProcess, dialect: str, vendor: str, count: int, page: int, watch: Stopwatch
) -> None:
    """Do the least that commits each page before the next is asked for; nothing is taken apart."""
    rows = bare.report_rows(count, page)
    vendors.queue_reports(vendor, count)
    with places.empty_store(dialect) as store, vendors.client(vendor) as client:
        bare.fetch_and_keep(client, client.prepare_read(Queue.REPORTS), -(-count // page) + 1, store, watch)
        bare.write(store, rows, watch)


def _limit(
    vendors: GatewayProcess, dialect: str, vendor: str, count: int, page: int, watch: Stopwatch, **extra: Any
) -> None:
    rows = bare.report_rows(count, page)
    vendors.queue_reports(vendor, count)
    with places.empty_store(dialect) as store, vendors.client(vendor, **extra) as client:
        request = client.prepare_read(Queue.REPORTS)
        with watch.running():
            # One more says that the queue is empty.
            bare.fetch(client, request, -(-count // page) + 1)
        bare.write(store, rows, watch)
