"""A chat group's webhook on loopback, for the notifiers of low balances."""

from __future__ import annotations

import json
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


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
