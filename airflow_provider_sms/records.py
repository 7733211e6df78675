"""
What the vendors' documents talk about, as plain values.

All times are timezone-aware UTC. All vendor ids are text: leading zeros, letters and more than
fifteen digits happen. Rows are named tuples so that they go from a parser to the database's driver
without another copy.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal


class Queue(StrEnum):
    """The two queues a vendor keeps for an account; both delete what they hand over."""

    REPORTS = "reports"
    REPLIES = "replies"


class DeliveryStatus(StrEnum):
    """What a delivery report says, in one vocabulary for all vendors."""

    DELIVERED = "delivered"
    FAILED = "failed"
    PENDING = "pending"
    UNKNOWN = "unknown"


class BatchState(StrEnum):
    """
    The life of a batch in the ledger.

    ``prepared -> submitting -> accepted | rejected | not_sent | unknown``.
    """

    PREPARED = "prepared"
    SUBMITTING = "submitting"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"


#: Where a page is from: a read of the vendor's queue, or the vendor himself.
PULL, PUSH = "pull", "push"


class PageState(StrEnum):
    """
    The life of a page in the journal.

    ``reading -> read -> landed | empty | quarantined``, or ``reading -> suspect`` when a crash or a
    broken connection cut the read off.
    """

    READING = "reading"
    READ = "read"
    LANDED = "landed"
    EMPTY = "empty"
    QUARANTINED = "quarantined"
    SUSPECT = "suspect"


class BalanceSource(StrEnum):
    """What a balance was told for: because somebody asked, or as a part of the answer to a send."""

    CHECK = "check"
    ANSWER = "answer"


class Report(NamedTuple):
    """
    One delivery report.

    ``occurred_at`` is ``None`` where the vendor gives no time (wavecom); the landing then uses the
    time of reading and marks the row so.
    """

    vendor_message_id: str
    mobile: str
    status: DeliveryStatus
    vendor_status: str
    error_code: str
    extno: str
    occurred_at: datetime | None


class Reply(NamedTuple):
    """One reply (MO) of a person; ``content`` is exact, line breaks and all."""

    vendor_message_id: str
    mobile: str
    content: str
    extno: str
    occurred_at: datetime | None


class ReportColumns(NamedTuple):
    """
    Many delivery reports by columns, all of one length; the fields are those of :class:`Report`.

    ``status`` holds plain texts, the values of :class:`DeliveryStatus`.
    """

    vendor_message_id: Sequence[str]
    mobile: Sequence[str]
    status: Sequence[str]
    vendor_status: Sequence[str]
    error_code: Sequence[str]
    extno: Sequence[str]
    occurred_at: Sequence[datetime | None]

    def records(self) -> list[Report]:
        """Give the same reports one by one."""
        return [
            Report(message_id, mobile, DeliveryStatus(status), *rest)
            for message_id, mobile, status, *rest in zip(*self, strict=True)
        ]


class ReportPage(NamedTuple):
    """
    A whole page of reports by columns, as a destructive read handed it over; nothing is wrong with it.

    :param declared: how many records the vendor said the page has, where it says so.
    """

    columns: ReportColumns
    declared: int | None = None

    @property
    def size(self) -> int:
        """How many reports it holds."""
        return len(self.columns.mobile)


RecordT = TypeVar("RecordT", Report, Reply)


@dataclass(frozen=True, slots=True)
class Page(Generic[RecordT]):
    """
    What one destructive read handed over.

    :param records: the records that are complete, in the vendor's order.
    :param complete: whether the page is known to be whole.
    :param declared: how many records the vendor said the page has, where it says so.
    :param problem: what could not be read, without any content of it.
    :param gaps: places, counted from 0, of records that are there but cannot be read; they are not in
        ``records``, whose later entries keep their places in the vendor's page all the same.
    """

    records: list[RecordT]
    complete: bool = True
    declared: int | None = None
    problem: str = ""
    gaps: tuple[int, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether the vendor said that the queue has nothing (more)."""
        return self.complete and not self.records


@dataclass(frozen=True, slots=True)
class Submission:
    """
    One batch as a vendor's codec gets it: checked, within the vendor's limits, free of duplicates.

    :param mobiles: national numbers, digits only.
    :param content: the text; for a template the vendor's own template text.
    :param values: for template submits, one tuple of values per mobile, the number not among them.
    :param send_at: when the vendor shall send it, aware; ``None`` is at once.
    :param extno: extension digits behind the sender's number, or ``""``.
    :param reference: our own id of this submit, at most 32 letters and digits, never reused.
    """

    mobiles: tuple[str, ...]
    content: str = field(repr=False)
    values: tuple[tuple[str, ...], ...] = field(default=(), repr=False)
    send_at: datetime | None = None
    extno: str = ""
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """
    The vendor's yes to a submit.

    :param code: the vendor's code as it stood on the wire.
    :param text: the vendor's remark, if any.
    :param vendor_batch_id: the vendor's id of the whole submit, or ``""``.
    :param message_ids: ids that later reports may bear (joined on id **and** number).
    :param accepted: how many numbers the vendor took, where it says so.
    :param remaining: messages left on the account, where it says so.
    """

    code: str
    text: str = ""
    vendor_batch_id: str = ""
    message_ids: tuple[str, ...] = ()
    accepted: int | None = None
    remaining: int | None = None


@dataclass(frozen=True, slots=True)
class Balance:
    """
    What is left on an account.

    :param remaining: the amount; zero is a balance.
    :param unit: ``"messages"``, or ``"money"`` (CNY).
    :param total: everything ever bought, where the vendor says so.
    :param pay_mode: ``"prepaid"``, ``"postpaid"`` or ``""``.
    """

    remaining: Decimal
    unit: str = "messages"
    total: Decimal | None = None
    pay_mode: str = ""


def amount(number: Decimal, unit: str) -> str:
    """
    Write what is left on an account, or was used of it, for logs: ``300 messages``, ``12.5 CNY``.

    :param unit: as of a :class:`Balance`.
    """
    return f"{number:f} {'CNY' if unit == 'money' else unit}"


@dataclass(frozen=True, slots=True)
class Pushed:
    """One event that a vendor pushed to us, and the vendor's name of the account it belongs to."""

    account: str
    record: Report | Reply
