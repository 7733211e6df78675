"""``airflow sms pages``: pages that wait for a person, and what to do about them."""

from __future__ import annotations

import getpass
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_sms.cli.reached import store_of
from airflow_provider_sms.cli.speaking import command, counted, hint, legible, say, show, stop

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Sequence

    from airflow_provider_sms.store.attention import PageLine
    from airflow_provider_sms.store.engine import Store

SPOOLED = "spooled"
TORN = "torn"
UNREADABLE = "unreadable"
#: States of pages that are files on this machine; all others are the store's.
OF_FILES = (SPOOLED, TORN, UNREADABLE)
#: What to do about a page in a state that waits for a person.
ADVICE = {
    "quarantined": (
        "could not be read, or only in part; their bytes are kept. After an upgrade: "
        "'airflow sms replay --all-quarantined'. To show one to the vendor's support: "
        "'airflow sms pages --save FOLDER PAGE'"
    ),
    "suspect": (
        "were asked for and never arrived, and the vendor may have deleted them. Ask the vendor for the "
        "records of that time; then 'airflow sms pages --dismiss --reason TEXT PAGE'"
    ),
    "read": (
        "were read and have not landed: the queue's next collection lands them, or 'airflow sms replay PAGE'"
    ),
    "reading": "are being read; one whose reader died becomes suspect with the queue's next collection",
    SPOOLED: (
        "wait on this machine's disk, because the store was away: the next collection on this machine lands "
        "them, or 'airflow sms replay'"
    ),
    TORN: (
        "are files in this machine's spool that are not whole: a disk failed or was full, or the writer was "
        "killed. Nothing deletes them; what they hold can be looked at, and the vendor asked for the records "
        "of that time"
    ),
    UNREADABLE: (
        "are files in this machine's spool that this user may not read. Let Airflow's user read and delete "
        "them; the next collection on this machine then lands them"
    ),
}


@command
def run(args: Namespace) -> int:
    """List pages, save their bytes, or dismiss them."""
    if bool(args.page) != bool(args.save or args.dismiss):
        stop("name the pages with --save FOLDER or --dismiss, and only there")
    if args.dismiss and not (args.reason or "").strip():
        stop("--dismiss needs --reason TEXT: whoever looks at the page next will want to know")
    named = legible(args.page)
    store = store_of(args.store_conn_id)
    if args.save:
        return _save(store, Path(args.save), named)
    if args.dismiss:
        return _dismiss(store, named, args.reason.strip())
    return _list(store, args)


def who() -> str:
    """Name the person at the keyboard, as far as the machine knows."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def note_of(decision: str, reason: str) -> str:
    """Say in one line what a person decided, when, and why."""
    from airflow_provider_sms.redact import mask_numbers

    moment = datetime.now(UTC).isoformat(timespec="seconds")
    return f"{decision} by {who()} at {moment}: {mask_numbers(reason)}"


def most_lost(conn_id: str, vendor: str, queue: str) -> int | None:
    """Tell how many records one read of a queue can cost at most; ``None`` if nobody knows."""
    from airflow_provider_sms.cli.reached import account_of
    from airflow_provider_sms.errors import SmsError
    from airflow_provider_sms.records import Queue
    from airflow_provider_sms.vendors.registry import vendors

    try:
        codec, account = account_of(conn_id)
        return codec.page_size(account, Queue(queue))
    except (SmsError, KeyError):
        known = vendors().get(vendor)
        return known.page_sizes.get(Queue(queue)) if known else None


# --- the list --------------------------------------------------------------------------------------


def _list(store: Store, args: Namespace) -> int:
    from airflow_provider_sms.store.attention import OPEN_STATES, find_pages

    wanted = args.state or [*map(str, OPEN_STATES), *OF_FILES]
    found = find_pages(
        store,
        [state for state in wanted if state not in OF_FILES],
        conn_id=args.conn_id,
        limit=args.limit + 1,
        dismissed=args.all or bool(args.state),
    )
    rows = [*_spool_rows(store, wanted, args.conn_id), *map(_row, found)]
    more = len(rows) > args.limit
    rows = rows[: args.limit]
    show(rows, args.output)
    if more:
        hint(f"there are more; these are the latest {args.limit} (--limit)")
    if not rows:
        hint("no page waits for a person" if not args.state else "no page is in this state")
    _advise(rows)
    return 0


def _row(line: PageLine) -> dict[str, Any]:
    from airflow_provider_sms.redact import mask_numbers

    return {
        "page": line.page_id,
        "connection": line.conn_id,
        "queue": line.queue,
        "source": line.source,
        "state": f"{line.state.value}, dismissed" if line.dismissed_at else line.state.value,
        "started": line.started_at.isoformat(timespec="seconds"),
        "landed": line.records or 0,
        "lost_at_most": (
            most_lost(line.conn_id, line.vendor, line.queue) if line.state.value == "suspect" else None
        ),
        "bytes": line.size or 0,
        "error": mask_numbers(line.error or ""),
    }


def _spool_rows(store: Store, wanted: Iterable[str], conn_id: str | None) -> list[dict[str, Any]]:
    from airflow_provider_sms.store.spool import Spool

    spool = Spool(store.spool_dir)
    rows: list[dict[str, Any]] = []
    if SPOOLED in wanted:
        rows += [
            {
                "page": page.page_id,
                "connection": page.conn_id,
                "queue": page.queue,
                "source": page.source,
                "state": SPOOLED,
                "started": page.started_at.isoformat(timespec="seconds"),
                "landed": 0,
                "lost_at_most": None,
                "bytes": len(page.body),
                "error": "the store was away",
            }
            for page in spool.pages()
            if conn_id in {None, page.conn_id}
        ]
    if TORN in wanted:
        rows += [_file_row(path, TORN, str(path)) for path in spool.torn()]
    if UNREADABLE in wanted:
        rows += [_file_row(path, UNREADABLE, f"{path}: {why}") for path, why in spool.unreadable().items()]
    return rows


def _file_row(path: Path, state: str, error: str) -> dict[str, Any]:
    """Make the row of a file that does not say what it holds."""
    about = path.stat()
    return {
        "page": path.stem,
        "connection": None,
        "queue": None,
        "source": None,
        "state": state,
        "started": datetime.fromtimestamp(about.st_mtime, UTC).isoformat(timespec="seconds"),
        "landed": 0,
        "lost_at_most": None,
        "bytes": about.st_size,
        "error": error,
    }


def _advise(rows: Sequence[dict[str, Any]]) -> None:
    for state, advice in ADVICE.items():
        count = sum(row["state"] == state for row in rows)
        if count:
            hint(f"\n{counted(count, f'{state} page')}, which {advice}.")
        lost = [row["lost_at_most"] for row in rows if row["state"] == state == "suspect"]
        if lost and None not in lost:
            hint(f"At most {sum(lost):,} records may be lost by these.")


# --- what is done to pages -------------------------------------------------------------------------


def _save(store: Store, folder: Path, page_ids: Sequence[str]) -> int:
    from airflow_provider_sms.store.journal import Journal

    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        stop(f"--save: that folder cannot be made ({getattr(error, 'strerror', None) or 'it is no path'})")
    failed = 0
    for page_id in page_ids:
        try:
            page = Journal(store).page(page_id)
        except KeyError:
            hint(f"{page_id}: there is no such page")
            failed += 1
            continue
        if not page.body:
            hint(f"{page_id}: no bytes of it are kept ({page.state.value})")
            failed += 1
            continue
        path = folder / f"{page_id}.body"
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except OSError as error:
            hint(f"{page_id}: {path} cannot be written ({error.strerror})")
            failed += 1
            continue
        with os.fdopen(descriptor, "wb") as file:
            file.write(page.body)
        say(f"{page_id}: {len(page.body):,} bytes in {path}")
    if failed < len(page_ids):
        hint(
            "These files hold whole phone numbers and texts of people. Give them to nobody but the vendor, "
            "and delete them afterwards."
        )
    return 1 if failed else 0


def _dismiss(store: Store, page_ids: Sequence[str], reason: str) -> int:
    from airflow_provider_sms.store.attention import dismiss

    changed = dismiss(store, page_ids, note_of("dismissed", reason))
    for page_id in page_ids:
        told = (
            "dismissed; its state and its bytes stay"
            if page_id in changed
            else "left as it is: it is not in the store, not quarantined or suspect, or was dismissed before"
        )
        say(f"{page_id}: {told}")
    return 0 if len(changed) == len(set(page_ids)) else 1
