"""
A million reports through the nightly DAG's steps, and what each step needs of memory.

Messages are sent to the sandbox beforehand, by the package itself. Then one process runs a DAG of real
operators: collect the reports, make the daily table, export the messages to Parquet, write the page. The same
is done with a tenth, in another process: what a step needs must not grow with the number of records.

Exits with 1 if it grows.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import logging
import multiprocessing
import os
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import places
from gateway import GatewayProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

_PAGE = 10_000
_TEXT = "您的快递已到驿站，请凭取件码今天 20 点前领取【演示】"
_NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mysql": "MariaDB"}
#: Prefixes of the three large carriers.
_PREFIXES = (
    "134", "135", "136", "137", "138", "139", "150", "151", "152", "157", "158", "159", "182", "183", "187",
    "130", "131", "132", "155", "156", "185", "186", "133", "153", "180", "181", "189", "177",
)  # fmt: skip
#: By how much a step's peak may be larger for ten times the records.
_MOST_GROWTH = 64
_MEGABYTE = 1024


@dataclass
class Step:
    """One task: seconds, its peak in megabytes above the process's size before it, and its result."""

    name: str
    seconds: float
    megabytes: float
    result: dict[str, Any]


def main() -> int:
    """Run with a tenth and with all, print both, and say whether memory is flat."""
    options = _options()
    flat = True
    print("| store | step | records | s | peak, MB | records | s | peak, MB | grown, MB | flat |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for dialect in filter(places.available, options.stores):
        few, many = (_run(dialect, count) for count in (options.count // 10, options.count))
        for small, large in zip(few, many, strict=True):
            grown = large.megabytes - small.megabytes
            flat &= grown <= _MOST_GROWTH
            cells = [
                _NAMES[dialect], large.name, f"{options.count // 10:,}", f"{small.seconds:.1f}",
                f"{small.megabytes:.0f}", f"{options.count:,}", f"{large.seconds:.1f}",
                f"{large.megabytes:.0f}", f"{grown:+.0f}", "yes" if grown <= _MOST_GROWTH else "NO",
            ]  # fmt: skip
            print("| " + " | ".join(cells) + " |", flush=True)
    return 0 if flat or options.lenient else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000, help="messages (1,000,000)")
    parser.add_argument("--stores", nargs="+", default=["sqlite", "postgresql"], choices=sorted(_NAMES))
    parser.add_argument("--lenient", action="store_true", help="exit with 0 whatever grows")
    return parser.parse_args()


def _run(dialect: str, count: int) -> list[Step]:
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    with (
        GatewayProcess(failure_share=0.05, silent_share=0.02) as vendors,
        places.empty_database(dialect) as url,
        tempfile.TemporaryDirectory(prefix="sms_bench_home") as home,
    ):
        connection = vendors.connection("beidoutong", page_size=_PAGE)
        for work in (_send, _night):
            started = time.monotonic()
            process = context.Process(target=work, args=(theirs, connection, url, home, count))
            process.start()
            told = _told(pipe, process)
            process.join()
            taken = time.monotonic() - started
            print(f"{dialect} {count:,} {work.__name__}: {taken:.0f} s", file=sys.stderr, flush=True)
    return told


def _told(pipe: Connection, process: Any) -> Any:
    while not pipe.poll(1):
        assert process.is_alive(), "a process of the benchmark died: its error is above"
    return pipe.recv()


# --- before the night ------------------------------------------------------------------------------


def _send(pipe: Connection, connection: dict[str, Any], url: str, home: str, count: int) -> None:
    from airflow_provider_sms.gateway import Gateway
    from airflow_provider_sms.sending import SendOrder, send
    from airflow_provider_sms.store.engine import Store
    from airflow_provider_sms.vendors.accounts import check_account
    from airflow_provider_sms.vendors.beidoutong import BeidoutongVendor

    codec = BeidoutongVendor()
    fields = {name: value for name, value in connection.items() if name != "conn_type"}
    store = Store.open(url, spool_dir=Path(home) / "spool")
    with Gateway(codec, check_account(codec, "sms_beidoutong", **fields)) as client:
        for place, numbers in enumerate(_numbers(count)):
            order = SendOrder(send_key=f"campaign-{place}", content=_TEXT)
            columns = {"mobile": numbers}
            result = send(client, store, order, lambda c=columns: c, log=logging.getLogger("bench"))
            assert result["accepted"] == len(numbers)
    store.close()
    pipe.send(None)


def _numbers(count: int) -> Iterator[list[str]]:
    """Make up numbers, each once, in sends of up to 100,000."""
    chance = random.Random(20_261_122)  # noqa: S311 - which numbers is of no matter
    found = chance.sample(range(len(_PREFIXES) * 10**8), count)
    numbers = [f"{_PREFIXES[each // 10**8]}{each % 10**8:08}" for each in found]
    for start in range(0, count, 100_000):
        yield numbers[start : start + 100_000]


# --- the night -------------------------------------------------------------------------------------


def _night(pipe: Connection, connection: dict[str, Any], url: str, home: str, count: int) -> None:
    from sqlalchemy import make_url

    address = make_url(url)
    store = (
        {"conn_type": "sqlite", "host": address.database}
        if address.get_backend_name() == "sqlite"
        else {
            "conn_type": {"postgresql": "postgres"}.get(address.get_backend_name(), "mysql"),
            "host": address.host,
            "port": address.port,
            "login": address.username,
            "password": address.password,
            "schema": address.database,
        }
    )
    os.environ |= {
        "AIRFLOW_HOME": home,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "True",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW_CONN_SMS_BEIDOUTONG": json.dumps(connection),
        "AIRFLOW_CONN_SMS_STORE": json.dumps(store),
        "AIRFLOW__SMS__SPOOL_DIR": f"{home}/spool",
    }
    with Path(home, "log").open("w", encoding="utf-8") as log:
        # What Airflow says while it runs would stand between the lines of the table.
        kept = os.dup(1)
        os.dup2(log.fileno(), 1)
        try:
            steps = _steps(home, count)
        except BaseException:
            sys.stderr.write(
                "".join(Path(home, "log").read_text(encoding="utf-8").splitlines(keepends=True)[-60:])
            )
            raise
        finally:
            os.dup2(kept, 1)
    pipe.send(steps)


def _steps(home: str, count: int) -> list[Step]:
    from airflow.utils.db import initdb

    initdb()
    steps: list[Step] = []
    marks: dict[str, float] = {}

    def begin(context: Any) -> None:
        del context
        # What earlier steps have left behind must not hide what this one needs.
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        marks["size"] = _megabytes("VmRSS")
        # Linux counts the peak anew from here on.
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        marks["started"] = time.perf_counter()

    def end(context: Any, result: Any) -> None:
        taken = time.perf_counter() - marks["started"]
        grown = _megabytes("VmHWM") - marks["size"]
        steps.append(Step(context["task"].task_id, taken, grown, dict(result)))
        print(f"  {steps[-1].name}: {taken:.0f} s, {grown:.0f} MB", file=sys.stderr, flush=True)

    ended = _run_dag(home, {"pre_execute": begin, "post_execute": end})
    assert ended.state == "success", ended.state
    results = {step.name: step.result for step in steps}
    assert results["collect"]["records"] > count * 0.9
    assert results["refresh_daily"]["intended"] == results["report"]["intended"] == count
    assert results["export"]["rows"] == count
    assert results["report"]["delivered"] + results["report"]["failed"] == results["collect"]["records"]
    return steps


def _run_dag(home: str, marks: dict[str, Any]) -> Any:
    from airflow.dag_processing.collection import update_dag_parsing_results_in_db
    from airflow.models.dagbundle import DagBundleModel
    from airflow.sdk import DAG
    from airflow.serialization.serialized_objects import LazyDeserializedDAG
    from airflow.utils.session import create_session

    from airflow_provider_sms.operators.delivery import SmsDeliveryDailyOperator
    from airflow_provider_sms.operators.export import SmsExportOperator
    from airflow_provider_sms.operators.report import SmsDeliveryReportOperator
    from airflow_provider_sms.operators.sms import SmsCollectOperator

    # A night that ends at midnight has sent on two days.
    days = {"since": "{{ macros.ds_add(ds, -1) }}", "until": "{{ macros.ds_add(ds, 1) }}"}
    with DAG("million", schedule=None) as dag:
        (
            SmsCollectOperator(task_id="collect", sms_conn_id="sms_beidoutong", **marks)
            >> SmsDeliveryDailyOperator(task_id="refresh_daily", **marks)
            >> SmsExportOperator(task_id="export", table="messages", path=f"{home}/export", **days, **marks)
            >> SmsDeliveryReportOperator(
                task_id="report", path=f"{home}/delivery.html", day=_day(), timezone="UTC", **marks
            )
        )
    with create_session() as session:
        session.merge(DagBundleModel(name="benchmarks"))
        session.commit()
        update_dag_parsing_results_in_db(
            "benchmarks", None, [LazyDeserializedDAG.from_dag(dag)], {}, None, set(), session
        )
        session.commit()
    return dag.test()


def _day() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())


def _megabytes(name: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / _MEGABYTE


if __name__ == "__main__":
    sys.exit(main())
