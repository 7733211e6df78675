"""What the balance operator does: ask or remember, keep, compare, act."""

from __future__ import annotations

import copy
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from airflow_provider_sms import metrics
from airflow_provider_sms.errors import PreflightError, VendorBusy
from airflow_provider_sms.records import amount
from airflow_provider_sms.store.balances import Balances
from airflow_provider_sms.vendors.base import Operation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import BaseNotifier, Context

    from airflow_provider_sms.hooks.sms import SmsHook

#: How many of the vendor's intervals old a balance may be when the vendor refuses to be asked.
_STALE_INTERVALS = 10

ON_LOW = ("fail", "skip", "continue")


def checked_threshold(threshold: Any, on_low: str, task_id: str) -> Decimal:
    """
    Read the operator's parameters.

    :raises PreflightError: listing what is wrong with them.
    """
    problems = []
    if on_low not in ON_LOW:
        problems.append(f"on_low is {on_low!r}: use one of {', '.join(ON_LOW)}")
    try:
        amount = Decimal(str(threshold))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite():
        problems.append(f"threshold is {threshold!r}: give a number in the vendor's unit")
    if problems:
        raise PreflightError(problems, f"task {task_id!r}")
    return amount


def check_balance(hook: SmsHook, threshold: Decimal, log: Any) -> dict[str, Any]:
    """
    Ask for the balance and keep it; where the vendor cannot be asked again yet, take the one just read.

    :return: ``{"remaining", "unit", "low", "checked_at"}``.
    :raises VendorBusy: asked too soon, and no balance of that moment is known.
    """
    balances = Balances(hook.store())
    interval = hook.vendor.intervals.get(Operation.BALANCE, 0.0)
    known = balances.recent(hook.sms_conn_id, interval) if interval else None
    if known is None:
        try:
            known = balances.record(hook.sms_conn_id, hook.vendor.name, hook.balance())
        except VendorBusy as busy:
            # Somebody else asked within the interval; what they learned may be in the store.
            known = balances.recent(hook.sms_conn_id, _STALE_INTERVALS * interval)
            if known is None:
                raise
            log.warning("%s; using the balance read at %s", busy, known.checked_at.isoformat())
    else:
        log.info(
            "the vendor answers every %.0f s: using the balance read at %s",
            interval,
            known.checked_at.isoformat(),
        )
    metrics.balance(metrics.Tags(hook.vendor.name, hook.sms_conn_id), known.remaining)
    low = known.remaining < threshold
    log.info(
        "connection %r: %s left, threshold %s: %s",
        hook.sms_conn_id,
        amount(known.remaining, known.unit),
        threshold,
        "LOW" if low else "fine",
    )
    return {
        "remaining": plain_number(known.remaining),
        "unit": known.unit,
        "low": low,
        "checked_at": known.checked_at.isoformat(),
    }


def act_on(
    result: dict[str, Any],
    on_low: str,
    threshold: Decimal,
    notifiers: Sequence[BaseNotifier] | BaseNotifier,
    context: Context | dict[str, Any],
    conn_id: str,
    log: Any,
) -> None:
    """
    Notify and fail, skip or continue when a balance is low.

    A notifier that fails does not keep the others from being called, nor the task from failing.
    """
    from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

    if not result["low"]:
        return
    told = {**(context or {}), "sms_balance": result, "sms_conn_id": conn_id}
    failed = [type(each).__name__ for each in _each(notifiers) if not _notify(each, told, log)]
    message = (
        f"connection {conn_id!r}: {amount(Decimal(str(result['remaining'])), result['unit'])} left, "
        f"below the threshold of {threshold}: top it up"
    )
    if failed:
        # An alert that nobody got must not end green, whatever on_low says.
        raise AirflowFailException(
            f"{message}; notifiers that failed: {', '.join(failed)} (see the log above)"
        )
    if on_low == "fail":
        raise AirflowFailException(message)
    if on_low == "skip":
        raise AirflowSkipException(message)
    log.warning(message)


def plain_number(amount: Decimal) -> int | float:
    """Give a number that every XCom backend can keep."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def _each(notifiers: Sequence[BaseNotifier] | BaseNotifier) -> list[BaseNotifier]:
    return [notifiers] if callable(notifiers) else list(notifiers)


def _notify(notifier: BaseNotifier, context: dict[str, Any], log: Any) -> bool:
    try:
        # A copy: rendering puts the texts of this call into the notifier, for good.
        copy.copy(notifier)(context)
    except Exception:
        log.exception("notifier %s failed", type(notifier).__name__)
        return False
    return True
