"""P4: 100,000 personalised messages rendered, checked and cut into batches."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from baseline import sends as by_hand
from figures import Row, at_least, medians

from airflow_provider_sms.planning import plan_template

if TYPE_CHECKING:
    from collections.abc import Iterator

    from figures import Stopwatch
    from gateway import GatewayProcess

    from airflow_provider_sms.gateway import Gateway

_OURS = "{name}您好，您的订单 {order} 已发货，取件码 {code}，请在今天 20 点前到驿站领取。【演示】"
_JINJA = _OURS.replace("{", "{{ ").replace("}", " }}")


def rows(vendors: GatewayProcess, runs: int, count: int) -> Iterator[Row]:
    """Measure with templates of the vendor's own (smsadmin), and with a text per number (wavecom)."""
    columns: dict[str, list[Any]] = {
        "mobile": [str(13_800_000_000 + 7 * place) for place in range(count)],
        "name": [f"王小{'一二三四五六七八九十'[place % 10]}" for place in range(count)],
        "order": [f"SF{place:010d}" for place in range(count)],
        "code": [f"{place * 7919 % 1_000_000:06d}" for place in range(count)],
    }
    dicts = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    for vendor, how in (("smsadmin", "its own templates"), ("wavecom", "all texts differ")):
        with vendors.client(vendor) as client:
            taken = medians(
                {
                    "ours": partial(_ours, client, columns, count),
                    "by hand": partial(_by_hand, dicts),
                    "limit": partial(_limit, columns),
                },
                runs,
            )
        ours, hand = taken["ours"], taken["by hand"]
        work = f"{count:,} personalised messages for {vendor} ({how})"
        yield Row("P4", work, ours, hand, taken["limit"], (at_least(5, hand / ours, "jinja2"),))


def _ours(client: Gateway, columns: dict[str, list[Any]], count: int, watch: Stopwatch) -> None:
    with watch.running():
        plan = plan_template(client.vendor, client.account, columns, _OURS)
    assert plan.recipients == count


def _by_hand(rows: list[dict[str, Any]], watch: Stopwatch) -> None:
    with watch.running():
        texts = by_hand.render(_JINJA, rows)
    assert len(texts) == len(rows)


def _limit(columns: dict[str, list[Any]], watch: Stopwatch) -> None:
    # The texts alone, unchecked: one C loop over the columns.
    with watch.running():
        list(map(" ".join, zip(columns["name"], columns["order"], columns["code"], strict=True)))
