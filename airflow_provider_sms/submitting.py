"""
Submit the batches of a planned send and write down how each ended.

Threads only move bytes; the ledger is read and written by the calling thread alone, which claims a batch
before its socket opens and settles it when its answer is there: all answers of one moment in one commit,
and the batches that take their places in another; none waits for company. What kind of failure it was
decides what may happen next: surely not sent and "busy" are tried again with a growing pause, a few times;
unknown is left alone.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_sms import errors
from airflow_provider_sms.records import BatchState
from airflow_provider_sms.store.plans import Outcome

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Mapping

    from airflow_provider_sms.gateway import Gateway
    from airflow_provider_sms.records import Receipt, Submission
    from airflow_provider_sms.store.ledger import Ledger
    from airflow_provider_sms.store.plans import BatchRow

#: How often one pass submits a batch that is surely not sent.
ATTEMPTS = 3
#: A claim outlives the longest submit by this many seconds, for the ledger's own work.
CLAIM_MARGIN = 15.0
_BACKOFF = (1.0, 4.0)
_LONGEST_WAIT = 60.0
_PROGRESS_SECONDS = 5.0
#: Unknown outcomes in a row after which a pass that is to fail because of them leaves the rest unsent.
_UNKNOWN_IN_A_ROW = 3
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

    Afterwards ``first_refusal`` is the vendor's first no, ``last_failure`` the last other failure, and
    ``misdirected`` says whether something answered that is not the vendor.

    :param gateway: the account's calls.
    :param ledger: where every step is written down.
    :param send_key: which send.
    :param one_text: whether all batches carry the same text, so that a refused text ends the pass.
    :param on_unknown: what to do about batches whose outcome is not known: ``fail`` (soon, if they are all
        that comes), ``ignore`` them and go on, ``resend`` them.
    :param log: a logger.
    :param sleep: how to wait between submits.
    :param planned: what this very run put into the ledger, by batch number; the rest is read from there.
    """

    def __init__(
        self,
        gateway: Gateway,
        ledger: Ledger,
        send_key: str,
        *,
        one_text: bool,
        on_unknown: str,
        log: logging.Logger | Any,
        sleep: Callable[[float], None],
        planned: Mapping[int, Submission] | None = None,
    ) -> None:
        self._gateway = gateway
        self._ledger = ledger
        self._send_key = send_key
        self._one_text = one_text
        self._resend = on_unknown == "resend"
        self._wary = on_unknown == "fail"
        self._log = log
        self._sleep = sleep
        self._owner = owner_name()
        options = gateway.account.options
        self._width = int(options["max_in_flight"])
        self._spacing = 1 / options["requests_per_second"] if options["requests_per_second"] else 0.0
        self._claim_seconds = gateway.longest_submit + CLAIM_MARGIN
        self._planned = planned or {}
        self._outcomes: list[Outcome] = []
        self._tries: dict[int, int] = {}
        self._done: set[int] = set()
        self._lost = False
        self._stopped = ""
        self._unknown_in_a_row = 0
        self._next_start = 0.0
        self._told = time.monotonic()
        self.first_refusal: errors.VendorRejected | None = None
        self.last_failure: errors.SmsError | None = None
        self.misdirected = False

    def submit_all(self) -> None:
        """Submit until every batch is settled, by this run or another, or going on is pointless."""
        waiting = self._open_batches()
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
                waiting = self._open_batches() if self._lost and not self._stopped else []
            self._tell(final=True)
        finally:
            self._log.info("::endgroup::")

    def _submit(self, waiting: deque[BatchRow]) -> None:
        in_flight: dict[Future[Receipt], BatchRow] = {}
        pool = ThreadPoolExecutor(self._width, thread_name_prefix="sms-submit")
        try:
            while (waiting and not self._stopped) or in_flight:
                # First the next ones: what ended is written down while they are on their way.
                pause = self._start_some(pool, waiting, in_flight)
                self._write_down()
                done = wait(in_flight, pause, return_when=FIRST_COMPLETED).done
                again = self._judge(in_flight, done)
                if again:
                    # Only what the ledger calls not sent can be claimed once more.
                    self._write_down()
                    waiting.extend(again)
                self._tell(final=False)
            self._write_down()
        except BaseException:
            self._settle_what_answered(in_flight)
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _start_some(
        self, pool: ThreadPoolExecutor, waiting: deque[BatchRow], in_flight: dict[Future[Receipt], BatchRow]
    ) -> float | None:
        """Start what may be started; how long to wait before more may, ``None`` is for any answer."""
        while waiting and not self._stopped and len(in_flight) < self._width:
            pause = self._next_start - time.monotonic()
            if pause > 0 and in_flight:
                return pause  # Answers are written down meanwhile.
            if pause > 0:
                self._write_down()
                self._sleep(pause)
            free = 1 if self._spacing else self._width - len(in_flight)
            in_flight.update(self._start(pool, [waiting.popleft() for _ in range(min(free, len(waiting)))]))
        return None

    def _settle_what_answered(self, in_flight: dict[Future[Receipt], BatchRow]) -> None:
        """Before a signal or a dying store ends the run: who has an outcome keeps it, others run out."""
        self._write_down_each()
        for future in wait(in_flight, timeout=_GRACE_SECONDS).done:
            with suppress(Exception):  # what ends the run is the one to show
                self._outcome(in_flight[future], future)
        self._write_down_each()

    def _write_down_each(self) -> None:
        """Write outcomes one by one: that one cannot be written must not cost the others theirs."""
        for outcome in self._outcomes:
            try:
                self._ledger.settle_many(self._send_key, [outcome], self._owner)
            except Exception as failure:  # noqa: BLE001 - what ends the run is the one to show
                self._log.warning(
                    "batch %d: its outcome could not be written down (%s)",
                    outcome.batch_no, type(failure).__name__,
                )  # fmt: skip
        self._outcomes = []

    def _open_batches(self) -> list[BatchRow]:
        """Give the batches to submit, once nobody else is submitting any of them."""
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
        wanted = {BatchState.PREPARED, BatchState.NOT_SENT, BatchState.REJECTED}
        if self._resend:
            wanted.add(BatchState.UNKNOWN)
        return [
            batch
            for batch in self._ledger.batches(key)
            if batch.state in wanted and batch.batch_no not in self._done
        ]

    def _start(self, pool: ThreadPoolExecutor, some: list[BatchRow]) -> dict[Future[Receipt], BatchRow]:
        """Claim batches and submit those that nobody else took first."""
        self._next_start = max(self._next_start, time.monotonic() + self._spacing)
        submissions = {batch.batch_no: self._submission(batch.batch_no) for batch in some}
        references = {batch.batch_no: new_reference() for batch in some}
        claimed = self._ledger.claim_many(
            self._send_key, references, self._owner, self._claim_seconds, resend=self._resend
        )
        self._lost = self._lost or len(claimed) < len(some)
        started = {}
        for batch in some:
            number = batch.batch_no
            if number not in claimed:
                continue
            self._tries[number] = self._tries.get(number, 0) + 1
            submission = replace(submissions[number], reference=references[number])
            if submission.send_at is not None and submission.send_at <= datetime.now(UTC):
                self._log.warning("batch %d: its send_at has passed meanwhile: sending at once", number)
                submission = replace(submission, send_at=None)
            future = pool.submit(self._gateway.submit, submission, template=bool(submission.values))
            started[future] = batch
        return started

    def _submission(self, number: int) -> Submission:
        return self._planned.get(number) or self._ledger.submission(self._send_key, number)

    def _judge(
        self, in_flight: dict[Future[Receipt], BatchRow], done: Iterable[Future[Receipt]]
    ) -> list[BatchRow]:
        """Take outcomes, to be written down next; which batches to submit again in this run."""
        again = []
        for future in done:
            batch = in_flight[future]
            if self._outcome(batch, future):
                again.append(batch)
            else:
                self._done.add(batch.batch_no)
            del in_flight[future]
        return again

    def _write_down(self) -> None:
        if self._outcomes:
            self._ledger.settle_many(self._send_key, self._outcomes, self._owner)
            self._outcomes = []

    def _outcome(self, batch: BatchRow, future: Future[Receipt]) -> bool:
        try:
            receipt = future.result()
        except errors.VendorRejected as refusal:
            self._write(batch, BatchState.REJECTED, code=refusal.code, error=str(refusal))
            self.first_refusal = self.first_refusal or refusal
            # One text the vendor will not have says nothing about the next one; everything else does.
            if not isinstance(refusal, errors.ContentRejected) or self._one_text:
                self._stopped = "the vendor said no"
            return False
        except (errors.SubmitNotSent, errors.VendorBusy) as failure:
            code = failure.code if isinstance(failure, errors.VendorBusy) else ""
            self._write(batch, BatchState.NOT_SENT, code=code, error=str(failure))
            return self._again(batch, failure)
        except errors.SubmitUnknown as failure:
            self._write(batch, BatchState.UNKNOWN, error=str(failure))
            return self._unknown(batch, failure)
        except errors.PreflightError as problem:
            # The codec refused to make a request of it.
            self._write(batch, BatchState.NOT_SENT, error=str(problem))
            raise
        except Exception as bug:
            # Nothing proves that it was not sent.
            self._write(batch, BatchState.UNKNOWN, error=f"our own mistake: {type(bug).__name__}")
            raise
        self._unknown_in_a_row = 0
        if receipt.accepted is not None and receipt.accepted <= 0:
            where = f"connection {batch.conn_id!r} ({batch.vendor})"
            none = errors.VendorRejected(
                f"{where}: the vendor took none of the batch's numbers.", receipt.code
            )
            self._write(batch, BatchState.REJECTED, code=receipt.code, text=receipt.text, error=str(none))
            self.first_refusal = self.first_refusal or none
            return False
        self._write(batch, BatchState.ACCEPTED, code=receipt.code, text=receipt.text, receipt=receipt)
        if receipt.accepted is not None and receipt.accepted < batch.recipients:
            self._log.warning(
                "batch %d: the vendor took %d of %d numbers and does not say which it refused",
                batch.batch_no, receipt.accepted, batch.recipients,
            )  # fmt: skip
        return False

    def _unknown(self, batch: BatchRow, failure: errors.SubmitUnknown) -> bool:
        """Tell of an unknown outcome; stop where the next ones would only be unknown as well."""
        self._log.error("batch %d: %s. Its outcome is not known", batch.batch_no, failure)
        self.last_failure = failure
        self._unknown_in_a_row += 1
        if failure.misdirected:
            self.misdirected = True
            self._stopped = "what answers is not the vendor's service"
            return False
        if self._wary and self._unknown_in_a_row >= _UNKNOWN_IN_A_ROW:
            self._stopped = f"the outcome of {self._unknown_in_a_row} submits in a row is not known"
            return False
        return self._resend and self._again(batch, failure)

    def _again(self, batch: BatchRow, failure: errors.SmsError) -> bool:
        """Wait before another try of a batch; give up for this run after so many."""
        self.last_failure = failure
        tries = self._tries[batch.batch_no]
        if tries >= ATTEMPTS:
            self._stopped = f"batch {batch.batch_no} failed {tries} times"
            return False
        asked = failure.retry_after if isinstance(failure, errors.VendorBusy) else None
        pause = min(asked if asked is not None else _BACKOFF[tries - 1], _LONGEST_WAIT)
        self._log.warning("batch %d: %s; trying again in %.0f s", batch.batch_no, failure, pause)
        self._next_start = max(self._next_start, time.monotonic() + pause)
        return True

    def _write(
        self,
        batch: BatchRow,
        state: BatchState,
        *,
        code: str = "",
        text: str = "",
        error: str = "",
        receipt: Receipt | None = None,
    ) -> None:
        outcome = Outcome(
            batch.batch_no,
            state,
            vendor_code=receipt.code if receipt else code,
            vendor_text=text,
            vendor_batch_id=receipt.vendor_batch_id if receipt else "",
            message_ids=receipt.message_ids if receipt else (),
            accepted_count=receipt.accepted if receipt else None,
            error=error,
        )
        self._outcomes.append(outcome)

    def _tell(self, *, final: bool) -> None:
        if not final and time.monotonic() - self._told < _PROGRESS_SECONDS:
            return
        self._told = time.monotonic()
        summary = self._ledger.summary(self._send_key)
        self._log.info(
            "sent %s/%s, %d rejected, %d unknown",
            f"{summary.accepted:,}", f"{summary.recipients:,}", summary.rejected, summary.unknown,
        )  # fmt: skip
