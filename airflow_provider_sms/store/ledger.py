"""
The ledger of sends: each vendor call has a row here before its socket opens.

``prepared -> submitting -> accepted | rejected | not_sent | unknown``. Every change is a
compare-and-set in a transaction of its own, so of several workers one wins, and whatever a crash
leaves behind says how far it came: a batch that stays ``submitting`` past its claim was perhaps sent,
all others surely were or surely were not.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import and_, func, select

from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.records import BatchState, Submission
from airflow_provider_sms.store import evidence, planning
from airflow_provider_sms.store.clock import ServerTime
from airflow_provider_sms.store.plans import BatchRow, SendRow, SendSummary
from airflow_provider_sms.store.schema import ID_LENGTH, SEND_KEY_LENGTH, batches, messages, sends

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement

    from airflow_provider_sms.store.engine import Store
    from airflow_provider_sms.store.plans import PlannedBatch, PlannedSend

_CLAIMABLE = (BatchState.PREPARED, BatchState.NOT_SENT, BatchState.REJECTED)
_OUTCOMES = (BatchState.ACCEPTED, BatchState.REJECTED, BatchState.NOT_SENT, BatchState.UNKNOWN)
#: Outcomes that are worth more than "unknown", even when they come late.
_CERTAIN = (BatchState.ACCEPTED, BatchState.REJECTED, BatchState.NOT_SENT)
_NAME_LENGTH = 250


class Ledger:
    """
    The ledger in one store.

    :param store: where it is kept. Every method raises ``StoreUnavailable`` when it is away.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def plan(self, send: PlannedSend, planned: Sequence[PlannedBatch]) -> bool:
        """
        Write down a whole send, all or nothing.

        :return: ``False`` when the send key is there already, with the same fingerprint: nothing was
            written, the earlier plan holds.
        :raises PreflightError: the key was used for another text or connection, or is too long.
        """
        if len(send.send_key) > SEND_KEY_LENGTH:
            problem = f"the send key has {len(send.send_key)} characters, at most {SEND_KEY_LENGTH} fit"
            raise PreflightError([problem], "send key")
        if self._known(send):
            return False
        try:
            with self._store.begin() as connection:
                planning.write(connection, send, planned)
        except planning.KeyTaken:
            # Another worker planned it in this very moment.
            return not self._known(send)
        return True

    def send(self, send_key: str) -> SendRow | None:
        """Give a send as it was planned, ``None`` when the key is not known."""
        statement = select(*(sends.c[name] for name in SendRow.__slots__)).where(sends.c.send_key == send_key)
        with self._store.reading() as connection:
            row = connection.execute(statement).mappings().one_or_none()
        return None if row is None else SendRow(**row)

    def batches(self, send_key: str) -> list[BatchRow]:
        """Give the batches of a send in order; none when the key is not known."""
        statement = (
            select(*(batches.c[name] for name in BatchRow.__slots__))
            .where(batches.c.send_key == send_key)
            .order_by(batches.c.batch_no)
        )
        with self._store.reading() as connection:
            rows = connection.execute(statement).mappings()
            return [BatchRow(**{**row, "state": BatchState(row["state"])}) for row in rows]

    def submission(self, send_key: str, batch_no: int) -> Submission:
        """
        Give one batch as the vendor's codec takes it, with the reference of its last claim.

        :raises KeyError: there is no such batch.
        """
        this = (messages.c.send_key == send_key, messages.c.batch_no == batch_no)
        with self._store.reading() as connection:
            batch = connection.execute(select(batches).where(*_one(send_key, batch_no))).one_or_none()
            rows = connection.execute(
                select(messages.c.mobile, messages.c.template_values).where(*this).order_by(messages.c.seq)
            ).all()
        if batch is None:
            raise KeyError((send_key, batch_no))
        return Submission(
            mobiles=tuple(row.mobile for row in rows),
            content=batch.content,
            values=tuple(tuple(json.loads(row.template_values)) for row in rows) if batch.templated else (),
            send_at=batch.send_at,
            extno=batch.extno,
            reference=batch.reference,
        )

    def claim(
        self,
        send_key: str,
        batch_no: int,
        owner: str,
        seconds: float,
        reference: str,
        *,
        resend: bool = False,
    ) -> bool:
        """
        Take a batch for submitting; it is committed before this returns.

        :param owner: who submits; must be different for each attempt that may run at the same time.
        :param seconds: how long the submit may take before it counts as ended by a crash.
        :param reference: our id of this submit, never used before.
        :param resend: also take a batch whose outcome is unknown.
        :return: whether it is ours now; ``False`` when it needs no submit or somebody else has it.
        """
        claimable = (*_CLAIMABLE, BatchState.UNKNOWN) if resend else _CLAIMABLE
        taken = (
            batches.update()
            .where(*_one(send_key, batch_no), batches.c.state.in_(claimable))
            .values(
                state=BatchState.SUBMITTING,
                attempts=batches.c.attempts + 1,
                reference=reference,
                submitted_at=ServerTime(),
                claim_owner=owner[:_NAME_LENGTH],
                claim_expires_at=ServerTime(seconds),
                settled_at=None,
                settled_by=None,
                error=None,
            )
        )
        with self._store.begin() as connection:
            if connection.execute(taken).rowcount == 0:
                return False
            # Every attempt's reference is kept: a report on the first proves it after a second.
            evidence.add_ids(connection, send_key, batch_no, [reference], "reference")
        return True

    def settle(
        self,
        send_key: str,
        batch_no: int,
        state: BatchState,
        *,
        owner: str,
        reference: str | None = None,
        vendor_batch_id: str = "",
        vendor_code: str = "",
        vendor_text: str = "",
        accepted_count: int | None = None,
        message_ids: Sequence[str] = (),
        error: str = "",
    ) -> bool:
        """
        Write down how a submit ended.

        Only who claimed the batch may settle it. When the claim expired meanwhile and the batch was
        called unknown, a certain outcome that comes late still counts: it is evidence.

        :param state: accepted, rejected, not sent or unknown.
        :param reference: when given, the outcome counts for this attempt only.
        :param accepted_count: how many numbers the vendor took, where it says so.
        :param message_ids: ids that reports may bear.
        :param error: why, without numbers or text of the message.
        :return: whether it was written; ``False`` when the batch is no longer this owner's to settle.
        """
        if state not in _OUTCOMES:
            msg = f"a submit cannot end as {state!r}"
            raise ValueError(msg)
        open_states = [BatchState.SUBMITTING, *([BatchState.UNKNOWN] if state in _CERTAIN else [])]
        conditions = [
            *_one(send_key, batch_no),
            batches.c.claim_owner == owner[:_NAME_LENGTH],
            batches.c.state.in_(open_states),
        ]
        if reference is not None:
            conditions.append(batches.c.reference == reference)
        settled = (
            batches.update()
            .where(*conditions)
            .values(
                state=state,
                settled_at=ServerTime(),
                settled_by="answer",
                claim_expires_at=None,
                vendor_batch_id=vendor_batch_id[:ID_LENGTH] or None,
                vendor_code=vendor_code[:64] or None,
                vendor_text=vendor_text or None,
                accepted_count=accepted_count,
                error=error or None,
            )
        )
        with self._store.begin() as connection:
            if connection.execute(settled).rowcount == 0:
                return False
            evidence.add_ids(connection, send_key, batch_no, [vendor_batch_id], "batch")
            evidence.add_ids(connection, send_key, batch_no, message_ids, "message")
            evidence.name_messages(connection, send_key, batch_no, message_ids)
        return True

    def expire(self, send_key: str) -> list[int]:
        """
        Call unknown what a crash left in the middle of submitting; the numbers of these batches.

        A claim that still holds is left alone: its owner may be alive.
        """
        expired = and_(
            batches.c.send_key == send_key,
            batches.c.state == BatchState.SUBMITTING,
            batches.c.claim_expires_at <= ServerTime(),
        )
        changed = (
            batches.update()
            .where(expired)
            .values(
                state=BatchState.UNKNOWN,
                settled_at=ServerTime(),
                settled_by="expiry",
                error="the submit was cut off before its outcome was written down",
            )
        )
        found = select(batches.c.batch_no).where(expired).order_by(batches.c.batch_no).with_for_update()
        with self._store.begin() as connection:
            numbers = list(connection.scalars(found))
            if numbers:
                connection.execute(changed.where(batches.c.batch_no.in_(numbers)))
        return numbers

    def pending_claims(self, send_key: str, owner: str = "") -> datetime | None:
        """
        Tell until when claims of others hold, by the store's clock; ``None`` when there are none.

        :param owner: whose claims don't count.
        """
        statement = select(func.max(batches.c.claim_expires_at)).where(
            batches.c.send_key == send_key,
            batches.c.state == BatchState.SUBMITTING,
            batches.c.claim_owner != owner[:_NAME_LENGTH],
            batches.c.claim_expires_at > ServerTime(),
        )
        with self._store.reading() as connection:
            latest: datetime | None = connection.scalar(statement)
        return latest

    def summary(self, send_key: str) -> SendSummary:
        """Count how a send stands; all zeros when the key is not known."""
        counts: dict[str, int] = dict.fromkeys(("accepted", "rejected", "unknown", "not_sent"), 0)
        recipients = segments = 0
        for batch in self.batches(send_key):
            recipients += batch.recipients
            segments += batch.segments
            for outcome, number in _outcomes(batch):
                counts[outcome] += number
        return SendSummary(send_key, recipients, segments, **counts)

    def settle_by_reports(
        self, send_key: str | None = None, *, conn_id: str | None = None, by_number: bool = True
    ) -> list[tuple[str, int]]:
        """
        Call accepted what was unknown and is proved by reports that have landed.

        A report that bears a batch's reference proves it. With ``by_number``, so does a report on one
        of its numbers, from the same connection, not before the submit and at most 72 hours after it,
        whose id belongs to no other batch, when no other batch could have caused it.

        :param send_key: only this send.
        :param conn_id: only sends through this connection.
        :param by_number: whether numbers prove anything; not for vendors whose reports bear our
            reference, since there a report without it is about somebody else's message.
        :return: send key and number of each batch that changed.
        """
        with self._store.begin() as connection:
            return evidence.settle(connection, send_key, conn_id, by_number=by_number)

    def _known(self, send: PlannedSend) -> bool:
        known = self.send(send.send_key)
        if known is None:
            return False
        if known.fingerprint != send.fingerprint:
            problem = (
                "this send key was used for another text, template or connection; "
                "give a new send_key to send again on purpose"
            )
            raise PreflightError([problem], f"send key {send.send_key!r}")
        return True


def _one(send_key: str, batch_no: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return batches.c.send_key == send_key, batches.c.batch_no == batch_no


def _outcomes(batch: BatchRow) -> Iterator[tuple[str, int]]:
    if batch.state is BatchState.ACCEPTED:
        taken = batch.recipients if batch.accepted_count is None else batch.accepted_count
        taken = max(0, min(taken, batch.recipients))
        yield "accepted", taken
        yield "rejected", batch.recipients - taken
    elif batch.state is BatchState.REJECTED:
        yield "rejected", batch.recipients
    elif batch.state in {BatchState.UNKNOWN, BatchState.SUBMITTING}:
        yield "unknown", batch.recipients
    else:
        yield "not_sent", batch.recipients
