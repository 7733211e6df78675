"""A pytest fixture with a running sandbox: ``pytest_plugins = ["airflow_provider_sms.sandbox.fixtures"]``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_sms.sandbox.gateway import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def sms_sandbox() -> Iterator[Sandbox]:
    """Serve all four vendors on a free loopback port for one test.

    Reports come at once, every message is delivered, nobody replies, and balances may be asked for at any
    pace.
    """
    with Sandbox(linkws_balance_interval=0) as gateway:
        yield gateway
