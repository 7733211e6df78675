"""The journal: whatever moment a reader dies at, its page says so."""

from __future__ import annotations

import pytest

from airflow_provider_sms.errors import StoreUnavailable
from airflow_provider_sms.records import PageState, Queue
from airflow_provider_sms.store import attention
from airflow_provider_sms.store.clock import ServerTime
from airflow_provider_sms.store.ids import new_id
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.schema import pages
from airflow_provider_sms.wire import WireResponse

QUEUE = ("sms_main", "wavecom", "reports")
BODY = bytes(range(256)) * 9000


@pytest.fixture
def journal(store):
    return Journal(store)


def begin(journal, owner="reader"):
    return journal.begin(*QUEUE, owner)


def test_an_intent_is_there_before_the_vendor_is_asked(journal):
    page = journal.page(begin(journal))
    assert (page.state, page.source, page.owner) == (PageState.READING, "pull", "reader")
    assert (page.conn_id, page.vendor, page.queue) == ("sms_main", "wavecom", Queue.REPORTS)
    assert (page.body, page.read_at, page.landed_at) == (None, None, None)
    assert page.started_at.utcoffset().total_seconds() == 0


@pytest.mark.parametrize("body", [b"", b"\x00\xff%s '\"\\", BODY])
def test_every_byte_is_kept(journal, body):
    """A replay sees exactly what the parser saw: bytes, status, and whether they were all."""
    page_id = begin(journal)
    journal.keep(page_id, body, complete=False, status=206, problem="3 of 9 bytes came")
    page = journal.page(page_id)
    assert page.state is PageState.READ
    assert page.response == WireResponse(206, body, {}, complete=False, problem="3 of 9 bytes came")
    assert page.read_at >= page.started_at


def test_keeping_twice_changes_nothing(journal):
    """A commit whose answer was lost is tried again."""
    page_id = begin(journal)
    journal.keep(page_id, b"first")
    journal.keep(page_id, b"second")
    assert journal.page(page_id).body == b"first"


def test_keeping_a_page_that_is_not_there_is_noticed(journal):
    begin(journal)
    with pytest.raises(StoreUnavailable, match="no row"):
        journal.keep("0" * 32, b"bytes")
    with pytest.raises(KeyError):
        journal.page("0" * 32)


def test_the_next_read_may_be_announced_by_the_same_commit(journal):
    page_id = begin(journal)
    journal.keep(page_id, b"bytes", ahead="f" * 32)
    kept, ahead = journal.page(page_id), journal.page("f" * 32)
    assert (kept.state, kept.body) == (PageState.READ, b"bytes")
    assert (ahead.state, ahead.source, ahead.owner) == (PageState.READING, "pull", "reader")
    assert (ahead.conn_id, ahead.vendor, ahead.queue) == ("sms_main", "wavecom", Queue.REPORTS)
    assert (ahead.body, ahead.read_at) == (None, None)
    assert ahead.started_at >= kept.started_at
    journal.withdraw("f" * 32)
    with pytest.raises(KeyError):
        journal.page("f" * 32)


def test_the_next_read_is_announced_by_a_page_that_was_kept_before(journal):
    """The commit's answer was lost, and so it is done again."""
    page_id = begin(journal)
    journal.keep(page_id, b"first")
    journal.keep(page_id, b"second", ahead="f" * 32)
    assert journal.page(page_id).body == b"first"
    assert journal.page("f" * 32).state is PageState.READING


def test_no_read_is_announced_by_a_page_that_is_not_there(journal):
    with pytest.raises(StoreUnavailable, match="no row"):
        journal.keep("0" * 32, b"bytes", ahead="f" * 32)
    with pytest.raises(KeyError):
        journal.page("f" * 32)


@pytest.mark.parametrize(
    "change",
    [
        lambda journal, page_id: journal.withdraw(page_id),
        lambda journal, page_id: journal.keep(page_id, b"bytes", ahead=new_id()),
        lambda journal, page_id: journal.close_empty(page_id, "sms_main", "reports"),
        lambda journal, page_id: journal.close_unread(page_id, PageState.SUSPECT, "cut off"),
        lambda journal, page_id: journal.quarantine(page_id, "unreadable"),
    ],
    ids=["withdraw", "keep", "close_empty", "close_unread", "quarantine"],
)
@pytest.mark.parametrize("kept", [False, True])
def test_what_is_done_with_one_page_is_done_with_no_other(journal, change, kept):
    """Neither with one that is being read nor with one that waits to land."""
    reading, read, this = begin(journal), begin(journal), begin(journal)
    for page_id in (read, this) if kept else (read,):
        journal.keep(page_id, b"bytes of another")
    before = [journal.page(page_id) for page_id in (reading, read)]
    change(journal, this)
    assert [journal.page(page_id) for page_id in (reading, read)] == before


def test_what_was_read_is_not_withdrawn(journal):
    """The intent was used after all: these bytes are the only copy."""
    page_id = begin(journal)
    journal.keep(page_id, b"bytes")
    journal.withdraw(page_id)
    assert journal.page(page_id).body == b"bytes"
    suspect = begin(journal)
    journal.close_unread(suspect, PageState.SUSPECT, "cut off")
    journal.withdraw(suspect)
    assert journal.page(suspect).state is PageState.SUSPECT


def test_a_queue_is_open_while_it_has_pages_to_be_seen_to(journal):
    """Another connection's and the other queue's are none of its."""
    journal.begin("other", "wavecom", "reports", "reader")
    replies = journal.begin("sms_main", "wavecom", "replies", "reader")
    assert not journal.has_open("sms_main", "reports")
    page_id = begin(journal)
    assert journal.has_open("sms_main", "reports")
    journal.keep(page_id, b"bytes")
    assert journal.has_open("sms_main", "reports")
    journal.quarantine(page_id, "unreadable")
    assert not journal.has_open("sms_main", "reports")
    assert journal.mark_suspects("sms_main", "reports") == []
    assert journal.page(replies).state is PageState.READING


@pytest.mark.parametrize("state", [PageState.EMPTY, PageState.SUSPECT])
def test_a_read_without_records_is_closed(journal, state):
    page_id = begin(journal)
    assert journal.close_unread(page_id, state, "the connection was reset")
    assert not journal.close_unread(page_id, PageState.EMPTY)
    page = journal.page(page_id)
    assert (page.state, page.error) == (state, "the connection was reset")


def test_a_body_that_says_no_is_closed_with_its_bytes(journal):
    page_id = begin(journal)
    journal.keep(page_id, b"-2")
    assert journal.close_unread(page_id, PageState.EMPTY, "refused with code -2")
    assert journal.page(page_id).body == b"-2"
    assert list(journal.unlanded("sms_main", "reports")) == []


def test_a_read_cannot_be_closed_as_landed(journal):
    with pytest.raises(ValueError, match="cannot end"):
        journal.close_unread(begin(journal), PageState.LANDED)


def test_what_dead_readers_left_is_suspect(journal):
    """The holder of the lease knows that nobody else is reading; its own page stays."""
    dead, mine = begin(journal, "dead"), begin(journal, "me")
    kept = begin(journal, "dead")
    journal.keep(kept, b"bytes")
    elsewhere = journal.begin("other", "wavecom", "reports", "somebody")
    assert journal.mark_suspects("sms_main", "reports", keep=mine) == [dead]
    assert journal.mark_suspects("sms_main", "reports", keep=mine) == []
    assert [page.page_id for page in journal.suspects("sms_main", "reports")] == [dead]
    assert [journal.page(page).state for page in (mine, kept, elsewhere)] == [
        PageState.READING,
        PageState.READ,
        PageState.READING,
    ]


def test_a_suspect_page_whose_bytes_come_after_all_is_read(journal):
    """Its reader was only slow: its lease ran out, it did not die."""
    page_id = begin(journal)
    journal.mark_suspects("sms_main", "reports")
    journal.keep(page_id, b"bytes")
    assert journal.page(page_id).state is PageState.READ
    assert journal.page(page_id).error is None


def test_a_page_that_comes_after_it_was_dismissed_is_listed_again(store, journal):
    """A person gave up the suspect read; of the page that came after all nobody has said anything."""
    page_id = begin(journal)
    journal.mark_suspects("sms_main", "reports")
    attention.dismiss(store, [page_id], "nothing to be done")
    assert attention.find_pages(store) == []
    journal.keep(page_id, b"bytes", ahead=new_id())
    journal.quarantine(page_id, "no page of the vendor's")
    assert [line.page_id for line in attention.find_pages(store)] == [page_id]


def test_pages_land_in_the_order_they_were_read(journal):
    """After a crash between reading and landing, the next run finds them with their bytes."""
    ids = [begin(journal) for _ in range(3)]
    for page_id in reversed(ids):
        journal.keep(page_id, page_id.encode())
    journal.quarantine(ids[1], "no page of the vendor's")
    found = list(journal.unlanded("sms_main", "reports"))
    assert [page.page_id for page in found] == [ids[0], ids[2]]
    assert [page.body for page in found] == [ids[0].encode(), ids[2].encode()]


def test_a_quarantined_page_keeps_its_bytes(journal):
    page_id = begin(journal)
    assert not journal.quarantine(page_id, "not read yet")
    journal.keep(page_id, b"<html>")
    assert journal.quarantine(page_id, "expected a number, found '<'", records=4)
    page = journal.page(page_id)
    assert (page.state, page.body, page.records) == (PageState.QUARANTINED, b"<html>", 4)
    assert [page.page_id for page in journal.quarantined("sms_main", "reports")] == [page_id]


def test_a_push_is_stored_before_it_is_answered(journal):
    page_id = journal.push("sms_main", "smsadmin", "replies", b"Class=mo&nr=%CD%CB%B6%A9")
    page = journal.page(page_id)
    assert (page.state, page.source, page.body) == (PageState.READ, "push", b"Class=mo&nr=%CD%CB%B6%A9")
    assert [page.page_id for page in journal.unlanded("sms_main", "replies")] == [page_id]


def test_a_push_is_never_suspect(journal):
    journal.push("sms_main", "smsadmin", "replies", b"x")
    assert journal.mark_suspects("sms_main", "replies") == []


def test_a_push_that_is_repeated_under_its_own_id_is_one_page(journal):
    ids = [journal.push("sms_main", "smsadmin", "replies", b"x", page_id="push-1") for _ in range(3)]
    assert ids == ["push-1"] * 3
    assert journal.counts()[PageState.READ] == 1
    assert journal.push("sms_main", "smsadmin", "replies", b"x") != "push-1"
    assert journal.counts()[PageState.READ] == 2


def test_every_state_is_counted(journal):
    begin(journal)
    journal.keep(begin(journal), b"x")
    journal.push("other", "smsadmin", "replies", b"x")
    counts = journal.counts()
    assert set(counts) == set(PageState)
    assert (counts[PageState.READING], counts[PageState.READ]) == (1, 2)
    assert journal.counts("other")[PageState.READING] == 0
    assert journal.counts(queue="replies")[PageState.READ] == 1


def test_a_body_is_in_no_representation(journal):
    """Bytes of a page hold numbers and texts; a log of the object must not."""
    page_id = begin(journal)
    journal.keep(page_id, b"13812345678")
    assert "13812345678" not in repr(journal.page(page_id))


def test_reads_that_found_nothing_go_after_an_hour(store, journal, ask):
    """Refusals stay, and so does whatever held records, pushed, or is of another queue."""
    kept = {}
    for name, conn_id, queue in [("mine", "sms_main", "reports"), ("other", "sms_main", "replies")]:
        kept[name] = journal.begin(conn_id, "wavecom", queue, "reader")
        journal.keep(kept[name], b"0")
        assert journal.close_empty(kept[name], conn_id, queue, 0)
    refused = journal.begin("sms_main", "wavecom", "reports", "reader")
    journal.close_unread(refused, PageState.EMPTY, "the vendor is busy")
    landed = journal.begin("sms_main", "wavecom", "reports", "reader")
    journal.keep(landed, b"1|1;13800000000;10")
    row = journal.page(kept["mine"])
    assert (row.state, row.records, row.declared) == (PageState.EMPTY, 0, 0)
    assert row.landed_at is not None
    for back, left in [(3500, True), (3700, False)]:
        with store.begin() as connection:
            connection.execute(pages.update().values(started_at=ServerTime(-back)))
        latest = journal.begin("sms_main", "wavecom", "reports", "reader")
        journal.keep(latest, b"0")
        assert journal.close_empty(latest, "sms_main", "reports")
        found = {page_id for (page_id,) in ask("SELECT page_id FROM sms_pages")}
        assert found >= {latest, refused, landed, kept["other"]}
        assert (kept["mine"] in found) is left
    assert not journal.close_empty(refused, "sms_main", "reports")
