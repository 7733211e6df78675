"""``airflow sms report``: what became of a day's messages, as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_sms.cli.reached import store_of
from airflow_provider_sms.cli.speaking import command, counted, hint, say, stop
from airflow_provider_sms.replacing import replace_file

if TYPE_CHECKING:
    from argparse import Namespace


@command
def run(args: Namespace) -> int:
    """Write the page; nothing is collected, and no vendor is asked."""
    from airflow_provider_sms.reporting.drawing import need_matplotlib
    from airflow_provider_sms.reporting.gathering import gather, unheard_of
    from airflow_provider_sms.reporting.page import render

    need_matplotlib()
    store = store_of(args.store_conn_id)
    wanted = args.conn_id or ()
    unheard = unheard_of(store, wanted)
    for conn_id in unheard:
        hint(f"nothing was ever sent or collected by {conn_id!r}: is it misspelt?")
    if unheard and len(unheard) == len(wanted):
        stop("there is nothing to report, so no page was written")
    figures = gather(
        store,
        args.day,
        days=args.days,
        conn_ids=wanted,
        timezone=args.timezone,
        silent_after_hours=args.silent_after_hours,
    )
    path = Path(args.output or f"sms-delivery-{figures.day}.html")
    _write(path, render(figures, args.language))
    total = figures.total
    unreported = f", {total.no_reports:,} by accounts that give no reports" if total.no_reports else ""
    say(
        f"{path}: {figures.day} ({figures.timezone}), {counted(total.intended, 'message')}: "
        f"{total.accepted:,} accepted, {total.delivered:,} delivered, {total.failed:,} failed, "
        f"{total.silent:,} silent, {total.waiting:,} without a report yet{unreported}"
    )
    if figures.attention.total:
        need = "needs" if figures.attention.total == 1 else "need"
        say(f"{counted(figures.attention.total, 'thing')} on it {need} a person: airflow sms doctor")
    return 0


def _write(path: Path, page: str) -> None:
    """Put the page into its place as a whole; a browser that reloads finds the old one or the new one."""
    if path.is_dir():
        stop(f"{path} is a folder: name a file in it by --output")
    try:
        replace_file(path, lambda file: file.write(page.encode()))
    except OSError as error:
        stop(f"{path} cannot be written ({error.strerror}): choose another file by --output")
