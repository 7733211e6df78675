"""
Replies, and the message that each may answer.

No vendor says which message a reply answers. What is known is the number, the account, the time, and
sometimes the extension that the person wrote to. Where these leave several messages, the frame says so.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, select

from airflow_provider_sms.records import BatchState
from airflow_provider_sms.store.frames.fields import Field, Kind, named
from airflow_provider_sms.store.frames.reading import read, text_type
from airflow_provider_sms.store.frames.records import REPLIES
from airflow_provider_sms.store.schema import batches, recipients, replies
from airflow_provider_sms.store.views import OF_BATCH

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd
    from sqlalchemy import ColumnElement, Select

    from airflow_provider_sms.store.engine import Store

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
FIELDS = (
    *_REPLY,
    Field("match", Kind.LABEL, "`only`, `extno`, `last`, `ambiguous` or `none`: how the message was found"),
    Field("candidates", Kind.WHOLE, "messages of these days that the reply may answer"),
    *named(_MESSAGE, ("send_key", "batch_no", "message_seq", "template_id", "sent_at")),
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

    Candidates are the messages to the same number through the same connection that may have gone out
    (accepted or unknown) in the ``within_days`` before the reply. If the reply bears an extension number
    that ends with that of some candidates, only these count. Then ``match`` says:

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
    :param within_days: how old the message may be.
    :raises StoreUnavailable: the store is away.
    """
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
    return _answers(received, sent, timedelta(days=within_days))


def _messages(since: datetime, until: datetime) -> Select[Any]:
    """Select what was sent in a span of time."""
    at = case((batches.c.send_at > batches.c.submitted_at, batches.c.send_at), else_=batches.c.submitted_at)
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


def _answers(received: pd.DataFrame, sent: pd.DataFrame, within: timedelta) -> pd.DataFrame:
    import pandas as pd

    received[_ROW] = range(len(received))
    sent = sent.astype({"conn_id": text_type()})
    keys = received[[_ROW, "mobile", "received_at", "extno", "conn_id"]]
    keys = keys.astype({"conn_id": text_type(), "extno": text_type()})
    pairs = keys.merge(sent, on=["conn_id", "mobile"])
    age = pairs["received_at"] - pairs["sent_at"]
    pairs = pairs[(age > -_CLOCK) & (age <= pd.Timedelta(within))]
    pairs, by_extno = _narrowed(pairs)
    chosen = _chosen(pairs, by_extno)
    answers = received.merge(chosen, on=_ROW, how="left")
    answers["match"] = answers["match"].fillna("none").astype("category")
    answers["candidates"] = answers["candidates"].fillna(0).astype("int64")
    seconds = (answers["received_at"] - answers["sent_at"]).dt.total_seconds()
    answers["answer_seconds"] = seconds.clip(lower=0)
    return answers[[field.name for field in FIELDS]]


def _narrowed(pairs: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series[bool]]:
    """Leave only the candidates with the reply's extension, where there are any."""
    agrees = [
        bool(mine) and theirs.endswith(mine)
        for theirs, mine in zip(pairs["extno"], pairs["message_extno"], strict=True)
    ]
    pairs = pairs.assign(agrees=agrees)
    some = pairs.groupby(_ROW)["agrees"].transform("any").astype(bool)
    all_of_them = pairs.groupby(_ROW)["agrees"].transform("all").astype(bool)
    left = pairs[~some | pairs["agrees"]]
    # An extension that every candidate has tells none from the others.
    return left, (some & ~all_of_them)[left.index]


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
    told = ["send_key", "batch_no", "message_seq", "template_id", "sent_at"]
    chosen[told] = chosen[told].where(~twin)
    return chosen[[_ROW, "match", "candidates", *told]]
