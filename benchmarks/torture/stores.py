"""
R7: the store goes down, turns read-only, fills its disk, or meets a deadlock, before a read and after it.

Before: what ends with ``StoreUnavailable`` before it has its lease has not called the vendor. After: the
page that was under way is in the spool, and the next run lands everything, in the vendor's order.
"""

from __future__ import annotations

import itertools
import logging
import random
import re
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from figures import CannotRun, Figure, Progress, Proof, all_of, at_least, none, record
from lanes import PAGES, Lane, opened
from outages import Deadlock, DiskFull, Down, Outage, ReadOnly, small_disk
from relays import Relay
from sandboxes import Sandboxes

sys.path.append(str(Path(__file__).parents[1]))
from places import available, empty_database

if TYPE_CHECKING:
    from sandboxes import RemoteSandbox

_RUNS = 500
_PAGES_EACH = 3
_RUNS_OF_A_STORE = 25
_REASON = re.compile(r"cannot be used \(([^()]*)\)")


def prove(size: float, progress: Progress) -> list[Figure]:
    """Take each store away so often, before and after, and count."""
    logging.disable(logging.CRITICAL)
    if not available("postgresql"):
        raise CannotRun("no PostgreSQL answers (SMS_BENCH_POSTGRES)")
    chance = random.Random(progress.seed)  # noqa: S311 - a proof that can be repeated
    runs = max(6, round(_RUNS * size))
    figures: list[Figure] = []
    with Sandboxes(1) as sandboxes:
        for name in ("down", "read-only", "disk full", "deadlock"):
            progress.part(name)
            seen = _Seen()
            while seen.before < runs or seen.after < runs:
                met = seen.before + seen.after
                _with_a_store(name, sandboxes[0], chance, seen, runs)
                if seen.before + seen.after == met:
                    raise RuntimeError(f"{name}: nothing of it reaches the collections")
                progress(seen.before + seen.after, 2 * runs, f"{len(seen.bad)} amiss")
            if seen.bad:
                progress.tell("; ".join(seen.bad[:10]))
            figures += seen.figures(name, runs)
    return figures


@dataclass
class _Seen:
    """What happened to one kind of store."""

    before: int = 0
    late: int = 0
    calls: int = 0
    after: int = 0
    spooled: int = 0
    came_through: int = 0
    landed: int = 0
    queued: int = 0
    disordered: int = 0
    suspect: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)

    def figures(self, name: str, runs: int) -> list[Figure]:
        """Give them."""
        return [
            at_least(f"{name} before the read: runs that it ended", self.before, runs),
            none(f"{name} before the read: calls of the vendor", self.calls),
            record(f"{name} before the read: runs that had taken their lease when it came", self.late),
            at_least(f"{name} after the read: runs whose page went to the spool", self.after, runs),
            record(f"{name} after the read: runs that got over it", self.came_through),
            all_of(f"{name} after the read: records landed", self.landed, self.queued),
            none(f"{name} after the read: runs whose rows are not in the vendor's order", self.disordered),
            none(f"{name}: suspect pages", self.suspect),
            *(
                record(f"{name}: ended by {reason}", number)
                for reason, number in sorted(self.reasons.items())
            ),
        ]


def _with_a_store(name: str, sandbox: RemoteSandbox, chance: random.Random, seen: _Seen, runs: int) -> None:
    """Use a new store for some runs."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp())
        outage = _outage(name, folder, stack)
        sandbox("reset")
        vendor, extra, page_size = chance.choice(PAGES[:3])
        lane = Lane(vendor, sandbox, extra, page_size, folder / "lane", outage.url)
        due = itertools.count()
        wanted: list[int] = []

        def on_answer() -> None:
            if next(due) in wanted:
                outage.begin(reading=True)

        fields = lane.connection()
        relay = stack.enter_context(Relay(fields["port"], on_answer))
        fields |= {"port": relay.port}
        _run(lane, fields)
        for _ in range(_RUNS_OF_A_STORE):
            if seen.before < runs:
                if chance.random() < 0.5:  # noqa: PLR2004
                    # As a new task, which has no connection yet.
                    lane.checked(fields)[2].close()
                _before(lane, fields, outage, seen)
            if seen.after < runs:
                due = itertools.count()
                wanted[:] = [chance.randrange(_PAGES_EACH)]
                _after(lane, fields, outage, seen)
                wanted.clear()
        seen.suspect += lane.count().suspect
        lane.checked(fields)[2].close()


def _outage(name: str, folder: Path, stack: ExitStack) -> Outage:
    from sqlalchemy import make_url

    if name == "disk full":
        try:
            return DiskFull(stack.enter_context(small_disk(folder / "disk")))
        except OSError as refusal:
            raise CannotRun(f"{refusal}: the disk cannot be filled") from None
    url = stack.enter_context(empty_database("postgresql"))
    if name == "read-only":
        return ReadOnly(url)
    if name == "deadlock":
        return Deadlock(url)
    address = make_url(url)
    relay = stack.enter_context(Relay(address.port or 5432))
    here = address.set(host="127.0.0.1", port=relay.port)
    return Down(here.render_as_string(hide_password=False), relay)


def _run(lane: Lane, fields: dict[str, Any]) -> str:
    """Collect until the queue is empty; what the store said if it did not let it."""
    from airflow_provider_sms.errors import StoreUnavailable

    try:
        # The same owner each time: it may take its lease again at once.
        with opened(lane, fields, "torture") as collector:
            collector.run()
    except StoreUnavailable as failure:
        found = _REASON.search(str(failure))
        return found[1] if found else "something else"
    return ""


def _before(lane: Lane, fields: dict[str, Any], outage: Outage, seen: _Seen) -> None:
    # The run after an outage is another process in life: it has connections of its own.
    before = lane.sandbox("calls.count", lane.vendor, "reports")
    lease = _lease(lane)
    outage.begin(reading=False)
    try:
        reason = _run(lane, fields)
    finally:
        outage.end()
    lane.checked(fields)[2].close()
    if reason and _lease(lane) != lease:
        # A deadlock strikes whom it can: here not the taking of the lease, but its giving back.
        seen.late += 1
    elif reason:
        seen.before += 1
        seen.reasons[reason] += 1
        seen.calls += lane.sandbox("calls.count", lane.vendor, "reports") - before


def _after(lane: Lane, fields: dict[str, Any], outage: Outage, seen: _Seen) -> None:
    first = len(lane.sandbox("handed_out_reports", lane.vendor))
    queued = lane.page_size * _PAGES_EACH
    lane.sandbox("queue_reports", lane.vendor, queued)
    before = _rows(lane)
    try:
        reason = _run(lane, fields)
    finally:
        outage.end()
    lane.checked(fields)[2].close()
    spooled = len(list((lane.folder / "spool").rglob("*"))) > 0
    seen.came_through += not reason
    if reason and spooled:
        seen.after += 1
        seen.reasons[reason] += 1
    elif reason:
        seen.bad.append(f"{lane.vendor}: nothing in the spool")
    if _run(lane, fields):
        seen.bad.append(f"{lane.vendor}: the run after it failed, too")
    landed = _rows(lane)[len(before) :]
    handed = [each.message_id for each in lane.sandbox("handed_out_reports", lane.vendor)[first:]]
    seen.queued += queued
    seen.landed += len(landed)
    seen.disordered += landed != handed


def _lease(lane: Lane) -> list[tuple[Any, ...]]:
    """Give what the first write of a collection changes, and what its last one does."""
    return lane.rows("SELECT owner, expires_at, last_read_at, next_read_at FROM sms_leases")


def _rows(lane: Lane) -> list[str]:
    """Give what landed, in the order in which it was handed over."""
    rows = lane.rows(
        "SELECT r.vendor_message_id FROM sms_reports r JOIN sms_pages p ON p.page_id = r.page_id"
        " ORDER BY p.started_at, p.page_id, r.seq"
    )
    return [message_id for (message_id,) in rows]


PROOF = Proof("R7", "The store goes away, before the read and after it", prove)
