"""A notifier: for callbacks of tasks and DAGs, for deadline alerts, and for the balance operator."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseNotifier

from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.hooks.concealing import DiscreetFields
from airflow_provider_sms.hooks.store import DEFAULT_STORE_CONN_ID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context
    from jinja2 import Environment


class SmsNotifier(DiscreetFields, BaseNotifier):
    """
    Send an alert by SMS.

    The same text goes to the same number once per window, and a number gets so many alerts per hour; what
    was held back is counted in the next message. A text that is too long is cut, a character that the
    vendor's charset lacks is sent as □, and what the text names and the callback does not have stays as it is
    written: an alert must get out. Secrets that Airflow knows are masked. What could not be sent is an error
    in the log.

    :param sms_conn_id: connection of the vendor's account (templated).
    :param to: a number, or several as a list or separated by commas (templated).
    :param content: the text (templated).
    :param window_seconds: how long the same text is held back; 0 sends it every time.
    :param max_per_hour: how many alerts a number gets in an hour; 0 for no limit.
    :param max_characters: where to cut a text, signature included; the vendor's own limit may be lower.
    :param extno: extension digits behind the sender's number (templated).
    :param store_conn_id: connection of the store (templated).
    """

    template_fields: Sequence[str] = ("sms_conn_id", "to", "content", "extno", "store_conn_id")
    concealed_fields = ("to", "content")

    def __init__(
        self,
        sms_conn_id: str,
        to: Any,
        content: str,
        *,
        window_seconds: float = 600,
        max_per_hour: int = 20,
        max_characters: int = 300,
        extno: str = "",
        store_conn_id: str = DEFAULT_STORE_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sms_conn_id = sms_conn_id
        self.to = to
        self.content = content
        self.window_seconds = window_seconds
        self.max_per_hour = max_per_hour
        self.max_characters = max_characters
        self.extno = extno
        self.store_conn_id = store_conn_id
        self._templates = {name: getattr(self, name) for name in self.template_fields}

    def render_template_fields(self, context: Context, jinja_env: Environment | None = None) -> None:
        """Render the templates as they were written; Airflow's own way would keep the first task's text."""
        for name, template in self._templates.items():
            setattr(self, name, template)
        super().render_template_fields(context, jinja_env)

    def _rendered(
        self, name: str, value: Any, context: Any, jinja_env: Environment, seen_oids: set[int]
    ) -> Any:
        try:
            return super()._rendered(name, value, context, jinja_env, seen_oids)
        except PreflightError as error:
            problem = "; ".join(error.problems)
            if name != "content":
                raise
        from airflow_provider_sms.notifications.gaps import Gap

        rendered = super()._rendered(name, value, context, jinja_env.overlay(undefined=Gap), seen_oids)
        self.log.warning("the alert goes out with gaps in its text: %s", problem)
        return rendered

    def notify(self, context: Context) -> None:
        """
        Send the alert, or hold it back and count it.

        :raises SmsError: somebody who should have been told was not; Airflow logs it.
        """
        from airflow.providers.common.compat.sdk import redact

        from airflow_provider_sms.hooks.origin import origin_of
        from airflow_provider_sms.hooks.sms import SmsHook
        from airflow_provider_sms.notifications.alerting import Alert, raise_alert

        hook = SmsHook.for_connection(self.sms_conn_id, store_conn_id=self.store_conn_id)
        alert = Alert(
            to=self.to,
            content=str(redact(str(self.content))),
            event=event_of(context),
            origin=origin_of(context),
            extno=self.extno,
            most=int(self.max_characters),
            window=float(self.window_seconds),
            per_hour=int(self.max_per_hour),
        )
        raise_alert(hook, alert, self.log)

    async def async_notify(self, context: Context) -> None:
        """Do what :meth:`notify` does, for triggerers; errors as there."""
        await asyncio.to_thread(self.notify, context)


def event_of(context: Context | dict[str, Any]) -> str:
    """
    Name what an alert is about: a try of a task instance, or a DAG run; empty for a script.

    A callback that is called twice for one event sends once; a try more, or a cleared run, is another event.
    """
    instance, run = _told(context, "ti"), _told(context, "dag_run")
    if instance is not None:
        names = ("dag_id", "task_id", "run_id", "map_index", "try_number")
        tried = [_told(instance, name) for name in names]
        # A cleared run that fails again may name a task that was not cleared, in its old try.
        if cleared := _told(run, "clear_number"):
            tried.append(cleared)
        return "/".join(map(str, tried))
    if run is None:
        return ""
    deadline = _told(_told(context, "deadline"), "id")
    parts = [_told(run, name) for name in ("dag_id", "run_id", "dag_run_id", "clear_number")]
    return "/".join(str(part) for part in (*parts, deadline) if part is not None)


def _told(source: Any, name: str) -> Any:
    # Deadlines bring dictionaries where callbacks bring objects.
    if source is None:
        return None
    return source.get(name) if isinstance(source, Mapping) else getattr(source, name, None)
