"""
企业短信通 (wavecom): four GET pages of a classic ASP site.

An answer is one line of text in GB, fields separated by ``|`` and, within a record, by ``;``. The second
byte of many Chinese characters is a ``|``, so an answer is decoded before it is split. Sections (§) are
those of the vendor's document.
"""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_sms import errors
from airflow_provider_sms.records import Balance, DeliveryStatus, Page, Queue, Receipt, Reply, Report
from airflow_provider_sms.vendors import wavecom_columns
from airflow_provider_sms.vendors.base import Code, Limits, Operation, Vendor
from airflow_provider_sms.wire import WireRequest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from airflow_provider_sms.records import RecordT, ReportPage, Submission
    from airflow_provider_sms.vendors.base import Account
    from airflow_provider_sms.wire import WireResponse

_ID = r"[0-9A-Za-z_-]{1,64}"
_NUMBER = r"\+?[0-9]{3,20}"
_BLANKS = " \t\r\n"

_CODE = re.compile(r"([-\u2013]?[0-9]{1,3})(?:\|(.*))?", re.DOTALL)
_RECEIPT = re.compile(r"0\|([0-9]{1,6})\|([0-9]{1,6})\|([0-9A-Za-z_, -]*)")
_COUNT = re.compile(r"([0-9]{1,6})\|")
_COUNT_BEGUN = re.compile(r"[-\u2013\ufffd]?[0-9]{0,6}")
_REPORT = re.compile(rf"({_ID});({_NUMBER});([-\u2013]?[0-9]{{1,6}})(?:\||\Z)")
_REPORTS = re.compile(rf"(?:{_ID};{_NUMBER};[-\u2013]?[0-9]{{1,6}}(?:\||\Z))*")
_REPORT_BEGUN = re.compile(r"[0-9A-Za-z_-]{0,64}(?:;\+?[0-9]{0,20}(?:;[-\u2013\ufffd]?[0-9]{0,6})?)?")
# §1.1.3: the text says id;number, the example has id,number.
_REPLY_HEAD = re.compile(rf"(?:\A|\|)({_ID})[;,]({_NUMBER});")
_REPLY_BEGUN = re.compile(r"[0-9A-Za-z_-]{0,64}(?:[;,]\+?[0-9]{0,20};?)?")
_HEAD_DAMAGED = re.compile(r"\|[^|;,]*[;,][^|;]*;")
_HEAD_INSIDE = re.compile(rf"{_ID}[;,]{_NUMBER};")
#: With half a character before it, a "|" becomes one of these, and a reply a part of the one before it.
_BARS = "".join(bytes((lead, 0x7C)).decode("gb18030") for lead in range(0x81, 0xFF))
_SWALLOWED = re.compile(rf"[{_BARS}]{_ID}[;,]{_NUMBER};")
_PAGE_ERROR = re.compile(r"<(?:!--|/?html\b|/?body\b|/?script\b|font face=)", re.IGNORECASE)

_STATUSES = {  # §1.1.2
    "-1": DeliveryStatus.PENDING,
    "10": DeliveryStatus.DELIVERED,
    "20": DeliveryStatus.FAILED,
}

_WRONG_PASSWORD = Code(
    "the account name or password is wrong",
    errors.AuthenticationFailed,
    "Correct the connection's login and password",
)
_NO_ACCOUNT = Code(
    "there is no such account", errors.AuthenticationFailed, "Correct the connection's login (us_name)"
)
_QUEUE_CODES = {
    "0": Code("the queue is empty"),
    "-1": _NO_ACCOUNT,
    "-3": Code("the system is busy", errors.VendorBusy, "Nothing was handed over; read again in a minute"),
    "-7": _WRONG_PASSWORD,
}

_CODES: Mapping[Operation, Mapping[str, Code]] = {
    Operation.SEND: {  # §1.1.1
        "0": Code("accepted"),
        "-1": Code("the numbers are missing", errors.VendorRejected, "Give at least one recipient"),
        "-2": Code("the text is missing", errors.VendorRejected, "Give the message a content"),
        "-3": Code(
            "the text holds a forbidden word",
            errors.ContentRejected,
            "Change the text; SmsHook.send, not a task, tells the word in its error's 'words'",
        ),
        "-4": Code(
            "more than 100 numbers in one call",
            errors.VendorRejected,
            "Send at most 100 numbers per call, as the operators of this package do",
        ),
        "-7": _WRONG_PASSWORD,
        "-8": Code(
            "the text is longer than 335 characters", errors.ContentRejected, "Shorten or divide the text"
        ),
        "-9": Code(
            "the balance does not cover the messages of this call",
            errors.InsufficientBalance,
            "Buy messages, then send again what was not sent",
        ),
        "-10": Code("the account is locked", errors.NotAllowed, "Ask the vendor to unlock it"),
        "-99": Code("the system is busy", errors.VendorBusy, "Nothing was taken; try again in a minute"),
    },
    Operation.BALANCE: {  # §1.1.4
        "0": Code("no messages are left"),
        "-1": _NO_ACCOUNT,
        "-7": _WRONG_PASSWORD,
    },
    Operation.REPORTS: _QUEUE_CODES,  # §1.1.2
    Operation.REPLIES: _QUEUE_CODES,  # §1.1.3
}


class WavecomVendor(Vendor):
    """企业短信通 of 昌隆通泰: send, balance, reports, replies."""

    name = "wavecom"
    title = "企业短信通"
    conn_type = "sms_wavecom"
    login_label = "account name (us_name)"
    host_example = "www.112088.net:8088"
    document = "企业短信通网关通道HTTP接口"
    # §1.1.1; a landline number with its area code is a 小灵通.
    limits = Limits(numbers=100, characters=335, landline=True)
    page_sizes: ClassVar[Mapping[Queue, int]] = {Queue.REPORTS: 100, Queue.REPLIES: 50}
    codes = _CODES

    # --- §1.1.1 send -----------------------------------------------------------------------------

    def submit_request(self, account: Account, submission: Submission) -> WireRequest:
        """Make the GET that sends one text (§1.1.1)."""
        fields = {"send_content": submission.content}
        if submission.send_at is not None:
            fields["send_time"] = self.local_time(account, submission.send_at, "%Y%m%d%H%M%S")
        # Digits and commas need no escaping; 100 of them would make the address a fifth longer.
        query = (
            f"{self._login(account)}&send_phone={','.join(submission.mobiles)}&{self.form(account, fields)}"
        )
        return WireRequest("GET", "/sendsms_txt.asp", query)

    def parse_submit(self, account: Account, response: WireResponse) -> Receipt:
        """Read ``0|a|b|d``: taken, refused, ids (§1.1.1)."""
        answer = self.answer_text(Operation.SEND, account, response).strip(_BLANKS)
        found = _RECEIPT.fullmatch(answer)
        if found is None:
            self._refuse(Operation.SEND, account, answer)
        accepted, failed = int(found[1]), int(found[2])
        # "One id per number" says the text, one id for two numbers shows the example of §1.1.2.
        ids = tuple(filter(None, (each.strip() for each in found[3].split(","))))
        if not all(re.fullmatch(_ID, each) for each in ids):
            raise self.broken(Operation.SEND, account, "something that is no message id after a yes")
        # A 0 stands in place of the id of a number that was refused.
        ids = tuple(each for each in ids if each.strip("0"))
        if accepted and not ids:
            raise self.broken(Operation.SEND, account, "a yes without the message ids that belong to it")
        return Receipt(
            code="0",
            text=f"{failed} of {accepted + failed} numbers refused as invalid" if failed else "",
            vendor_batch_id=ids[0] if ids else "",
            message_ids=ids,
            accepted=accepted,
        )

    # --- §1.1.4 balance --------------------------------------------------------------------------

    def balance_request(self, account: Account) -> WireRequest:
        """Make the GET that asks for the messages left (§1.1.4)."""
        return WireRequest("GET", "/Get_Account_Balance.asp", self._login(account))

    def parse_balance(self, account: Account, response: WireResponse) -> Balance:
        """Read the number of messages left (§1.1.4)."""
        answer = self.answer_text(Operation.BALANCE, account, response).strip(_BLANKS)
        if not re.fullmatch(r"[0-9]{1,12}", answer):
            self._refuse(Operation.BALANCE, account, answer)
        return Balance(Decimal(answer), self.balance_unit)

    # --- §1.1.2 reports --------------------------------------------------------------------------

    def reports_request(self, account: Account) -> WireRequest:
        """Make the GET that takes up to 100 reports (§1.1.2)."""
        return WireRequest("GET", "/get_report_txt.asp", self._login(account))

    def parse_reports(self, account: Account, response: WireResponse) -> Page[Report]:
        """Read ``n|id;number;status|...`` (§1.1.2); the vendor gives no times."""
        declared, records = self._count(Operation.REPORTS, account, response)
        if declared is None:
            return _cut([], None, response)
        records = records.rstrip(_BLANKS)
        tiled = _REPORTS.match(records)
        end = tiled.end() if tiled else 0
        rows = _REPORT.findall(records, 0, end)
        rest = records[end:]
        if not _REPORT_BEGUN.fullmatch(rest):
            what = f"something that is no report after {len(rows)} of {declared} reports"
            raise self.broken(Operation.REPORTS, account, what)
        self._not_more(Operation.REPORTS, account, declared, len(rows) + bool(rest))
        whole = response.complete and len(rows) == declared
        # A status of "2" may be the beginning of "20": only the "|" behind it says that it is all there.
        unended = rows and not rest and not records.endswith("|")
        if unended and (not whole or rows[-1][2] in wavecom_columns.BEGINNINGS):
            rows.pop()
            whole = False
        reports = [_report(*row) for row in rows]
        return Page(reports, declared=declared) if whole else _cut(reports, declared, response)

    def columns_of_reports(self, account: Account, response: WireResponse) -> ReportPage | None:
        """Read a whole page of reports in plain ASCII by columns (§1.1.2)."""
        del account
        return wavecom_columns.read_columns(response)

    # --- §1.1.3 replies --------------------------------------------------------------------------

    def replies_request(self, account: Account) -> WireRequest:
        """Make the GET that takes up to 50 replies (§1.1.3)."""
        return WireRequest("GET", "/get_receive_message_txt.asp", self._login(account))

    def parse_replies(self, account: Account, response: WireResponse) -> Page[Reply]:
        """
        Read ``n|id;number;content|...`` (§1.1.3); the vendor gives no times.

        A content may hold ``|`` and ``;``: what does not begin like a record belongs to the content
        before it.
        """
        declared, records = self._count(Operation.REPLIES, account, response)
        if declared is None:
            return _cut([], None, response)
        heads = list(_REPLY_HEAD.finditer(records))
        begun = declared and not heads and _REPLY_BEGUN.fullmatch(records.rstrip(_BLANKS))
        if not begun and (heads[0].start() if heads else records.rstrip(_BLANKS)):
            raise self.broken(Operation.REPLIES, account, "something that is no reply after the count")
        # More heads than declared: somebody wrote "|1;2;" in a reply, and which one cannot be told.
        self._not_more(Operation.REPLIES, account, declared, len(heads))
        bounds = [*(head.start() for head in heads), len(records)]
        replies = [
            Reply(head[1], head[2], records[head.end() : end], "", None)
            for head, end in zip(heads, bounds[1:], strict=True)
        ]
        if response.complete and len(heads) == declared:
            return self._whole_replies(account, replies)
        # Behind a "|" the content may go on, so nothing but another head ends the last reply.
        del replies[-1:]
        if any(_HEAD_INSIDE.search(reply.content) for reply in replies):
            # A broken character can swallow the "|" behind it, and then two replies look like one.
            what = "fewer replies than it declared, and one that seems to hold another"
            raise self.broken(Operation.REPLIES, account, what)
        return _sure_replies(replies, declared, response)

    # ---------------------------------------------------------------------------------------------

    def _login(self, account: Account) -> str:
        return self.form(account, {"us_name": account.login, "us_pwd": account.password})

    def _refuse(self, operation: Operation, account: Account, answer: str) -> NoReturn:
        found = _CODE.fullmatch(answer)
        if found is None:
            raise self.broken(operation, account, "something its document does not describe")
        words = re.split(r"[|,;，；、]", found[2] or "") if operation is Operation.SEND else []
        self.refuse(operation, account, found[1], words=[word.strip() for word in words if word.strip()])

    def _count(
        self, operation: Operation, account: Account, response: WireResponse
    ) -> tuple[int | None, str]:
        """Give the declared count and what follows it; no count if the answer ends within it."""
        answer = self.answer_text(operation, account, response, whole=False).lstrip(_BLANKS)
        found = _COUNT.match(answer)
        if found:
            return int(found[1]), answer[found.end() :]
        answer = answer.rstrip(_BLANKS)
        if not response.complete and _COUNT_BEGUN.fullmatch(answer):
            return None, ""
        if answer == "0":
            return 0, ""
        if re.fullmatch(r"[1-9][0-9]{0,5}", answer):
            return None, ""  # a count without records: only a body that ended early looks so
        return self._refuse(operation, account, answer)

    def _not_more(self, operation: Operation, account: Account, declared: int, found: int) -> None:
        if found > declared:
            raise self.broken(operation, account, f"{found} records where it declared {declared}")

    def _whole_replies(self, account: Account, replies: list[Reply]) -> Page[Reply]:
        declared = len(replies)
        if any(_SWALLOWED.search(reply.content) for reply in replies):
            # Then one of the heads that make up the number is somebody's own, written in a reply.
            raise self.broken(Operation.REPLIES, account, "a reply that seems to hold another")
        if replies:
            last = replies[-1]
            if _PAGE_ERROR.search(last.content):
                raise self.broken(Operation.REPLIES, account, "HTML behind or in the last reply")
            # The page itself may end in a line break; a content in the middle of it keeps its own.
            kept = last.content.rstrip(_BLANKS)
            blanks = last.content[len(kept) :].partition("\n")[0].rstrip("\r")
            replies[-1] = last._replace(content=kept + blanks)
        spoilt = sum("\ufffd" in reply.content for reply in replies)
        problem = (
            f"{spoilt} of {declared} replies hold bytes that are no {account.charset} text, shown as U+FFFD: "
            "check the connection's extra field 'encoding'"
        )
        return Page(replies, declared=declared, problem=problem if spoilt else "")


def _report(message_id: str, mobile: str, status: str) -> Report:
    status = status.replace("\u2013", "-")
    known = _STATUSES.get(status, DeliveryStatus.UNKNOWN)
    return Report(message_id, mobile, known, status, "", "", None)


def _sure_replies(replies: list[Reply], declared: int, response: WireResponse) -> Page[Reply]:
    """
    Give the replies of a page that is not whole without those that may hold another person's.

    Where fewer records are found than declared, one whose head is damaged may stand behind a "|" in a
    content: what has a record's two separators there may be one. Any other "|" is the person's own.
    """
    doubtful = [place for place, reply in enumerate(replies) if _HEAD_DAMAGED.search(reply.content)]
    if len(replies) + 1 == declared or not doubtful:
        return _cut(replies, declared, response)
    if not response.complete:
        # What is behind the cut may explain the count: until then nothing is known from the first doubt on.
        return _cut(replies[: doubtful[0]], declared, response)
    page = _cut([reply for place, reply in enumerate(replies) if place not in doubtful], declared, response)
    problem = f"{page.problem}; {len(doubtful)} replies hold a '|', behind which may be another's"
    return replace(page, problem=problem, gaps=tuple(doubtful))


def _cut(records: list[RecordT], declared: int | None, response: WireResponse) -> Page[RecordT]:
    of = "an unknown number" if declared is None else str(declared)
    why = response.problem or ("the body ends early" if response.complete else "the body was cut off")
    return Page(
        records,
        complete=False,
        declared=declared,
        problem=f"{len(records)} of {of} records arrived whole: {why}",
    )
