"""
R5: what is no page, or pretends to be more than one, through whole collections over real HTTP.

Whatever a queue's address answers is in the journal afterwards, byte by byte, landed or in quarantine; of a
reply that tries to forge a record no row comes; and what a worse parser left in quarantine lands whole when
the real one reads it again. On smsadmin's plain page (``replies_page`` ``plain``) a line break in a reply
cannot be told from the vendor's own, as its description says; here its replies come from the escaped page.
"""

from __future__ import annotations

import contextlib
import logging
import random
import re
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from answers import WAYS, PageAnswer, gateway, pages
from figures import Figure, Progress, Proof, all_of, at_least, none, record
from forgeries import VICTIM, forged_texts
from peers import Script
from sqlalchemy import text
from strays import Stray, Strays

from airflow_provider_sms import errors, replaying
from airflow_provider_sms.collecting import Collector
from airflow_provider_sms.records import Page, Queue
from airflow_provider_sms.sandbox import Sandbox
from airflow_provider_sms.store.engine import Store

if TYPE_CHECKING:
    from airflow_provider_sms.gateway import Gateway

PAGES = 10_000
_SHARES = {"stray": 0.5, "forged": 0.3, "replayed": 0.2}
_LOG = logging.getLogger("torture.garbage")
_NO = (errors.WireFormatError, errors.VendorRejected, errors.VendorBusy, errors.VendorUnreachable)
_NUMBER = re.compile(rb"[0-9]{8}|Ws(?:Status|Call)Box")


@dataclass
class Tally:
    """What became of the pages."""

    pages: int = 0
    kept: int = 0
    states: Counter[str] = field(default_factory=Counter)
    forged: int = 0
    attempts: int = 0
    altered: int = 0
    replayed: int = 0
    landed: int = 0
    told: list[str] = field(default_factory=list)

    def fail(self, what: str) -> None:
        """Keep one line of what went wrong."""
        if len(self.told) < 20:  # noqa: PLR2004 - enough to see what is the matter
            self.told.append(what)


def prove(size: float, progress: Progress) -> list[Figure]:
    """Collect them all."""
    _LOG.addHandler(logging.NullHandler())
    _LOG.propagate = False
    tally = Tally()
    amounts = {part: max(22, round(PAGES * size * share)) for part, share in _SHARES.items()}
    folder = Path(tempfile.mkdtemp())
    store = Store.open(f"sqlite:///{folder}/sms.db", spool_dir=folder / "spool")
    with Sandbox(smsadmin_poll_interval=0) as sandbox, Script() as peer, contextlib.closing(store):
        _strays(sandbox, peer, store, amounts["stray"], tally, progress)
        _forged(sandbox, store, amounts["forged"], tally, progress)
        _replayed(sandbox, store, amounts["replayed"], tally, progress)
    for line in tally.told:
        sys.stderr.write(f"R5: {line}\n")
    return [
        at_least("pages through the whole flow", tally.pages, PAGES * size),
        all_of(
            "ended landed, in quarantine or empty by the vendor's own word, with all their bytes",
            tally.kept,
            tally.pages,
        ),
        record("of these landed", tally.states["landed"]),
        record("of these in quarantine", tally.states["quarantined"]),
        record("of these empty by the vendor's own word", tally.states["empty"]),
        none(f"forged records accepted, of {tally.attempts:,} texts that tried", tally.forged),
        none("rows that are not what was handed out, of garbage or beside a forgery", tally.altered),
        all_of("pages that a worse parser left and the real one landed whole", tally.landed, tally.replayed),
    ]


def _collect(client: Gateway, store: Store, queue: Queue) -> None:
    collector = Collector(client, store, queue, owner="torture", log=_LOG, sleep=lambda _: None)
    # Whether it ends with an error is not the question: what is in the store then, is.
    with contextlib.suppress(*_NO):
        collector.run(max_pages=1)


def _emptied(store: Store, queue: Queue) -> tuple[list[Any], list[tuple[str, str]]]:
    """Give the pages and rows (number and id, or text) of the store, and take them out."""
    column = "vendor_message_id" if queue is Queue.REPORTS else "content"
    with store.begin() as connection:
        kept = connection.execute(text("SELECT state, body FROM sms_pages ORDER BY page_id")).all()
        query = f"SELECT mobile, {column} FROM sms_{queue.value} ORDER BY page_id, seq"  # noqa: S608 - our names
        rows = [(row[0], row[1]) for row in connection.execute(text(query))]
        for table in ("sms_pages", "sms_reports", "sms_replies"):
            connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - our names
    return list(kept), rows


def _strays(
    sandbox: Sandbox, peer: Script, store: Store, amount: int, tally: Tally, progress: Progress
) -> None:
    progress.part("strays")
    whole = list(pages(sandbox))
    strays = Strays(whole, progress.seed)
    for position, page in enumerate(whole):
        first, last = (amount * number // len(whole) for number in (position, position + 1))
        with gateway(sandbox.connection(page.vendor, **page.options) | {"port": peer.port}) as client:
            for number in range(first, last):
                stray = strays.next_to(page)
                peer.answer = stray.wire
                _collect(client, store, page.queue)
                _judge(page, stray, *_emptied(store, page.queue), tally)
                progress(number, amount, f"{dict(tally.states)}")


def _judge(
    page: PageAnswer, stray: Stray, kept: list[Any], rows: list[tuple[str, str]], tally: Tally
) -> None:
    tally.pages += 1
    state, body = kept[0] if len(kept) == 1 else ("none", b"")
    tally.states[state] += 1
    # "Empty" is for the vendor's own word alone: never for something that holds a number.
    right = state in {"landed", "quarantined"} or (state == "empty" and not _NUMBER.search(stray.body))
    if right and bytes(body or b"") == stray.body:
        tally.kept += 1
    else:
        tally.fail(f"{page.name}, {stray.kind}: {state}, {len(body or b'')} of {len(stray.body)} bytes")
    tally.attempts += VICTIM.encode() in stray.body
    tally.forged += sum(mobile == VICTIM for mobile, _ in rows)
    numbers = {mobile for mobile, _ in page.records}
    # A mutation may well make another number; everything else holds the page's own or none.
    if stray.kind != "mutated" and any(not stray.numbers or mobile not in numbers for mobile, _ in rows):
        tally.altered += len(rows)
        tally.fail(f"{page.name}, {stray.kind}: {len(rows)} rows of it")


def _forged(sandbox: Sandbox, store: Store, amount: int, tally: Tally, progress: Progress) -> None:
    progress.part("forged")
    chance = random.Random(f"{progress.seed} forged")  # noqa: S311 - not for secrets
    ways = [way for way in WAYS if way[0] != "linkws" and not way[1].get("replies_page")]
    for position, (vendor, options) in enumerate(ways):
        first, last = (amount * number // len(ways) for number in (position, position + 1))
        with gateway(sandbox.connection(vendor, **options)) as client:
            for number in range(first, last):
                sandbox.reset()
                replies = forged_texts(chance, chance.randrange(1, 7))
                tally.attempts += sum(VICTIM in told for _, told in replies)
                handed = [(each.mobile, each.content) for each in sandbox.queue_replies(vendor, replies)]
                _collect(client, store, Queue.REPLIES)
                kept, rows = _emptied(store, Queue.REPLIES)
                tally.pages += 1
                states = [state for state, _ in kept]
                tally.kept += len(kept) == 1 and states[0] in {"landed", "quarantined"} and bool(kept[0][1])
                tally.states.update(states)
                tally.forged += sum(mobile == VICTIM for mobile, _ in rows)
                if vendor == "wavecom":
                    # A page may end in a line break of its own, so those of the last reply are not kept.
                    handed[-1] = (handed[-1][0], handed[-1][1].rstrip("\r\n"))
                # All of them, or (in quarantine) the first ones; never another text.
                if rows != (handed if states == ["landed"] else handed[: len(rows)]):
                    tally.altered += 1
                    tally.fail(f"{vendor}, forged: {states}, {len(rows)} rows of {len(handed)} replies")
                progress(number, amount, f"{tally.forged} forged rows")


def _worse(vendor: Any, chance: random.Random) -> Any:
    """Make a parser that stumbles, as one of an older version does: in a way that is drawn for each page."""

    def stumble(parse: Any, account: Any, response: Any) -> Any:
        way = chance.randrange(3)
        if way == 0:
            raise errors.WireFormatError("a field is missing")
        if way == 1:
            raise IndexError
        page = parse(account, response)
        return Page(page.records[:1], complete=False, problem="the parser stumbled")

    class Worse(type(vendor)):  # type: ignore[misc]
        def parse_reports(self, account: Any, response: Any) -> Any:
            return stumble(super().parse_reports, account, response)

        def parse_replies(self, account: Any, response: Any) -> Any:
            return stumble(super().parse_replies, account, response)

        def columns_of_reports(self, account: Any, response: Any) -> None:
            """Leave every page to the careful parser, which here is the careless one."""
            del account, response

    return Worse()


def _replayed(sandbox: Sandbox, store: Store, amount: int, tally: Tally, progress: Progress) -> None:
    progress.part("replayed")
    chance = random.Random(f"{progress.seed} replayed")  # noqa: S311 - not for secrets
    ways = [
        (way, queue)
        for way in WAYS
        if way[0] != "linkws" and not way[1].get("replies_page")
        for queue in Queue
    ]
    for position, ((vendor, options), queue) in enumerate(ways):
        first, last = (amount * number // len(ways) for number in (position, position + 1))
        handed: list[tuple[str, str]] = []
        with gateway(sandbox.connection(vendor, **options)) as client:
            real = client.vendor
            client.vendor = _worse(real, chance)
            for number in range(first, last):
                sandbox.reset()
                handed += _queued(sandbox, vendor, queue, chance)
                _collect(client, store, queue)
                progress(number, amount)
            client.vendor = real
            with store.reading() as connection:
                ids = (
                    connection.execute(text("SELECT page_id FROM sms_pages WHERE state <> 'landed'"))
                    .scalars()
                    .all()
                )
            done = list(replaying.replay(real, client.account, store, ids))
        kept, rows = _emptied(store, queue)
        whole = Counter(rows) == Counter(handed) and len(ids) == last - first
        tally.replayed += last - first
        tally.landed += sum(each.whole for each in done) if whole else 0
        tally.pages += len(kept)
        tally.kept += sum(state == "landed" and bool(body) for state, body in kept)
        tally.states.update(state for state, _ in kept)
        if not whole:
            tally.fail(f"{vendor}, replayed {queue}: {len(rows)} rows of {len(handed)} records")


def _queued(sandbox: Sandbox, vendor: str, queue: Queue, chance: random.Random) -> list[tuple[str, str]]:
    count = chance.randrange(1, 8)
    if queue is Queue.REPORTS:
        return [(each.mobile, each.message_id) for each in sandbox.queue_reports(vendor, count)]
    replies = [(f"1382{n:07}", chance.choice(("退订", "a/b;c|d", "", "镕 100%"))) for n in range(count)]
    return [(each.mobile, each.content) for each in sandbox.queue_replies(vendor, replies)]


PROOF = Proof("R5", "garbage, web pages, nothing, other charsets and counts, forged replies; replay", prove)
