"""
Replies by which a person asks to be left alone.

Whoever purges old replies must keep these, number and all: without them the person would be written to
again. In doubt a reply counts as one, since keeping a row too many harms less.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: What Chinese senders ask people to answer ("回T退订", "拒收请回复R", "退订回N"), and what people answer.
WORDS = (
    "T", "TD", "N", "R", "QX", "STOP", "QUIT", "UNSUBSCRIBE",
    "退订", "退定", "拒收", "拒绝接收", "取消订阅", "取消订购", "不要再发", "别再发", "勿再发", "请勿打扰",
)  # fmt: skip
_NOISE = re.compile(r"[\W_]+")
_ANSWERING = re.compile(r"^(?:回复|回)")


class OptOuts:
    """
    The words that ask for silence.

    A word of Latin letters and digits must be the whole reply, case, width and punctuation aside
    (``td。``, ``ＴＤ``, ``回复TD``); any other may stand anywhere in it (``请帮我退订``).

    :param words: the words; :data:`WORDS` if there are none.
    """

    def __init__(self, words: Iterable[str] = ()) -> None:
        plain = {_plain(word) for word in words} - {""} or {_plain(word) for word in WORDS}
        self._whole = {word for word in plain if word.isascii()}
        self._anywhere = tuple(plain - self._whole)

    @classmethod
    def of(cls, listed: str) -> OptOuts:
        """Read a comma-separated list, as a configuration has it; the usual words if it is empty."""
        return cls(listed.replace("，", ",").split(","))

    def matches(self, content: str) -> bool:
        """
        Tell whether a reply asks for silence.

        :param content: the reply's text.
        """
        plain = _plain(content)
        return _ANSWERING.sub("", plain) in self._whole or any(word in plain for word in self._anywhere)


def _plain(text: str) -> str:
    return _NOISE.sub("", unicodedata.normalize("NFKC", text)).casefold()
