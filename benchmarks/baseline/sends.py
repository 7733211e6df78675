"""A send and a personalised text as a good engineer writes them in an evening."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests
from jinja2 import Template

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_NUMBERS = 100
_TIMEOUT = 30


def send_wavecom(connection: dict[str, Any], mobiles: Sequence[str], content: str) -> int:
    """Send one text to many numbers, a hundred a call; how many the vendor took."""
    address = f"{connection['schema']}://{connection['host']}:{connection['port']}/sendsms_txt.asp"
    accepted = 0
    for start in range(0, len(mobiles), _NUMBERS):
        answer = requests.get(
            address,
            params={
                "us_name": connection["login"],
                "us_pwd": connection["password"],
                "send_phone": ",".join(mobiles[start : start + _NUMBERS]),
                "send_content": content.encode("gbk"),
            },
            timeout=_TIMEOUT,
        )
        answer.raise_for_status()
        code, taken, *_ = answer.content.decode("gbk").split("|")
        if code != "0":
            raise RuntimeError(f"wavecom says {code}")
        accepted += int(taken)
    return accepted


def render(template: str, rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Give each row its text; ``template`` is Jinja's."""
    compiled = Template(template)
    return [compiled.render(row) for row in rows]
