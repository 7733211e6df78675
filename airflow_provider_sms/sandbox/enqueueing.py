"""Puts records into the queues by hand, as a test or a demonstration wants them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, get_args

from airflow_provider_sms.sandbox import clock
from airflow_provider_sms.sandbox.queues import Reply, Report, Status

if TYPE_CHECKING:
    from airflow_provider_sms.sandbox.exchange import Exchange

_FIRST_NUMBER: Final = 13_800_000_000
_REPLY_FIELDS: Final = ("mobile", "content", "extno", "message_id", "time")
_REPORT_FIELDS: Final = ("mobile", "message_id", "status", "error_code", "extno", "time")


def queue_reports(exchange: Exchange, records: int | Sequence[Mapping[str, str]]) -> list[Report]:
    """Put delivery reports into the queue, due now, and return them.

    :param exchange: the vendor's
    :param records: how many to make up, or the fields of each
    :raises ValueError: if the vendor has no queues, or a field is unknown
    """
    _check_queues(exchange)
    given: Sequence[Mapping[str, str]] = [{}] * records if isinstance(records, int) else records
    reports = [make_report(exchange, fields, index) for index, fields in enumerate(given)]
    exchange.reports.put(reports, clock.now())
    return reports


def queue_replies(
    exchange: Exchange, records: int | Sequence[Mapping[str, str] | Sequence[str]]
) -> list[Reply]:
    """Put replies into the queue, due now, and return them.

    :param exchange: the vendor's
    :param records: how many to make up, or the fields of each, by name or in order
    :raises ValueError: if the vendor has no queues, or a field is unknown
    """
    _check_queues(exchange)
    given: Sequence[Mapping[str, str] | Sequence[str]] = (
        [{}] * records if isinstance(records, int) else records
    )
    replies = [make_reply(exchange, fields, index) for index, fields in enumerate(given)]
    exchange.replies.put(replies, clock.now())
    return replies


def make_report(exchange: Exchange, fields: Mapping[str, str], index: int = 0) -> Report:
    """Return a delivery report without putting it into the queue.

    :param exchange: the vendor's
    :param fields: any of its fields; the others are made up
    :param index: makes up another number for each
    :raises ValueError: if a field is unknown
    """
    _check_fields(fields, _REPORT_FIELDS)
    status: Status = "delivered"
    for known in get_args(Status):
        if fields.get("status") == known:
            status = known
    if fields.get("status", status) != status:
        raise ValueError(f"no such status: {fields['status']!r}")
    return Report(
        mobile=fields.get("mobile", str(_FIRST_NUMBER + index)),
        message_id=fields.get("message_id") or exchange.next_id(),
        status=status,
        error_code=fields.get("error_code", "UNDELIV" if status == "failed" else "DELIVRD"),
        extno=fields.get("extno", _own_extno(exchange)),
        time=fields.get("time") or clock.dashed(clock.now()),
    )


def make_reply(exchange: Exchange, fields: Mapping[str, str] | Sequence[str], index: int = 0) -> Reply:
    """Return a reply without putting it into the queue.

    :param exchange: the vendor's
    :param fields: any of its fields, by name or in order; the others are made up
    :param index: makes up another number for each
    :raises ValueError: if a field is unknown
    """
    named = fields if isinstance(fields, Mapping) else dict(zip(_REPLY_FIELDS, fields, strict=False))
    _check_fields(named, (*_REPLY_FIELDS, "reply_id"))
    texts = exchange.settings.reply_texts
    return Reply(
        mobile=named.get("mobile", str(_FIRST_NUMBER + index)),
        content=named.get("content", texts[index % len(texts)]),
        reply_id=named.get("reply_id") or exchange.next_reply_id(),
        message_id=named.get("message_id", ""),
        extno=named.get("extno", _own_extno(exchange)),
        time=named.get("time") or clock.dashed(clock.now()),
    )


def _own_extno(exchange: Exchange) -> str:
    return exchange.settings.smsadmin_subcode if exchange.account.vendor == "smsadmin" else ""


def _check_queues(exchange: Exchange) -> None:
    if exchange.account.vendor == "linkws":
        raise ValueError("linkws documents no reports and no replies")


def _check_fields(fields: Mapping[str, str], known: Sequence[str]) -> None:
    unknown = sorted(set(fields) - set(known))
    if unknown:
        raise ValueError(f"no such field: {', '.join(unknown)}; there are {', '.join(known)}")
