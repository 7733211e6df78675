"""
Who works on one account at once: tasks that collect, triggerers that poll, a vendor that pushes.

Each is a process of its own that may be killed; the work itself is the package's operator and trigger.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

from children import Child

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_sms.sandbox.queues import Report

CONN_ID = "sms_torture"
TOKEN = "torture-token-0123456789abcdef"  # noqa: S105 - of a receiver that lives for some minutes
#: Never so many: the triggerers are to poll until they are killed.
_NEVER = 10**9
_STORED = 200


def prepare(home: Path, account: dict[str, Any], store: dict[str, Any]) -> None:
    """Make an Airflow of our own with the two connections; before anything imports another one."""
    for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
        del os.environ[name]
    account = account | {"extra": account["extra"] | {"push_token": TOKEN}}
    os.environ |= {
        "AIRFLOW_HOME": str(home),
        f"AIRFLOW_CONN_{CONN_ID.upper()}": json.dumps(account),
        "AIRFLOW_CONN_SMS_STORE": json.dumps(store),
        "AIRFLOW__SMS__PUSH_CONNECTIONS": CONN_ID,
        "AIRFLOW__SMS__SPOOL_DIR": str(home / "spool"),
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
    }


def collect_for_ever() -> int:
    """Collect a page or some, as one task after the other does, whoever else wants to."""
    from airflow_provider_sms.errors import QueueBusy, VendorUnreachable

    while True:
        for pages in (1, 3, 2):
            try:
                collect(max_pages=pages)
            except (QueueBusy, VendorUnreachable):
                time.sleep(0.2)


def collect(**limits: Any) -> dict[str, Any]:
    """Collect once, by the operator."""
    from airflow_provider_sms.operators.sms import SmsCollectOperator

    task = SmsCollectOperator(task_id="collect", sms_conn_id=CONN_ID, sms_queue="reports", **limits)
    collected: dict[str, Any] = task.execute({})
    return collected


def poll_for_ever() -> int:
    """Poll as a triggerer does for a deferred sensor."""
    import asyncio

    return asyncio.run(_poll())


async def _poll() -> int:
    import asyncio
    from datetime import UTC, datetime

    from airflow_provider_sms.conditions import ReportsLanded, as_text
    from airflow_provider_sms.hooks.store import open_store
    from airflow_provider_sms.store.waits import Waits
    from airflow_provider_sms.triggers.sms import SmsQueueTrigger

    condition = as_text(ReportsLanded(datetime(2025, 1, 1, tzinfo=UTC), _NEVER))
    waits = Waits(await asyncio.to_thread(open_store))
    wait_id = await asyncio.to_thread(waits.register, CONN_ID, "reports", condition, "torture", 3600)
    trigger = SmsQueueTrigger(wait_id=wait_id, sms_conn_id=CONN_ID, queue="reports", poll_interval=2)
    async for event in trigger.run():
        raise RuntimeError(event.payload["status"])
    return 0


def push_all(port: int, login: str, reports: list[Report], seconds: float) -> int:
    """
    Push reports over so many seconds; each until it is acknowledged, since receivers die.

    :param port: of the receiver.
    :param login: of the account.
    """
    from airflow_provider_sms.sandbox.push import push

    url = f"http://127.0.0.1:{port}/sms/push/{CONN_ID}?token={TOKEN}"
    began = time.monotonic()
    for number, report in enumerate(reports):
        time.sleep(max(0.0, began + seconds * number / len(reports) - time.monotonic()))
        while not _acknowledged(push, url, report, login):
            time.sleep(0.05)
    return 0


def _acknowledged(push: Callable[..., int], url: str, report: Report, login: str) -> bool:
    try:
        return push(url, report, login) == _STORED
    except OSError:
        return False


class Crew:
    """
    The processes that are killed.

    :param log: what they say.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._members: list[tuple[Callable[[], int], Child]] = []

    def start(self, work: Callable[[], int]) -> None:
        """Start a process that does not end by itself."""
        self._members.append((work, Child(work, self._log)))

    def kill(self, number: int) -> None:
        """
        Kill one of them, and start another in its place.

        :raises RuntimeError: it had ended by itself.
        """
        work, child = self._members[number % len(self._members)]
        self._expect_alive(child)
        child.kill()
        self._members[number % len(self._members)] = (work, Child(work, self._log))

    def kill_process(self, pid: int) -> bool:
        """Kill the one with a process id; whether there is one."""
        for number, (_, child) in enumerate(self._members):
            if child.pid == pid:
                self.kill(number)
                return True
        return False

    def dismiss(self) -> None:
        """Kill them all."""
        for _, child in self._members:
            self._expect_alive(child)
            child.kill()
        self._members = []

    def _expect_alive(self, child: Child) -> None:
        if (end := child.ended()) is not None:
            raise RuntimeError(f"one ended by itself with {end.code}:\n{self._log.read_text()[-3000:]}")
