"""Names of blocks of numbers: each looked up once, and kept in a byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_sms.store.carriers import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable

_MOBILE_START = "1"
#: The blocks of mobile numbers are those from 1000000 to 1999999.
_FIRST = 10 ** (PREFIX - 1)


class BlockNames:
    """
    What blocks of numbers are called, whatever their order.

    A campaign may have numbers of some hundred thousand blocks, but there are a few dozen carriers and
    provinces: a megabyte has room for all.

    :param name_of: names a block; asked once for each block of mobile numbers.
    """

    def __init__(self, name_of: Callable[[str], str]) -> None:
        self._name_of: Callable[[str], str] = name_of
        self._codes = bytearray(_FIRST)
        # Code 0 is a block that was not asked for so far.
        self._names: list[str] = [""]

    def __call__(self, block: str) -> str:
        """
        Name a block.

        :param block: the first seven characters of a number, whatever they are.
        """
        # A digit may be one of another script, which the tables of carriers know nothing of.
        if len(block) != PREFIX or block[0] != _MOBILE_START or not (block.isascii() and block.isdigit()):
            return self._name_of(block)
        place = int(block) - _FIRST
        code = self._codes[place]
        if not code:
            code = self._codes[place] = self._code(self._name_of(block))
        name: str = self._names[code]
        return name

    def _code(self, name: str) -> int:
        if name not in self._names:
            self._names.append(name)
        return self._names.index(name, 1)
