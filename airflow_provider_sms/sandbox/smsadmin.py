"""通用短信平台: plain pages in GB2312 below ``/smsmarketing/wwwroot/api/``."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_from_bytes

from airflow_provider_sms.sandbox.desk import Call, Desk, Operation
from airflow_provider_sms.sandbox.smsadmin_submit import RefusedError, submit, submit_template
from airflow_provider_sms.sandbox.wire import GB, Answer, Request, read_form, text, unescape

if TYPE_CHECKING:
    from airflow_provider_sms.sandbox.exchange import Exchange
    from airflow_provider_sms.sandbox.queues import Reply, Report

_PAGE: Final = re.compile(r"/smsmarketing/wwwroot/api/(\w+)/?$")
_OPERATIONS: Final[dict[str, Operation]] = {
    "get_send": "send",
    "get_send_md5": "send",
    "get_send_urldecode": "send",
    "post_send": "send",
    "post_send_md5": "send",
    "post_send_urldecode": "send",
    "post_send_ddt": "send_template",
    "user_info": "balance",
    "user_info_urldecode": "balance",
    "mgz": "words",
    "reve": "replies",
    "reve_urlencode": "replies",
    "report": "reports",
}
# Which parameters a page decodes a second time (§2, §3, §4, §5).
_DECODED_TWICE: Final = {
    "get_send_urldecode": ("msg",),
    "post_send_urldecode": ("uid", "msg"),
    "post_send_ddt": ("params", "msg"),
    "user_info_urldecode": ("uid",),
}
_MD5_PAGES: Final = ("get_send_md5", "post_send_md5", "post_send_ddt")
_PAGE_SIZE: Final = 20
_BUSY: Final = "9 系统忙,请稍后再试!"


class SmsAdminDesk(Desk):
    """Answers as the smsadmin document says; numbers of sections are its own."""

    vendor = "smsadmin"

    def __init__(self, exchange: Exchange) -> None:
        """Open the desk."""
        super().__init__(exchange)
        self._lock = threading.Lock()
        self._last_read: dict[str, float] = {}
        self._linkids: set[str] = set()

    def recognise(self, request: Request) -> Call | None:
        """Return the call a request makes, or None if it is not for one of the pages of the document."""
        found = _PAGE.search(request.path)
        page = found.group(1) if found else ""
        if page not in _OPERATIONS:
            return None
        # A GET page looks at the query alone, a POST page at the body alone.
        form = read_form(request.body if page.startswith("post_") else request.query)
        for name in _DECODED_TWICE.get(page, ()):
            if name in form:
                form[name] = unescape(form[name])
        fields = {name: text(value, GB) for name, value in form.items()}
        style = "post" if page.startswith("post_") else "get"
        return Call(self.vendor, _OPERATIONS[page], page, request, fields, style)

    def answer(self, call: Call) -> Answer:
        """Do what the call asks; the answer is text."""
        if not self._knows(call):
            return self._said("1 用户名或密码错误!")
        if call.operation in ("send", "send_template"):
            return self._said(self._submit(call))
        if call.operation == "balance":
            return self._said(self._balance())
        if call.operation == "words":
            return _text(self._words(call))
        return self._said(_BUSY) if self._too_soon(call.operation) else self._read(call)

    def _read(self, call: Call) -> Answer:
        if call.operation == "reports":
            reports = self.exchange.reports.take(_PAGE_SIZE)
            return _text("".join(map(_report_line, reports)) or "160")
        escape = call.page == "reve_urlencode"
        replies = self.exchange.replies.take(_PAGE_SIZE)
        return _text("".join(_reply_line(reply, escape=escape) for reply in replies) or "150")

    def busy(self, call: Call) -> Answer:
        """Refuse with a code the document does not have, since it has none for this."""
        del call
        return self._said(_BUSY)

    def numbers(self, call: Call) -> list[str]:
        """Return the numbers of a submit as sent."""
        if call.operation == "send_template":
            return [group.partition(",")[0] for group in call.get("params").split(";") if group]
        return [number for number in call.get("mobile").split(";") if number]

    def _knows(self, call: Call) -> bool:
        passwords = [self.account.password]
        if call.page in _MD5_PAGES:
            passwords = [self.account.password_md5]
        elif call.operation == "words":
            # The document says pwd=密码; clients of the service have used the MD5 here as well.
            passwords.append(self.account.password_md5)
        return call.get("uid") == self.account.login and call.get("pwd") in passwords

    def _submit(self, call: Call) -> str:
        linkid = call.get("linkid")
        if linkid and self.settings.smsadmin_refuses_repeated_linkid:
            with self._lock:
                if linkid in self._linkids:
                    return "10 流水号重复!"
                self._linkids.add(linkid)
        try:
            if call.operation == "send_template":
                submit_template(call, self.exchange)
            else:
                submit(call, self.exchange)
        except RefusedError as refusal:
            self._linkids.discard(linkid)
            return str(refusal)
        return "0 发送成功!"

    def _words(self, call: Call) -> str:  # §6
        words = self.exchange.forbidden(call.get("msg"))
        return f"敏感字:{''.join(word + ';' for word in words)}" if words else "不含敏感字"

    def _balance(self) -> str:  # §5
        remaining = format(self.account.balance, "f")
        if self.settings.smsadmin_layout == "seen":
            return f"用户ID={self.account.login}\n\n剩余资费={remaining}"
        return f"用户 ID={self.account.login} 剩余资费={remaining}"

    def _too_soon(self, queue: str) -> bool:
        present = time.monotonic()
        with self._lock:
            last = self._last_read.get(queue)
            if last is not None and present - last < self.settings.smsadmin_poll_interval:
                return True
            self._last_read[queue] = present
        return False

    def _said(self, sentence: str) -> Answer:
        if self.settings.smsadmin_layout == "seen":
            sentence = re.sub(r"^(\d+) ", r"\1", sentence)
        return _text(sentence)


def _text(body: str) -> Answer:
    return Answer(body.encode(GB, "replace"), content_type="text/html; charset=GB2312", charset=GB)


def _report_line(report: Report) -> str:  # §8
    return f"{report.mobile}/{report.time}/{report.message_id}/{report.error_code}/{report.extno}\n"


def _reply_line(reply: Reply, *, escape: bool) -> str:  # §7
    content = quote_from_bytes(reply.content.encode(GB, "replace"), safe="") if escape else reply.content
    return f"{reply.mobile}/{reply.time}/{reply.message_id}/{content}/{reply.extno}\n"
