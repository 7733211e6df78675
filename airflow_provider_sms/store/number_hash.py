"""
Numbers as a key that joins and cannot be dialled.

The whole mobile network has some ten thousand million numbers: a bare hash of one is found by trying them
all in an hour. So every form here is an HMAC, and who lacks the key can only guess.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.store.schema import MOBILE_HASH_LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHORTEST_KEY = 16
#: Digits that stay of a purged number: the block of ten thousand numbers that it is in, which tells the
#: carrier and the region. A masked number shows as much.
_PREFIX = 7
#: Stands in no number, so a purged one is known as such.
MARK = "~"
#: With the block and the mark it just fits the column of the numbers.
_PSEUDONYM_LENGTH = 24


def checked_key(secret: str) -> bytes:
    """
    Make a key of a configured secret; none of an empty one.

    :raises PreflightError: somebody could guess it.
    """
    key = secret.strip().encode()
    if key and len(key) < _SHORTEST_KEY:
        problem = (
            f"number_hash_key has fewer than {_SHORTEST_KEY} characters, so the numbers behind the hashes "
            "could be found: make one with 'openssl rand -hex 32'"
        )
        raise PreflightError([problem], "SMS store")
    return key


def hash_numbers(mobiles: Iterable[str], key: bytes) -> list[str]:
    """
    Give ``mobile_hash`` of numbers: the first 32 hexadecimal digits of their HMAC-SHA256.

    That is 128 bits: of ten thousand million numbers, two share them with a chance below one in 10**18.

    :param mobiles: national numbers, digits only.
    :param key: the secret.
    """
    return [_hash(mobile, key) for mobile in mobiles]


def pseudonym(mobile: str, key: bytes) -> str:
    """
    Give what stands for a number after a purge, e.g. ``1380013~5e0c...``; a purged one stays as it is.

    Equal numbers get equal forms under one key, so messages still join with their reports.
    """
    if MARK in mobile:
        return mobile
    return f"{mobile[:_PREFIX]}{MARK}{_hash(mobile, key)[:_PSEUDONYM_LENGTH]}"


def _hash(mobile: str, key: bytes) -> str:
    return hmac.digest(key, mobile.encode(), "sha256").hex()[:MOBILE_HASH_LENGTH]
