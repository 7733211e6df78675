"""Which carrier a Chinese mobile number belongs to, by its prefix."""

from __future__ import annotations

from functools import lru_cache

#: Numbers are handed out to carriers in blocks of ten thousand: the first seven digits tell.
PREFIX = 7
UNKNOWN = "unknown"
_CHINA = 86
_PADDING = "0000"
_MOBILE_START = "1"


@lru_cache(maxsize=65536)
def carrier_of_prefix(prefix: str) -> str:
    """
    Name the carrier of a block of numbers: ``"China Mobile"``.

    It is the carrier that got the block; a number that was taken to another carrier is not told.

    :param prefix: the first seven digits of national mobile numbers.
    :return: the English name, ``"unknown"`` for landlines and blocks that nobody lists.
    """
    from phonenumbers import PhoneNumber, carrier

    if len(prefix) < PREFIX or not prefix.startswith(_MOBILE_START) or not prefix.isdigit():
        return UNKNOWN
    number = PhoneNumber(country_code=_CHINA, national_number=int(prefix + _PADDING))
    return carrier.name_for_number(number, "en") or UNKNOWN
