"""Landing: rows and page state together, each record once, equal ones each."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sms.errors import StoreUnavailable
from airflow_provider_sms.records import DeliveryStatus, PageState, Report
from airflow_provider_sms.store import bulk, landing
from airflow_provider_sms.store.fitting import fit
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.landing import Landing
from airflow_provider_sms.store.schema import replies, reports

ROWS = "SELECT seq, vendor_message_id, mobile, status, error_code FROM sms_reports ORDER BY page_id, seq"
WHERE = ("sms_main", "wavecom", "reports")
#: Below and above the number of rows from which PostgreSQL is given a COPY.
SIZES = (3, bulk.COPY_FROM + 5)


@pytest.fixture
def page(store):
    """Read pages: ``page()`` gives the id of one that is read and has not landed."""
    journal = Journal(store)

    def read(body=b"raw"):
        page_id = journal.begin(*WHERE, "reader")
        journal.keep(page_id, body)
        return page_id

    return read


@pytest.fixture
def many(make_report):
    """Make so many reports, each of another number."""

    def make(count, **fields: Any):
        return [make_report(f"138{number:08d}", str(number // 100), **fields) for number in range(count)]

    return make


@pytest.mark.parametrize("count", SIZES)
def test_every_field_lands_as_it_is(store, page, ask, count):
    """Tabs, line breaks, backslashes, quotes and everything else that some format might mean something by."""
    odd = ["a\tb", "c\\N", "\\", "d\ne\rf", "'\"%s%(x)s?:y", "镕😀", "", "\\."]
    records = [
        Report(
            odd[number % len(odd)],
            f"138{number:08d}",
            DeliveryStatus.FAILED,
            odd[-1],
            odd[number % 5],
            "9",
            at,
        )
        for number, at in enumerate(
            datetime(2025, 3, 1, 4, tzinfo=UTC) + timedelta(microseconds=number) for number in range(count)
        )
    ]
    Landing(store).land(page(), *WHERE, records)
    expected = [
        (seq, one.vendor_message_id, one.mobile, "failed", one.error_code) for seq, one in enumerate(records)
    ]
    assert ask(ROWS) == expected
    with store.reading() as connection:
        rows = connection.execute(reports.select().order_by(reports.c.seq)).all()
    assert [row.reported_at for row in rows] == [record.occurred_at for record in records]
    assert {row.time_source for row in rows} == {"vendor"}


@pytest.mark.parametrize("count", SIZES)
def test_landing_twice_changes_nothing(store, page, many, ask, count):
    page_id, everything = page(), "SELECT * FROM sms_reports ORDER BY seq"
    Landing(store).land(page_id, *WHERE, many(count))
    first = ask(everything)
    landed = Landing(store).land(page_id, *WHERE, many(count))
    assert ask(everything) == first
    assert (landed.state, landed.records) == (PageState.LANDED, count)


@pytest.mark.parametrize("count", SIZES)
def test_a_better_parser_adds_what_was_missing_and_mends(store, page, many, ask, count):
    """The rows that were there keep the time they landed at."""
    page_id = page()
    landed = Landing(store).land(page_id, *WHERE, many(2, error_code="wrong"), problem="cut after 2 records")
    assert (landed.state, landed.problem) == (PageState.QUARANTINED, "cut after 2 records")
    when = "SELECT landed_at FROM sms_reports WHERE seq < 2 ORDER BY seq"
    before = ask(when)
    Landing(store).land(page_id, *WHERE, many(count, error_code="right"))
    assert [row[4] for row in ask(ROWS)] == ["right"] * count
    assert ask(when) == before
    row = Journal(store).page(page_id)
    assert (row.state, row.records, row.error) == (PageState.LANDED, count, None)


def test_the_complete_records_of_a_cut_page_land(store, page, many):
    """And the page stays visible, with its bytes and what is missing."""
    page_id = page(b"cut")
    Landing(store).land(page_id, *WHERE, many(3), declared=9, problem="6 records are missing")
    row = Journal(store).page(page_id)
    assert (row.state, row.records, row.declared) == (PageState.QUARANTINED, 3, 9)
    assert (row.error, row.body) == ("6 records are missing", b"cut")


def test_a_page_without_records_is_empty(store, page, ask):
    page_id = page()
    assert Landing(store).land(page_id, *WHERE, []).state is PageState.EMPTY
    row = Journal(store).page(page_id)
    assert (row.state, row.records) == (PageState.EMPTY, 0)
    assert row.landed_at is not None
    assert ask(ROWS) == []


def test_two_equal_replies_are_two_replies(land, make_reply, ask):
    """Rows are named by page and place, never by content."""
    land([make_reply("13800000001", "好")] * 2, queue="replies")
    land([make_reply("13800000001", "好")], queue="replies")
    assert ask("SELECT content FROM sms_replies") == [("好",)] * 3


@pytest.mark.parametrize("text", ["我回复\r\n一条", "a|b;c,d/e\\f\tg", " 退订 ", "😀" * 500, "x" * 70_000])
def test_a_reply_is_kept_to_the_letter(land, make_reply, ask, text):
    land([make_reply("13800000001", text)], queue="replies")
    assert ask("SELECT content FROM sms_replies") == [(text,)]


@pytest.mark.parametrize("count", SIZES)
def test_a_report_without_a_time_gets_the_time_of_reading(store, page, many, count):
    """Where the vendor gives no time; the row says so."""
    page_id = page()
    records = many(count, at=None)
    records[1] = records[1]._replace(occurred_at=datetime(2025, 3, 1, tzinfo=UTC))
    Landing(store).land(page_id, *WHERE, records)
    with store.reading() as connection:
        rows = connection.execute(reports.select().order_by(reports.c.seq)).all()
    read_at = Journal(store).page(page_id).read_at
    assert [row.time_source for row in rows[:3]] == ["read", "vendor", "read"]
    assert rows[0].reported_at == read_at
    assert rows[1].reported_at == datetime(2025, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize("count", SIZES)
def test_rows_and_state_land_both_or_neither(store, page, many, ask, monkeypatch, count):
    """A crash between the two leaves the page read, to be landed by the next run."""
    page_id = page()
    with monkeypatch.context() as patched:
        patched.setattr(landing, "_close", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            Landing(store).land(page_id, *WHERE, many(count))
    assert ask(ROWS) == []
    assert [row.page_id for row in Journal(store).unlanded("sms_main", "reports")] == [page_id]
    Landing(store).land(page_id, *WHERE, many(count))
    assert len(ask(ROWS)) == count


def test_rows_without_a_page_are_refused(store, many):
    """A row that names no page could never be explained."""
    with pytest.raises(StoreUnavailable, match="no row"):
        Landing(store).land("0" * 32, *WHERE, many(2))


def test_two_workers_that_land_one_page_land_it_once(store, page, many, ask):
    page_id, gate, landed = page(), threading.Barrier(4), []

    def work():
        gate.wait()
        landed.append(Landing(store).land(page_id, *WHERE, many(300)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.records for one in landed] == [300] * 4
    assert len(ask(ROWS)) == 300


@pytest.mark.parametrize("count", SIZES)
def test_what_no_column_can_hold_does_not_hold_up_the_page(store, page, many, ask, count):
    """It is cut or cleaned, and the page says so; its bytes have it whole."""
    records = many(count)
    records[0] = records[0]._replace(vendor_message_id="9" * 500)
    records[1] = records[1]._replace(error_code="a\x00b", vendor_status="\ud83d")
    landed = Landing(store).land(page(), *WHERE, records)
    assert landed.state is PageState.QUARANTINED
    assert "1 of vendor_message_id" in landed.problem
    assert "1 of error_code" in landed.problem
    assert len(ask(ROWS)[0][1]) == 128
    assert ask(ROWS)[1][4] == "a\ufffdb"
    assert len(ask(ROWS)) == count


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(st.characters(), max_size=300), min_size=1, max_size=5))
def test_what_was_made_to_fit_fits(values):
    """No NUL, no half of a surrogate pair, no more than the column takes; what fits stays."""
    fitted, told = fit(reports, {"error_code": values})
    for before, after in zip(values, fitted["error_code"], strict=True):
        assert len(after) <= 64
        assert "\x00" not in after
        after.encode()
        assert after == before or told
    same, _ = fit(reports, {"error_code": fitted["error_code"]})
    assert same == fitted


def test_long_texts_need_no_fitting():
    text = "x" * 100_000
    assert fit(replies, {"content": [text]}) == ({"content": [text]}, "")


def test_records_behind_a_gap_keep_their_places_until_a_better_parser_fills_it(store, page, many, ask):
    """A row's name never comes to mean another record."""
    page_id = page()
    first, second, third = many(3)
    Landing(store).land(page_id, *WHERE, [first, third], gaps=(1,), problem="place 1 cannot be read")
    assert [row[:3] for row in ask(ROWS)] == [(0, *first[:2]), (2, *third[:2])]
    Landing(store).land(page_id, *WHERE, [first, second, third])
    assert [row[:3] for row in ask(ROWS)] == [(n, *row[:2]) for n, row in enumerate((first, second, third))]
