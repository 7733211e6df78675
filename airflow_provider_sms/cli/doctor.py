"""``airflow sms doctor``: look at everything that can be looked at without changing anything at a vendor."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_sms.cli.pages import ADVICE, SPOOLED, TORN, UNREADABLE, most_lost
from airflow_provider_sms.cli.reached import account_of, in_database, in_environment, known_to, store_of
from airflow_provider_sms.cli.speaking import NEEDS_A_PERSON, command, counted, say

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from airflow_provider_sms.store.engine import Store

_OK = "ok"
_NOTE = "note"
_PERSON = "MEND"


class Finding(NamedTuple):
    """
    One thing that was looked at.

    :param level: ``ok``, ``note``, or ``MEND`` when it needs a person.
    :param what: what was looked at and how it is.
    :param advice: what to do about it.
    """

    level: str
    what: str
    advice: str = ""


@command
def run(args: Namespace) -> int:
    """Look at the store and the connections; nothing is sent, and no queue is read."""
    from airflow_provider_sms.errors import SmsError

    findings: list[Finding] = []

    def tell(found: Iterator[Finding]) -> None:
        for finding in found:
            findings.append(finding)
            say(f"{finding.level:<5} {finding.what}")
            if finding.advice:
                say(f"      -> {finding.advice}")

    store: Store | None = None
    try:
        store = store_of(args.store_conn_id)
    except SmsError as error:
        tell(iter([Finding(_PERSON, f"store: {error}")]))
    if store is not None:
        tell(_store(store))
    tell(_connections(args.conn_id, store, offline=args.offline))
    if store is not None:
        tell(_waiting(store))
    count = sum(finding.level == _PERSON for finding in findings)
    say(f"\n{counted(count, 'thing')} to mend" if count else "\nnothing needs a person")
    return NEEDS_A_PERSON if count else 0


# --- the store -------------------------------------------------------------------------------------


def _store(store: Store) -> Iterator[Finding]:
    from airflow_provider_sms.errors import StoreUnavailable
    from airflow_provider_sms.store.attention import schema_version

    try:
        store.prove_writable()
        yield Finding(
            _OK, f"store: {store.dialect}, schema version {schema_version(store)}, can be read and written"
        )
    except StoreUnavailable as error:
        yield Finding(
            _PERSON, f"store: {error}", "until it can be written, no queue is read and nothing is sent"
        )
    if not store.number_hash_key:
        yield Finding(_NOTE, "store: [sms] number_hash_key is not set, so the columns mobile_hash stay empty")
    yield from _spool(store.spool_dir)


def _spool(folder: Path) -> Iterator[Finding]:
    from airflow_provider_sms.store.spool import Spool

    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"sms")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        yield Finding(
            _PERSON,
            f"spool: {folder} cannot be written ({error.strerror})",
            "make it writable for Airflow's user, or set [sms] spool_dir: a page that was read while the "
            "store is away would have no place to go",
        )
    else:
        yield Finding(_OK, f"spool: {folder} of this machine can be written")
    spool = Spool(folder)
    if waiting := sum(1 for _ in spool.pages()):
        yield Finding(_PERSON, f"spool: {counted(waiting, 'page')}", f"these {ADVICE[SPOOLED]}")
    if torn := spool.torn():
        yield Finding(_PERSON, f"spool: {counted(len(torn), 'torn file')}", f"these {ADVICE[TORN]}")
    if theirs := spool.unreadable():
        yield Finding(
            _PERSON, f"spool: {counted(len(theirs), 'unreadable file')}", f"these {ADVICE[UNREADABLE]}"
        )


# --- the connections -------------------------------------------------------------------------------


def _connections(named: Sequence[str] | None, store: Store | None, *, offline: bool) -> Iterator[Finding]:
    from airflow_provider_sms.errors import SmsError

    conn_ids, all_listed = set(named or []), True
    if not conn_ids:
        conn_ids = in_environment() | (known_to(store) if store is not None else set())
        try:
            conn_ids |= in_database()
        except SmsError as error:
            all_listed = False
            yield Finding(_PERSON, f"connections: {error}")
    if not conn_ids and all_listed:
        yield Finding(
            _NOTE,
            "connections: no SMS connection was found",
            "one in a secrets backend cannot be listed: name it by --conn-id",
        )
    for conn_id in sorted(conn_ids):
        try:
            vendor, account = account_of(conn_id)
        except SmsError as error:
            yield Finding(_PERSON, str(error))
            continue
        if offline:
            yield Finding(
                _OK, f"connection {conn_id!r} ({vendor.name}): its fields can work; nobody was asked"
            )
            continue
        yield _asked(vendor, account)


def _asked(vendor: Any, account: Any) -> Finding:
    from airflow_provider_sms.errors import SmsError, VendorBusy
    from airflow_provider_sms.gateway import Gateway
    from airflow_provider_sms.records import amount
    from airflow_provider_sms.vendors.base import Operation

    where = f"connection {account.conn_id!r} ({vendor.name})"
    if not vendor.supports(Operation.BALANCE):
        return Finding(
            _NOTE, f"{where}: its fields can work; it has no balance to ask for, so nobody was asked"
        )
    try:
        with Gateway(vendor, account) as gateway:
            balance = gateway.balance()
    except VendorBusy as busy:
        return Finding(_NOTE, f"{where}: it answers, and wants to be asked later ({busy})")
    except SmsError as error:
        return Finding(_PERSON, str(error))
    return Finding(_OK, f"{where}: it answers; {amount(balance.remaining, balance.unit)} left")


# --- what waits for a person -----------------------------------------------------------------------


def _waiting(store: Store) -> Iterator[Finding]:
    from airflow_provider_sms.errors import StoreUnavailable

    try:
        yield from _waiting_pages(store)
        yield from _waiting_sends(store)
    except StoreUnavailable as error:
        yield Finding(_PERSON, f"what waits for a person cannot be counted: {error}")


def _waiting_pages(store: Store) -> Iterator[Finding]:
    from airflow_provider_sms.records import PageState
    from airflow_provider_sms.store.attention import OPEN_STATES, count_pages, dead_reads, find_pages

    counts = count_pages(store)
    for (conn_id, queue, state), count in sorted(counts.items()):
        if state not in OPEN_STATES:
            continue
        what = f"{queue} of connection {conn_id!r}: {counted(count, f'{state.value} page')}"
        if state is PageState.SUSPECT:
            vendor = find_pages(store, [state], conn_id=conn_id, limit=1)[0].vendor
            most = most_lost(conn_id, vendor, queue)
            what += f", so at most {count * most:,} records may be lost" if most else ""
        # What was read lands with the next collection; nobody has to do anything.
        level = _NOTE if state is PageState.READ else _PERSON
        yield Finding(level, what, f"these {ADVICE[state]}")
    if dead := dead_reads(store):
        yield Finding(
            _PERSON,
            f"pages: {counted(dead, 'read')} ended without a word",
            "the queue's next collection calls them suspect: is it still scheduled?",
        )
    if not any(state in {PageState.QUARANTINED, PageState.SUSPECT} for _, _, state in counts):
        yield Finding(_OK, "pages: none is quarantined or suspect")


def _waiting_sends(store: Store) -> Iterator[Finding]:
    from airflow_provider_sms.store.attention import unknown_batches

    unknown = unknown_batches(store)
    if not unknown:
        yield Finding(_OK, "sends: no batch is unknown")
        return
    people = sum(batch.recipients for batch in unknown)
    oldest = min(batch.submitted_at for batch in unknown).isoformat(timespec="seconds")
    yield Finding(
        _PERSON,
        f"sends: batches whose outcome is unknown: {len(unknown):,}, with {people:,} recipients, "
        f"the oldest of {oldest}",
        "'airflow sms settle' settles what reports prove, and shows what speaks for either of the rest",
    )
