"""
The operator that settles sends whose outcome is not known, as far as reports prove it.

Importing this module for DAG parsing loads no vendor or database library; ``execute`` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_sms.hooks.store import DEFAULT_STORE_CONN_ID
from airflow_provider_sms.hooks.verdict import failing_for_good

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_sms.store.engine import Store

ON_UNKNOWN = ("fail", "ignore")


class SmsSettleOperator(BaseOperator):
    """
    Settle by evidence the batches of a send whose outcome is not known.

    A batch is accepted when a delivery report bears its reference, or is on one of its numbers and nothing
    else can explain it. This sends nothing and asks no vendor: collect the account's reports first. Where
    reports prove nothing, a person decides by ``airflow sms settle``.

    Reports may come for 72 hours. While they may, a failure can be retried: give the task retries that far
    apart. After that the task fails for good, and at once where the vendor gives no reports (linkws). Batches
    that are being submitted, or were when their process died, count as unknown as well, and a failure because
    of them can be retried.

    :param send_key: which send (templated).
    :param on_unknown: when batches stay unknown, ``fail`` (default) or ``ignore`` (templated).
    :param store_conn_id: connection of the store that remembers what was sent (templated).
    """

    template_fields: Sequence[str] = ("send_key", "on_unknown", "store_conn_id")
    ui_color = "#efe6f7"

    def __init__(
        self,
        *,
        send_key: str,
        on_unknown: str = "fail",
        store_conn_id: str = DEFAULT_STORE_CONN_ID,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("multiple_outputs", True)  # settle.output["still_unknown"]
        super().__init__(**kwargs)
        self.send_key = send_key
        self.on_unknown = on_unknown
        self.store_conn_id = store_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Settle what can be settled.

        :return: ``{"settled", "still_unknown"}``, counted in batches.
        :raises SubmitUnknown: batches are left whose reports may still come, or that are being submitted; a
            retry looks again.
        :raises AirflowFailException: batches are left whose reports are overdue, or nothing was sent under
            this key.
        """
        del context
        from airflow_provider_sms.errors import PreflightError, SubmitUnknown
        from airflow_provider_sms.hooks.store import open_store
        from airflow_provider_sms.settling import being_submitted, settle_by_evidence
        from airflow_provider_sms.store.attention import live_batches, unknown_batches

        with failing_for_good():
            if self.on_unknown not in ON_UNKNOWN:
                problem = f"on_unknown is {self.on_unknown!r}: use one of {', '.join(ON_UNKNOWN)}"
                raise PreflightError([problem], f"task {self.task_id!r}")
            store = open_store(self.store_conn_id)
            settled = settle_by_evidence(store, self.send_key)
            live = live_batches(store, send_key=self.send_key)
            left = unknown_batches(store, send_key=self.send_key)
        for _, batch_no in settled:
            self.log.info("batch %d of send %s is accepted: reports prove it", batch_no, self.send_key)
        if (left or live) and self.on_unknown == "fail":
            message = (
                f"send {self.send_key}: batches settled by their reports: {len(settled)}, still unknown: "
                f"{len(left)}, of {sum(batch.recipients for batch in left):,} recipients in all. "
            )
            if live:
                raise SubmitUnknown(f"{message}{being_submitted(live)}: try again then")
            if _may_still_come(store, self.send_key, [batch.batch_no for batch in left]):
                raise SubmitUnknown(f"{message}Their reports may still come: collect them, and try again")
            with failing_for_good():
                raise SubmitUnknown(
                    f"{message}No more reports are expected: 'airflow sms settle' shows what speaks for "
                    "either, and takes a person's decision"
                )
        # A claim that ran out between the two looks is in both lists.
        open_ones = {batch.batch_no for batch in live} | {batch.batch_no for batch in left}
        self.log.info(
            "send %s: batches settled by their reports: %d, still unknown: %d",
            self.send_key,
            len(settled),
            len(open_ones),
        )
        return {"settled": len(settled), "still_unknown": len(open_ones)}


def _may_still_come(store: Store, send_key: str, batch_nos: list[int]) -> bool:
    from airflow_provider_sms.settling import gives_reports
    from airflow_provider_sms.store.settling import evidence_of

    found = (evidence_of(store, send_key, batch_no) for batch_no in batch_nos)
    return any(each is not None and each.waiting and gives_reports(each.vendor) for each in found)
