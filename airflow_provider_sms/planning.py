"""
From recipients and a text to batches: normalise, de-duplicate, check everything, cut.

All problems of all rows end in one :class:`~airflow_provider_sms.errors.PreflightError`; nothing here
sends or stores anything. Numbers in problems are named by row and masked, texts are never shown.
"""

from __future__ import annotations

import gc
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import chain, islice, repeat
from string import Formatter
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_sms import text
from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.recipients import MOBILE
from airflow_provider_sms.redact import mask_number
from airflow_provider_sms.vendors.base import Vendor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from airflow_provider_sms.recipients import Columns
    from airflow_provider_sms.vendors.base import Account, NativeTemplate

#: An error names this many rows of a kind and counts the others.
_ROWS_SHOWN = 10


class PlannedSubmit(NamedTuple):
    """
    One vendor call to be; a tuple, since there may be one per recipient.

    :param mobiles: national numbers.
    :param contents: what each of them will read, or one text for all.
    :param native: the vendor's own template, when this is a template submit.
    :param values: then one tuple of values per number.
    """

    mobiles: tuple[str, ...]
    contents: tuple[str, ...]
    native: NativeTemplate | None = None
    values: tuple[tuple[str, ...], ...] = ()

    def __repr__(self) -> str:
        """Show neither numbers nor texts."""
        return f"PlannedSubmit({len(self.mobiles)} numbers)"


@dataclass(frozen=True, slots=True)
class Plan:
    """
    A whole send, checked and cut.

    :param submits: the vendor calls, in order.
    :param duplicates: rows dropped because their number came before.
    """

    submits: tuple[PlannedSubmit, ...]
    duplicates: int

    @property
    def recipients(self) -> int:
        """Count the numbers."""
        return sum(len(submit.mobiles) for submit in self.submits)


class Template:
    """
    A text with placeholders: ``"{name}，您的验证码 {code}"``; ``{{`` and ``}}`` are literal braces.

    :raises ValueError: when the braces do not pair up, or a placeholder is no plain field name.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        literals, fields = [""], []
        for literal, name, spec, conversion in Formatter().parse(source):
            literals[-1] += literal
            if name is None:
                continue
            if not name or spec or conversion or not name.replace("_", "a").isalnum():
                msg = f"placeholder {{{name}}} is no plain field name: write for instance {{code}}"
                raise ValueError(msg)
            fields.append(name)
            literals.append("")
        self.literals = tuple(literals)
        self.fields = tuple(fields)

    def render(self, columns: Columns) -> list[str]:
        """
        Fill in whole columns at once, which is many times faster than row by row.

        :param columns: text values per field; all of one length.
        """
        rows = len(columns[MOBILE])
        parts: list[Iterable[str]] = [repeat(self.literals[0], rows)]
        for name, literal in zip(self.fields, self.literals[1:], strict=True):
            parts += [columns[name], repeat(literal, rows)]
        return list(map("".join, zip(*parts, strict=True)))


def sign(content: str, signature: str) -> str:
    """Put the connection's signature at the end of a text that bears none."""
    if not signature or text.has_signature(content):
        return content
    return content + (signature if signature.startswith("【") else f"【{signature}】")


def people_of(vendor: Vendor, account: Account, columns: Columns) -> set[str]:
    """
    Give the numbers of the recipients, each once, in their national form.

    :raises PreflightError: some of them are no numbers, or there are none.
    """
    problems: list[str] = []
    mobiles, _, _ = _numbers(vendor, account, columns, problems)
    _refuse(problems, account)
    return set(mobiles)


def plan_text(
    vendor: Vendor,
    account: Account,
    columns: Columns,
    content: str,
    *,
    extno: str = "",
    problems: Sequence[str] = (),
) -> Plan:
    """
    Plan one text to many numbers.

    :param problems: what is wrong elsewhere, for the same error.
    :raises PreflightError: listing every problem.
    """
    problems = list(problems)
    content = sign(content, account.options["signature"])
    mobiles, _, duplicates = _numbers(vendor, account, columns, problems)
    problems += vendor.content_problems(account, content) + vendor.extno_problems(account, extno)
    _refuse(problems, account)
    size = vendor.limits_for(account).numbers
    submits = tuple(PlannedSubmit(tuple(part), (content,)) for part in _parts(mobiles, size))
    return Plan(submits, duplicates)


def plan_template(
    vendor: Vendor,
    account: Account,
    columns: Columns,
    source: str,
    *,
    extno: str = "",
    problems: Sequence[str] = (),
) -> Plan:
    """
    Plan a text of each recipient's own.

    A vendor with templates gets template submits for the rows it can express; all others are rendered here,
    and equal texts share a submit.

    :param problems: what is wrong elsewhere, for the same error.
    :raises PreflightError: listing every problem.
    """
    with _no_search_for_cycles():
        return _plan_template(vendor, account, columns, source, extno, list(problems))


def _plan_template(
    vendor: Vendor, account: Account, columns: Columns, source: str, extno: str, problems: list[str]
) -> Plan:
    template = _template(sign(source, account.options["signature"]), problems)
    mobiles, kept, duplicates = _numbers(vendor, account, columns, problems)
    values = _values(template, columns, kept, problems) if template else {}
    problems += vendor.extno_problems(account, extno)
    contents: list[str] = []
    if template and all(name in values for name in template.fields):
        # Rows with an empty field are checked as well, as far as they go; the problem of the field is told.
        filled = {
            name: [value or "" for value in column] if None in column else column
            for name, column in values.items()
        }
        contents = template.render({MOBILE: mobiles, **filled})
        problems += _content_problems(vendor, account, contents, kept)
    _refuse(problems, account)
    assert template is not None  # noqa: S101 - a template that does not parse is a problem, raised above
    native = vendor.native_template(account, template.source, template.fields)
    if native is None:
        return Plan(tuple(_equal_texts(vendor, account, mobiles, contents)), duplicates)
    rows = (
        list(zip(*(values[name] for name in native.fields), strict=True))
        if native.fields
        else [()] * len(mobiles)
    )
    fits = list(map(partial(vendor.template_row_fits, account), rows))
    # A row that the vendor's template would drop in silence goes out as an ordinary message.
    plain = _equal_texts(
        vendor, account, _where(mobiles, fits, wanted=False), _where(contents, fits, wanted=False)
    )
    templated = _template_submits(
        native,
        vendor.limits_for(account).template_rows,
        _where(mobiles, fits, wanted=True),
        _where(contents, fits, wanted=True),
        _where(rows, fits, wanted=True),
    )
    return Plan((*templated, *plain), duplicates)


def moment(account: Account, send_at: Any, now: datetime) -> tuple[datetime | None, list[str]]:
    """
    Read the time of a scheduled send.

    :param send_at: a datetime or ISO text; one without a zone is meant in the vendor's (Chinese) time.
    :param now: aware.
    :return: the time, ``None`` for at once; and what is wrong with it.
    """
    if send_at is None or send_at == "":
        return None, []
    if isinstance(send_at, str):
        try:
            send_at = datetime.fromisoformat(send_at.strip())
        except ValueError:
            return None, [
                "send_at is no time: write it like 2026-12-24 08:30:00 or 2026-12-24T08:30:00+08:00"
            ]
    if not isinstance(send_at, datetime):
        return None, [f"send_at is a {type(send_at).__name__}: give a datetime or ISO text"]
    if send_at.tzinfo is None:
        send_at = send_at.replace(tzinfo=account.timezone)
    if send_at <= now:
        local = send_at.astimezone(account.timezone)
        shown = f"{local:%Y-%m-%d %H:%M:%S} ({account.timezone})"
        return None, [f"send_at {shown} is past: leave it empty to send at once"]
    return send_at, []


# ---------------------------------------------------------------------------------------------------


@contextmanager
def _no_search_for_cycles() -> Iterator[None]:
    """Hold Python's collector back: it would walk again and again over tuples that hold nothing but text."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _where_of(account: Account) -> str:
    return f"connection {account.conn_id!r} ({account.vendor})"


def _refuse(problems: list[str], account: Account) -> None:
    if problems:
        raise PreflightError(problems, _where_of(account))


def _numbers(
    vendor: Vendor, account: Account, columns: Columns, problems: list[str]
) -> tuple[list[str], Sequence[int], int]:
    """Give the numbers, the rows they stand in, and how many duplicates were dropped."""
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


def _shown(raw: object) -> str:
    written = str(raw).strip()
    return repr(mask_number(written)) if written and raw is not None else "empty"


def _template(source: str, problems: list[str]) -> Template | None:
    try:
        return Template(source)
    except ValueError as error:
        # Formatter's own messages ("Single '}' encountered") hold no part of the text.
        problems.append(f"the template cannot be read: {error}; double a brace that is meant as text")
        return None


def _values(template: Template, columns: Columns, kept: Sequence[int], problems: list[str]) -> Columns:
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


def _content_problems(
    vendor: Vendor, account: Account, contents: list[str], kept: Sequence[int]
) -> list[str]:
    """Check each text once; equal problems of many rows are one line."""
    if _surely_fine(vendor, account, contents):
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


def _surely_fine(vendor: Vendor, account: Account, contents: Sequence[str]) -> bool:
    """
    Whether none of many texts has a problem, seen in a few looks at all of them; ``False`` tells nothing.

    It knows what :meth:`Vendor.content_problems` looks for, and leaves vendors alone that look for more.
    """
    limits = vendor.limits_for(account)
    if type(vendor).content_problems is not Vendor.content_problems or limits.signature_at_end:
        return False
    joined = "".join(contents)
    try:
        text.encode(joined, account.charset)
    except UnicodeEncodeError:
        return False
    # A character takes two places at most.
    short = limits.characters is None or 2 * max(map(len, contents), default=0) <= limits.characters
    return short and all(map(str.strip, contents))


def _equal_texts(
    vendor: Vendor, account: Account, mobiles: list[str], contents: list[str]
) -> Iterator[PlannedSubmit]:
    if len(set(contents)) == len(contents):
        # Each text has a code of its own: there is nothing to put together.
        each = zip(zip(mobiles), zip(contents), repeat(None), repeat(()))
        return map(PlannedSubmit._make, each)
    groups: dict[str, list[str]] = {}
    for mobile, content in zip(mobiles, contents, strict=True):
        groups.setdefault(content, []).append(mobile)
    size = vendor.limits_for(account).numbers
    return chain.from_iterable(
        (PlannedSubmit(tuple(part), (content,)) for part in _parts(group, size))
        for content, group in groups.items()
    )


def _template_submits(
    native: NativeTemplate,
    size: int,
    mobiles: list[str],
    contents: list[str],
    rows: list[tuple[str, ...]],
) -> Iterator[PlannedSubmit]:
    for start in range(0, len(mobiles), size):
        part = slice(start, start + size)
        yield PlannedSubmit(tuple(mobiles[part]), tuple(contents[part]), native, tuple(rows[part]))


def _parts(values: list[str], size: int) -> Iterator[list[str]]:
    iterator = iter(values)
    while part := list(islice(iterator, size)):
        yield part


def _where(values: list[Any], flags: list[bool], *, wanted: bool) -> list[Any]:
    if (not wanted) not in flags:
        return values
    if wanted not in flags:
        return []
    return [value for value, flag in zip(values, flags, strict=True) if flag is wanted]
