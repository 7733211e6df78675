"""
Replies, and the message that each answers.

Where a reply bears the id of a message to its number, the vendor has said which one it answers: smsadmin's
bear the linkid (§2.4), beidoutong's the TaskID (§5.3). Of the others, what is known is the number, the
account, the time, and sometimes the extension that the person wrote to. Where these leave several messages,
the frame says so.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, select

from airflow_provider_sms.records import BatchState
from airflow_provider_sms.store.frames.asking import asked_span
from airflow_provider_sms.store.frames.fields import Field, Kind, named
from airflow_provider_sms.store.frames.reading import read, text_type
from airflow_provider_sms.store.frames.records import REPLIES
from airflow_provider_sms.store.schema import batch_ids, batches, recipients, replies
from airflow_provider_sms.store.views import OF_BATCH

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd
    from sqlalchemy import ColumnElement, Select

    from airflow_provider_sms.store.engine import Store

#: What is told of a message.
_TOLD = ["send_key", "batch_no", "message_seq", "template_id", "sent_at"]
_REPLY = named(
    REPLIES,
    ("page_id", "seq", "conn_id", "vendor", "mobile", "content", "extno", "received_at", "time_source"),
)
_MESSAGE = (
    Field("conn_id", Kind.LABEL, ""),
    Field("mobile", Kind.TEXT, ""),
    Field("send_key", Kind.TEXT, "names the send; missing where no message is told"),
    Field("batch_no", Kind.MAYBE_WHOLE, "number of the batch within its send"),
    Field("message_seq", Kind.MAYBE_WHOLE, "place of the message within its batch"),
    Field("template_id", Kind.TEXT, "names the template, if the message is made of one"),
    Field("message_extno", Kind.TEXT, ""),
    Field("sent_at", Kind.TIME, "when the message was submitted, or was scheduled for"),
)
_NAMED = (
    *named(_REPLY, ("page_id", "seq", "conn_id")),
    Field("sender", Kind.LABEL, ""),
    *named(_MESSAGE, _TOLD),
)
FIELDS = (
    *_REPLY,
    Field(
        "match", Kind.LABEL, "`id`, `only`, `extno`, `last`, `ambiguous` or `none`: how the message was found"
    ),
    Field("candidates", Kind.WHOLE, "messages of these days that the reply may answer"),
    *named(_MESSAGE, _TOLD),
    Field("answer_seconds", Kind.NUMBER, "from `sent_at` to the reply"),
)
_OUT = (BatchState.ACCEPTED.value, BatchState.UNKNOWN.value, BatchState.SUBMITTING.value)
#: Vendors' clocks show whole seconds: a reply may seem to be as much older than it is.
_CLOCK = timedelta(seconds=1)
#: So long before its time a message may have been scheduled.
_FAR_AHEAD = timedelta(days=93)
_ROW = "row"


def answers_frame(store: Store, start: datetime, end: datetime, *, within_days: float = 7) -> pd.DataFrame:
    """
    Give one row per reply received in a span of time, with the message that it answers.

    A reply that bears an id of a message to its number answers that one, however old. For any other,
    candidates are the messages to the same number through the same connection that may have gone out
    (accepted or unknown) in the ``within_days`` before the reply. If the reply bears the extension number of
    some candidates, alone or behind the vendor's own digits, only these count, and of these the ones with
    the longest. Then ``match`` says:

    ``id``
        the vendor said so: the message whose id the reply bears;
    ``only``
        one candidate: that one;
    ``extno``
        several, one of which has the reply's extension: that one;
    ``last``
        several: the last one sent before the reply. A likely guess, marked as such;
    ``ambiguous``
        several were sent last, in the same moment: none is told;
    ``none``
        no candidate.

    Columns: ``page_id`` (``category``), ``seq`` (``int64``), ``conn_id``, ``vendor`` (``category``),
    ``mobile``, ``content`` (text), ``extno`` (``category``), ``received_at`` (``datetime64[us, UTC]``),
    ``time_source``, ``match`` (``category``), ``candidates`` (``int64``), ``send_key`` (text),
    ``batch_no``, ``message_seq`` (``Int64``), ``template_id`` (text), ``sent_at``
    (``datetime64[us, UTC]``), ``answer_seconds`` (``float64``, never negative). Ordered by time.

    :param start: aware.
    :param end: aware, not included.
    :param within_days: how old a message may be that the reply does not name.
    :raises PreflightError: a moment has no zone, or is none.
    :raises StoreUnavailable: the store is away.
    """
    start, end = asked_span(start, end)
    span = (replies.c.received_at >= start, replies.c.received_at < end)
    told = select(*(replies.c[field.name] for field in _REPLY)).where(*span)
    ordered = told.order_by(replies.c.received_at, replies.c.page_id, replies.c.seq)
    mobile: ColumnElement[str] = recipients.c.mobile
    if store.dialect == "sqlite":
        # It would look every replier up in every batch; no index fits an expression.
        mobile = mobile.concat("")
    messages = _messages(start - timedelta(days=within_days), end).where(
        mobile.in_(select(replies.c.mobile).where(*span))
    )
    with store.sweeping() as connection:
        received = read(connection, ordered, _REPLY)
        sent = read(connection, messages, _MESSAGE)
        by_id = read(connection, _named_messages(store.dialect).where(*span), _NAMED)
    return _answers(received, sent, by_id, timedelta(days=within_days))


def _messages(since: datetime, until: datetime) -> Select[Any]:
    """Select what was sent in a span of time."""
    at = _sent_at()
    columns = (
        batches.c.conn_id,
        recipients.c.mobile,
        batches.c.send_key,
        recipients.c.batch_no,
        recipients.c.seq,
        batches.c.template_id,
        batches.c.extno,
        at,
    )
    sent = (at >= since - _CLOCK, at < until + _CLOCK, batches.c.state.in_(_OUT))
    # For the index.
    submitted = (batches.c.submitted_at >= since - _FAR_AHEAD, batches.c.submitted_at < until + _CLOCK)
    return select(*columns).join_from(recipients, batches, OF_BATCH).where(*submitted, *sent)


def _named_messages(dialect: str) -> Select[Any]:
    """Select the messages whose ids replies bear, with the replies."""
    # SQLite would begin with everybody who was ever sent to; no index of theirs fits an expression.
    replier = replies.c.mobile.concat("") if dialect == "sqlite" else replies.c.mobile
    bears = and_(
        replies.c.vendor_message_id == batch_ids.c.vendor_message_id, replies.c.vendor == batch_ids.c.vendor
    )
    to = and_(
        recipients.c.send_id == batch_ids.c.send_id,
        recipients.c.batch_no == batch_ids.c.batch_no,
        recipients.c.mobile == replier,
    )
    columns = (
        replies.c.page_id,
        replies.c.seq,
        replies.c.conn_id,
        batches.c.conn_id,
        batches.c.send_key,
        recipients.c.batch_no,
        recipients.c.seq,
        batches.c.template_id,
        _sent_at(),
    )
    joined = select(*columns).select_from(replies).join(batch_ids, bears).join(recipients, to)
    return joined.join(batches, OF_BATCH).where(replies.c.vendor_message_id != "")


def _sent_at() -> ColumnElement[Any]:
    return case((batches.c.send_at > batches.c.submitted_at, batches.c.send_at), else_=batches.c.submitted_at)


def _answers(
    received: pd.DataFrame, sent: pd.DataFrame, by_id: pd.DataFrame, within: timedelta
) -> pd.DataFrame:
    import pandas as pd

    received[_ROW] = range(len(received))
    said = _said(received, by_id)
    sent = sent.astype({"conn_id": text_type()})
    keys = received[[_ROW, "mobile", "received_at", "extno", "conn_id"]]
    keys = keys.astype({"conn_id": text_type(), "extno": text_type()})
    pairs = keys.merge(sent, on=["conn_id", "mobile"])
    age = pairs["received_at"] - pairs["sent_at"]
    pairs = pairs[(age > -_CLOCK) & (age <= pd.Timedelta(within))]
    pairs, by_extno = _narrowed(pairs)
    chosen = pd.concat([said, _chosen(pairs, by_extno)]).drop_duplicates(_ROW)
    answers = received.merge(chosen, on=_ROW, how="left")
    answers["match"] = answers["match"].fillna("none").astype(text_type()).astype("category")
    answers["candidates"] = answers["candidates"].fillna(0).astype("int64")
    seconds = (answers["received_at"] - answers["sent_at"]).dt.total_seconds()
    answers["answer_seconds"] = seconds.clip(lower=0)
    return answers[[field.name for field in FIELDS]]


def _said(received: pd.DataFrame, by_id: pd.DataFrame) -> pd.DataFrame:
    """Give the message that each reply names, if it names one."""
    keys = ["page_id", "seq"]
    by_id = by_id.astype({"page_id": text_type(), "conn_id": text_type(), "sender": text_type()})
    own = by_id["conn_id"] == by_id["sender"]
    # As with reports: where a connection sent under this id itself, another account's only happens to agree.
    best = by_id.assign(own=own).sort_values(["own", "sent_at"]).drop_duplicates(keys, keep="last")
    rows = received[[_ROW, *keys]].astype({"page_id": text_type()})
    said = rows.merge(best, on=keys).assign(match="id", candidates=1)
    return said[[_ROW, "match", "candidates", *_TOLD]]


def _narrowed(pairs: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series[bool]]:
    """Leave only the candidates with the reply's extension, where there are any."""
    import pandas as pd

    # With 21 and 1 to choose from, 21 is answered by who wrote to 21.
    lengths = [
        len(mine) if mine and theirs.endswith(mine) else 0
        for theirs, mine in zip(pairs["extno"], pairs["message_extno"], strict=True)
    ]
    agreed = pd.Series(lengths, index=pairs.index, dtype="int64")
    most = agreed.groupby(pairs[_ROW]).transform("max")
    agrees = agreed == most
    all_of_them = agrees.groupby(pairs[_ROW]).transform("all").astype(bool)
    # An extension that every candidate has tells none from the others.
    return pairs[agrees], ((most > 0) & ~all_of_them)[agrees]


def _chosen(pairs: pd.DataFrame, by_extno: pd.Series[bool]) -> pd.DataFrame:
    """Choose one of each reply's candidates, or none of those that were sent in the same moment."""
    groups = pairs.groupby(_ROW)
    pairs = pairs.assign(candidates=groups[_ROW].transform("size"), by_extno=by_extno)
    last = pairs[pairs["sent_at"] == groups["sent_at"].transform("max")]
    twins = last.groupby(_ROW)[_ROW].transform("size") > 1
    chosen = last.drop_duplicates(_ROW).copy()
    twin = twins[chosen.index]
    chosen["match"] = "last"
    chosen.loc[chosen["candidates"] == 1, "match"] = "only"
    chosen.loc[(chosen["candidates"] == 1) & chosen["by_extno"], "match"] = "extno"
    chosen.loc[twin, "match"] = "ambiguous"
    chosen[_TOLD] = chosen[_TOLD].where(~twin)
    return chosen[[_ROW, "match", "candidates", *_TOLD]]
