"""``airflow sms purge``: texts, raw bytes and whole numbers of old rows."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from airflow_provider_sms.cli.reached import store_of
from airflow_provider_sms.cli.speaking import command, hint, say, stop
from airflow_provider_sms.days import checked_day

if TYPE_CHECKING:
    from argparse import Namespace

    from airflow_provider_sms.store.purging import Left, Purged

#: Whose midnight a date means.
_ZONE = "Asia/Shanghai"


@command
def run(args: Namespace) -> int:
    """Say what would go, ask, and purge."""
    from airflow.providers.common.compat.sdk import conf

    from airflow_provider_sms.optouts import OptOuts
    from airflow_provider_sms.store.purging import Purge

    before = _moment(args.before)
    purge = Purge(
        store_of(args.store_conn_id),
        before,
        OptOuts.of(conf.get("sms", "opt_out_words", fallback="")),
        conn_id=args.conn_id,
        also_quarantined=args.also_quarantined,
    )
    would = purge.preview()
    say(f"older than {before.isoformat()}: {_counted(would)}")
    _tell_left(purge.left())
    if args.dry_run:
        say("nothing was changed (--dry-run)")
        return 0
    if not any((would.pages, would.reports, would.replies, would.batches)):
        say("there is nothing to purge")
        return 0
    if not args.yes:
        _ask()
    done = purge.run(lambda so_far: hint(f"so far: {_counted(so_far)}"))
    say(f"purged: {_counted(done)}")
    return 0


def _moment(given: str) -> datetime:
    try:
        moment = datetime.fromisoformat(given.strip())
    except ValueError:
        stop("--before is no date: write it like 2026-01-31, or 2026-01-31T08:30:00+08:00")
    problems: list[str] = []
    if checked_day("--before", moment.date(), problems) is None:
        stop(*problems)
    return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(_ZONE))


def _counted(purged: Purged) -> str:
    return (
        f"texts and numbers of {purged.recipients:,} recipients in {purged.batches:,} batches, the bytes of "
        f"{purged.pages:,} pages, the numbers of {purged.reports:,} reports, texts and numbers of "
        f"{purged.replies:,} replies ({purged.opt_outs:,} that ask for silence stay)"
    )


def _tell_left(left: Left) -> None:
    if left.pages:
        say(
            f"{left.pages:,} pages as old stay: they are quarantined, suspect or not landed. "
            "See 'airflow sms pages'"
        )
    if left.sends:
        say(f"{left.sends:,} sends as old stay: their outcome is not known. See 'airflow sms settle'")


def _ask() -> None:
    if not sys.stdin.isatty():
        stop("nothing was changed: say --yes where nobody can be asked")
    say("This cannot be undone. Type 'purge' to go on:")
    if sys.stdin.readline().strip() != "purge":
        stop("nothing was changed")
