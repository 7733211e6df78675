"""Texts and numbers as Chinese SMS vendors take them: charsets, segments, signatures, mobile numbers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

#: A text of up to 70 characters is one segment; a longer one is cut into segments of 67, since each
#: then carries a 3-character header that lets the phone put it together again.
SINGLE_SEGMENT = 70
JOINED_SEGMENT = 67

_SEPARATORS = re.compile(r"[\s\-()\u2010-\u2015\ufeff\u200b\u200e\u202a-\u202e]+")
_MOBILE = re.compile(r"1[3-9][0-9]{9}")
_MOBILES = re.compile(r"(?:1[3-9][0-9]{9}\n)*")
#: Area codes are 010 and three or four digits from 02 to 09; 013 to 019 are mobile numbers behind a 0.
_LANDLINE = re.compile(r"0(?:10|[2-9][0-9]{1,2})[0-9]{7,8}")
_SIGNATURE_END = re.compile(r"【[^【】]+】\s*$")
_SIGNATURE_START = re.compile(r"^\s*【[^【】]+】")
#: What no phone shows: blanks and marks without a width.
_BLANK = r"[\s\ufeff\u200b-\u200f\u2060]*"
_NOTHING = re.compile(rf"{_BLANK}(?:【[^【】]*】{_BLANK})?")


def normalise_mobile(raw: object, *, landline: bool = False) -> str | None:
    """
    Bring a mainland Chinese number to its national form: ``"+86 138-0013-8000"`` to ``"13800138000"``.

    :param raw: what the user gave: text, or a whole number as spreadsheets make of it.
    :param landline: whether a number with an area code (小灵通) is fine, too.
    :return: the digits, or ``None`` when this is no such number.
    """
    if isinstance(raw, float):
        # A column with one empty cell turns all its numbers into floats; 13800138000.0 is still exact.
        if not raw.is_integer():
            return None
        raw = int(raw)
    text = _SEPARATORS.sub("", str(raw))
    for prefix in ("+86", "0086", "86"):
        if text.startswith(prefix) and len(text) > len(prefix) + 9:
            text = text[len(prefix) :]
            break
    # fullmatch on ASCII digits: \d would let full-width digits through.
    if _MOBILE.fullmatch(text) or (landline and _LANDLINE.fullmatch(text)):
        return text
    return None


def all_normal(column: Sequence[object]) -> bool:
    """
    Whether surely all of a column are mobile numbers in their national form already.

    Most columns are, and then one look at all of them is thirty times as fast as one look at each.
    """
    if set(map(type, column)) != {str}:
        return False
    joined = "\n".join(column) + "\n"  # type: ignore[arg-type]
    # By the length, no number brought a line break of its own.
    return len(joined) == 12 * len(column) and _MOBILES.fullmatch(joined) is not None


def segments(text: str) -> int:
    """Count the messages a text is charged as (one character is one character, Latin or Chinese)."""
    length = utf16_length(text)
    return 1 if length <= SINGLE_SEGMENT else -(-length // JOINED_SEGMENT)


def utf16_length(text: str) -> int:
    """Length as the mobile network counts it: a character outside the basic plane takes two places."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def unencodable(text: str, charset: str) -> tuple[str, ...]:
    """
    Name the characters that a charset cannot hold, each once, in order of appearance.

    :param charset: ``"utf-8"``, ``"gb18030"``, or ``"gbk"`` (which is GB18030 kept to its one- and
        two-byte part: what vendors that say "GB2312" really understand).
    """
    if encodable(text, charset):
        return ()
    return tuple(dict.fromkeys(character for character in text if not encodable(character, charset)))


def encodable(text: str, charset: str) -> bool:
    """Whether a charset can hold a whole text; each that is offered here contains ASCII."""
    try:
        return text.isascii() or bool(encode(text, charset))
    except UnicodeEncodeError:
        return False


def encode(text: str, charset: str) -> bytes:
    """
    Encode a text for the wire; never with a replacement character.

    :raises UnicodeEncodeError: when the charset cannot hold it.
    """
    return text.encode(charset)


def decode(body: bytes, charset: str) -> str:
    """
    Decode an answer; bytes that are no text become U+FFFD so that callers can say so.

    A vendor's "GB2312" is GBK or more, so ``gbk`` is read as GB18030, which contains it.
    """
    return body.decode("gb18030" if charset in {"gbk", "gb2312"} else charset, errors="replace")


def quote(text: str, charset: str) -> str:
    """Percent-encode a text in a charset; everything but unreserved characters is escaped."""
    return quote_from_bytes(encode(text, charset), safe="")


def form(fields: dict[str, str], charset: str) -> str:
    """Make a query string or form body of fields, percent-encoded in a charset."""
    return "&".join(f"{name}={quote(value, charset)}" for name, value in fields.items())


def ends_with_signature(text: str) -> bool:
    """Whether a text ends with a signature in 【】."""
    return _SIGNATURE_END.search(text) is not None


def has_signature(text: str) -> bool:
    """Whether a text starts or ends with a signature in 【】."""
    return ends_with_signature(text) or _SIGNATURE_START.search(text) is not None


def says_nothing(text: str) -> bool:
    """Whether a text is blank but for a signature in 【】: everybody would pay for it and read nothing."""
    return _NOTHING.fullmatch(text) is not None
