"""``airflow sms settle``: what speaks for either outcome, and a person's word."""

from __future__ import annotations

import re
import shlex
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import update

from airflow_provider_sms.records import Balance, BalanceSource, BatchState, DeliveryStatus, Report
from airflow_provider_sms.store.balances import Balances
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.landing import Landing
from airflow_provider_sms.store.ledger import Ledger
from airflow_provider_sms.store.plans import PlannedBatch, PlannedSend
from airflow_provider_sms.store.schema import batches

NUMBERS = ("13812345678", "13900000002")


@pytest.fixture
def ledger(store):
    return Ledger(store)


@pytest.fixture
def sent(ledger, store_connection):
    """Submit a batch to two numbers and end it as told; gives its reference."""
    assert store_connection

    def make(key="lost", state=BatchState.UNKNOWN, vendor="wavecom", seconds=60, **settled: Any):
        send = PlannedSend(key, f"sms_{vendor}", vendor, "f" * 64)
        assert ledger.plan(send, [PlannedBatch(1, "planned", NUMBERS, "您好【公司】")])
        assert ledger.claim(key, 1, "worker", seconds, f"reference-of-{key}")
        if state is not BatchState.SUBMITTING:
            assert ledger.settle(key, 1, state, owner="worker", **settled)
        return f"reference-of-{key}"

    return make


@pytest.fixture
def land(store):
    """Land a report on a number."""

    def run(vendor_id, number=NUMBERS[0], vendor="wavecom"):
        journal = Journal(store)
        page_id = journal.begin(f"sms_{vendor}", vendor, "reports", "reader")
        journal.keep(page_id, b"raw")
        report = Report(vendor_id, number, DeliveryStatus.DELIVERED, "0", "", "", store.now())
        Landing(store).land(page_id, f"sms_{vendor}", vendor, "reports", [report])

    return run


def test_the_evidence_is_shown_without_numbers(sms, store, sent, land, ledger):
    """Two sends to the same people, one report: nothing is proved, and a person sees why."""
    balances = Balances(store)
    balances.record("sms_wavecom", "wavecom", Balance(Decimal(100)))
    reference = sent("lost", error="reset after the submit")
    sent("rival")
    land("id-of-nobody")
    balances.record("sms_wavecom", "wavecom", Balance(Decimal(99)), source=BalanceSource.ANSWER)
    balances.record("sms_wavecom", "wavecom", Balance(Decimal(96)))
    said = sms("settle", "lost")
    assert said.status == 1
    for sign in (
        "send lost, batch 1",
        "recipients   2, charged as 2 messages",
        "unknown by   reset after the submit",
        "references   wavecom is given none",
        "0 bear its ids; of those on its numbers, 1 belong to no known batch and 0 to other batches",
        "138****5678 delivered",
        "also sent    2 of its numbers by batch 1 of send rival (unknown)",
        "balance      4 messages less",
        "so far       reports that no known batch explains speak for accepted",
        "airflow sms settle 'lost' --batch 1 --as accepted --reason TEXT",
    ):
        assert sign in said.out
    assert not any(number in said.out + said.err for number in NUMBERS)
    assert "您好" not in said.out + said.err
    assert "rival, batch 1" not in said.out
    assert reference not in said.out
    assert ledger.batches("lost")[0].state is BatchState.UNKNOWN


def test_without_a_sign_it_says_how_long_to_wait(sms, sent):
    sent()
    assert "nothing speaks for accepted yet. Its reports may come until" in sms("settle").out


@pytest.mark.parametrize("key", ["today's list", "a b", 'say "$HOME"'])
def test_what_it_says_to_type_can_be_typed(sms, sent, ledger, key):
    sent(key)
    line = re.search(r"decide by    airflow sms (settle .* --reason) TEXT", sms("settle", key).out)
    assert line is not None
    assert sms(*shlex.split(line[1]), "seen there").status == 0
    assert ledger.batches(key)[0].state is BatchState.ACCEPTED


def test_the_references_are_those_that_the_vendor_can_search_for(sms, sent):
    reference = sent(vendor="smsadmin")
    assert f"references   {reference}\n" in sms("settle").out


def test_of_a_vendor_without_reports_silence_says_nothing(sms, sent, store):
    """Neither while they would be waited for, nor after."""
    sent(vendor="linkws")
    for _ in range(2):
        said = sms("settle")
        assert said.status == 1
        assert "so far       nothing speaks for either: linkws gives no reports" in said.out
        assert "against" not in said.out
        with store.begin() as connection:
            connection.execute(update(batches).values(submitted_at=store.now() - timedelta(days=9)))


def test_what_reports_prove_settles_itself(sms, sent, land, ledger):
    sent()
    land("id-of-nobody")
    said = sms("settle")
    assert said.status == 0
    assert "batch 1 of send lost: reports prove that it was accepted; it is settled" in said.out
    assert "there is nothing to decide" in said.out
    assert ledger.batches("lost")[0].settled_by == "report"


def test_a_report_without_our_reference_proves_nothing_where_reports_bear_it(sms, sent, land, ledger):
    sent(vendor="smsadmin")
    land("somebody-elses", vendor="smsadmin")
    assert sms("settle").status == 1
    assert ledger.batches("lost")[0].state is BatchState.UNKNOWN


def test_a_submit_whose_process_died_is_among_them(sms, sent, ledger):
    sent(state=BatchState.SUBMITTING, seconds=-1)
    assert "the submit was cut off before its outcome was written down" in sms("settle").out
    assert ledger.batches("lost")[0].state is BatchState.UNKNOWN


@pytest.mark.parametrize(("words", "status"), [(["lost"], 1), (["lost", "--batch", 1], 1), ([], 0)])
def test_a_submit_whose_claim_holds_is_told(sms, sent, ledger, words, status):
    """Its outcome may yet be unknown; over all sends, that some are being submitted needs no person."""
    sent(state=BatchState.SUBMITTING)
    said = sms("settle", *words)
    assert re.match(r"1 batch is being submitted until \d\d:\d\d UTC; ask again then\n", said.out)
    assert said.status == status
    assert ledger.batches("lost")[0].state is BatchState.SUBMITTING


def test_a_batch_that_was_not_asked_for_is_not_told_of(sms, sent):
    """``--batch`` is about one batch."""
    sent(state=BatchState.SUBMITTING)
    said = sms("settle", "lost", "--batch", 2)
    assert (said.status, "being submitted" in said.out) == (0, False)


@pytest.mark.parametrize(
    ("word", "state", "claimable"),
    [("accepted", BatchState.ACCEPTED, False), ("not-sent", BatchState.NOT_SENT, True)],
)
def test_a_person_decides_once(sms, sent, ledger, word, state, claimable):
    """Who, when and why is kept; nothing overrules it, not even the vendor's late answer."""
    sent()
    said = sms(
        "settle", "lost", "--batch", 1, "--as", word, "--reason", f"support said so about {NUMBERS[0]}"
    )
    assert said.status == 0
    assert f"batch 1 of send lost, 2 recipients: is {word} now" in said.out
    batch = ledger.batches("lost")[0]
    assert (batch.state, batch.settled_by) == (state, "person")
    assert f"called {word} by " in batch.error
    assert "support said so about 138****5678" in batch.error
    assert not ledger.settle("lost", 1, BatchState.REJECTED, owner="worker")
    again = sms("settle", "lost", "--batch", 1, "--as", "accepted", "--reason", "again")
    assert (again.status, "is not unknown: there is nothing to decide" in again.out) == (1, True)
    assert ledger.batches("lost")[0].state is state
    assert ledger.claim("lost", 1, "next", 60, "reference-of-next") is claimable


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--as", "accepted", "--reason", "x"], "needs a send key"),
        (["lost", "--as", "accepted"], "needs --reason"),
        (["lost", "--as", "accepted", "--reason", " "], "needs --reason"),
        (["unheard-of"], "nothing was sent under this key"),
    ],
)
def test_half_a_decision_is_refused(sms, sent, ledger, words, told):
    sent()
    said = sms("settle", *words)
    assert said.status == 1
    assert told in said.err
    assert ledger.batches("lost")[0].state is BatchState.UNKNOWN


def test_nothing_to_settle(sms, sent):
    sent(state=BatchState.ACCEPTED)
    assert sms("settle") == ("no batch is unknown: there is nothing to decide\n", "", 0)
