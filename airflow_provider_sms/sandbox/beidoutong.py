"""北斗通: SOAP 1.1, SOAP 1.2 and form POST on ``/SmsWebService.asmx``, all in UTF-8."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from airflow_provider_sms.sandbox import clock, soap
from airflow_provider_sms.sandbox.desk import Call, Desk, Operation, first_failed, is_mobile
from airflow_provider_sms.sandbox.messages import Submission
from airflow_provider_sms.sandbox.soap_desk import soap_call
from airflow_provider_sms.sandbox.wire import Answer, Request, read_form, text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from airflow_provider_sms.sandbox.queues import Reply, Report

_PAGE: Final = re.compile(r"/smswebservice\.asmx(?:/(\w+))?/?$", re.IGNORECASE)
_OPERATIONS: Final[dict[str, Operation]] = {
    "SendSms": "send",
    "QueryOverage": "balance",
    "QueryStatus": "reports",
    "QueryCall": "replies",
}
_ROOTS: Final = {
    "SendSms": "WsSendResponse",
    "QueryOverage": "WsOverageResponse",
    "QueryStatus": "WsStatusResponse",
    "QueryCall": "WsCallResponse",
}
_REQUIRED: Final = ("userid", "account", "password")
_REQUIRED_TO_SEND: Final = (*_REQUIRED, "mobile", "content", "sendtime", "extno")
_SMALLEST_PAGE: Final = 10
_LARGEST_PAGE: Final = 10_000
_BUSY: Final = "系统忙,请稍后再试"


class BeidoutongDesk(Desk):
    """Answers as the beidoutong document says; numbers of sections are its own."""

    vendor = "beidoutong"

    def recognise(self, request: Request) -> Call | None:
        """Return the call a request makes, or None if it is not for ``/SmsWebService.asmx``."""
        found = _PAGE.search(request.path)
        if found is None:
            return None
        page = found.group(1)
        if page is not None:
            return self._form_call(request, page)
        return soap_call(self.vendor, _OPERATIONS, request)

    def _form_call(self, request: Request, page: str) -> Call:
        name = next((known for known in _OPERATIONS if known.lower() == page.lower()), None)
        if name is None or request.method != "POST":
            reason = "Request format is unrecognized for URL unexpectedly ending in '/…'."
            return Call(self.vendor, "unreadable", reason, request, {}, "post")
        fields = {key.lower(): text(value, "utf-8") for key, value in read_form(request.body).items()}
        # An ASMX form has to name every parameter; the page sizes alone may be left out (可不填, §4.2, §5.2).
        for required in _REQUIRED_TO_SEND if name == "SendSms" else _REQUIRED:
            if required not in fields:
                return Call(self.vendor, "unreadable", f"Missing parameter: {required}.", request, {}, "post")
        return Call(self.vendor, _OPERATIONS[name], name, request, fields, "post")

    def answer(self, call: Call) -> Answer:
        """Do what the call asks and build the answer in the style it came in."""
        if call.operation == "wsdl":
            return soap.wsdl_answer("beidoutong", call.request, self.settings.wsdl_address)
        if call.operation == "unreadable":
            return (
                soap.plain_fault(call.page)
                if call.style == "post"
                else soap.soap_fault(call.style, call.page)
            )
        if call.operation == "send":
            return self._wrapped(call, self._send(call))
        if call.operation == "balance":
            return self._wrapped(call, self._balance(call))
        if call.operation == "reports":
            return self._wrapped(call, self._reports(call))
        return self._wrapped(call, self._replies(call))

    def busy(self, call: Call) -> Answer:
        """Refuse with a message in words; the document has no code for it."""
        if call.operation in ("wsdl", "unreadable"):
            return soap.plain_fault("Server too busy.")
        if call.operation == "send":
            return self._wrapped(call, _sent("Faild", _BUSY, 0, "0", 0))
        if call.operation == "balance":
            return self._wrapped(call, _overage("Faild", _BUSY, 0, 0))
        return self._wrapped(call, _page(-1, _BUSY, ""))

    def numbers(self, call: Call) -> list[str]:
        """Return the numbers of a submit as sent."""
        return [number for number in call.get("mobile").split(",") if number]

    def _wrapped(self, call: Call, result: str) -> Answer:
        if call.style == "post":
            return soap.form_answer(_ROOTS[call.page], result)
        return soap.soap_answer(call.style, call.page, result)

    def _login_checks(self, call: Call) -> Iterator[tuple[bool, str]]:
        account = self.account
        given = (call.get("userid"), call.get("account"), call.get("password"))
        yield given != (account.userid, account.login, account.password), "用户名或密码错误"
        yield account.locked, "帐号已锁定"

    def _send_checks(self, call: Call, due: datetime | None) -> Iterator[tuple[bool, str]]:  # §2.2
        content, extno, numbers = call.get("content"), call.get("extno"), self.numbers(call)
        yield from self._login_checks(call)
        yield not numbers, "发送号码不能为空"
        yield not content, "发送内容不能为空"
        yield bool(extno) and not re.fullmatch(r"[0-9]{1,10}", extno), "扩展子号只能为数字,且最多10位数"
        yield due is None, "定时发送时间格式错误"
        yield bool(self.exchange.forbidden(content)), "内容包含非法关键词"
        yield not any(map(is_mobile, numbers)), "没有有效的号码"

    def _send(self, call: Call) -> str:  # §2
        send_time, present = call.get("sendtime"), clock.now()
        due = clock.read_dashed(send_time) if send_time else present
        refusal = first_failed(self._send_checks(call, due))
        if refusal is not None:
            return _sent("Faild", refusal, 0, "0", 0)
        return self._submit(call, max(due or present, present))

    def _submit(self, call: Call, due: datetime) -> str:
        # Which numbers were left out is not told; the count alone shows that some were (§2.3).
        numbers = [number for number in self.numbers(call) if is_mobile(number)]
        task = self.exchange.next_id()
        submission = Submission(
            page=call.page,
            raw=call.request.raw,
            texts=[(number, call.get("content")) for number in numbers],
            message_ids=[task] * len(numbers),
            due=due,
            batch_id=task,
            extno=call.get("extno"),
            send_time=call.get("sendtime"),
        )
        if not self.exchange.submit(submission):
            return _sent("Faild", "余额不足", int(self.account.balance), "0", 0)
        return _sent("Success", "ok", int(self.account.balance), task, len(numbers) + call.count_offset)

    def _balance(self, call: Call) -> str:  # §3
        refusal = first_failed(self._login_checks(call))
        if refusal is not None:
            return _overage("Faild", refusal, 0, 0)
        return _overage("Success", "ok", int(self.account.balance), int(self.account.recharged))

    def _reports(self, call: Call) -> str:  # §4
        size, refusal = self._page_size(call, "statusnum", 4_000)
        if refusal is not None:
            return _page(-1, refusal, "")
        records = self.exchange.reports.take(size)
        if not records:
            return _page(0, "暂无状态报告", "<StatusList />")
        return _page(1, "ok", f"<StatusList>{''.join(map(_status_box, records))}</StatusList>")

    def _replies(self, call: Call) -> str:  # §5
        size, refusal = self._page_size(call, "callnum", 500)
        if refusal is not None:
            return _page(-1, refusal, "")
        records = self.exchange.replies.take(size)
        if not records:
            return _page(0, "暂无上行回复", "<CallList />")
        task = _DIRECT_TASK[self.settings.direct_reply_task_id]
        boxes = "".join(_call_box(record, task) for record in records)
        return _page(1, "ok", f"<CallList>{boxes}</CallList>")

    def _page_size(self, call: Call, name: str, default: int) -> tuple[int, str | None]:
        refusal = first_failed(self._login_checks(call))
        given = call.get(name).strip()
        if refusal is not None or not given:
            return default, refusal
        if not re.fullmatch(r"[0-9]{1,9}", given):
            return default, "每次取得号码数必须为数字"
        if not _SMALLEST_PAGE <= int(given) <= _LARGEST_PAGE:
            return default, "每次取得号码数最小10,最大10000"
        return int(given), None


# A reply to no message: its TaskID "may be empty" (§5.2), though the sample's type is int.
_DIRECT_TASK: Final = {
    "empty": "<TaskID />",
    "zero": "<TaskID>0</TaskID>",
    "nil": '<TaskID xsi:nil="true" />',
    "absent": "",
}


def _sent(status: str, message: str, remaining: int, task: str, accepted: int) -> str:
    return (
        f"<ReturnStatus>{status}</ReturnStatus><Message>{soap.escaped(message)}</Message>"
        f"<RemainPoint>{remaining}</RemainPoint><TaskID>{task}</TaskID><SuccessCounts>{accepted}</SuccessCounts>"
    )


def _overage(status: str, message: str, remaining: int, total: int) -> str:
    return (
        f"<ReturnStatus>{status}</ReturnStatus><Message>{soap.escaped(message)}</Message>"
        f"<PayInfo>预付费</PayInfo><Overage>{remaining}</Overage><SendTotal>{total}</SendTotal>"
    )


def _page(status: int, message: str, records: str) -> str:
    return f"<ReturnStatus>{status}</ReturnStatus><Message>{soap.escaped(message)}</Message>{records}"


def _status_box(report: Report) -> str:
    status = "10" if report.status == "delivered" else "20"
    return (
        f"<WsStatusBox><Mobile>{soap.escaped(report.mobile)}</Mobile><TaskID>{soap.escaped(report.message_id)}</TaskID>"
        f"<Status>{status}</Status><ReceiveTime>{report.time}</ReceiveTime>"
        f"<ErrorCode>{soap.escaped(report.error_code)}</ErrorCode><Extno>{soap.escaped(report.extno)}</Extno>"
        "</WsStatusBox>"
    )


def _call_box(reply: Reply, direct_task: str) -> str:
    task = f"<TaskID>{soap.escaped(reply.message_id)}</TaskID>" if reply.message_id else direct_task
    return (
        f"<WsCallBox><Mobile>{soap.escaped(reply.mobile)}</Mobile>{task}"
        f"<Content>{soap.escaped(reply.content)}</Content><ReceiveTime>{reply.time}</ReceiveTime>"
        f"<Extno>{soap.escaped(reply.extno)}</Extno></WsCallBox>"
    )
