"""What goes into the ledger and what comes out, as plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_sms.records import BatchState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from airflow_provider_sms.records import Submission

#: States of what surely was not accepted: it may be submitted.
UNSENT = frozenset({BatchState.PREPARED, BatchState.NOT_SENT, BatchState.REJECTED})


class Replaced(Enum):
    """What became of the plan of a send when another one was offered for it."""

    SAME = "it was the same plan"
    REPLACED = "the new one is in its place"
    STANDS = "it stands: something of it may have been accepted, or was purged"


class OwnPlan(NamedTuple):
    """
    What a run knows of the plan in the ledger.

    :param submissions: the batches that it put there, by their numbers: nobody has to read them again.
    :param made_at: when the plan was made that this run put there, or found to be its own; ``None`` where
        it goes on with whatever stands there.
    :param left_out: who is wanted and not in the plan, in words; empty if nobody.
    """

    submissions: Mapping[int, Submission] = MappingProxyType({})
    made_at: datetime | None = None
    left_out: str = ""


@dataclass(frozen=True, slots=True)
class PlannedSend:
    """
    One send as a whole.

    :param send_key: what makes it the same send on a retry; at most 250 characters.
    :param conn_id: the connection it goes through.
    :param vendor: name of the vendor.
    :param fingerprint: SHA-256 (hexadecimal) of what must not change under one send key: the vendor, the
        text or template with its signature, the time, and the extension digits.
    :param dag_id: the Airflow task it belongs to, where there is one; likewise the next three.
    :param template_id: names the template that its texts are made of, where there is one.
    """

    send_key: str
    conn_id: str
    vendor: str
    fingerprint: str
    dag_id: str | None = None
    task_id: str | None = None
    run_id: str | None = None
    map_index: int | None = None
    template_id: str | None = None


@dataclass(frozen=True, slots=True)
class PlannedBatch:
    """
    One vendor call as it is planned.

    :param batch_no: its place in the send, unique there.
    :param reference: our id of the call; a claim replaces it.
    :param mobiles: national numbers; none may be twice in a send.
    :param content: the text; for a template submit the vendor's own template text.
    :param contents: the text that each mobile gets, where it is not ``content``.
    :param values: for template submits, one tuple of values per mobile.
    :param segments: what each message is charged as, or one figure for all.
    :param send_at: when the vendor shall send it, aware; ``None`` is at once.
    :param extno: extension digits, or ``""``.
    """

    batch_no: int
    reference: str
    mobiles: Sequence[str] = field(repr=False)
    content: str = field(repr=False)
    contents: Sequence[str] = field(default=(), repr=False)
    values: Sequence[tuple[str, ...]] = field(default=(), repr=False)
    segments: Sequence[int] | int = 1
    send_at: datetime | None = None
    extno: str = ""

    @property
    def total_segments(self) -> int:
        """Messages that the whole batch is charged as."""
        if isinstance(self.segments, int):
            return self.segments * len(self.mobiles)
        return sum(self.segments)


@dataclass(frozen=True, slots=True)
class SendRow:
    """
    One send as it was first planned.

    :param fingerprint: as given in its plan.
    :param recipients: numbers in all its batches.
    :param batches: how many batches.
    :param created_at: when it was planned, aware UTC.
    """

    send_key: str
    conn_id: str
    vendor: str
    fingerprint: str
    recipients: int
    batches: int
    dag_id: str | None
    task_id: str | None
    run_id: str | None
    map_index: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class BatchRow:
    """
    One batch as it stands in the ledger; times are aware UTC.

    :param attempts: how often it was claimed.
    :param error: why it is in this state, where that needs words.
    :param claim_expires_at: until when its claim holds, while it is being submitted.
    """

    send_key: str
    batch_no: int
    conn_id: str
    vendor: str
    state: BatchState
    reference: str
    recipients: int
    segments: int
    accepted_count: int | None
    vendor_batch_id: str | None
    vendor_code: str | None
    vendor_text: str | None
    attempts: int
    prepared_at: datetime
    submitted_at: datetime | None
    settled_at: datetime | None
    send_at: datetime | None
    claim_owner: str | None
    claim_expires_at: datetime | None
    settled_by: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    How one submit ended.

    :param state: accepted, rejected, not sent or unknown.
    :param reference: when given, the outcome counts only if this is the batch's last attempt.
    :param vendor_batch_id: the vendor's id of the whole submit.
    :param vendor_code: the vendor's code as it stood on the wire.
    :param vendor_text: the vendor's remark.
    :param accepted_count: how many numbers the vendor took, where it says so.
    :param message_ids: ids that reports may bear.
    :param error: why, without numbers or text of the message.
    """

    batch_no: int
    state: BatchState
    reference: str = ""
    vendor_batch_id: str = ""
    vendor_code: str = ""
    vendor_text: str = ""
    accepted_count: int | None = None
    message_ids: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class SendSummary:
    """
    How a send stands, counted in recipients (``segments``: in charged messages).

    The four outcomes add up to ``recipients``. A batch that is being submitted counts as unknown, one
    that is still prepared as not sent. Where the vendor took fewer numbers than it got, the rest
    counts as rejected.
    """

    send_key: str
    recipients: int
    segments: int
    accepted: int
    rejected: int
    unknown: int
    not_sent: int

    def as_dict(self) -> dict[str, str | int]:
        """Give it as a plain dictionary, the form of an XCom value."""
        return asdict(self)

    def in_words(self) -> str:
        """Give it as the beginning of a sentence, the form of a log line and of an error."""
        return (
            f"send {self.send_key}: of {self.recipients:,} recipients {self.accepted:,} accepted, "
            f"{self.rejected:,} rejected, {self.unknown:,} unknown, {self.not_sent:,} not sent"
        )


class OutcomeCounts(NamedTuple):
    """What one batch adds to the counts of its send; ``accepted_count`` is what the vendor says it took."""

    state: str
    recipients: int
    segments: int
    accepted_count: int | None


def summarise(send_key: str, batches: Iterable[OutcomeCounts]) -> SendSummary:
    """Count the recipients of batches by outcome."""
    counts = {"accepted": 0, "rejected": 0, "unknown": 0, "not_sent": 0}
    recipients = segments = 0
    for batch in batches:
        recipients += batch.recipients
        segments += batch.segments
        for outcome, number in _outcomes(batch).items():
            counts[outcome] += number
    return SendSummary(send_key, recipients, segments, **counts)


def _outcomes(batch: OutcomeCounts) -> dict[str, int]:
    if batch.state == BatchState.ACCEPTED:
        taken = batch.recipients if batch.accepted_count is None else batch.accepted_count
        taken = max(0, min(taken, batch.recipients))
        return {"accepted": taken, "rejected": batch.recipients - taken}
    if batch.state == BatchState.REJECTED:
        return {"rejected": batch.recipients}
    if batch.state in {BatchState.UNKNOWN, BatchState.SUBMITTING}:
        return {"unknown": batch.recipients}
    return {"not_sent": batch.recipients}
