"""What the notifier does: word the alert, ask the storm guard, send by the ledger, and be honest about it."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_sms import errors
from airflow_provider_sms.notifications.wording import worded
from airflow_provider_sms.recipients import MOBILE, from_values
from airflow_provider_sms.redact import shown_instead
from airflow_provider_sms.sending import SendOrder, send
from airflow_provider_sms.store.storms import Held, Storms, digest_of
from airflow_provider_sms.text import normalise_mobile

if TYPE_CHECKING:
    from airflow_provider_sms.gateway import Gateway
    from airflow_provider_sms.hooks.sms import SmsHook
    from airflow_provider_sms.sending import Origin
    from airflow_provider_sms.store.engine import Store

_LONGEST_KEY = 250
#: A message is on its way for as long as three tries and their pauses may take.
_TRIES = 3
_PAUSES_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Alert:
    """
    One alert.

    :param to: numbers, as the user gave them.
    :param content: the text.
    :param event: what it is about: the same for the same try of the same task; empty if nobody knows.
    :param origin: the task instance it is about.
    :param extno: extension digits behind the sender's number.
    :param most: characters at most.
    :param window: seconds in which the same text goes to the same number once.
    :param per_hour: texts that a number gets in an hour.
    """

    to: Any = field(repr=False)
    content: str = field(repr=False)
    event: str
    origin: Origin
    extno: str
    most: int
    window: float
    per_hour: int


def raise_alert(hook: SmsHook, alert: Alert, log: Any) -> None:
    """
    Send an alert to all numbers that may be told now.

    :raises PreflightError: numbers are none; the others were told.
    :raises SmsError: as for a send; whoever surely was not told may be told by the next alert.
    """
    mobiles, problems = _numbers(alert.to, landline=hook.vendor.limits_for(hook.account).landline)
    failures: list[errors.SmsError] = []
    if problems:
        failures.append(errors.PreflightError(problems, "alert"))
    if mobiles:
        pending = hook.account.endpoint.timeout * _TRIES + _PAUSES_SECONDS
        storms = Storms(
            hook.store(), hook.sms_conn_id, window=alert.window, per_hour=alert.per_hour, pending=pending
        )
        failures += _tell(hook, alert, mobiles, storms, log)
    if failures:
        raise failures[0]


def _numbers(to: Any, *, landline: bool) -> tuple[list[str], list[str]]:
    given = from_values(to)[MOBILE]
    found = [normalise_mobile(each, landline=landline) for each in given]
    wrong = [
        shown_instead(str(each).strip()) for each, good in zip(given, found, strict=True) if good is None
    ]
    mobiles = list(dict.fromkeys(mobile for mobile in found if mobile))
    problems = []
    if wrong:
        problems.append(
            f"{len(wrong)} of {len(given)} numbers are no mainland Chinese mobile numbers "
            f"({', '.join(wrong[:10])}): correct them; "
            f"{'the others were told' if mobiles else 'nobody was told'}"
        )
    elif not mobiles:
        problems.append("'to' is empty: nobody was told")
    return mobiles, problems


def _tell(hook: SmsHook, alert: Alert, mobiles: list[str], storms: Storms, log: Any) -> list[errors.SmsError]:
    digest = digest_of(alert.content)
    admitted = storms.admit(mobiles, digest)
    if admitted.suppressed:
        log.info(
            "storm guard: %d of %d numbers got this text within %.0f s, or %d alerts within an hour; "
            "the next message to them says how many were held back",
            admitted.suppressed,
            len(mobiles),
            alert.window,
            alert.per_hour,
        )
    failures: list[errors.SmsError] = []
    groups: dict[Held, list[str]] = {}
    for mobile, held in admitted.held.items():
        groups.setdefault(held, []).append(mobile)
    with hook.gateway() as gateway:
        for held, group in groups.items():
            share = dict.fromkeys(group, held)
            try:
                _send(gateway, hook.store(), alert, held, group, log)
            except errors.SubmitUnknown as unknown:
                # It may have arrived: the next one within the window would be a repeat.
                storms.sent(share, digest)
                failures.append(unknown)
            except errors.SmsError as failure:
                storms.failed(share, digest)
                failures.append(failure)
            else:
                storms.sent(share, digest)
    return failures


def _send(gateway: Gateway, store: Store, alert: Alert, held: Held, group: list[str], log: Any) -> None:
    wording = worded(gateway.vendor, gateway.account, alert.content, held, alert.most)
    if wording.shortened:
        log.warning("the alert was too long: its last %d characters were cut off", wording.shortened)
    if wording.replaced:
        log.warning(
            "%d characters of the alert are none of the vendor's charset (%s): each is sent as □",
            wording.replaced,
            gateway.account.charset,
        )
    order = SendOrder(
        send_key=_send_key(gateway.account.conn_id, alert, wording.content, group),
        content=wording.content,
        extno=alert.extno,
        origin=alert.origin,
    )
    send(gateway, store, order, lambda: {MOBILE: list(group)}, log=log)


def _send_key(conn_id: str, alert: Alert, content: str, group: list[str]) -> str:
    event = alert.event
    if not event:
        return f"alert/{uuid.uuid4().hex}"
    # By each connection: two notifiers of two vendors, one for when the other fails, are two alerts.
    told = "\0".join((event, conn_id, alert.extno, content, *group))
    what = hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()
    return f"alert/{event}"[: _LONGEST_KEY - 33] + f"/{what[:32]}"
