"""
Operators that send, send from a template, check the balance, and collect reports and replies.

Importing this module for DAG parsing loads no vendor, database or HTTP library; ``execute`` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_sms.assets import add_outlet, queue_asset
from airflow_provider_sms.hooks.concealing import ConcealingFields, revealed
from airflow_provider_sms.hooks.stopping import Stoppable
from airflow_provider_sms.hooks.store import DEFAULT_STORE_CONN_ID
from airflow_provider_sms.hooks.verdict import failing_for_good

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import BaseNotifier, Context

    from airflow_provider_sms.recipients import Columns
    from airflow_provider_sms.sending import Origin, SendOrder


class _SendOperator(Stoppable, ConcealingFields, BaseOperator):
    """What both sending operators share: recipients from wherever they are, and the way to the ledger."""

    template_fields: Sequence[str] = (
        "sms_conn_id",
        "recipients",
        "sql",
        "sql_conn_id",
        "path",
        "send_at",
        "extno",
        "send_key",
        "on_unknown",
        "store_conn_id",
    )
    template_ext: Sequence[str] = (".sql",)
    masked_fields = ("sql",)
    template_fields_renderers = {"sql": "sql"}  # noqa: RUF012 - Airflow's own way
    ui_color = "#e8f4e5"

    def __init__(
        self,
        *,
        sms_conn_id: str,
        recipients: Any = None,
        sql: str | None = None,
        sql_conn_id: str | None = None,
        path: str | None = None,
        send_at: Any = None,
        extno: str = "",
        send_key: str | None = None,
        on_unknown: str = "fail",
        store_conn_id: str = DEFAULT_STORE_CONN_ID,
        **kwargs: Any,
    ) -> None:
        # One XCom per count, too: send.output["send_key"] is what a sensor downstream wants.
        kwargs.setdefault("multiple_outputs", True)
        super().__init__(**kwargs)
        self.sms_conn_id = sms_conn_id
        self.recipients = recipients
        self.sql = sql
        self.sql_conn_id = sql_conn_id
        self.path = path
        self.send_at = send_at
        self.extno = extno
        self.send_key = send_key
        self.on_unknown = on_unknown
        self.store_conn_id = store_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Send what the ledger does not know as accepted yet.

        :return: ``{"send_key", "recipients", "segments", "accepted", "rejected", "unknown", "not_sent"}``.
        :raises AirflowFailException: a retry cannot mend it: wrong input, the vendor's no, or batches whose
            outcome is not known.
        :raises SubmitNotSent: batches are left that surely were not sent; a retry sends just these.
        """
        from airflow_provider_sms import metrics
        from airflow_provider_sms.hooks.origin import made_up_send_key, origin_of
        from airflow_provider_sms.hooks.sms import SmsHook
        from airflow_provider_sms.sending import send

        with failing_for_good():
            origin = origin_of(context)
            key = self.send_key or (
                origin.key_of(self.task_id) if origin.run_id else made_up_send_key(self.log)
            )
            hook = SmsHook.for_connection(self.sms_conn_id, store_conn_id=self.store_conn_id)
            store = hook.store()
            tags = metrics.Tags(hook.vendor.name, self.sms_conn_id)
            with hook.gateway() as gateway, metrics.SendMeter(store, key, tags) as meter:
                return meter.ended(
                    send(gateway, store, self._order(key, origin), self._recipients, log=self.log)
                )

    def _order(self, key: str, origin: Origin) -> SendOrder:
        raise NotImplementedError

    def _text(self, name: str) -> str:
        from airflow_provider_sms.errors import PreflightError

        text = revealed(getattr(self, name))
        if isinstance(text, str):
            return text
        kind = "None" if text is None else f"of type {type(text).__name__}"
        problem = (
            f"{name} is {kind}, and must be text: where a DAG renders native objects, a template of digits "
            "alone is a number, and one of brackets a list, so put words around it"
        )
        raise PreflightError([problem], f"task {self.task_id!r}")

    def _recipients(self) -> Columns:
        from airflow_provider_sms import recipients
        from airflow_provider_sms.errors import PreflightError

        people, sql = revealed(self.recipients), revealed(self.sql)
        given = {"recipients": people, "sql": sql, "path": self.path}
        named = [name for name, value in given.items() if value is not None]
        problems = []
        if len(named) != 1:
            problems.append(
                f"give exactly one of recipients, sql and path (given: {', '.join(named) or 'none'})"
            )
        if sql is not None and not self.sql_conn_id:
            problems.append("sql needs sql_conn_id, the connection of the database to ask")
        if sql is not None and not (isinstance(sql, str) and sql.strip()):
            kind = "empty" if isinstance(sql, str) else f"a {type(sql).__name__}"
            problems.append(f"sql is {kind}: give one SELECT as text")
        if problems:
            raise PreflightError(problems, f"task {self.task_id!r}")
        if sql is not None:
            return recipients.from_sql(self._engine(), sql)
        if self.path is not None:
            from airflow.providers.common.compat.sdk import ObjectStoragePath

            return recipients.from_path(ObjectStoragePath(self.path))
        return recipients.from_values(people)

    def _engine(self) -> Any:
        from airflow_provider_sms.errors import SubmitNotSent
        from airflow_provider_sms.hooks.databases import engine_of

        return engine_of(str(self.sql_conn_id), SubmitNotSent)


class SmsSendOperator(_SendOperator):
    """
    Send one text to many numbers, at most once per send key.

    Give the recipients by exactly one of ``recipients``, ``sql`` and ``path``. A retry skips what the vendor
    accepted, sends what surely was not sent, and leaves alone what is not known. A text, a time or people
    that differ from the first try's count as long as nothing can have been read.

    :param sms_conn_id: connection of the vendor's account (templated).
    :param content: the text (templated); the connection's ``signature`` is put behind a text without one.
    :param recipients: a list of numbers, a list of dicts with ``mobile``, or a DataFrame (templated); rows of
        one value each, too, and any of these lists as text, as a template renders it.
    :param sql: a SELECT with a column ``mobile``, or a ``.sql`` file (templated).
    :param sql_conn_id: connection of the database to ask (templated).
    :param path: a CSV or Parquet file with a column ``mobile`` (templated); any address that
        ``ObjectStoragePath`` knows.
    :param send_at: when the vendor shall send it (templated); a time without a zone is meant in the account's
        (Chinese) time.
    :param extno: extension digits behind the sender's number, where the vendor has them (templated).
    :param send_key: names this send (templated); dag, task, run and map index if empty. To send again on
        purpose, give a new one.
    :param on_unknown: what to do about batches whose outcome is not known: ``fail`` (default), ``ignore``, or
        ``resend`` once in each run, which may reach people twice (templated).
    :param store_conn_id: connection of the store that remembers what was sent (templated).
    """

    template_fields: Sequence[str] = ("content", *_SendOperator.template_fields)
    concealed_fields = ("content", "recipients")

    def __init__(self, *, content: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.content = content

    def _order(self, key: str, origin: Origin) -> SendOrder:
        from airflow_provider_sms.sending import SendOrder

        return SendOrder(
            send_key=key,
            content=self._text("content"),
            send_at=self.send_at,
            extno=self.extno,
            on_unknown=self.on_unknown,
            origin=origin,
        )


class SmsTemplateSendOperator(_SendOperator):
    """
    Send each recipient a text of their own; otherwise as :class:`SmsSendOperator`.

    A vendor with templates of its own (smsadmin) gets them for the rows it can express; for all others the
    text is rendered here and equal texts share a submit.

    :param template: ``"{name}，您的验证码 {code}"`` (templated by Jinja first); each recipient row has
        ``mobile`` and these fields.
    """

    template_fields: Sequence[str] = ("template", *_SendOperator.template_fields)
    concealed_fields = ("template", "recipients")

    def __init__(self, *, template: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.template = template

    def _order(self, key: str, origin: Origin) -> SendOrder:
        from airflow_provider_sms.sending import SendOrder

        return SendOrder(
            send_key=key,
            template=self._text("template"),
            send_at=self.send_at,
            extno=self.extno,
            on_unknown=self.on_unknown,
            origin=origin,
        )


class SmsBalanceCheckOperator(BaseOperator):
    """
    Ask what is left on an account, keep it in ``sms_balances``, and act when it is low.

    Zero is a balance; an error code never is. Where a vendor answers only so often (linkws: every 30 s) a
    balance that was read within that time is used again, with its own ``checked_at``.

    :param sms_conn_id: connection of the vendor's account (templated).
    :param threshold: the balance is low below this (templated); in the vendor's unit: messages, or CNY for
        smsadmin.
    :param on_low: ``fail`` (default) the task without retry, ``skip`` it, or ``continue`` (templated).
    :param notifiers: called when the balance is low with the task's context, in which ``sms_balance`` is this
        operator's result: for instance an ``HttpNotifier`` to a chat group's webhook.
    :param store_conn_id: connection of the store (templated).
    """

    template_fields: Sequence[str] = ("sms_conn_id", "threshold", "on_low", "store_conn_id")
    ui_color = "#fdf3d8"

    def __init__(
        self,
        *,
        sms_conn_id: str,
        threshold: float | str,
        on_low: str = "fail",
        notifiers: Sequence[BaseNotifier] | BaseNotifier = (),
        store_conn_id: str = DEFAULT_STORE_CONN_ID,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("multiple_outputs", True)  # check.output["remaining"]
        super().__init__(**kwargs)
        self.sms_conn_id = sms_conn_id
        self.threshold = threshold
        self.on_low = on_low
        self.notifiers = notifiers
        self.store_conn_id = store_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Check the balance.

        :return: ``{"remaining", "unit", "low", "checked_at"}``; ``checked_at`` is ISO text in UTC.
        :raises AirflowFailException: it is low and ``on_low`` is ``fail``, or a retry cannot mend the error.
        :raises AirflowSkipException: it is low and ``on_low`` is ``skip``.
        """
        from airflow_provider_sms.hooks.sms import SmsHook
        from airflow_provider_sms.operators.balance import act_on, check_balance, checked_threshold

        with failing_for_good():
            threshold = checked_threshold(self.threshold, self.on_low, self.task_id)
            hook = SmsHook.for_connection(self.sms_conn_id, store_conn_id=self.store_conn_id)
            result = check_balance(hook, threshold, self.log)
        act_on(result, self.on_low, threshold, self.notifiers, context, self.sms_conn_id, self.log)
        return result


class SmsCollectOperator(Stoppable, BaseOperator):
    """
    Collect an account's delivery reports or replies into ``sms_reports`` / ``sms_replies``.

    The vendor deletes what it hands over, so every page is on disk before it is read, and lands exactly once.
    What cannot be read is kept as a quarantined page; a read that a crash cut off shows as a suspect page.

    :param sms_conn_id: connection of the vendor's account (templated).
    :param queue: ``reports`` (default) or ``replies``: the vendor's queue.
    :param sms_queue: the same. Airflow gives every operator a ``queue`` of its own (which workers run it);
        where that one is needed, in ``default_args``, or in ``partial()``, name the vendor's queue here, and
        ``queue`` means Airflow's (templated).
    :param max_pages: stop after so many pages; until the queue is empty if not given (templated).
    :param max_seconds: start no page after so many seconds (templated).
    :param store_conn_id: connection of the store (templated).
    """

    template_fields: Sequence[str] = ("sms_conn_id", "sms_queue", "max_pages", "max_seconds", "store_conn_id")
    ui_color = "#e3eefc"

    def __init__(
        self,
        *,
        sms_conn_id: str,
        queue: str | None = None,
        sms_queue: str | None = None,
        max_pages: int | str | None = None,
        max_seconds: float | str | None = None,
        store_conn_id: str = DEFAULT_STORE_CONN_ID,
        **kwargs: Any,
    ) -> None:
        # Airflow 3.2 gives a mapped task its default queue as if the DAG had named it.
        if queue is not None and (sms_queue is not None or queue == conf.get("operators", "default_queue")):
            kwargs["queue"], queue = queue, None  # Airflow's own
        vendor_queue = sms_queue or queue or "reports"
        # A downstream DAG can be scheduled on what lands here. A templated connection is known too late for
        # that: its outlets are the user's to name.
        if (
            isinstance(sms_conn_id, str)
            and "{{" not in sms_conn_id
            and vendor_queue in {"reports", "replies"}
        ):
            add_outlet(self, kwargs, queue_asset(sms_conn_id, vendor_queue))
        kwargs.setdefault("multiple_outputs", True)  # collect.output["records"]
        super().__init__(**kwargs)
        self.sms_conn_id = sms_conn_id
        # Not self.queue: the executor would look there for the workers to run this task.
        self.sms_queue = vendor_queue
        self.max_pages = max_pages
        self.max_seconds = max_seconds
        self.store_conn_id = store_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Collect until the queue is empty or a limit is reached.

        :return: ``{"pages", "records", "quarantined", "suspect", "queue_empty"}``.
        :raises AirflowFailException: a retry cannot mend it (wrong password, no such queue at this vendor).
        :raises QueueBusy: another worker reads this queue; a retry waits for it.
        """
        from airflow_provider_sms import metrics
        from airflow_provider_sms.collecting import Collector, queue_named
        from airflow_provider_sms.hooks.origin import owner_of, tell_assets
        from airflow_provider_sms.hooks.sms import SmsHook
        from airflow_provider_sms.operators.limits import collection_limits
        from airflow_provider_sms.store.leases import Leases

        with failing_for_good():
            queue = queue_named(self.sms_queue)
            max_pages, max_seconds = collection_limits(self.max_pages, self.max_seconds, self.task_id)
            hook = SmsHook.for_connection(self.sms_conn_id, store_conn_id=self.store_conn_id)
            store = hook.store()
            tags = metrics.Tags(hook.vendor.name, self.sms_conn_id, queue.value)
            metrics.queue_age(tags, Leases(store).due(self.sms_conn_id, queue.value).age)
            with hook.gateway() as gateway:
                collector = Collector(gateway, store, queue, owner=owner_of(context), log=self.log)
                with metrics.of_collection(tags, collector, store):
                    collected = collector.run(max_pages=max_pages, max_seconds=max_seconds)
        result = collected._asdict()
        tell_assets(context, self.sms_conn_id, self.sms_queue, result)
        return result
