"""Markdown tables for the generated pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Make a table; cells are Markdown already."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def cell(text: object) -> str:
    """Make plain text safe inside a table's cell."""
    escaped = str(text)
    for character in "\\|*<":
        escaped = escaped.replace(character, f"\\{character}")
    return escaped


def code(text: object) -> str:
    """Show a value as code; nothing for an empty one."""
    return f"`{text}`" if str(text) else ""
