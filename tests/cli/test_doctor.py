"""``airflow sms doctor``: all that can be looked at, and an exit status that a monitor can use."""

from __future__ import annotations

import json

from sqlalchemy import delete

from airflow_provider_sms.records import BatchState, PageState
from airflow_provider_sms.sandbox.faults import Fault
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.ledger import Ledger
from airflow_provider_sms.store.plans import PlannedBatch, PlannedSend

VENDORS = ("beidoutong", "linkws", "smsadmin", "wavecom")


def test_all_is_well_and_only_balances_were_asked_for(sms, sandbox, connections):
    """It finds the connections by itself, sends nothing and reads no queue."""
    for vendor in VENDORS:
        connections(vendor)
    said = sms("doctor")
    assert said.status == 0, said
    for vendor in VENDORS:
        assert f"ok    connection 'sms_{vendor}' ({vendor}): it answers; " in said.out
        assert set(sandbox.calls.by_operation(vendor)) == {"balance"}
    assert "ok    store: sqlite, schema version 2, can be read and written" in said.out
    assert "nothing needs a person" in said.out
    assert "MEND" not in said.out


def test_connections_in_the_metadata_database_are_found(sms, sandbox, store_connection):
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session

    with create_session() as session:
        fields = sandbox.connection("wavecom")
        fields["extra"] = json.dumps(fields["extra"])
        session.add(Connection(conn_id="sms_in_database", **fields))
        session.add(Connection(conn_id="other_in_database", conn_type="http", host="nowhere.invalid"))
    try:
        said = sms("doctor")
    finally:
        with create_session() as session:
            session.execute(delete(Connection).where(Connection.conn_id.like("%_in_database")))
    assert "connection 'sms_in_database' (wavecom): it answers" in said.out
    assert "other_in_database" not in said.out
    assert said.status == 0
    assert store_connection


def test_a_wrong_password_and_a_missing_field_are_told_and_no_secret(sms, connections):
    connections("wavecom", fields={"password": "canary-secret-1"})
    connections("beidoutong", userid="")
    said = sms("doctor", "--conn-id", "sms_wavecom", "--conn-id", "sms_beidoutong", "--conn-id", "sms_absent")
    assert said.status == 1
    assert "canary-secret-1" not in said.out + said.err
    assert "'sms_beidoutong' (sms_beidoutong): 1 problem" in said.out
    assert "there is no such connection" in said.out
    assert "3 things to mend" in said.out


def test_a_database_that_was_never_set_up_is_told(sms, connections, monkeypatch):
    """The way to it is named; the connections of the environment are looked at all the same."""
    from airflow_provider_sms.hooks.outside import MetadataDatabase

    connections("wavecom")
    monkeypatch.setattr(MetadataDatabase, "is_set_up", staticmethod(lambda: False))
    said = sms("doctor", "--offline")
    assert said.status == 1
    assert (
        "MEND  connections: Airflow's metadata database has no tables yet: run 'airflow db migrate'"
        in said.out
    )
    assert "no SMS connection was found" not in said.out
    assert "ok    connection 'sms_wavecom'" in said.out
    monkeypatch.delenv("AIRFLOW_CONN_SMS_WAVECOM")
    assert "no SMS connection was found" not in sms("doctor", "--offline").out


def test_a_vendor_that_does_not_answer_is_told(sms, sandbox, connections):
    connections("wavecom", timeout=2)
    sandbox.faults.add(Fault("status", vendor="wavecom", status=500))
    said = sms("doctor", "--conn-id", "sms_wavecom")
    assert said.status == 1
    assert "HTTP 500" in said.out
    assert sms("doctor", "--offline", "--conn-id", "sms_wavecom").status == 0


def test_what_waits_for_a_person_is_counted(sms, store, connections):
    connections("wavecom")
    journal = Journal(store)

    def begun():
        return journal.begin("sms_wavecom", "wavecom", "replies", "reader")

    broken, *lost = begun(), begun(), begun()
    journal.keep(broken, b"x")
    journal.quarantine(broken, "?")
    for page_id in lost:
        journal.close_unread(page_id, PageState.SUSPECT, "cut off")
    begun()
    ledger = Ledger(store)
    ledger.plan(
        PlannedSend("key", "sms_wavecom", "wavecom", "f" * 64),
        [PlannedBatch(1, "r", ("13812345678", "13900000002"), "您好")],
    )
    ledger.claim("key", 1, "worker", 60, "reference")
    ledger.settle("key", 1, BatchState.UNKNOWN, owner="worker")
    said = sms("doctor", "--offline", "--conn-id", "sms_wavecom")
    assert said.status == 1
    for finding in (
        "MEND  replies of connection 'sms_wavecom': 1 quarantined page\n",
        "MEND  replies of connection 'sms_wavecom': 2 suspect pages, so at most 100 records may be lost",
        "MEND  pages: 1 read ended without a word",
        "MEND  sends: batches whose outcome is unknown: 1, with 2 recipients",
        "'airflow sms settle' settles what reports prove",
        "4 things to mend",
    ):
        assert finding in said.out
    assert sms("pages", "--dismiss", "--reason", "asked the vendor", *lost).status == 0
    assert "suspect pages" not in sms("doctor", "--offline", "--conn-id", "sms_wavecom").out


def test_files_in_the_spool_are_told(sms, spool, connections):
    from airflow_provider_sms.store.spool import SpooledPage

    connections("wavecom")
    spool.put(SpooledPage("f" * 32, "sms_wavecom", "wavecom", "replies", b"x"))
    (spool.directory / "torn.torn").write_bytes(b"half")
    # Nobody can read it as a file, not even root.
    (spool.directory / "theirs.page").mkdir()
    said = sms("doctor", "--offline", "--conn-id", "sms_wavecom")
    assert said.status == 1
    assert "MEND  spool: 1 page\n" in said.out
    assert "MEND  spool: 1 torn file\n" in said.out
    assert "MEND  spool: 1 unreadable file\n" in said.out


def test_a_spool_that_cannot_be_written_is_told(sms, connections, monkeypatch, tmp_path):
    """A file stands where the folder should be: that stops root as well."""
    connections("wavecom")
    (tmp_path / "blocked").write_text("")
    monkeypatch.setenv("AIRFLOW__SMS__SPOOL_DIR", str(tmp_path / "blocked" / "spool"))
    said = sms("doctor", "--offline", "--conn-id", "sms_wavecom")
    assert said.status == 1
    assert "cannot be written (Not a directory)" in said.out


def test_sqlite_under_a_distributed_executor_is_told(sms, connections, monkeypatch):
    connections("wavecom")
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    said = sms("doctor", "--offline", "--conn-id", "sms_wavecom")
    assert said.status == 1
    assert "the store must be PostgreSQL or MySQL/MariaDB" in said.out
    assert "ok    connection 'sms_wavecom'" in said.out


def test_a_store_that_is_away_is_told(sms, connections, monkeypatch):
    connections("wavecom")
    address = {
        "conn_type": "postgres",
        "host": "127.0.0.1",
        "port": 1,
        "login": "u",
        "password": "canary-secret-2",
    }
    monkeypatch.setenv("AIRFLOW_CONN_SMS_STORE", json.dumps(address))
    said = sms("doctor", "--offline", "--conn-id", "sms_wavecom")
    assert said.status == 1
    assert "MEND  store: the SMS store cannot be used" in said.out
    assert "canary-secret-2" not in said.out + said.err
