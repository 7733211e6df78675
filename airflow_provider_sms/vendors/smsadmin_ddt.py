"""
点点通 (ddt): smsadmin's templates, one text with markers and one group of values per number (§4).

The vendor drops a malformed group in silence, so everything it might stumble over is found here, and the
rows that cannot be expressed go out as ordinary messages.
"""

from __future__ import annotations

import re
from string import Formatter
from typing import TYPE_CHECKING

from airflow_provider_sms.vendors.base import NativeTemplate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# What a second decoding would change. Whether this page has one is not clear (see ``params_of``), and a
# text without escapes and "+" reads the same either way.
_ESCAPE_LIKE = r"\+|%[0-9A-Fa-f]{2}"
_UNFIT_TEXT = re.compile(rf"[{{}}]|{_ESCAPE_LIKE}")
# "," and ";" separate; blanks at the ends may be trimmed, as the document's example has them; an empty
# entry, a line break and something that looks like a marker are what "格式不符" may mean.
_UNFIT_VALUE = re.compile(rf"\A\Z|\A\s|\s\Z|[,;{{}}\r\n]|{_ESCAPE_LIKE}")

#: What some value that does not fit has in it, unless it is empty or has blanks at its ends.
_SUSPICIOUS = ",;{}\r\n+%"


def translate(template: str, fields: Sequence[str], first_index: int) -> NativeTemplate | None:
    """
    Write ``"{name}，您的验证码 {code}"`` as ``"{value1}，您的验证码 {value2}"``.

    A marker must not appear twice (变量标识符号不能重复), so a repeated placeholder gets an index, and in
    each row a value, of its own.

    :param fields: the placeholders in order of appearance, repeats included.
    :param first_index: index of the first value behind the number.
    :return: nothing when ddt cannot express the template.
    """
    try:
        parts = list(Formatter().parse(template))
    except ValueError:
        return None
    content = ""
    names: list[str] = []
    for literal, name, spec, conversion in parts:
        if _UNFIT_TEXT.search(literal) or spec or conversion:
            return None
        content += literal
        if name is not None:
            content += f"{{value{first_index + len(names)}}}"
            names.append(name)
    if not names or names != list(fields):
        return None
    return NativeTemplate(content, tuple(names))


def fits(values: Sequence[str]) -> bool:
    """Whether a group of these values keeps its form (§4)."""
    return not any(map(_UNFIT_VALUE.search, values))


def surely_fits(column: Sequence[str]) -> bool:
    """Whether surely each value of a column fits; ``False`` tells nothing."""
    joined = "".join(column)
    if any(character in joined for character in _SUSPICIOUS):
        return False
    return all(column) and list(map(str.strip, column)) == column


def params_of(mobiles: Iterable[str], values: Iterable[Sequence[str]]) -> str:
    """
    Join the groups: ``number,value,value;number,value,value`` (§4).

    The document wants ``params`` and ``msg`` "url-encoded". A form's values always are; the page is none
    of the ``*_urldecode`` ones, so they are encoded once. Were that wrong, nothing would be lost: what a
    second decoding would change never gets here. Encoded twice, people would read escapes if *that* were
    wrong.
    """
    return ";".join(",".join((mobile, *row)) for mobile, row in zip(mobiles, values, strict=True))
