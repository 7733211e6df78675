"""What a run that died had committed says nothing about now: the next one files it and reads on."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from airflow_provider_sms.errors import SmsError, StoreUnavailable
from airflow_provider_sms.sandbox import Fault
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.spool import Spool

WEB_PAGE = b"<html><body>Sign in to the network</body></html>"
CUT = {"complete": False, "problem": "the connection was reset"}


@pytest.fixture
def leave(store):
    """Leave a page as a run does that died behind the commit of its bytes."""

    def commit(body: bytes, **framing: Any) -> str:
        journal = Journal(store)
        page_id = journal.begin("sms_wavecom", "wavecom", "reports", "dead")
        journal.keep(page_id, body, **framing)
        return page_id

    return commit


@pytest.mark.parametrize(
    ("body", "framing", "becomes"),
    [
        (b"", CUT, "suspect"),
        (b"-1", {}, "empty"),
        (b"-3", {}, "empty"),
        (b"0", {}, "empty"),
        (WEB_PAGE, {}, "quarantined"),
        (b"Bad gateway", {"status": 502}, "quarantined"),
        (b"nothing that wavecom says", {}, "quarantined"),
    ],
    ids=["not a byte", "a no", "busy", "an empty queue", "a web page", "an error", "unreadable"],
)
def test_the_queue_is_read_behind_whatever_was_left(
    sandbox, gateway_of, collect, leave, rows, body, framing, becomes
):
    """Also behind several: two in a row that are read now would end the reading."""
    left = [leave(body, **framing) for _ in range(3)]
    sandbox.queue_reports("wavecom", 150)
    collected = collect(gateway_of("wavecom"))
    assert (collected.pages, collected.records, collected.queue_empty) == (2, 150, True)
    assert collected.suspect == 3 * (becomes == "suspect")
    assert collected.quarantined == 3 * (becomes == "quarantined")
    states = dict(rows("SELECT page_id, state FROM sms_pages"))
    assert [states[page_id] for page_id in left] == [becomes] * 3


@pytest.mark.parametrize("taken", [True, False], ids=["by the journal", "by the spool"])
@pytest.mark.parametrize(("kind", "options"), [("cut", {"at": 0.7}), ("status", {"status": 502})])
def test_how_a_page_came_is_kept_with_its_bytes(
    sandbox, gateway_of, collect, store, rows, monkeypatch, taken, kind, options
):
    """Who files it later, or replays it, must not take half a page or an error for a whole answer."""

    def failing(*_: object, **__: object):
        raise RuntimeError

    sandbox.queue_reports("wavecom", 15)
    sandbox.faults.add(Fault(kind, operation="reports", **options))
    if taken:
        with suppress(SmsError):
            collect(gateway_of("wavecom"), max_pages=1)
    else:
        monkeypatch.setattr(Journal, "keep", failing)
        with pytest.raises(StoreUnavailable, match="safe in the spool"):
            collect(gateway_of("wavecom"))
        assert Spool(store.spool_dir).sweep(store) == 1
    [(status, complete, problem)] = rows(
        "SELECT http_status, framing_complete, framing_problem FROM sms_pages WHERE body IS NOT NULL"
    )
    expected = (200, False, True) if kind == "cut" else (502, True, False)
    assert (status, bool(complete), bool(problem)) == expected
