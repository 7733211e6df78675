"""
Two Celery workers and two triggerers on one account; one of each is killed on the way.

Takes about a minute, a third of it Airflow's start. ``SMS_DISTRIBUTED_RUNS`` says how many DAG runs (6),
``SMS_DISTRIBUTED_STORES`` where the store is, one after the other (``postgresql``; ``mysql``).
"""

from __future__ import annotations

import os
import time
from collections import Counter

import pytest

from airflow_provider_sms.sandbox import Sandbox
from airflow_provider_sms.sandbox.faults import Fault

RUNS = int(os.environ.get("SMS_DISTRIBUTED_RUNS", "6"))
STORES = os.environ.get("SMS_DISTRIBUTED_STORES", "postgresql").split(",")
RECIPIENTS = 5
INTERVAL = 5.0


@pytest.fixture
def sandbox():
    """Serve smsadmin: a queue is read every five seconds at most, and reports come when told."""
    with Sandbox(smsadmin_poll_interval=INTERVAL - 0.1, silent_share=1.0) as gateway:
        yield gateway


@pytest.mark.slow
@pytest.mark.parametrize("dialect", STORES)
def test_killed_workers_and_triggerers_send_and_land_once(sandbox, cluster, patience, dialect):
    """Each message is accepted once at the vendor, each report lands once, and every run ends well."""
    began = time.monotonic()
    airflow = cluster(dialect)
    started = time.monotonic() - began
    people = {
        f"run{run}": [str(13_800_000_000 + 100 * run + each) for each in range(RECIPIENTS)]
        for run in range(RUNS)
    }
    sandbox.faults.add(Fault("slow", vendor="smsadmin", operation="send", after=1, seconds=2.5))
    airflow.trigger({run: {"recipients": ",".join(numbers)} for run, numbers in people.items()})
    assert patience(lambda: sandbox.faults.met().get("slow"), 60), airflow.ends()
    killed_send, worker = killed_in_submit(airflow, patience)
    triggerer = killed_triggerer(airflow, patience)
    reported: set[str] = set()

    def ended():
        report(sandbox, reported)
        return airflow.ask("SELECT count(*) FROM dag_run WHERE state IN ('success', 'failed')") == [(RUNS,)]

    patience(ended, 120 + 10 * RUNS)
    took = time.monotonic() - began
    landed = Counter(airflow.ask_store("SELECT vendor_message_id, mobile FROM sms_reports"))
    pages = dict(airflow.ask_store("SELECT state, count(*) FROM sms_pages GROUP BY state"))
    pauses = sandbox.calls.intervals("smsadmin", "reports")
    print(  # noqa: T201 - the figures
        f"{RUNS} runs, store on {dialect}, messages by {'Redis' if airflow.redis else 'PostgreSQL'}: "
        f"{took:.0f} s, {started:.0f} s of it Airflow's start; killed {worker} in a submit and {triggerer}; "
        f"{sandbox.count_messages('smsadmin')} messages sent, {sum(landed.values())} reports landed, "
        f"pages {pages}, {len(pauses) + 1} reads, at least {min(pauses):.2f} s apart"
    )
    assert Counter(state for (state,) in airflow.ask("SELECT state FROM dag_run")) == {"success": RUNS}, (
        airflow.ends()
    )

    sent = Counter((each.mobile, each.content) for each in sandbox.messages("smsadmin"))
    assert set(sent.values()) == {1}
    assert {mobile for mobile, _ in sent} == {number for numbers in people.values() for number in numbers}
    assert len(sent) == RUNS * RECIPIENTS
    outcome = f"SELECT state, settled_by FROM sms_batches WHERE send_key = '{killed_send}'"  # noqa: S608 - ours
    assert airflow.ask_store(outcome) == [("accepted", "report")]

    # No read was cut off; so whatever the vendor handed over has landed, once.
    assert pages.keys() <= {"empty", "landed"}
    assert landed == Counter(
        (each.message_id, each.mobile) for each in sandbox.handed_out_reports("smsadmin")
    )
    assert set(landed.values()) == {1}
    assert len(landed) == RUNS * RECIPIENTS
    assert sandbox.max_reads_in_flight("smsadmin", "reports") == 1
    assert min(pauses) >= INTERVAL - 0.1


def report(sandbox, reported):
    """Put the delivery reports of what was sent since the last time into the vendor's queue."""
    for message in sandbox.messages("smsadmin"):
        key = message.message_id + message.mobile
        if key not in reported:
            reported.add(key)
            fields = {"mobile": message.mobile, "message_id": message.message_id}
            sandbox.queue_reports("smsadmin", [fields])


def killed_in_submit(airflow, patience):
    """Kill the worker whose submit is accepted but not answered yet; give the send and the worker."""
    submitting = "SELECT send_key, claim_owner FROM sms_batches WHERE state = 'submitting'"

    def slow():
        # Others of this moment are answered before one could look twice.
        seen = set(airflow.ask_store(submitting))
        time.sleep(0.3)
        return seen & set(airflow.ask_store(submitting))

    for send_key, owner in patience(slow, 10):
        if name := airflow.kill_whoever_has(int(owner.split(":")[1]), "worker"):
            return send_key, name
    raise AssertionError(airflow.ends())


def killed_triggerer(airflow, patience):
    """Kill the triggerer that polled last; give its name."""
    polled = "SELECT owner FROM sms_pages WHERE owner LIKE 'triggerer %' ORDER BY started_at DESC LIMIT 1"
    ((owner,),) = patience(lambda: airflow.ask_store(polled), 60) or [("",)]
    name = owner and airflow.kill_whoever_has(int(owner.split(":")[1]), "triggerer")
    assert name, airflow.ends()
    return name
