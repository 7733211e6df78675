"""
A visit to a vendor's queue, as a thread of the triggerer makes it: read it if it is due.

It is the same collection that a worker does, all of it in one go: each way from the event loop to a thread
and back costs as much as a question to the store.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_sms import metrics
from airflow_provider_sms.collecting import Collector, queue_named
from airflow_provider_sms.store.leases import Leases

if TYPE_CHECKING:
    from airflow_provider_sms.collecting import Collected
    from airflow_provider_sms.triggers.access import Opened

_LONGEST_VISIT = 60.0


class Visit(NamedTuple):
    """
    What came of a visit.

    :param wait: seconds until the queue may be read.
    :param read_at: when it was read last, before this visit and by whomever, by ``time.monotonic``; never is
        minus infinity.
    :param collected: what was collected; ``None`` if the queue was not due.
    :param found: which read was the last before this visit; ``None`` if there was none.
    :param left: which one was the last when this visit gave the queue back; what is found there the next time
        is equal to it unless others have read since.
    """

    wait: float
    read_at: float
    collected: Collected | None = None
    found: Any = None
    left: Any = None


def visit(
    opened: Opened, conn_id: str, queue: str, interval: float, log: Any, *, ages: bool = False
) -> Visit:
    """
    Read a queue, unless it was read less than ``interval`` seconds ago by anybody.

    :param opened: its gateway and store.
    :param interval: seconds from one read to the next that are wanted here, besides the vendor's own.
    :param log: where troubles are told, and what landed.
    :param ages: whether to tell the metrics what has been waited for the longest, which costs two questions.
    :raises QueueBusy: somebody else reads this queue.
    :raises SmsError: as :meth:`~airflow_provider_sms.collecting.Collector.run` does.
    """
    due = Leases(opened.store).due(conn_id, queue, interval)
    read_at = -math.inf if due.age is None else time.monotonic() - due.age
    if due.wait > 0:
        return Visit(due.wait, read_at, found=due.last)
    tags = metrics.Tags(opened.gateway.vendor.name, conn_id, queue, core=True, legacy=opened.legacy_metrics)
    metrics.queue_age(tags, due.age)
    collector = Collector(
        opened.gateway, opened.store, queue_named(queue), owner=opened.owner, log=_Quiet(log)
    )
    try:
        with metrics.of_collection(tags, collector, opened.store, ages=ages):
            collected = collector.run(max_seconds=_LONGEST_VISIT, patient=False, interval=interval)
    finally:
        # The next poll is seconds away. A connection kept until then may be closed by the vendor in the very
        # moment in which it is asked again, and a read without an answer may have cost records.
        opened.gateway.close()
    if collected.records:
        log.info("%d records of the %s of connection %r landed", collected.records, queue, conn_id)
    return Visit(0.0, read_at, collected, due.last, collector.last_read)


class _Quiet:
    """A log for collections that happen every few seconds: what went well is for those who debug."""

    def __init__(self, log: Any) -> None:
        self.info = log.debug
        self.debug = log.debug
        self.warning = log.warning
        self.error = log.error
