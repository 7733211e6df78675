"""200 means stored, whatever happens to the store; and connections may change meanwhile."""

from __future__ import annotations

import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_sms.errors import StoreUnavailable
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.spool import Spool, SpooledPage

PAGES = "SELECT state FROM sms_pages"


@pytest.fixture
def spooled(tmp_path):
    """List the files in the spool."""
    return lambda: list((tmp_path / "spool").rglob("*.page"))


def eventually(look, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def away(*_: object, **__: object):
    raise StoreUnavailable("the SMS store cannot be used (test)")


def test_with_the_store_away_the_spool_takes_it_and_it_lands_later(served, rows, spooled, monkeypatch):
    monkeypatch.setattr("airflow_provider_sms.plugin.desk.MEND_SECONDS", 0.2)
    with monkeypatch.context() as broken:
        broken.setattr(Journal, "push", away)
        assert served.ask() == 200
        assert [file.read_bytes().partition(b"\n")[2] for file in spooled()] == [served.fields()]
        assert rows("SELECT count(*) FROM sms_pages") == [0]
    assert served.ask(served.fields(LinkId="next")) == 200
    assert eventually(lambda: len(rows("SELECT content FROM sms_replies")) == 2)
    assert not spooled()


def test_with_store_and_disk_away_it_says_so(served, monkeypatch, caplog):
    monkeypatch.setattr(Journal, "push", away)
    monkeypatch.setattr(Spool, "put", away)
    assert served.ask() == 503
    assert "A PUSH IS LOST" in caplog.text


def test_a_store_that_hangs_is_not_waited_for(serve, rows, monkeypatch, spooled):
    monkeypatch.setattr("airflow_provider_sms.plugin.desk.MEND_SECONDS", 2.0)
    served = serve(limits={"store_seconds": 0.3})
    push = Journal.push

    def slowly(*values: object, **named: object):
        time.sleep(1.5)
        return push(*values, **named)

    with monkeypatch.context() as slow:
        slow.setattr(Journal, "push", slowly)
        started = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            bodies = [served.fields(LinkId=f"slow{each}") for each in range(8)]
            assert set(pool.map(served.ask, bodies)) == {200}
        assert time.monotonic() - started < 2.5
        assert len(spooled()) == 8
        # What is committed late is committed, and not into the store of whichever test comes next.
        assert eventually(lambda: rows("SELECT count(*) FROM sms_pages") == [8])


def test_nothing_waits_in_line_behind_a_store_that_hangs(serve, rows, monkeypatch):
    """Once it answers, the next push is stored at once: not after all that went to the spool meanwhile."""
    served = serve(limits={"store_seconds": 0.3})
    begun, answers, push = [], threading.Event(), Journal.push

    def hanging(*values: object, **named: object):
        begun.append(named["page_id"])
        answers.wait(30)
        return push(*values, **named)

    with monkeypatch.context() as hangs:
        hangs.setattr(Journal, "push", hanging)
        with ThreadPoolExecutor(40) as pool:
            bodies = [served.fields(LinkId=f"hung{each}") for each in range(40)]
            assert set(pool.map(served.ask, bodies)) == {200}
        answers.set()
        # What was in work is done late.
        assert eventually(lambda: rows("SELECT count(*) FROM sms_pages") == [len(begun)])
        assert len(begun) <= 4
        assert served.ask(served.fields(LinkId="next")) == 200
        assert len(begun) <= 5
    assert rows("SELECT vendor_message_id FROM sms_replies") == ["next"]


def test_what_could_not_land_lands_later(served, rows, monkeypatch):
    from airflow_provider_sms.store.landing import Landing

    monkeypatch.setattr("airflow_provider_sms.plugin.desk.MEND_SECONDS", 0.2)
    with monkeypatch.context() as broken:
        broken.setattr(Landing, "land", away)
        assert served.ask() == 200
        assert rows(PAGES) == ["read"]
    assert eventually(lambda: rows("SELECT content FROM sms_replies") == ["退订"])


def test_what_an_earlier_process_left_is_landed_by_the_next_one(serve, rows, store, sandbox):
    login = sandbox.account("smsadmin").login
    body = f"Class=mo&SmsName={login}&Mobile=13800138000&Message=TD&LinkId=1&RevertTime=2025-01-31 1:02:03"
    Journal(store).push("sms_smsadmin", "smsadmin", "replies", body.encode(), page_id="left")
    served = serve()
    assert served.ask() == 200
    assert eventually(lambda: sorted(rows("SELECT content FROM sms_replies")) == ["TD", "退订"])


def test_what_an_earlier_process_left_in_the_spool_waits_for_no_push(serve, rows, store, sandbox, spooled):
    """It was acknowledged, and the next push may be days away."""
    login = sandbox.account("smsadmin").login
    body = f"Class=mo&SmsName={login}&Mobile=13800138000&Message=TD&LinkId=1&RevertTime=2025-01-31 1:02:03"
    left = {"page_id": "left", "conn_id": "sms_smsadmin", "vendor": "smsadmin", "queue": "replies"}
    Spool(store.spool_dir).put(SpooledPage(**left, body=body.encode(), source="push"))
    serve()
    assert eventually(lambda: rows("SELECT content FROM sms_replies") == ["TD"], 15)
    assert not spooled()


def test_a_connection_that_is_not_there_yet_is_looked_for_again(serve, rows, store, sandbox, monkeypatch):
    """Airflow's database may be back after the receiver."""
    monkeypatch.setattr("airflow_provider_sms.plugin.desk.FIRST_MEND_SECONDS", 0.1)
    monkeypatch.setattr("airflow_provider_sms.plugin.desk.MEND_SECONDS", 0.2)
    monkeypatch.setattr("airflow_provider_sms.plugin.accounts.RETRY_SECONDS", 0.1)
    login = sandbox.account("smsadmin").login
    body = f"Class=mo&SmsName={login}&Mobile=13800138000&Message=TD&LinkId=1&RevertTime=2025-01-31 1:02:03"
    Journal(store).push("sms_later", "smsadmin", "replies", body.encode(), page_id="left")
    serve({"push_connections": "sms_later"})
    time.sleep(0.5)
    assert rows("SELECT state FROM sms_pages") == ["read"]
    monkeypatch.setenv("AIRFLOW_CONN_SMS_LATER", os.environ["AIRFLOW_CONN_SMS_SMSADMIN"])
    assert eventually(lambda: rows("SELECT content FROM sms_replies") == ["TD"], 15)


def test_a_collection_lands_it_as_well(connections, rows, store, sandbox):
    from airflow_provider_sms.collecting import Collector
    from airflow_provider_sms.hooks.sms import SmsHook
    from airflow_provider_sms.records import Queue

    login = sandbox.account("smsadmin").login
    body = f"Class=mo&SmsName={login}&Mobile=13800138000&Message=TD&LinkId=1&RevertTime=2025-01-31 1:02:03"
    Journal(store).push("sms_smsadmin", "smsadmin", "replies", body.encode(), page_id="left")
    Journal(store).push("sms_smsadmin", "smsadmin", "replies", b"no event", page_id="odd")
    with SmsHook(connections("smsadmin")).gateway() as gateway:
        collector = Collector(gateway, store, Queue.REPLIES, owner="me", log=logging.getLogger())
        assert collector.run(max_pages=1).records == 1
    assert rows("SELECT page_id, state FROM sms_pages ORDER BY page_id")[-1] == ("odd", "quarantined")
    assert rows("SELECT content FROM sms_replies") == ["TD"]


# --- the store's connection cannot be looked up ------------------------------------------------------


def test_a_push_goes_to_no_other_store(served, rows, monkeypatch, tmp_path):
    """A receiver that has used a store goes on with it while Airflow's database is away."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "home"))
    # As if its connection were in Airflow's database.
    monkeypatch.setattr("airflow_provider_sms.hooks.known_stores._is_in_environment", lambda _: False)
    assert served.ask() == 200
    monkeypatch.delenv("AIRFLOW_CONN_SMS_STORE")
    assert served.ask(served.fields(LinkId="next")) == 200
    assert sorted(rows("SELECT vendor_message_id FROM sms_replies")) == ["a1b2", "next"]
    assert not list((tmp_path / "home").rglob("*.db"))


def test_a_receiver_that_starts_meanwhile_has_the_spool(served, rows, monkeypatch, tmp_path, spooled):
    """It finds what was used here before, and lands when the store is found again."""
    from airflow_provider_sms.hooks import known_stores
    from airflow_provider_sms.hooks.store import open_store

    monkeypatch.setattr("airflow_provider_sms.plugin.desk.MEND_SECONDS", 0.2)
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(known_stores, "_is_in_environment", lambda _: False)
    open_store()
    with monkeypatch.context() as outage:
        outage.setattr(known_stores, "_opened", {})
        outage.delenv("AIRFLOW_CONN_SMS_STORE")
        assert served.ask() == 200
        assert len(spooled()) == 1
        assert not list((tmp_path / "home").rglob("*.db"))
    assert eventually(lambda: rows("SELECT content FROM sms_replies") == ["退订"])


# --- connections change ----------------------------------------------------------------------------


def test_a_new_token_takes_effect_and_a_lost_connection_keeps_the_last(serve, monkeypatch, connections):
    monkeypatch.setattr("airflow_provider_sms.plugin.accounts.FRESH_SECONDS", 0.0)
    monkeypatch.setattr("airflow_provider_sms.plugin.accounts.RETRY_SECONDS", 0.0)
    served = serve()
    assert served.ask() == 200
    connections("smsadmin", push_token="another-token-0123456789")
    assert served.ask() == 403
    assert served.ask(token="another-token-0123456789") == 200
    # Airflow's database away looks as if there were no such connection.
    monkeypatch.delenv("AIRFLOW_CONN_SMS_SMSADMIN")
    assert served.ask(token="another-token-0123456789") == 200
    assert served.ask() == 403
    monkeypatch.setattr("airflow_provider_sms.plugin.accounts.STALE_SECONDS", 0.0)
    connections("smsadmin", push_token="another-token-0123456789")
    assert served.ask(token="another-token-0123456789") == 200
    monkeypatch.delenv("AIRFLOW_CONN_SMS_SMSADMIN")
    assert served.ask(token="another-token-0123456789") == 503


@pytest.mark.parametrize(
    "changed",
    [{"push_token": ""}, {"push_token": "short"}, {"push_sources": "nonsense"}, {"timeout": "never"}],
    ids=str,
)
def test_a_token_that_is_taken_away_opens_nothing_any_more(
    serve, monkeypatch, connections, rows, push_options, changed
):
    """The grace is for a connection that cannot be looked up; this one says that the door is closed."""
    monkeypatch.setattr("airflow_provider_sms.plugin.accounts.FRESH_SECONDS", 0.0)
    monkeypatch.setattr("airflow_provider_sms.plugin.accounts.RETRY_SECONDS", 0.0)
    served = serve(push_token_previous="")
    assert served.ask() == 200
    connections("smsadmin", **({"push_token": push_options["push_token"]} | changed))
    assert served.ask(served.fields(LinkId="next")) == 503
    # Nor by the grace of what was known before, once it cannot be looked up.
    monkeypatch.delenv("AIRFLOW_CONN_SMS_SMSADMIN")
    assert served.ask(served.fields(LinkId="next")) == 503
    assert rows("SELECT count(*) FROM sms_pages") == [1]
    connections("smsadmin", push_token=push_options["push_token"])
    assert served.ask(served.fields(LinkId="next")) == 200


# --- look-ups hang ---------------------------------------------------------------------------------


@pytest.fixture
def hang(monkeypatch):
    """Let the look-ups of some connections hang: ``hang("sms_smsadmin")``."""
    from airflow_provider_sms.hooks.sms import SmsHook

    over = threading.Event()
    look_up = SmsHook.for_connection

    def start(*conn_ids: str):
        def hanging(conn_id: str, **named: object):
            if conn_id in conn_ids:
                over.wait(30)
            return look_up(conn_id, **named)

        monkeypatch.setattr(SmsHook, "for_connection", hanging)

    yield start
    over.set()


def test_a_look_up_that_hangs_stops_no_push_to_a_door_that_is_known(serve, rows, hang, monkeypatch):
    """One of them waits a moment for it, the others not at all; and the spool has its threads."""
    monkeypatch.setattr("airflow_provider_sms.plugin.accounts.FRESH_SECONDS", 0.0)
    monkeypatch.setattr("airflow_provider_sms.plugin.accounts.LOOK_UP_SECONDS", 0.5)
    served = serve()
    assert served.ask() == 200
    hang("sms_smsadmin")
    started = time.monotonic()
    with ThreadPoolExecutor(12) as pool:
        bodies = [served.fields(LinkId=f"hung{each}") for each in range(12)]
        assert set(pool.map(served.ask, bodies)) == {200}
    with monkeypatch.context() as broken:
        broken.setattr(Journal, "push", away)
        assert served.ask(served.fields(LinkId="spooled")) == 200
    assert time.monotonic() - started < 4
    assert rows("SELECT count(*) FROM sms_pages") == [13]


def test_airflows_database_that_hangs_slows_no_push_down(serve, rows, monkeypatch):
    """Neither the look-up of the account's connection nor that of the store's."""
    from airflow.providers.common.compat.sdk import BaseHook

    for place in ("accounts", "kept_store"):
        monkeypatch.setattr(f"airflow_provider_sms.plugin.{place}.FRESH_SECONDS", 0.0)
        monkeypatch.setattr(f"airflow_provider_sms.plugin.{place}.LOOK_UP_SECONDS", 0.5)
    served = serve()
    assert served.ask() == 200
    over, look_up = threading.Event(), BaseHook.get_connection

    def hanging(conn_id: str):
        over.wait(30)
        return look_up(conn_id)

    monkeypatch.setattr(BaseHook, "get_connection", staticmethod(hanging))
    try:
        started = time.monotonic()
        with ThreadPoolExecutor(12) as pool:
            bodies = [served.fields(LinkId=f"hung{each}") for each in range(12)]
            assert set(pool.map(served.ask, bodies)) == {200}
        assert time.monotonic() - started < 4
        assert rows("SELECT count(*) FROM sms_replies") == [13]
    finally:
        over.set()


def test_a_look_up_that_hangs_is_no_other_connections_matter(serve, connections, hang, monkeypatch):
    """Whoever is not known yet is told so in time."""
    monkeypatch.setattr("airflow_provider_sms.plugin.accounts.LOOK_UP_SECONDS", 0.5)
    connections("smsadmin", "sms_other", push_token="another-token-0123456789")
    served = serve({"push_connections": "sms_smsadmin, sms_other"})
    hang("sms_other")
    started = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(served.ask, conn_id="sms_other") for _ in range(8)]
        assert served.ask() == 200
        assert {each.result() for each in asked} == {503}
    assert time.monotonic() - started < 4
