"""
What can be waited for, and how to see in the tables whether it is there.

A condition is data: a sensor that pokes and a trigger that waits in its place ask the same question.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.store import arrivals
from airflow_provider_sms.store.ledger import Ledger

if TYPE_CHECKING:
    from airflow_provider_sms.store.arrivals import DeliveryCounts
    from airflow_provider_sms.store.engine import Store

_ROUNDING = 1e-9


class SendReported(NamedTuple):
    """
    Enough of a send's messages have a final report.

    :param send_key: which send.
    :param min_share: the share of its recipients, above 0 and at most 1.
    """

    send_key: str
    min_share: float


class ReportsLanded(NamedTuple):
    """
    Enough of an account's reports have landed.

    :param since: at this time or later, aware.
    :param min_records: so many.
    """

    since: datetime
    min_records: int


class WantedReplies(NamedTuple):
    """
    Enough replies have come.

    :param mobile: of this national number, or of anybody.
    :param pattern: whose text this finds, or any text.
    :param since: received at this time or later, aware.
    :param min_records: so many.
    """

    mobile: str | None
    pattern: re.Pattern[str] | None
    since: datetime
    min_records: int


Condition = SendReported | ReportsLanded | WantedReplies
_KINDS: dict[str, type[Condition]] = {
    kind.__name__: kind for kind in (SendReported, ReportsLanded, WantedReplies)
}


class Found(NamedTuple):
    """
    What the tables say of a condition.

    :param done: whether it is met.
    :param counts: keys and counts, no text, no number.
    :param told: the same as a sentence for the log.
    """

    done: bool
    counts: dict[str, Any]
    told: str


def look(store: Store, conn_id: str, condition: Condition) -> Found:
    """
    Ask the tables whether a condition is met.

    :param conn_id: of which account.
    :raises PreflightError: it never will be.
    :raises StoreUnavailable: the store is away.
    """
    if isinstance(condition, WantedReplies):
        done, counts = replies(store, conn_id, condition)
        return Found(done, counts, f"{counts['replies']} of {condition.min_records} replies have landed")
    going_out = False
    if isinstance(condition, SendReported):
        done, counts, going_out = reports_of_send(store, condition.send_key, condition.min_share)
    else:
        done, counts = reports_since(store, conn_id, condition.since, condition.min_records)
    told = "{reported} reported ({delivered} delivered, {failed} failed), {pending} pending".format(**counts)
    return Found(done, counts, f"{told}; the send is still going out" if going_out else told)


def reports_of_send(store: Store, send_key: str, min_share: float) -> tuple[bool, dict[str, int], bool]:
    """
    Look whether enough of a send's messages have a final report.

    While batches wait for their first submit, the send is still going out, and nothing is a share of it.

    :return: whether they have, the counts, and whether the send is still going out.
    :raises PreflightError: there is no such send, or the vendor accepted none of it: no report can come.
    """
    # Before its messages are counted: a batch may be accepted in between, and then it is among them.
    going_out = arrivals.is_going_out(store, send_key)
    summary = Ledger(store).summary(send_key)
    where = f"send key {send_key!r}"
    if not summary.recipients:
        msg = "the store knows no such send: use the send_key that the send operator returned, and its store"
        raise PreflightError([msg], where)
    expected = summary.accepted + summary.unknown
    if not expected and not summary.not_sent:
        raise PreflightError(["the vendor accepted none of its messages, so no report will come"], where)
    counts = arrivals.delivery_of(store, send_key)
    final = counts.delivered + counts.failed
    enough = bool(expected) and final + _ROUNDING >= min_share * expected
    return enough and not going_out, _as_xcom(counts), going_out


def reports_since(
    store: Store, conn_id: str, since: datetime, min_records: int
) -> tuple[bool, dict[str, int]]:
    """
    Look whether enough of an account's reports have landed.

    :return: whether they have, and the counts.
    """
    counts = arrivals.reports_since(store, conn_id, since)
    return sum(counts) >= min_records, _as_xcom(counts)


def replies(store: Store, conn_id: str, wanted: WantedReplies) -> tuple[bool, dict[str, Any]]:
    """
    Look whether enough of the replies have landed.

    :return: whether they have; and how many, with the ids of the first and the last (no text, no number).
    """
    found = [
        reply.reply_id
        for reply in arrivals.replies_since(store, conn_id, wanted.since, wanted.mobile)
        if wanted.pattern is None or wanted.pattern.search(reply.content)
    ]
    ends = {"first_reply_id": found[0] if found else None, "last_reply_id": found[-1] if found else None}
    return len(found) >= wanted.min_records, {"replies": len(found), **ends}


def as_text(condition: Condition) -> str:
    """Write a condition down, so that another process can wait for it."""
    fields = condition._asdict()
    if "since" in fields:
        fields["since"] = fields["since"].isoformat()
    if fields.get("pattern") is not None:
        fields["pattern"] = [fields["pattern"].pattern, fields["pattern"].flags]
    return json.dumps({"kind": type(condition).__name__, **fields}, ensure_ascii=False)


def from_text(text: str) -> Condition:
    """Read what :func:`as_text` wrote."""
    fields: dict[str, Any] = json.loads(text)
    kind = _KINDS[fields.pop("kind")]
    if "since" in fields:
        fields["since"] = datetime.fromisoformat(fields["since"])
    if fields.get("pattern") is not None:
        fields["pattern"] = re.compile(*fields["pattern"])
    return kind(**fields)


def _as_xcom(counts: DeliveryCounts) -> dict[str, int]:
    return {"reported": counts.delivered + counts.failed, **counts._asdict()}
