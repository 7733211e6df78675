"""
Send, at most once per send key: plan, ledger, submit, settle.

Every batch has a row in the ledger before its socket opens, and is claimed by compare-and-set before it is
submitted, so that two runs of one task never submit the same batch. What happens to a batch::

    prepared -> submitting -> accepted | rejected | not_sent | unknown

``not_sent`` (surely not sent, or the vendor said "later") is tried again, here and by Airflow's retry.
``unknown`` never is, unless the user says ``resend``: it may have been accepted. A claim whose owner died
runs out and becomes ``unknown`` as well.

Lanes only move bytes; the ledger is read and written by the calling thread alone.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_sms import errors, planning
from airflow_provider_sms.records import Submission
from airflow_provider_sms.store.ledger import Ledger
from airflow_provider_sms.store.plans import PlannedBatch, PlannedSend
from airflow_provider_sms.store.template_id import template_id
from airflow_provider_sms.submitting import Submitting, new_reference
from airflow_provider_sms.text import segments
from airflow_provider_sms.vendors.base import Operation

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from airflow_provider_sms.gateway import Gateway
    from airflow_provider_sms.judging import Judge
    from airflow_provider_sms.recipients import Columns
    from airflow_provider_sms.store.engine import Store
    from airflow_provider_sms.store.plans import SendRow, SendSummary

ON_UNKNOWN = ("fail", "ignore", "resend")
#: The store keeps send keys of up to this many characters.
_LONGEST_KEY = 250
_WHAT_UNKNOWN_MEANS = (
    "Unknown means that the vendor may have accepted it: nothing is sent again by itself. Collect the "
    "account's reports, which settle what they mention, or look at the vendor's own records: "
    "airflow sms settle '{}' shows what speaks for either and takes your decision. Then clear the task; with "
    "on_unknown='ignore' it lets be what is still unknown, with 'resend' it risks a second copy."
)


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
    :raises SubmitUnknown: batches are left whose outcome is not known, and ``on_unknown`` is not ``ignore``,
        or nothing at all was accepted.
    """
    if order.on_unknown not in ON_UNKNOWN:
        raise errors.PreflightError(
            [f"on_unknown is {order.on_unknown!r}: use one of {', '.join(ON_UNKNOWN)}"], "send"
        )
    if not order.send_key or len(order.send_key) > _LONGEST_KEY:
        raise errors.PreflightError([f"send_key must have 1 to {_LONGEST_KEY} characters"], "send")
    gateway.vendor.require(Operation.SEND, gateway.account.conn_id)
    ledger = Ledger(store)
    planned = _plan(gateway, ledger, order, recipients, log)
    submitting = Submitting(
        gateway,
        ledger,
        order.send_key,
        one_text=order.template is None,
        resend=order.on_unknown == "resend",
        log=log,
        sleep=sleep,
        planned=planned,
    )
    submitting.submit_all()
    return _conclude(ledger.summary(order.send_key), submitting.judge, order, log)


# --- plan ------------------------------------------------------------------------------------------


def _plan(
    gateway: Gateway,
    ledger: Ledger,
    order: SendOrder,
    recipients: Callable[[], Columns],
    log: logging.Logger | Any,
) -> dict[int, Submission]:
    """
    Put a new send into the ledger; the plan of a send that is already there stands as it was made.

    :return: the batches that were put there, by their numbers, so that nobody has to read them again.
    """
    vendor, account = gateway.vendor, gateway.account
    fingerprint = _fingerprint(gateway, order)
    known = ledger.send(order.send_key)
    if known is not None and _same_send(known, gateway, fingerprint, order, log):
        return {}
    if (order.content is None) == (order.template is None):
        raise errors.PreflightError(["give exactly one of content and template"], "send")
    columns = recipients()
    if known is not None:
        _check_people(known, planning.people_of(vendor, account, columns), ledger)
        return {}
    send_at, problems = planning.moment(account, order.send_at, datetime.now(UTC))
    if order.template is None:
        plan = planning.plan_text(
            vendor, account, columns, order.content or "", extno=order.extno, problems=problems
        )
    else:
        plan = planning.plan_template(
            vendor, account, columns, order.template, extno=order.extno, problems=problems
        )
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
        template_id=None if order.template is None else template_id(order.template),
    )
    batches = [
        PlannedBatch(
            batch_no=number,
            reference=new_reference(),
            mobiles=submit.mobiles,
            content=submit.content,
            contents=submit.contents,
            values=submit.values,
            segments=list(map(segments, submit.contents)) or segments(submit.content),
            send_at=send_at,
            extno=order.extno,
        )
        for number, submit in enumerate(plan.submits, 1)
    ]
    if not ledger.plan(planned, batches):
        log.warning("another run of this task has just planned the same send: going on with its plan")
        return {}
    return {
        batch.batch_no: Submission(
            tuple(batch.mobiles), batch.content, tuple(batch.values), batch.send_at, batch.extno
        )
        for batch in batches
    }


def _fingerprint(gateway: Gateway, order: SendOrder) -> str:
    parts = (gateway.vendor.name, order.content or "", order.template or "")
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _same_send(
    known: SendRow, gateway: Gateway, fingerprint: str, order: SendOrder, log: logging.Logger | Any
) -> bool:
    """
    Accept another try of the same task, refuse another use of the same key.

    A task that is tried again may well render another text (a time of day) or other rows: the first plan
    stands, as some people have read it already. Somebody else with another text under this key is a mistake
    that would otherwise end as a green task that sent nothing.

    :return: whether it is the same task; if not, the recipients are to be compared as well.
    :raises PreflightError: another text, or another connection: the batches were cut for the first one.
    """
    origin = order.origin
    same_task = bool(origin.run_id) and (known.dag_id, known.task_id, known.run_id, known.map_index) == (
        origin.dag_id, origin.task_id, origin.run_id, origin.map_index,
    )  # fmt: skip
    planned_at = known.created_at.isoformat()
    log.info("send key %s was planned at %s: going on where it stands", order.send_key, planned_at)
    account = gateway.account
    if (known.conn_id, known.vendor) != (account.conn_id, account.vendor):
        msg = (
            f"send key {order.send_key!r} was planned at {planned_at} for connection {known.conn_id!r} "
            f"({known.vendor}), now it is {account.conn_id!r} ({account.vendor}): go back to that one, "
            "or give a new send_key, which sends to everybody anew"
        )
        raise errors.PreflightError([msg], "send")
    if known.fingerprint == fingerprint:
        return same_task
    if not same_task:
        msg = (
            f"send key {order.send_key!r} was used at {planned_at} for another text: "
            "give a new send_key to send this one"
        )
        raise errors.PreflightError([msg], "send")
    log.warning(
        "the text differs from the first try's; the first plan stands, since people may have read it already"
    )
    return True


def _check_people(known: SendRow, people: set[str], ledger: Ledger) -> None:
    """
    Compare the recipients with those of the plan.

    :raises PreflightError: others would get nothing, and the first one's counts would look like theirs.
    """
    planned: set[str] = set()
    for batch in ledger.batches(known.send_key):
        planned.update(ledger.submission(known.send_key, batch.batch_no).mobiles)
    if planned != people:
        msg = (
            f"send key {known.send_key!r} was used at {known.created_at.isoformat()} for other recipients "
            f"({len(people - planned):,} of these were not among them): give a new send_key to send to these"
        )
        raise errors.PreflightError([msg], "send")


# --- conclude --------------------------------------------------------------------------------------


def _conclude(
    summary: SendSummary, judge: Judge, order: SendOrder, log: logging.Logger | Any
) -> dict[str, Any]:
    """Give the counts, or raise the error that says what is left and what a retry will do."""
    counts = (
        f"send {summary.send_key}: of {summary.recipients:,} recipients {summary.accepted:,} accepted, "
        f"{summary.rejected:,} rejected, {summary.unknown:,} unknown, {summary.not_sent:,} not sent"
    )
    if judge.first_refusal is not None:
        refusal = judge.first_refusal
        message = (
            f"{counts}. {refusal} After that is mended, clear the task: it sends what was rejected or not "
            f"sent, and nothing twice.{_left_alone(summary)}"
        )
        words = {"words": refusal.words} if isinstance(refusal, errors.ContentRejected) else {}
        raise type(refusal)(message, refusal.code, **words)
    why = f" ({judge.last_failure})" if judge.last_failure else ""
    if judge.misdirected:
        # Not for a retry: each would only make more batches unknown.
        raise errors.SubmitUnknown(
            f"{counts}{why}. What answers is not the vendor's service: correct the connection's address, "
            f"then clear the task: it sends what was not sent.{_left_alone(summary)}"
        )
    if summary.not_sent:
        # Before the unknown ones: Airflow's retry must get its chance to send what surely was not.
        raise errors.SubmitNotSent(
            f"{counts}{why}. A retry sends what was not sent, and nothing twice.{_left_alone(summary)}"
        )
    if summary.unknown and order.on_unknown != "ignore":
        raise errors.SubmitUnknown(f"{counts}{why}.{_left_alone(summary)}")
    if summary.unknown and not summary.accepted:
        raise errors.SubmitUnknown(
            f"{counts}{why}. Nothing of it is known to be accepted, of which on_unknown='ignore' makes no "
            f"success.{_left_alone(summary)}"
        )
    log.info(counts)
    return summary.as_dict()


def _left_alone(summary: SendSummary) -> str:
    return f" {_WHAT_UNKNOWN_MEANS.format(summary.send_key)}" if summary.unknown else ""
