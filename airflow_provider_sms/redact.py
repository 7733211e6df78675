"""Keep passwords, texts and whole numbers out of logs, errors and everything else that people read."""

from __future__ import annotations

import base64
import hashlib
import re
from urllib.parse import quote, quote_plus

#: A run of digits long enough to be somebody's number, not inside a longer run.
_NUMBER = re.compile(r"(?<!\d)((?:\+?86|0086)?1[3-9]\d)\d{4}(\d{4})(?!\d)")
_SHORTEST_MASKABLE = 8


def mask_number(mobile: str) -> str:
    """Show a number as ``138****5678``; something too short to keep its ends is all stars."""
    if len(mobile) < _SHORTEST_MASKABLE:
        return "*" * len(mobile)
    return f"{mobile[:3]}****{mobile[-4:]}"


def mask_numbers(text: str) -> str:
    """Mask every mobile number inside a text."""
    return _NUMBER.sub(r"\1****\2", text)


def secret_forms(secret: str) -> tuple[str, ...]:
    """
    List the forms in which a secret travels or is logged, each once.

    Plain, percent-encoded (UTF-8 and GB, with ``+`` and ``%20``, once and twice), MD5 in both cases,
    and base64. The MD5 of a password is a credential of these vendors.
    """
    if not secret:
        return ()
    forms = [secret]
    for charset in ("utf-8", "gb18030"):
        raw = secret.encode(charset, errors="ignore")
        once = (quote(raw, safe=""), quote(raw), quote_plus(raw))
        forms += once
        forms += [form.lower() for form in once]
        forms.append(quote(once[0], safe=""))
        # The vendors prescribe MD5; nothing here relies on its strength.
        digest = hashlib.md5(raw, usedforsecurity=False).hexdigest()
        forms += [digest, digest.upper()]
        forms.append(base64.b64encode(raw).decode("ascii"))
    return tuple(dict.fromkeys(form for form in forms if form))
