"""
Sensors that wait for delivery reports and replies.

They wait on the tables, not on the vendor's queue: a poke collects if nobody else does, then asks the tables,
so that two DAGs that watch one account never take each other's records. A deferrable sensor leaves that to a
trigger, which knows the id of its wait and no more; the number and the pattern stay in the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_sms.hooks.concealing import ConcealingFields, revealed
from airflow_provider_sms.sensors.base import QueueSensor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_sms.conditions import Condition


class SmsReportSensor(QueueSensor):
    """
    Wait for delivery reports.

    :param sms_conn_id: connection of the vendor's account (templated).
    :param send_key: wait for this send (templated): the ``send_key`` that the send operator returned.
    :param min_share: the share of its recipients that must have a final report, 0 to 1 (templated); those the
        vendor refused or that were not sent never get one and do not count. Not while the send is still going
        out.
    :param min_records: without a send key: wait until so many reports of the account have landed since the
        DAG run began (templated).
    :param store_conn_id: connection of the store (templated).
    :param poll_interval: seconds from one read of the queue to the next, whoever reads it (templated);
        ``poke_interval`` if empty.
    :param deferrable: wait in the triggerer, without a worker.
    """

    template_fields: Sequence[str] = ("send_key", "min_share", *QueueSensor.template_fields)
    _vendor_queue = "reports"

    def __init__(self, *, send_key: str | None = None, min_share: float | str = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.send_key = send_key
        self.min_share = min_share

    def _condition(self, context: Context) -> Condition:
        from airflow_provider_sms.sensors.waiting import report_condition

        return report_condition(self.send_key, self.min_share, self.min_records, context, self.task_id)


class SmsReplySensor(ConcealingFields, QueueSensor):
    """
    Wait for replies.

    :param sms_conn_id: connection of the vendor's account (templated).
    :param mobile: replies of this number only (templated).
    :param pattern: replies whose text this regular expression finds (templated); one whose repeats repeat,
        like ``(a+)+``, may stop a triggerer for minutes on a stranger's text.
    :param since: replies received from this time on: a datetime, a date or ISO text (templated); one without
        a zone is meant in the account's (Chinese) time. Since the DAG run began if empty.
    :param min_records: so many of them; one if not given (templated).
    :param store_conn_id: connection of the store (templated).
    :param poll_interval: seconds from one read of the queue to the next, whoever reads it (templated);
        ``poke_interval`` if empty.
    :param deferrable: wait in the triggerer, without a worker.
    """

    template_fields: Sequence[str] = ("mobile", "pattern", "since", *QueueSensor.template_fields)
    concealed_fields = ("mobile", "pattern")
    _vendor_queue = "replies"

    def __init__(
        self, *, mobile: str | None = None, pattern: str | None = None, since: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.mobile = mobile
        self.pattern = pattern
        self.since = since

    def _condition(self, context: Context) -> Condition:
        from airflow_provider_sms.sensors.waiting import wanted_replies

        return wanted_replies(
            revealed(self.mobile),
            revealed(self.pattern),
            self.since,
            self.min_records,
            context,
            self._zone,
            self.task_id,
        )

    def _zone(self) -> tzinfo:
        from airflow_provider_sms.hooks.sms import SmsHook

        return SmsHook.for_connection(self.sms_conn_id).account.timezone
