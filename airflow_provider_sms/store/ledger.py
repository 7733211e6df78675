"""
The ledger of sends: each vendor call has a row here before its socket opens.

``prepared -> submitting -> accepted | rejected | not_sent | unknown``. Every change is a
compare-and-set and is committed before its method returns, so of several workers one wins, and
whatever a crash leaves behind says how far it came: a batch that stays ``submitting`` past its claim
was perhaps sent, all others surely were or surely were not.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, select

from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.records import BatchState, Submission
from airflow_provider_sms.store import claims, evidence, planning, replacing
from airflow_provider_sms.store.clock import ServerTime
from airflow_provider_sms.store.plans import BatchRow, Outcome, OutcomeCounts, SendRow, SendSummary, summarise
from airflow_provider_sms.store.schema import SEND_KEY_LENGTH, batches, recipients, sends
from airflow_provider_sms.store.views import OF_BATCH

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from airflow_provider_sms.store.engine import Store
    from airflow_provider_sms.store.plans import PlannedBatch, PlannedSend, Replaced


class Ledger:
    """
    The ledger in one store.

    :param store: where it is kept. Every method raises ``StoreUnavailable`` when it is away.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    # --- planning and looking --------------------------------------------------------------------

    def plan(self, send: PlannedSend, planned: Sequence[PlannedBatch]) -> datetime | None:
        """
        Write down a whole send, all or nothing.

        :return: when it was planned, by which this plan is told from others; ``None`` when the send key is
            there already, for whatever it was used: nothing was written, the earlier plan holds.
        :raises PreflightError: the key is too long.
        """
        if len(send.send_key) > SEND_KEY_LENGTH:
            problem = f"the send key has {len(send.send_key)} characters, at most {SEND_KEY_LENGTH} fit"
            raise PreflightError([problem], "send key")
        if self.send(send.send_key) is not None:
            return None
        try:
            return self._store.transact(
                lambda connection: planning.write(connection, send, planned, self._store.number_hash_key)
            )
        except planning.KeyTaken:
            # Another worker planned it in this very moment.
            return None

    def replace(self, send: PlannedSend, planned: Sequence[PlannedBatch]) -> tuple[Replaced, datetime | None]:
        """
        Put another plan in the place of a send's first one, if nothing of the first can have been accepted.

        :param send: a send whose key is known, from the same task through the same connection.
        :return: what became of the first plan; it stands as well when the key is not known. And when the
            plan was made that is there now and is the one that was offered.
        """
        return self._store.transact(
            lambda connection: replacing.replace(connection, send, planned, self._store.number_hash_key)
        )

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

    def states(self, send_key: str) -> set[BatchState]:
        """Give the states that batches of a send are in; none when the key is not known."""
        statement = select(batches.c.state).where(batches.c.send_key == send_key).distinct()
        with self._store.reading() as connection:
            return set(map(BatchState, connection.scalars(statement)))

    def scheduled(self, send_key: str) -> datetime | None:
        """Tell for when a send was planned (all its batches alike), ``None`` for at once."""
        statement = select(batches.c.send_at).where(batches.c.send_key == send_key)
        with self._store.reading() as connection:
            moment: datetime | None = connection.scalar(statement.order_by(batches.c.batch_no).limit(1))
        return moment

    def people(self, send_key: str) -> set[str]:
        """
        Give the numbers of a send.

        :raises PreflightError: they were purged.
        """
        numbers = select(recipients.c.mobile).join(sends, sends.c.send_id == recipients.c.send_id)
        with self._store.reading() as connection:
            _refuse_purged(connection, send_key)
            return set(connection.scalars(numbers.where(sends.c.send_key == send_key)))

    def texts(self, send_key: str) -> dict[str, str]:
        """
        Give what each recipient of a template send reads, by number.

        :raises PreflightError: it was purged.
        """
        read = func.coalesce(recipients.c.content, batches.c.content)
        texts = select(recipients.c.mobile, read).join(batches, OF_BATCH)
        with self._store.reading() as connection:
            _refuse_purged(connection, send_key)
            rows = connection.execute(texts.where(batches.c.send_key == send_key))
            return {row[0]: row[1] for row in rows}

    def submission(self, send_key: str, batch_no: int) -> Submission:
        """
        Give one batch as the vendor's codec takes it, with the reference of its plan or last claim.

        :raises KeyError: there is no such batch.
        :raises PreflightError: its text and numbers were purged.
        """
        this = (batches.c.send_key == send_key, batches.c.batch_no == batch_no)
        with self._store.reading() as connection:
            batch = connection.execute(select(batches).where(*this)).one_or_none()
            if batch is None:
                raise KeyError((send_key, batch_no))
            if batch.purged_at is not None:
                raise _purged(send_key, batch.purged_at)
            people = (recipients.c.send_id == batch.send_id, recipients.c.batch_no == batch_no)
            columns = [recipients.c.mobile, *([recipients.c.template_values] if batch.templated else [])]
            rows = connection.execute(select(*columns).where(*people).order_by(recipients.c.seq)).all()
        return Submission(
            mobiles=tuple(row[0] for row in rows),
            content=batch.content,
            values=tuple(tuple(json.loads(row[1])) for row in rows) if batch.templated else (),
            send_at=batch.send_at,
            extno=batch.extno,
            reference=batch.reference,
        )

    def summary(self, send_key: str) -> SendSummary:
        """Count how a send stands; all zeros when the key is not known."""
        wanted = (batches.c[name] for name in OutcomeCounts._fields)
        with self._store.reading() as connection:
            rows = connection.execute(select(*wanted).where(batches.c.send_key == send_key)).all()
        return summarise(send_key, (OutcomeCounts(*row) for row in rows))

    # --- submitting ------------------------------------------------------------------------------

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
        Take one batch for submitting, as :meth:`claim_many` does.

        :param reference: our id of this submit, never used before.
        :return: whether it is ours now; ``False`` when it needs no submit or somebody else has it.
        """
        return bool(self.claim_many(send_key, {batch_no: reference}, owner, seconds, resend=resend))

    def claim_many(
        self,
        send_key: str,
        references: Mapping[int, str],
        owner: str,
        seconds: float,
        *,
        resend: bool = False,
    ) -> list[int]:
        """
        Take batches for submitting, in one transaction that is committed before this returns.

        Prepared, rejected and surely unsent batches can be taken.

        :param references: our id of the submit, never used before, for each wanted ``batch_no``.
        :param owner: who submits; must be different for each attempt that may run at the same time.
        :param seconds: how long the submit may take before it counts as ended by a crash.
        :param resend: also take batches whose outcome is unknown.
        :return: the numbers of those that are ours now, in order.
        """
        return self.turn_over(send_key, owner, references=references, seconds=seconds, resend=resend)[1]

    def settle(
        self,
        send_key: str,
        batch_no: int,
        state: BatchState,
        *,
        owner: str,
        reference: str = "",
        vendor_batch_id: str = "",
        vendor_code: str = "",
        vendor_text: str = "",
        accepted_count: int | None = None,
        message_ids: Sequence[str] = (),
        error: str = "",
    ) -> bool:
        """
        Write down how one submit ended, as :meth:`settle_many` does; parameters as of ``Outcome``.

        :return: whether it was written; ``False`` when the batch is no longer this owner's to settle.
        """
        outcome = Outcome(
            batch_no=batch_no,
            state=state,
            reference=reference,
            vendor_batch_id=vendor_batch_id,
            vendor_code=vendor_code,
            vendor_text=vendor_text,
            accepted_count=accepted_count,
            message_ids=tuple(message_ids),
            error=error,
        )
        return bool(self.settle_many(send_key, [outcome], owner))

    def settle_many(self, send_key: str, outcomes: Sequence[Outcome], owner: str) -> list[int]:
        """
        Write down how submits ended, in one transaction.

        Only who claimed a batch may settle it. When the claim expired meanwhile and the batch was
        called unknown, a certain outcome that comes late still counts: it is evidence.

        :param outcomes: at most one per batch.
        :param owner: as in the claim.
        :return: the numbers of the batches that were written, in order.
        """
        return self.turn_over(send_key, owner, outcomes=outcomes)[0]

    def turn_over(
        self,
        send_key: str,
        owner: str,
        *,
        outcomes: Sequence[Outcome] = (),
        references: Mapping[int, str] | None = None,
        seen: Mapping[int, str] | None = None,
        seconds: float = 0.0,
        resend: bool = False,
    ) -> tuple[list[int], list[int]]:
        """
        Settle batches and take those that follow, in one transaction that is committed before this returns.

        Parameters as in :meth:`settle_many` and :meth:`claim_many`; no batch may be in both.

        :param seen: the references that wanted batches bore when their content was read: those that bear
            another one by now, of a claim or a plan since, are not taken.
        :return: the numbers of the batches that were settled, and of those that are ours now.
        """
        return self._store.transact(
            lambda connection: claims.turn_over(
                connection,
                send_key,
                owner,
                outcomes=outcomes,
                references=references or {},
                seen=seen or {},
                seconds=seconds,
                resend=resend,
            )
        )

    def expire(self, send_key: str) -> list[int]:
        """
        Call unknown what a crash left in the middle of submitting; the numbers of these batches.

        A claim that still holds is left alone: its owner may be alive.
        """
        return self._store.transact(lambda connection: claims.expire(connection, send_key))

    def pending_claims(self, send_key: str, owner: str = "") -> datetime | None:
        """
        Tell until when claims of others hold, by the store's clock; ``None`` when there are none.

        :param owner: whose claims don't count.
        """
        live = and_(
            batches.c.send_key == send_key,
            batches.c.state == BatchState.SUBMITTING,
            batches.c.claim_owner != claims.fitting(owner),
            batches.c.claim_expires_at > ServerTime(),
        )
        with self._store.reading() as connection:
            latest: datetime | None = connection.scalar(
                select(func.max(batches.c.claim_expires_at)).where(live)
            )
        return latest

    def settle_by_reports(
        self,
        send_key: str | None = None,
        *,
        conn_id: str | None = None,
        page_id: str | None = None,
        by_number: bool = True,
        landed: Collection[str] | None = (),
    ) -> list[tuple[str, int]]:
        """
        Call accepted what was unknown and is proved by reports that have landed.

        A report that bears an id of the batch proves it, and does so even where the batch is called
        rejected or not sent. With ``by_number``, so does a report on one
        of its numbers, from the same connection, not before the submit and at most 72 hours after it,
        whose id belongs to no other batch, when no other batch could have caused it. Where each message has
        an id of its own, those of the others are learnt from the pages that are named by ``landed``.

        :param send_key: only this send.
        :param conn_id: only sends through this connection.
        :param page_id: numbers are looked for in the reports of this page only, which is fast right
            after it landed; otherwise in all that landed since the submit.
        :param by_number: whether numbers prove anything; not for vendors whose reports bear our
            reference, since there a report without it is about somebody else's message.
        :param landed: ids of pages that have landed just now; ``None`` for all since the submit.
        :return: send key and number of each batch that changed.
        """
        conditions: list[Any] = []
        if send_key is not None:
            conditions.append(batches.c.send_key == send_key)
        if conn_id is not None:
            conditions.append(batches.c.conn_id == conn_id)
        with self._store.reading() as connection:
            # Called after every page of reports, while there is nearly never anything to settle.
            belied = evidence.belied(connection, conditions, recent=send_key is None)
            learns = by_number and (landed is None or len(landed) > 0)
            learnt = evidence.more_ids(connection, conditions, landed) if learns else []
            if not belied and not learnt and not evidence.anything_unknown(connection, conditions):
                return []
        return self._store.transact(
            lambda connection: evidence.settle(
                connection, conditions, page_id, by_number=by_number, also=belied, learnt=learnt
            )
        )


def _refuse_purged(connection: Connection, send_key: str) -> None:
    purged = select(func.max(batches.c.purged_at)).where(batches.c.send_key == send_key)
    if (purged_at := connection.scalar(purged)) is not None:
        raise _purged(send_key, purged_at)


def _purged(send_key: str, when: datetime) -> PreflightError:
    problem = (
        f"texts and numbers of this send were purged at {when.isoformat()}, so what "
        "was not accepted by then cannot be sent any more: give a new send_key to send anew"
    )
    return PreflightError([problem], f"send key {send_key!r}")
