"""Pages that could not be read are read again later, by a better parser and without the vendor."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_sms import errors, replaying
from airflow_provider_sms.pushes import stored_form
from airflow_provider_sms.records import BatchState, DeliveryStatus, Page, PageState, Report
from airflow_provider_sms.sandbox.faults import Fault
from airflow_provider_sms.store.attention import find_pages
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.landing import Landing
from airflow_provider_sms.store.ledger import Ledger
from airflow_provider_sms.store.spool import Spool, SpooledPage
from airflow_provider_sms.vendors.beidoutong import BeidoutongVendor
from airflow_provider_sms.vendors.smsadmin import SmsAdminVendor
from airflow_provider_sms.vendors.wavecom import WavecomVendor


def _broken(*_: Any):
    raise errors.WireFormatError("a field is missing")


def _buggy(*_: Any):
    raise IndexError


def _away(*_: Any, **__: Any):
    raise errors.StoreUnavailable


def _half(original):
    """Read the first record of each page, and miss the others."""

    def parse(self, account, response):
        page = original(self, account, response)
        return Page(page.records[:1], complete=False, problem="the parser stumbled") if page.records else page

    return parse


@contextlib.contextmanager
def _parsing(vendor_class, parse):
    """Let a vendor's reports be read by another parser alone: the reading by columns abstains."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(vendor_class, "parse_reports", parse)
        patched.setattr(vendor_class, "columns_of_reports", lambda *_: None)
        yield


@pytest.fixture
def collect_whatever_comes(collect):
    """Collect until the queue is empty, whatever it takes."""

    def run(gateway, queue="reports"):
        for _ in range(50):
            with contextlib.suppress(errors.WireFormatError):
                if collect(gateway, queue).queue_empty:
                    return
        pytest.fail("the queue is never empty")

    return run


@pytest.fixture
def replay(store):
    """Replay all quarantined pages with the account of a gateway."""

    def run(gateway, states=(PageState.QUARANTINED,)):
        ids = [line.page_id for line in reversed(find_pages(store, states))]
        return list(replaying.replay(gateway.vendor, gateway.account, store, ids))

    return run


@pytest.mark.parametrize("broken", [_broken, _buggy, "half"])
@pytest.mark.parametrize("vendor_class", [BeidoutongVendor, WavecomVendor, SmsAdminVendor])
def test_what_a_broken_parser_left_lands_whole_after_the_fix(
    sandbox, gateway_of, collect_whatever_comes, replay, rows, vendor_class, broken
):
    """Every record of every page, once; and the vendor is not asked again."""
    vendor = vendor_class.name
    sent = sandbox.queue_reports(vendor, 230 if vendor != "smsadmin" else 70)
    extra = {"page_size": 100} if vendor == "beidoutong" else {}
    gateway = gateway_of(vendor, **extra)
    original = vendor_class.parse_reports
    # The empty page at the end must be known as such, or the collecting never ends.
    with _parsing(vendor_class, _half(original) if broken == "half" else _unless_empty(original, broken)):
        collect_whatever_comes(gateway)
    landed_before = rows("SELECT count(*) FROM sms_reports")[0]
    assert landed_before < len(sent)
    calls = sandbox.calls.count()
    done = replay(gateway)
    assert done
    assert all(page.whole and page.after is PageState.LANDED for page in done)
    assert sorted(rows("SELECT mobile FROM sms_reports")) == sorted(report.mobile for report in sent)
    assert rows("SELECT DISTINCT state FROM sms_pages WHERE records > 0") == ["landed"]
    assert sandbox.calls.count() == calls
    assert replay(gateway) == []


def _unless_empty(original, broken):
    def parse(self, account, response):
        page = original(self, account, response)
        return broken() if page.records else page

    return parse


def test_replaying_again_changes_nothing(sandbox, gateway_of, collect, store, rows):
    sandbox.queue_replies("wavecom", [("13800000001", "好"), ("13800000001", "好")])
    gateway = gateway_of("wavecom")
    collect(gateway, "replies")
    (line,) = find_pages(store, [PageState.LANDED])
    before = rows("SELECT * FROM sms_replies ORDER BY seq")
    (done,) = replaying.replay(gateway.vendor, gateway.account, store, [line.page_id])
    assert (done.before, done.after, done.records) == (PageState.LANDED, PageState.LANDED, 2)
    assert rows("SELECT * FROM sms_replies ORDER BY seq") == before


def test_rows_that_a_former_parser_made_up_go(sandbox, gateway_of, collect, store, replay, rows):
    """One record was once read as three, of which two were none."""
    (sent,) = sandbox.queue_reports("wavecom", 1)
    gateway = gateway_of("wavecom")
    made_up = [
        Report("x", f"1390000000{n}", DeliveryStatus.FAILED, "", "", "", datetime.now(UTC)) for n in range(3)
    ]
    worse = _parsing(WavecomVendor, lambda *_: Page(made_up, complete=False, problem="?"))
    with worse, contextlib.suppress(errors.WireFormatError):
        collect(gateway, max_pages=1)
    assert rows("SELECT count(*) FROM sms_reports") == [3]
    (done,) = replay(gateway)
    assert done.after is PageState.LANDED
    assert rows("SELECT mobile FROM sms_reports") == [sent.mobile]
    assert store


def test_what_is_still_unreadable_stays_with_its_bytes_and_its_rows(
    sandbox, gateway_of, collect, store, replay, rows
):
    """A replay by a parser that is worse, or as bad, takes nothing away."""
    sandbox.queue_reports("beidoutong", 5)
    gateway = gateway_of("beidoutong")
    with _parsing(BeidoutongVendor, _half(BeidoutongVendor.parse_reports)):
        collect(gateway)
    with _parsing(BeidoutongVendor, _buggy):
        (done,) = replay(gateway)
    assert (done.after, done.records, done.problem) == (
        PageState.QUARANTINED,
        1,
        "the parser failed with IndexError",
    )
    assert rows("SELECT count(*) FROM sms_reports") == [1]
    assert Journal(store).page(done.page_id).body
    assert rows("SELECT error FROM sms_pages WHERE state = 'quarantined'") == [done.problem]


def test_pages_that_no_parser_can_help_say_why(gateway_of, store):
    """No such page, no bytes, another connection's, another vendor's."""
    journal = Journal(store)
    gateway = gateway_of("wavecom")
    suspect = journal.begin("sms_wavecom", "wavecom", "reports", "reader")
    journal.close_unread(suspect, PageState.SUSPECT, "cut off")
    foreign = journal.begin("sms_other", "wavecom", "reports", "reader")
    moved = journal.begin("sms_wavecom", "beidoutong", "reports", "reader")
    for page_id in (foreign, moved):
        journal.keep(page_id, b"x")
    ids = ["nonsense", suspect, foreign, moved]
    problems = [done.problem for done in replaying.replay(gateway.vendor, gateway.account, store, ids)]
    assert problems == [
        "there is no such page in the store",
        "no bytes of it are kept",
        "it belongs to connection 'sms_other', not to 'sms_wavecom'",
        "it was read from vendor 'beidoutong', and connection 'sms_wavecom' is of 'wavecom' now",
    ]


def test_a_refusal_among_the_pages_is_no_page(gateway_of, store, rows):
    """Bytes by which the vendor said no (busy, wrong password) hold no records, and never did."""
    journal = Journal(store)
    gateway = gateway_of("wavecom")
    page_id = journal.begin("sms_wavecom", "wavecom", "reports", "reader")
    journal.keep(page_id, b"-3")
    journal.quarantine(page_id, "an old parser did not know")
    (done,) = replaying.replay(gateway.vendor, gateway.account, store, [page_id])
    assert done.after is PageState.EMPTY
    assert rows("SELECT records FROM sms_pages") == [0]


def test_the_spool_is_swept_and_its_pages_land(sandbox, gateway_of, store, rows):
    """A page that the store could not take waits on disk until somebody collects, or replays."""
    sandbox.queue_reports("wavecom", 3)
    gateway = gateway_of("wavecom")
    response = gateway.read(gateway.prepare_read(replaying.Queue.REPORTS))
    page = SpooledPage("a" * 32, "sms_wavecom", "wavecom", "reports", response.body)
    Spool(store.spool_dir).put(page)
    assert replaying.sweep_spool(store) == ["a" * 32]
    (done,) = replaying.replay(gateway.vendor, gateway.account, store, ["a" * 32])
    assert (done.before, done.after, done.records) == (PageState.READ, PageState.LANDED, 3)
    assert rows("SELECT count(*) FROM sms_reports") == [3]
    assert replaying.sweep_spool(store) == []


def test_a_page_that_the_store_does_not_take_is_not_replayed(store):
    """It stays in the spool; the others are there to be read again."""
    page = SpooledPage(page_id="1", conn_id="sms_beidoutong", vendor="beidoutong", queue="replies", body=b"0")
    odd = replace(page, page_id="0", problem="\ud800")
    for each in (odd, page):
        Spool(store.spool_dir).put(each)
    assert replaying.sweep_spool(store) == ["1"]
    assert [left.page_id for left in Spool(store.spool_dir).pages()] == ["0"]


def test_a_push_is_replayed_as_what_it_was(sandbox, gateway_of, store, rows):
    """Its stored form is fields, not a page of the vendor's queue."""
    gateway = gateway_of("smsadmin")
    login = sandbox.account("smsadmin").login
    query = f"Class=mo&SmsName={login}&Mobile=13800000001&LinkId=1".encode()
    body = "Message=退订&RevertTime=2025-03-01 12:00:00".encode("gb18030")
    journal = Journal(store)
    page_id = journal.push("sms_smsadmin", "smsadmin", "replies", stored_form(query, body))
    journal.quarantine(page_id, "an old parser stumbled")
    (done,) = replaying.replay(gateway.vendor, gateway.account, store, [page_id])
    assert (done.after, done.records) == (PageState.LANDED, 1)
    assert rows("SELECT mobile, content FROM sms_replies") == [("13800000001", "退订")]
    wrong = journal.push("sms_smsadmin", "smsadmin", "reports", stored_form(query, body), page_id="b" * 64)
    (done,) = replaying.replay(gateway.vendor, gateway.account, store, [wrong])
    assert done.problem == "the event belongs to the replies, its page to the reports"


def test_replayed_reports_settle_unknown_sends(sandbox, gateway_of, send_to, store, collect, replay):
    """The proof that a lost submit was accepted may lie in a page that could not be read at first."""
    gateway = gateway_of("smsadmin")
    sandbox.faults.add(Fault("reset_after", operation="send", vendor="smsadmin"))
    with pytest.raises(errors.SubmitUnknown):
        send_to(gateway, ["13800000001"], "您好【公司】", send_key="lost")
    reference = Ledger(store).batches("lost")[0].reference
    sandbox.queue_reports("smsadmin", [{"mobile": "13800000001", "message_id": reference}])
    with _parsing(SmsAdminVendor, _broken), contextlib.suppress(errors.WireFormatError):
        collect(gateway, max_pages=1)
    assert Ledger(store).batches("lost")[0].state is BatchState.UNKNOWN
    assert all(done.whole for done in replay(gateway))
    assert Ledger(store).batches("lost")[0].state is BatchState.ACCEPTED


def test_a_crash_between_dropping_and_landing_leaves_a_page_to_replay(
    sandbox, gateway_of, collect, replay, rows, monkeypatch
):
    """Rows of a former parser may be gone by then; the bytes are not."""
    sandbox.queue_reports("wavecom", 4)
    gateway = gateway_of("wavecom")
    with _parsing(WavecomVendor, _half(WavecomVendor.parse_reports)):
        collect(gateway, max_pages=1)
    with monkeypatch.context() as patched:
        patched.setattr(Landing, "land", _away)
        with pytest.raises(errors.StoreUnavailable):
            replay(gateway)
    assert rows("SELECT state FROM sms_pages") == ["quarantined"]
    assert [done.records for done in replay(gateway)] == [4]
    assert rows("SELECT count(*) FROM sms_reports") == [4]
