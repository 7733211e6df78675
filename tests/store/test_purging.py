"""Retention: what goes, what stays, and what still works afterwards; on every kind of database."""

from __future__ import annotations

import hmac
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select, update

from airflow_provider_sms.errors import PreflightError, StoreUnavailable
from airflow_provider_sms.optouts import OptOuts
from airflow_provider_sms.records import BatchState, PageState
from airflow_provider_sms.store import purging, schema
from airflow_provider_sms.store.engine import Store
from airflow_provider_sms.store.frames import refresh_delivery_daily
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.landing import Landed, Landing
from airflow_provider_sms.store.ledger import Ledger
from airflow_provider_sms.store.plans import PlannedBatch, PlannedSend, Replaced
from airflow_provider_sms.store.purging import Purge, Purged
from airflow_provider_sms.store.turns import take_turn

#: Far enough back that nothing of today is purged by mistake.
OLD = datetime(2025, 3, 1, 4, 0, tzinfo=UTC)
BEFORE = datetime(2025, 6, 1, tzinfo=UTC)
NUMBERS = ["13800000001", "13800000002", "13900000003"]


@pytest.fixture
def age(store):
    """Make everything that is there as old as ``OLD``."""

    def run(moment=OLD):
        sends = {"prepared_at": moment, "submitted_at": moment, "settled_at": moment}
        pages = {"started_at": moment, "read_at": moment, "landed_at": moment}
        with store.begin() as connection:
            connection.execute(update(schema.batches).values(sends))
            connection.execute(
                update(schema.pages).where(schema.pages.c.landed_at.is_not(None)).values(pages)
            )
            connection.execute(update(schema.pages).values(started_at=moment, read_at=moment))

    return run


@pytest.fixture
def purge(store):
    """Purge what is older than ``BEFORE``."""

    def run(before=BEFORE, **options: Any):
        return Purge(store, before, OptOuts(), **options).run()

    return run


@pytest.fixture
def campaign(submitted, land, make_report, make_reply, age):
    """Send a text to three numbers; two are reported, three replies come; all of it long ago."""
    submitted(
        "march", [NUMBERS[:2], NUMBERS[2:]], BatchState.ACCEPTED, ids=["id1"], content="私人的话【公司】"
    )
    reports = land([make_report(NUMBERS[0], "id1"), make_report(NUMBERS[2], "id1")])
    replies = land(
        [
            make_reply(NUMBERS[0], "好的谢谢"),
            make_reply(NUMBERS[1], " td。"),
            make_reply(NUMBERS[2], "请退订"),
        ],
        queue="replies",
    )
    age()
    return SimpleNamespace(reports=reports, replies=replies)


def whole_dump(store) -> str:
    """Everything in every table, as one text."""
    with store.reading() as connection:
        return "\n".join(
            str(row)
            for table in schema.metadata.sorted_tables
            for row in connection.execute(select(table)).all()
        )


def test_texts_bytes_and_numbers_go_and_opt_outs_stay(store, campaign, purge, ask):
    """After a purge no table holds a purged number or text; replies that ask for silence are whole."""
    done = purge()
    assert done == Purged(pages=2, reports=2, replies=1, opt_outs=2, batches=2, recipients=3)
    dump = whole_dump(store)
    assert "私人" not in dump
    assert "好的谢谢" not in dump
    assert NUMBERS[0] not in dump
    assert ask("SELECT mobile, content FROM sms_replies WHERE content <> '' ORDER BY seq") == [
        (NUMBERS[1], " td。"),
        (NUMBERS[2], "请退订"),
    ]
    assert ask("SELECT count(*) FROM sms_pages WHERE body IS NOT NULL") == [(0,)]
    assert ask("SELECT count(*), sum(records) FROM sms_pages WHERE state = 'landed'") == [(2, 5)]
    assert ask("SELECT count(DISTINCT mobile), count(*) FROM sms_messages WHERE content = ''") == [(3, 3)]
    assert campaign


def test_the_preview_counts_what_the_purge_takes(store, campaign, purge):
    preview = Purge(store, BEFORE, OptOuts()).preview()
    assert preview == purge()
    assert Purge(store, BEFORE, OptOuts()).preview() == Purged() == purge()
    assert campaign


def test_what_became_of_each_message_is_still_told(store, campaign, purge, ask):
    """A purged message still finds its purged report, and the day's figures come out the same."""
    query = "SELECT state, delivery, count(*) FROM sms_message_status GROUP BY state, delivery ORDER BY 2"
    before, day = ask(query), date(2025, 3, 1)
    figures = refresh_delivery_daily(store, day, day).to_dict("records")
    assert before == [("accepted", "delivered", 2), ("accepted", "silent", 1)]
    purge()
    assert ask(query) == before
    assert refresh_delivery_daily(store, day, day).to_dict("records") == figures
    assert [row["carrier"] for row in figures] == ["China Mobile"]
    assert campaign


def test_a_report_keeps_its_number_as_long_as_its_message(
    store, ledger, submitted, land, make_report, age, purge, ask
):
    """Reports land before their send is old: were their numbers taken first, the message would be silent."""
    submitted("late", [NUMBERS], BatchState.ACCEPTED, ids=["id9"])
    land([make_report(NUMBERS[0], "id9"), make_report(NUMBERS[1], "nobody's")])
    age(BEFORE - timedelta(hours=71))
    assert purge() == Purged(pages=1, reports=1)
    assert ask("SELECT mobile FROM sms_reports WHERE vendor_message_id = 'id9'") == [(NUMBERS[0],)]
    assert ask("SELECT count(*) FROM sms_message_status WHERE delivery = 'delivered'") == [(1,)]
    assert purge(BEFORE + timedelta(days=3)) == Purged(reports=1, batches=1, recipients=3)
    assert ask("SELECT count(*) FROM sms_message_status WHERE delivery = 'delivered'") == [(1,)]
    assert NUMBERS[0] not in whole_dump(store)
    assert ledger.summary("late").accepted == 3


@pytest.fixture
def agreeing(store, submitted, land, make_report):
    """Let two accounts send to one number under ids that agree, the first of them long ago."""
    for conn_id, moment in (("sms_main", OLD), ("sms_other", BEFORE)):
        submitted(conn_id, [NUMBERS[:1]], BatchState.ACCEPTED, ids=["id1"], conn_id=conn_id)
        land([make_report(NUMBERS[0], "id1")], conn_id=conn_id)
        sends = {"prepared_at": moment, "submitted_at": moment}
        with store.begin() as connection:
            connection.execute(
                update(schema.batches).where(schema.batches.c.send_key == conn_id).values(sends)
            )
    with store.begin() as connection:
        connection.execute(update(schema.pages).values(landed_at=OLD))


@pytest.mark.usefixtures("agreeing")
def test_accounts_whose_ids_agree_keep_each_their_report(store, purge, ask):
    """The old send's report goes with it, that of the recent send stays whole as its message does."""
    query = "SELECT send_key, delivery FROM sms_message_status ORDER BY send_key"
    told = ask(query)
    assert told == [("sms_main", "delivered"), ("sms_other", "delivered")]
    assert Purge(store, BEFORE, OptOuts()).preview() == purge()
    assert ask(f"SELECT conn_id FROM sms_reports WHERE mobile = '{NUMBERS[0]}'") == [  # noqa: S608
        ("sms_other",)
    ]
    assert ask(query) == told
    later = BEFORE + timedelta(days=4)
    assert Purge(store, later, OptOuts()).preview() == Purged(reports=1, batches=1, recipients=1)
    assert purge(later) == Purged(reports=1, batches=1, recipients=1)
    assert ask(query) == told
    assert NUMBERS[0] not in whole_dump(store)


@pytest.mark.usefixtures("agreeing")
@pytest.mark.parametrize("first", ["sms_main", "sms_other", None])
def test_a_report_that_may_be_on_two_messages_goes_with_the_last_of_them(
    store, land, make_report, purge, ask, first
):
    """A third connection read it: whose it is cannot be told, and no number stays for ever."""
    land([make_report(NUMBERS[0], "id1")], conn_id="sms_reader")
    later = BEFORE + timedelta(days=4)
    whole = f"SELECT conn_id FROM sms_reports WHERE mobile = '{NUMBERS[0]}' ORDER BY conn_id"  # noqa: S608
    with store.begin() as connection:
        connection.execute(update(schema.pages).values(landed_at=OLD))
    # Without a connection it is the purge of what is that old, and of all pages.
    purge(later if first else BEFORE, conn_id=first)
    other = "sms_main" if first == "sms_other" else "sms_other"
    assert ask(whole) == [(other,), ("sms_reader",)]
    assert Purge(store, later, OptOuts()).preview().reports == purge(later).reports == 2
    assert NUMBERS[0] not in whole_dump(store)


@pytest.mark.parametrize("state", [BatchState.ACCEPTED, BatchState.REJECTED, BatchState.NOT_SENT])
def test_a_purged_send_key_cannot_be_sent_again(ledger, submitted, plan, age, purge, state):
    """Its plan stands, whatever else is offered, and nothing is submitted without its text."""
    submitted("key", [NUMBERS], state)
    age()
    purge()
    assert not plan("key", [NUMBERS])
    other = PlannedSend("key", "sms_main", "wavecom", "0" * 64)
    assert ledger.replace(other, [PlannedBatch(1, "r", NUMBERS, "早")]) == (Replaced.STANDS, None)
    with pytest.raises(PreflightError, match=r"purged at .* give a new send_key"):
        ledger.submission("key", 1)


def test_a_send_whose_outcome_is_unknown_is_left_whole(store, submitted, land, make_report, age, purge, ask):
    submitted("open", [NUMBERS[:1]], BatchState.UNKNOWN)
    submitted("done", [NUMBERS[:1]], BatchState.ACCEPTED, ids=["id1"])
    land([make_report(NUMBERS[0], "id1")])
    age()
    assert Purge(store, BEFORE, OptOuts()).left() == (0, 1)
    assert purge() == Purged(pages=1, reports=1, batches=1, recipients=1)
    assert ask("SELECT mobile, content FROM sms_messages WHERE send_key = 'open'") == [
        (NUMBERS[0], "您好【公司】")
    ]


def test_pages_that_somebody_needs_stay_whole(store, land, make_report, age, purge, ask):
    """Quarantined, suspect and unlanded pages stay with their rows, unless quarantined ones are asked for."""
    broken = land([make_report(NUMBERS[0], "a")], problem="half of it is missing")
    journal = Journal(store)
    journal.keep(journal.begin("sms_main", "wavecom", "reports", "reader"), b"unlanded")
    suspect = journal.begin("sms_main", "wavecom", "reports", "reader")
    journal.close_unread(suspect, PageState.SUSPECT, "cut off")
    age()
    assert Purge(store, BEFORE, OptOuts()).left() == (3, 0)
    assert purge() == Purged()
    assert journal.page(broken).body == b"raw"
    assert purge(also_quarantined=True) == Purged(pages=1, reports=1)
    assert journal.page(broken).body is None
    assert journal.page(broken).dismissed_at is not None
    assert ask("SELECT count(*) FROM sms_pages WHERE body IS NOT NULL") == [(1,)]


@pytest.fixture
def pushed_and_polled(store, make_reply):
    """Have one reply pushed, and polled in a page that could be read in part; gives how to replay that."""
    journal, landing = Journal(store), Landing(store)
    records = [make_reply(NUMBERS[0], "退订"), make_reply(NUMBERS[1], "好")]
    push = journal.push("sms_main", "smsadmin", "replies", b"push")
    landing.land(push, "sms_main", "smsadmin", "replies", records[:1])
    polled = journal.begin("sms_main", "smsadmin", "replies", "reader")
    journal.keep(polled, b"raw")

    def land(count=2, problem=""):
        landing.land(polled, "sms_main", "smsadmin", "replies", records[:count], problem=problem)

    return land


def age_events(store, moment=OLD):
    """Make what joins pushes and polls as old."""
    with store.begin() as connection:
        connection.execute(update(schema.pushed_events).values(landed_at=moment))


@pytest.mark.parametrize("read", [0, 1], ids=["not read at all", "joined already"])
def test_what_joins_a_push_to_a_page_that_has_not_landed_stays(
    store, pushed_and_polled, age, purge, ask, read
):
    """A later replay of the page lands the event once; when nothing is left to be joined, the join goes."""
    pushed_and_polled(read, problem="the rest is missing")
    age()
    age_events(store)
    purge()
    pushed_and_polled()
    assert ask("SELECT count(*) FROM sms_replies") == [(2,)]
    purge()
    assert ask("SELECT count(*) FROM sms_pushed_events") == [(0,)]


def test_what_was_pushed_a_moment_ago_is_still_joined(store, pushed_and_polled, purge, ask):
    """However short the retention: the poll of the same event may come for 72 hours."""
    age_events(store, store.now() - timedelta(hours=71))
    purge(store.now() - timedelta(seconds=1))
    assert ask("SELECT count(*) FROM sms_pushed_events") == [(1,)]
    pushed_and_polled()
    assert ask("SELECT count(*) FROM sms_replies") == [(2,)]


@pytest.mark.parametrize("queue", ["reports", "replies"])
def test_a_push_that_comes_again_brings_nothing_back(store, make_report, make_reply, age, purge, queue):
    """Its page is purged for good: what a repeat wrote would stay for ever."""
    record = make_report(NUMBERS[0], "id1") if queue == "reports" else make_reply(NUMBERS[0], "私人的话")

    def come():
        page_id = Journal(store).push("sms_main", "smsadmin", queue, b"push", page_id="a push")
        return Landing(store).land(page_id, "sms_main", "smsadmin", queue, [record])

    assert come().records == 1
    age()
    purge()
    purged = whole_dump(store)
    assert come() == Landed(PageState.LANDED, 0)
    assert whole_dump(store) == purged
    assert NUMBERS[0] not in purged


def test_one_connection_is_purged_alone(submitted, land, make_report, age, purge, ask):
    for conn_id in ("sms_main", "sms_other"):
        submitted(conn_id, [NUMBERS[:1]], BatchState.ACCEPTED, ids=[conn_id], conn_id=conn_id)
        land([make_report(NUMBERS[0], conn_id)], conn_id=conn_id)
    age()
    assert purge(conn_id="sms_other") == Purged(pages=1, reports=1, batches=1, recipients=1)
    assert ask("SELECT conn_id FROM sms_reports WHERE mobile = '13800000001'") == [("sms_main",)]


def test_a_purge_that_was_cut_off_is_taken_up_again(store, submitted, land, make_reply, age, monkeypatch):
    """Chunks are whole: a crash between two leaves rows that are purged, and rows that are not."""
    monkeypatch.setattr(purging, "_ROWS", 2)
    submitted("big", [[f"1380000{100 * batch + n:04}" for n in range(2)] for batch in range(4)], "accepted")
    for _ in range(3):
        land([make_reply(NUMBERS[0], "好"), make_reply(NUMBERS[0], "TD")], queue="replies")
    age()
    seen = []

    def stop_soon(so_far):
        seen.append(so_far)
        if len(seen) == 3:
            msg = "gone"
            raise StoreUnavailable(msg)

    purge = Purge(store, BEFORE, OptOuts())
    whole = purge.preview()
    with pytest.raises(StoreUnavailable):
        purge.run(stop_soon)
    assert seen[-1].batches == 3
    rest = purge.run()
    assert Purged(*map(sum, zip(seen[-1], rest, strict=True))) == whole
    assert whole == Purged(pages=3, replies=3, opt_outs=3, batches=4, recipients=8)


def test_many_rows_go_at_once(store, ledger, submitted, land, make_report, age, purge, ask):
    """From some rows on the databases are fed in bulk, by other statements than a few rows are."""
    numbers = [str(13_800_000_000 + each) for each in range(1500)]
    submitted("bulk", [numbers[:1000], numbers[1000:]], BatchState.ACCEPTED, ids=["id1"])
    land([make_report(number, "id1") for number in numbers])
    age()
    assert purge() == Purged(pages=1, reports=1500, batches=2, recipients=1500)
    assert ask("SELECT count(*) FROM sms_message_status WHERE delivery = 'delivered'") == [(1500,)]
    assert ask("SELECT count(*) FROM sms_reports WHERE length(mobile) = 11") == [(0,)]
    assert ledger.summary("bulk").accepted == 1500
    assert whole_dump(store).count(numbers[7]) == 0


def test_a_purge_that_a_deadlock_took_back_goes_on(store, submitted, age, purge):
    """Somebody has the batch and wants the turn, which the purge has."""
    if store.dialect == "sqlite":
        pytest.skip("SQLite knows no deadlock: writers take turns from their first statement on")
    submitted("old", [NUMBERS], BatchState.ACCEPTED)
    age()
    with ThreadPoolExecutor(1) as thread:
        with store.begin() as connection:
            # Who has changed more is not the one to be taken back, nor who looks for a deadlock last.
            if "postgresql" in store.dialect:
                connection.exec_driver_sql("SET LOCAL deadlock_timeout = '1min'")
            for change in range(100):
                connection.execute(update(schema.batches).values(error=str(change)))
            purged = thread.submit(purge)
            time.sleep(0.5)
            take_turn(connection)
        assert purged.result(30) == Purged(batches=1, recipients=3)


@pytest.mark.parametrize("store", ["postgresql"], indirect=True)
def test_messages_with_ids_of_their_own_are_found_by_these(
    store, ledger, plan, land, make_report, age, purge
):
    """A server that expects few people in a batch is not to go over all reports for each of their numbers."""
    numbers = [str(13_800_000_000 + each) for each in range(16_000)]
    cut = [numbers[start : start + 100] for start in range(0, len(numbers), 100)]
    for send_key, its_batches in (
        (f"send{first}", cut[first : first + 10]) for first in range(0, len(cut), 10)
    ):
        plan(send_key, its_batches)
        for number, mobiles in enumerate(its_batches, 1):
            ledger.claim(send_key, number, "worker", 60, f"{send_key}ref{number}")
            ids = [f"id{mobile}" for mobile in mobiles]
            ledger.settle(send_key, number, BatchState.ACCEPTED, owner="worker", message_ids=ids)
    land([make_report(number, f"id{number}") for number in numbers])
    age()
    if store.dialect == "postgresql":
        with store.begin() as connection:
            connection.exec_driver_sql("ANALYZE")
    began = time.monotonic()
    found = Purge(store, BEFORE, OptOuts()).preview()
    assert time.monotonic() - began < 3
    assert purge() == found == Purged(pages=1, reports=16_000, batches=160, recipients=16_000)
    assert time.monotonic() - began < 30


def test_a_date_to_come_is_refused(store):
    with pytest.raises(PreflightError, match="is not past"):
        Purge(store, store.now() + timedelta(days=1), OptOuts())


def test_numbers_have_a_hash_where_the_store_has_a_key(place, tmp_path, make_report, make_reply):
    """Equal in messages, reports and replies, empty without a key, and the purged form is made of it."""
    secret = "correct horse battery staple"
    found = {}
    for key in ("", secret):
        store = Store.open(place.address, spool_dir=tmp_path, number_hash_key=key)
        Ledger(store).plan(
            PlannedSend(f"key{key}", "sms_main", "wavecom", "f"),
            [PlannedBatch(1, "ref", NUMBERS, "您好【公司】")],
        )
        journal = Journal(store)
        for queue, records in (
            ("reports", [make_report(NUMBERS[0], "a")]),
            ("replies", [make_reply(NUMBERS[0], "好")]),
        ):
            page_id = journal.begin("sms_main", "wavecom", queue, "reader")
            journal.keep(page_id, b"raw")
            Landing(store).land(page_id, "sms_main", "wavecom", queue, records)
        with store.reading() as connection:
            found[key] = {
                connection.exec_driver_sql(
                    f"SELECT max(mobile_hash) FROM {table} WHERE mobile = '{NUMBERS[0]}'"  # noqa: S608
                ).scalar()
                for table in ("sms_messages", "sms_reports", "sms_replies")
            }
        assert secret not in repr(store)
        store.close()
    assert found[""] == {None}
    assert found[secret] == {hmac.new(secret.encode(), NUMBERS[0].encode(), "sha256").hexdigest()[:32]}


def test_a_key_that_can_be_guessed_is_refused(place, tmp_path):
    with pytest.raises(PreflightError, match="fewer than 16 characters"):
        Store.open(place.address, spool_dir=tmp_path, number_hash_key="short")
