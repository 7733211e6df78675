"""Make a text that can be sent: an alert that is refused for its length or a character alerts nobody."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_sms import text
from airflow_provider_sms.planning import bracketed

if TYPE_CHECKING:
    from airflow_provider_sms.store.storms import Held
    from airflow_provider_sms.vendors.base import Account, Vendor

_ELLIPSIS = "…"
#: Stands for a character that the vendor's charset lacks; every charset of the vendors has it.
_BLANK_BOX = "□"
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_SIGNATURE = re.compile(r"【[^【】]{1,30}】\Z")


class Wording(NamedTuple):
    """
    A text that fits.

    :param content: with the signature; a text that says nothing stays without.
    :param shortened: by how many characters.
    :param replaced: how many characters the vendor's charset lacks.
    """

    content: str
    shortened: int = 0
    replaced: int = 0


def worded(vendor: Vendor, account: Account, content: str, held: Held, most: int) -> Wording:
    """
    Fit an alert to the vendor's charset and limits.

    :param content: as the user's template gave it.
    :param held: what the receiver missed; told at the end.
    :param most: characters at most, signature and all.
    """
    clean, replaced = _encodable(_printable(content).strip(), account.charset)
    if text.says_nothing(clean):
        # Neither a signature nor a note of what was held back makes an alert of it: the send refuses it.
        return Wording(clean, replaced=replaced)
    limits = vendor.limits_for(account)
    room = min(most, limits.characters) if limits.characters else most
    body, signature = _signed(clean, account.options["signature"], at_end=limits.signature_at_end)
    tail = note(held) + signature
    room -= text.utf16_length(tail)
    over = text.utf16_length(body) - room
    if over <= 0:
        return Wording(body + tail, replaced=replaced)
    return Wording(_cut(body, max(room - 1, 1)) + _ELLIPSIS + tail, shortened=over + 1, replaced=replaced)


def note(held: Held) -> str:
    """Tell what was held back, in the receivers' language; nothing if nothing was."""
    parts = []
    if held.same:
        parts.append(f"另有 {held.same} 条相同提醒被合并")
    if held.other:
        parts.append(f"{held.other} 条提醒因超过每小时上限未发")
    return f"（{'，'.join(parts)}）" if parts else ""


def _signed(content: str, signature: str, *, at_end: bool) -> tuple[str, str]:
    """Give the text and the signature to put behind it; one that the text ends with is kept whole."""
    own = _SIGNATURE.search(content)
    if own:
        return content[: own.start()], own[0]
    if not at_end and text.has_signature(content):
        return content, ""
    return content, bracketed(signature)


def _printable(content: str) -> str:
    # Exceptions bring colours of terminals and worse; a line break is fine.
    return "".join(
        character
        for character in _COLOUR.sub("", content).replace("\t", " ")
        if character == "\n" or unicodedata.category(character) not in {"Cc", "Cs"}
    )


def _encodable(content: str, charset: str) -> tuple[str, int]:
    missing = set(text.unencodable(content, charset))
    if not missing:
        return content, 0
    shown = "".join(_BLANK_BOX if character in missing else character for character in content)
    return shown, sum(character in missing for character in content)


def _cut(content: str, room: int) -> str:
    taken = 0
    for position, character in enumerate(content):
        taken += text.utf16_length(character)
        if taken > room:
            return content[:position]
    return content
