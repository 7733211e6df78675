"""
Assets: what landed where, so that a DAG can be scheduled on it.

``sms://<conn_id>/reports`` and ``sms://<conn_id>/replies`` are the two queues of an account as landed in the
store; ``sms://daily/deliveries`` is the table ``sms_delivery_daily``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from urllib.parse import SplitResult

    from airflow.sdk import Asset, AssetWatcher


def queue_asset(conn_id: str, queue: str, *, watchers: Sequence[AssetWatcher] = ()) -> Asset:
    """
    Give the asset of a queue's landed rows.

    :param conn_id: id of the account's connection.
    :param queue: ``"reports"`` or ``"replies"``.
    :param watchers: with a :class:`~airflow_provider_sms.triggers.sms.SmsQueueEventTrigger` each, which
        polls the queue and updates the asset when something has landed; without one it is updated by the
        tasks that collect.
    """
    from airflow.providers.common.compat.sdk import Asset

    return Asset(uri=f"sms://{conn_id}/{queue}", watchers=list(watchers))


def daily_asset() -> Asset:
    """Give the asset of the table ``sms_delivery_daily``."""
    from airflow.providers.common.compat.sdk import Asset

    return Asset(uri="sms://daily/deliveries")


def add_outlet(operator: Any, kwargs: dict[str, Any], asset: Asset) -> None:
    """
    Make an asset the outlet of an operator whose DAG names none.

    :param operator: the operator, while it is made.
    :param kwargs: what was given of Airflow's own parameters; an empty list of outlets is one without any.
    :param asset: the asset.
    """
    # partial() fills in an empty list, by which a mapped task would never tell its asset.
    filled_in = getattr(operator, "_BaseOperator__from_mapped", False) and not kwargs.get("outlets")
    if filled_in or "outlets" not in kwargs:
        kwargs["outlets"] = [asset]


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """
    Check an ``sms://`` address as Airflow asks it.

    :raises ValueError: when it does not name a connection and something of it.
    """
    if not uri.netloc or not uri.path.strip("/"):
        msg = "an SMS asset reads sms://<conn_id>/reports or sms://<conn_id>/replies"
        raise ValueError(msg)
    return uri
