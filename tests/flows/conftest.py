"""What the tests of the two flows share: sends and collections without Airflow, with a clock that flies."""

from __future__ import annotations

import json
import logging
import multiprocessing
import runpy
import sys
import threading
from collections import Counter
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from airflow_provider_sms import recipients
from airflow_provider_sms.collecting import Collector, queue_named
from airflow_provider_sms.sending import Origin, SendOrder, send

LOG = logging.getLogger("tests.flows")
#: Forks processes that have everything imported: one starts in a tenth of a second instead of two.
_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(["airflow_provider_sms.collecting", "airflow_provider_sms.sending"])


class Naps:
    """A sleep that takes no time and remembers what was asked of it."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    def __call__(self, seconds: float) -> None:
        """Nap."""
        self.taken.append(seconds)


@pytest.fixture
def naps():
    """Give a sleep that takes no time."""
    return Naps()


@pytest.fixture
def send_to(store, naps):
    """Send one text or template: ``send_to(gateway, numbers, "text", send_key="k")``."""

    def run(gateway: Any, people: Any, content: str | None = None, *, into: Any = None, **order: Any):
        order.setdefault("send_key", "test-send")
        sleep = order.pop("sleep", naps)
        wanted = SendOrder(content=content, **order)
        return send(
            gateway, into or store, wanted, lambda: recipients.from_values(people), log=LOG, sleep=sleep
        )

    return run


@pytest.fixture
def task():
    """Give the origin of a task instance."""
    return Origin("dag", "task", "run", -1)


@pytest.fixture
def collect(store, naps):
    """Run one collection: ``collect(gateway, "reports", max_pages=3)``."""

    def run(gateway: Any, queue: str = "reports", *, into: Any = None, sleep: Any = None, **limits: Any):
        owner = limits.pop("owner", "tester")
        collector = Collector(
            gateway, into or store, queue_named(queue), owner=owner, log=LOG, sleep=sleep or naps
        )
        return collector.run(**limits)

    return run


@pytest.fixture
def page_states(rows):
    """Count the pages by state."""
    return lambda: Counter(rows("SELECT state FROM sms_pages"))


@pytest.fixture
def batch_states(rows):
    """Give the states of the batches in order."""
    return lambda: rows("SELECT state FROM sms_batches ORDER BY batch_no")


@pytest.fixture
def every_record_once(sandbox, rows):
    """Tell whether what a vendor handed over is what landed, each record once."""

    def compare(vendor: str) -> bool:
        handed = Counter((each.mobile, each.message_id) for each in sandbox.handed_out_reports(vendor))
        return handed == Counter(rows("SELECT mobile, vendor_message_id FROM sms_reports"))

    return compare


@pytest.fixture
def begin(monkeypatch):
    """Begin a process of a script here, to be killed or waited for: ``begin(SCRIPT, given)`` gives it."""
    begun = []

    def run(script: Any, given: dict[str, Any]) -> Any:
        process = _FORKING.Process(
            target=runpy.run_path, args=(str(script),), kwargs={"run_name": "__main__"}, daemon=True
        )
        # A process starts with the arguments that its parent has at that moment.
        with monkeypatch.context() as patched:
            patched.setattr(sys, "argv", [str(script), json.dumps(given)])
            process.start()
        begun.append(process)
        return process

    yield run
    for process in begun:
        process.kill()
        process.join()
        process.close()


@pytest.fixture
def at_once(monkeypatch):
    """Let claims and leases of the dead run out soon, whatever the connection's time-out is."""
    monkeypatch.setattr("airflow_provider_sms.submitting.CLAIM_MARGIN", 0.3)
    monkeypatch.setattr("airflow_provider_sms.collecting.LEASE_MARGIN", 0.3)


class _Answering(BaseHTTPRequestHandler):
    """Gives one answer to everything."""

    def __init__(self, body: bytes, *request: Any) -> None:
        self.body = body
        super().__init__(*request)

    def do_POST(self) -> None:
        """Answer."""
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(200)
        self.send_header("Content-Type", "text/xml; charset=utf-8")
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    do_GET = do_POST  # noqa: N815 - the library's name

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture
def serve_answers():
    """Answer every request to a loopback port alike; called with the answer, it gives the port."""
    servers = []

    def serve(body: str) -> int:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Answering, body.encode()))
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return server.server_port

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()
