"""
Make vendors' values fit their columns, and say so.

What a vendor sends may be longer than a column or hold characters that no database text can: NUL, or
half of a surrogate pair. Such a value must not keep its page from landing; the raw bytes hold it in
full, and the page is flagged.

Numbers get the form that recipients have, without which no report would find its message: a vendor may put
the country's code in front.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_sms.text import normalise_mobile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Table

_REPLACEMENT = "\ufffd"
_MOBILE = "mobile"
_MOBILE_DIGITS = 11


def fit(table: Table, columns: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """
    Cut and clean what does not fit.

    :param columns: values per column; those that are no texts are left alone.
    :return: the columns, and what was changed, ``""`` if nothing.
    """
    fitted = dict(columns)
    if columns.get(_MOBILE):
        fitted[_MOBILE] = _national(columns[_MOBILE])
    changed = []
    for name, values in fitted.items():
        if isinstance(values, str) or not values or not isinstance(values[0], str):
            continue
        length = getattr(table.c[name].type, "length", None)
        if _fits(values, length):
            continue
        clean = [_clean(value, length) for value in values]
        count = sum(old != new for old, new in zip(values, clean, strict=True))
        changed.append(f"{count} of {name}")
        fitted[name] = clean
    if not changed:
        return fitted, ""
    return (
        fitted,
        f"values were cut or cleaned to fit ({', '.join(changed)}); the page's bytes have them whole",
    )


def _national(numbers: Sequence[str]) -> Sequence[str]:
    # Over the whole column at once, as below.
    if max(map(len, numbers)) <= _MOBILE_DIGITS:
        return numbers
    return [
        (normalise_mobile(number, landline=True) or number) if len(number) > _MOBILE_DIGITS else number
        for number in numbers
    ]


def _fits(values: Any, length: int | None) -> bool:
    # Over the whole column at once: this runs for every page, and nearly always says yes.
    joined = "".join(values)
    if "\x00" in joined or (length is not None and max(map(len, values)) > length):
        return False
    return joined.isascii() or not _has_surrogates(joined)


def _has_surrogates(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _clean(value: str, length: int | None) -> str:
    cleaned = value.replace("\x00", _REPLACEMENT)
    if not cleaned.isascii():
        cleaned = cleaned.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return cleaned if length is None else cleaned[:length]
