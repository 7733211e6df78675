"""Tell Airflow which of our errors a retry cannot mend."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_provider_sms.errors import SmsError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def failing_for_good() -> Iterator[None]:
    """Turn terminal errors into ``AirflowFailException``; all others leave the retry to Airflow."""
    from airflow.providers.common.compat.sdk import AirflowFailException

    try:
        yield
    except SmsError as error:
        if error.terminal:
            # Its text is all there is to it: a second traceback in the log would show it once more.
            raise AirflowFailException(f"{type(error).__name__}: {error}") from error.__cause__
        raise
