"""
P7 and P8: a million reports collected by one process: its memory, and whether it slows down.

That process is one of its own, so that nothing else is in its memory.
"""

from __future__ import annotations

import logging
import multiprocessing
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

import places
from figures import Goal, Row, at_most

from airflow_provider_sms.collecting import Collector
from airflow_provider_sms.records import Queue

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from gateway import GatewayProcess

    from airflow_provider_sms.gateway import Gateway

_PAGE = 10_000
_MOST_MEGABYTES = 150


def rows(vendors: GatewayProcess, count: int) -> Iterator[Row]:
    """Measure on each kind of store; ``count`` rows are there at the end."""
    step = count // 10
    for dialect, name in (("sqlite", "SQLite"), ("postgresql", "PostgreSQL")):
        if not places.available(dialect):
            continue
        seconds, grown = _collect_apart(vendors, dialect, step)
        memory = Goal(f"≤ {_MOST_MEGABYTES} MB", grown <= _MOST_MEGABYTES)
        work = f"memory above the start while {count:,} reports are collected, {name}"
        yield Row("P7", work, grown, goals=(memory,), unit="MB")
        early, late = _microseconds(seconds, step)
        work = f"a row when {count:,} are there; limit: when {step:,} are, {name}"
        yield Row("P8", work, late, None, early, (at_most(1.3, late / early),), unit="µs")
        # For the record: ids that come again are written all over the index, where new ones go to its end.
        early, late = _microseconds(_collect_apart(vendors, dialect, step, same_ids=True)[0], step)
        yield Row("", f"  the same {step:,} ids again and again", late, None, early, unit="µs")


def _microseconds(seconds: list[float], step: int) -> tuple[float, float]:
    """Give a row's time at a tenth of the count, which is there after the first step, and at the end."""
    early, late = (statistics.median(part) / step * 1e6 for part in (seconds[1:4], seconds[-3:]))
    return early, late


def _collect_apart(
    vendors: GatewayProcess, dialect: str, step: int, *, same_ids: bool = False
) -> tuple[list[float], float]:
    """
    Collect eleven times ``step`` reports into one store; the seconds of each, and the megabytes grown.

    :param same_ids: let the vendor begin anew each time, with the ids that it gave before.
    """
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    with vendors.client("beidoutong", page_size=_PAGE) as client:
        collector = context.Process(target=_collector, args=(theirs, dialect, client.account), daemon=True)
    collector.start()
    pipe.recv()
    seconds: list[float] = []
    for number in range(11):
        queue = vendors.queue_reports if same_ids or number == 0 else vendors.add_reports
        queue("beidoutong", step)
        pipe.send(step)
        seconds.append(pipe.recv())
    pipe.send(None)
    grown: float = pipe.recv()
    collector.join()
    return seconds, grown


def _collector(pipe: Connection, dialect: str, account: object) -> None:
    from airflow_provider_sms.gateway import Gateway
    from airflow_provider_sms.vendors.beidoutong import BeidoutongVendor

    client: Gateway = Gateway(BeidoutongVendor(), account)  # type: ignore[arg-type]
    with places.empty_store(dialect) as store, client:
        at_start = _megabytes("VmRSS")
        pipe.send(None)
        while (step := pipe.recv()) is not None:
            started = time.perf_counter()
            collected = Collector(
                client, store, Queue.REPORTS, owner="benchmark", log=logging.getLogger("bench")
            ).run()
            pipe.send(time.perf_counter() - started)
            assert collected.records == step
        pipe.send(_megabytes("VmHWM") - at_start)


def _megabytes(name: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024
