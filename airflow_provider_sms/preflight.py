"""
The checks on many rows before a send: numbers, fields, texts.

Nearly every send is fine, and a look at a whole column costs a fraction of a look at each value: so each
check first asks whether surely nothing is wrong, and looks row by row only when that is not certain. The
problems name rows; numbers are masked, texts are never shown.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_sms import text
from airflow_provider_sms.recipients import MOBILE
from airflow_provider_sms.redact import mask_numbers, shown_instead, shown_names
from airflow_provider_sms.values import Unfit, as_text, is_narrow
from airflow_provider_sms.vendors.base import Vendor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_sms.recipients import Columns
    from airflow_provider_sms.templates import Template
    from airflow_provider_sms.vendors.base import Account

#: An error names this many rows of a kind and counts the others.
_ROWS_SHOWN = 10


class Numbers(NamedTuple):
    """
    The numbers of a send, each once.

    :param mobiles: in their national form.
    :param rows: the rows that they stand in, from 0.
    :param repeats: rows whose number came before, each with the place of that number in ``mobiles``.
    """

    mobiles: list[str]
    rows: Sequence[int]
    repeats: Mapping[int, int]


def numbers_of(vendor: Vendor, account: Account, columns: Columns, problems: list[str]) -> Numbers:
    """
    Find the numbers among the recipients.

    :param problems: is added to.
    """
    column = columns[MOBILE]
    if text.all_normal(column) and len(set(column)) == len(column):
        return Numbers(list(column), range(len(column)), {})
    landline = vendor.limits_for(account).landline
    places: dict[str, int] = {}
    rows: list[int] = []
    repeats: dict[int, int] = {}
    invalid: list[tuple[int, object]] = []
    for row, raw in enumerate(column):
        mobile = text.normalise_mobile(raw, landline=landline)
        if mobile is None:
            invalid.append((row, raw))
        elif (place := places.setdefault(mobile, len(rows))) < len(rows):
            repeats[row] = place
        else:
            rows.append(row)
    problems += _number_problems(invalid, len(column))
    if not column:
        problems.append("there are no recipients: the list, query or file has no rows")
    return Numbers(list(places), rows, repeats)


def _number_problems(invalid: list[tuple[int, object]], count: int) -> list[str]:
    problems = []
    narrow = [row for row, raw in invalid if is_narrow(raw)]
    wrong = [f"row {row + 1} ({_shown(raw)})" for row, raw in invalid if not is_narrow(raw)]
    if narrow:
        problems.append(
            f"{len(narrow):,} of {count:,} numbers are floats of fewer than 64 bits ({_rows(narrow)}), which "
            "keep seven of eleven digits at most: read the numbers from their source as text"
        )
    if wrong:
        rest = f" and {len(wrong) - _ROWS_SHOWN:,} more" if len(wrong) > _ROWS_SHOWN else ""
        problems.append(
            f"{len(wrong):,} of {count:,} numbers are no mainland Chinese mobile numbers: "
            f"{', '.join(wrong[:_ROWS_SHOWN])}{rest}; mend or remove these rows"
        )
    return problems


def values_of(template: Template, columns: Columns, numbers: Numbers, problems: list[str]) -> Columns:
    """
    Give the template's fields as columns of texts, one per number; nothing stands where a row has none.

    :param problems: is added to.
    """
    missing: dict[str, int] = {}
    for place, name in enumerate(template.fields, 1):
        if name not in columns:
            missing.setdefault(name, place)
    if missing:
        # What stands in braces and is no column may be a part of the text.
        lacks = ", ".join(shown_names([name], f"placeholder {place}") for name, place in missing.items())
        problems.append(f"the rows lack the template's fields {lacks}: they have {shown_names(columns)}")
    values: Columns = {}
    for name in dict.fromkeys(template.fields):
        if name in missing:
            continue
        if name == MOBILE:
            values[name] = numbers.mobiles
            continue
        values[name], unfit = _written(columns[name], numbers.rows)
        problems += [
            f"field {mask_numbers(name)!r} {why.what} in {_rows(rows)}: {why.advice}"
            for why, rows in unfit.items()
        ]
    return values


def repeat_problems(
    template: Template, columns: Columns, numbers: Numbers, contents: Sequence[str]
) -> list[str]:
    """
    Find rows whose number came before with another text: dropped, they would be lost in silence.

    :param contents: the texts, one per number.
    """
    if not numbers.repeats:
        return []
    rows, places = list(numbers.repeats), list(numbers.repeats.values())
    values = {name: _written(columns[name], rows)[0] for name in template.fields if name != MOBILE}
    again = template.render({**values, MOBILE: [numbers.mobiles[place] for place in places]})
    others = [
        row for row, place, content in zip(rows, places, again, strict=True) if content != contents[place]
    ]
    if not others:
        return []
    problem = (
        f"{len(others):,} rows have another text for a number that came before ({_rows(others)}), and a send "
        "has one message per number: put a person's texts into one, or send each under a send_key of its own"
    )
    return [problem]


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
    # pandas has several values for nothing, and masked they would be stars.
    return "empty" if as_text(raw) is Unfit.EMPTY else shown_instead(str(raw).strip())


def _rows(rows: Sequence[int]) -> str:
    rest = f" and {len(rows) - _ROWS_SHOWN:,} more" if len(rows) > _ROWS_SHOWN else ""
    return f"rows {', '.join(str(row + 1) for row in rows[:_ROWS_SHOWN])}{rest}"


def _written(column: list[Any], rows: Sequence[int]) -> tuple[list[str], dict[Unfit, list[int]]]:
    """Write some rows of a column as texts, nothing for those that cannot be; and tell which and why."""
    values = column if len(rows) == len(column) else [column[row] for row in rows]
    if set(map(type, values)) == {str} and all(map(str.strip, values)):
        return values, {}
    written = list(map(as_text, values))
    texts = [value for value in written if isinstance(value, str)]
    if len(texts) == len(written):
        return texts, {}
    unfit: dict[Unfit, list[int]] = {}
    for row, value in zip(rows, written, strict=True):
        if isinstance(value, Unfit):
            unfit.setdefault(value, []).append(row)
    return ["" if isinstance(value, Unfit) else value for value in written], unfit
