"""
The checks on many rows before a send: numbers, fields, texts.

Nearly every send is fine, and a look at a whole column costs a fraction of a look at each value: so each
check first asks whether surely nothing is wrong, and looks row by row only when that is not certain. The
problems name rows; numbers are masked, texts are never shown.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from airflow_provider_sms import text
from airflow_provider_sms.recipients import MOBILE
from airflow_provider_sms.redact import mask_number
from airflow_provider_sms.vendors.base import Vendor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_sms.recipients import Columns
    from airflow_provider_sms.templates import Template
    from airflow_provider_sms.vendors.base import Account

#: An error names this many rows of a kind and counts the others.
_ROWS_SHOWN = 10


def numbers_of(
    vendor: Vendor, account: Account, columns: Columns, problems: list[str]
) -> tuple[list[str], Sequence[int], int]:
    """
    Give the numbers in their national form, the rows they stand in, and how many duplicates were dropped.

    :param problems: is added to.
    """
    column = columns[MOBILE]
    if text.all_normal(column) and len(set(column)) == len(column):
        return list(column), range(len(column)), 0
    landline = vendor.limits_for(account).landline
    seen: dict[str, int] = {}
    invalid: list[tuple[int, object]] = []
    duplicates = 0
    for row, raw in enumerate(column):
        mobile = text.normalise_mobile(raw, landline=landline)
        if mobile is None:
            invalid.append((row, raw))
        elif mobile in seen:
            duplicates += 1
        else:
            seen[mobile] = row
    if invalid:
        shown = ", ".join(f"row {row + 1} ({_shown(raw)})" for row, raw in invalid[:_ROWS_SHOWN])
        rest = f" and {len(invalid) - _ROWS_SHOWN:,} more" if len(invalid) > _ROWS_SHOWN else ""
        problems.append(
            f"{len(invalid):,} of {len(columns[MOBILE]):,} numbers are no mainland Chinese mobile numbers: "
            f"{shown}{rest}; mend or remove these rows"
        )
    elif not seen:
        problems.append("there are no recipients: the list, query or file has no rows")
    return list(seen), list(seen.values()), duplicates


def values_of(template: Template, columns: Columns, kept: Sequence[int], problems: list[str]) -> Columns:
    """
    Give the template's fields as columns of texts; ``None`` stands where a row has none.

    :param kept: the rows that count.
    :param problems: is added to.
    """
    missing = [name for name in dict.fromkeys(template.fields) if name not in columns]
    if missing:
        have = ", ".join(map(repr, columns))
        problems.append(
            f"the rows lack the template's fields {', '.join(map(repr, missing))}: they have {have}"
        )
    values: Columns = {}
    for name in dict.fromkeys(template.fields):
        if name in missing:
            continue
        column = columns[name]
        if len(kept) == len(column) and set(map(type, column)) == {str} and all(map(str.strip, column)):
            values[name] = column
            continue
        values[name] = [_as_text(column[row]) for row in kept]
        empty = [row + 1 for row, value in zip(kept, values[name], strict=True) if value is None]
        if empty:
            rest = f" and {len(empty) - _ROWS_SHOWN:,} more" if len(empty) > _ROWS_SHOWN else ""
            shown = ", ".join(map(str, empty[:_ROWS_SHOWN]))
            problems.append(f"field {name!r} is empty in rows {shown}{rest}: fill it or leave these rows out")
    return values


def text_problems(
    vendor: Vendor,
    account: Account,
    template: Template,
    values: Columns,
    contents: Sequence[str],
    kept: Sequence[int],
) -> list[str]:
    """
    Check the texts of a template send, each once; equal problems of many rows are one line.

    :param values: what was filled in, by field.
    :param contents: the texts, one per row.
    :param kept: the rows they belong to.
    """
    if _surely_fine(vendor, account, template, values, contents):
        return []
    first_row: dict[str, int] = {}
    for content, row in zip(contents, kept, strict=True):
        first_row.setdefault(content, row)
    found: Counter[str] = Counter()
    rows: dict[str, int] = {}
    for content, row in first_row.items():
        for problem in vendor.content_problems(account, content):
            found[problem] += 1
            rows.setdefault(problem, row)
    listed = [
        f"{problem} (row {rows[problem] + 1}" + (f" and {count - 1:,} other texts)" if count > 1 else ")")
        for problem, count in found.most_common(2 * _ROWS_SHOWN)
    ]
    if len(found) > len(listed):
        listed.append(f"{len(found) - len(listed):,} further problems of this sort")
    return listed


def _surely_fine(
    vendor: Vendor, account: Account, template: Template, values: Columns, contents: Sequence[str]
) -> bool:
    """
    Whether surely none of the texts has a problem; ``False`` tells nothing.

    It knows what :meth:`Vendor.content_problems` looks for, and leaves vendors alone that look for more.
    """
    limits = vendor.limits_for(account)
    if type(vendor).content_problems is not Vendor.content_problems or limits.signature_at_end:
        return False
    # The literals stand in every text: so the pieces are checked, each once, not what was made of them.
    literals, *filled = pieces = ["".join(template.literals), *map("".join, values.values())]
    # Brackets of a value can make a signature of what the literals say.
    bracketed = any("【" in piece or "】" in piece for piece in filled)
    if (bracketed or text.says_nothing(literals)) and any(map(text.says_nothing, contents)):
        return False
    if not all(text.encodable(piece, account.charset) and "\0" not in piece for piece in pieces):
        return False
    if limits.characters is None:
        return True
    longest = max(map(len, contents), default=0)
    # A character outside the basic plane takes two places.
    wide = any(text.utf16_length(piece) > len(piece) for piece in pieces)
    return longest * (2 if wide else 1) <= limits.characters


def _shown(raw: object) -> str:
    written = str(raw).strip()
    return repr(mask_number(written)) if written and raw is not None else "empty"


def _as_text(value: Any) -> str | None:
    if isinstance(value, str):
        # A CSV has no other way to say "nothing", and a text with a hole in it helps nobody.
        return value if value.strip() else None
    # NaN is the only value that differs from itself; pandas' NA refuses to be compared.
    if value is None or type(value).__name__ in {"NAType", "NaTType"} or value != value:  # noqa: PLR0124
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # a whole number from a column that had an empty cell once
    return str(value)
