"""
P5: 500 accounts polled every 5 s from one event loop, 20 of which hang.

What a triggerer does with 500 deferred sensors, without Airflow around it: the triggers themselves, their
threads and the store are real. Exits with 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import math
import os
import socket
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="sms_bench_airflow"))
os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "CRITICAL"

from figures import Goal, Row, table
from gateway import GatewayProcess
from places import available, empty_database
from sqlalchemy import make_url, text

from airflow_provider_sms.conditions import WantedReplies, as_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_sms.store.engine import Store

_TICK = 0.01
_TIMEOUT = 15
_WANTED_LAG = 0.1
#: An account starves when it is left alone for more than two intervals, or gets less than nine in ten reads.
_MOST_INTERVALS, _LEAST_SHARE = 2, 0.9
#: The first intervals are for making connections; they do not count.
_WARM_UP_INTERVALS = 2
_NEVER = WantedReplies(None, None, datetime(2100, 1, 1, tzinfo=UTC), 1)


class Load(NamedTuple):
    """So many accounts, so many of which hang, polled every so many seconds, for so long."""

    accounts: int
    hanging: int
    interval: float
    seconds: float


class Seen(NamedTuple):
    """
    What was seen once it was warm.

    :param seconds: how long it was looked at.
    :param cpu: seconds of the client's CPU.
    :param lags: seconds by which the loop was late.
    :param reads: of each healthy account.
    :param pauses: the longest seconds between two reads of each healthy account.
    """

    seconds: float
    cpu: float
    lags: list[float]
    reads: list[int]
    pauses: list[float]


def main() -> int:
    """Measure, print, and say whether all goals are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a fifth of the accounts, for a look")
    parser.add_argument("--store", choices=("postgresql", "sqlite"), help="only this store")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to look at it (60)")
    options = parser.parse_args()
    load = Load(100, 4, 5.0, 20.0) if options.quick else Load(500, 20, 5.0, options.seconds)
    logging.disable()
    stores = (
        [options.store] if options.store else [each for each in ("postgresql", "sqlite") if available(each)]
    )
    rows: list[Row] = []
    for dialect in stores:
        rows += measured(dialect, load)
    print(table(rows))
    return 0 if all(row.met for row in rows) else 1


def measured(dialect: str, load: Load) -> Iterator[Row]:
    """Poll with a store of one kind; give the figures."""
    with (
        GatewayProcess() as vendors,
        empty_database(dialect) as url,
        socket.create_server(("127.0.0.1", 0), backlog=1024) as deaf,
    ):
        declare(load, vendors.connection("wavecom", timeout=_TIMEOUT), deaf.getsockname()[1], url)
        from airflow_provider_sms.hooks.store import open_store

        store = open_store()
        try:
            seen = asyncio.run(polled(store, load))
        finally:
            store.close()
    lag, healthy = quantile(seen.lags, 0.99), load.accounts - load.hanging
    due = seen.seconds / load.interval
    few = [each for each in seen.reads if each < math.floor(_LEAST_SHARE * due)]
    long = [each for each in seen.pauses if each > _MOST_INTERVALS * load.interval]
    work = f"{load.accounts} accounts every {load.interval:g} s, {load.hanging} hanging; {dialect}: "
    # PostgreSQL commits what many threads wrote at once; SQLite has one writer, and says so in the docs.
    scaled = dialect == "postgresql"
    yield Row("P5", f"{work}the loop's lag, p99", lag, goals=(Goal("< 100 ms", lag < _WANTED_LAG),))
    yield Row("", "its median", statistics.median(seen.lags))
    yield Row("", "its worst", max(seen.lags))
    goals = (Goal("no account starves", not few and not long and len(seen.reads) == healthy),)
    yield Row(
        "",
        f"reads of the healthy account that got fewest, of {due:.1f} that were due",
        min(seen.reads),
        goals=goals if scaled else (),
        unit="",
    )
    yield Row("", "of the median one", statistics.median(seen.reads), unit="")
    yield Row("", "of the one that got most", max(seen.reads), unit="")
    yield Row("", "the longest pause between two reads of a healthy account", max(seen.pauses))
    yield Row("", "the median of the longest pauses", statistics.median(seen.pauses))
    total = sum(seen.reads)
    yield Row("", "reads a second", total / seen.seconds, limit=healthy / load.interval, unit="/s")
    yield Row("", "CPU time of a read, with all that waits for it", seen.cpu / total)


def declare(load: Load, connection: dict[str, Any], deaf_port: int, url: str) -> None:
    """Make an Airflow connection for each account, the last ones to a port that never answers."""
    for number in range(load.accounts):
        hangs = number >= load.accounts - load.hanging
        fields = connection | ({"port": deaf_port} if hangs else {})
        os.environ[f"AIRFLOW_CONN_BENCH_{number}"] = json.dumps(fields)
    address = make_url(url)
    sqlite = address.get_backend_name() == "sqlite"
    os.environ["AIRFLOW_CONN_SMS_STORE"] = json.dumps(
        {"conn_type": "sqlite", "host": address.database}
        if sqlite
        else {
            "conn_type": "postgres",
            "host": address.host,
            "port": address.port,
            "login": address.username,
            "password": address.password,
            "schema": address.database,
        }
    )


async def polled(store: Store, load: Load) -> Seen:
    """Run the triggers side by side with a clock."""
    from airflow_provider_sms.store.waits import Waits
    from airflow_provider_sms.triggers.polling import Polls
    from airflow_provider_sms.triggers.sms import SmsQueueTrigger

    condition = as_text(_NEVER)

    async def wait(number: int) -> None:
        conn_id = f"bench_{number}"
        # Airflow hands triggers to a triggerer over some time, too.
        await asyncio.sleep(load.interval * number / load.accounts)
        wait_id = await asyncio.to_thread(Waits(store).register, conn_id, "replies", condition, "bench", 3600)
        trigger = SmsQueueTrigger(
            wait_id=wait_id, sms_conn_id=conn_id, queue="replies", poll_interval=load.interval
        )
        async for event in trigger.run():
            raise AssertionError(event)

    waiting = [asyncio.create_task(wait(number)) for number in range(load.accounts)]
    await asyncio.sleep(_WARM_UP_INTERVALS * load.interval)
    began, from_moment = time.process_time(), await asyncio.to_thread(store.now)
    lags: list[float] = []
    ends = time.perf_counter() + load.seconds
    while (before := time.perf_counter()) < ends:
        await asyncio.sleep(_TICK)
        lags.append(time.perf_counter() - before - _TICK)
    cpu, to_moment = time.process_time() - began, await asyncio.to_thread(store.now)
    for failed in (task for task in waiting if task.done()):
        failed.result()
    for each in waiting:
        each.cancel()
    # The hanging reads run into their time-outs, then the database can be dropped.
    await asyncio.to_thread(Polls.here()._threads.shutdown)  # noqa: SLF001 - nobody else has to wait for them
    seconds = (to_moment - from_moment).total_seconds()
    return Seen(seconds, cpu, lags, *reads_and_pauses(store, load, from_moment, to_moment))


def reads_and_pauses(
    store: Store, load: Load, from_moment: datetime, to_moment: datetime
) -> tuple[list[int], list[float]]:
    """Ask the journal who was read when; give each healthy account's reads and its longest pause."""
    healthy = [f"bench_{number}" for number in range(load.accounts - load.hanging)]
    moments: dict[str, list[datetime]] = {conn_id: [from_moment] for conn_id in healthy}
    with store.reading() as connection:
        from airflow_provider_sms.store.schema import pages

        for conn_id, moment in connection.execute(
            pages.select().with_only_columns(pages.c.conn_id, pages.c.started_at).order_by(pages.c.started_at)
        ):
            if conn_id in moments and from_moment <= moment < to_moment:
                moments[conn_id].append(moment)
        unfinished = connection.scalar(text("SELECT count(*) FROM sms_pages WHERE state = 'quarantined'"))
    if unfinished:
        raise AssertionError("the gateway's pages could not be read")
    pauses = [
        max((later - earlier).total_seconds() for earlier, later in pairwise([*times, to_moment]))
        for times in moments.values()
    ]
    return [len(times) - 1 for times in moments.values()], pauses


def quantile(values: list[float], share: float) -> float:
    """Give the value below which so large a share lies."""
    return sorted(values)[min(len(values) - 1, round(share * len(values)))]


if __name__ == "__main__":
    sys.exit(main())
