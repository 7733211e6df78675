"""P3: one text to 100,000 numbers; the vendor answers in 20 ms."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

import bare
import places
from baseline.sends import send_wavecom
from figures import Goal, Row, at_least, medians

from airflow_provider_sms.records import Submission
from airflow_provider_sms.sending import SendOrder, send

if TYPE_CHECKING:
    from collections.abc import Iterator

    from figures import Stopwatch
    from gateway import GatewayProcess

_TEXT = "您的快递已到驿站，请凭取件码今天 20 点前领取【演示】"
_ANSWER_SECONDS = 0.02
_IN_FLIGHT = 8
_NUMBERS = 100


def rows(vendors: GatewayProcess, runs: int, count: int) -> Iterator[Row]:
    """Measure with each kind of store."""
    mobiles = [str(13_800_000_000 + 7 * place) for place in range(count)]
    for dialect, name in (("sqlite", "SQLite"), ("postgresql", "PostgreSQL")):
        if not places.available(dialect):
            continue
        taken = medians(
            {
                "ours": partial(_ours, vendors, dialect, mobiles),
                "by hand": partial(_by_hand, vendors, mobiles),
                "limit": partial(_limit, vendors, mobiles),
            },
            runs,
        )
        ours, hand, limit = taken["ours"], taken["by hand"], taken["limit"]
        reached = Goal("≥ 80 % of the limit", limit / ours >= 0.8)  # noqa: PLR2004 - the goal
        work = f"one text to {count:,} numbers by wavecom, {_IN_FLIGHT} in flight, {name}"
        yield Row("P3", work, ours, hand, limit, (at_least(6, hand / ours), reached))


def _ours(vendors: GatewayProcess, dialect: str, mobiles: list[str], watch: Stopwatch) -> None:
    vendors.answer_slowly(_ANSWER_SECONDS)
    client = vendors.client("wavecom", max_in_flight=_IN_FLIGHT)
    order = SendOrder(send_key="benchmark", content=_TEXT)
    with places.empty_store(dialect) as store, client, watch.running():
        result = send(client, store, order, lambda: {"mobile": mobiles}, log=logging.getLogger("bench"))
    assert result["accepted"] == vendors.sent_messages("wavecom") == len(mobiles)


def _by_hand(vendors: GatewayProcess, mobiles: list[str], watch: Stopwatch) -> None:
    vendors.answer_slowly(_ANSWER_SECONDS)
    connection = vendors.connection("wavecom")
    with watch.running():
        accepted = send_wavecom(connection, mobiles, _TEXT)
    assert accepted == vendors.sent_messages("wavecom") == len(mobiles)


def _limit(vendors: GatewayProcess, mobiles: list[str], watch: Stopwatch) -> None:
    vendors.answer_slowly(_ANSWER_SECONDS)
    with vendors.client("wavecom") as client:
        parts = (mobiles[start : start + _NUMBERS] for start in range(0, len(mobiles), _NUMBERS))
        requests = [
            client.vendor.submit_request(client.account, Submission(tuple(part), _TEXT)) for part in parts
        ]
        with watch.running():
            bare.send(client, requests, _IN_FLIGHT)  # type: ignore[arg-type]
    assert vendors.sent_messages("wavecom") == len(mobiles)
