"""Landing many pages at once: the same rows and states as one by one, all of them or none."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_sms.records import PageState, ReportColumns, ReportPage
from airflow_provider_sms.store import events, gathering
from airflow_provider_sms.store.engine import Store
from airflow_provider_sms.store.gathering import Gathered, land_gathered
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.landing import Landing

CONN, VENDOR = "sms_main", "smsadmin"
ROWS = (
    "SELECT {}, seq, conn_id, vendor, vendor_message_id, mobile, status, vendor_status, error_code, extno,"
    " time_source FROM sms_reports ORDER BY page_id, seq"
)


@pytest.fixture
def begin(store):
    """Read pages that have not landed; gives their ids."""

    def run(count):
        journal, ids = Journal(store), []
        for _ in range(count):
            ids.append(journal.begin(CONN, VENDOR, "reports", "reader"))
            journal.keep(ids[-1], b"raw")
        return ids

    return run


@pytest.fixture
def pages(make_report):
    """Make pages of reports, some of them without a time of the vendor's."""

    def make(sizes):
        made = []
        for number, size in enumerate(sizes):
            records = [
                make_report(f"138{number:04d}{place:04d}", f"{number}-{place}", extno="7")
                for place in range(size)
            ]
            if number % 2:
                records[0] = records[0]._replace(occurred_at=None)
            columns = ReportColumns(*map(list, zip(*records, strict=True)))
            columns = columns._replace(status=[status.value for status in columns.status])
            made.append(ReportPage(columns, size if number else None))
        return made

    return make


def gathered(ids, pages):
    """Put pages and their ids together."""
    return [Gathered(*each) for each in zip(ids, pages, strict=True)]


@pytest.mark.parametrize("sizes", [(1,), (3, 1, 4), (100, 300, 2)], ids=str)
def test_rows_and_states_are_those_of_pages_landed_one_by_one(store, begin, pages, ask, sizes):
    """Only the pages' ids differ."""
    made = pages(sizes)
    for page_id, page in zip(begin(len(sizes)), made, strict=True):
        records = page.columns.records()
        Landing(store).land(page_id, CONN, VENDOR, "reports", records, declared=page.declared)
    one_by_one = ask(ROWS.format("1"))
    ids = begin(len(sizes))
    landed = land_gathered(store, CONN, VENDOR, gathered(ids, made))
    assert [(one.state, one.records, one.problem) for one in landed] == [
        (PageState.LANDED, size, "") for size in sizes
    ]
    assert ask(ROWS.format("1"))[len(one_by_one) :] == one_by_one
    assert {row[0] for row in ask(ROWS.format("page_id"))} > set(ids)
    journal = Journal(store)
    for page_id, page in zip(ids, made, strict=True):
        row = journal.page(page_id)
        assert (row.state, row.records, row.declared) == (PageState.LANDED, page.size, page.declared)
        assert row.landed_at - row.read_at < timedelta(minutes=1)


def test_a_report_without_a_time_gets_the_time_of_its_own_page(store, begin, pages, ask):
    """Not that of a neighbour which landed together with it."""
    ids = begin(4)
    land_gathered(store, CONN, VENDOR, gathered(ids, pages((2, 2, 2, 2))))
    untimed = (
        "SELECT r.page_id FROM sms_reports r JOIN sms_pages p ON p.page_id = r.page_id "
        "WHERE r.time_source = 'read' AND r.reported_at = p.read_at ORDER BY r.page_id"
    )
    assert ask(untimed) == [(ids[1],), (ids[3],)]


def test_all_pages_land_or_none(store, begin, pages, ask, monkeypatch):
    """A crash before the commit leaves all of them read, to be landed by the next run."""
    ids, made = begin(3), pages((5, 5, 5))

    def crash(*_: object):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(gathering._closed, "run_many", crash)
        with pytest.raises(KeyboardInterrupt):
            land_gathered(store, CONN, VENDOR, gathered(ids, made))
    assert ask(ROWS.format("1")) == []
    assert [row.page_id for row in Journal(store).unlanded(CONN, "reports")] == ids
    assert sum(one.records for one in land_gathered(store, CONN, VENDOR, gathered(ids, made))) == 15


def test_a_page_that_has_landed_already_lands_no_second_time(store, begin, pages, ask):
    """Another worker was faster with one of them: the others land, and nothing is there twice."""
    ids, made = begin(3), pages((5, 5, 5))
    Landing(store).land(ids[1], CONN, VENDOR, "reports", made[1].columns.records())
    before = Journal(store).page(ids[1]).landed_at
    for _ in range(2):
        landed = land_gathered(store, CONN, VENDOR, gathered(ids, made))
        assert [one.records for one in landed] == [5, 5, 5]
    assert len(ask(ROWS.format("1"))) == 15
    assert len(set(ask("SELECT page_id, seq FROM sms_reports"))) == 15
    assert Journal(store).page(ids[1]).landed_at >= before


def test_a_value_that_fits_no_column_sets_its_page_apart_and_no_other(store, begin, pages, ask):
    """It is cut and its page flagged, as when it lands by itself."""
    ids, made = begin(3), pages((2, 2, 2))
    odd = made[1].columns._replace(error_code=["x" * 100, "y"])
    made[1] = made[1]._replace(columns=odd)
    landed = land_gathered(store, CONN, VENDOR, gathered(ids, made))
    assert [one.state for one in landed] == [PageState.LANDED, PageState.QUARANTINED, PageState.LANDED]
    assert "error_code" in landed[1].problem
    assert len(ask(ROWS.format("1"))) == 6


def test_an_event_that_was_pushed_before_gets_no_second_row(store, begin, pages, ask):
    """Where events are pushed as well, every page looks for its pairs by itself."""
    made = pages((3, 3))
    events.announce(store, CONN, "reports")
    journal = Journal(store)
    push = journal.push(CONN, VENDOR, "reports", b"raw")
    Landing(store).land(push, CONN, VENDOR, "reports", made[0].columns.records()[1:2])
    landed = land_gathered(store, CONN, VENDOR, gathered(begin(2), made))
    assert [one.records for one in landed] == [2, 3]
    assert len(ask(ROWS.format("1"))) == 6


def test_numbers_are_hashed_as_elsewhere(store, begin, pages, ask):
    """With a key, each row has the same hash as one that landed by itself."""
    keyed = Store(store.engine, store.spool_dir, b"a key that is long enough")
    made = pages((2,))
    Landing(keyed).land(begin(1)[0], CONN, VENDOR, "reports", made[0].columns.records())
    land_gathered(keyed, CONN, VENDOR, gathered(begin(1), made))
    hashes = [row[0] for row in ask("SELECT mobile_hash FROM sms_reports ORDER BY page_id, seq")]
    assert hashes[:2] == hashes[2:]
    assert len(set(hashes)) == 2


def test_a_page_that_the_database_refuses_is_set_aside_and_the_others_land(store, begin, pages, refuse, ask):
    """One of many that would land together must not hold up the queue for ever."""
    made, ids = pages((3, 2, 4)), begin(3)
    refuse("sms_reports", "mobile = '13800010001'")
    landed = land_gathered(store, CONN, VENDOR, gathered(ids, made))
    assert [(one.state, one.records) for one in landed] == [
        (PageState.LANDED, 3),
        (PageState.QUARANTINED, 0),
        (PageState.LANDED, 4),
    ]
    page = Journal(store).page(ids[1])
    assert (page.state, page.body) == (PageState.QUARANTINED, b"raw")
    assert page.error == landed[1].problem
    assert "takes other pages and not this one" in page.error
    assert "138" not in page.error
    assert ask("SELECT count(*) FROM sms_reports") == [(7,)]
    assert ask("SELECT count(*) FROM sms_pages") == [(3,)]
