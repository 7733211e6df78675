"""Reports that land before anybody calls a submit unknown: they are evidence all the same."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from airflow_provider_sms import errors
from airflow_provider_sms.sandbox import Fault

SCRIPT = Path(__file__).parent / "one_send.py"
TEXT = "您好【公司】"


@pytest.fixture
def dead_submit(begin, sandbox, tmp_path):
    """Let a process die between the vendor's acceptance of its only batch and the writing of that."""

    def die(vendor, people):
        order = {
            "connection": sandbox.connection(vendor, timeout=2),
            "folder": str(tmp_path),
            "send_key": "killed",
            "content": TEXT,
            "people": people,
            "die_at": {"of": "Gateway", "method": "submit", "occurrence": 1, "after": True},
        }
        ended = begin(SCRIPT, order)
        ended.join(60)
        assert ended.exitcode == -9

    return die


@pytest.mark.parametrize("on_unknown", ["fail", "resend"])
@pytest.mark.parametrize("vendor", ["smsadmin", "wavecom"])
def test_of_a_run_that_died(
    sandbox, gateway_of, send_to, collect, rows, store, numbers, dead_submit, vendor, on_unknown
):
    """Landed while its claim still held, they spare the next run an unknown, and people a second message."""
    people = numbers(3)
    dead_submit(vendor, people)
    assert collect(gateway_of(vendor, conn_id="sms_killed")).records == 3
    assert rows("SELECT state FROM sms_batches") == ["submitting"]
    with store.begin() as connection:
        connection.exec_driver_sql("UPDATE sms_batches SET claim_expires_at = submitted_at")
    mine = gateway_of(vendor, conn_id="sms_killed")
    counts = send_to(mine, people, TEXT, send_key="killed", on_unknown=on_unknown)
    assert (counts["accepted"], counts["unknown"]) == (3, 0)
    assert rows("SELECT settled_by FROM sms_batches") == ["report"]
    assert sandbox.count_messages(vendor) == 3


def test_while_the_answer_is_waited_for(sandbox, gateway_of, send_to, collect, rows, numbers):
    """A vendor that reports before it answers has answered."""
    sandbox.faults.add(Fault("slow", operation="send", seconds=4))
    landed = []

    def collect_soon():
        while not sandbox.count_messages("smsadmin"):
            time.sleep(0.02)
        landed.append(collect(gateway_of("smsadmin")).records)

    collecting = threading.Thread(target=collect_soon)
    collecting.start()
    counts = send_to(gateway_of("smsadmin", timeout=2), numbers(3), TEXT)
    collecting.join()
    assert landed == [3]
    assert (counts["accepted"], counts["unknown"]) == (3, 0)
    assert rows("SELECT settled_by FROM sms_batches") == ["report"]


def test_each_messages_own_id_is_learnt_page_by_page(sandbox, gateway_of, send_to, collect, numbers, rows):
    """The answer that told the ids was lost: none of them is to stay silent because its report came later."""
    sandbox.queue_reports("wavecom", 50)
    sandbox.faults.add(Fault("reset_after", operation="send"))
    with pytest.raises(errors.SubmitUnknown):
        send_to(gateway_of("wavecom"), numbers(100, first=13_911_100_000), TEXT)
    for _ in range(2):
        collect(gateway_of("wavecom"), max_pages=1)
    delivered = "SELECT count(*) FROM sms_message_status WHERE delivery IN ('delivered', 'failed')"
    assert rows(delivered) == [100]
    assert rows("SELECT count(DISTINCT vendor_message_id) FROM sms_messages") == [100]
