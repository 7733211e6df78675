"""What the tests of triggers share: an event loop that ends in time, and events as Airflow would see them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest


async def run_until_fired(trigger: Any, count: int = 1, within: float = 20) -> list[Any]:
    """Run a trigger until it has fired so often; give the payloads, as JSON would carry them."""
    found = []

    async def run() -> None:
        stream = trigger.run()
        async for event in stream:
            found.append(json.loads(json.dumps(event.payload)))
            if len(found) == count:
                await stream.aclose()
                return

    await asyncio.wait_for(run(), within)
    return found


@pytest.fixture
def events_of():
    """Run a trigger within a loop, until it has fired so often; gives the payloads."""
    return run_until_fired


@pytest.fixture
def events():
    """Run a trigger from a plain test: ``events(trigger)`` gives its payloads."""

    def run(trigger: Any, count: int = 1, within: float = 20) -> list[Any]:
        return asyncio.run(run_until_fired(trigger, count, within))

    return run


@pytest.fixture
def register(store):
    """Register a wait: ``register("sms_wavecom", condition)`` gives its id."""
    from airflow_provider_sms.conditions import ReportsLanded, SendReported, as_text
    from airflow_provider_sms.store.waits import Waits

    def make(conn_id: str, condition: Any, seconds: float = 60) -> str:
        queue = "reports" if isinstance(condition, SendReported | ReportsLanded) else "replies"
        return Waits(store).register(conn_id, queue, as_text(condition), "a test", seconds)

    return make
