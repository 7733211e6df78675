"""The deferrable half of the sensors: into the triggerer, and back with the same results and errors."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_sms import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.providers.common.compat.sdk import BaseSensorOperator

#: A wait is kept longer than its sensor, for a trigger that is late.
_KEPT_LONGER = timedelta(days=1)


class Deferral:
    """
    What a deferred sensor carries from one process to the next.

    :param began: when the sensor began to wait, aware; its time-out counts from here.
    :param wait_id: id of its wait in the store, once it has one.
    """

    def __init__(self, began: datetime | None = None, wait_id: str = "") -> None:
        self.began = began or datetime.now(UTC)
        self.wait_id = wait_id

    @classmethod
    def from_kwargs(cls, began: str | None, wait_id: str) -> Deferral:
        """Read what :meth:`as_kwargs` wrote."""
        return cls(datetime.fromisoformat(began) if began else None, wait_id)

    def as_kwargs(self) -> dict[str, str]:
        """Write it down for Airflow: no numbers, no texts."""
        return {"began": self.began.isoformat(), "wait_id": self.wait_id}

    def left(self, timeout: float) -> timedelta:
        """
        Give what is left of a sensor's time-out.

        :raises AirflowSensorTimeout: nothing is.
        """
        left = self.began + timedelta(seconds=timeout) - datetime.now(UTC)
        if left <= timedelta(0):
            from airflow.providers.common.compat.sdk import AirflowSensorTimeout

            waited = (datetime.now(UTC) - self.began).total_seconds()
            msg = f"Sensor has timed out; it has waited for {waited:.0f} s of its timeout of {timeout:g}."
            raise AirflowSensorTimeout(msg)
        return left

    def kept_seconds(self, left: timedelta) -> float:
        """Tell for how many seconds the store keeps the wait."""
        return (left + _KEPT_LONGER).total_seconds()


def raise_told(event: dict[str, Any] | None) -> None:
    """
    Raise the error that a trigger told of, as the same poke would have raised it.

    :param event: of the trigger; others than errors are let pass.
    :raises AirflowFailException: a retry cannot mend it.
    :raises SmsError: a retry can.
    """
    if not event or event.get("status") != "error":
        return
    name, message = str(event.get("error")), str(event.get("message"))
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, errors.SmsError):
        if kind.terminal:
            _fail(f"{name}: {message}")
        raise kind(message)
    raise RuntimeError(f"the trigger failed with {message}")


def _fail(message: str) -> NoReturn:
    from airflow.providers.common.compat.sdk import AirflowFailException

    raise AirflowFailException(message)


@contextmanager
def as_poke(sensor: BaseSensorOperator) -> Iterator[None]:
    """
    Treat errors as Airflow treats those of a poke: ``soft_fail``, ``silent_fail`` and ``never_fail``.

    An error that ``silent_fail`` lets pass is logged, and the block counts as "not yet".
    """
    from airflow.providers.common.compat.sdk import (
        AirflowFailException,
        AirflowSensorTimeout,
        AirflowSkipException,
    )

    try:
        yield
    except AirflowSkipException:
        raise
    except (AirflowFailException, AirflowSensorTimeout) as error:
        if sensor.soft_fail or sensor.never_fail:
            way = "soft_fail" if sensor.soft_fail else "never_fail"
            raise AirflowSkipException(f"Skipping due to {way} is set to True.") from error
        raise
    except Exception as error:
        if sensor.silent_fail:
            sensor.log.exception("Sensor poke failed")
        elif sensor.never_fail:
            raise AirflowSkipException("Skipping due to never_fail is set to True.") from error
        else:
            raise
