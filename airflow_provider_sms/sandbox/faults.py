"""Scripted and random faults: which one, if any, the next request meets."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Kind = Literal[
    "refuse", "reset_before", "reset_after", "cut", "slow", "drip", "close", "status", "busy", "garbage",
    "html", "empty", "redirect", "wrong_count", "wrong_charset", "huge", "endless",
]  # fmt: skip
Framing = Literal["length", "chunked", "close"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
_SECONDS: Final = {"refuse": 0.5, "slow": 1.0, "drip": 0.02}


@dataclass(frozen=True)
class Fault:
    """One fault, and the requests it is meant for.

    ``refuse`` closes the listening socket for ``seconds``: at once, or after ``after`` matching requests.
    ``reset_before`` and ``reset_after`` send a TCP reset before the request is processed, or after it was
    accepted, with no byte of an answer. ``cut`` ends the connection ``at`` bytes into the body. ``slow``
    waits ``seconds`` between accepting and answering, ``drip`` writes ``chunk`` bytes at a time.
    ``close`` answers in full and then closes a connection the client believes to be kept alive.
    ``status``, ``busy``, ``garbage``, ``html``, ``empty``, ``redirect``, ``huge`` and ``endless`` answer
    something else; ``wrong_count`` and ``wrong_charset`` spoil the right answer.

    :param kind: what goes wrong
    :param operation: only these operations; None is every one but fetching a WSDL
    :param vendor: only this vendor; None is every one
    :param after: matching requests that pass unharmed first
    :param times: how often; None is for ever; a ``refuse`` happens once
    :param accepted: whether the request is processed all the same (a message sent, records taken out of their
        queue); None is the kind's own: yes for ``reset_after`` ``cut`` ``slow`` ``drip`` ``close``
        ``wrong_count`` ``wrong_charset``, no for the others
    :param at: ``cut``: bytes of the body that are kept, or as a float the share of it
    :param reset: ``cut``: end with a reset in place of an orderly close
    :param framing: how the body's end is told: Content-Length, chunked, or by closing the connection
    :param seconds: ``refuse`` (0.5): how long; ``slow`` (1): how long; ``drip`` (0.02): between two writes
    :param chunk: ``drip``: bytes a write
    :param headers: ``drip``: trickle the header as well
    :param status: ``status``: the HTTP status
    :param retry_after: ``status``: seconds for the Retry-After header, None for no such header
    :param body: ``status`` ``garbage`` ``html`` ``huge`` ``endless``: these bytes
    :param size: ``garbage`` (512), ``huge`` (64 MiB): bytes
    :param location: ``redirect``: where to; None is this very request at host name ``localhost``
    :param offset: ``wrong_count``: added to every count the answer declares
    :param charset: ``wrong_charset``: what the body is encoded in; None is UTF-8 for GB and GB for UTF-8
    """

    kind: Kind
    operation: str | None = None
    vendor: str | None = None
    after: int = 0
    times: int | None = 1
    accepted: bool | None = None
    at: int | float = 0.5
    reset: bool = False
    framing: Framing = "length"
    seconds: float | None = None
    chunk: int = 1
    headers: bool = False
    status: int = 503
    retry_after: int | None = None
    body: bytes | None = None
    size: int | None = None
    location: str | None = None
    offset: int = 1
    charset: str | None = None

    def __post_init__(self) -> None:
        """Refuse kinds and framings that do not exist."""
        if self.kind not in KINDS:
            raise ValueError(f"no such fault: {self.kind!r}; there are {', '.join(KINDS)}")
        if self.framing not in get_args(Framing):
            raise ValueError(f"no such framing: {self.framing!r}")

    @property
    def wait(self) -> float:
        """Seconds to wait: as given, or the kind's own."""
        return _SECONDS.get(self.kind, 0.0) if self.seconds is None else self.seconds

    def meets(self, vendor: str, operation: str) -> bool:
        """Say whether a request is one this fault is meant for.

        :param vendor: of the request
        :param operation: of the request
        """
        return _meant(self.vendor, self.operation, vendor, operation)


@dataclass
class _Scripted:
    fault: Fault
    pass_first: int
    left: int | None


@dataclass
class _Random:
    vendor: str | None
    operation: str | None
    share: float
    kinds: Sequence[Fault]
    source: random.Random


class Faults:
    """The script. Scripted faults come first, in the order they were added; then the random ones.

    :param on_refuse: closes the listening socket for so many seconds
    """

    def __init__(self, on_refuse: Callable[[float], None]) -> None:
        """Start without faults."""
        self._on_refuse = on_refuse
        self._lock = threading.Lock()
        self._script: list[_Scripted] = []
        self._random: list[_Random] = []
        self._met: dict[str, int] = {}

    def add(self, *faults: Fault) -> None:
        """Add faults to the end of the script.

        :param faults: a ``refuse`` without ``after`` takes effect before this returns
        """
        for fault in faults:
            if fault.kind == "refuse" and fault.after == 0:
                self._note(fault)
                self._on_refuse(fault.wait)
                continue
            with self._lock:
                self._script.append(_Scripted(fault, fault.after, fault.times))

    def random(
        self,
        share: float,
        kinds: Sequence[str | Fault],
        seed: int = 0,
        *,
        vendor: str | None = None,
        operation: str | None = None,
    ) -> None:
        """Let a share of all requests meet a fault.

        :param share: 0..1
        :param kinds: names of kinds, or faults with their parameters; each is as likely as the others
        :param seed: the same seed and the same order of requests give the same faults
        :param vendor: only this vendor
        :param operation: only this operation
        """
        templates = [kind if isinstance(kind, Fault) else _named(kind) for kind in kinds]
        # Reproducible on purpose: this is a test script, not a secret.
        source = random.Random(seed)  # noqa: S311
        with self._lock:
            self._random.append(_Random(vendor, operation, share, templates, source))

    def clear(self) -> None:
        """Take back every fault that has not happened yet."""
        with self._lock:
            self._script.clear()
            self._random.clear()

    def pending(self) -> list[Fault]:
        """Return the scripted faults still to come, with what is left of ``after`` and ``times``."""
        with self._lock:
            return [replace(entry.fault, after=entry.pass_first, times=entry.left) for entry in self._script]

    def met(self) -> dict[str, int]:
        """Return how many requests met each kind of fault."""
        with self._lock:
            return dict(self._met)

    def pick(self, vendor: str, operation: str) -> Fault | None:
        """Return the fault that a request meets, if any. A ``refuse`` that falls due is carried out here.

        :param vendor: of the request
        :param operation: of the request
        """
        with self._lock:
            fault, refusal = self._scripted(vendor, operation)
            if fault is None and refusal is None:
                fault = self._drawn(vendor, operation)
                if fault is not None and fault.kind == "refuse":
                    fault, refusal = None, fault
        for noted in (fault, refusal):
            if noted is not None:
                self._note(noted)
        if refusal is not None:
            self._on_refuse(refusal.wait)
        return fault

    def _scripted(self, vendor: str, operation: str) -> tuple[Fault | None, Fault | None]:
        chosen: Fault | None = None
        refusal: Fault | None = None
        for entry in list(self._script):
            if not entry.fault.meets(vendor, operation):
                continue
            if entry.pass_first > 0:
                entry.pass_first -= 1
                # A refused request never gets here: a refusal falls due with the last one it lets pass.
                if entry.fault.kind != "refuse" or entry.pass_first > 0:
                    continue
            elif chosen is not None:
                continue
            if entry.fault.kind == "refuse":
                refusal = entry.fault
                self._script.remove(entry)
                continue
            chosen = entry.fault
            if entry.left is not None:
                entry.left -= 1
                if entry.left <= 0:
                    self._script.remove(entry)
        return chosen, refusal

    def _drawn(self, vendor: str, operation: str) -> Fault | None:
        for entry in self._random:
            if (
                _meant(entry.vendor, entry.operation, vendor, operation)
                and entry.source.random() < entry.share
            ):
                return entry.source.choice(entry.kinds)
        return None

    def _note(self, fault: Fault) -> None:
        with self._lock:
            self._met[fault.kind] = self._met.get(fault.kind, 0) + 1


def _meant(for_vendor: str | None, for_operation: str | None, vendor: str, operation: str) -> bool:
    # Whoever asks for "any operation" means the vendor's, not the fetching of its WSDL.
    if for_operation is None and operation == "wsdl":
        return False
    return for_vendor in (None, vendor) and for_operation in (None, operation)


def _named(kind: str) -> Fault:
    for known in KINDS:
        if known == kind:
            return Fault(known)
    raise ValueError(f"no such fault: {kind!r}; there are {', '.join(KINDS)}")
