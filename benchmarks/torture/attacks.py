"""
R12: answers that are attacks. Nothing but the connection's own host is ever asked, and every case ends.

XML with entities, DTDs, inclusions and burdens; redirects and WSDLs that lead elsewhere; answers that never
end or unfold to a gigabyte; replies that are formulas. Two traps listen, on another loopback address and on
another port of the same one; besides, Python tells of every connection and name that anything here asks for.
"""

from __future__ import annotations

import csv
import io
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from answers import ask
from attack_answers import STATUSES, asides, floods, locations, redirect
from attack_documents import burdens, disguised, doctypes
from attack_wsdls import wsdls
from figures import Figure, Progress, Proof, all_of, at_least, at_most, none, record
from formulas import alive, cells
from peers import framed
from yard import TIMEOUT, TRAP_HOST, Yard

from airflow_provider_sms import errors
from airflow_provider_sms.records import Page, Queue
from airflow_provider_sms.sandbox import Sandbox
from airflow_provider_sms.spreadsheets import defuse_row

if TYPE_CHECKING:
    from airflow_provider_sms.gateway import Gateway

CASES = 800
MEGABYTES = 512


def _root(name: str, status: str, inside: str) -> str:
    return f"<{name}{{}}><ReturnStatus>{status}</ReturnStatus>{inside}</{name}>"


def _in_lists(kind: str, inside: str) -> str:
    return f"<{kind}List><Ws{kind}Box>{inside}</Ws{kind}Box></{kind}List>"


#: Vendor, operation, and its answer to a form call, with room for attributes of the root and a text.
_BOX = (
    "<Mobile>13800138000</Mobile><TaskID>1</TaskID><Content>{}</Content><ReceiveTime></ReceiveTime><Extno/>"
)
_ROOTS = (
    ("beidoutong", "send", _root("WsSendResponse", "Success", "<TaskID>{}</TaskID>")),
    ("beidoutong", "balance", _root("WsOverageResponse", "Success", "<Overage>{}</Overage>")),
    ("beidoutong", "reports", _root("WsStatusResponse", "1", _in_lists("Status", "{}"))),
    ("beidoutong", "replies", _root("WsCallResponse", "1", _in_lists("Call", _BOX))),
    ("linkws", "send", "<int{}>{}</int>"),
    ("linkws", "balance", "<int{}>{}</int>"),
)
_ASKED = (("beidoutong", "reports"), ("beidoutong", "send"), ("wavecom", "replies"), ("smsadmin", "send"))
_FLOODED = (("beidoutong", "reports"), ("wavecom", "reports"), ("smsadmin", "reports"), ("linkws", "balance"))
_REFUSALS = (errors.WireFormatError, errors.SubmitUnknown)


def _call(client: Gateway, operation: str) -> Any:
    if operation in {"reports", "replies"}:
        queue = Queue(operation)
        return client.parse(queue, client.read(client.prepare_read(queue)))
    return ask(client, operation)


class _Attack:
    """All cases, or every n-th."""

    def __init__(self, yard: Yard, step: int, progress: Progress) -> None:
        self._yard, self._step, self._progress = yard, step, progress
        self._number = 0

    def run(self) -> None:
        """Run them."""
        parts = (self._entities, self._burdens, self._redirects, self._wsdls, self._floods, self._formulas)
        for part in parts:
            self._progress.part(part.__name__.strip("_"))
            part()

    def _chosen(self) -> bool:
        self._number += 1
        watch = self._yard.watch
        self._progress(watch.cases.total(), CASES / self._step, f"{len(watch.wrong)} wrong")
        return self._number % self._step == 0

    def _entities(self) -> None:
        yard = self._yard
        for vendor, operation, root in _ROOTS:
            client = yard.client(vendor)
            for kind, (doctype, text) in doctypes(yard.url, str(yard.canary_file)).items():
                for disguise, body in disguised(doctype, root.format("", text)):
                    if not self._chosen():
                        continue
                    yard.play(framed(body, "length"))
                    name = f"{kind}, {disguise}, {vendor} {operation}"
                    _, raised = yard.run("DOCTYPE", name, lambda: _call(client, operation))  # noqa: B023 - at once
                    yard.watch.doctypes += 1
                    if isinstance(raised, _REFUSALS):
                        yard.watch.doctypes_refused += 1
                    else:
                        yard.watch.wrong.append(f"DOCTYPE, {name}: {type(raised).__name__}")

    def _burdens(self) -> None:
        yard = self._yard
        for kind, (attributes, text) in burdens(yard.url, str(yard.canary_file)).items():
            for vendor, operation, root in _ROOTS:
                if self._chosen():
                    yard.play(framed(root.format(attributes, text).encode(), "length"))
                    client = yard.client(vendor)
                    yard.run("XML", f"{kind}, {vendor} {operation}", lambda: _call(client, operation))  # noqa: B023

    def _redirects(self) -> None:
        yard = self._yard
        answers = {
            f"{status} to {location}": redirect(status, location)
            for location in locations(TRAP_HOST, yard.trap.port, yard.server.port, yard.other_port.port)
            for status in STATUSES
        }
        answers |= asides(f"{yard.url}/aside")
        for name, answer in answers.items():
            for vendor, operation in _ASKED:
                if self._chosen():
                    yard.play(answer)
                    client = yard.client(vendor)
                    result, _ = yard.run("redirect", f"{name}, {vendor}", lambda: _call(client, operation))  # noqa: B023
                    if result is not None and not (isinstance(result, Page) and not result.records):
                        yard.watch.wrong.append(f"redirect, {name}, {vendor}: taken for an answer")

    def _wsdls(self) -> None:
        yard = self._yard
        for vendor, options in (("beidoutong", {}), ("linkws", {"protocol": "soap"})):
            for kind, wsdl in wsdls(vendor, yard.url, str(yard.canary_file)).items():
                for version in ("1.1", "1.2"):
                    if not self._chosen():
                        continue
                    yard.play(framed(wsdl, "length"))
                    # A WSDL is kept with its client, so each case has one of its own.
                    client = yard.client(
                        vendor, wsdl="fetch", soap_version=version, signature=kind, **options
                    )
                    yard.run("WSDL", f"{kind}, {vendor} {version}", lambda: _call(client, "balance"))  # noqa: B023

    def _floods(self) -> None:
        yard = self._yard
        for name, play in floods().items():
            for vendor, operation in _FLOODED:
                if self._chosen():
                    yard.server.play = lambda _: play()  # noqa: B023 - at once
                    client = yard.client(vendor)
                    yard.run("flood", f"{name}, {vendor}", lambda: _call(client, operation))  # noqa: B023

    def _formulas(self) -> None:
        for cell in cells():
            if self._chosen():
                live, _ = self._yard.run("formula", repr(cell), lambda: alive(_exported(cell)))  # noqa: B023
                self._yard.watch.wrong += [f"formula, {cell!r}: alive as {each!r}" for each in live or ()]


def _exported(cell: str) -> str:
    """Write a reply to a CSV file as this package's exports do."""
    out = io.StringIO(newline="")
    csv.writer(out).writerow(defuse_row(["13800138000", cell, "2026-01-01", 7]))
    return out.getvalue()


def prove(size: float, progress: Progress) -> list[Figure]:
    """Attack, and count."""
    with Sandbox(linkws_balance_interval=0) as sandbox, Yard(sandbox, Path(tempfile.mkdtemp())) as yard:
        _Attack(yard, max(1, round(1 / size)), progress).run()
        trapped = yard.trapped
    watch = yard.watch
    for line in [*watch.wrong[:20], *watch.asked[:5]]:
        sys.stderr.write(f"R12: {line[:300]}\n")
    live = sum(line.startswith("formula") for line in watch.wrong)
    return [
        at_least("cases", watch.cases.total(), CASES * size),
        none("connections off the allowed host, as the traps saw", trapped),
        none("connections and names off the allowed host, as Python told", len(watch.asked)),
        all_of("answers with a DOCTYPE refused", watch.doctypes_refused, watch.doctypes),
        none(f"live formulas, of {watch.cases['formula']} cells", live),
        none("cases that did not end in time", watch.hangs),
        none("cases that ended otherwise than they should", len(watch.wrong) - live),
        record(f"slowest case, s (one call may take {TIMEOUT:g} s)", watch.slowest),
        at_most("most memory of a case, MB", watch.megabytes, MEGABYTES),
    ]


PROOF = Proof("R12", "XML attacks, redirects, WSDLs, floods and formulas", prove)
