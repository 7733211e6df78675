"""Where attacks are let loose: one server that plays them, traps around it, a watch over time and memory."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from answers import gateway
from figures import CannotRun
from peers import Peer

from airflow_provider_sms.errors import SmsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_sms.gateway import Gateway
    from airflow_provider_sms.sandbox import Sandbox

TRAP_HOST = "127.0.0.2"
CANARY = "canary-of-a-local-file"
#: Seconds of one call in all; what a case may take beyond is this machine's own slowness.
TIMEOUT = 1.0
_GRACE = 4.0
_HANG = 30


class HangError(BaseException):
    """A case did not end; no handler of errors may take this for one."""


@dataclass
class Watch:
    """
    What happened until now.

    :param asked: connections and names that were asked for, and are not the server's.
    :param megabytes: the most memory that a case took.
    :param wrong: kinds of cases that ended otherwise than they should.
    """

    cases: Counter[str] = field(default_factory=Counter)
    doctypes: int = 0
    doctypes_refused: int = 0
    asked: list[str] = field(default_factory=list)
    hangs: int = 0
    slowest: float = 0.0
    megabytes: float = 0.0
    wrong: list[str] = field(default_factory=list)


class Yard:
    """
    Use it as a context manager.

    :param sandbox: whose connections are bent to the playing server.
    :param folder: for a file that nothing may read.
    """

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self._sandbox = sandbox
        self._stack = contextlib.ExitStack()
        self.watch = Watch()
        self.canary_file = folder / "canary"
        self.canary_file.write_text(CANARY, encoding="ascii")
        self._clients: dict[str, Gateway] = {}
        self._watching = False

    def __enter__(self) -> Self:
        """Open the server and the traps."""
        self.server = self._stack.enter_context(Peer(lambda _: iter(())))
        try:
            trap = Peer(lambda _: iter([b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"]), TRAP_HOST)
        except OSError:
            self._stack.close()
            raise CannotRun(f"this machine has no {TRAP_HOST}") from None
        self.trap = self._stack.enter_context(trap)
        self.other_port = self._stack.enter_context(Peer(lambda _: iter([b"HTTP/1.1 200 OK\r\n\r\n"])))
        self.url = f"http://{TRAP_HOST}:{self.trap.port}"
        # A hook stays until the process ends; it looks only while a case runs.
        sys.addaudithook(self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        """Close everything."""
        for client in self._clients.values():
            client.close()
        self._stack.close()

    @property
    def trapped(self) -> int:
        """Connections that the traps saw."""
        return self.trap.accepted + self.other_port.accepted

    def client(self, vendor: str, **options: Any) -> Gateway:
        """Give the package's own client of a vendor, at the playing server; a new one for other options."""
        key = f"{vendor} {options}"
        if key not in self._clients:
            connection = self._sandbox.connection(vendor, timeout=TIMEOUT, **options) | {
                "port": self.server.port
            }
            self._clients[key] = gateway(connection)
        return self._clients[key]

    def play(self, answer: bytes) -> None:
        """Answer every request with these bytes."""
        self.server.play = lambda _: iter([answer])

    def run(self, kind: str, name: str, case: Callable[[], Any]) -> tuple[Any, Exception | None]:
        """
        Run a case; give what it returned, or the error that it raised.

        An error that is none of this package's, a hang, and the content of a local file are noted.
        """
        watch, result, raised = self.watch, None, None
        watch.cases[kind] += 1
        before = _memory("VmRSS")
        # From here on the kernel notes the most memory anew.
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        started = time.monotonic()
        self._watching = True
        try:
            with _no_longer_than(_HANG):
                result = case()
        except HangError:
            watch.hangs += 1
            watch.wrong.append(f"{kind}, {name}: did not end")
        except Exception as error:  # noqa: BLE001 - it is judged below
            raised = error
        self._watching = False
        seconds = time.monotonic() - started
        watch.slowest = max(watch.slowest, seconds)
        watch.megabytes = max(watch.megabytes, _memory("VmHWM") - before)
        if seconds > 2 * TIMEOUT + _GRACE:
            watch.hangs += 1
            watch.wrong.append(f"{kind}, {name}: took {seconds:.1f} s")
        if raised is not None and not _is_ours(raised):
            watch.wrong.append(f"{kind}, {name}: {type(raised).__name__}")
        if CANARY in f"{result!r}{raised!r}":
            watch.wrong.append(f"{kind}, {name}: a local file was read")
        return result, raised

    def _hear(self, event: str, given: tuple[Any, ...]) -> None:
        if not self._watching:
            return
        if event == "socket.connect":
            address = given[1]
            if isinstance(address, tuple) and address[:2] != (self.server.host, self.server.port):
                self.watch.asked.append(f"connect {address[0]}")
        elif event == "socket.getaddrinfo" and given[0] != self.server.host:
            self.watch.asked.append(f"resolve {given[0]}")


def _is_ours(raised: Exception) -> bool:
    from airflow_provider_sms.transport.failures import NoAnswer

    return isinstance(raised, SmsError | NoAnswer)


@contextlib.contextmanager
def _no_longer_than(seconds: int) -> Iterator[None]:
    def give_up(*_: object) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _memory(name: str) -> float:
    """Give a line of this process's status, in MB."""
    told = Path("/proc/self/status").read_text(encoding="ascii")
    return int(told.partition(f"{name}:")[2].split()[0]) / 1024
