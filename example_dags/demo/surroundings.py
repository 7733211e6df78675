"""What the example DAGs need around them: customers, a chat group, connections, and a fresh Airflow."""

from __future__ import annotations

import json
import os
import random
import shlex
import shutil
import sqlite3
import sys
import threading
from contextlib import closing
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from airflow_provider_sms.sandbox import Sandbox

#: How many customers each region has, and by which vendor they are told.
REGIONS = {
    "华东": ("beidoutong", 140),
    "华南": ("wavecom", 80),
    "华北": ("smsadmin", 20),
}
#: Real prefixes of the three carriers and of a virtual one.
_PREFIXES = ("138", "139", "150", "187", "130", "186", "176", "133", "189", "177")
_FAMILY = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨"
# The last four are in GBK but not in GB2312, which these vendors' documents declare.
_GIVEN = ("伟", "芳", "秀英", "敏", "建国", "晓东", "镕基", "堃", "喆", "玥")
_MARK = ".sms-demo"
#: Where ``python -m airflow_provider_sms.sandbox`` serves.
_SANDBOX_PORT = 8088


class NotOurFolderError(Exception):
    """The folder holds something that the demonstration did not put there."""


def fresh_folder(folder: Path) -> Path:
    """
    Make the output folder, or empty the one that an earlier run made.

    :raises NotOurFolderError: it holds other things, which are left alone.
    """
    if folder.exists() and any(folder.iterdir()):
        if not (folder / _MARK).exists():
            msg = f"{folder} is not empty and was not made by this demonstration: name another with --output"
            raise NotOurFolderError(msg)
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARK).touch()
    return folder


def make_customers(database: Path, day: str, seed: int = 29) -> int:
    """
    Write a database with a table ``orders``: one order of each customer, all shipped on one day.

    :param day: ISO date.
    :return: how many.
    """
    chosen = random.Random(seed)  # noqa: S311 - the same customers every time
    numbers = chosen.sample(range(10_000_000, 100_000_000), sum(count for _, count in REGIONS.values()))
    rows: list[tuple[str, ...]] = []
    for region, (_, count) in REGIONS.items():
        for _ in range(count):
            mobile = f"{chosen.choice(_PREFIXES)}{numbers.pop()}"
            name = chosen.choice(_FAMILY) + chosen.choice(_GIVEN)
            amount = f"{chosen.uniform(20, 2_000):.2f}"
            rows.append((mobile, name, f"A{100_001 + len(rows)}", amount, region, day))
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "CREATE TABLE orders (mobile TEXT, name TEXT, order_no TEXT, amount TEXT, region TEXT,"
            " shipped_on TEXT)"
        )
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)", rows)
    return len(rows)


class _Webhook(BaseHTTPRequestHandler):
    def __init__(self, heard: Callable[[str], None], *request: Any) -> None:
        self._heard = heard
        super().__init__(*request)

    def do_POST(self) -> None:
        """Take one text, in the form that DingTalk's and WeCom's robots take it."""
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self._heard(json.loads(body)["text"]["content"])
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"errcode": 0, "errmsg": "ok"}')

    def log_message(self, *_: Any) -> None:
        """Print nothing: the path holds the robot's token."""


class ChatGroup:
    """
    A chat group's webhook on loopback: keeps what it gets and passes it on.

    :param heard: called with each text.
    """

    def __init__(self, heard: Callable[[str], None] | None = None) -> None:
        self.texts: list[str] = []
        self._heard = heard
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Webhook, self._hear))

    def _hear(self, text: str) -> None:
        self.texts.append(text)
        if self._heard:
            self._heard(text)

    @property
    def connection(self) -> dict[str, Any]:
        """An Airflow connection that leads here."""
        return {
            "conn_type": "http",
            "schema": "http",
            "host": "127.0.0.1",
            "port": self._server.server_port,
            "password": "demo-robot-token",
        }

    def __enter__(self) -> Self:
        """Begin to listen."""
        threading.Thread(target=self._server.serve_forever, name="chat-group", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


def environment(folder: Path, dags: Path, sandbox: Sandbox, chat: ChatGroup) -> dict[str, str]:
    """
    Give the environment of an Airflow of its own, with every connection that the examples name.

    It has to be set before Airflow is imported.
    """
    connections: dict[str, dict[str, Any]] = {
        f"sms_{vendor}": sandbox.connection(vendor)
        for vendor in ("beidoutong", "wavecom", "linkws", "smsadmin")
    }
    connections["sms_store"] = {"conn_type": "sqlite", "host": str(folder / "sms.db")}
    connections["customers"] = {"conn_type": "sqlite", "host": str(folder / "customers.db")}
    connections["sms_alert_chat"] = chat.connection
    return {
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_VAR_SMS_REPORT_FOLDER": str(folder),
        **{f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in connections.items()},
    }


def forget_other_airflows() -> None:
    """Drop every Airflow setting of the shell that started this: no other Airflow is touched."""
    for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
        del os.environ[name]


def write_exports(file: Path, settings: dict[str, str], port: int) -> None:
    """
    Write a shell file for ``airflow standalone`` that looks at the same runs later.

    :param settings: those of the runs.
    :param port: the sandbox's, which is gone by then; its command serves at 8088.
    """
    later = {
        **settings,
        # Everybody who can open it is admin, so nobody but this machine can.
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__CORE__PARALLELISM": "4",
    }
    was, will_be = json.dumps({"port": port})[1:-1], json.dumps({"port": _SANDBOX_PORT})[1:-1]
    lines = [f"export {name}={shlex.quote(value.replace(was, will_be))}" for name, value in later.items()]
    # Standalone starts its parts by the name "airflow".
    lines.append(f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"')
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
