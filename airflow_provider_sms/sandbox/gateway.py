"""The sandbox as a Python object: four vendors behind one port."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_sms.sandbox import control, enqueueing
from airflow_provider_sms.sandbox.accounts import VENDORS, Account, open_account
from airflow_provider_sms.sandbox.beidoutong import BeidoutongDesk
from airflow_provider_sms.sandbox.calls import CallLog
from airflow_provider_sms.sandbox.connections import connection_of
from airflow_provider_sms.sandbox.exchange import Exchange
from airflow_provider_sms.sandbox.faults import Faults
from airflow_provider_sms.sandbox.linkws import LinkwsDesk
from airflow_provider_sms.sandbox.masking import masked_few
from airflow_provider_sms.sandbox.playing import play
from airflow_provider_sms.sandbox.push import push as push_event
from airflow_provider_sms.sandbox.server import Listener
from airflow_provider_sms.sandbox.settings import Settings
from airflow_provider_sms.sandbox.smsadmin import SmsAdminDesk
from airflow_provider_sms.sandbox.wavecom import WavecomDesk
from airflow_provider_sms.sandbox.wire import Answer, Request

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    from airflow_provider_sms.sandbox.connection import ClientConnection
    from airflow_provider_sms.sandbox.desk import Call, Desk
    from airflow_provider_sms.sandbox.messages import Message
    from airflow_provider_sms.sandbox.queues import Reply, Report

_DESKS: tuple[type[Desk], ...] = (BeidoutongDesk, WavecomDesk, LinkwsDesk, SmsAdminDesk)
_LOG = logging.getLogger("airflow_provider_sms.sandbox")


class Sandbox:
    """A gateway that speaks all four protocols, in a thread of this process.

    Use it as a context manager, or call :meth:`start` and :meth:`stop`.

    :param port: port to serve at; 0 takes a free one
    :param host: address to bind; anything but loopback lets others in
    :param settings: what the keywords below start from
    :param changes: any field of :class:`~airflow_provider_sms.sandbox.settings.Settings`, e.g.
        ``report_delay=0``, ``failure_share=0.1``, ``reply_share=0.0``
    """

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        settings: Settings | None = None,
        **changes: Any,
    ) -> None:
        """Bind the port; :meth:`start` serves."""
        self.settings = replace(settings or Settings(), **changes)
        self._listener = Listener(host, port, self._respond, self.settings.idle_timeout)
        self.faults = Faults(self._listener.refuse)
        self.calls = CallLog()
        self._exchanges: dict[str, Exchange] = {}
        self._desks: list[Desk] = []
        self.reset()

    @property
    def host(self) -> str:
        """The address it is bound to."""
        return self._listener.host

    @property
    def port(self) -> int:
        """The port it serves at."""
        return self._listener.port

    @property
    def url(self) -> str:
        """``http://host:port``, without a slash at the end."""
        return f"http://{self.host}:{self.port}"

    def start(self) -> Self:
        """Begin to serve, and return itself."""
        self._listener.start()
        return self

    def stop(self) -> None:
        """Stop serving and drop every connection."""
        self._listener.stop()

    def __enter__(self) -> Self:
        """Begin to serve."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving."""
        self.stop()

    def reset(self) -> None:
        """Forget every message, record, call and fault, and open fresh accounts."""
        self.faults.clear()
        self.calls.clear()
        self._exchanges = {
            vendor: Exchange(open_account(vendor, self.settings), self.settings) for vendor in VENDORS
        }
        self._desks = [desk(self._exchanges[desk.vendor]) for desk in _DESKS]

    def account(self, vendor: str) -> Account:
        """Return a vendor's account, whose password, balance and locks may be changed.

        :param vendor: ``beidoutong``, ``wavecom``, ``linkws`` or ``smsadmin``
        """
        return self._exchange(vendor).account

    def connection(self, vendor: str, **extra: Any) -> dict[str, Any]:
        """Return keyword arguments for ``airflow.models.Connection``, ``conn_id`` aside.

        :param vendor: whose connection
        :param extra: goes on top of the extra that the vendor needs
        """
        return connection_of(self.account(vendor), self.host, self.port, extra)

    def connection_json(self, vendor: str, **extra: Any) -> str:
        """Return a value for ``AIRFLOW_CONN_...``.

        :param vendor: whose connection
        :param extra: goes on top of the extra that the vendor needs
        """
        return json.dumps(self.connection(vendor, **extra))

    def queue_reports(self, vendor: str, records: int | Sequence[Mapping[str, str]]) -> list[Report]:
        """Put delivery reports into a vendor's queue, due now, and return them.

        :param vendor: whose queue
        :param records: how many to make up, each with its own number and id; or one mapping each, with any of
            ``mobile``, ``message_id``, ``status``, ``error_code``, ``extno``, ``time``
        :raises ValueError: for linkws, which has no such queue
        """
        return enqueueing.queue_reports(self._exchange(vendor), records)

    def queue_replies(
        self, vendor: str, records: int | Sequence[Mapping[str, str] | Sequence[str]]
    ) -> list[Reply]:
        """Put replies into a vendor's queue, due now, and return them.

        :param vendor: whose queue
        :param records: how many to make up; or ``(mobile, content[, extno[, message_id[, time]]])``, or
            mappings with those names, each
        :raises ValueError: for linkws, which has no such queue
        """
        return enqueueing.queue_replies(self._exchange(vendor), records)

    def make_report(self, vendor: str, fields: Mapping[str, str]) -> Report:
        """Return a delivery report that is in no queue, e.g. to :meth:`push` it.

        :param vendor: whose
        :param fields: as in :meth:`queue_reports`
        """
        return enqueueing.make_report(self._exchange(vendor), fields)

    def make_reply(self, vendor: str, fields: Mapping[str, str] | Sequence[str]) -> Reply:
        """Return a reply that is in no queue, e.g. to :meth:`push` it.

        :param vendor: whose
        :param fields: as in :meth:`queue_replies`
        """
        return enqueueing.make_reply(self._exchange(vendor), fields)

    def messages(self, vendor: str, last: int | None = None) -> list[Message]:
        """Return what a vendor accepted, oldest first.

        :param vendor: whose messages
        :param last: only this many of the newest
        """
        return self._exchange(vendor).messages.all(last)

    def count_messages(self, vendor: str) -> int:
        """Return how many messages a vendor accepted.

        :param vendor: whose messages
        """
        return len(self._exchange(vendor).messages)

    def handed_out_reports(self, vendor: str) -> list[Report]:
        """Return the reports that left the queue, whether or not their answer arrived.

        :param vendor: whose queue
        """
        return self._exchange(vendor).reports.taken()

    def handed_out_replies(self, vendor: str) -> list[Reply]:
        """Return the replies that left the queue, whether or not their answer arrived.

        :param vendor: whose queue
        """
        return self._exchange(vendor).replies.taken()

    def waiting(self, vendor: str, queue: str) -> int:
        """Return how many records wait in a queue, due or not.

        :param vendor: whose queue
        :param queue: ``reports`` or ``replies``
        """
        exchange = self._exchange(vendor)
        return len(exchange.reports) if queue == "reports" else len(exchange.replies)

    def max_reads_in_flight(self, vendor: str, queue: str | None = None) -> int:
        """Return the largest number of reads of one queue that were in flight at one moment.

        :param vendor: whose queues
        :param queue: ``reports`` or ``replies``; None for the worse of the two
        """
        queues = ("reports", "replies") if queue is None else (queue,)
        return max(self.calls.most_in_flight(vendor, name) for name in queues)

    def accepted_more_than_once(self) -> dict[tuple[str, str, str], int]:
        """Return how often each (vendor, number, text) was accepted, of those accepted more than once."""
        return {
            (vendor, *key): times
            for vendor, exchange in self._exchanges.items()
            for key, times in exchange.messages.accepted_more_than_once().items()
        }

    def push(self, url: str, event: Report | Reply, *, in_query: bool = False) -> int:
        """POST one event as smsadmin does (§9, §10), once, and return the HTTP status.

        :param url: on this machine only
        :param event: a reply or a delivery report, e.g. one that :meth:`queue_replies` returned
        :param in_query: fields in the query string in place of the body
        """
        return push_event(url, event, self.account("smsadmin").login, in_query=in_query)

    @staticmethod
    @contextlib.contextmanager
    def closed_port() -> Iterator[int]:
        """Hold a port of this machine that refuses every connection."""
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            yield holder.getsockname()[1]

    def _exchange(self, vendor: str) -> Exchange:
        if vendor not in self._exchanges:
            raise ValueError(f"no such vendor: {vendor!r}; there are {', '.join(VENDORS)}")
        return self._exchanges[vendor]

    def _respond(self, request: Request, connection: ClientConnection) -> None:
        if control.is_control(request):
            connection.send(control.answer(self, request))
            return
        for desk in self._desks:
            call = desk.recognise(request)
            if call is not None:
                self._serve(connection, desk, call)
                return
        _LOG.info("404 at a path of no vendor")
        connection.send(Answer(b"Not Found\r\n", status=404, content_type="text/plain"))

    def _serve(self, connection: ClientConnection, desk: Desk, call: Call) -> None:
        began = time.monotonic()
        outcome = "client gone"
        fault = None
        try:
            with self.calls.in_flight(call.vendor, call.operation):
                fault = self.faults.pick(call.vendor, call.operation)
                if self._listener.refusing:
                    connection.keep_alive = False
                answer = play(connection, desk, call, fault)
                outcome = "reset" if answer is None else f"{answer.status}, {len(answer.body)} bytes"
        finally:
            _LOG.info(
                "%s %s %s%s -> %s (%.0f ms)",
                call.vendor,
                call.operation,
                masked_few(desk.numbers(call)),
                f" [{fault.kind}]" if fault else "",
                outcome,
                (time.monotonic() - began) * 1000,
            )
