"""
Send, at most once per send key: plan, ledger, submit, settle.

Every batch has a row in the ledger before its socket opens, and is claimed by compare-and-set before it is
submitted, so that two runs of one task never submit the same batch. What happens to a batch::

    prepared -> submitting -> accepted | rejected | not_sent | unknown

``not_sent`` (surely not sent, or the vendor said "later") is tried again, here and by Airflow's retry.
``unknown`` never is, unless the user says ``resend``: it may have been accepted. A claim whose owner died
runs out and becomes ``unknown`` as well.

Threads only move bytes; the ledger is read and written by the calling thread alone.
"""

from __future__ import annotations

import hashlib
import logging
import os
import socket
import time
import uuid
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_sms import errors, planning
from airflow_provider_sms.records import BatchState
from airflow_provider_sms.store.ledger import Ledger, PlannedBatch, PlannedSend
from airflow_provider_sms.vendors.base import Operation

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_sms.gateway import Gateway
    from airflow_provider_sms.records import Receipt
    from airflow_provider_sms.recipients import Columns
    from airflow_provider_sms.store.engine import Store
    from airflow_provider_sms.store.ledger import BatchRow, SendRow, SendSummary

ON_UNKNOWN = ("fail", "ignore", "resend")
#: How often one run submits a batch that is surely not sent.
ATTEMPTS = 3
#: A claim outlives the longest submit by this many seconds, for the ledger's own work.
CLAIM_MARGIN = 15.0
_BACKOFF = (1.0, 4.0)
_LONGEST_WAIT = 60.0
_PROGRESS_SECONDS = 5.0
#: On a signal, submits under way get this long to learn their outcome: SIGTERM turns into SIGKILL after 5 s.
_GRACE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Origin:
    """The task instance that sends; empty outside of Airflow. ``map_index`` is -1 for unmapped tasks."""

    dag_id: str = ""
    task_id: str = ""
    run_id: str = ""
    map_index: int = -1

    @property
    def send_key(self) -> str:
        """The default send key: the same for all tries of one task instance."""
        key = "/".join((self.dag_id, self.task_id, self.run_id, str(self.map_index)))
        if len(key) <= _LONGEST_KEY:
            return key
        return f"{key[: _LONGEST_KEY - 65]}#{hashlib.sha256(key.encode()).hexdigest()}"


_LONGEST_KEY = 250


@dataclass(frozen=True, slots=True)
class SendOrder:
    """
    What is to be sent.

    :param send_key: names this send; see :class:`Origin`.
    :param content: one text for all, or
    :param template: a text with placeholders.
    :param send_at: a datetime, ISO text, or nothing for "at once".
    :param extno: extension digits.
    :param on_unknown: one of :data:`ON_UNKNOWN`.
    :param origin: who sends.
    """

    send_key: str
    content: str | None = field(default=None, repr=False)
    template: str | None = field(default=None, repr=False)
    send_at: Any = None
    extno: str = ""
    on_unknown: str = "fail"
    origin: Origin = field(default_factory=Origin)


def random_send_key(log: logging.Logger | Any) -> str:
    """Make up a send key and log it, for calls outside of a task."""
    key = f"adhoc-{uuid.uuid4().hex}"
    log.info("no send_key given: this send is %s (give it as send_key to try the same send again)", key)
    return key


def owner_name() -> str:
    """Name this process in leases and claims; unique even when a process id is used again."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


def send(
    gateway: Gateway,
    store: Store,
    order: SendOrder,
    recipients: Callable[[], Columns],
    *,
    log: logging.Logger | Any,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """
    Plan if this send key is new, then submit whatever is not settled yet.

    :param recipients: gives the columns of recipients.
    :return: ``{"send_key", "recipients", "segments", "accepted", "rejected", "unknown", "not_sent"}``,
        counted in recipients (and segments).
    :raises PreflightError: nothing was sent.
    :raises VendorRejected: the vendor refused a batch; others may be accepted.
    :raises SubmitNotSent: batches are left that surely were not sent.
    :raises SubmitUnknown: batches are left whose outcome is not known, and ``on_unknown`` is ``fail``.
    """
    if order.on_unknown not in ON_UNKNOWN:
        raise errors.PreflightError([f"on_unknown is {order.on_unknown!r}: use one of {', '.join(ON_UNKNOWN)}"], "send")
    if not order.send_key or len(order.send_key) > _LONGEST_KEY:
        raise errors.PreflightError([f"send_key must have 1 to {_LONGEST_KEY} characters"], "send")
    gateway.vendor.require(Operation.SEND, gateway.account.conn_id)
    ledger = Ledger(store)
    _plan(gateway, ledger, order, recipients, log)
    run = _Run(gateway, ledger, order, log, sleep)
    run.submit_all()
    return _conclude(ledger.summary(order.send_key), run, order, log)


# --- plan ------------------------------------------------------------------------------------------


def _plan(
    gateway: Gateway, ledger: Ledger, order: SendOrder, recipients: Callable[[], Columns], log: logging.Logger | Any
) -> None:
    """Put a new send into the ledger; the plan of a send that is already there stands as it was made."""
    vendor, account = gateway.vendor, gateway.account
    fingerprint = _fingerprint(gateway, order)
    known = ledger.send(order.send_key)
    if known is not None:
        _check_same(known, fingerprint, order, log)
        return
    if (order.content is None) == (order.template is None):
        raise errors.PreflightError(["give exactly one of content and template"], "send")
    columns = recipients()
    send_at = planning.moment(account, order.send_at, datetime.now(UTC))
    if order.template is None:
        plan = planning.plan_text(vendor, account, columns, order.content or "", extno=order.extno)
    else:
        plan = planning.plan_template(vendor, account, columns, order.template, extno=order.extno)
    if plan.duplicates:
        log.warning("%s rows dropped because their number came before", f"{plan.duplicates:,}")
    origin = order.origin
    planned = PlannedSend(
        send_key=order.send_key,
        conn_id=account.conn_id,
        vendor=vendor.name,
        fingerprint=fingerprint,
        dag_id=origin.dag_id,
        task_id=origin.task_id,
        run_id=origin.run_id,
        map_index=origin.map_index,
        send_at=send_at,
        extno=order.extno,
    )
    batches = [
        PlannedBatch(
            batch_no=number,
            mobiles=submit.mobiles,
            contents=submit.contents,
            template=submit.native.content if submit.native else "",
            values=submit.values,
        )
        for number, submit in enumerate(plan.submits, 1)
    ]
    if not ledger.plan(planned, batches):
        log.warning("another run of this task has just planned the same send: going on with its plan")


def _fingerprint(gateway: Gateway, order: SendOrder) -> str:
    parts = (gateway.vendor.name, order.content or "", order.template or "")
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _check_same(known: SendRow, fingerprint: str, order: SendOrder, log: logging.Logger | Any) -> None:
    """
    Accept another try of the same task, refuse another use of the same key.

    A task that is tried again may well render another text (a time of day) or other rows: the first plan stands,
    as some people have read it already. Somebody else with another text under this key is a mistake that would
    otherwise end as a green task that sent nothing.
    """
    origin = order.origin
    same_task = bool(origin.run_id) and (known.dag_id, known.task_id, known.run_id, known.map_index) == (
        origin.dag_id, origin.task_id, origin.run_id, origin.map_index,
    )  # fmt: skip
    log.info("send key %s was planned at %s: going on where it stands", order.send_key, known.created_at.isoformat())
    if known.fingerprint == fingerprint:
        return
    if not same_task:
        msg = (
            f"send key {order.send_key!r} was used at {known.created_at.isoformat()} for another text or vendor: "
            "give a new send_key to send this one"
        )
        raise errors.PreflightError([msg], "send")
    log.warning("the text differs from the first try's; the first plan stands, since people may have read it already")


# --- submit ----------------------------------------------------------------------------------------


class _Run:
    """One pass over the batches that are not settled."""

    def __init__(
        self, gateway: Gateway, ledger: Ledger, order: SendOrder, log: logging.Logger | Any, sleep: Callable[[float], None]
    ) -> None:
        self._gateway = gateway
        self._ledger = ledger
        self._order = order
        self._log = log
        self._sleep = sleep
        self._owner = owner_name()
        options = gateway.account.options
        self._width = int(options["max_in_flight"])
        self._spacing = 1 / options["requests_per_second"] if options["requests_per_second"] else 0.0
        self._claim_seconds = gateway.account.endpoint.timeout + CLAIM_MARGIN
        self._tries: dict[int, int] = {}
        self._stopped = ""
        self._next_start = 0.0
        self._told = time.monotonic()
        self.first_refusal: errors.VendorRejected | None = None
        self.last_failure: errors.SmsError | None = None

    def submit_all(self) -> None:
        """Submit until every batch is settled, or going on is pointless."""
        waiting = deque(self._open_batches())
        if not waiting:
            self._log.info("nothing is left to send under this send key")
            return
        self._log.info("::group::sending %d batches by connection %r", len(waiting), self._gateway.account.conn_id)
        in_flight: dict[Future[Receipt], BatchRow] = {}
        pool = ThreadPoolExecutor(self._width, thread_name_prefix="sms-submit")
        try:
            while (waiting and not self._stopped) or in_flight:
                while waiting and not self._stopped and len(in_flight) < self._width:
                    batch = waiting.popleft()
                    future = self._start(pool, batch)
                    if future is not None:
                        in_flight[future] = batch
                for future in wait(in_flight, return_when=FIRST_COMPLETED).done:
                    batch = in_flight.pop(future)
                    if self._settle(batch, future):
                        waiting.append(batch)
                self._tell(final=False)
        except BaseException:
            # A signal or a dying store: whoever has an outcome keeps it, the others' claims run out.
            for future in wait(in_flight, timeout=_GRACE_SECONDS).done:
                self._settle(in_flight.pop(future), future)
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            self._tell(final=True)
            self._log.info("::endgroup::")

    def _open_batches(self) -> list[BatchRow]:
        """Give the batches to submit, once nobody else is submitting any of them."""
        key = self._order.send_key
        while True:
            expired = self._ledger.expire(key)
            if expired:
                self._log.error(
                    "batches %s were being submitted when their process died: their outcome is not known",
                    ", ".join(map(str, expired)),
                )
            pause = self._ledger.claimed_seconds(key)
            if pause <= 0:
                break
            self._log.warning("batches are being submitted by another run: waiting up to %.0f s for their outcome", pause)
            self._sleep(min(pause, 1.0))
        wanted = {BatchState.PREPARED, BatchState.NOT_SENT, BatchState.REJECTED}
        if self._order.on_unknown == "resend":
            wanted.add(BatchState.UNKNOWN)
        return [batch for batch in self._ledger.batches(key) if batch.state in wanted]

    def _start(self, pool: ThreadPoolExecutor, batch: BatchRow) -> Future[Receipt] | None:
        """Claim a batch and submit it; ``None`` when somebody else was first."""
        pause = self._next_start - time.monotonic()
        if pause > 0:
            self._sleep(pause)
        self._next_start = time.monotonic() + self._spacing
        submission = self._ledger.submission(self._order.send_key, batch.batch_no)
        reference = self._ledger.claim(
            self._order.send_key,
            batch.batch_no,
            self._owner,
            self._claim_seconds,
            resend=self._order.on_unknown == "resend",
        )
        if reference is None:
            return None
        self._tries[batch.batch_no] = self._tries.get(batch.batch_no, 0) + 1
        submission = replace(submission, reference=reference)
        return pool.submit(self._gateway.submit, submission, template=bool(submission.values))

    def _settle(self, batch: BatchRow, future: Future[Receipt]) -> bool:
        """Write a batch's outcome down; whether to submit it again in this run."""
        try:
            receipt = future.result()
        except errors.VendorRejected as refusal:
            self._write(batch, BatchState.REJECTED, code=refusal.code, error=str(refusal))
            self.first_refusal = self.first_refusal or refusal
            # One text the vendor will not have says nothing about the next one; everything else does.
            if not isinstance(refusal, errors.ContentRejected) or self._order.template is None:
                self._stopped = "the vendor said no"
            return False
        except (errors.SubmitNotSent, errors.VendorBusy) as failure:
            code = failure.code if isinstance(failure, errors.VendorBusy) else ""
            self._write(batch, BatchState.NOT_SENT, code=code, error=str(failure))
            return self._again(batch, failure)
        except errors.SubmitUnknown as failure:
            self._write(batch, BatchState.UNKNOWN, error=str(failure))
            self.last_failure = failure
            self._log.error("batch %d: %s. Its outcome is not known", batch.batch_no, failure)
            if failure.misdirected:
                self._stopped = "what answers is not the vendor's service"
                return False
            return self._order.on_unknown == "resend" and self._again(batch, failure)
        except Exception as bug:
            # Nothing proves that it was not sent.
            self._write(batch, BatchState.UNKNOWN, error=f"our own mistake: {type(bug).__name__}")
            raise
        if receipt.accepted == 0:
            refusal = errors.VendorRejected("the vendor took none of the batch's numbers", receipt.code)
            self._write(batch, BatchState.REJECTED, code=receipt.code, text=receipt.text, error=str(refusal))
            self.first_refusal = self.first_refusal or refusal
            return False
        self._write(batch, BatchState.ACCEPTED, code=receipt.code, text=receipt.text, receipt=receipt)
        if receipt.accepted is not None and receipt.accepted < batch.recipients:
            self._log.warning(
                "batch %d: the vendor took %d of %d numbers and does not say which it refused",
                batch.batch_no, receipt.accepted, batch.recipients,
            )  # fmt: skip
        return False

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
        self, batch: BatchRow, state: BatchState, *, code: str = "", text: str = "", error: str = "", receipt: Receipt | None = None
    ) -> None:
        self._ledger.settle(
            self._order.send_key,
            batch.batch_no,
            state,
            owner=self._owner,
            vendor_code=receipt.code if receipt else code,
            vendor_text=text,
            vendor_batch_id=receipt.vendor_batch_id if receipt else "",
            message_ids=receipt.message_ids if receipt else (),
            accepted_count=receipt.accepted if receipt else None,
            error=error,
        )

    def _tell(self, *, final: bool) -> None:
        if not final and time.monotonic() - self._told < _PROGRESS_SECONDS:
            return
        self._told = time.monotonic()
        summary = self._ledger.summary(self._order.send_key)
        self._log.info(
            "sent %s/%s, %d rejected, %d unknown",
            f"{summary.accepted:,}", f"{summary.recipients:,}", summary.rejected, summary.unknown,
        )  # fmt: skip


# --- conclude --------------------------------------------------------------------------------------


def _conclude(summary: SendSummary, run: _Run, order: SendOrder, log: logging.Logger | Any) -> dict[str, Any]:
    """Give the counts, or raise the error that says what is left and what a retry will do."""
    counts = (
        f"send {summary.send_key}: of {summary.recipients:,} recipients {summary.accepted:,} accepted, "
        f"{summary.rejected:,} rejected, {summary.unknown:,} unknown, {summary.not_sent:,} not sent"
    )
    if run.first_refusal is not None:
        refusal = run.first_refusal
        message = f"{counts}. {refusal} After that is mended, clear the task: it sends only what was not accepted."
        words = {"words": refusal.words} if isinstance(refusal, errors.ContentRejected) else {}
        raise type(refusal)(message, refusal.code, **words)
    if summary.not_sent:
        # Before the unknown ones: Airflow's retry must get its chance to send what surely was not.
        reason = f" ({run.last_failure})" if run.last_failure else ""
        raise errors.SubmitNotSent(f"{counts}{reason}. A retry sends what was not sent, and nothing twice.")
    if summary.unknown and order.on_unknown != "ignore":
        raise errors.SubmitUnknown(
            f"{counts}. Unknown means that the vendor may have accepted it: nothing is sent again on its own. Collect "
            "the account's reports, which settle what they mention, or look at the vendor's own records; then clear the "
            "task with on_unknown='ignore' to let it be, or 'resend' to risk a second copy."
        )
    log.info(counts)
    return summary._asdict()
