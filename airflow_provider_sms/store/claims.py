"""
Taking batches and settling them: the compare-and-sets of the ledger, each within a caller's transaction.

Every function first locks the rows it is about to change and looks at them, then changes those that
may be. It does so for many batches at once, and settles some together with taking others, because a
commit costs the same for one as for a hundred.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, select

from airflow_provider_sms.records import BatchState
from airflow_provider_sms.store import bulk
from airflow_provider_sms.store.clock import ServerTime
from airflow_provider_sms.store.schema import CODE_LENGTH, ID_LENGTH, batch_ids, batches

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Update
    from sqlalchemy.engine import Connection, Row

    from airflow_provider_sms.store.plans import Outcome

_CLAIMABLE = (BatchState.PREPARED, BatchState.NOT_SENT, BatchState.REJECTED)
_OUTCOMES = frozenset({BatchState.ACCEPTED, BatchState.REJECTED, BatchState.NOT_SENT, BatchState.UNKNOWN})
_OWNER_LENGTH = 250
_OF_LAST_OUTCOME = (
    "settled_at",
    "settled_by",
    "vendor_batch_id",
    "vendor_code",
    "vendor_text",
    "accepted_count",
    "message_id",
    "message_ids",
    "error",
)

_locked = select(
    batches.c.batch_no,
    batches.c.send_id,
    batches.c.vendor,
    batches.c.recipients,
    batches.c.state,
    batches.c.reference,
    batches.c.claim_owner,
).with_for_update()
# In order, so that two workers who want the same batches wait for each other instead of both.
_locked = _locked.where(
    batches.c.send_key == bindparam("of_send"), batches.c.batch_no.in_(bindparam("wanted", expanding=True))
).order_by(batches.c.batch_no)

_this = and_(batches.c.send_key == bindparam("of_send"), batches.c.batch_no == bindparam("of_batch"))
_settled = (
    batches.update()
    .where(_this)
    .values(
        state=bindparam("new_state"),
        settled_at=ServerTime(),
        settled_by="answer",
        claim_expires_at=None,
        vendor_batch_id=bindparam("id"),
        vendor_code=bindparam("code"),
        vendor_text=bindparam("remark"),
        accepted_count=bindparam("taken"),
        message_id=bindparam("one_id"),
        message_ids=bindparam("each_id"),
        error=bindparam("why"),
    )
)


@lru_cache(maxsize=8)
def _claimed_for(seconds: float) -> Update:
    """Make the statement that claims a batch; kept, since making it takes longer than running it."""
    return (
        batches.update()
        .where(_this)
        .values(
            state=BatchState.SUBMITTING,
            attempts=batches.c.attempts + 1,
            reference=bindparam("new_reference"),
            submitted_at=ServerTime(),
            claim_owner=bindparam("new_owner"),
            claim_expires_at=ServerTime(seconds),
            **dict.fromkeys(_OF_LAST_OUTCOME),
        )
    )


def fitting(owner: str) -> str:
    """Cut an owner's name to what the column holds; the end tells owners apart."""
    return owner[-_OWNER_LENGTH:]


def turn_over(
    connection: Connection,
    send_key: str,
    owner: str,
    *,
    outcomes: Sequence[Outcome],
    references: Mapping[int, str],
    seconds: float,
    resend: bool,
) -> tuple[list[int], list[int]]:
    """
    Settle batches and take others, as :meth:`Ledger.turn_over` describes.

    :return: the numbers of those settled and of those taken, in order.
    """
    by_number = {outcome.batch_no: outcome for outcome in outcomes}
    for outcome in outcomes:
        if outcome.state not in _OUTCOMES:
            msg = f"a submit cannot end as {outcome.state!r}"
            raise ValueError(msg)
    claimable = (*_CLAIMABLE, BatchState.UNKNOWN) if resend else _CLAIMABLE
    rows = _lock(connection, send_key, [*by_number, *references])
    ended = [
        row
        for row in rows
        if row.batch_no in by_number and _may_settle(row, by_number[row.batch_no], fitting(owner))
    ]
    taken = [row for row in rows if row.batch_no in references and row.state in claimable]
    if ended:
        connection.execute(_settled, [_settling(send_key, row, by_number[row.batch_no]) for row in ended])
    if taken:
        connection.execute(
            _claimed_for(seconds),
            [
                {
                    "of_send": send_key,
                    "of_batch": row.batch_no,
                    "new_reference": references[row.batch_no],
                    "new_owner": fitting(owner),
                }
                for row in taken
            ],
        )
    ids = [(row, by_number[row.batch_no].vendor_batch_id, "batch") for row in ended]
    ids += [(row, one, "message") for row in ended for one in by_number[row.batch_no].message_ids]
    # Every attempt's reference is kept: a report on the first proves it even after a second.
    ids += [(row, references[row.batch_no], "reference") for row in taken]
    add_ids(connection, ids)
    return [row.batch_no for row in ended], [row.batch_no for row in taken]


def expire(connection: Connection, send_key: str) -> list[int]:
    """Call unknown what was cut off, as :meth:`Ledger.expire` describes."""
    expired = and_(
        batches.c.send_key == send_key,
        batches.c.state == BatchState.SUBMITTING,
        batches.c.claim_expires_at <= ServerTime(),
    )
    found = select(batches.c.batch_no).where(expired).order_by(batches.c.batch_no).with_for_update()
    numbers = list(connection.scalars(found))
    if numbers:
        cut_off = batches.update().where(batches.c.send_key == send_key, batches.c.batch_no.in_(numbers))
        connection.execute(
            cut_off.values(
                state=BatchState.UNKNOWN,
                settled_at=ServerTime(),
                settled_by="expiry",
                error="the submit was cut off before its outcome was written down",
            )
        )
    return numbers


def add_ids(connection: Connection, ids: Iterable[tuple[Row[Any], str, str]]) -> None:
    """
    Note ids that reports on a batch may bear; those noted already stay as they are.

    :param ids: the batch, the id, and its kind: ``reference`` (ours), ``batch`` or ``message`` (the
        vendor's), ``evidence`` (of a report that proved the batch accepted).
    """
    # The first kind of an id stays, so the order of the callers' lists matters.
    wanted: dict[tuple[int, int, str], tuple[str, str]] = {}
    for row, identifier, kind in ids:
        if identifier:
            wanted.setdefault((row.send_id, row.batch_no, identifier[:ID_LENGTH]), (row.vendor, kind))
    columns = {
        "send_id": [send_id for send_id, _, _ in wanted],
        "batch_no": [batch_no for _, batch_no, _ in wanted],
        "vendor_message_id": [identifier for _, _, identifier in wanted],
        "vendor": [vendor for vendor, _ in wanted.values()],
        "kind": [kind for _, kind in wanted.values()],
    }
    bulk.upsert(connection, batch_ids, columns, len(wanted), keep=("vendor", "kind"))


def names_of_messages(ids: Sequence[str], recipients: int) -> dict[str, str | None]:
    """
    Say which id is which message's, as far as it is known.

    One id is the whole batch's; as many ids as numbers are theirs in order. Anything else would be a
    guess: then the ids stay with the batch alone, and reports are joined by id and number anyway.

    :return: values of the columns ``message_id`` and ``message_ids``.
    """
    named = [one[:ID_LENGTH] for one in ids]
    if len(set(named)) == 1:
        return {"message_id": named[0], "message_ids": None}
    if named and len(named) == recipients:
        return {"message_id": None, "message_ids": json.dumps(named)}
    return {"message_id": None, "message_ids": None}


def _lock(connection: Connection, send_key: str, numbers: Iterable[int]) -> Sequence[Any]:
    return connection.execute(_locked, {"of_send": send_key, "wanted": list(numbers)}).all()


def _may_settle(row: Row[Any], outcome: Outcome, owner: str) -> bool:
    if row.claim_owner != owner or outcome.reference not in {"", row.reference}:
        return False
    late = row.state == BatchState.UNKNOWN and outcome.state is not BatchState.UNKNOWN
    return late or row.state == BatchState.SUBMITTING


def _settling(send_key: str, row: Row[Any], outcome: Outcome) -> dict[str, Any]:
    names = names_of_messages(outcome.message_ids, row.recipients)
    return {
        "of_send": send_key,
        "of_batch": row.batch_no,
        "new_state": outcome.state,
        "id": outcome.vendor_batch_id[:ID_LENGTH] or None,
        "code": outcome.vendor_code[:CODE_LENGTH] or None,
        "remark": outcome.vendor_text or None,
        "taken": outcome.accepted_count,
        "one_id": names["message_id"],
        "each_id": names["message_ids"],
        "why": outcome.error or None,
    }
