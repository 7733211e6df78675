"""Chinese local time, as all four vendors write it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

# China has kept one offset without daylight saving since 1991, so no time zone database is needed.
CHINA = timezone(timedelta(hours=8), "Asia/Shanghai")

_DASHED = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}")
_FOURTEEN = re.compile(r"\d{14}")


def now() -> datetime:
    """Return the present moment in Chinese local time."""
    return datetime.now(CHINA)


def dashed(moment: datetime) -> str:
    """Write a moment as ``2010-10-24 09:08:10``, Chinese local time.

    :param moment: any aware datetime
    """
    return moment.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")


def read_dashed(text: str) -> datetime | None:
    """Read ``2010-10-24 09:08:10`` (beidoutong §2.2, smsadmin §2); None if it is anything else.

    :param text: the field as received
    """
    return _read(text, _DASHED, "%Y-%m-%d %H:%M:%S")


def read_fourteen(text: str) -> datetime | None:
    """Read ``20100903112030`` (wavecom §1.1.1, linkws 一); None if it is anything else.

    :param text: the field as received
    """
    return _read(text, _FOURTEEN, "%Y%m%d%H%M%S")


def _read(text: str, shape: re.Pattern[str], form: str) -> datetime | None:
    if not text.isascii() or not shape.fullmatch(text):
        return None
    try:
        return datetime.strptime(text, form).replace(tzinfo=CHINA)
    except ValueError:
        return None
