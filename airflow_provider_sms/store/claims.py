"""
Taking batches and settling them: the compare-and-sets of the ledger, each within a caller's transaction.

Every function first locks the rows it is about to change and looks at them, then changes those that
may be. It does so for many batches at once, and settles some together with taking others, because a
commit costs the same for one as for a hundred.
"""

from __future__ import annotations

import json
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, and_, bindparam, select

from airflow_provider_sms.records import BatchState
from airflow_provider_sms.store import bulk
from airflow_provider_sms.store.clock import ServerTime
from airflow_provider_sms.store.plans import UNSENT
from airflow_provider_sms.store.prepared import Prepared
from airflow_provider_sms.store.schema import CODE_LENGTH, ID_LENGTH, batch_ids, batches

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy.engine import Connection, Row

    from airflow_provider_sms.store.plans import Outcome

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

_looked_at = (
    batches.c.batch_no,
    batches.c.send_id,
    batches.c.vendor,
    batches.c.recipients,
    batches.c.state,
    batches.c.reference,
    batches.c.claim_owner,
    batches.c.attempts,
)
_this = and_(batches.c.send_key == bindparam("of_send"), batches.c.batch_no == bindparam("of_batch"))
_settled = Prepared(
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

_known_ids = select(batch_ids.c.batch_no, batch_ids.c.vendor_message_id).where(
    batch_ids.c.send_id == bindparam("of_id"), batch_ids.c.batch_no.in_(bindparam("wanted", expanding=True))
)


@lru_cache(maxsize=64)
def _locked(count: int) -> Prepared:
    """Make the statement that locks so many batches and looks at them."""
    wanted = [bindparam(f"batch_{place}", type_=Integer()) for place in range(count)]
    these = and_(batches.c.send_key == bindparam("of_send"), batches.c.batch_no.in_(wanted))
    # In order, so that two workers who want the same batches wait for each other instead of both.
    return Prepared(select(*_looked_at).where(these).order_by(batches.c.batch_no).with_for_update())


@lru_cache(maxsize=8)
def _claimed_for(seconds: float) -> Prepared:
    """Make the statement that claims a batch."""
    return Prepared(
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
    seen: Mapping[int, str],
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
    claimable = UNSENT | {BatchState.UNKNOWN} if resend else UNSENT
    rows = _lock(connection, send_key, [*by_number, *references])
    ended = [
        row
        for row in rows
        if row.batch_no in by_number and _may_settle(row, by_number[row.batch_no], fitting(owner))
    ]
    taken = [
        row
        for row in rows
        if row.batch_no in references
        and row.state in claimable
        and seen.get(row.batch_no, row.reference) == row.reference
    ]
    if ended:
        _settled.run_many(connection, [_settling(send_key, row, by_number[row.batch_no]) for row in ended])
    if taken:
        _claimed_for(seconds).run_many(
            connection,
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
    ids = [(row, _ids_of(by_number[row.batch_no])) for row in ended]
    # Every attempt's reference is kept: a report on the first proves it even after a second.
    ids += [(row, {references[row.batch_no]: "reference"}) for row in taken]
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


def add_ids(connection: Connection, ids: Sequence[tuple[Row[Any], Mapping[str, str]]]) -> None:
    """
    Note ids that reports on a batch may bear; those noted already stay as they are.

    :param ids: batches of one send, whose rows are locked, each with its new ids and their kinds:
        ``reference`` (ours), ``batch`` or ``message`` (the vendor's), ``evidence`` (of a report that proved
        the batch accepted).
    """
    wanted = {row.batch_no: _fitting_ids(kinds) for row, kinds in ids}
    count = sum(map(len, wanted.values()))
    if not count:
        return
    send_id = ids[0][0].send_id
    # Looked up rather than left to the database: who may write them holds the batch's lock, and rows
    # that surely are not there yet can be appended in the fastest way that it has.
    unsure = [row.batch_no for row, _ in ids if not _only_submit(row)]
    known = [(row.batch_no, row.reference) for row, _ in ids if row.state == BatchState.SUBMITTING]
    if unsure:
        known += map(tuple, connection.execute(_known_ids, {"of_id": send_id, "wanted": unsure}))
    for batch_no, one in known:
        count -= wanted[batch_no].pop(one, None) is not None
    columns = {
        "send_id": send_id,
        "batch_no": [batch_no for batch_no, kinds in wanted.items() for _ in kinds],
        "vendor_message_id": list(chain.from_iterable(wanted.values())),
        "vendor": ids[0][0].vendor,
        "kind": list(chain.from_iterable(kinds.values() for kinds in wanted.values())),
    }
    bulk.append(connection, batch_ids, columns, count)


def _only_submit(row: Row[Any]) -> bool:
    """Whether a batch is, or is to be, under way for the first time: it has no ids of earlier times."""
    return bool(row.attempts == (row.state == BatchState.SUBMITTING))


def _ids_of(outcome: Outcome) -> dict[str, str]:
    kinds = dict.fromkeys(outcome.message_ids, "message")
    if outcome.vendor_batch_id:
        kinds[outcome.vendor_batch_id] = "batch"
    return kinds


def _fitting_ids(kinds: Mapping[str, str]) -> dict[str, str]:
    if all(kinds) and max(map(len, kinds), default=0) <= ID_LENGTH:
        return dict(kinds)
    return {identifier[:ID_LENGTH]: kind for identifier, kind in kinds.items() if identifier}


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
    wanted = {f"batch_{place}": number for place, number in enumerate(numbers)}
    if not wanted:
        return []
    return _locked(len(wanted)).run(connection, of_send=send_key, **wanted).all()


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
        "id": _said(outcome.vendor_batch_id)[:ID_LENGTH] or None,
        "code": _said(outcome.vendor_code)[:CODE_LENGTH] or None,
        "remark": _said(outcome.vendor_text) or None,
        "taken": outcome.accepted_count,
        "one_id": names["message_id"],
        "each_id": names["message_ids"],
        "why": _said(outcome.error) or None,
    }


def _said(text: str) -> str:
    # PostgreSQL takes no U+0000, and a vendor's remark may end with one.
    return text.replace("\0", "")
