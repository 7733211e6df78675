"""The collecting half of a poke: take part if the queue is free, and outlive the vendor's bad minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_sms.collecting import Collector, queue_named
from airflow_provider_sms.errors import QueueBusy, VendorBusy, VendorUnreachable

if TYPE_CHECKING:
    from airflow_provider_sms.hooks.sms import SmsHook
    from airflow_provider_sms.store.engine import Store

#: A poke collects for so long, then looks at the tables; the next one goes on.
_POKE_SECONDS = 60.0


def collect_if_free(hook: SmsHook, store: Store, queue: str, owner: str, log: Any) -> None:
    """
    Collect what the vendor has, unless somebody else does or the vendor asks for patience.

    A sensor's life is to wait: errors that time mends are logged, and the next poke tries again.

    :raises SmsError: any error that waiting does not mend.
    """
    with hook.gateway() as gateway:
        collector = Collector(gateway, store, queue_named(queue), owner=owner, log=log)
        try:
            collector.run(max_seconds=_POKE_SECONDS, patient=False)
        except QueueBusy as busy:
            log.info("%s; waiting for what it lands", busy)
        except (VendorBusy, VendorUnreachable) as trouble:
            log.warning("%s; the next poke tries again", trouble)
