"""``airflow sms replay``: stored pages, read again by the installed parser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_sms.cli.reached import account_of, store_of
from airflow_provider_sms.cli.speaking import command, counted, hint, legible, say, stop

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from airflow_provider_sms.replaying import Replayed
    from airflow_provider_sms.store.engine import Store


#: A statement takes no more values than that, depending on the database: PostgreSQL 65,535, SQLite 32,766.
_IDS_AT_ONCE = 10_000


@command
def run(args: Namespace) -> int:
    """Replay pages, those of this machine's spool first."""
    from airflow_provider_sms.records import PageState
    from airflow_provider_sms.replaying import sweep_spool
    from airflow_provider_sms.store.attention import find_pages

    if args.page and (args.all_quarantined or args.conn_id):
        stop("name pages, or take --all-quarantined (of one connection with --conn-id), not both")
    if args.conn_id and not args.all_quarantined:
        stop("--conn-id goes with --all-quarantined")
    named = legible(args.page)
    store = store_of(args.store_conn_id)
    swept = sweep_spool(store)
    if swept:
        say(f"{counted(len(swept), 'page')} of this machine's spool went into the store")
    wanted = [*named, *swept]
    if args.all_quarantined:
        # The oldest first, as they came. No parser can read one whose bytes are gone.
        found = find_pages(store, [PageState.QUARANTINED], conn_id=args.conn_id, dismissed=True)
        wanted += [line.page_id for line in reversed(found) if line.size]
    if not wanted:
        if not args.all_quarantined:
            stop("name the pages, or take --all-quarantined; 'airflow sms pages' lists what there is")
        say("no page is quarantined that has bytes to read")
        return 0
    return _replay_all(store, list(dict.fromkeys(wanted)))


def _replay_all(store: Store, page_ids: Sequence[str]) -> int:
    from airflow_provider_sms.errors import SmsError
    from airflow_provider_sms.replaying import replay

    owners = _owners(store, page_ids)
    whole = 0
    for page_id in page_ids:
        if page_id not in owners:
            say(f"{page_id}: there is no such page in the store")
    for conn_id in dict.fromkeys(owners.values()):
        theirs = [page_id for page_id in page_ids if owners.get(page_id) == conn_id]
        try:
            vendor, account = account_of(conn_id)
        except SmsError as error:
            hint(f"{counted(len(theirs), 'page')} cannot be read without connection {conn_id!r}. {error}")
            continue
        for done in replay(vendor, account, store, theirs):
            whole += done.whole
            say(_told(done))
    left = len(page_ids) - whole
    say(f"{whole} of {counted(len(page_ids), 'page')} landed whole" + (f", {left} not" if left else ""))
    return 1 if left else 0


def _owners(store: Store, page_ids: Sequence[str]) -> dict[str, str]:
    """Give the pages that there are, and whose connection's each is."""
    from airflow_provider_sms.records import PageState
    from airflow_provider_sms.store.attention import find_pages

    owners: dict[str, str] = {}
    for start in range(0, len(page_ids), _IDS_AT_ONCE):
        some = page_ids[start : start + _IDS_AT_ONCE]
        lines = find_pages(store, list(PageState), page_ids=some, dismissed=True)
        owners |= {line.page_id: line.conn_id for line in lines}
    return owners


def _told(done: Replayed) -> str:
    """Say what happened to a page, and what to do next."""
    from airflow_provider_sms.redact import mask_numbers

    where = f"{done.page_id}: "
    if done.whole and done.before is done.after:
        return f"{where}had landed before, {done.records} records; nothing to do"
    if done.whole:
        return f"{where}{done.before} -> {done.after}, {done.records} records"
    problem = mask_numbers(done.problem)
    if done.after == "quarantined" and not done.kept:
        return f"{where}stays quarantined, {done.records} of its records landed: {problem}"
    if done.after == "quarantined":
        return (
            f"{where}still quarantined, {done.records} of its records landed: {problem}. Its bytes are kept. "
            f"Next: 'airflow sms pages --save FOLDER {done.page_id}' and ask the vendor, report it to us, or "
            "upgrade and replay"
        )
    if done.after == "suspect":
        return f"{where}suspect, so nothing of it can be read: ask the vendor for the records of that time"
    return f"{where}{done.after}: {problem}"
