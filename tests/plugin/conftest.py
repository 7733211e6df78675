"""The receiver as it is served: uvicorn on a port of this machine, connections from the environment."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import replace
from urllib.parse import quote_from_bytes

import pytest

TOKEN = "canary-token-5c1f2ab09d"
OLDER_TOKEN = "canary-token-former-77"
LOGIN_FIELDS = {"Class": "mo", "Mobile": "13800138000", "Message": "退订", "LinkId": "a1b2"}


class Served:
    """A running receiver."""

    def __init__(self, port: int, login: str) -> None:
        self.port = port
        self.login = login

    def url(self, token: str = TOKEN, conn_id: str = "sms_smsadmin") -> str:
        """Give the address that a vendor is told."""
        return f"http://127.0.0.1:{self.port}/sms/push/{conn_id}?token={token}"

    def fields(self, **changed: str | bytes | None) -> bytes:
        """Make the fields of a reply in GBK; ``None`` leaves a field out, bytes go as they are."""
        fields = {"SmsName": self.login, **LOGIN_FIELDS, "RevertTime": "2025-01-31 16:30:00"} | changed
        return b"&".join(
            f"{name}=".encode()
            + (value if isinstance(value, bytes) else quote_from_bytes(value.encode("gbk"), safe="").encode())
            for name, value in fields.items()
            if value is not None
        )

    def raw(self, request: bytes, timeout: float = 10) -> bytes:
        """Send bytes and give whatever is answered before the other side closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            connection.sendall(request)
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
            return answer

    def ask(
        self,
        body: bytes | None = None,
        *,
        method: str = "POST",
        token: str | None = TOKEN,
        query: bytes = b"",
        conn_id: str = "sms_smsadmin",
        headers: dict[str, str] | None = None,
    ) -> int:
        """Send one request and give the status of its answer."""
        body = self.fields() if body is None else body
        parts = [f"token={token}".encode()] if token is not None else []
        target = f"/sms/push/{conn_id}?".encode() + b"&".join([*parts, *([query] if query else [])])
        lines = {"Host": "receiver", "Connection": "close", "Content-Length": str(len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in (lines | (headers or {})).items())
        answer = self.raw(method.encode() + b" " + target + b" HTTP/1.1\r\n" + head.encode() + b"\r\n" + body)
        return int(answer.split(b" ", 2)[1])


@pytest.fixture
def push_options():
    """Extra fields of the connection; tests change it before they serve."""
    return {"push_token": TOKEN, "push_token_previous": OLDER_TOKEN}


@pytest.fixture
def serve(connections, monkeypatch, sandbox, push_options):
    """Serve the receiver: ``serve(push_sources="10.0.0.1")`` gives a :class:`Served`."""
    from airflow_provider_sms.plugin.server import make_server
    from airflow_provider_sms.plugin.settings import read_settings

    running = []

    def run(
        settings: dict[str, str] | None = None, limits: dict[str, float] | None = None, **extra: str
    ) -> Served:
        connections("smsadmin", **(push_options | extra))
        for name, value in ({"push_connections": "sms_smsadmin"} | (settings or {})).items():
            monkeypatch.setenv(f"AIRFLOW__SMS__{name.upper()}", value)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        server = make_server("127.0.0.1", port, replace(read_settings(), **(limits or {})))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        running.append((server, thread))
        deadline = time.monotonic() + 10
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        return Served(port, sandbox.account("smsadmin").login)

    yield run
    for server, thread in running:
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def served(serve):
    return serve()
