"""The collecting half of a poke: take part if the queue is free, and outlive the vendor's bad minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_sms import metrics
from airflow_provider_sms.collecting import Collected, Collector, queue_named
from airflow_provider_sms.errors import QueueBusy, VendorBusy, VendorUnreachable
from airflow_provider_sms.store.leases import Leases

if TYPE_CHECKING:
    from airflow_provider_sms.hooks.sms import SmsHook
    from airflow_provider_sms.store.engine import Store

#: A poke collects for so long, then looks at the tables; the next one goes on.
_POKE_SECONDS = 60.0


def collect_if_free(
    hook: SmsHook,
    store: Store,
    queue: str,
    owner: str,
    log: Any,
    interval: float = 0.0,
    *,
    patient: bool = True,
) -> Collected:
    """
    Collect what the vendor has, unless somebody else does or the vendor asks for patience.

    A sensor's life is to wait: errors that time mends are logged, and the next poke tries again.

    :param interval: leave the queue alone if anybody has read it less than so many seconds ago.
    :param patient: wait out the vendor's least interval between two reads; otherwise stop there.
    :return: what was collected here.
    :raises SmsError: any error that waiting does not mend.
    """
    due = Leases(store).due(hook.sms_conn_id, queue, interval)
    if interval > 0 and due.wait > 0:
        log.info("the queue was read a moment ago: looking at what landed")
        return Collected()
    with hook.gateway() as gateway:
        tags = metrics.Tags(gateway.vendor.name, hook.sms_conn_id, queue)
        collector = Collector(gateway, store, queue_named(queue), owner=owner, log=log)
        metrics.queue_age(tags, due.age)
        try:
            with metrics.of_collection(tags, collector, store):
                return collector.run(max_seconds=_POKE_SECONDS, patient=patient, interval=interval)
        except QueueBusy as busy:
            log.info("%s; waiting for what it lands", busy)
        except (VendorBusy, VendorUnreachable) as trouble:
            log.warning("%s; the next poke tries again", trouble)
    return collector.so_far
