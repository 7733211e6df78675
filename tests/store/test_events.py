"""A push and a poll of one event are one row; two polled copies are two."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_sms.records import DeliveryStatus, PageState, Reply, Report
from airflow_provider_sms.store import events
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.landing import Landing

TIME = datetime(2025, 1, 31, 8, 30, tzinfo=UTC)
MOBILE = "13800138000"


def reply(content="退订", mobile=MOBILE, at=TIME, linkid="link1", extno=""):
    return Reply(linkid, mobile, content, extno, at)


def report(status=DeliveryStatus.DELIVERED, at=TIME):
    return Report("link1", MOBILE, status, "DELIVRD", "", "", at)


@pytest.fixture
def land(store):
    """Land a page of records: ``land("pull", [...])`` gives how many became rows."""
    journal, landing = Journal(store), Landing(store)

    def land(source, records, page_id="", conn_id="sms"):
        queue = "reports" if isinstance(records[0], Report) else "replies"
        if source == "push":
            page_id = journal.push(conn_id, "smsadmin", queue, b"bytes", page_id=page_id)
        elif not page_id:
            page_id = journal.begin(conn_id, "smsadmin", queue, "me")
            journal.keep(page_id, b"bytes")
        return landing.land(page_id, conn_id, "smsadmin", queue, records).records

    return land


@pytest.mark.parametrize("make", [reply, report])
@pytest.mark.parametrize("order", [("push", "pull"), ("pull", "push")])
def test_a_push_and_a_poll_of_one_event_are_one_row(land, rows, make, order):
    assert [land(source, [make()]) for source in order] == [1, 0]
    assert len(rows("SELECT 1 FROM sms_replies UNION ALL SELECT 1 FROM sms_reports")) == 1
    assert rows("SELECT state FROM sms_pages") == ["landed", "landed"]


@pytest.mark.parametrize("pushes_first", [True, False])
@pytest.mark.parametrize(("polled", "pushed", "wanted"), [(2, 1, 2), (1, 3, 1), (3, 3, 3), (0, 2, 1)])
def test_of_k_polled_copies_and_any_number_of_pushes_max_k_1_are_rows(
    land, rows, pushes_first, polled, pushed, wanted
):
    steps = [("push", [reply()])] * pushed
    page = [("pull", [reply()] * polled)] if polled else []
    for source, records in steps + page if pushes_first else page + steps:
        land(source, records)
    assert rows("SELECT count(*) FROM sms_replies") == [wanted]


def test_polled_copies_in_two_pages_pair_with_one_push_once(land, rows):
    land("push", [reply()])
    assert land("pull", [reply("other"), reply()]) == 1
    assert land("pull", [reply()]) == 1
    assert rows("SELECT seq FROM sms_replies ORDER BY page_id, seq") == [0, 0, 0]


@pytest.mark.parametrize(
    "other",
    [reply("退订 "), reply(mobile="13800138001"), reply(at=TIME.replace(second=1)), reply(linkid="link2")],
    ids=["content", "number", "time", "id"],
)
def test_what_differs_in_anything_is_another_event(land, other):
    assert land("push", [reply()]) == 1
    assert land("pull", [other]) == 1
    assert land("push", [other]) == 0


def test_another_status_is_another_report(land):
    assert land("push", [report()]) == 1
    assert land("pull", [report(DeliveryStatus.FAILED)]) == 1


def test_the_same_words_to_another_connection_are_another_event(land):
    """Two accounts may well get the same reply in the same second."""
    assert land("push", [reply()]) == 1
    assert land("pull", [reply()], conn_id="sms2") == 1


def test_an_extno_that_only_the_poll_tells_makes_no_difference(land):
    assert land("push", [reply()]) == 1
    assert land("pull", [reply(extno="01")]) == 0


def test_events_without_a_time_are_never_joined(land):
    """Nothing would tell yesterday's 是 from today's."""
    assert land("push", [reply(at=None)]) == 1
    assert land("pull", [reply(at=None)]) == 1
    assert land("push", [reply(at=None)]) == 1


def test_landing_again_changes_nothing_whichever_way_round(land, rows):
    land("pull", [reply("first"), reply()], page_id="")
    pull = rows("SELECT page_id FROM sms_pages WHERE source = 'pull'")[0]
    land("push", [reply("first")], page_id="one")
    land("push", [reply("second")], page_id="two")
    before = rows("SELECT page_id, seq, content FROM sms_replies ORDER BY page_id, seq")
    assert len(before) == 3
    land("push", [reply("first")], page_id="one")
    land("push", [reply("second")], page_id="two")
    land("pull", [reply("first"), reply()], page_id=pull)
    assert rows("SELECT page_id, seq, content FROM sms_replies ORDER BY page_id, seq") == before
    # A better parser finds one more, which was pushed before.
    land("pull", [reply("first"), reply(), reply("second")], page_id=pull)
    land("pull", [reply("first"), reply(), reply("second")], page_id=pull)
    assert rows("SELECT page_id, seq, content FROM sms_replies ORDER BY page_id, seq") == before


def test_without_pushes_nothing_is_looked_for(land, rows):
    land("pull", [reply()] * 3)
    assert rows("SELECT count(*) FROM sms_replies") == [3]
    assert rows("SELECT count(*) FROM sms_pushed_events") == [0]


def test_what_joins_what_is_kept(land, rows):
    land("push", [reply()], page_id="pushed")
    land("pull", [reply("other"), reply()])
    pull = rows("SELECT page_id FROM sms_pages WHERE source = 'pull'")[0]
    found = rows("SELECT page_id, seq, twin_page_id, twin_seq FROM sms_pushed_events")
    assert found == [("pushed", 0, pull, 1)]


def test_announcing_twice_is_as_announcing_once(store, rows):
    for _ in range(2):
        events.announce(store, "sms", "replies")
    assert rows("SELECT conn_id, queue FROM sms_push_queues") == [("sms", "replies")]


def test_the_state_of_a_page_whose_events_all_came_before(land, rows):
    land("push", [reply()])
    land("pull", [reply()])
    assert rows("SELECT state, records FROM sms_pages WHERE source = 'pull'") == [(PageState.LANDED, 0)]
