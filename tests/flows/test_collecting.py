"""Collections over real HTTP and SOAP: what the vendor handed over lands exactly once, text and all."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest

from airflow_provider_sms import errors
from airflow_provider_sms.collecting import queue_named
from airflow_provider_sms.sandbox import Fault, Sandbox
from airflow_provider_sms.store.leases import Leases

QUEUES = pytest.mark.parametrize("queue", ["reports", "replies"])
VENDORS = pytest.mark.parametrize("vendor", ["beidoutong", "wavecom", "smsadmin"])
#: Pages and records of each, as the issue of every vendor has them: 500, 100 (50 replies) and 20 a page.
AMOUNTS = [
    ("beidoutong", {"protocol": "soap"}, 2500, 5),
    ("beidoutong", {"protocol": "soap", "soap_version": "1.1"}, 600, 2),
    ("beidoutong", {"protocol": "form", "page_size": 1000}, 2500, 3),
    ("wavecom", {}, 450, 5),
    ("smsadmin", {}, 90, 5),
]
#: Texts that break naive parsers: every separator of every vendor, line breaks, markup, escapes.
HARD_TEXTS = [
    "退订",
    "a/b;c|d,e%f&g",
    "镕堃喆玥 祎囧",
    "第一行\n第二行",
    "13800001111/2026-01-01 08:00:00//DELIVRD/1",
    "<b>&amp;</b> ]]>",
    "%B9%AB 100% +1",
    "【公司】{value1}",
    "'; DROP TABLE sms_replies; --",
    '"quoted", \\backslash',
]


def landed(rows, queue):
    """Give what landed of a queue: number and id, or number and text."""
    column = "vendor_message_id" if queue == "reports" else "content"
    return Counter(rows(f"SELECT mobile, {column} FROM sms_{queue}"))  # noqa: S608 - our own names


@pytest.mark.parametrize(
    ("vendor", "extra", "amount", "pages"),
    AMOUNTS,
    ids=["-".join([way[0], *map(str, way[1].values())]) for way in AMOUNTS],
)
def test_a_whole_queue_of_reports_lands_exactly_once(
    sandbox, gateway_of, collect, rows, naps, vendor, extra, amount, pages, page_states
):
    """Page by page until the vendor says that it is empty; a second run finds nothing."""
    queued = sandbox.queue_reports(vendor, amount)
    collected = collect(gateway_of(vendor, **extra))
    assert collected == (pages, amount, 0, 0, True)
    assert landed(rows, "reports") == Counter((each.mobile, each.message_id) for each in queued)
    assert page_states() == {"landed": pages, "empty": 1}
    assert collect(gateway_of(vendor, **extra)) == (0, 0, 0, 0, True)
    assert sandbox.max_reads_in_flight(vendor) == 1
    # Between two reads of smsadmin's there are five seconds, and none of the others'.
    assert bool([nap for nap in naps.taken if nap > 4.5]) is (vendor == "smsadmin")


@VENDORS
def test_replies_land_with_their_exact_text(sandbox, gateway_of, collect, rows, vendor):
    """Separators, line breaks, markup; and two equal replies of one person are two replies."""
    texts = [text for text in HARD_TEXTS if vendor != "wavecom" or "/2026" not in text]
    wanted = [(f"138000{n:05d}", text) for n, text in enumerate(texts)] + [("13800000000", "退订")]
    sandbox.queue_replies(vendor, wanted)
    collected = collect(gateway_of(vendor), "replies")
    assert (collected.records, collected.quarantined, collected.queue_empty) == (len(wanted), 0, True)
    assert landed(rows, "replies") == Counter(wanted)


def test_the_time_of_a_record_is_utc(sandbox, gateway_of, collect, rows):
    """The vendor writes Chinese time; wavecom writes none, and the time of reading says so."""
    sandbox.queue_replies("beidoutong", [("13800000000", "好", "", "", "2026-01-02 08:00:00")])
    sandbox.queue_replies("wavecom", [("13800000000", "好")])
    collect(gateway_of("beidoutong"), "replies")
    collect(gateway_of("wavecom"), "replies")
    timed, untimed = rows("SELECT received_at, time_source FROM sms_replies ORDER BY vendor")
    assert timed == ("2026-01-02 00:00:00.000000", "vendor")
    assert untimed[1] == "read"
    assert untimed[0] == rows("SELECT read_at FROM sms_pages WHERE vendor = 'wavecom' AND records = 1")[0]


@QUEUES
@VENDORS
def test_limits_end_a_run_and_the_next_goes_on(sandbox, gateway_of, collect, rows, vendor, queue):
    """``max_pages`` pages, or no page begun after ``max_seconds``; the queue may hold more."""
    getattr(sandbox, f"queue_{queue}")(vendor, 70)
    gateway = gateway_of(vendor, **({"page_size": 20} if vendor == "beidoutong" else {}))
    assert collect(gateway, queue, max_seconds=0) == (0, 0, 0, 0, False)
    first = collect(gateway, queue, max_pages=1)
    assert (first.pages, first.queue_empty) == (1, False)
    assert collect(gateway, queue).queue_empty
    assert sum(landed(rows, queue).values()) == 70


def test_pending_reports_land_as_pending(sandbox, gateway_of, collect, rows):
    """Wavecom reports some as "not yet", in a queue that is read once."""
    sandbox.queue_reports("wavecom", [{"status": status} for status in ("pending", "delivered", "failed")])
    collect(gateway_of("wavecom"))
    assert sorted(rows("SELECT status FROM sms_reports")) == ["delivered", "failed", "pending"]


# --- when the vendor says no ------------------------------------------------------------------------


@pytest.mark.parametrize("vendor", ["beidoutong", "wavecom"])
def test_a_busy_vendor_costs_nothing(sandbox, gateway_of, collect, page_states, vendor):
    """It handed over nothing: an error that a retry mends, and the next run reads everything."""
    sandbox.queue_reports(vendor, 5)
    sandbox.faults.add(Fault("busy", operation="reports"))
    with pytest.raises(errors.VendorBusy) as caught:
        collect(gateway_of(vendor))
    assert not caught.value.terminal
    assert page_states() == {"empty": 1}
    assert collect(gateway_of(vendor)).records == 5


@VENDORS
def test_a_wrong_password_costs_nothing(sandbox, gateway_of, collect, page_states, vendor):
    """One terminal error that names the connection; with the right one everything lands."""
    sandbox.queue_reports(vendor, 5)
    with pytest.raises(errors.AuthenticationFailed, match=f"sms_{vendor}") as caught:
        collect(gateway_of(vendor, password="wrong-password"))
    assert "wrong-password" not in str(caught.value)
    assert page_states() == {"empty": 1}
    assert collect(gateway_of(vendor)).records == 5


def test_a_vendor_without_queues_says_so_before_anything_is_read(sandbox, gateway_of, collect):
    """LinkWS documents neither reports nor replies."""
    for queue in ("reports", "replies"):
        with pytest.raises(errors.NotSupported, match="sms_linkws"):
            collect(gateway_of("linkws"), queue)
    assert sandbox.calls.count() == 0


def test_a_queue_that_does_not_exist_is_refused():
    """By name, with those that do."""
    with pytest.raises(errors.PreflightError, match="'reports' or 'replies'"):
        queue_named("report")


@VENDORS
def test_nobody_else_reads_a_queue_that_is_being_read(sandbox, gateway_of, collect, store, vendor):
    """The lease names its holder, and the vendor is not called; the other queue is free."""
    Leases(store).acquire(f"sms_{vendor}", "reports", "the other worker", 60)
    sandbox.queue_replies(vendor, 3)
    with pytest.raises(errors.QueueBusy, match="the other worker") as caught:
        collect(gateway_of(vendor))
    assert caught.value.owner == "the other worker"
    assert sandbox.calls.count(vendor) == 0
    assert collect(gateway_of(vendor), "replies").records == 3


# --- when the answer is not whole -------------------------------------------------------------------


@QUEUES
@VENDORS
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_page_cut_half_way_keeps_its_whole_records(
    sandbox, gateway_of, collect, rows, vendor, queue, framing, reset
):
    """They are rows, the page is flagged with all its bytes, and the reading goes on."""
    if framing == "close" and reset:
        pytest.skip("a reset may overtake the bytes that only the end would delimit")
    records = [(f"138000{n:05d}", f"好{n}") for n in range(15)]
    if queue == "replies":
        sandbox.queue_replies(vendor, records)
    else:
        sandbox.queue_reports(vendor, 15)
    sandbox.faults.add(Fault("cut", operation=queue, at=0.7, framing=framing, reset=reset))
    collected = collect(gateway_of(vendor), queue)
    assert (collected.pages, collected.quarantined, collected.suspect) == (1, 1, 0)
    assert 5 <= collected.records < 15
    assert collected.queue_empty
    handed = getattr(sandbox, f"handed_out_{queue}")(vendor)[: collected.records]
    key = "message_id" if queue == "reports" else "content"
    assert landed(rows, queue) == Counter((each.mobile, getattr(each, key)) for each in handed)
    [(state, body, error)] = rows("SELECT state, body, error FROM sms_pages WHERE records > 0")
    assert state == "quarantined"
    assert len(body) > 50
    assert error


@VENDORS
def test_pages_that_are_all_cut_end_the_reading(sandbox, gateway_of, collect, page_states, vendor):
    """Something on the way cuts every answer: each further read would cost the rest of a page."""
    sandbox.queue_reports(vendor, 3000)
    sandbox.faults.add(Fault("cut", operation="reports", at=0.5, times=None))
    with pytest.raises(errors.WireFormatError, match="Reading stopped"):
        collect(gateway_of(vendor))
    assert page_states() == {"quarantined": 2}
    assert sandbox.calls.count(vendor, "reports") == 2


@QUEUES
def test_a_page_whose_count_is_wrong_is_kept_and_the_reading_goes_on(
    sandbox, gateway_of, collect, rows, queue
):
    """Wavecom declares a count; more records than declared cannot be told apart, so nothing is guessed."""
    getattr(sandbox, f"queue_{queue}")("wavecom", 60)
    sandbox.faults.add(Fault("wrong_count", operation=queue, offset=-1))
    collected = collect(gateway_of("wavecom"), queue)
    assert (collected.quarantined, collected.queue_empty) == (1, True)
    [(body, error)] = rows("SELECT body, error FROM sms_pages WHERE state = 'quarantined'")
    assert body.count(b";") >= 40
    assert "declared" in error
    first = len(getattr(sandbox, f"handed_out_{queue}")("wavecom")) - collected.records
    assert first in {50, 60}


@VENDORS
@QUEUES
def test_two_unreadable_pages_in_a_row_end_the_reading(sandbox, gateway_of, collect, rows, vendor, queue):
    """Something else answers: every further read could cost records. The bytes are kept."""
    getattr(sandbox, f"queue_{queue}")(vendor, 1000)
    sandbox.faults.add(Fault("garbage", operation=queue, accepted=True, times=5))
    with pytest.raises(errors.WireFormatError, match=f"sms_{vendor}") as caught:
        collect(gateway_of(vendor), queue)
    assert "Reading stopped" in str(caught.value)
    bodies = rows("SELECT body FROM sms_pages WHERE state = 'quarantined'")
    assert [len(body) for body in bodies] == [512, 512]
    assert sandbox.calls.count(vendor, queue) == 2


@VENDORS
@pytest.mark.parametrize(
    "fault",
    [
        Fault("html", operation="reports"),
        Fault("status", operation="reports", status=404),
        Fault("status", operation="reports", status=500, accepted=True),
        Fault("status", operation="reports", status=503),
        Fault("empty", operation="reports", accepted=True),
    ],
    ids=["web-page", "404", "500", "503", "nothing"],
)
def test_a_web_page_ends_the_reading_at_once(sandbox, gateway_of, collect, page_states, vendor, fault):
    """The page is in quarantine with its bytes, and the error says how far it came."""
    sandbox.queue_reports(vendor, 5)
    sandbox.faults.add(fault)
    with pytest.raises(errors.WireFormatError, match="0 pages with 0 records landed") as caught:
        collect(gateway_of(vendor))
    assert f"sms_{vendor}" in str(caught.value)
    assert page_states() == {"quarantined": 1}
    assert sandbox.calls.count(vendor, "reports") == 1


@VENDORS
def test_a_reset_before_any_byte_is_a_suspect_page(sandbox, gateway_of, collect, rows, vendor):
    """The vendor may have deleted a page that never arrived: visible, counted, and said in the error."""
    sandbox.queue_reports(vendor, 5)
    sandbox.faults.add(Fault("reset_after", operation="reports"))
    with pytest.raises(errors.VendorUnreachable, match="suspect page") as caught:
        collect(gateway_of(vendor))
    [(page_id, state, error)] = rows("SELECT page_id, state, error FROM sms_pages")
    assert state == "suspect"
    assert page_id in str(caught.value)
    assert "reset" in error
    assert collect(gateway_of(vendor)) == (0, 0, 0, 0, True)


@VENDORS
def test_a_refused_connection_reads_nothing(sandbox, gateway_of, collect, page_states, vendor):
    """And says so: no suspect page, nothing lost."""
    sandbox.queue_reports(vendor, 5)
    with (
        Sandbox.closed_port() as port,
        pytest.raises(errors.VendorUnreachable, match="nothing was read") as caught,
    ):
        collect(gateway_of(vendor, port=port))
    assert f"sms_{vendor}" in str(caught.value)
    assert page_states() == {"empty": 1}
    assert collect(gateway_of(vendor)).records == 5


@VENDORS
def test_a_redirect_is_not_followed(sandbox, gateway_of, collect, page_states, vendor):
    """The password would go to another host; the page is suspect, as a redirect proves nothing."""
    sandbox.queue_reports(vendor, 5)
    sandbox.faults.add(Fault("redirect", operation="reports"))
    with pytest.raises(errors.VendorUnreachable, match="redirect"):
        collect(gateway_of(vendor))
    assert page_states() == {"suspect": 1}
    assert sandbox.calls.count(vendor, "reports") == 1


@VENDORS
def test_a_slow_answer_lands_its_whole_records(sandbox, gateway_of, collect, rows, vendor):
    """When the time is up, what has arrived is kept."""
    sandbox.queue_reports(vendor, 15)
    sandbox.faults.add(Fault("drip", operation="reports", chunk=150, seconds=0.4))
    collected = collect(gateway_of(vendor, timeout=0.7))
    assert (collected.pages, collected.quarantined) == (1, 1)
    assert collected.records == sum(landed(rows, "reports").values()) < 15


def test_text_in_a_wrong_charset_is_flagged(sandbox, gateway_of, collect, page_states):
    """The rows land with the characters that could not be read shown so; the bytes wait for a better day."""
    sandbox.queue_replies("wavecom", [("13800000000", "退订谢谢"), ("13800000001", "ok")])
    sandbox.faults.add(Fault("wrong_charset", operation="replies"))
    try:
        collected = collect(gateway_of("wavecom"), "replies")
    except errors.WireFormatError:
        collected = None
    assert page_states()["quarantined"] == 1
    if collected is not None:
        assert collected.quarantined == 1


# --- the vendor's pace ------------------------------------------------------------------------------


def test_smsadmins_interval_is_kept_across_runs(sandbox, gateway_of, collect, naps):
    """Whoever reads next, and also after a read that failed, waits out the five seconds."""
    sandbox.queue_reports("smsadmin", 30)
    collect(gateway_of("smsadmin"), max_pages=1)
    assert naps.taken == []
    collect(gateway_of("smsadmin"), max_pages=1)
    assert 4 < naps.taken[0] <= 5
    sandbox.faults.add(Fault("reset_after", operation="reports"))
    with pytest.raises(errors.VendorUnreachable):
        collect(gateway_of("smsadmin"))
    naps.taken.clear()
    collect(gateway_of("smsadmin"))
    assert 4 < naps.taken[0] <= 5


def test_smsadmins_interval_is_kept_when_a_reader_is_stopped(sandbox, gateway_of, collect, naps, monkeypatch):
    """A signal that was held back during the read ends the run before anything else is written down."""
    from airflow_provider_sms.store.journal import Journal

    keep = Journal.keep

    def stopped(self, *args: Any, **options: Any):
        keep(self, *args, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(Journal, "keep", stopped)
    sandbox.queue_reports("smsadmin", 30)
    with pytest.raises(KeyboardInterrupt):
        collect(gateway_of("smsadmin"))
    monkeypatch.undo()
    assert collect(gateway_of("smsadmin")).records == 30
    assert naps.taken
    assert 4 < naps.taken[0] <= 5


def test_an_impatient_reader_leaves_instead(sandbox, gateway_of, collect, naps):
    """A sensor's poke does not hold a worker for the vendor's interval."""
    sandbox.queue_reports("smsadmin", 30)
    collect(gateway_of("smsadmin"), max_pages=1)
    assert collect(gateway_of("smsadmin"), patient=False) == (0, 0, 0, 0, False)
    assert naps.taken == []


def test_smsadmin_sees_five_seconds_between_two_reads(sandbox, gateway_of, collect):
    """By the vendor's own clock."""
    sandbox.queue_reports("smsadmin", 21)
    collect(gateway_of("smsadmin"), max_pages=1)
    collect(gateway_of("smsadmin"), max_pages=1, sleep=time.sleep)
    assert sandbox.calls.intervals("smsadmin", "reports")[0] >= 5.0


# --- reports settle sends ---------------------------------------------------------------------------


@VENDORS
def test_a_report_settles_a_send_whose_answer_was_lost(
    sandbox, gateway_of, send_to, numbers, collect, rows, task, vendor
):
    """The vendor reports on numbers that it was given: then it did accept them."""
    sandbox.faults.add(Fault("reset_after", operation="send"))
    with pytest.raises(errors.SubmitUnknown):
        send_to(gateway_of(vendor), numbers(10), "您好【公司】", origin=task)
    collect(gateway_of(vendor))
    assert rows("SELECT state, settled_by FROM sms_batches") == [("accepted", "report")]
    assert send_to(gateway_of(vendor), numbers(10), "您好【公司】", origin=task)["accepted"] == 10
    assert sandbox.calls.count(vendor, "send") == 1
