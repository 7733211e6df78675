"""How the commands speak: lines, lists, errors and exit statuses."""

from __future__ import annotations

import functools
import json
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.utils.cli import suppress_logs_and_warning

from airflow_provider_sms.errors import SmsError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Sequence

#: Exit status when something needs a person.
NEEDS_A_PERSON = 1


def say(line: str = "") -> None:
    """Write a line to standard output."""
    sys.stdout.write(f"{line}\n")


def hint(line: str) -> None:
    """Write a line to standard error, so that a list on standard output stays a list."""
    sys.stderr.write(f"{line}\n")


def stop(reason: str) -> NoReturn:
    """
    End the command.

    :param reason: what is wrong and what to do.
    :raises SystemExit: always, with the status of what needs a person.
    """
    sys.stdout.flush()
    hint(reason)
    raise SystemExit(NEEDS_A_PERSON)


def legible(page_ids: Sequence[str]) -> Sequence[str]:
    """
    Give page ids back, unless one is no text: a shell passes on what is in no charset.

    :raises SystemExit: one is none; it is not repeated, as no terminal could show it.
    """
    for place, page_id in enumerate(page_ids, 1):
        if not page_id.isprintable():
            stop(f"the {place}. page has characters that no page's id has: copy it from 'airflow sms pages'")
    return page_ids


def counted(count: int, noun: str) -> str:
    """Say how many: ``1 page``, ``2,000 pages``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def command(run: Callable[[Namespace], int]) -> Callable[[Namespace], None]:
    """
    Make an Airflow command of a function that returns its exit status.

    Our own errors are told in their words, without a traceback. Airflow logs to standard output, so that it
    is held back as in Airflow's own lists, unless ``--verbose`` is given.
    """
    return suppress_logs_and_warning(serving(run))


def serving(run: Callable[[Namespace], int]) -> Callable[[Namespace], None]:
    """Make a command that serves until it is stopped, whose log is wanted; otherwise as :func:`command`."""

    @functools.wraps(run)
    def speaking(args: Namespace) -> None:
        # Airflow's own commands say so as well: connections are looked up in the metadata database, too.
        os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
        try:
            status = run(args)
        except SmsError as error:
            stop(f"{type(error).__name__}: {error}")
        if status:
            raise SystemExit(status)

    return speaking


def show(rows: Sequence[dict[str, Any]], form: str) -> None:
    """
    Write a list.

    :param rows: all with the same keys.
    :param form: ``table``, ``json`` or ``plain``.
    """
    if form == "json":
        say(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    if not rows:
        return
    cells = [[_cell(value) for value in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(rows[0], *cells, strict=True)]
    lines = [list(rows[0]), *([["-" * width for width in widths]] if form == "table" else []), *cells]
    for line in lines:
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    return "-" if value is None or value == "" else str(value).replace("\n", " ")
