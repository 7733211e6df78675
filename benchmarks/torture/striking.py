"""What every input must hold of a parser, as a loop that does little else."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from airflow_provider_sms.errors import VendorBusy, VendorRejected, WireFormatError
from airflow_provider_sms.records import Page

if TYPE_CHECKING:
    from mutation import Mutator
    from parsers import Parser

#: What a parser may raise: "this is not my format", and the vendor's documented no and later.
ALLOWED = (WireFormatError, VendorRejected, VendorBusy)


def strike(parser: Parser, mutator: Mutator, inputs: int) -> tuple[int, list[tuple[str, bytes]]]:
    """
    Let a parser read so many inputs, give or take a few repeats.

    Of a page's parser, a prefix of each input is an input, too.

    :return: how many different inputs were read, and kind and bytes of those that did what none may do.
    """
    failures: list[tuple[str, bytes]] = []
    seen: set[bytes] = set()
    check = check_page if parser.pages else check_answer
    for body in mutator.inputs(inputs // 2 if parser.pages else inputs):
        if body in seen:
            continue
        seen.add(body)
        prefix = mutator.cut(body) if parser.pages else b""
        if kind := check(parser, body, prefix):
            failures.append((kind, body))
        elif parser.pages:
            seen.add(prefix)
    return len(seen), failures


def check_answer(parser: Parser, body: bytes, _: bytes = b"") -> str:
    """Let it read an answer; give the kind of failure."""
    try:
        with suppress(*ALLOWED):
            parser.read(body)
    except Exception:  # noqa: BLE001 - that is what is looked for
        return "error"
    return ""


def check_page(parser: Parser, body: bytes, prefix: bytes) -> str:
    """Let it read a page and what a cut left of it; give the kind of failure."""
    whole = part = None
    try:
        with suppress(*ALLOWED):
            whole = parser.read(body)
        with suppress(*ALLOWED):
            part = parser.read(prefix, complete=False)
    except Exception:  # noqa: BLE001 - that is what is looked for
        return "error"
    if part is None:
        return ""
    if not isinstance(part, Page) or part.complete:
        return "prefix"
    # Only what is broken as a whole may lose its records again.
    if whole is not None and whole.records[: len(part.records)] != part.records:
        return "prefix"
    return ""
