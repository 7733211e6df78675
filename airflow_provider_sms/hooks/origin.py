"""Who runs: the task instance behind a context, and what its assets shall say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.sending import Origin, random_send_key
from airflow_provider_sms.submitting import owner_name

if TYPE_CHECKING:
    import logging

    from airflow.providers.common.compat.sdk import Context

#: As many as the store keeps of a lease's owner.
_OWNER_CHARACTERS = 250


def origin_of(context: Context | dict[str, Any]) -> Origin:
    """Give the ids of the running task instance; all empty for the empty context of a script."""
    instance = context.get("ti") if context else None
    if instance is None:
        return Origin()
    map_index = getattr(instance, "map_index", -1)
    return Origin(instance.dag_id, instance.task_id, instance.run_id, -1 if map_index is None else map_index)


def in_task() -> bool:
    """Whether this is called from within a running task, which Airflow may run again."""
    from airflow.providers.common.compat.sdk import get_current_context

    try:
        get_current_context()
    except RuntimeError:
        return False
    return True


def made_up_send_key(log: logging.Logger | Any) -> str:
    """
    Make up the key of a send that was given none, and log it.

    :raises PreflightError: within a task, each try of which would make up another and send everything again.
    """
    if in_task():
        problem = "give a send_key: a retry must know its send; e.g. send_key=f'{run_id}/welcome'"
        raise PreflightError([problem], "send")
    return random_send_key(log)


def owner_of(context: Context | dict[str, Any]) -> str:
    """Name the running task, or host and process in a script, as the holder of a lease."""
    origin = origin_of(context)
    if not origin.task_id:
        return owner_name()
    # What makes it unique is at its end: two runs of a task with one name would both hold the lease.
    name = owner_name()
    task = f"{origin.dag_id}.{origin.task_id}"[: _OWNER_CHARACTERS - len(name) - 1]
    return f"{task} {name}"


def tell_assets(context: Context | dict[str, Any], conn_id: str, queue: str, counts: dict[str, Any]) -> None:
    """Put the counts of a collection into the extra of its asset's event, for the DAGs it wakes."""
    from airflow_provider_sms.assets import queue_asset

    events = context.get("outlet_events") if context else None
    asset = queue_asset(conn_id, queue)
    if events is not None and any(
        getattr(outlet, "uri", "") == asset.uri for outlet in context["task"].outlets
    ):
        events[asset].extra = {name: counts[name] for name in ("pages", "records", "quarantined", "suspect")}
