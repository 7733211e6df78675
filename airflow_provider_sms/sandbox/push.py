"""How smsadmin pushes replies (§9) and delivery reports (§10) to a user's server."""

from __future__ import annotations

import http.client
import ipaddress
from typing import Final
from urllib.parse import quote_from_bytes, urlsplit

from airflow_provider_sms.sandbox.queues import Reply, Report
from airflow_provider_sms.sandbox.wire import GB

_TIMEOUT: Final = 10.0


def push_fields(event: Report | Reply, login: str) -> dict[str, str]:
    """Return the parameters of one push, by the names of §9 and §10.

    :param event: a reply or a delivery report
    :param login: the account it belongs to
    """
    if isinstance(event, Reply):
        return {
            "Class": "mo", "SmsName": login, "Mobile": event.mobile, "Message": event.content,
            "LinkId": event.message_id, "RevertTime": event.time,
        }  # fmt: skip
    return {
        "Class": "rpt", "SmsName": login, "Mobile": event.mobile, "LinkId": event.message_id,
        "Report": event.error_code, "ReportTime": event.time,
    }  # fmt: skip


def push(url: str, event: Report | Reply, login: str, *, in_query: bool = False) -> int:
    """POST one event in GB and return the HTTP status; as the vendor, never try again.

    :param url: on this machine only
    :param event: a reply or a delivery report
    :param login: the account it belongs to
    :param in_query: fields in the query string (the document's example) in place of the body (its 类型：POST)
    :raises ValueError: if the URL is not on this machine
    :raises OSError: if nobody answers
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "http" or not _is_loopback(host):
        raise ValueError("the sandbox pushes to http:// addresses on this machine only")
    fields = "&".join(
        f"{name}={quote_from_bytes(value.encode(GB, 'replace'), safe='')}"
        for name, value in push_fields(event, login).items()
    )
    path, query = parts.path or "/", [part for part in (parts.query, fields if in_query else "") if part]
    target = f"{path}?{'&'.join(query)}" if query else path
    connection = http.client.HTTPConnection(host, parts.port or 80, timeout=_TIMEOUT)
    try:
        connection.request(
            "POST",
            target,
            b"" if in_query else fields.encode(),
            {"Content-Type": "application/x-www-form-urlencoded"},
        )
        return connection.getresponse().status
    finally:
        connection.close()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
