"""Secrets that must be seen nowhere, and every form in which they might be."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Final
from urllib.parse import quote, quote_plus

PASSWORD: Final = "Kanarie 密码&=+/%<canary>"  # noqa: S105 - looked for, and valid nowhere
#: Where it is not written how letters beyond ASCII are hashed.
PLAIN_PASSWORD: Final = "Kanarie-Passwort&=+/%<canary>"  # noqa: S105
TOKEN: Final = "canary-token/+%&=-0123456789abcdef"  # noqa: S105
CONTENT: Final = "金丝雀密文 %41&=+ canary"
REPLY: Final = "金丝雀回复 canary;a|b"
NAME: Final = "金丝雀某人"
_FIRST = 13_777_000_000
NUMBERS: Final = tuple(str(_FIRST + each) for each in range(1_000))
#: What all of the numbers begin with; masked ones show less.
_BEGINNING = str(_FIRST)[:7]
_DIGESTS = re.compile(r"(?<![0-9a-fA-F])[0-9a-fA-F]{32}(?![0-9a-fA-F])")


def _forms(secret: str) -> set[str]:
    forms = {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1]}
    for charset in ("utf-8", "gb18030"):
        raw = secret.encode(charset)
        once = {quote(raw, safe=""), quote(raw), quote_plus(raw)}
        forms |= once | {quote(form, safe="") for form in once} | {form.lower() for form in once}
        forms |= {repr(raw)[2:-1], raw.hex(), raw.hex().upper(), *_base64(raw)}
    return forms


def _base64(raw: bytes) -> set[str]:
    """Give what is the same in base64 whatever stands before and after, at each of the three places."""
    found = set()
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw).decode()
        inner = encoded[4 if before else 0 : len(encoded) // 4 * 4 - 4]
        found |= {inner, inner.replace("+", "-").replace("/", "_")}
    return found


_SECRETS = {
    "password": PASSWORD,
    "plain password": PLAIN_PASSWORD,
    "token": TOKEN,
    "content": CONTENT,
    "reply": REPLY,
    "name": NAME,
}
_FORMS = {form: name for name, secret in _SECRETS.items() for form in _forms(secret)}
_FORMS |= dict.fromkeys(_forms(_BEGINNING), "number")
_HASHES = {
    hashlib.md5(secret.encode(charset), usedforsecurity=False).hexdigest(): name
    for charset in ("utf-8", "gb18030")
    for name, secret in [*_SECRETS.items(), *(("number", number) for number in NUMBERS)]
}
#: How many forms are looked for.
FORMS: Final = len(_FORMS) + 2 * len(_HASHES)


def hits(text: str) -> list[str]:
    """Say which kinds of secrets are in a text, in which form."""
    found = [f"{name} as {form!r}" for form, name in _FORMS.items() if form in text]
    digests = {digest.lower() for digest in _DIGESTS.findall(text)}
    return found + [f"{_HASHES[digest]} as MD5" for digest in digests & set(_HASHES)]


def found_when_planted() -> int:
    """Count the forms that are found in a line of a log when they are there."""
    digests = [each for digest in _HASHES for each in (digest, digest.upper())]
    return sum(bool(hits(f"DEBUG some.logger: value={form}, and more")) for form in [*_FORMS, *digests])
