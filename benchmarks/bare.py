"""The least that the machine can do: bytes moved by a bare socket, rows written by the driver alone."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpcore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from figures import Stopwatch

    from airflow_provider_sms.gateway import Gateway
    from airflow_provider_sms.store.engine import Store
    from airflow_provider_sms.wire import WireRequest

_COLUMNS = (
    "page_id", "seq", "conn_id", "vendor", "vendor_message_id", "mobile", "status", "vendor_status",
    "error_code", "extno", "reported_at", "time_source", "landed_at",
)  # fmt: skip
_MARKS = {"sqlite": "?", "postgresql": "%s"}
_END = b"\r\n\r\n"


def fetch(client: Gateway, request: WireRequest, pages: int) -> list[bytes]:
    """Fetch so many pages over one kept connection and look at none of them."""
    url = client.account.endpoint.base_url + request.path + (f"?{request.query}" if request.query else "")
    headers = list(request.headers.items())
    with httpcore.ConnectionPool() as pool:
        return [
            pool.request(request.method, url, headers=headers, content=request.body or None).content
            for _ in range(pages)
        ]


def fetch_and_keep(client: Gateway, request: WireRequest, pages: int, store: Store, watch: Stopwatch) -> None:
    """Fetch so many pages over one bare socket, the driver committing the bytes of each; that is timed."""
    host, port = _address(client)
    message = f"GET {request.path}?{request.query} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
    insert = f"INSERT INTO bare_pages VALUES ({_MARKS[store.dialect]})"  # noqa: S608
    with store.engine.connect() as connection, socket.create_connection((host, port)) as vendor:
        connection.exec_driver_sql(
            f"CREATE TABLE bare_pages (body {'BLOB' if store.dialect == 'sqlite' else 'BYTEA'})"
        )
        connection.commit()
        driver: Any = connection.connection.driver_connection
        driver.rollback()
        if store.dialect == "postgresql":
            driver.autocommit = True
        with watch.running():
            for _ in range(pages):
                vendor.sendall(message)
                driver.execute(insert, (_one_answer(vendor),))
        connection.invalidate()


def _address(client: Gateway) -> tuple[str, int]:
    host, port = client.account.endpoint.base_url.removeprefix("http://").split(":")
    return host, int(port)


def _one_answer(vendor: socket.socket) -> bytes:
    head, _, body = vendor.recv(65536).partition(_END)
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += vendor.recv(65536)
    return body


def report_rows(count: int, page_size: int) -> list[tuple[Any, ...]]:
    """Make up rows of ``sms_reports``."""
    moment = datetime(2025, 3, 1, 4, tzinfo=UTC)
    return [
        (
            f"{place // page_size:032d}", place % page_size, "bench_beidoutong", "beidoutong",
            f"{10**17 + place}", str(13_800_000_000 + place), "delivered", "10", "DELIVRD", "",
            moment, "vendor", moment,
        )
        for place in range(count)
    ]  # fmt: skip


def write(store: Store, rows: list[tuple[Any, ...]], watch: Stopwatch) -> None:
    """Write rows into the indexed table in one transaction, as fast as the driver can; only that is timed."""
    names, marks = (
        ", ".join(_COLUMNS),
        ", ".join("?" if store.dialect == "sqlite" else "%s" for _ in _COLUMNS),
    )
    if store.dialect == "postgresql":
        text = "\n".join("\t".join(map(str, row)) for row in rows) + "\n"
        with store.engine.begin() as connection:
            driver: Any = connection.connection.driver_connection
            with watch.running():
                with driver.cursor() as cursor, cursor.copy(f"COPY sms_reports ({names}) FROM STDIN") as copy:
                    copy.write(text)
                driver.commit()
        return
    rows = [tuple(str(v.replace(tzinfo=None)) if isinstance(v, datetime) else v for v in row) for row in rows]
    with store.engine.connect() as connection, watch.running():
        connection.exec_driver_sql(f"INSERT INTO sms_reports ({names}) VALUES ({marks})", rows)  # noqa: S608
        connection.commit()


def send(client: Gateway, requests: Sequence[WireRequest], in_flight: int) -> None:
    """Send requests that are ready, each over a connection of its own, so many at once."""
    host, port = _address(client)
    raw = [
        f"GET {request.path}?{request.query} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close".encode()
        + _END
        for request in requests
    ]

    def one(message: bytes) -> None:
        with socket.create_connection((host, port)) as connection:
            connection.sendall(message)
            while connection.recv(65536):
                pass

    with ThreadPoolExecutor(in_flight) as pool:
        list(pool.map(one, raw))
