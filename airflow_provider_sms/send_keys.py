"""
What a send key stands for: a plan that is made once, and what becomes of whoever comes with the key again.

A task that is tried again may well render another text (a time of day), another time or other people. As long
as nobody can have read anything, its new plan takes the place of the first; after that the first one stands,
and what differs is told. Somebody else with another text, or for other people, under a known key is a mistake
that would otherwise end as a green task that sent nothing.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow_provider_sms import planning
from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.records import BatchState, Submission
from airflow_provider_sms.store.plans import UNSENT, OwnPlan, PlannedBatch, PlannedSend, Replaced
from airflow_provider_sms.store.template_id import template_id
from airflow_provider_sms.submitting import new_reference
from airflow_provider_sms.text import segments

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from airflow_provider_sms.gateway import Gateway
    from airflow_provider_sms.orders import SendOrder
    from airflow_provider_sms.recipients import Columns
    from airflow_provider_sms.store.ledger import Ledger
    from airflow_provider_sms.store.plans import SendRow

#: What a caller has to know who comes with something else.
IT_STANDS = (
    "the plan stands, because people may have read it; to send another text or time give a new send_key and "
    "only the people not reached"
)


def plan_or_go_on(
    gateway: Gateway,
    ledger: Ledger,
    order: SendOrder,
    recipients: Callable[[], Columns],
    log: logging.Logger | Any,
) -> OwnPlan:
    """
    Put a new send into the ledger, or see whether a known one may go on.

    :return: what the ledger has of this run's.
    :raises PreflightError: the input cannot be used, or the key was used for something else.
    """
    if (order.content is None) == (order.template is None):
        raise PreflightError(["give exactly one of content and template"], "send")
    people = cache(recipients)
    known = ledger.send(order.send_key)
    if known is None:
        batches = _cut(gateway, order, people(), log)
        if made_at := ledger.plan(_send_of(gateway, order), batches):
            return OwnPlan(_submissions(batches), made_at)
        log.warning("another run has planned a send under this key in this very moment")
        known = ledger.send(order.send_key)
    assert known is not None  # noqa: S101 - a key that is used stays used
    planned_at = known.created_at.isoformat()
    log.info("send key %s was planned at %s: going on where it stands", order.send_key, planned_at)
    _check_connection(known, gateway)
    if _is_same_task(known, order):
        return _go_on(gateway, ledger, order, known, people, log)
    if known.fingerprint not in _fingerprints(gateway, order):
        raise _refusal(known, "another text, time, extension or signature", "send this one")
    _check_people(known, planning.people_of(gateway.vendor, gateway.account, people()), ledger)
    _check_texts(known, _texts(gateway, order, people()), ledger)
    _check_time(gateway, ledger, order)
    return OwnPlan()


# --- a plan ----------------------------------------------------------------------------------------


def _cut(
    gateway: Gateway,
    order: SendOrder,
    columns: Columns,
    log: logging.Logger | Any,
    known: datetime | None = None,
) -> list[PlannedBatch]:
    vendor, account = gateway.vendor, gateway.account
    send_at, problems = planning.moment(account, order.send_at, datetime.now(UTC), known)
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
    return [
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


def _send_of(gateway: Gateway, order: SendOrder) -> PlannedSend:
    origin = order.origin
    return PlannedSend(
        send_key=order.send_key,
        conn_id=gateway.account.conn_id,
        vendor=gateway.vendor.name,
        fingerprint=_fingerprints(gateway, order)[0],
        dag_id=origin.dag_id,
        task_id=origin.task_id,
        run_id=origin.run_id,
        map_index=origin.map_index,
        template_id=None if order.template is None else template_id(order.template),
    )


def _submissions(batches: list[PlannedBatch]) -> dict[int, Submission]:
    return {
        batch.batch_no: Submission(
            tuple(batch.mobiles), batch.content, tuple(batch.values), batch.send_at, batch.extno,
            batch.reference,
        )
        for batch in batches
    }  # fmt: skip


def _fingerprints(gateway: Gateway, order: SendOrder) -> tuple[str, str]:
    """Give the fingerprint, and the one that 0.1 would have given: it did not see all that people read."""
    account = gateway.account
    signed = [
        "" if text is None else planning.signed(gateway.vendor, account, text)
        for text in (order.content, order.template)
    ]
    moment, _ = planning.written_moment(account, order.send_at)
    when = "" if moment is None else moment.astimezone(UTC).isoformat()
    first = (gateway.vendor.name, order.content or "", order.template or "")
    second = ("2", gateway.vendor.name, *signed, when, order.extno)
    return _digest(second), _digest(first)


def _digest(parts: tuple[str, ...]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


# --- a known key -----------------------------------------------------------------------------------


def _check_connection(known: SendRow, gateway: Gateway) -> None:
    """Refuse another connection: the batches were cut for the first one."""
    account = gateway.account
    if (known.conn_id, known.vendor) != (account.conn_id, account.vendor):
        msg = (
            f"send key {known.send_key!r} was planned at {known.created_at.isoformat()} for connection "
            f"{known.conn_id!r} ({known.vendor}), now it is {account.conn_id!r} ({account.vendor}): go back "
            "to that one, or give a new send_key, which sends to everybody anew"
        )
        raise PreflightError([msg], "send")


def _is_same_task(known: SendRow, order: SendOrder) -> bool:
    origin = order.origin
    return bool(origin.run_id) and (known.dag_id, known.task_id, known.run_id, known.map_index) == (
        origin.dag_id, origin.task_id, origin.run_id, origin.map_index,
    )  # fmt: skip


def _refusal(known: SendRow, what: str, how: str) -> PreflightError:
    msg = (
        f"send key {known.send_key!r} was used at {known.created_at.isoformat()} for {what}: "
        f"give a new send_key to {how}"
    )
    return PreflightError([msg], "send")


def _counted(problems: list[str], ledger: Ledger, order: SendOrder) -> PreflightError:
    return PreflightError(problems, "send", ledger.summary(order.send_key).in_words())


def _check_people(known: SendRow, people: set[str], ledger: Ledger) -> None:
    """Refuse other recipients: they would get nothing, and the first one's counts would look like theirs."""
    planned = ledger.people(known.send_key)
    if planned != people:
        others = f"other recipients ({len(people - planned):,} of these were not among them)"
        raise _refusal(known, others, "send to these")


def _texts(gateway: Gateway, order: SendOrder, columns: Columns) -> dict[str, str]:
    """Give what each recipient is to read, where that is each one's own."""
    if order.template is None:
        return {}
    return planning.texts_of(gateway.vendor, gateway.account, columns, order.template)


def _changed(texts: dict[str, str], ledger: Ledger, send_key: str) -> int:
    """Count the recipients of the plan who are to read something else now."""
    planned = ledger.texts(send_key) if texts else {}
    return sum(planned.get(mobile, content) != content for mobile, content in texts.items())


def _check_texts(known: SendRow, texts: dict[str, str], ledger: Ledger) -> None:
    """Refuse other values for the template's fields: nobody would ever read them."""
    if changed := _changed(texts, ledger, known.send_key):
        what = f"other values of the template's fields ({changed:,} recipients would read something else)"
        raise _refusal(known, what, "send these")


def _check_time(gateway: Gateway, ledger: Ledger, order: SendOrder) -> None:
    """Refuse to send at once what the caller now wants later, where the plan knows no time to come."""
    wanted, _ = planning.written_moment(gateway.account, order.send_at)
    planned, now = ledger.scheduled(order.send_key), datetime.now(UTC)
    if wanted is None or wanted <= now or (planned is not None and planned > now):
        return
    to_send = UNSENT | {BatchState.UNKNOWN} if order.on_unknown == "resend" else UNSENT
    if ledger.states(order.send_key) & to_send:
        problem = f"send_at is to come, by the first plan the rest would go out at once: {IT_STANDS}"
        raise _counted([problem], ledger, order)


# --- the same task again ---------------------------------------------------------------------------


def _go_on(
    gateway: Gateway,
    ledger: Ledger,
    order: SendOrder,
    known: SendRow,
    recipients: Callable[[], Columns],
    log: logging.Logger | Any,
) -> OwnPlan:
    """Replace the plan if nobody can have read it, else tell what is not in it."""
    same = known.fingerprint in _fingerprints(gateway, order)
    unread = ledger.states(order.send_key) <= UNSENT
    scheduled = ledger.scheduled(order.send_key)
    people, texts, batches = set[str](), dict[str, str](), list[PlannedBatch]()
    were_read = False
    try:
        columns = recipients()
        were_read = True
        people = planning.people_of(gateway.vendor, gateway.account, columns)
        if unread:
            batches = _cut(gateway, order, columns, log, scheduled)
        else:
            texts = _texts(gateway, order, columns)
    except Exception as failure:
        if unread and (were_read or not same):
            # Neither the first text nor the first people are what the caller wants any more.
            raise
        # What was planned once can be sent without them.
        log.warning(
            "the recipients cannot be read again (%s): going on with the plan's", type(failure).__name__
        )
    replaced, made_at = Replaced.STANDS, None
    if batches:
        replaced, made_at = ledger.replace(_send_of(gateway, order), batches)
    if replaced is Replaced.REPLACED:
        log.warning(
            "text, time or recipients differ from the first try's, of which nothing can have been read: the "
            "plan is replaced and has %s recipients now", f"{len(people):,}",
        )  # fmt: skip
        return OwnPlan(_submissions(batches), made_at)
    left_out = ""
    if replaced is Replaced.STANDS:
        if not same:
            log.warning("text, time, extension or signature differ from the first try's: %s", IT_STANDS)
        _check_time(gateway, ledger, order)
        with suppress(PreflightError):  # purged: nobody can tell any more
            left_out = _left_out(ledger, order, people, log)
            if same and (changed := _changed(texts, ledger, order.send_key)):
                log.warning(
                    "the values of the template's fields differ from the first try's for %s recipients: %s",
                    f"{changed:,}", IT_STANDS,
                )  # fmt: skip
    return OwnPlan(made_at=made_at, left_out=left_out)


def _left_out(ledger: Ledger, order: SendOrder, people: set[str], log: logging.Logger | Any) -> str:
    """Count the recipients who are not in the plan: once the rest is sent, the task must not be green."""
    count = len(people - ledger.people(order.send_key)) if people else 0
    if not count:
        return ""
    problem = (
        f"{count:,} numbers are not in this send's plan and get nothing; send to them under a new send_key"
    )
    log.warning(problem)
    return problem
