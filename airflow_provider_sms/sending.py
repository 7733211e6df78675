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

import time
import unicodedata
import uuid
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_sms import errors
from airflow_provider_sms.orders import LONGEST_KEY, ON_UNKNOWN, Origin, SendOrder, as_typed
from airflow_provider_sms.records import Balance, BalanceSource
from airflow_provider_sms.send_keys import IT_STANDS, plan_or_go_on
from airflow_provider_sms.store.balances import Balances
from airflow_provider_sms.store.ledger import Ledger
from airflow_provider_sms.store.statistics import have_seen
from airflow_provider_sms.submitting import Submitting
from airflow_provider_sms.vendors.base import Operation

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from airflow_provider_sms.gateway import Gateway
    from airflow_provider_sms.judging import Judge, Told
    from airflow_provider_sms.recipients import Columns
    from airflow_provider_sms.store.engine import Store
    from airflow_provider_sms.store.plans import SendSummary

__all__ = ["ON_UNKNOWN", "Origin", "SendOrder", "random_send_key", "send"]

#: What Jinja and JSON make of nothing.
_NO_KEY = frozenset({"none", "null", "nan", "undefined"})
_WHAT_UNKNOWN_MEANS = (
    "Unknown means that the vendor may have accepted it: nothing is sent again by itself. Where the vendor "
    "gives reports, collect them: they settle what they mention. Or look at the vendor's own records: "
    "airflow sms settle {} shows what speaks for either and takes your decision. Then clear the task; with "
    "on_unknown='ignore' it lets be what is still unknown, with 'resend' it risks a second copy."
)


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
    :raises PreflightError: the input cannot be used, or names people who are not in the plan of a known key;
        what was accepted is counted.
    :raises VendorRejected: the vendor refused a batch; others may be accepted.
    :raises SubmitNotSent: batches are left that surely were not sent.
    :raises StoreUnavailable: the store went away; the counts are in the text where it can still be asked.
    :raises SubmitUnknown: batches are left whose outcome is not known, and ``on_unknown`` is not ``ignore``.
    """
    order = _checked(order)
    gateway.vendor.require(Operation.SEND, gateway.account.conn_id)
    ledger = Ledger(store)
    own = plan_or_go_on(gateway, ledger, order, recipients, log)
    submitting = Submitting(
        gateway,
        ledger,
        order.send_key,
        one_text=order.template is None,
        resend=order.on_unknown == "resend",
        log=log,
        sleep=sleep,
        own=own,
    )
    try:
        submitting.submit_all()
    except (errors.PreflightError, errors.StoreUnavailable) as failure:
        raise _counted(failure, ledger, order.send_key) from failure
    _keep_balance(gateway, store, submitting.judge.remaining)
    summary = ledger.summary(order.send_key)
    with suppress(errors.StoreUnavailable):
        have_seen(store, summary.recipients)
    result = _conclude(summary, submitting.judge, order, log)
    if own.left_out:
        raise errors.PreflightError([own.left_out], "send", summary.in_words())
    return result


def _checked(order: SendOrder) -> SendOrder:
    """
    Take an order as templates may have rendered it, natively or as text.

    :raises PreflightError: listing what is wrong with its parts.
    """
    key: Any = order.send_key
    # A date without dashes, rendered natively.
    key = str(key) if isinstance(key, int) and not isinstance(key, bool) else key
    extno: Any = "" if order.extno is None else order.extno
    problems = []
    if order.on_unknown not in ON_UNKNOWN:
        problems.append(f"on_unknown is {order.on_unknown!r}: use one of {', '.join(ON_UNKNOWN)}")
    if not isinstance(key, str):
        problems.append(f"send_key is a {type(key).__name__}: give text")
    elif not key.strip() or len(key) > LONGEST_KEY:
        problems.append(f"send_key must have 1 to {LONGEST_KEY} characters")
    elif key.strip().lower() in _NO_KEY:
        problems.append(
            f"send_key is {key!r}, which is how templates write that there is none: every run would be taken "
            "for the first one. Leave it empty for the task's own key, or give the template a default"
        )
    elif key != order.origin.send_key:
        problems += _spelling_problems(key)
    if not isinstance(extno, str):
        problems.append(f"extno is a {type(extno).__name__}: give text, since zeros in front count")
    for name in ("content", "template"):
        value = getattr(order, name)
        if value is not None and not isinstance(value, str):
            problems.append(f"{name} is a {type(value).__name__}: give text")
    if problems:
        raise errors.PreflightError(problems, "send")
    return replace(order, send_key=key, extno=extno)


def _spelling_problems(key: str) -> list[str]:
    """Find what a database refuses in a key, or does not tell from another one."""
    problems = []
    if key != key.strip():
        problems.append(
            "send_key begins or ends with a blank, and not every database tells it from the key without: "
            "leave the blank out, in a template by | trim"
        )
    found = [character for character in key if unicodedata.category(character) in {"Cc", "Cs"}]
    if found:
        named = ", ".join(f"U+{ord(character):04X}" for character in dict.fromkeys(found))
        problems.append(f"send_key holds what is no character of a text ({named}): leave it out")
    return problems


def _keep_balance(gateway: Gateway, store: Store, told: Told | None) -> None:
    """Write down what is left on the account, where answers to sends say so (beidoutong §2.3)."""
    if told is None:
        return
    left = Balance(Decimal(told.remaining), gateway.vendor.balance_unit)
    # The send is over and written down: that this is not known is no reason to fail it.
    with suppress(errors.StoreUnavailable):
        # Of the moment of the answer: others may have sent since.
        checked_at = store.now() - timedelta(seconds=time.monotonic() - told.at)
        Balances(store).record(
            gateway.account.conn_id, gateway.vendor.name, left, checked_at, source=BalanceSource.ANSWER
        )


# --- conclude --------------------------------------------------------------------------------------


def _conclude(
    summary: SendSummary, judge: Judge, order: SendOrder, log: logging.Logger | Any
) -> dict[str, Any]:
    """Give the counts, or raise the error that says what is left and what a retry will do."""
    counts = summary.in_words()
    refusal = judge.first_refusal
    # One text of many that the vendor will not have: the others must get their retry all the same.
    of_one_text = isinstance(refusal, errors.ContentRejected) and order.template is not None
    if refusal is not None and not (of_one_text and summary.not_sent):
        message = f"{counts}. {refusal} {_how_to_mend(refusal, summary, order)}{_left_alone(summary)}"
        words = {"words": refusal.words} if isinstance(refusal, errors.ContentRejected) else {}
        raise type(refusal)(message, refusal.code, **words)
    last = judge.last_failure or refusal
    why = f" ({last})" if last else ""
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
    if summary.unknown:
        log.warning("%s.%s", counts, _left_alone(summary))
    else:
        log.info(counts)
    return summary.as_dict()


def _counted(failure: errors.SmsError, ledger: Ledger, send_key: str) -> errors.SmsError:
    """Make of an error in the middle of a send one that says how the send stands."""
    try:
        summary = ledger.summary(send_key)
    except errors.StoreUnavailable:
        counts = f"send {send_key}: how it stands cannot be told now, batches may be accepted"
    else:
        counts = f"{summary.in_words()}.{_left_alone(summary)}"
    if isinstance(failure, errors.PreflightError):
        return errors.PreflightError(failure.problems, failure.where, counts.rstrip("."))
    counted = errors.StoreUnavailable(
        f"{counts.rstrip('.')}. {failure}. A retry sends what was not sent, and nothing twice"
    )
    counted.deadlocked = isinstance(failure, errors.StoreUnavailable) and failure.deadlocked
    return counted


def _how_to_mend(refusal: errors.VendorRejected, summary: SendSummary, order: SendOrder) -> str:
    if not isinstance(refusal, errors.ContentRejected):
        return (
            "After that is mended, clear the task: it sends what was rejected or not sent, and nothing twice."
        )
    if order.origin.run_id and not summary.accepted and not summary.unknown:
        return (
            "After that is mended, clear the task: nobody can have read anything, so it plans the send anew."
        )
    return f"Clearing the task would only offer the same text again: {IT_STANDS}."


def _left_alone(summary: SendSummary) -> str:
    return f" {_WHAT_UNKNOWN_MEANS.format(as_typed(summary.send_key))}" if summary.unknown else ""
