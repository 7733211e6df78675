"""
Submit the batches of a planned send and write down how each ended.

Lanes only move bytes; the ledger is read and written by the calling thread alone, which claims a batch
before its socket opens and settles it when its answer is there: all answers of one moment, and the batches
that take their places, in one commit. While the answers are quick, a few batches are claimed ahead, as many
as the lanes get through during a commit, so that no lane waits for one. Should the process be killed, these
end as unknown beside those under way; on any other way out they are given back.
"""

from __future__ import annotations

import math
import os
import socket
import time
import uuid
from collections import deque
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_sms.errors import SubmitNotSent
from airflow_provider_sms.judging import Judge, given_back
from airflow_provider_sms.lanes import READY_SECONDS, Claimed, Lanes
from airflow_provider_sms.records import BatchState
from airflow_provider_sms.store.plans import UNSENT
from airflow_provider_sms.unwritten import Unwritten

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Collection

    from airflow_provider_sms.gateway import Gateway
    from airflow_provider_sms.records import Receipt, Submission
    from airflow_provider_sms.store.ledger import Ledger
    from airflow_provider_sms.store.plans import BatchRow, Outcome, OwnPlan

#: A claim outlives the longest submit by this many seconds, for the ledger's own work.
CLAIM_MARGIN = 15.0
#: Pauses before a batch that is surely not sent is submitted for the second and the third, last time.
_BACKOFF = (1.0, 4.0)
#: Once an answer is there, others that come within so many seconds are written down in the same commit: what
#: a commit costs beside the rows is the same for one as for eight. What is claimed in all stays the same.
_GATHER_SECONDS = 0.01
#: How much of a slow commit is still reckoned with at the next one.
_FADING = 0.9
_PROGRESS_SECONDS = 5.0
#: On a signal, submits under way get this long to learn their outcome: SIGTERM turns into SIGKILL after 5 s.
_GRACE_SECONDS = 3.0


def owner_name() -> str:
    """Name this process in leases and claims; unique even when a process id is used again."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


def new_reference() -> str:
    """Make up an id for one submit: 32 letters and digits, never used again (smsadmin §2, linkid)."""
    return uuid.uuid4().hex


class Submitting:
    """
    One pass over the batches of a send that are not settled.

    Afterwards ``judge`` knows what went wrong.

    :param gateway: the account's calls.
    :param ledger: where every step is written down.
    :param send_key: which send.
    :param one_text: whether all batches carry the same text, so that a refused text ends the pass.
    :param resend: whether to submit, once, what is unknown at the start.
    :param log: a logger.
    :param sleep: how to wait between submits.
    :param own: what this very run put into the ledger, or found there to be its own; the rest is read.
    """

    def __init__(
        self,
        gateway: Gateway,
        ledger: Ledger,
        send_key: str,
        *,
        one_text: bool,
        resend: bool,
        log: logging.Logger | Any,
        sleep: Callable[[float], None],
        own: OwnPlan,
    ) -> None:
        self._gateway = gateway
        self._ledger = ledger
        self._send_key = send_key
        self._resend = resend
        self._log = log
        self._sleep = sleep
        self._owner = owner_name()
        options = gateway.account.options
        self._width = int(options["max_in_flight"])
        self._spacing = 1 / options["requests_per_second"] if options["requests_per_second"] else 0.0
        self._claim_seconds = gateway.longest_submit + CLAIM_MARGIN
        self._planned = own.submissions
        self._made = {own.made_at} if own.made_at else set[datetime]()
        self._unwritten = Unwritten(ledger, send_key, self._owner, log)
        self._claiming: list[Claimed] = []
        self._done: set[int] = set()
        self._lost = False
        self._next_start = 0.0
        self._commit_seconds = 0.0
        self._answer_seconds = math.inf
        self._told = time.monotonic()
        self.judge = Judge(one_text=one_text, pauses=_BACKOFF, log=log)

    def submit_all(self) -> None:
        """
        Submit until every batch is settled, by this run or another, or going on is pointless.

        :raises SubmitNotSent: another run of the task has replaced the plan.
        """
        # What becomes unknown from here on stays so: one run risks one more copy of a message at most.
        waiting = self._open_batches(UNSENT | {BatchState.UNKNOWN} if self._resend else UNSENT)
        if not waiting:
            self._log.info("nothing is left to send under this send key")
            return
        self._log.info(
            "::group::sending %d batches by connection %r", len(waiting), self._gateway.account.conn_id
        )
        try:
            while waiting:
                self._lost = False
                self._submit(deque(waiting))
                # What another run took meanwhile may end as surely not sent, or be refused.
                waiting = self._open_batches(UNSENT) if self._lost and not self.judge.stopped else []
            # What others are submitting would be counted as unknown.
            self._wait_for_others()
            self._tell(final=True)
        finally:
            self._log.info("::endgroup::")

    def _open_batches(self, wanted: Collection[BatchState]) -> list[BatchRow]:
        """Give the batches in the wanted states, once nobody else is submitting any of the send's."""
        while True:
            self._wait_for_others()
            batches = self._ledger.batches(self._send_key)
            # Another run may have taken some since, and they are not wanted by then, whatever comes of them.
            if not any(
                batch.state is BatchState.SUBMITTING and batch.claim_owner != self._owner for batch in batches
            ):
                break
        self._forget_what_changed(batches)
        return [batch for batch in batches if batch.state in wanted and batch.batch_no not in self._done]

    def _wait_for_others(self) -> None:
        """Wait until nobody else is submitting any of the send's batches, and settle what can be settled."""
        key = self._send_key
        told = False
        while (busy_until := self._ledger.pending_claims(key, self._owner)) is not None:
            if not told:
                self._log.warning(
                    "batches are being submitted by another run, or were when it died: "
                    "waiting for their outcome, until %s at most",
                    busy_until.isoformat(timespec="seconds"),
                )
            told = True
            self._sleep(1.0)
        # Only now: a claim that runs out between the two looks must not be missed by both.
        expired = self._ledger.expire(key)
        if expired:
            self._log.error(
                "batches %s were being submitted when their process died: their outcome is not known",
                ", ".join(map(str, expired)),
            )
        self._settle_by_reports()

    def _forget_what_changed(self, batches: list[BatchRow]) -> None:
        """
        Let go of the batches that this run planned and that another has claimed since.

        :raises SubmitNotSent: another run of the task has put another plan in the place of this one.
        """
        planned, made = self._planned, {batch.prepared_at for batch in batches}
        self._planned = {
            batch.batch_no: planned[batch.batch_no]
            for batch in batches
            if batch.batch_no in planned and planned[batch.batch_no].reference == batch.reference
        }
        never_ours = any(not batch.attempts and batch.batch_no not in self._planned for batch in batches)
        if (planned and never_ours) or (self._made and made != self._made):
            # Going on would end green, whoever this run was to send to.
            raise SubmitNotSent(
                f"send {self._send_key}: another run of this task has replaced the plan. Nothing is sent "
                "twice; a retry goes on with that plan and says who is not in it"
            )
        self._made = made

    def _settle_by_reports(self) -> None:
        """Settle what reports prove that landed while an answer, or a dead run's claim, was awaited."""
        by_number = not self._gateway.vendor.reports_bear_reference
        for _, number in self._ledger.settle_by_reports(self._send_key, by_number=by_number):
            self._log.info("batch %d was unknown and is accepted: its reports came", number)

    # --- the loop --------------------------------------------------------------------------------

    def _submit(self, waiting: deque[BatchRow]) -> None:
        lanes = Lanes(self._carry, self._width)
        try:
            while waiting or lanes.busy or lanes.ready or lanes.answers:
                idle = not lanes.busy
                self._take_answers(lanes, waiting)
                pause = self._pause(lanes, waiting, idle=idle)
                if pause > 0 or self.judge.stopped:
                    self._turn_over(lanes, [])
                else:
                    lanes.go_on()
                    self._turn_over(lanes, self._next_ones(lanes, waiting))
                if idle and self.judge.stopped:
                    break
                lanes.wait(pause if pause > 0 else 1.0, gather=_GATHER_SECONDS, most=self._gathered)
                self._tell(final=False)
        except Exception:
            self._settle_patiently(lanes)
            raise
        except BaseException:
            self._settle_what_answered(lanes, _GRACE_SECONDS)
            self._unwritten.tell()
            raise
        finally:
            lanes.close()

    def _pause(self, lanes: Lanes, waiting: deque[BatchRow], *, idle: bool) -> float:
        """Give the seconds before more may start, waiting for them if nothing else is to be done."""
        pause = max(self._next_start, self.judge.not_before) - time.monotonic()
        no_more = pause > 0 or bool(self.judge.stopped)
        self._give_back(lanes, waiting, older_than=0.0 if no_more else READY_SECONDS)
        if pause > 0 and idle and waiting and not self.judge.stopped:
            self._turn_over(lanes, [])
            self._sleep(pause)
            return 0.0
        return pause

    def _carry(self, submission: Submission) -> Receipt:
        if submission.send_at is not None and submission.send_at <= datetime.now(UTC):
            self._log.warning("a batch's send_at has passed meanwhile: sending it at once")
            submission = replace(submission, send_at=None)
        return self._gateway.submit(submission, template=bool(submission.values))

    def _take_answers(self, lanes: Lanes, waiting: deque[BatchRow]) -> None:
        """Judge what has come, to be written down next, and queue what is to be submitted again."""
        while lanes.answers:
            answer = lanes.answers[0]
            # Nought of one that was not begun with, which says nothing of the vendor's pace.
            self._answer_seconds = answer.seconds or self._answer_seconds
            outcome, again = self.judge.judge(answer)
            self._unwritten.add([outcome])
            if again:
                waiting.append(_after(answer.claimed, outcome))
            else:
                self._done.add(outcome.batch_no)
            # Only now: a signal in between must not cost an outcome.
            lanes.answers.popleft()
        if self.judge.mistake is not None:
            raise self.judge.mistake

    def _give_back(self, lanes: Lanes, waiting: deque[BatchRow], *, older_than: float = 0.0) -> None:
        """Take back what was claimed ahead, to be written down next."""
        for claimed in reversed(lanes.take_back(older_than=older_than)):
            outcome = given_back(claimed)
            self._unwritten.add([outcome])
            waiting.appendleft(_after(claimed, outcome))

    def _next_ones(self, lanes: Lanes, waiting: deque[BatchRow]) -> list[BatchRow]:
        """Choose what to claim: one batch per free lane, and what they will want while a commit lasts."""
        settling = {outcome.batch_no for outcome in self._unwritten}
        free = max(0, self._width - lanes.busy)
        # What is claimed now is there after this commit, and has to last for the next one, too, and until
        # the answers are gathered that it writes down.
        needed = 2 * self._width * self._commit_seconds / self._answer_seconds
        ahead = math.ceil(needed + self._gathered - 1)
        if self._spacing:
            free, ahead = min(free, 1), 0
        chosen: list[BatchRow] = []
        most = free + max(0, min(ahead, self._width) - lanes.ready)
        while waiting and len(chosen) < most and waiting[0].batch_no not in settling:
            # Of a batch that was submitted before, a kill would leave more in doubt than this submit.
            if len(chosen) >= free and waiting[0].state is not BatchState.PREPARED:
                break
            chosen.append(waiting.popleft())
        return chosen

    @property
    def _gathered(self) -> int:
        """How many answers come while they are gathered, at the last one's pace; up to half the lanes."""
        if self._spacing:
            return 1
        return max(1, min(self._width // 2, int(self._width * _GATHER_SECONDS / self._answer_seconds)))

    def _turn_over(self, lanes: Lanes, chosen: list[BatchRow]) -> None:
        """In one commit, write down what ended and claim what follows; then submit what is ours now."""
        if not chosen and not self._unwritten:
            return
        began = time.monotonic()
        self._claiming = [
            Claimed(batch, replace(submission, reference=new_reference()), began)
            for batch in chosen
            if (submission := self._submission(batch.batch_no)) is not None
        ]
        if chosen and not self._claiming and not self._unwritten:
            # Their plan is gone; the next look says what has taken its place.
            self._lost = True
            return
        _, taken = self._ledger.turn_over(
            self._send_key,
            self._owner,
            outcomes=list(self._unwritten),
            references={one.batch.batch_no: one.submission.reference for one in self._claiming},
            seen={one.batch.batch_no: one.batch.reference for one in self._claiming},
            seconds=self._claim_seconds,
            resend=self._resend,
        )
        self._unwritten.clear()
        if chosen:
            self._lost = self._lost or len(taken) < len(chosen)
            self._next_start = max(self._next_start, began + self._spacing)
            lanes.hand_over(one for one in self._claiming if one.batch.batch_no in set(taken))
            self._claiming = []
            self._commit_seconds = max(time.monotonic() - began, _FADING * self._commit_seconds)

    def _submission(self, number: int) -> Submission | None:
        try:
            return self._planned.get(number) or self._ledger.submission(self._send_key, number)
        except KeyError:
            return None  # another run has put a shorter plan in the place of this one

    # --- on the way out --------------------------------------------------------------------------

    def _settle_patiently(self, lanes: Lanes) -> None:
        """Before a dying store, or a mistake, ends the run: all that is under way comes to its outcome."""
        try:
            self._settle_what_answered(lanes, self._gateway.longest_submit)
            self._unwritten.write_patiently(self._sleep)
        except BaseException:
            # A signal after all: there is no more time.
            self._settle_what_answered(lanes, _GRACE_SECONDS)
            raise
        finally:
            self._unwritten.tell()

    def _settle_what_answered(self, lanes: Lanes, seconds: float) -> None:
        """Before something ends the run: who has an outcome keeps it, others run out."""
        # A commit of claims that was cut off may have reached the store all the same.
        unbegun = [one for one in self._claiming if not lanes.was_handed_over(one.submission.reference)]
        self._claiming = []
        self._unwritten.add(map(given_back, [*lanes.take_back(), *unbegun]))
        self._unwritten.write_each()
        lanes.wait_for_all(seconds)
        with suppress(Exception):  # what ends the run is the one to show
            self._take_answers(lanes, deque())
        self._unwritten.write_each()

    def _tell(self, *, final: bool) -> None:
        if not final and time.monotonic() - self._told < _PROGRESS_SECONDS:
            return
        self._told = time.monotonic()
        summary = self._ledger.summary(self._send_key)
        self._log.info(
            "sent %s/%s, %d rejected, %d %s",
            f"{summary.accepted:,}", f"{summary.recipients:,}", summary.rejected, summary.unknown,
            "unknown" if final else "under way or unknown",
        )  # fmt: skip


def _after(claimed: Claimed, outcome: Outcome) -> BatchRow:
    """Give a batch as it stands in the ledger once the outcome of its claim is written down."""
    return replace(claimed.batch, state=outcome.state, reference=claimed.submission.reference)
