"""
Sensors that wait for delivery reports and replies.

They wait on the tables, not on the vendor's queue: a poke collects if nobody else does, then asks the tables,
so that two DAGs that watch one account never take each other's records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_sms.assets import queue_asset
from airflow_provider_sms.hooks.store import DEFAULT_STORE_CONN_ID
from airflow_provider_sms.hooks.verdict import failing_for_good

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_sms.store.engine import Store


class _QueueSensor(BaseSensorOperator):
    """What both sensors share: collect if the queue is free, then look."""

    _vendor_queue = "reports"
    template_fields: Sequence[str] = ("sms_conn_id", "min_records", "store_conn_id")
    ui_color = "#efe7fb"

    def __init__(
        self,
        *,
        sms_conn_id: str,
        min_records: int | str | None = None,
        store_conn_id: str = DEFAULT_STORE_CONN_ID,
        **kwargs: Any,
    ) -> None:
        if isinstance(sms_conn_id, str) and "{{" not in sms_conn_id:
            kwargs.setdefault("outlets", [queue_asset(sms_conn_id, self._vendor_queue)])
        super().__init__(**kwargs)
        self.sms_conn_id = sms_conn_id
        self.min_records = min_records
        self.store_conn_id = store_conn_id

    def poke(self, context: Context) -> PokeReturnValue:
        """
        Collect if nobody else reads the queue, then look whether what is waited for has landed.

        :return: done or not, with the counts as XCom.
        :raises AirflowFailException: to go on waiting is pointless (wrong password, unknown send key, no such
            queue).
        :raises WireFormatError: what answers is not the vendor.
        """
        from airflow_provider_sms.hooks.origin import owner_of
        from airflow_provider_sms.hooks.sms import SmsHook
        from airflow_provider_sms.sensors.collection import collect_if_free

        with failing_for_good():
            hook = SmsHook.for_connection(self.sms_conn_id, store_conn_id=self.store_conn_id)
            store = hook.store()
            collect_if_free(hook, store, self._vendor_queue, owner_of(context), self.log)
            return self._look(store, context)

    def _look(self, store: Store, context: Context) -> PokeReturnValue:
        raise NotImplementedError


class SmsReportSensor(_QueueSensor):
    """
    Wait for delivery reports.

    :param sms_conn_id: connection of the vendor's account (templated).
    :param send_key: wait for this send (templated): the ``send_key`` that the send operator returned.
    :param min_share: the share of its recipients that must have a final report, 0 to 1; those the vendor
        refused or that were not sent never get one and do not count.
    :param min_records: without a send key: wait until so many reports of the account have landed since the
        DAG run began.
    :param store_conn_id: connection of the store.
    """

    template_fields: Sequence[str] = ("send_key", "min_share", *_QueueSensor.template_fields)
    _vendor_queue = "reports"

    def __init__(self, *, send_key: str | None = None, min_share: float | str = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.send_key = send_key
        self.min_share = min_share

    def _look(self, store: Store, context: Context) -> PokeReturnValue:
        from airflow_provider_sms.sensors import waiting

        waiting.check_report_sensor(self.send_key, self.min_share, self.min_records, self.task_id)
        if self.send_key:
            done, counts = waiting.reports_of_send(store, self.send_key, float(self.min_share))
        else:
            since = waiting.started(context)
            done, counts = waiting.reports_since(store, self.sms_conn_id, since, int(self.min_records or 0))
        self.log.info(
            "%d reported (%d delivered, %d failed), %d pending",
            counts["reported"],
            counts["delivered"],
            counts["failed"],
            counts["pending"],
        )
        return PokeReturnValue(is_done=done, xcom_value=counts)


class SmsReplySensor(_QueueSensor):
    """
    Wait for replies.

    :param sms_conn_id: connection of the vendor's account (templated).
    :param mobile: replies of this number only (templated).
    :param pattern: replies whose text this regular expression finds (templated).
    :param since: replies received from this time on, a datetime or ISO text (templated); since the DAG run
        began if empty.
    :param min_records: so many of them; one if not given.
    :param store_conn_id: connection of the store.
    """

    template_fields: Sequence[str] = ("mobile", "pattern", "since", *_QueueSensor.template_fields)
    _vendor_queue = "replies"

    def __init__(
        self, *, mobile: str | None = None, pattern: str | None = None, since: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.mobile = mobile
        self.pattern = pattern
        self.since = since

    def _look(self, store: Store, context: Context) -> PokeReturnValue:
        from airflow_provider_sms.sensors import waiting

        wanted = waiting.wanted_replies(
            self.mobile, self.pattern, self.since, self.min_records, context, self.task_id
        )
        done, found = waiting.replies(store, self.sms_conn_id, wanted)
        self.log.info("%d of %d replies have landed", found["replies"], wanted.min_records)
        return PokeReturnValue(is_done=done, xcom_value=found)
