"""LinkWS ``sdk2``: two ASPX pages in GB2312, and ``LinkWS.asmx`` by SOAP, form POST or GET."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, Final

from airflow_provider_sms.sandbox import clock, soap
from airflow_provider_sms.sandbox.desk import Call, Desk, Operation, first_failed, is_mobile
from airflow_provider_sms.sandbox.messages import Submission
from airflow_provider_sms.sandbox.soap_desk import soap_call
from airflow_provider_sms.sandbox.wire import GB, Answer, Request, read_form, text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from airflow_provider_sms.sandbox.exchange import Exchange

_PAGE: Final = re.compile(r"/sdk2/(?:(intlsend|getbalance)\.aspx|linkws\.asmx(?:/(\w+))?)/?$", re.IGNORECASE)
_OPERATIONS: Final[dict[str, Operation]] = {
    "BatchSend": "send",
    "BatchSend2": "send",
    "IntlSend": "send",
    "GetBalance": "balance",
}
_BY_LOWER_NAME: Final = {name.lower(): name for name in _OPERATIONS}
_BALANCE_FIELDS: Final = ("corpid", "pwd")
_SEND_FIELDS: Final = (*_BALANCE_FIELDS, "mobile", "content", "cell", "sendtime")
_MD5: Final = re.compile(r"[0-9a-fA-F]{32}")
# 提交信息末尾未加签名: the brackets have to close the text and may not be empty (code -7).
_SIGNATURE: Final = re.compile(r"【[^【】]+】\s*$")
_MOST_CHARACTERS: Final = 300


class LinkwsDesk(Desk):
    """Answers as the linkws document says. It has no reports and no replies, so its queues are never read."""

    vendor = "linkws"

    def __init__(self, exchange: Exchange) -> None:
        """Open the desk."""
        super().__init__(exchange)
        self._balance_lock = threading.Lock()
        self._last_balance: float | None = None

    def recognise(self, request: Request) -> Call | None:
        """Return the call a request makes, or None if it is not for ``/sdk2/``."""
        found = _PAGE.search(request.path)
        if found is None:
            return None
        page, operation = found.groups()
        if page is not None:
            name = _BY_LOWER_NAME[page.lower()]
            return Call(self.vendor, _OPERATIONS[name], f"{name}.aspx", request, _fields(request), "aspx")
        if operation is not None:
            return self._form_call(request, operation)
        return soap_call(self.vendor, _OPERATIONS, request)

    def _form_call(self, request: Request, operation: str) -> Call:
        name = _BY_LOWER_NAME.get(operation.lower())
        if name is None:
            return Call(self.vendor, "unreadable", "Request format is unrecognized.", request, {}, "form")
        fields = _fields(request)
        for required in _SEND_FIELDS if _OPERATIONS[name] == "send" else _BALANCE_FIELDS:
            if required not in fields:
                return Call(self.vendor, "unreadable", f"Missing parameter: {required}.", request, {}, "form")
        return Call(self.vendor, _OPERATIONS[name], name, request, fields, "form")

    def answer(self, call: Call) -> Answer:
        """Do what the call asks; the answer is one integer in the style the call came in."""
        if call.operation == "wsdl":
            return soap.wsdl_answer("linkws", call.request, self.settings.wsdl_address)
        if call.operation == "unreadable":
            return (
                soap.plain_fault(call.page)
                if call.style == "form"
                else soap.soap_fault(call.style, call.page)
            )
        code = self._send(call) if call.operation == "send" else self._balance(call)
        return self._wrapped(call, code)

    def busy(self, call: Call) -> Answer:
        """Answer -2 (其他错误) to a send, -101 to a balance query: the nearest the document has."""
        if call.operation in ("wsdl", "unreadable"):
            return soap.plain_fault("Server too busy.")
        return self._wrapped(call, -101 if call.operation == "balance" else -2)

    def numbers(self, call: Call) -> list[str]:
        """Return the numbers of a submit as sent."""
        return [number for number in call.get("mobile").split(",") if number]

    def _wrapped(self, call: Call, code: int) -> Answer:
        if call.style == "aspx":
            return Answer(str(code).encode(), content_type="text/html; charset=gb2312", charset=GB)
        if call.style == "form":
            return soap.form_answer("string" if call.operation == "balance" else "int", str(code))
        return soap.soap_answer(call.style, call.page, str(code))

    def _login_checks(self, call: Call) -> Iterator[tuple[bool, int]]:
        account = self.account
        yield call.get("corpid") != account.login, -1
        yield call.get("pwd").lower() != account.password_md5, -3
        yield account.ip_blacklisted, -100
        yield account.blacklisted, -102
        yield account.ip_unlisted, -103

    def _send_checks(self, call: Call, due: datetime | None) -> Iterator[tuple[bool, int]]:
        content, cell = call.get("content"), call.get("cell")
        yield not call.get("corpid"), -20
        yield not call.get("pwd"), -21
        yield not _MD5.fullmatch(call.get("pwd")), -23
        yield from self._login_checks(call)
        # What becomes of numbers that are none is not said; a submit of nothing else has no numbers.
        yield not any(map(is_mobile, self.numbers(call))), -9
        yield not content, -22
        yield len(content) > _MOST_CHARACTERS, -8
        yield not _SIGNATURE.search(content), -7
        yield due is None, -6
        yield due is not None and due < clock.now().replace(microsecond=0), -10
        yield bool(cell) and not re.fullmatch(r"[0-9]+", cell), -2
        yield bool(self.exchange.forbidden(content)), -12

    def _send(self, call: Call) -> int:
        send_time, present = call.get("sendtime"), clock.now()
        due = clock.read_fourteen(send_time) if send_time else present
        code = first_failed(self._send_checks(call, due))
        if code is not None:
            return code
        numbers = [number for number in self.numbers(call) if is_mobile(number)]
        batch = self.exchange.next_id()
        submission = Submission(
            page=call.page,
            raw=call.request.raw,
            texts=[(number, call.get("content")) for number in numbers],
            message_ids=[batch] * len(numbers),
            due=due or present,
            batch_id=batch,
            extno=call.get("cell"),
            send_time=send_time,
        )
        return int(batch) if self.exchange.submit(submission) else -5

    def _balance(self, call: Call) -> int:
        # Only the Webservice's table has -20 and -21 for the balance; the HTTP table does not.
        if call.style != "aspx" and not call.get("corpid"):
            return -20
        if call.style != "aspx" and not call.get("pwd"):
            return -21
        if (code := first_failed(self._login_checks(call))) is not None:
            return code
        with self._balance_lock:
            present = time.monotonic()
            last, interval = self._last_balance, self.settings.linkws_balance_interval
            if last is not None and present - last < interval:
                return -101
            self._last_balance = present
        return int(self.account.balance)


def _fields(request: Request) -> dict[str, str]:
    # ASP.NET looks in the query and in the form alike, and does not mind the case of names.
    form = {**read_form(request.query), **read_form(request.body)}
    return {name.lower(): text(value, GB) for name, value in form.items()}
