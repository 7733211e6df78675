"""
The third part of R3: a state machine that collects, crashes, restarts, replays and pushes in any order.

Hypothesis chooses the steps, and shortens what goes wrong to the fewest that do.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lines
from children import FAILED, Child
from figures import Figure, at_least, none, record
from lanes import BUSY, EMPTY, PAGES, Balance, Lane, warm_up
from sandboxes import Sandboxes

if TYPE_CHECKING:
    from collections.abc import Callable

    from figures import Progress
    from sandboxes import RemoteSandbox

_EXAMPLES = 500
_STEPS = 50
_LINES = 2_500
_FAULTS = ("cut", "reset_after", "reset_before", "garbage", "html", "empty", "wrong_count", "status", "busy")
_SWEEPS = 12


def figures(size: float, progress: Progress) -> list[Figure]:
    """Run the machine, and give what its runs add up to."""
    from hypothesis import HealthCheck, seed, settings
    from hypothesis.stateful import run_state_machine_as_test

    examples = max(5, round(_EXAMPLES * size))
    with Sandboxes(1) as sandboxes:
        totals = Totals()
        machine = _machine(sandboxes[0], totals, lambda: progress(totals.examples, examples, totals.so_far))
        run = settings(
            max_examples=examples,
            stateful_step_count=_STEPS,
            deadline=None,
            database=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        )
        seeded = seed(progress.seed)(machine)
        try:
            run_state_machine_as_test(seeded, settings=run)
        except Amiss as amiss:
            # What Hypothesis shortened it to is in the notes.
            progress.tell("\n".join([str(amiss), *getattr(amiss, "__notes__", ())]))
    return [
        at_least("machine: runs", totals.examples, examples),
        record("machine: steps", totals.steps),
        record("machine: records handed over or pushed", totals.balance.handed + totals.pushed),
        record("machine: suspect pages", totals.balance.suspect),
        none("machine: records lost in silence", totals.balance.lost_in_silence),
        none("machine: duplicates", totals.balance.duplicates),
        none("machine: pages left open", totals.balance.open),
        none("machine: acknowledged pushes lost", totals.pushes_lost),
    ]


class Amiss(AssertionError):
    """A run after which something is lost, twice there, or left open."""


class Totals:
    """What all runs add up to."""

    def __init__(self) -> None:
        self.balance = Balance()
        self.examples = self.steps = self.pushed = self.pushes_lost = 0

    @property
    def so_far(self) -> str:
        """The figures until now."""
        return f"{self.steps} steps, {self.balance.lost_in_silence} lost, {self.balance.duplicates} twice"


def _machine(sandbox: RemoteSandbox, totals: Totals, told: Callable[[], None]) -> Any:  # noqa: C901
    """Make the machine's class; its runs share a sandbox."""
    from hypothesis import strategies as st
    from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

    folder = Path(tempfile.mkdtemp())
    numbers = count()

    class Collecting(RuleBasedStateMachine):
        @initialize(page=st.sampled_from(PAGES[:3]))
        def begin(self, page: tuple[str, dict[str, Any], int]) -> None:
            sandbox("reset")
            vendor, extra, page_size = page
            self.lane = Lane(vendor, sandbox, extra, page_size, folder / f"{next(numbers)}")
            self.pushes: set[str] = set()
            warm_up([self.lane])

        @rule(pages=st.integers(1, 3), odd=st.integers(0, 19))
        def queue(self, pages: int, odd: int) -> None:
            totals.steps += 1
            sandbox("queue_reports", self.lane.vendor, pages * self.lane.page_size - odd)

        @rule(max_pages=st.integers(1, 3))
        def collect(self, max_pages: int) -> None:
            totals.steps += 1
            self._child(self._owned(max_pages=max_pages))

        @rule(at=st.integers(1, _LINES), strike=st.sampled_from((lines.kill, lines.stop, lines.fail)))
        def crash(self, at: int, strike: Callable[[], None]) -> None:
            totals.steps += 1
            self._child(self._owned(partial(lines.striking_after, at, strike)))

        @rule(kind=st.sampled_from(_FAULTS), after=st.integers(0, 2))
        def fault(self, kind: Any, after: int) -> None:
            from airflow_provider_sms.sandbox import Fault

            totals.steps += 1
            sandbox("faults.add", Fault(kind, vendor=self.lane.vendor, operation="reports", after=after))
            self._child(self._owned())
            sandbox("faults.clear")

        @rule()
        def replay(self) -> None:
            totals.steps += 1
            assert self._child(self.lane.replay()) == EMPTY

        @rule(times=st.integers(1, 2), pulled=st.booleans())
        def push(self, times: int, pulled: bool) -> None:  # noqa: FBT001 - drawn
            totals.steps += 1
            if self.lane.vendor != "smsadmin":
                return
            name = f"p{next(numbers):09d}"
            for _ in range(times):
                self._push(name)
            self.pushes.add(name)
            if pulled:
                fields = {"mobile": _mobile(name), "message_id": name, "status": "delivered"}
                sandbox("queue_reports", "smsadmin", [fields | {"time": "2025-01-31 16:30:00"}])

        def teardown(self) -> None:
            if not hasattr(self, "lane"):
                return
            sandbox("faults.clear")
            for _ in range(_SWEEPS):
                if self._child(self._owned()) == EMPTY and not sandbox(
                    "waiting", self.lane.vendor, "reports"
                ):
                    break
            self._child(self.lane.replay())
            self._count()

        def _count(self) -> None:
            found = self.lane.count(but=self.pushes)
            there = {name for (name,) in self.lane.rows("SELECT vendor_message_id FROM sms_reports")}
            rows = self.lane.rows(
                "SELECT vendor_message_id FROM sms_reports WHERE vendor_message_id LIKE 'p%'"
            )
            found.duplicates += len(rows) - len(set(rows))
            missing = len(self.pushes - there)
            totals.balance += found
            totals.examples += 1
            totals.pushed += len(self.pushes)
            totals.pushes_lost += missing
            told()
            if found.lost_in_silence or found.duplicates or found.open or missing:
                raise Amiss(f"{self.lane.vendor}: {found}, acknowledged pushes lost: {missing}")
            shutil.rmtree(self.lane.folder)

        def _owned(self, around: Callable[[], Any] | None = None, **limits: Any) -> Callable[[], int]:
            # The same owner each time: it may take its lease again at once.
            return self.lane.collector(around, owner="machine", **limits)

        def _child(self, work: Callable[[], int]) -> int:
            code = Child(work, self.lane.log).wait().code
            assert code != BUSY
            return code

        def _push(self, name: str) -> None:
            """Have an event stored, as the receiver does before it answers, and landed by a child."""
            work = partial(_pushed, self.lane, self.lane.connection(), name)
            assert Child(work, self.lane.log).wait().code != FAILED

    return Collecting


def _mobile(name: str) -> str:
    return f"138{int(name[1:]) % 10**8:08d}"


def _pushed(lane: Lane, fields: dict[str, Any], name: str) -> int:
    from airflow_provider_sms.receiving import Receiver
    from airflow_provider_sms.store.spool import Spool

    vendor, account, store = lane.checked(fields)
    log = logging.getLogger("torture")
    receiver = Receiver(vendor, account, lambda: store, Spool(store.spool_dir), log=log)
    told = f"Class=rpt&SmsName={account.login}&Mobile={_mobile(name)}&LinkId={name}"
    push = receiver.read(b"", f"{told}&Report=DELIVRD&ReportTime=2025-01-31%2016:30:00".encode())
    receiver.store(push)
    with suppress(Exception):
        # Stored is what counts; the next collection lands it.
        receiver.land(push)
    return EMPTY
