"""
R4: the body of every answer cut at every byte.

A page of each vendor, protocol and queue, as the sandbox hands it out, is answered again over real HTTP, cut
behind every byte, under the three framings. What arrived goes through the package's transport and parser;
for a share of the cuts, through a whole collection into a store. Where each record ends in the bytes is told
by the documents, not by the parsers (:mod:`answers`).

One kind of cut leaves no trace: where the closed connection alone ends a body of lines without a count
(smsadmin), behind a whole record or within its last field, or within the first number where what is left of
it is one of the vendor's codes. No reader could tell it from a whole answer; these are counted apart.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from answers import OtherAnswer, PageAnswer, ask, gateway, others, pages
from figures import Figure, Progress, Proof, all_of, at_least, none, record
from peers import Script, framed

from airflow_provider_sms import errors
from airflow_provider_sms.collecting import Collector
from airflow_provider_sms.records import Queue
from airflow_provider_sms.sandbox import Sandbox
from airflow_provider_sms.store.engine import Store
from airflow_provider_sms.vendors.base import Operation
from airflow_provider_sms.vendors.registry import vendor_named

if TYPE_CHECKING:
    from airflow_provider_sms.wire import WireResponse

FRAMINGS = ("length", "chunked", "close")
CUTS = 10_000
_COLLECTED = 600
_LOG = logging.getLogger("torture.cuts")
_COMPLAINTS = (errors.WireFormatError, errors.SubmitUnknown, errors.VendorUnreachable)


@dataclass
class Tally:
    """What became of the cuts."""

    cuts: int = 0
    records: int = 0
    kept: int = 0
    halves: int = 0
    noticed: int = 0
    traceless: int = 0
    collected: int = 0
    collected_right: int = 0
    told: list[str] = field(default_factory=list)

    def fail(self, what: str) -> None:
        """Keep one line of what went wrong."""
        if len(self.told) < 20:  # noqa: PLR2004 - enough to see what is the matter
            self.told.append(what)


def is_traceless(answer: PageAnswer, keep: int, framing: str) -> bool:
    """Whether nothing in the bytes that arrived tells of the cut."""
    if framing != "close" or not answer.in_lines:
        return False
    begun = answer.body[:keep].rpartition(b"\n")[2]
    if begun.decode("latin-1") in vendor_named(answer.vendor).codes[Operation(answer.queue.value)]:
        return True
    # Four slashes: all fields but the last are there, and the last may be of any length.
    return (not begun and keep > 0) or begun.count(b"/") >= 4  # noqa: PLR2004


def check_page(
    answer: PageAnswer, keep: int, framing: str, response: WireResponse, client: Any, tally: Tally
) -> None:
    """Parse what arrived of a page, and compare."""
    whole = sum(end <= keep for end in answer.ends)
    traceless = is_traceless(answer, keep, framing)
    records: list[Any] = []
    noticed = not response.complete
    try:
        page = client.parse(answer.queue, response)
        records = page.records
        noticed = not page.complete and bool(page.problem)
    except errors.WireFormatError:
        noticed = True
    except errors.VendorRejected:
        noticed = False
    got = [
        (each.mobile, each.vendor_message_id if answer.queue is Queue.REPORTS else each.content)
        for each in records
    ]
    tally.cuts += 1
    tally.records += whole
    tally.kept += sum(mine == theirs for mine, theirs in zip(got, answer.records[:whole], strict=False))
    tally.traceless += traceless
    if not traceless:
        tally.noticed += noticed
        tally.halves += max(0, len(got) - whole)
        if not noticed or got != answer.records[:whole]:
            tally.fail(
                f"{answer.name}, {framing}, {keep} bytes: noticed {noticed}, {len(got)} of {whole} records"
            )


def prove(size: float, progress: Progress) -> list[Figure]:
    """Cut, and count."""
    _LOG.addHandler(logging.NullHandler())
    _LOG.propagate = False
    tally = Tally()
    step = max(1, round(1 / size))
    with Sandbox(smsadmin_poll_interval=0, linkws_balance_interval=0) as sandbox, Script() as peer:
        whole = list(pages(sandbox))
        small = list(others(sandbox))
        _cut_pages(sandbox, peer, whole, step, tally, progress)
        _cut_others(sandbox, peer, small, step, tally, progress)
        _collect(sandbox, peer, whole, max(30, round(_COLLECTED * size)), tally, progress)
    for line in tally.told:
        sys.stderr.write(f"R4: {line}\n")
    told = tally.cuts - tally.traceless
    return [
        at_least(f"cuts, of {len(whole)} pages and {len(small)} other answers", tally.cuts, CUTS * size),
        all_of("complete records kept", tally.kept, tally.records),
        none("half records", tally.halves),
        all_of("cuts noticed", tally.noticed, told),
        record("cuts that leave no trace (lines without a count, ended by the close alone)", tally.traceless),
        all_of(
            "collections of a cut page with all its bytes, records and a flag",
            tally.collected_right,
            tally.collected,
        ),
    ]


def _cut_pages(
    sandbox: Sandbox, peer: Script, whole: list[PageAnswer], step: int, tally: Tally, progress: Progress
) -> None:
    total = sum(len(answer.body) for answer in whole) * len(FRAMINGS) // step
    for answer in whole:
        progress.part(answer.name)
        connection = sandbox.connection(answer.vendor, **answer.options) | {"port": peer.port}
        with gateway(connection) as client:
            request = client.prepare_read(answer.queue)
            for framing in FRAMINGS:
                for keep in range(0, len(answer.body), step):
                    peer.answer = framed(answer.body, framing, keep)
                    check_page(answer, keep, framing, client.read(request), client, tally)
                    progress(tally.cuts, total)


def _cut_others(
    sandbox: Sandbox, peer: Script, small: list[OtherAnswer], step: int, tally: Tally, progress: Progress
) -> None:
    for answer in small:
        connection = sandbox.connection(answer.vendor, **answer.options) | {"port": peer.port}
        with gateway(connection) as client:
            # "1000" of which the close leaves "10" is a balance, whoever reads it: XML alone tells.
            for framing in FRAMINGS if answer.in_xml else FRAMINGS[:2]:
                for keep in range(0, len(answer.body), step):
                    peer.answer = framed(answer.body, framing, keep)
                    tally.cuts += 1
                    try:
                        ask(client, answer.operation)
                    except _COMPLAINTS:
                        tally.noticed += 1
                    else:
                        tally.fail(f"{answer.name}, {framing}, {keep} bytes: taken for a whole answer")
                    progress(tally.cuts, tally.cuts)


def _collect(
    sandbox: Sandbox, peer: Script, whole: list[PageAnswer], runs: int, tally: Tally, progress: Progress
) -> None:
    """Take a share of the cuts through the whole flow: every byte in the journal, every record a row."""
    folder = Path(tempfile.mkdtemp())
    store = Store.open(f"sqlite:///{folder}/sms.db", spool_dir=folder / "spool")
    progress.part("collected")
    lanes = [(answer, framing) for answer in whole for framing in FRAMINGS]
    each = max(1, runs // len(lanes))
    for answer, framing in lanes:
        connection = sandbox.connection(answer.vendor, **answer.options) | {"port": peer.port}
        with gateway(connection, "cut") as client:
            for number in range(each):
                keep = 1 + (number * (len(answer.body) - 1)) // each
                if is_traceless(answer, keep, framing):
                    continue
                peer.answer = framed(answer.body, framing, keep)
                tally.collected += 1
                tally.collected_right += _lands(store, client, answer, keep)
                progress(tally.collected, each * len(lanes))
    store.close()


def _lands(store: Store, client: Any, answer: PageAnswer, keep: int) -> bool:
    from sqlalchemy import text

    collector = Collector(client, store, answer.queue, owner="torture", log=_LOG, sleep=lambda _: None)
    # A page that cannot be read at all may end the reading; what counts is what is in the store then.
    with contextlib.suppress(errors.WireFormatError):
        collector.run(max_pages=1)
    with store.begin() as connection:
        [(page_id, state, body)] = connection.execute(
            text("SELECT page_id, state, body FROM sms_pages")
        ).all()
        column = "vendor_message_id" if answer.queue is Queue.REPORTS else "content"
        rows = connection.execute(
            text(f"SELECT mobile, {column} FROM sms_{answer.queue.value} ORDER BY seq")  # noqa: S608 - our names
        ).all()
        for table in ("sms_pages", f"sms_{answer.queue.value}"):
            connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608
    whole = sum(end <= keep for end in answer.ends)
    right = state == "quarantined" and bytes(body) == answer.body[:keep]
    return right and page_id is not None and [tuple(row) for row in rows] == answer.records[:whole]


PROOF = Proof("R4", "every answer cut at every byte, by Content-Length, chunks and the close", prove)
