"""
The reply-driven example in a real Airflow: scheduler, triggerer, DAG processor and API server.

From a reply at the vendor to a finished DAG run. Takes about a minute, most of it Airflow's start.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import pytest

EXAMPLE = Path(__file__).parents[2] / "example_dags" / "example_sms_reply_driven.py"
DAG_ID = "example_sms_reply_driven"
START_SECONDS = 150
#: Generous: machines that run tests are busy. The figure is printed.
WARM_SECONDS = 20


def free_ports(count):
    with contextlib.ExitStack() as opened:
        sockets = [opened.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Airflow:
    """An Airflow of its own below a folder, as ``airflow standalone`` starts it."""

    def __init__(self, home: Path, settings: dict[str, Any]) -> None:
        self.home = home
        self.database = home / "airflow.db"
        api, worker_log, trigger_log = free_ports(3)
        (home / "dags").mkdir()
        settings = {
            "CORE__DAGS_FOLDER": home / "dags",
            "CORE__LOAD_EXAMPLES": False,
            "CORE__EXECUTOR": "LocalExecutor",
            "CORE__PARALLELISM": 2,
            "CORE__DAGS_ARE_PAUSED_AT_CREATION": False,
            "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{api}/execution/",
            "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": True,
            "API__PORT": api,
            "API__BASE_URL": f"http://127.0.0.1:{api}",
            "API__WORKERS": 1,
            "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.database}",
            "DAG_PROCESSOR__REFRESH_INTERVAL": 5,
            "LOGGING__WORKER_LOG_SERVER_PORT": worker_log,
            "LOGGING__TRIGGER_LOG_SERVER_PORT": trigger_log,
            "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": 1,
            **settings,
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        self.environment = {
            **inherited,
            **{f"AIRFLOW__{name}": str(value) for name, value in settings.items() if "__" in name},
            **{name: str(value) for name, value in settings.items() if name.startswith("AIRFLOW_CONN")},
            "AIRFLOW_HOME": str(home),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "NO_PROXY": "127.0.0.1,localhost",
        }
        self.log = home / "standalone.log"
        self._process = None

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "airflow", "standalone"],
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.home,
                start_new_session=True,
            )
        return self

    def __exit__(self, *error: object) -> None:
        # Its children outlive it, so the whole session is ended.
        for signum, patience in ((signal.SIGTERM, 8), (signal.SIGKILL, 8)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signum)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def ask(self, sql: str, *values: str) -> list[tuple[Any, ...]]:
        """Ask its database; nothing while that is not there yet."""
        with contextlib.suppress(sqlite3.OperationalError):
            address = f"file:{self.database}?mode=ro"
            with contextlib.closing(sqlite3.connect(address, uri=True, timeout=5)) as connection:
                return connection.execute(sql, values).fetchall()
        return []


def until(look, seconds, airflow):
    """Wait until something is there; give it, or nothing when it is too late."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and airflow.alive:
        if found := look():
            return found
        time.sleep(0.1)
    return None


@pytest.fixture
def airflow(sandbox, tmp_path):
    store, customers = tmp_path / "store" / "sms.db", tmp_path / "customers.db"
    settings = {
        "AIRFLOW_CONN_SMS_BEIDOUTONG": json.dumps(sandbox.connection("beidoutong")),
        "AIRFLOW_CONN_SMS_STORE": json.dumps({"conn_type": "sqlite", "host": str(store)}),
        "AIRFLOW_CONN_CUSTOMERS": json.dumps({"conn_type": "sqlite", "host": str(customers)}),
        "SMS__SPOOL_DIR": tmp_path / "spool",
    }
    with Airflow(tmp_path, settings) as airflow:
        shutil.copy(EXAMPLE, tmp_path / "dags")
        yield airflow


def finished(airflow):
    done = """
        SELECT count(*) FROM dag_run WHERE dag_id = ? AND state = 'success' AND run_type = 'asset_triggered'
    """
    return airflow.ask(done, DAG_ID)[0][0]


def meanings(customers):
    with (
        contextlib.suppress(sqlite3.OperationalError),
        contextlib.closing(sqlite3.connect(customers)) as found,
    ):
        return sorted(found.execute("SELECT mobile, meaning FROM appointment_replies").fetchall())
    return []


def polled(sandbox):
    return sandbox.calls.by_operation("beidoutong").get("replies", 0)


@pytest.mark.slow
def test_a_reply_starts_a_dag(sandbox, airflow, tmp_path):
    """Each reply is handled once; those that people opt out by are kept."""
    if not until(lambda: polled(sandbox) >= 2, START_SECONDS, airflow):
        print(airflow.log.read_text(errors="replace")[-3000:])  # noqa: T201 - says why
        pytest.skip(f"Airflow did not start within {START_SECONDS} s on this machine; its log is above")

    customers = tmp_path / "customers.db"
    took = []
    answers = [
        ("13800000001", "1"),
        ("13800000002", "TD"),
        ("13800000003", " 退订。"),
        ("13800000004", "几点?"),
    ]
    for number, (mobile, content) in enumerate(answers, 1):
        before = finished(airflow)
        told = time.monotonic()
        sandbox.queue_replies("beidoutong", [{"mobile": mobile, "content": content}])
        assert until(
            lambda: len(meanings(customers)) == number and finished(airflow) > before,  # noqa: B023
            60 if number == 1 else WARM_SECONDS,
            airflow,
        ), airflow.log.read_text(errors="replace")[-3000:]
        took.append(time.monotonic() - told)
    figures = ", ".join(f"{each:.1f}" for each in took)
    print(f"from a reply at the vendor to a finished DAG, poll every 2 s: {figures} s")  # noqa: T201 - the figure

    assert meanings(customers) == [
        ("13800000001", "acknowledged"),
        ("13800000002", "opted_out"),
        ("13800000003", "opted_out"),
        ("13800000004", "other"),
    ]
    with contextlib.closing(sqlite3.connect(customers)) as found:
        assert found.execute("SELECT count(*) FROM sms_opt_outs").fetchone() == (2,)
    # What Airflow stored of it: keys and counts.
    told = airflow.ask("SELECT extra FROM asset_event") + airflow.ask("SELECT encrypted_kwargs FROM trigger")
    assert told
    assert "138000000" not in repr(told)
    assert '"records": 1' in repr(told)
