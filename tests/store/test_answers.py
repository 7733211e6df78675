"""Replies and the messages that they answer: what is told, and what is left open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from airflow_provider_sms.records import BatchState, Reply
from airflow_provider_sms.store import frames

AT = datetime(2025, 3, 5, 4, 0, tzinfo=UTC)
WANG, LI = "13800130001", "18600000001"


@pytest.fixture
def answers(store, land):
    """Land replies, and give what the frame says of them."""

    def ask(*replies: Reply, conn_id="sms_main", within_days=7):
        land(list(replies), queue="replies", conn_id=conn_id)
        frame = frames.answers_frame(
            store, AT - timedelta(days=1), AT + timedelta(days=1), within_days=within_days
        )
        return frame.to_dict("records")

    return ask


def reply(number=WANG, at=AT, extno="", vendor_id=""):
    return Reply(vendor_message_id=vendor_id, mobile=number, content="好的", extno=extno, occurred_at=at)


def test_the_only_message_is_the_one(sent, answers):
    sent("a", [[LI, WANG]], BatchState.ACCEPTED, at=AT - timedelta(minutes=5), template_id="t1")
    [row] = answers(reply())
    assert (row["match"], row["candidates"], row["send_key"], row["template_id"]) == ("only", 1, "a", "t1")
    assert (row["batch_no"], row["message_seq"], row["answer_seconds"]) == (1, 1, 300)
    assert (row["sent_at"], row["received_at"]) == (AT - timedelta(minutes=5), AT)
    assert (row["content"], row["mobile"]) == ("好的", WANG)


def test_of_several_it_is_the_last_before_the_reply_and_marked_so(sent, answers):
    for key, hours in (("a", -30), ("b", -2), ("c", 3)):
        sent(key, [[WANG]], BatchState.ACCEPTED, at=AT + timedelta(hours=hours))
    [row] = answers(reply())
    assert (row["match"], row["candidates"], row["send_key"]) == ("last", 2, "b")


def test_several_in_one_moment_are_not_guessed_among(sent, answers):
    sent("a", [[WANG]], BatchState.ACCEPTED, at=AT - timedelta(hours=1))
    sent("b", [[WANG]], BatchState.ACCEPTED, at=AT - timedelta(hours=1))
    [row] = answers(reply())
    assert (row["match"], row["candidates"]) == ("ambiguous", 2)
    assert all(pd.isna(row[name]) for name in ("send_key", "batch_no", "sent_at", "answer_seconds"))


@pytest.mark.parametrize(
    ("extno", "found"),
    [
        ("1069012", ("extno", 1, "a")),
        ("12", ("extno", 1, "a")),
        ("99", ("last", 2, "b")),
        ("", ("last", 2, "b")),
    ],
)
def test_an_extension_tells_messages_apart(sent, answers, extno, found):
    """Vendors give it alone, or behind their own number; where none agrees it says nothing."""
    sent("a", [[WANG]], BatchState.ACCEPTED, at=AT - timedelta(hours=2), extno="12")
    sent("b", [[WANG]], BatchState.ACCEPTED, at=AT - timedelta(hours=1), extno="34")
    [row] = answers(reply(extno=extno))
    assert (row["match"], row["candidates"], row["send_key"]) == found


@pytest.mark.parametrize(
    ("extno", "found"),
    [("21", ("extno", 1, "a")), ("106921", ("extno", 1, "a")), ("31", ("extno", 1, "b"))],
)
def test_the_longest_extension_that_agrees_tells(sent, answers, extno, found):
    """Each is an end of 21; who wrote to 21 meant 21, who wrote to 31 can only have meant 1."""
    sent("a", [[WANG]], BatchState.ACCEPTED, at=AT - timedelta(hours=2), extno="21")
    sent("b", [[WANG]], BatchState.ACCEPTED, at=AT - timedelta(hours=1), extno="1")
    [row] = answers(reply(extno=extno))
    assert (row["match"], row["candidates"], row["send_key"]) == found


def test_a_reply_that_bears_a_messages_id_answers_that_one(sent, answers):
    """Not the last one, and however old: the vendor says which."""
    sent("survey", [[LI, WANG]], BatchState.ACCEPTED, at=AT - timedelta(days=30), ids=("41",))
    sent("offer", [[WANG]], BatchState.ACCEPTED, at=AT - timedelta(hours=1), ids=("42",))
    rows = answers(reply(vendor_id="41"), reply(vendor_id="43"), reply(vendor_id="0"), within_days=3)
    told = [(row["match"], row["candidates"], row["send_key"]) for row in rows]
    assert told == [("id", 1, "survey"), ("only", 1, "offer"), ("only", 1, "offer")]
    assert (rows[0]["batch_no"], rows[0]["message_seq"], rows[0]["answer_seconds"]) == (1, 1, 30 * 86_400)


def test_an_id_of_somebody_elses_message_tells_nothing(sent, answers):
    """Another number's, or another vendor's."""
    sent("hers", [[LI]], BatchState.ACCEPTED, at=AT - timedelta(hours=2), ids=("41",))
    sent("his", [[WANG]], BatchState.ACCEPTED, at=AT - timedelta(hours=1), ids=("42",))
    [row] = answers(reply(vendor_id="41"))
    assert (row["match"], row["send_key"]) == ("only", "his")


def test_two_accounts_whose_ids_agree_keep_their_replies(sent, answers):
    """As with reports; where only another connection sent under the id, they share an account."""
    sent("a", [[WANG]], BatchState.ACCEPTED, at=AT - timedelta(hours=2), ids=("41",))
    sent("b", [[WANG]], BatchState.ACCEPTED, at=AT - timedelta(hours=1), ids=("41",), conn_id="sms_other")
    [mine] = answers(reply(vendor_id="41"))
    assert (mine["match"], mine["send_key"]) == ("id", "a")
    sent("c", [[LI]], BatchState.ACCEPTED, at=AT - timedelta(hours=1), ids=("51",), conn_id="sms_other")
    shared = answers(reply(LI, vendor_id="51"))[-1]
    assert (shared["match"], shared["send_key"]) == ("id", "c")


def test_an_extension_that_all_have_tells_nothing(sent, answers):
    for key, hours in (("a", 2), ("b", 1)):
        sent(key, [[WANG]], BatchState.ACCEPTED, at=AT - timedelta(hours=hours), extno="12")
    [row] = answers(reply(extno="12"))
    assert (row["match"], row["candidates"], row["send_key"]) == ("last", 2, "b")


@pytest.mark.parametrize(
    "what",
    [
        {"at": AT + timedelta(minutes=1)},
        {"at": AT - timedelta(days=3, minutes=1)},
        {"state": BatchState.REJECTED},
        {"state": BatchState.NOT_SENT},
        {"conn_id": "sms_other"},
        {"batches": [[LI]]},
    ],
)
def test_what_cannot_be_answered_is_no_candidate(sent, answers, what):
    """Sent later, too long ago, never, by another account, to somebody else."""
    given = {"batches": [[WANG]], "state": BatchState.ACCEPTED, "at": AT - timedelta(hours=1)} | what
    sent("a", **given)
    [row] = answers(reply(), within_days=3)
    assert (row["match"], row["candidates"]) == ("none", 0)
    assert pd.isna(row["send_key"])


def test_a_message_that_may_have_gone_out_may_be_answered(sent, answers):
    sent("a", [[WANG]], BatchState.UNKNOWN, at=AT - timedelta(hours=1))
    [row] = answers(reply())
    assert (row["match"], row["send_key"]) == ("only", "a")


def test_a_scheduled_message_counts_from_its_time(sent, answers):
    at = AT - timedelta(hours=5)
    sent("a", [[WANG]], BatchState.ACCEPTED, at=at, send_at=AT - timedelta(hours=1))
    sent("b", [[WANG]], BatchState.ACCEPTED, at=at, send_at=AT + timedelta(hours=1))
    [row] = answers(reply())
    assert (row["match"], row["send_key"], row["answer_seconds"]) == ("only", "a", 3600)


def test_clocks_of_whole_seconds_make_no_reply_older_than_its_message(sent, answers):
    """A reply of the same second seems to be older by its fraction."""
    sent("a", [[WANG]], BatchState.ACCEPTED, at=AT + timedelta(milliseconds=700))
    [row] = answers(reply())
    assert (row["match"], row["send_key"], row["answer_seconds"]) == ("only", "a", 0)


def test_every_reply_has_one_row(sent, answers):
    """Equal replies are two replies; each is matched on its own."""
    sent("a", [[WANG, LI]], BatchState.ACCEPTED, at=AT - timedelta(hours=2))
    sent("b", [[WANG]], BatchState.ACCEPTED, at=AT - timedelta(minutes=30))
    rows = answers(reply(at=AT - timedelta(hours=1)), reply(), reply(), reply(LI), reply("19900000001"))
    told = sorted((row["mobile"], row["received_at"], row["match"], str(row["send_key"])) for row in rows)
    assert told == [
        (WANG, AT - timedelta(hours=1), "only", "a"),
        (WANG, AT, "last", "b"),
        (WANG, AT, "last", "b"),
        (LI, AT, "only", "a"),
        ("19900000001", AT, "none", "nan"),
    ]


def test_no_replies_no_rows_but_all_columns(store, sent, answers):
    sent("a", [[WANG]], BatchState.ACCEPTED, at=AT - timedelta(hours=2))
    answers(reply(), reply(LI))
    full = frames.answers_frame(store, AT, AT + timedelta(days=1))
    empty = frames.answers_frame(store, AT + timedelta(days=9), AT + timedelta(days=10))
    assert (len(full), len(empty)) == (2, 0)
    types = dict(full.dtypes.astype(str))
    assert dict(empty.dtypes.astype(str)) == types
    assert types["sent_at"] == types["received_at"] == "datetime64[us, UTC]"
    assert (types["batch_no"], types["candidates"], types["match"]) == ("Int64", "int64", "category")
