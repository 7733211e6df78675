"""What is to be sent, and for whom: plain values."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

ON_UNKNOWN = ("fail", "ignore", "resend")
#: The store keeps send keys of up to this many characters.
LONGEST_KEY = 250


def as_typed(send_key: str) -> str:
    """Write a send key as it is typed in a shell's command."""
    return "'" + send_key.replace("'", "'\\''") + "'"


@dataclass(frozen=True, slots=True)
class Origin:
    """The task instance that sends; empty outside of Airflow. ``map_index`` is -1 for unmapped tasks."""

    dag_id: str = ""
    task_id: str = ""
    run_id: str = ""
    map_index: int = -1

    @property
    def send_key(self) -> str:
        """The default send key: the same for all tries of one task instance."""
        return self.key_of(self.task_id)

    def key_of(self, operator_id: str) -> str:
        """
        Give the default send key of an operator.

        :param operator_id: the task's, or that of an operator which the task executes by hand: two of them in
            one task are two sends.
        """
        task = self.task_id if operator_id == self.task_id else f"{self.task_id}/{operator_id}"
        key = "/".join((self.dag_id, task, self.run_id, str(self.map_index)))
        if len(key) <= LONGEST_KEY:
            return key
        return f"{key[: LONGEST_KEY - 65]}#{hashlib.sha256(key.encode()).hexdigest()}"


@dataclass(frozen=True, slots=True)
class SendOrder:
    """
    What is to be sent.

    :param send_key: names this send; see :class:`Origin`.
    :param content: one text for all, or
    :param template: a text with placeholders.
    :param send_at: a datetime, ISO text, or nothing for "at once".
    :param extno: extension digits.
    :param on_unknown: one of :data:`ON_UNKNOWN`.
    :param origin: who sends.
    """

    send_key: str
    content: str | None = field(default=None, repr=False)
    template: str | None = field(default=None, repr=False)
    send_at: Any = None
    extno: str = ""
    on_unknown: str = "fail"
    origin: Origin = field(default_factory=Origin)
