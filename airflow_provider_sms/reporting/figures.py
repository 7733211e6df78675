"""
What the page tells, as plain values: no texts, no numbers of people.

Everything on the page is here, so equal figures give an equal page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import date, datetime
    from decimal import Decimal

#: Upper ends of the latency classes, in seconds; the last class has no end.
LATENCY_ENDS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 21600, 86400)
#: The percentiles that the page names, in percent.
PERCENTILES = (50, 90, 95, 99)


class Counts(NamedTuple):
    """
    What became of some messages.

    :param intended: planned to be sent.
    :param accepted: taken by the vendor, or proved so by a report.
    :param delivered: of these, with a report of delivery.
    :param failed: of these, with a report of failure.
    :param silent: of these, without a final report although its time is over.
    :param no_reports: of these, by vendors that give no reports: none is owed, and none counts in a rate.
    """

    intended: int = 0
    accepted: int = 0
    delivered: int = 0
    failed: int = 0
    silent: int = 0
    no_reports: int = 0

    @property
    def reported(self) -> int:
        """How many have a final report."""
        return self.delivered + self.failed

    @property
    def waiting(self) -> int:
        """How many were accepted and may still get a report."""
        return self.owed - self.reported - self.silent

    @property
    def owed(self) -> int:
        """How many were accepted by vendors that give reports."""
        return self.accepted - self.no_reports

    @property
    def refused(self) -> int:
        """How many no vendor has accepted."""
        return self.intended - self.accepted

    @property
    def rate(self) -> float | None:
        """Delivered of those that are owed a report, 0 to 1; ``None`` where none is."""
        return self.delivered / self.owed if self.owed else None


class Names(NamedTuple):
    """A thing's name in the two languages of the page."""

    zh: str
    en: str


class Group(NamedTuple):
    """The messages that share a carrier or a province."""

    names: Names
    counts: Counts


class Hour(NamedTuple):
    """
    The messages submitted in one hour.

    :param label: as a clock of the report's zone shows it, ``"00"`` to ``"23"``.
    """

    label: str
    counts: Counts


class Day(NamedTuple):
    """The messages submitted on one local day."""

    day: date
    counts: Counts


class Failure(NamedTuple):
    """Messages that failed with one code in their reports."""

    vendor: str
    code: str
    messages: int


class Refusal(NamedTuple):
    """
    Batches that were not accepted, by what the vendor said.

    :param state: ``rejected``, ``not_sent``, ``unknown``, ``prepared`` or ``submitting``.
    :param code: the vendor's; empty where there was no answer.
    :param recipients: of these batches.
    """

    vendor: str
    state: str
    code: str
    batches: int
    recipients: int


class Latency(NamedTuple):
    """
    How long delivered messages took.

    :param percentiles: seconds, one for each of :data:`PERCENTILES`; empty where nothing was delivered.
    :param classes: how many fell into each class, one more than :data:`LATENCY_ENDS`.
    """

    percentiles: tuple[float, ...] = ()
    classes: tuple[int, ...] = (0,) * (len(LATENCY_ENDS) + 1)


class Account(NamedTuple):
    """
    One account, its messages of the day, and its balance.

    :param median: of the seconds to delivery; ``None`` where nothing was delivered.
    :param segments: charged by our own count for what was accepted on the day.
    :param unit: ``"messages"`` or ``"money"`` (CNY); empty where no balance was ever told.
    :param remaining: the last balance told before the day's end.
    :param checked_at: when that was, aware.
    :param spent: by how much the balance fell up to the last check of the day, rises left out; ``None`` where
        fewer than two checks tell.
    :param topped_up: by how much it rose.
    :param moved_since: since which check, aware: the last one from before the day, which may be long ago,
        else the day's first.
    """

    conn_id: str
    vendor: str
    counts: Counts
    median: float | None
    segments: int
    unit: str = ""
    remaining: Decimal | None = None
    checked_at: datetime | None = None
    spent: Decimal | None = None
    topped_up: Decimal | None = None
    moved_since: datetime | None = None


class UnknownSend(NamedTuple):
    """A batch whose outcome nobody knows."""

    send_key: str
    batch_no: int
    conn_id: str
    recipients: int
    submitted_at: datetime


class OpenPage(NamedTuple):
    """A page of a queue that did not land."""

    page_id: str
    conn_id: str
    queue: str
    state: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Attention:
    """
    What needs a person now, of whatever day.

    :param sends: the oldest of the batches with an unknown outcome.
    :param unknown_batches: how many there are.
    :param unknown_messages: to how many recipients they went.
    :param pages: the latest of the pages that did not land.
    :param quarantined: how many cannot be parsed.
    :param suspect: how many were cut off while they were read.
    :param unlanded: how many were read and have not landed yet.
    :param spooled: how many wait in the spool for the database.
    :param torn: how many files of the spool are not whole.
    :param unreadable: how many files of the spool this process may not read.
    """

    sends: tuple[UnknownSend, ...] = ()
    unknown_batches: int = 0
    unknown_messages: int = 0
    pages: tuple[OpenPage, ...] = ()
    quarantined: int = 0
    suspect: int = 0
    unlanded: int = 0
    spooled: int = 0
    torn: int = 0
    unreadable: int = 0

    @property
    def total(self) -> int:
        """How many things wait."""
        in_store = self.unknown_batches + self.quarantined + self.suspect + self.unlanded
        return in_store + self.spooled + self.torn + self.unreadable


@dataclass(frozen=True, slots=True)
class DayFigures:
    """
    Everything the page tells.

    :param day: the local day the page is about.
    :param timezone: whose day; its name, and the zone of every time on the page.
    :param as_of: the moment the figures were taken, aware.
    :param silent_after_hours: how long a report may take.
    :param conn_ids: the connections it was asked for; empty for all.
    :param total: of the day.
    :param hours: of the day, the first one first; every hour is there.
    :param days: up to the day, which is the last; every day is there.
    :param carriers: the largest first.
    :param provinces: the largest first.
    :param failures: the most frequent first.
    :param refusals: the most recipients first.
    """

    day: date
    timezone: str
    as_of: datetime
    silent_after_hours: float
    conn_ids: tuple[str, ...]
    total: Counts
    latency: Latency
    hours: tuple[Hour, ...]
    days: tuple[Day, ...]
    accounts: tuple[Account, ...]
    carriers: tuple[Group, ...]
    provinces: tuple[Group, ...]
    failures: tuple[Failure, ...]
    refusals: tuple[Refusal, ...]
    attention: Attention
