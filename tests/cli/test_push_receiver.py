"""``airflow sms push-receiver``: it says that it receives when it does, and not before."""

from __future__ import annotations

import socket

import pytest

TOKEN = "canary-token-5c1f2ab09d"


@pytest.fixture
def receiver(sms, monkeypatch):
    """Start the receiver of these connections, which stops at once: ``receiver("sms_smsadmin")``."""
    import uvicorn

    def run(self, sockets):
        (self.listening,) = sockets
        assert self.listening.getsockname()[1]

    monkeypatch.setattr(uvicorn.Server, "run", run)

    def start(conn_ids: str, *words: object):
        monkeypatch.setenv("AIRFLOW__SMS__PUSH_CONNECTIONS", conn_ids)
        return sms("push-receiver", *(words or ("--port", 0)))

    return start


def test_it_says_where_it_receives(receiver, connections):
    said = receiver(connections("smsadmin", push_token=TOKEN))
    assert said.status == 0
    assert said.err.startswith("receiving pushes at http://127.0.0.1:")
    assert TOKEN not in said.err


def test_without_connections_it_says_nothing_but_that(receiver, store_connection):
    assert store_connection
    said = receiver("")
    assert said.status == 1
    assert "push_connections is empty" in said.err
    assert "receiving" not in said.err


def test_a_port_that_is_taken_is_told_instead(receiver, connections):
    conn_id = connections("smsadmin", push_token=TOKEN)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = receiver(conn_id, "--port", port)
    assert said.status == 1
    assert said.err.startswith(
        f"127.0.0.1:{port} cannot be served at (Address already in use): choose another"
    )
    assert "receiving" not in said.err


def test_a_connection_that_opens_no_door_is_told_and_the_others_are_served(receiver, connections):
    conn_id = connections("smsadmin", push_token=TOKEN)
    said = receiver(f"{conn_id}, sms_absent")
    assert said.status == 0
    assert "pushes to 'sms_absent' are refused as it is. connection 'sms_absent'" in said.err
    assert "receiving pushes at" in said.err


def test_where_all_are_unfit_nothing_is_served(receiver, connections):
    """One without a token, and one of a vendor that does not push."""
    said = receiver(f"{connections('smsadmin')},{connections('wavecom')}")
    assert said.status == 1
    assert "push_token must have 20 or more" in said.err
    assert "no server was started" in said.err
    assert "receiving pushes" not in said.err


def test_one_that_cannot_be_looked_up_may_be_fit_in_a_minute(receiver, store_connection, monkeypatch):
    from airflow_provider_sms.errors import VendorUnreachable
    from airflow_provider_sms.hooks.sms import SmsHook

    def away(*_: object):
        raise VendorUnreachable("connection 'sms_main' cannot be looked up")

    assert store_connection
    monkeypatch.setattr(SmsHook, "for_connection", away)
    said = receiver("sms_main")
    assert said.status == 0
    assert "cannot be looked up" in said.err
    assert "receiving pushes" in said.err


def test_the_help_names_the_option(sms, capsys):
    with pytest.raises(SystemExit):
        sms("push-receiver", "--help")
    assert "push_connections in the section sms" in " ".join(capsys.readouterr().out.split())
