"""企业短信通: four GET pages of a classic ASP site, answered in GB without saying so."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from airflow_provider_sms.sandbox import clock
from airflow_provider_sms.sandbox.desk import Call, Desk, Operation, first_failed, is_mobile
from airflow_provider_sms.sandbox.messages import Submission
from airflow_provider_sms.sandbox.wire import GB, Answer, Request, read_form, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_sms.sandbox.queues import Reply, Report

_PAGE: Final = re.compile(r"/(\w+\.asp)$", re.IGNORECASE)
_OPERATIONS: Final[dict[str, Operation]] = {
    "sendsms_txt.asp": "send",
    "get_report_txt.asp": "reports",
    "get_receive_message_txt.asp": "replies",
    "get_account_balance.asp": "balance",
}
# 小灵通: an area code and seven or eight digits (§1.1.1).
_LANDLINE: Final = re.compile(r"0[0-9]{9,11}")
_MOST_NUMBERS: Final = 100
_MOST_CHARACTERS: Final = 335
_REPORT_PAGE: Final = 100
_REPLY_PAGE: Final = 50
_STATUS: Final = {"delivered": "10", "failed": "20", "pending": "-1"}


class WavecomDesk(Desk):
    """Answers as the wavecom document says; numbers of sections are its own."""

    vendor = "wavecom"

    def recognise(self, request: Request) -> Call | None:
        """Return the call a request makes, or None if its path ends in none of the four pages."""
        found = _PAGE.search(request.path)
        page = found.group(1).lower() if found else ""
        if page not in _OPERATIONS:
            return None
        fields = {name.lower(): text(value, GB) for name, value in read_form(request.query).items()}
        return Call(self.vendor, _OPERATIONS[page], page, request, fields)

    def answer(self, call: Call) -> Answer:
        """Do what the call asks; the answer is one line of text."""
        if call.operation == "send":
            return _line(self._send(call))
        refusal = first_failed(self._query_checks(call))
        if refusal is not None:
            return _line(refusal)
        if call.operation == "balance":
            return _line(str(int(self.account.balance)))
        if call.operation == "reports":
            reports = self.exchange.reports.take(_REPORT_PAGE)
            return _line(_page(list(map(_report_record, reports)), call.count_offset))
        comma = "," if self.settings.wavecom_reply_form == "example" else ";"
        replies = self.exchange.replies.take(_REPLY_PAGE)
        return _line(_page([_reply_record(reply, comma) for reply in replies], call.count_offset))

    def busy(self, call: Call) -> Answer:
        """Answer -99 to a send (§1.1.1), -3 to a read (§1.1.2, §1.1.3); the balance has none."""
        return _line("-3" if call.operation in ("reports", "replies") else "-99")

    def numbers(self, call: Call) -> list[str]:
        """Return the numbers of a submit as sent."""
        return [number for number in call.get("send_phone").split(",") if number]

    def _query_checks(self, call: Call) -> Iterator[tuple[bool, str]]:
        yield call.get("us_name") != self.account.login, "-1"
        yield call.get("us_pwd") != self.account.password, "-7"

    def _send_checks(self, call: Call) -> Iterator[tuple[bool, str]]:  # §1.1.1
        numbers, content = self.numbers(call), call.get("send_content")
        words = self.exchange.forbidden(content)
        # The send table knows -7 alone for a failed login; -1 means "no numbers" here.
        yield first_failed(self._query_checks(call)) is not None, "-7"
        yield self.account.locked, "-10"
        yield not numbers, "-1"
        yield not content, "-2"
        yield len(numbers) > _MOST_NUMBERS, "-4"
        yield len(content) > _MOST_CHARACTERS, "-8"
        yield bool(words), f"-3|{''.join(words[:1])}"

    def _send(self, call: Call) -> str:
        refusal = first_failed(self._send_checks(call))
        return self._submit(call, self.numbers(call)) if refusal is None else refusal

    def _submit(self, call: Call, numbers: list[str]) -> str:
        good = [number for number in numbers if is_mobile(number) or _LANDLINE.fullmatch(number)]
        if self.settings.wavecom_ids == "each":
            ids = [self.exchange.next_id() for _ in good]
            answered = ids
        else:
            answered = [self.exchange.next_id()] if good else []
            ids = answered * len(good)
        content, send_time = call.get("send_content"), call.get("send_time")
        # No code is documented for a time that cannot be read or is past: such a message leaves at once.
        due = clock.read_fourteen(send_time) or clock.now()
        submission = Submission(
            page=call.page,
            raw=call.request.query,
            texts=[(number, content) for number in good],
            message_ids=ids,
            due=max(due, clock.now()),
            batch_id=",".join(answered),
            send_time=send_time,
        )
        if not self.exchange.submit(submission):
            return "-9"
        return f"0|{len(good) + call.count_offset}|{len(numbers) - len(good)}|{submission.batch_id}"


def _line(body: str) -> Answer:
    return Answer(body.encode(GB, "replace"), content_type="text/html", charset=GB)


def _page(records: list[str], count_offset: int) -> str:
    return "|".join([str(len(records) + count_offset), *records]) if records else "0"


def _report_record(report: Report) -> str:
    return f"{report.message_id};{report.mobile};{_STATUS[report.status]}"


def _reply_record(reply: Reply, comma: str) -> str:
    return f"{reply.reply_id}{comma}{reply.mobile};{reply.content}"
