"""
From recipients and a text to batches: normalise, de-duplicate, check everything, cut.

All problems of all rows end in one :class:`~airflow_provider_sms.errors.PreflightError`; nothing here
sends or stores anything. Numbers in problems are named by row and masked, texts are never shown.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import chain, islice, repeat
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_sms import text
from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.preflight import numbers_of, repeat_problems, text_problems, values_of
from airflow_provider_sms.recipients import MOBILE
from airflow_provider_sms.templates import Template

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_sms.recipients import Columns
    from airflow_provider_sms.vendors.base import Account, NativeTemplate, Vendor


class PlannedSubmit(NamedTuple):
    """
    One vendor call to be; a tuple, since there may be one per recipient.

    :param mobiles: national numbers.
    :param content: the text for all of them, or the vendor's own template.
    :param contents: for a template, what each of them will read.
    :param values: for a template, one tuple of values per number.
    """

    mobiles: tuple[str, ...]
    content: str
    contents: tuple[str, ...] = ()
    values: tuple[tuple[str, ...], ...] = ()

    def __repr__(self) -> str:
        """Show neither numbers nor texts."""
        return f"PlannedSubmit({len(self.mobiles)} numbers)"


@dataclass(frozen=True, slots=True)
class Plan:
    """
    A whole send, checked and cut.

    :param submits: the vendor calls, in order.
    :param duplicates: rows dropped because their number came before, with the same text.
    """

    submits: tuple[PlannedSubmit, ...]
    duplicates: int

    @property
    def recipients(self) -> int:
        """Count the numbers."""
        return sum(len(submit.mobiles) for submit in self.submits)


def signed(vendor: Vendor, account: Account, content: str) -> str:
    """
    Put the connection's signature at the end of a text that bears none; not of nothing: that stays so.

    Where the vendor wants it at the end, what the text begins with is none.
    """
    at_end = vendor.limits_for(account).signature_at_end
    is_signed = text.ends_with_signature if at_end else text.has_signature
    if text.says_nothing(content) or is_signed(content):
        return content
    return content + bracketed(account.options["signature"])


def bracketed(signature: str) -> str:
    """Write a connection's signature as it stands in a text."""
    return signature if not signature or signature.startswith("【") else f"【{signature}】"


def people_of(vendor: Vendor, account: Account, columns: Columns) -> set[str]:
    """
    Give the numbers of the recipients, each once, in their national form.

    :raises PreflightError: some of them are no numbers, or there are none.
    """
    problems: list[str] = []
    numbers = numbers_of(vendor, account, columns, problems)
    _refuse(problems, account)
    return set(numbers.mobiles)


def texts_of(vendor: Vendor, account: Account, columns: Columns, source: str) -> dict[str, str]:
    """
    Give what each recipient of a template reads, by number.

    :raises PreflightError: as for :func:`plan_template`.
    """
    submits = plan_template(vendor, account, columns, source).submits
    return {
        mobile: content
        for submit in submits
        for mobile, content in zip(
            submit.mobiles, submit.contents or [submit.content] * len(submit.mobiles), strict=True
        )
    }


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
    content = signed(vendor, account, content)
    mobiles, _, repeats = numbers_of(vendor, account, columns, problems)
    problems += vendor.content_problems(account, content) + vendor.extno_problems(account, extno)
    _refuse(problems, account)
    size = vendor.limits_for(account).numbers
    submits = tuple(PlannedSubmit(tuple(part), content) for part in _parts(mobiles, size))
    return Plan(submits, len(repeats))


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
    template = _template(signed(vendor, account, source), problems)
    numbers = numbers_of(vendor, account, columns, problems)
    mobiles, duplicates = numbers.mobiles, len(numbers.repeats)
    values = values_of(template, columns, numbers, problems) if template else {}
    problems += vendor.extno_problems(account, extno)
    contents: list[str] = []
    if template and all(name in values for name in template.fields):
        # Rows with an empty field are checked as well, as far as they go; the problem of the field is told.
        contents = template.render({MOBILE: mobiles, **values})
        problems += text_problems(vendor, account, template, values, contents, numbers.rows)
        problems += repeat_problems(template, columns, numbers, contents)
    _refuse(problems, account)
    assert template is not None  # noqa: S101 - a template that does not parse is a problem, raised above
    native = vendor.native_template(account, template.source, template.fields)
    if native is None:
        return Plan(tuple(_equal_texts(vendor, account, mobiles, contents)), duplicates)
    fields = [values[name] for name in native.fields]
    # A row that the vendor's template would drop in silence goes out as an ordinary message.
    misfits = vendor.template_misfits(account, fields)
    plain = _equal_texts(
        vendor, account, [mobiles[row] for row in misfits], [contents[row] for row in misfits]
    )
    rows: list[tuple[str, ...]] = list(zip(*fields, strict=True)) if fields else [()] * len(mobiles)
    if misfits:
        others = sorted(set(range(len(mobiles))).difference(misfits))
        mobiles, contents = [mobiles[row] for row in others], [contents[row] for row in others]
        rows = [rows[row] for row in others]
    templated = _template_submits(native, vendor.limits_for(account).template_rows, mobiles, contents, rows)
    return Plan((*templated, *plain), duplicates)


def moment(
    account: Account, send_at: Any, now: datetime, known: datetime | None = None
) -> tuple[datetime | None, list[str]]:
    """
    Read the time of a scheduled send, which must not be past.

    :param send_at: a datetime or ISO text; one without a zone is meant in the vendor's (Chinese) time.
    :param now: aware.
    :param known: the time that this send was planned for before, which may be past meanwhile.
    :return: the time, ``None`` for at once; and what is wrong with it.
    """
    found, problems = written_moment(account, send_at)
    if found is not None and found <= now and found != known:
        local = found.astimezone(account.timezone)
        shown = f"{local:%Y-%m-%d %H:%M:%S} ({account.timezone})"
        return None, [f"send_at {shown} is past: leave it empty to send at once"]
    return found, problems


def written_moment(account: Account, send_at: Any) -> tuple[datetime | None, list[str]]:
    """Read a time as :func:`moment` does, be it past or not."""
    if send_at is None or send_at == "":
        return None, []
    if isinstance(send_at, str):
        try:
            send_at = datetime.fromisoformat(send_at.strip())
        except ValueError:
            return None, [
                "send_at is no time: write it like 2026-12-24 08:30:00 or 2026-12-24T08:30:00+08:00"
            ]
    # pandas' NaT is a datetime that equals nothing.
    if not isinstance(send_at, datetime) or send_at != send_at:  # noqa: PLR0124
        return None, [f"send_at is a {type(send_at).__name__}: give a datetime or ISO text"]
    found = send_at.replace(tzinfo=account.timezone) if send_at.tzinfo is None else send_at
    try:
        for zone in (UTC, account.timezone):
            found.astimezone(zone)
    except OverflowError:
        return None, ["send_at is too near to an end of the calendar to be written in another time zone"]
    return found, []


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


def _template(source: str, problems: list[str]) -> Template | None:
    try:
        return Template(source)
    except ValueError as error:
        # Formatter's own messages ("Single '}' encountered") hold no part of the text.
        problems.append(f"the template cannot be read: {error}; double a brace that is meant as text")
        return None


def _equal_texts(
    vendor: Vendor, account: Account, mobiles: list[str], contents: list[str]
) -> Iterator[PlannedSubmit]:
    if len(set(contents)) == len(contents):
        # Each text has a call of its own: there is nothing to put together, and one C loop makes them all.
        each = zip(zip(mobiles), contents, repeat(()), repeat(()))
        return map(partial(tuple.__new__, PlannedSubmit), each)
    groups: dict[str, list[str]] = {}
    for mobile, content in zip(mobiles, contents, strict=True):
        groups.setdefault(content, []).append(mobile)
    size = vendor.limits_for(account).numbers
    return chain.from_iterable(
        (PlannedSubmit(tuple(part), content) for part in _parts(group, size))
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
        yield PlannedSubmit(tuple(mobiles[part]), native.content, tuple(contents[part]), tuple(rows[part]))


def _parts(values: list[str], size: int) -> Iterator[list[str]]:
    iterator = iter(values)
    while part := list(islice(iterator, size)):
        yield part
