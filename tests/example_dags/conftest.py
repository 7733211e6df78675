"""The example DAGs in a real Airflow: its database, its DAGs folder, one run after another in here."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
import warnings
from contextlib import closing
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_sms.sandbox import Sandbox

EXAMPLES = Path(__file__).resolve().parents[2] / "example_dags"
#: Names as people have them; the last two are not in GB2312.
CUSTOMERS = [
    ("13812345601", "王伟", "A1", "12.50"),
    ("13012345602", "李芳", "A2", "8.00"),
    ("13312345603", "朱镕基", "A3", "99.90"),
    ("18612345604", "陈喆", "A4", "120.00"),
]


@pytest.fixture
def sandbox(request):
    """Serve all four vendors; tests give settings by ``indirect`` parameters."""
    with Sandbox(linkws_balance_interval=0, **getattr(request, "param", {})) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def dags_folder():
    """Put the examples into this process's DAGs folder, and make Airflow's database."""
    from airflow.utils.db import initdb

    with warnings.catch_warnings():
        # What serves the running tasks warns about its own test client; to import it here once is enough.
        warnings.simplefilter("ignore")
        import airflow.api_fastapi.execution_api.app  # noqa: F401
    folder = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    for file in EXAMPLES.glob("example_sms_*.py"):
        shutil.copy(file, folder)
    initdb()
    return folder


@pytest.fixture
def run(dags_folder, store_connection):
    """Run a DAG: ``run("dag_id", conf, moment=None)`` gives its state and those of its tasks."""
    from airflow.dag_processing.dagbag import DagBag
    from airflow.utils.session import create_session

    del store_connection

    def once(dag_id: str, conf: dict | None = None, moment=None):
        dag = DagBag(dags_folder).dags[dag_id]
        for task in dag.tasks:
            hurry(task)
        when = {} if moment is None else {"logical_date": moment, "run_after": moment}
        ended = dag.test(run_conf=conf, **when)
        with create_session() as session:
            instances = ended.get_task_instances(session=session)
            states = {
                each.task_id if each.map_index < 0 else (each.task_id, each.map_index): str(each.state)
                for each in instances
            }
        return str(ended.state), states

    return once


def hurry(task) -> None:
    """Try once, and look again soon: the real intervals are for real vendors."""
    if hasattr(task, "partial_kwargs"):
        task.partial_kwargs["retries"] = 0
        return
    task.retries = 0
    if hasattr(task, "poke_interval"):
        task.poke_interval = 0.2


@pytest.fixture
def customers(monkeypatch, tmp_path):
    """Make the database of the connection ``customers``: four orders of one day."""
    file = tmp_path / "customers.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE orders (mobile, name, order_no, amount, region, shipped_on)")
        rows = [(*customer, "华东", "2026-10-24") for customer in CUSTOMERS]
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)", rows)
        connection.execute(
            "INSERT INTO orders VALUES ('13912345605', '别人', 'B1', '1.00', '华南', '2026-10-24')"
        )
        connection.execute(
            "INSERT INTO orders VALUES ('13912345606', '昨天', 'B2', '1.00', '华东', '2026-10-23')"
        )
    monkeypatch.setenv("AIRFLOW_CONN_CUSTOMERS", json.dumps({"conn_type": "sqlite", "host": str(file)}))
    return CUSTOMERS


class _Webhook(BaseHTTPRequestHandler):
    def __init__(self, got, *request: Any) -> None:
        self.got = got
        super().__init__(*request)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.got.append((self.path, json.loads(body)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def chat_group(monkeypatch):
    """Serve the webhook of the connection ``sms_alert_chat``; gives what it got, path and body."""
    got: list[tuple[str, dict]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Webhook, got))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    connection = {
        "conn_type": "http",
        "host": "127.0.0.1",
        "port": server.server_port,
        "password": "canary-robot-token",
    }
    monkeypatch.setenv("AIRFLOW_CONN_SMS_ALERT_CHAT", json.dumps(connection))
    yield got
    server.shutdown()
    server.server_close()


@pytest.fixture
def no_waiting(monkeypatch):
    """Let smsadmin be read at any pace, as the sandbox does."""
    from airflow_provider_sms.vendors.smsadmin import SmsAdminVendor

    monkeypatch.setattr(SmsAdminVendor, "intervals", {})
