"""The sandbox in a process of its own, so that its work is not counted as the client's."""

from __future__ import annotations

import logging
import multiprocessing
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_sms.sandbox import Fault, Sandbox

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from airflow_provider_sms.gateway import Gateway


class GatewayProcess:
    """
    Four vendors behind one port of this machine; use it as a context manager.

    :param settings: of the sandbox, over those that suit a benchmark.
    """

    def __init__(self, **settings: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, settings), daemon=True)

    def __enter__(self) -> Self:
        """Start it and wait until it serves."""
        self._process.start()
        self._pipe.recv()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._pipe.send(None)
        self._process.join(10)

    def queue_reports(self, vendor: str, count: int) -> None:
        """Forget everything before and put so many reports into a vendor's queue."""
        self._ask("reset")
        self.add_reports(vendor, count)

    def add_reports(self, vendor: str, count: int) -> None:
        """Put so many more reports into a vendor's queue."""
        self._ask("queue_reports", vendor, count)

    def answer_slowly(self, seconds: float) -> None:
        """Forget everything before; from now on, each submit is answered after so many seconds."""
        self._ask("reset")
        self._ask("slow", seconds)

    def sent_messages(self, vendor: str) -> int:
        """Count what a vendor accepted."""
        count: int = self._ask("count_messages", vendor)
        return count

    def connection(self, vendor: str, **extra: Any) -> dict[str, Any]:
        """Give the Airflow connection to a vendor, as keyword arguments."""
        connection: dict[str, Any] = self._ask("connection", vendor, **extra)
        return connection

    def client(self, vendor: str, **extra: Any) -> Gateway:
        """Give this package's own client of a vendor."""
        from airflow_provider_sms.gateway import Gateway
        from airflow_provider_sms.vendors.accounts import check_account
        from airflow_provider_sms.vendors.registry import vendor_of_type

        fields = self.connection(vendor, **extra)
        codec = vendor_of_type(fields.pop("conn_type"), f"bench_{vendor}")
        return Gateway(codec, check_account(codec, f"bench_{vendor}", **fields))

    def _ask(self, action: str, *given: Any, **named: Any) -> Any:
        self._pipe.send((action, given, named))
        return self._pipe.recv()


def _serve(pipe: Connection, settings: dict[str, Any]) -> None:
    logging.disable()
    # Accounts that never run dry; smsadmin reads at any pace.
    suitable: dict[str, Any] = {"balance": 10**9, "smsadmin_balance": 10**9, "smsadmin_poll_interval": 0}
    with Sandbox(**{**suitable, **settings}) as sandbox:
        pipe.send(sandbox.url)
        while (asked := pipe.recv()) is not None:
            action, given, named = asked
            if action == "slow":
                sandbox.faults.add(Fault("slow", operation="send", seconds=given[0], times=None))
                answer = None
            else:
                answer = getattr(sandbox, action)(*given, **named)
            pipe.send(len(answer) if isinstance(answer, list) else answer)
