"""What every input must hold of a parser, as a loop that does little else."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_sms.errors import VendorBusy, VendorRejected, WireFormatError
from airflow_provider_sms.records import Page

if TYPE_CHECKING:
    from mutation import Mutator
    from parsers import Parser

#: What a parser may raise: "this is not my format", and the vendor's documented no and later.
ALLOWED = (WireFormatError, VendorRejected, VendorBusy)


@dataclass
class Struck:
    """
    What a turn of one parser gave.

    :param inputs: different inputs that were read; a prefix of one is one, too.
    :param by_columns: how many of them the fast reading took.
    :param failures: kind and bytes of those that did what none may do.
    """

    inputs: int = 0
    by_columns: int = 0
    failures: list[tuple[str, bytes]] = field(default_factory=list)


def strike(parser: Parser, mutator: Mutator, inputs: int) -> Struck:
    """Let a parser read so many inputs, less a few that were drawn twice."""
    struck = Struck()
    seen: set[bytes] = set()
    for body in mutator.inputs(inputs // 2 if parser.pages else inputs):
        if body in seen:
            continue
        seen.add(body)
        if parser.pages:
            prefix = mutator.cut(body)
            seen.add(prefix)
            kind = check_page(parser, body, prefix, struck)
        else:
            kind = check_answer(parser, body)
        if kind:
            struck.failures.append((kind, body))
    struck.inputs = len(seen)
    return struck


def check_answer(parser: Parser, body: bytes) -> str:
    """Let it read an answer; give the kind of failure."""
    try:
        with suppress(*ALLOWED):
            parser.read(body)
    except Exception:  # noqa: BLE001 - that is what is looked for
        return "error"
    return ""


def check_page(parser: Parser, body: bytes, prefix: bytes, struck: Struck) -> str:
    """Let it read a page and what a cut left of it; give the kind of failure."""
    whole = part = fast = None
    try:
        with suppress(*ALLOWED):
            whole = parser.read(body)
        with suppress(*ALLOWED):
            part = parser.read(prefix, complete=False)
        if parser.columns is not None:
            fast = parser.columns(parser.account, parser.response(body))
    except Exception:  # noqa: BLE001 - that is what is looked for
        return "error"
    if part is not None:
        if not isinstance(part, Page) or part.complete:
            return "prefix"
        # Only what is broken as a whole may lose its records again.
        if whole is not None and whole.records[: len(part.records)] != part.records:
            return "prefix"
    if fast is not None:
        struck.by_columns += 1
        return "" if _equal(fast, whole) else "paths"
    return ""


def _equal(fast: Any, whole: Any) -> bool:
    """Whether a page read by columns is the page that the careful parser reads, with nothing wrong."""
    if whole is None or not whole.complete or whole.problem or whole.gaps:
        return False
    return bool(fast.columns.records() == whole.records and fast.declared == whole.declared)
