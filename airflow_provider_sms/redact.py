"""Keep passwords, texts and whole numbers out of logs, errors and everything else that people read."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterable

#: A run of digits long enough to be somebody's number, not inside a longer run. The "20" of a "%20" before
#: it is no part of the run. Numbers with an area code (小灵通) are somebody's, too.
_NUMBER = re.compile(
    r"(?:(?<!\d)|(?<=%[0-9A-Fa-f]\d))"
    r"(?:((?:\+?86|0086)?1[3-9]\d)\d{4}|(0[1-9]\d)\d{3,5})(\d{4})(?!\d)"
)
#: Of anything shorter, the ends that stay would be most of it.
_SHORTEST_MASKABLE = 10
#: How people write a number. Anything else that stands in its place may be a name or a text.
_WRITTEN_NUMBER = re.compile(r"[0-9+().\s\-\u2010-\u2015]*", re.ASCII)
#: A column's name that an error may show: nobody's number and, without a header line, nobody's name.
_SHOWABLE = re.compile(r"(?!.*[0-9]{5})[A-Za-z_][A-Za-z0-9_]{0,39}")
#: The same secret as other encoders write it.
_ESCAPE = re.compile(r"%[0-9A-F]{2}")


def mask_number(mobile: str) -> str:
    """Show a number as ``138****5678``; something too short to keep its ends is all stars."""
    if len(mobile) < _SHORTEST_MASKABLE:
        return "*" * len(mobile)
    return f"{mobile[:3]}****{mobile[-4:]}"


def shown_instead(written: str) -> str:
    """Show what was given in a number's place: masked, or if it is none, as long as it is."""
    if _WRITTEN_NUMBER.fullmatch(written):
        return mask_number(written)
    return f"{len(written):,} characters, others than 0 to 9 among them"


def mask_numbers(text: str) -> str:
    """Mask every mobile number inside a text."""
    return _NUMBER.sub(r"\1\2****\3", text)


def shown_names(names: Iterable[str], instead: str = "(a name not shown)") -> str:
    """
    List columns by name, but for names that may be somebody's data.

    :param instead: what to say of such a name.
    """
    return ", ".join(repr(name) if _SHOWABLE.fullmatch(name) else instead for name in names)


def secret_forms(secret: str) -> tuple[str, ...]:
    """
    List the forms in which a secret travels or is logged, each once.

    Plain, percent-encoded (UTF-8 and GB, with ``+`` and ``%20``, escapes in either case, once and twice),
    as XML, JSON and ``repr`` write it, MD5 in both cases, and base64. The MD5 of a password is a credential
    of these vendors.
    """
    if not secret:
        return ()
    forms = [secret, escape(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1]]
    for charset in ("utf-8", "gb18030"):
        raw = secret.encode(charset, errors="ignore")
        for once in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
            twice = quote(once, safe="")
            forms += [once, _lower_escapes(once), twice, _lower_escapes(twice)]
        # The vendors prescribe MD5; nothing here relies on its strength.
        digest = hashlib.md5(raw, usedforsecurity=False).hexdigest()
        forms += [digest, digest.upper()]
        forms.append(base64.b64encode(raw).decode("ascii"))
    return tuple(dict.fromkeys(form for form in forms if form))


def _lower_escapes(form: str) -> str:
    return _ESCAPE.sub(lambda found: found[0].lower(), form)
