"""
R11: push at a receiver that is killed again and again, with bad requests in between, and count.

The receiver is the one that ``airflow sms push-receiver`` serves, in a process of its own, which gets a
SIGKILL at random moments and is started anew on the same port. Half of what is sent are events, each told
once or several times, by POST, with their fields in the body or in the query, GB bytes escaped or raw; the
other half is what must not get in. As the vendor, a client never tries an event again that was not answered.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import signal
import socket
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

from figures import Figure, Progress, Proof, at_least, none, record
from pushers import LOGIN, TEXT, TOKEN, Client, Tally

#: Each is told once or several times, and has a bad request beside it: 10,000 requests.
_EVENTS = 4_000
_KILLS = 500
_CLIENTS = 8
_PRELOADED = ("plugin.server", "plugin.app", "hooks.sms", "store.engine", "vendors.smsadmin")


class Receiver:
    """The receiver's process: started, killed, started."""

    def __init__(self, home: Path) -> None:
        self._log = (home / "receiver.log").open("wb")
        self._context = multiprocessing.get_context("forkserver")
        # What takes seconds to import is imported once; each start is a fork of that.
        preloaded = [f"airflow_provider_sms.{name}" for name in _PRELOADED]
        self._context.set_forkserver_preload([*preloaded, "uvicorn"])
        self._started_quietly()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.kills = 0
        self._process: Any = None

    def _started_quietly(self) -> None:
        kept = os.dup(2), os.dup(1)
        sys.stderr.flush()
        sys.stdout.flush()
        try:
            os.dup2(self._log.fileno(), 2)
            os.dup2(self._log.fileno(), 1)
            forkserver.ensure_running()
        finally:
            os.dup2(kept[0], 2)
            os.dup2(kept[1], 1)

    def start(self) -> None:
        """Start, and wait until it listens."""
        from airflow_provider_sms.plugin.server import serve

        self._process = self._context.Process(target=serve, args=("127.0.0.1", self.port), daemon=True)
        self._process.start()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.01)
        raise RuntimeError("the receiver does not come up: see receiver.log")

    def kill(self) -> None:
        """Kill it as the kernel does when memory runs out."""
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.join()
        self.kills += 1

    def stop(self) -> None:
        """Stop it in peace."""
        self._process.terminate()
        self._process.join(30)


def run(
    requests: int, kills: int, seed: int, home: Path, progress: Progress
) -> tuple[Tally, Receiver, float]:
    """
    Push so many events, among so many kills.

    :return: what the clients saw, the stopped receiver, and the seconds that it took.
    """
    receiver = Receiver(home)
    receiver.start()
    tally = Tally()
    chance = random.Random(seed)  # noqa: S311
    done = 0
    started = time.monotonic()
    clients = [Client(receiver.port, tally, seed + each) for each in range(_CLIENTS)]
    share = max(1, requests // (kills + 1))
    with ThreadPoolExecutor(_CLIENTS) as pool:
        while done < requests:
            part = range(done, min(requests, done + share))
            work = [pool.submit(clients[number % _CLIENTS].push, number) for number in part]
            done = part.stop
            if receiver.kills < kills:
                # Somewhere within this share, while the other clients are in the middle of something.
                after = chance.random() * len(work)
                while sum(each.done() for each in work) < after:
                    time.sleep(0.001)
                receiver.kill()
                receiver.start()
            for each in work:
                each.result()
            progress(done, requests, f"{receiver.kills} kills")
    seconds = time.monotonic() - started
    receiver.stop()
    return tally, receiver, seconds


def figures(tally: Tally, database: Path, log: Path) -> dict[str, int]:
    """Compare what was acknowledged with what is there."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        names = (
            "SELECT vendor_message_id FROM sms_replies UNION ALL SELECT vendor_message_id FROM sms_reports"
        )
        rows = Counter(name for (name,) in connection.execute(names))
        spoilt = connection.execute(
            "SELECT count(*) FROM sms_replies WHERE content <> ?", (TEXT,)
        ).fetchone()[0]
        bodies = b"\n".join(body or b"" for (body,) in connection.execute("SELECT body FROM sms_pages"))
        left = connection.execute("SELECT count(*) FROM sms_pages WHERE state = 'read'").fetchone()[0]
    told = log.read_bytes()
    return {
        "acknowledged and lost": len(tally.acknowledged - set(rows)),
        "events with more than one row": sum(count > 1 for count in rows.values()),
        "unauthorised stored": sum(f"LinkId={name}&".encode() in bodies for name in tally.forbidden),
        "5xx by bad input": tally.blamed,
        "texts that are not 退订": spoilt,
        "stored and not landed": left,
        "rows of nothing that was sent": len(set(rows) - tally.sent),
        "tokens or texts in the log": told.count(TOKEN.encode()) + told.count(TEXT.encode()),
    }


def prepare(home: Path) -> None:
    """Make an Airflow of our own; before anything imports the other one."""
    for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
        del os.environ[name]
    connection = {
        "conn_type": "sms_smsadmin",
        "host": "127.0.0.1",
        "port": 9,
        "login": LOGIN,
        "password": "never-used",
        "extra": {"push_token": TOKEN},
    }
    os.environ |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONN_SMS_TORTURE": json.dumps(connection),
        "AIRFLOW__SMS__PUSH_CONNECTIONS": "sms_torture",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
    }


def mend() -> None:
    """Land what the last kill left, as the next process of the receiver does with its first push."""
    import logging

    from airflow_provider_sms.plugin.accounts import Doors
    from airflow_provider_sms.plugin.sparing import SparingLog

    door = Doors(SparingLog(logging.getLogger("torture"))).door("sms_torture")
    assert door is not None
    door.receiver.mend()


def prove(size: float, progress: Progress) -> list[Figure]:
    """Push so many events among so many kills, and count."""
    events, kills = max(60, round(_EVENTS * size)), max(3, round(_KILLS * size))
    home = Path(tempfile.mkdtemp())
    prepare(home)
    tally, receiver, _ = run(events, kills, progress.seed, home, progress)
    mend()
    found = figures(tally, home / "sms" / "sms.db", home / "receiver.log")
    if any(found.values()):
        progress.tell((home / "receiver.log").read_text(errors="replace")[-5000:])
    return [
        record("requests", tally.answers.total()),
        record("events acknowledged", len(tally.acknowledged)),
        at_least("SIGKILLs", receiver.kills, kills),
        *(none(name, number) for name, number in found.items()),
    ]


PROOF = Proof("R11", "Pushes at a receiver that is killed, with bad requests in between", prove)
