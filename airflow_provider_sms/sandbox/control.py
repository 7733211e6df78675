"""The JSON control interface below ``/_sandbox/``, for use from another process."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from airflow_provider_sms.sandbox.accounts import VENDORS
from airflow_provider_sms.sandbox.faults import Fault
from airflow_provider_sms.sandbox.masking import masked
from airflow_provider_sms.sandbox.wire import Answer, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_sms.sandbox.gateway import Sandbox
    from airflow_provider_sms.sandbox.messages import Message

_PREFIX: Final = "/_sandbox"
_MOST_MESSAGES: Final = 200
_ACCOUNT_FIELDS: Final = (
    "login", "password", "userid", "locked", "disabled", "blacklisted", "ip_blacklisted", "ip_unlisted",
)  # fmt: skip


class ControlError(ValueError):
    """The control request makes no sense; the message says why."""


def is_control(request: Request) -> bool:
    """Say whether a request is for the control interface.

    :param request: any request
    """
    return request.path == _PREFIX or request.path.startswith(f"{_PREFIX}/")


def answer(sandbox: Sandbox, request: Request) -> Answer:
    """Carry out a control request; errors are told as ``{"error": ...}`` with status 400 or 404.

    :param sandbox: the sandbox it is about
    :param request: with a JSON body where it is a POST
    """
    name = request.path.removeprefix(_PREFIX).strip("/") or "state"
    action = _ACTIONS.get((request.method, name))
    if action is None:
        known = ", ".join(f"{method} {_PREFIX}/{path}" for method, path in _ACTIONS)
        return _json({"error": f"there are {known}"}, 404)
    try:
        return _json(action(sandbox, request))
    except (ValueError, TypeError, KeyError, OSError) as error:
        return _json({"error": f"{type(error).__name__}: {error}"}, 400)


def state(sandbox: Sandbox, request: Request) -> dict[str, Any]:
    """Return balances, queues, counts, faults and messages; numbers are masked unless ``?full=1``.

    :param sandbox: the sandbox it is about
    :param request: ``full=1`` for whole numbers and texts, ``limit=n`` for other than the newest 200 messages
    """
    query = parse_qs(request.query.decode("latin-1"))
    full = query.get("full") == ["1"]
    limit = int(query.get("limit", [str(_MOST_MESSAGES)])[0])
    return {
        "url": sandbox.url,
        "vendors": {vendor: _vendor_state(sandbox, vendor) for vendor in VENDORS},
        "faults": {
            "pending": [_fault_state(fault) for fault in sandbox.faults.pending()],
            "met": sandbox.faults.met(),
        },
        "accepted_more_than_once": [
            {"vendor": vendor, "mobile": mobile if full else masked(mobile), "times": times}
            for (vendor, mobile, _), times in sandbox.accepted_more_than_once().items()
        ],
        "messages": [
            _message_state(message, full=full)
            for vendor in VENDORS
            for message in sandbox.messages(vendor, limit)
        ],
    }


def _fault_state(fault: Fault) -> dict[str, Any]:
    return {name: getattr(fault, name) for name in ("kind", "vendor", "operation", "after", "times")}


def _vendor_state(sandbox: Sandbox, vendor: str) -> dict[str, Any]:
    return {
        "balance": str(sandbox.account(vendor).balance),
        "messages": sandbox.count_messages(vendor),
        "reports_waiting": sandbox.waiting(vendor, "reports"),
        "reports_handed_out": len(sandbox.handed_out_reports(vendor)),
        "replies_waiting": sandbox.waiting(vendor, "replies"),
        "replies_handed_out": len(sandbox.handed_out_replies(vendor)),
        "calls": sandbox.calls.by_operation(vendor),
        "max_reads_in_flight": sandbox.max_reads_in_flight(vendor),
    }


def _message_state(message: Message, *, full: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "vendor": message.vendor,
        "page": message.page,
        "mobile": message.mobile if full else masked(message.mobile),
        "characters": len(message.content),
        "segments": message.segments,
        "batch_id": message.batch_id,
        "message_id": message.message_id,
        "extno": message.extno,
        "linkid": message.linkid,
        "send_time": message.send_time,
        "due": message.due.isoformat(),
    }
    if full:
        shown["content"] = message.content
    return shown


def _add_faults(sandbox: Sandbox, request: Request) -> dict[str, Any]:
    given = _body(request)
    for entry in given if isinstance(given, list) else [given]:
        fields = _mapping(entry)
        if "random" in fields:
            sandbox.faults.random(**_mapping(fields["random"]))
            continue
        if isinstance(fields.get("body"), str):
            fields["body"] = fields["body"].encode()
        sandbox.faults.add(Fault(**fields))
    return {"pending": len(sandbox.faults.pending())}


def _clear_faults(sandbox: Sandbox, request: Request) -> dict[str, Any]:
    del request
    sandbox.faults.clear()
    return {"pending": 0}


def _add_reports(sandbox: Sandbox, request: Request) -> dict[str, Any]:
    fields = _mapping(_body(request))
    return {
        "queued": len(sandbox.queue_reports(fields["vendor"], fields.get("records", fields.get("count", 1))))
    }


def _add_replies(sandbox: Sandbox, request: Request) -> dict[str, Any]:
    fields = _mapping(_body(request))
    return {
        "queued": len(sandbox.queue_replies(fields["vendor"], fields.get("records", fields.get("count", 1))))
    }


def _change_account(sandbox: Sandbox, request: Request) -> dict[str, Any]:
    fields = _mapping(_body(request))
    account = sandbox.account(fields.pop("vendor"))
    if "balance" in fields:
        account.balance = Decimal(str(fields.pop("balance")))
    for name, value in fields.items():
        if name not in _ACCOUNT_FIELDS:
            raise ControlError(f"an account has no {name!r}; it has balance, {', '.join(_ACCOUNT_FIELDS)}")
        setattr(account, name, value)
    return {"vendor": account.vendor, "balance": str(account.balance)}


def _push(sandbox: Sandbox, request: Request) -> dict[str, Any]:
    fields = _mapping(_body(request))
    record = _mapping(fields.get("record", {}))
    make = sandbox.make_reply if fields.get("class") == "mo" else sandbox.make_report
    return {
        "status": sandbox.push(fields["url"], make("smsadmin", record), in_query=bool(fields.get("in_query")))
    }


def _reset(sandbox: Sandbox, request: Request) -> dict[str, Any]:
    del request
    sandbox.reset()
    return {"reset": True}


_ACTIONS: Final[dict[tuple[str, str], Callable[[Any, Request], dict[str, Any]]]] = {
    ("GET", "state"): state,
    ("POST", "faults"): _add_faults,
    ("DELETE", "faults"): _clear_faults,
    ("POST", "reports"): _add_reports,
    ("POST", "replies"): _add_replies,
    ("POST", "account"): _change_account,
    ("POST", "push"): _push,
    ("POST", "reset"): _reset,
}


def _body(request: Request) -> Any:
    try:
        return json.loads(request.body or b"{}")
    except ValueError:
        raise ControlError("the body is no JSON") from None


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ControlError("a JSON object is wanted here")
    return dict(value)


def _json(value: dict[str, Any], status: int = 200) -> Answer:
    body = json.dumps(value, ensure_ascii=False, indent=1).encode("utf-8", "replace") + b"\n"
    return Answer(body, status=status, content_type="application/json; charset=utf-8")
