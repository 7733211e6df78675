"""Whole answers of the sandbox, by every vendor and protocol, and where in their bytes each record ends."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_sms.gateway import Gateway
from airflow_provider_sms.records import Queue, Submission
from airflow_provider_sms.vendors.accounts import check_account
from airflow_provider_sms.vendors.registry import vendor_named

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_sms.sandbox import Sandbox
    from airflow_provider_sms.wire import WireRequest

#: Vendor and protocol, as options of the connection.
WAYS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("beidoutong", {"protocol": "soap", "soap_version": "1.2"}),
    ("beidoutong", {"protocol": "soap", "soap_version": "1.1"}),
    ("beidoutong", {"protocol": "form"}),
    ("wavecom", {}),
    ("smsadmin", {}),
    ("smsadmin", {"replies_page": "plain"}),
    ("linkws", {"protocol": "http"}),
    ("linkws", {"protocol": "soap", "soap_version": "1.2"}),
)
#: Texts with what the vendors' formats are made of, and characters of several bytes.
TEXTS = ("退订", "a/b;c|d,e%f&g<h>", "镕堃喆玥 100% +1", "第一行\n第二行", "【公司】好", "")
_ONE_LINE = ("退订", "a;b|c,d%e&f<g>", "镕堃喆玥 100% +1", "【公司】好", "1", "")


class PageAnswer(NamedTuple):
    """
    One page of a queue.

    :param name: vendor, protocol and queue.
    :param body: its bytes.
    :param records: number and id (of a reply: text) of its records, in order, as the sandbox has them.
    :param ends: for each record, how many bytes must have arrived for it to be whole.
    :param in_lines: whether it is lines without a count, so that a cut behind one of them leaves no trace
        where the closed connection alone ends the body.
    """

    name: str
    vendor: str
    options: dict[str, Any]
    queue: Queue
    body: bytes
    records: list[tuple[str, str]]
    ends: list[int]
    in_lines: bool


def gateway(connection: dict[str, Any], conn_id: str = "torture") -> Gateway:
    """Open the package's own client of a connection."""
    fields = dict(connection)
    vendor = vendor_named(fields.pop("conn_type").removeprefix("sms_"))
    return Gateway(vendor, check_account(vendor, conn_id, **fields))


def pages(sandbox: Sandbox) -> Iterator[PageAnswer]:
    """Let the sandbox hand out one page of each vendor, protocol and queue."""
    for vendor, options in WAYS:
        if vendor == "linkws":
            continue
        for queue in Queue:
            if queue is Queue.REPORTS and options.get("replies_page"):
                continue
            yield _page(sandbox, vendor, options, queue)


def _page(sandbox: Sandbox, vendor: str, options: dict[str, Any], queue: Queue) -> PageAnswer:
    sandbox.reset()
    if queue is Queue.REPORTS:
        kinds = ("delivered", "failed", "pending" if vendor == "wavecom" else "delivered", "failed")
        handed: Sequence[Any] = sandbox.queue_reports(vendor, [{"status": kind} for kind in kinds])
        records = [(each.mobile, each.message_id) for each in handed]
    else:
        texts = _ONE_LINE if options.get("replies_page") else TEXTS
        handed = sandbox.queue_replies(vendor, [(f"1380000{n:04}", text) for n, text in enumerate(texts)])
        records = [(each.mobile, each.content) for each in handed]
    with gateway(sandbox.connection(vendor, **options)) as client:
        body = client.read(client.prepare_read(queue)).body
    ends = list(_ends(vendor, queue, body, handed))
    assert len(ends) == len(records), (vendor, queue)
    name = " ".join([vendor, *map(str, options.values()), queue.value])
    return PageAnswer(name, vendor, options, queue, body, records, ends, vendor == "smsadmin")


def _ends(vendor: str, queue: Queue, body: bytes, handed: Sequence[Any]) -> Iterator[int]:
    """Tell where each record ends, by what the vendor's document says ends one."""
    if vendor == "beidoutong":
        yield from (found.end() for found in re.finditer(rb"</Ws(?:Status|Call)Box>", body))
    elif vendor == "smsadmin":
        yield from (found.end() for found in re.finditer(rb"\n", body))
    elif queue is Queue.REPORTS:
        # A "|" ends a report; behind the last one there is none, so nothing less than all of the body does.
        yield from (found.end() for found in list(re.finditer(rb"\|", body))[1:])
        yield len(body)
    else:
        # A text may hold a "|": only the next reply's id and number end one.
        for later in handed[1:]:
            head = f"|{later.reply_id};{later.mobile};".encode()
            yield body.index(head) + len(head)
        yield len(body)


class OtherAnswer(NamedTuple):
    """
    An answer that is no page: worth all or nothing.

    :param in_xml: whether its form says where it ends.
    """

    name: str
    vendor: str
    options: dict[str, Any]
    operation: str
    body: bytes
    in_xml: bool


def ask(client: Gateway, operation: str) -> Any:
    """Ask for something that is no queue."""
    submission = Submission(("13800138000",), "好【公司】", reference="0123456789abcdef")
    if operation == "send":
        return client.submit(submission)
    if operation == "template":
        template = Submission(("13800138000",), "好{value1}【公司】", (("7",),), reference="0123456789abcdef")
        return client.submit(template, template=True)
    return client.balance() if operation == "balance" else client.check_words("好")


def others(sandbox: Sandbox) -> Iterator[OtherAnswer]:
    """Let the sandbox answer everything that is no queue, once."""
    for vendor, options in WAYS:
        if options.get("replies_page"):
            continue
        operations = ["send", "balance", *(("template", "words") if vendor == "smsadmin" else ())]
        for operation in operations:
            with gateway(sandbox.connection(vendor, **options)) as client:
                bodies: list[bytes] = []
                _listen_in(client, bodies)
                ask(client, operation)
            name = " ".join([vendor, *map(str, options.values()), operation])
            yield OtherAnswer(
                name, vendor, options, operation, bodies[-1], bodies[-1].lstrip().startswith(b"<")
            )


def _listen_in(client: Gateway, bodies: list[bytes]) -> None:
    """Keep the bodies of all answers that a client gets."""
    transport = client._transport  # noqa: SLF001 - nothing else sees the bytes of these answers
    exchange = transport.exchange

    def listening(request: WireRequest, **how: Any) -> Any:
        response = exchange(request, **how)
        bodies.append(response.body)
        return response

    transport.exchange = listening  # type: ignore[method-assign]
