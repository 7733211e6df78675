"""Sessions on PostgreSQL that a pooler lends for one transaction each."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import make_url

from airflow_provider_sms.store.engine import Store

GREETED = b"Z\0\0\0\x05I"
#: What a server process says of itself: its number, and a secret.
PROCESS = b"K\0\0\0\x0c"


def pass_on(source, target):
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def greet(client, address):
    """Let a client in as a pooler does, which has a number of its own instead of the server's."""
    with client, socket.create_connection(address) as server:
        threading.Thread(target=pass_on, args=(client, server), daemon=True).start()
        greeting = b""
        while GREETED not in greeting and (data := server.recv(65_536)):
            greeting += data
        before, mark, number = greeting.partition(PROCESS)
        client.sendall(before + mark + (b"\x7f\0\0\x01" + number[4:] if mark else b""))
        pass_on(server, client)


@pytest.fixture
def pooler(new_place, tmp_path):
    """Give the address of a store behind a pooler, and the one right at the server."""
    place = new_place("postgresql", tmp_path)
    server = make_url(place.address)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def listen():
            with suppress(OSError):
                while True:
                    client, _ = listening.accept()
                    threading.Thread(
                        target=greet, args=(client, (server.host, server.port or 5432)), daemon=True
                    ).start()

        threading.Thread(target=listen, daemon=True).start()
        # Encrypted, nobody could see the greeting.
        address = server.set(host="127.0.0.1", port=listening.getsockname()[1])
        yield address.update_query_dict({"sslmode": "disable"}), server
        listening.shutdown(socket.SHUT_RDWR)


def remembered(url, tmp_path, **options: Any):
    """Tell how many statements the server remembers when one has come often."""
    store = Store.open(url, spool_dir=tmp_path / "spool", connect_args=options)
    try:
        with store.reading() as connection:
            for _ in range(20):
                connection.exec_driver_sql("SELECT 'often'")
            return connection.exec_driver_sql(
                "SELECT count(*) FROM pg_prepared_statements WHERE position('often' IN statement) > 0"
            ).scalar()
    finally:
        store.close()


def test_behind_a_pooler_the_server_is_to_remember_no_statement(pooler, tmp_path):
    """Under its name, another client's statement may run in its place."""
    pooled, server = pooler
    assert remembered(pooled, tmp_path) == 0
    assert remembered(server, tmp_path) == 1


def test_who_knows_the_pooler_may_have_statements_remembered(pooler, tmp_path):
    pooled, server = pooler
    assert remembered(pooled, tmp_path, prepare_threshold=3) == 1
    assert remembered(server, tmp_path, prepare_threshold=None) == 0
