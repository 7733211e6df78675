"""What both sensors share: collect if the queue is free, then look; or have a trigger do both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseSensorOperator, PokeReturnValue, conf

from airflow_provider_sms.assets import add_outlet, queue_asset
from airflow_provider_sms.hooks.stopping import Stoppable
from airflow_provider_sms.hooks.store import DEFAULT_STORE_CONN_ID
from airflow_provider_sms.hooks.verdict import failing_for_good

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_sms.collecting import Collected
    from airflow_provider_sms.conditions import Condition, Found
    from airflow_provider_sms.sensors.deferring import Deferral
    from airflow_provider_sms.store.engine import Store


class QueueSensor(Stoppable, BaseSensorOperator):
    """A sensor that waits for something to land out of a queue."""

    _vendor_queue = "reports"
    template_fields: Sequence[str] = ("sms_conn_id", "min_records", "poll_interval", "store_conn_id")
    ui_color = "#efe7fb"

    def __init__(
        self,
        *,
        sms_conn_id: str,
        min_records: int | str | None = None,
        store_conn_id: str = DEFAULT_STORE_CONN_ID,
        poll_interval: float | timedelta | str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        if isinstance(sms_conn_id, str) and "{{" not in sms_conn_id:
            add_outlet(self, kwargs, queue_asset(sms_conn_id, self._vendor_queue))
        super().__init__(**kwargs)
        self.sms_conn_id = sms_conn_id
        self.min_records = min_records
        self.store_conn_id = store_conn_id
        self.poll_interval = poll_interval
        self.deferrable = deferrable

    def poke(self, context: Context) -> PokeReturnValue:
        """
        Collect if nobody else reads the queue, then look whether what is waited for has landed.

        :return: done or not, with the counts as XCom.
        :raises AirflowFailException: to go on waiting is pointless (wrong password, unknown send key, no such
            queue).
        :raises WireFormatError: what answers is not the vendor.
        """
        with failing_for_good():
            condition, interval = self._checked(context)
            # A given poll_interval holds for all who wait; otherwise each poke reads.
            interval = 0.0 if self.poll_interval is None else interval
            found = self._collect_and_look(context, condition, interval, patient=True)
        return PokeReturnValue(is_done=found.done, xcom_value=found.counts)

    def execute(self, context: Context) -> Any:
        """Wait; a deferrable sensor looks once and leaves the rest to the triggerer."""
        if not self.deferrable:
            return super().execute(context)
        from airflow_provider_sms.sensors.deferring import Deferral, as_poke

        deferral = Deferral()
        with as_poke(self), failing_for_good():
            # What the vendor's interval keeps back is the triggerer's to read: no worker is to wait for it.
            found = self._collect_and_look(context, *self._checked(context), patient=False)
            if found.done:
                return found.counts
        return self._defer(context, deferral)

    def execute_complete(
        self,
        context: Context,
        event: dict[str, Any] | None = None,
        *,
        began: str | None = None,
        wait_id: str = "",
    ) -> Any:
        """
        Come back from the triggerer: look at the tables, and wait on should it have been a false alarm.

        :param event: what the trigger told.
        :param began: when the sensor began to wait, ISO text.
        :param wait_id: id of its wait in the store.
        :return: and raises: the same as when poking.
        """
        from airflow_provider_sms.sensors.deferring import Deferral, as_poke, raise_told
        from airflow_provider_sms.store.waits import Waits

        deferral = Deferral.from_kwargs(began, wait_id)
        with as_poke(self), failing_for_good():
            store = self._store()
            Waits(store).forget(deferral.wait_id)
            raise_told(event)
            found = self._look(store, self._condition(context))
            if found.done:
                self._tell_what_landed(store, context, deferral)
                return found.counts
        self.log.info("the trigger came back early (%s): waiting on", (event or {}).get("status"))
        return self._defer(context, deferral)

    def _defer(self, context: Context, deferral: Deferral) -> None:
        from airflow_provider_sms.conditions import as_text
        from airflow_provider_sms.hooks.origin import owner_of
        from airflow_provider_sms.sensors.deferring import as_poke
        from airflow_provider_sms.store.waits import Waits
        from airflow_provider_sms.triggers.sms import SmsQueueTrigger

        with as_poke(self), failing_for_good():
            left = deferral.left(self.timeout)
        with failing_for_good():
            condition, interval = self._checked(context)
            deferral.wait_id = Waits(self._store()).register(
                self.sms_conn_id,
                self._vendor_queue,
                as_text(condition),
                owner_of(context),
                deferral.kept_seconds(left),
            )
        trigger = SmsQueueTrigger(
            wait_id=deferral.wait_id,
            sms_conn_id=self.sms_conn_id,
            queue=self._vendor_queue,
            poll_interval=interval,
            store_conn_id=self.store_conn_id,
        )
        self.log.info(
            "deferred as wait %s: polling every %g s for %s at most", deferral.wait_id, interval, left
        )
        self.defer(trigger=trigger, method_name="execute_complete", kwargs=deferral.as_kwargs(), timeout=left)

    def _checked(self, context: Context) -> tuple[Condition, float]:
        """
        Say what is waited for, and the seconds from one read to the next.

        Before anything is read: the vendor deletes what it hands over.

        :raises PreflightError: listing all that is wrong with the parameters.
        """
        from airflow_provider_sms.errors import PreflightError

        condition, interval = None, 0.0
        problems: list[str] = []
        try:
            condition = self._condition(context)
        except PreflightError as wrong:
            problems += wrong.problems
        try:
            interval = self._interval()
        except PreflightError as wrong:
            problems += wrong.problems
        if problems or condition is None:
            raise PreflightError(problems, self._where)
        return condition, interval

    def _collect_and_look(
        self, context: Context, condition: Condition, interval: float, *, patient: bool
    ) -> Found:
        from airflow_provider_sms.hooks.origin import owner_of
        from airflow_provider_sms.hooks.sms import SmsHook
        from airflow_provider_sms.sensors.collection import collect_if_free

        hook = SmsHook.for_connection(self.sms_conn_id, store_conn_id=self.store_conn_id)
        store = hook.store()
        owner = owner_of(context)
        collected = collect_if_free(
            hook, store, self._vendor_queue, owner, self.log, interval, patient=patient
        )
        self._tell(context, collected)
        return self._look(store, condition)

    def _look(self, store: Store, condition: Condition) -> Found:
        from airflow_provider_sms.conditions import look

        found = look(store, self.sms_conn_id, condition)
        self.log.info(found.told)
        return found

    def _condition(self, context: Context) -> Condition:
        raise NotImplementedError

    def _interval(self) -> float:
        from airflow_provider_sms.triggers.intervals import seconds

        empty = self.poll_interval is None or self.poll_interval == ""
        return seconds(self.poke_interval if empty else self.poll_interval, self._where)

    @property
    def _where(self) -> str:
        return f"task {self.task_id!r}"

    def _store(self) -> Store:
        from airflow_provider_sms.hooks.store import open_store

        return open_store(self.store_conn_id)

    def _tell(self, context: Context, collected: Collected) -> None:
        from airflow_provider_sms.hooks.origin import tell_assets

        tell_assets(context, self.sms_conn_id, self._vendor_queue, collected._asdict())

    def _tell_what_landed(self, store: Store, context: Context, deferral: Deferral) -> None:
        from airflow_provider_sms.collecting import Collected
        from airflow_provider_sms.store.watches import Watches

        # The triggerer collected, for all who wait: what landed meanwhile is what can be said.
        landed = Watches(store).landed_since(self.sms_conn_id, self._vendor_queue, deferral.began)
        self._tell(context, Collected(pages=landed.pages, records=landed.records))
