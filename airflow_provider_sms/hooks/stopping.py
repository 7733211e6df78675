"""Let a running task be stopped."""

from __future__ import annotations

import signal
import sys


class Stoppable:
    """
    An operator or sensor that ends when its task is told to stop.

    Airflow's task runner answers SIGTERM by calling ``on_kill`` and, when that returns, goes on with the task
    until SIGKILL comes, some seconds later: in the middle of a read or of a submit, as likely as not. So
    this one does not return. What must not be torn (:mod:`airflow_provider_sms.signals`) ends first.
    """

    def on_kill(self) -> None:
        """
        Stop the task.

        :raises SystemExit: which Airflow counts as a failure that may be retried; not when Airflow calls this
            after ``execution_timeout``, as the task has ended then.
        """
        from airflow.sdk.exceptions import AirflowTaskTimeout

        if not isinstance(sys.exception(), AirflowTaskTimeout):
            raise SystemExit(128 + signal.SIGTERM)
