"""How numbers are shown in an export: masked, as a keyed hash, or plain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_sms.redact import mask_number, mask_numbers
from airflow_provider_sms.store.frames.fields import Field, Kind
from airflow_provider_sms.store.number_hash import MARK, hash_numbers

if TYPE_CHECKING:
    from collections.abc import Sequence


def shown_field(field: Field, number: str) -> Field:
    """Name the column that stands for the numbers."""
    if number == "hash":
        return Field("mobile_hash", Kind.TEXT, "a keyed hash of the number; missing for purged ones")
    if number == "masked":
        return Field(field.name, Kind.TEXT, "the number, four digits of it hidden")
    return field


def shown_numbers(mobiles: Sequence[str], number: str, key: bytes) -> Sequence[str | None]:
    """
    Show numbers.

    :param mobiles: national numbers, or what a purge left of them.
    :param number: ``masked``, ``hash`` or ``plain``.
    :param key: of the hashes.
    """
    if number == "hash":
        # What a purge left can no longer be hashed; a hash of it would join with nothing.
        hashes = hash_numbers(mobiles, key)
        return [None if MARK in mobile else each for mobile, each in zip(mobiles, hashes, strict=True)]
    if number == "masked":
        return [mask_number(mobile) for mobile in mobiles]
    return mobiles


def shown_keys(keys: Sequence[str | None], number: str) -> Sequence[str | None]:
    """
    Show send keys: whoever sends to one person may have put the number into the key.

    :param keys: of sends; ``None`` where none is told.
    :param number: ``masked``, ``hash`` or ``plain``; masked in all but the last.
    """
    if number == "plain":
        return keys
    # Most rows share a key with others.
    masked = {key: key and mask_numbers(key) for key in dict.fromkeys(keys)}
    return [masked[key] for key in keys]
