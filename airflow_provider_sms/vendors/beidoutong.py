"""
北斗通短信平台 (beidoutong): a .NET service with SOAP 1.2, SOAP 1.1 and form POST, all in UTF-8.

The three protocols carry the same parameters and the same answers. Sends and the balance answer with the
words ``Success`` and ``Faild`` (so spelt), the queues with ``1``, ``0`` or anything else; why something
failed is said in Chinese and nowhere else. Sections (§) are those of the vendor's document; its headings
2.3.1 to 2.3.4 are shifted by one against what stands below them.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, ClassVar, NoReturn

from airflow_provider_sms import errors
from airflow_provider_sms.records import Balance, Queue, Receipt
from airflow_provider_sms.vendors import remarks
from airflow_provider_sms.vendors.base import Code, ConnectionField, Limits, Operation, Vendor
from airflow_provider_sms.vendors.beidoutong_columns import brings_reports, read_columns
from airflow_provider_sms.vendors.beidoutong_queues import (
    REPLIES,
    REPORTS,
    read_page,
    read_task,
    reply_reader,
    report_reader,
)
from airflow_provider_sms.vendors.soap_fields import SOAP_FIELDS
from airflow_provider_sms.vendors.xml import read_answer
from airflow_provider_sms.vendors.xml_tree import UNCARRIED
from airflow_provider_sms.wire import SoapCall, WireRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_sms.records import Page, Reply, Report, ReportPage, Submission
    from airflow_provider_sms.vendors.base import Account
    from airflow_provider_sms.vendors.beidoutong_queues import QueueNames
    from airflow_provider_sms.vendors.xml import Answer
    from airflow_provider_sms.wire import WireResponse

_PATH = "/SmsWebService.asmx"
_FAILED = "Faild"
_OTHER = "other"

_PAY_MODES = {"预付费": "prepaid", "后付费": "postpaid"}  # §3.3

#: The document's type of a count (§2.3.2).
_LARGEST_INT = 2**31 - 1
_COUNT = re.compile(r"-?[0-9]{1,18}")
_AMOUNT = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,6})?")
_STATUS = re.compile(r"-?[0-9]{1,9}")


_REFUSED = Code(
    "the vendor refused, in its own words", errors.VendorRejected, "Ask the vendor if they don't say enough"
)
_EMPTY = Code("the queue is empty")
_QUEUE_CODES = {"1": Code("records follow"), "0": _EMPTY, _OTHER: _REFUSED}  # §4.3, §5.3


class BeidoutongVendor(Vendor):
    """北斗通: send, balance, reports and replies, by SOAP or form POST."""

    name = "beidoutong"
    title = "北斗通短信平台"
    conn_type = "sms_beidoutong"
    charset = "utf-8"
    login_label = "account (用户帐号)"
    host_example = "sms.example.com:8080"
    document = "北斗通短信平台 短信接口WebService"
    #: The document states no largest number of recipients (§2.2); 1,000 is our choice.
    limits = Limits(numbers=1000, extno_digits=10)
    page_sizes: ClassVar[Mapping[Queue, int]] = {Queue.REPORTS: 500, Queue.REPLIES: 500}
    codes: ClassVar[Mapping[Operation, Mapping[str, Code]]] = {
        Operation.SEND: {"Success": Code("accepted"), _FAILED: _REFUSED},  # §2.3
        Operation.BALANCE: {"Success": Code("the balance follows"), _FAILED: _REFUSED},  # §3.3
        Operation.REPORTS: _QUEUE_CODES,
        Operation.REPLIES: _QUEUE_CODES,
    }
    fields: ClassVar[Sequence[ConnectionField]] = (
        ConnectionField(
            "userid", "Company id", "The company id (企业ID) you got from the vendor.", required=True
        ),
        ConnectionField(
            "protocol", "Protocol", "SOAP, or plain form POST.", default="soap", choices=("soap", "form")
        ),
        ConnectionField(
            "page_size",
            "Page size",
            "Reports or replies taken by one read: what a crash in the wrong moment can cost.",
            "integer",
            500,
            minimum=10,  # §4.2, §5.2
            maximum=10_000,
        ),
        *SOAP_FIELDS,
    )

    def page_size(self, account: Account, queue: Queue) -> int:
        """Give the connection's page size, the same for both queues."""
        return int(account.options.get("page_size") or self.page_sizes[queue])

    def content_problems(self, account: Account, content: str) -> list[str]:
        """Find what the vendor would refuse, and characters that no XML can carry."""
        problems = super().content_problems(account, content)
        if self._by_soap(account) and (found := UNCARRIED.findall(content)):
            named = ", ".join(f"U+{ord(character):04X}" for character in dict.fromkeys(found))
            problems.append(f"SOAP cannot carry the control characters {named}: remove them")
        return problems

    # --- §2 send ---------------------------------------------------------------------------------

    def submit_request(self, account: Account, submission: Submission) -> WireRequest | SoapCall:
        """Make the call that sends one text (§2.2)."""
        arguments = {
            "mobile": ",".join(submission.mobiles),
            "content": submission.content,
            "sendTime": self.local_time(account, submission.send_at, "%Y-%m-%d %H:%M:%S"),
            "extno": submission.extno,
        }
        return self._call(account, "SendSms", arguments)

    def parse_submit(self, account: Account, response: WireResponse) -> Receipt:
        """Read whether the vendor took the text, its id, and what is left (§2.3)."""
        fields = self._words(Operation.SEND, account, response, "SendSms", "WsSendResponse")
        task = read_task(fields.get("TaskID"))
        taken = _count(fields.get("SuccessCounts"))
        return Receipt(
            code=fields["ReturnStatus"],
            text=remarks.shown(fields.get("Message", ""), account),
            vendor_batch_id=task or "",
            message_ids=(task,) if task else (),
            # A count that cannot be says nothing; it must not make a no of a yes, or one that no store holds.
            accepted=taken if taken is not None and 0 <= taken <= _LARGEST_INT else None,
            remaining=_count(fields.get("RemainPoint")),
        )

    # --- §3 balance ------------------------------------------------------------------------------

    def balance_request(self, account: Account) -> WireRequest | SoapCall:
        """Make the call that asks for the messages left (§3.2)."""
        return self._call(account, "QueryOverage", {})

    def parse_balance(self, account: Account, response: WireResponse) -> Balance:
        """Read what is left and what was ever bought (§3.3)."""
        fields = self._words(Operation.BALANCE, account, response, "QueryOverage", "WsOverageResponse")
        remaining = fields.get("Overage", "").strip()
        total = fields.get("SendTotal", "").strip()
        if not _AMOUNT.fullmatch(remaining):
            raise self.broken(Operation.BALANCE, account, "a success without a number in Overage")
        return Balance(
            remaining=Decimal(remaining),
            unit=self.balance_unit,
            total=Decimal(total) if _AMOUNT.fullmatch(total) else None,
            pay_mode=_PAY_MODES.get(fields.get("PayInfo", "").strip(), ""),
        )

    # --- §4 reports ------------------------------------------------------------------------------

    def reports_request(self, account: Account) -> WireRequest | SoapCall:
        """Make the call that takes a page of reports (§4.2)."""
        size = self.page_size(account, Queue.REPORTS)
        return self._call(account, "QueryStatus", {"statusNum": str(size)})

    def parse_reports(self, account: Account, response: WireResponse) -> Page[Report]:
        """Read a page of reports (§4.3)."""
        answer = self._queue_answer(Operation.REPORTS, account, response, REPORTS)
        return read_page(answer, REPORTS, report_reader(account.timezone))

    def columns_of_reports(self, account: Account, response: WireResponse) -> ReportPage | None:
        """Read a whole, ordinary page of reports by columns (§4.3)."""
        return read_columns(response, account.timezone, partial(self.parse_reports, account))

    def brings_reports(self, account: Account, response: WireResponse) -> bool:
        """Look at the envelope and the first record (§4.3)."""
        return brings_reports(response, partial(self.parse_reports, account))

    # --- §5 replies ------------------------------------------------------------------------------

    def replies_request(self, account: Account) -> WireRequest | SoapCall:
        """Make the call that takes a page of replies (§5.2)."""
        size = self.page_size(account, Queue.REPLIES)
        return self._call(account, "QueryCall", {"callNum": str(size)})

    def parse_replies(self, account: Account, response: WireResponse) -> Page[Reply]:
        """Read a page of replies (§5.3); one that answers no message has no vendor_message_id."""
        answer = self._queue_answer(Operation.REPLIES, account, response, REPLIES)
        return read_page(answer, REPLIES, reply_reader(account.timezone))

    # --- the three protocols ---------------------------------------------------------------------

    def _by_soap(self, account: Account) -> bool:
        return account.options.get("protocol") != "form"

    def _call(self, account: Account, operation: str, arguments: dict[str, str]) -> WireRequest | SoapCall:
        arguments = {
            "userid": str(account.options.get("userid") or ""),
            "account": account.login,
            "password": account.password,
            **arguments,
        }
        if self._by_soap(account):
            return SoapCall(
                path=_PATH,
                operations=(operation,),
                arguments=arguments,
                wsdl=self.name,
                fetch_wsdl=account.options.get("wsdl") == "fetch",
                version=str(account.options.get("soap_version") or "1.2"),
            )
        return WireRequest(
            "POST",
            f"{_PATH}/{operation}",
            body=self.form(account, arguments).encode("ascii"),
            headers={"Content-Type": f"application/x-www-form-urlencoded; charset={account.charset}"},
        )

    def _words(
        self, operation: Operation, account: Account, response: WireResponse, name: str, type_name: str
    ) -> dict[str, str]:
        """Read an answer that says ``Success`` or ``Faild``; give its fields when it is the former."""
        try:
            answer = read_answer(response, name, type_name)
        except errors.WireFormatError as error:
            raise self.broken(operation, account, str(error)) from None
        if not answer.closed:
            raise self.broken(operation, account, answer.problem)
        status = answer.fields.get("ReturnStatus", "").strip()
        # "Failed" is how the vendor will spell it on the day that somebody notices.
        if status in {_FAILED, "Failed"}:
            if operation is Operation.SEND and _took_some(answer.fields):
                # A refused send is submitted again: this one may have gone out in part.
                raise self.broken(
                    operation, account, f"{_FAILED} beside a task id or a count of messages taken"
                )
            remark = answer.fields.get("Message", "")
            if operation is Operation.SEND and remarks.leaves_in_doubt(remark):
                said = remarks.shown(remark, account)
                raise self.broken(operation, account, f"{_FAILED}, but as if it may have been taken ({said})")
            self._refuse(operation, account, status, remark)
        if status != "Success":
            raise self.broken(operation, account, "neither Success nor Faild as its ReturnStatus")
        return answer.fields

    def _queue_answer(
        self, operation: Operation, account: Account, response: WireResponse, names: QueueNames
    ) -> Answer:
        """Read a queue's answer; raise if the vendor says that it handed over nothing because it failed."""
        try:
            answer = read_answer(response, names.operation, names.type_name, names.list_name)
        except errors.WireFormatError as error:
            raise self.broken(operation, account, str(error)) from None
        # What is cut may say anything further on, and records are kept whatever the status says.
        if answer.closed and not answer.records:
            status = answer.fields.get("ReturnStatus", "").strip()
            if not status:
                raise self.broken(operation, account, "a page without ReturnStatus")
            if status not in {"1", "0"}:
                self._refuse(operation, account, status, answer.fields.get("Message", ""))
        return answer

    def _refuse(self, operation: Operation, account: Account, code: str, remark: str) -> NoReturn:
        table = self.codes[operation]
        verdict = remarks.verdict(remark) or table.get(code) or table.get(_OTHER) or _REFUSED
        error = verdict.error or errors.VendorRejected
        shown = code if _STATUS.fullmatch(code) or code == _FAILED else _OTHER
        quoted = remarks.shown(remark, account)
        # The sentence about a forbidden word quotes the message.
        content = issubclass(error, errors.ContentRejected)
        said = f" ({quoted})" if quoted and not content else ""
        message = (
            f"connection {account.conn_id!r}: {self.name} refused {operation.value!r} with status {shown}: "
            f"{verdict.meaning}{said}. {verdict.advice}."
        )
        if issubclass(error, errors.ContentRejected):
            raise error(message, shown, remarks.words(remark))
        raise error(message, shown)


def _took_some(fields: Mapping[str, str]) -> bool:
    """Whether a refused send says anything but that nothing was taken, which is nought or no word."""
    counted = fields.get("SuccessCounts", "").strip()
    taken = _count(counted)
    return bool(counted and (taken is None or taken > 0)) or read_task(fields.get("TaskID")) != ""


def _count(written: str | None) -> int | None:
    count = (written or "").strip()
    return int(count) if _COUNT.fullmatch(count) else None
