"""A chat group's webhook on loopback, and a store with a little of everything."""

from __future__ import annotations

import json
import threading
from datetime import UTC
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from airflow_provider_sms.records import Balance, DeliveryStatus, Reply, Report


class _Webhook(BaseHTTPRequestHandler):
    def __init__(self, heard: list[Any], *request: Any) -> None:
        self._heard = heard
        super().__init__(*request)

    def do_POST(self) -> None:
        """Take one text."""
        self._heard.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture
def chat(monkeypatch):
    """Make a chat group behind the connection ``chat``; gives what it heard."""
    heard: list[Any] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Webhook, heard))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    connection = {"conn_type": "http", "schema": "http", "host": "127.0.0.1", "port": server.server_port}
    monkeypatch.setenv("AIRFLOW_CONN_CHAT", json.dumps(connection))
    yield heard
    server.shutdown()
    server.server_close()


@pytest.fixture
def filled(store_connection):
    """Two messages of today, a report, a reply that is a formula, and a balance."""
    from airflow_provider_sms.store import frames
    from airflow_provider_sms.store.balances import Balances
    from airflow_provider_sms.store.ledger import Ledger
    from airflow_provider_sms.store.plans import PlannedBatch, PlannedSend

    store = store_connection
    ledger = Ledger(store)
    ledger.plan(
        PlannedSend("campaign", "sms_main", "wavecom", "f" * 64, template_id="t1"),
        [PlannedBatch(1, "planned", ["13800130001", "18600000002"], "您的订单已发货【公司】")],
    )
    ledger.claim("campaign", 1, "worker", 60, "ref1")
    ledger.settle("campaign", 1, "accepted", owner="worker", message_ids=["77"])
    delivered = Report("77", "13800130001", DeliveryStatus.DELIVERED, "DELIVRD", "", "", store.now())
    _land(store, "reports", delivered)
    _land(store, "replies", Reply("", "13800130001", "=cmd|' /C calc'!A0", "", store.now()))
    Balances(store).record("sms_main", "wavecom", Balance(98))
    day = store.now().astimezone(UTC).date()
    frames.refresh_delivery_daily(store, day, day, timezone="UTC")
    return store


@pytest.fixture
def day(filled):
    """Give the day (UTC) on which the store was filled."""
    return filled.now().astimezone(UTC).date()


def _land(store, queue, *records: Any):
    from airflow_provider_sms.store.journal import Journal
    from airflow_provider_sms.store.landing import Landing

    journal = Journal(store)
    page = journal.begin("sms_main", "wavecom", queue, "reader")
    journal.keep(page, b"raw")
    Landing(store).land(page, "sms_main", "wavecom", queue, records)
