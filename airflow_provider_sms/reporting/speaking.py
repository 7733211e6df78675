"""How the page speaks: in one language, or in both with a switch; how it writes numbers, times and spans."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from airflow_provider_sms.redact import mask_numbers
from airflow_provider_sms.reporting.figures import Names
from airflow_provider_sms.reporting.wording import WORDS

if TYPE_CHECKING:
    from datetime import date, datetime
    from decimal import Decimal

LANGUAGES = ("both", "zh", "en")
_TAGS = {"zh": "zh-CN", "en": "en"}
_NONE = "–"
#: Stands for control characters, which neither HTML nor SVG takes, and for marks that turn a text round.
_UNPRINTABLE = "\ufffd"
_WEEKDAYS = (
    "星期一 Monday", "星期二 Tuesday", "星期三 Wednesday", "星期四 Thursday", "星期五 Friday",
    "星期六 Saturday", "星期日 Sunday",
)  # fmt: skip
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
_MINUTE, _HOUR = 60, 3600
_DAY = 24 * _HOUR
#: Spans below this many seconds are written with a decimal.
_FINE = 10


class Speaker:
    """
    Writes HTML and SVG text in the page's language or languages.

    :param language: ``both``, ``zh`` or ``en``.
    :param timezone: name of the zone in which times are written.
    """

    def __init__(self, language: str, timezone: str) -> None:
        self.languages = tuple(_TAGS) if language == "both" else (language,)
        self._zone = ZoneInfo(timezone)

    @property
    def tag(self) -> str:
        """The language tag of the whole page; of the first one where there are two."""
        return _TAGS[self.languages[0]]

    def say(self, key: str, /, **values: object) -> Markup:
        """
        Say a thing of the wording.

        :param key: its key there.
        :param values: what stands in its braces: names in both languages, or anything that is no sentence.
        """
        words = WORDS[key]
        return self.names(
            Names(
                words.zh.format(**{name: _in(value, "zh") for name, value in values.items()}),
                words.en.format(**{name: _in(value, "en") for name, value in values.items()}),
            )
        )

    def names(self, names: Names) -> Markup:
        """Write a name: as it is where there is one language or no difference, else in both."""
        return self._marked(names, "span")

    def in_picture(self, names: Names) -> str:
        """Write a name inside an SVG text."""
        return str(self._marked(names, "tspan"))

    def plain(self, key: str, joint: str = " · ") -> str:
        """Say a thing where no markup can be: a page's title."""
        return joint.join(getattr(WORDS[key], language) for language in self.languages)

    def _marked(self, names: Names, tag: str) -> Markup:
        spelled = {language: getattr(names, language) for language in self.languages}
        if len(set(spelled.values())) == 1:
            return escape(next(iter(spelled.values())))
        return Markup().join(
            Markup('<{} lang="{}">{}</{}>').format(Markup(tag), _TAGS[language], text, Markup(tag))  # noqa: S704
            for language, text in spelled.items()
        )

    def time(self, moment: datetime | None) -> str:
        """Write a moment to the minute: ``2026-11-22 21:05``."""
        return _NONE if moment is None else f"{moment.astimezone(self._zone):%Y-%m-%d %H:%M}"

    @staticmethod
    def day(day: date) -> Names:
        """Write a day out: ``2026年11月22日 星期日``, ``Sunday, 22 November 2026``."""
        zh, _, en = _WEEKDAYS[day.weekday()].partition(" ")
        return Names(
            f"{day.year}年{day.month}月{day.day}日 {zh}",
            f"{en}, {day.day} {_MONTHS[day.month - 1]} {day.year}",
        )


def _in(value: object, language: str) -> object:
    return getattr(value, language) if isinstance(value, Names) else value


def count(number: int) -> str:
    """Write a count: ``1,234,567``."""
    return f"{number:,}"


def share(part: float | None) -> str:
    """
    Write a share: ``98.4%``.

    Never ``100%`` for less than all, nor ``0%`` for more than nothing.
    """
    if part is None or math.isnan(part):
        return _NONE
    if part in {0, 1}:
        return f"{part:.0%}"
    return f"{min(max(part, 0.001), 0.999):.1%}"


def share_of(part: int, whole: int) -> str:
    """Write which share of the whole a part is."""
    return share(part / whole if whole else None)


def span(seconds: float | None) -> Names:
    """Write a span of time: ``3.2 s``, ``48 s``, ``12 min``, ``2.5 h``."""
    if seconds is None or math.isnan(seconds):
        return Names(_NONE, _NONE)
    if seconds < _MINUTE:
        number = _decimal(seconds) if seconds < _FINE else f"{seconds:.0f}"
        return Names(f"{number} 秒", f"{number} s")
    if seconds < _HOUR:
        number = _decimal(seconds / _MINUTE)
        return Names(f"{number} 分钟", f"{number} min")
    number = _decimal(seconds / _HOUR)
    return Names(f"{number} 小时", f"{number} h")


def amount(number: Decimal | None, unit: str) -> Names:
    """
    Write what is left on an account, or was used of it.

    :param unit: ``"messages"``, or ``"money"`` (CNY).
    """
    if number is None:
        return Names(_NONE, _NONE)
    if unit == "money":
        return Names(f"{number:,.2f} 元", f"CNY {number:,.2f}")
    whole = f"{number:,.0f}"
    return Names(f"{whole} 条", f"{whole} messages")


def shown(text: str) -> str:
    """Write what somebody else named: numbers of people masked, and no character that a page cannot hold."""
    return mask_numbers("".join(each if each.isprintable() else _UNPRINTABLE for each in text))


def _decimal(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
