"""How a phone number looks in whatever the sandbox prints."""

from __future__ import annotations

_SHORT = 10


def masked(number: str) -> str:
    """Return ``138****5678`` for ``13812345678``; short numbers lose all but two digits.

    :param number: a phone number, or anything sent in its place
    """
    if len(number) < _SHORT:
        return f"{number[:2]}****"
    return f"{number[:3]}****{number[-4:]}"


def masked_few(numbers: list[str]) -> str:
    """Return the first number masked and how many more there are.

    :param numbers: the numbers of one submit
    """
    if not numbers:
        return "-"
    more = f" +{len(numbers) - 1}" if len(numbers) > 1 else ""
    return masked(numbers[0]) + more
