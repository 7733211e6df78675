"""
通用短信平台 (smsadmin): plain pages in GB2312 below ``/smsmarketing/wwwroot/api/``.

Sections (§) are those of the vendor's document, version 1.0.5. Its queue pages, pushed events and
templates (点点通) have files of their own beside this one.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_sms import errors, text
from airflow_provider_sms.records import Balance, Page, Queue, Receipt, Reply
from airflow_provider_sms.redact import mask_numbers
from airflow_provider_sms.vendors import smsadmin_ddt, smsadmin_push, smsadmin_queues, smsadmin_tables
from airflow_provider_sms.vendors.base import Limits, Operation, Vendor
from airflow_provider_sms.wire import WireRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import NoReturn

    from airflow_provider_sms.records import Pushed, RecordT, Report, ReportPage, Submission
    from airflow_provider_sms.vendors.base import Account, NativeTemplate
    from airflow_provider_sms.wire import WireResponse

_API = "/smsmarketing/wwwroot/api"
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_BLANKS = " \t\r\n"
_LONGEST_REMARK = 60

# "0 发送成功!", "0发送成功!", "160": a code and, with or without a blank, words in Chinese. Digits or a
# "/" behind the digits are the number of a record, ASCII is an error page.
_ANSWER = re.compile(r"([0-9]{1,3})\s*([^\x00-\x7f][^\n<]{0,200})?")
_BALANCE = re.compile(
    r"用户\s*ID\s*[=＝:：]\s{0,20}\S{0,64}?\s{0,20}剩余资费\s*[=＝:：]\s*(-?[0-9]{1,12}(?:\.[0-9]{1,6})?)(?:\s*元)?"
)
_WORDS = re.compile(r"敏感[字词]\s*[:：]([^\n<]*)")
_NO_WORDS = re.compile(r"不含敏感[字词][!！.。]?")
_LENGTH = re.compile(r"超过\s*([0-9]{1,4})\s*个")


class SmsAdminVendor(Vendor):
    """通用短信平台: send, template send, balance, word check, reports, replies, push of both."""

    name = "smsadmin"
    title = "通用短信平台"
    conn_type = "sms_smsadmin"
    login_label = "account (uid)"
    host_example = "www.smsadmin.cn"
    balance_unit = "money"
    document = "通用短信平台 HTTP 接口使用说明 1.0.5"
    limits = Limits(numbers=1000, template_rows=1000)
    page_sizes: ClassVar[Mapping[Queue, int]] = {Queue.REPORTS: 20, Queue.REPLIES: 20}
    intervals: ClassVar[Mapping[Operation, float]] = {Operation.REPORTS: 5.0, Operation.REPLIES: 5.0}
    codes = smsadmin_tables.CODES
    fields = smsadmin_tables.FIELDS
    reports_bear_reference = True

    def limits_for(self, account: Account) -> Limits:
        """Give the limits of a connection: a call by GET takes 100 numbers (§2)."""
        return replace(self.limits, numbers=100) if account.options["method"] == "get" else self.limits

    # --- §2, §3 send -----------------------------------------------------------------------------

    def submit_request(self, account: Account, submission: Submission) -> WireRequest:
        """Make the call that sends one text (§2, §3)."""
        by_get = account.options["method"] == "get"
        uid, content, password, page = account.login, submission.content, account.password, ""
        if account.options["urldecode"]:
            # The page decodes these a second time; only the POST page does so with the uid.
            page = "_urldecode"
            content = self._escaped(account, "msg", content)
            uid = uid if by_get else self._escaped(account, "uid", uid)
        elif account.options["auth"] == "md5":
            page, password = "_md5", _md5(account)
        fields = {"uid": uid, "pwd": password, "msg": content, **self._schedule(account, submission)}
        # A bare ";" separates fields for some servers, so it is escaped; digits need no escaping.
        form = f"{self.form(account, fields)}&mobile={'%3B'.join(submission.mobiles)}"
        if by_get:
            return WireRequest("GET", f"{_API}/get_send{page}/", form)
        return WireRequest("POST", f"{_API}/post_send{page}/", body=form.encode("ascii"), headers=_FORM)

    def parse_submit(self, account: Account, response: WireResponse) -> Receipt:
        """Read ``0 发送成功!`` (§2, §3)."""
        return self._receipt(Operation.SEND, account, response)

    # --- §4 template send ------------------------------------------------------------------------

    def native_template(
        self, account: Account, template: str, fields: Sequence[str]
    ) -> NativeTemplate | None:
        """Translate a template to ddt's markers (§4)."""
        return smsadmin_ddt.translate(template, fields, account.options["ddt_first_index"])

    def template_row_fits(self, account: Account, values: Sequence[str]) -> bool:
        """Whether a row's values can stand in a ddt group (§4)."""
        del account
        return smsadmin_ddt.fits(values)

    def template_misfits(self, account: Account, columns: Sequence[Sequence[str]]) -> list[int]:
        """Name the rows that cannot stand in a ddt group (§4); mostly one look at each column tells: none."""
        if all(map(smsadmin_ddt.surely_fits, columns)):
            return []
        return super().template_misfits(account, columns)

    def template_request(self, account: Account, submission: Submission) -> WireRequest:
        """Make the POST that sends a template (§4); its page knows the MD5 password alone."""
        fields = {
            "uid": account.login,
            "pwd": _md5(account),
            "msg": submission.content,
            "params": smsadmin_ddt.params_of(submission.mobiles, submission.values),
            **self._schedule(account, submission),
        }
        body = self.form(account, fields).encode("ascii")
        return WireRequest("POST", f"{_API}/post_send_ddt/", body=body, headers=_FORM)

    def parse_template(self, account: Account, response: WireResponse) -> Receipt:
        """Read ``0 发送成功!`` (§4)."""
        return self._receipt(Operation.SEND_TEMPLATE, account, response)

    # --- §5 balance ------------------------------------------------------------------------------

    def balance_request(self, account: Account) -> WireRequest:
        """Make the GET that asks for the money left (§5)."""
        if not account.options["urldecode"]:
            return WireRequest("GET", f"{_API}/user_info/", self._login(account, account.login))
        uid = self._escaped(account, "uid", account.login)
        return WireRequest("GET", f"{_API}/user_info_urldecode/", self._login(account, uid))

    def parse_balance(self, account: Account, response: WireResponse) -> Balance:
        """Read ``用户 ID=uid 剩余资费=XXX`` (§5); an account that may owe can be below zero."""
        answer = self.answer_text(Operation.BALANCE, account, response).strip(_BLANKS)
        found = _BALANCE.fullmatch(answer)
        if found is None:
            self._refuse(Operation.BALANCE, account, answer)
        return Balance(Decimal(found[1]), self.balance_unit)

    # --- §6 word check ---------------------------------------------------------------------------

    def words_request(self, account: Account, content: str) -> WireRequest:
        """Make the GET that asks for forbidden words (§6)."""
        query = f"{self._login(account, account.login)}&{self.form(account, {'msg': content})}"
        return WireRequest("GET", f"{_API}/mgz/", query)

    def parse_words(self, account: Account, response: WireResponse) -> tuple[str, ...]:
        """Read ``敏感字:a;b;`` or ``不含敏感字`` (§6)."""
        answer = self.answer_text(Operation.CHECK_WORDS, account, response).strip(_BLANKS)
        if _NO_WORDS.fullmatch(answer):
            return ()
        words = _words(answer) if _WORDS.fullmatch(answer) else ()
        if not words:
            self._refuse(Operation.CHECK_WORDS, account, answer)
        return words

    # --- §7, §8 queues ---------------------------------------------------------------------------

    def reports_request(self, account: Account) -> WireRequest:
        """Make the GET that takes up to 20 reports (§8)."""
        return WireRequest("GET", f"{_API}/report/", self._login(account, account.login))

    def parse_reports(self, account: Account, response: WireResponse) -> Page[Report]:
        """Read lines of ``number/time/linkid/status/extno`` (§8)."""
        make = partial(smsadmin_queues.report_of, zone=account.timezone)
        return self._page(Operation.REPORTS, account, response, smsadmin_queues.REPORT_LINE, make)

    def columns_of_reports(self, account: Account, response: WireResponse) -> ReportPage | None:
        """Read a whole page of ordinary lines by columns (§8)."""
        return smsadmin_queues.read_columns(response, account.timezone)

    def replies_request(self, account: Account) -> WireRequest:
        """Make the GET that takes up to 20 replies (§7)."""
        page = "reve" if account.options["replies_page"] == "plain" else "reve_urlencode"
        return WireRequest("GET", f"{_API}/{page}/", self._login(account, account.login))

    def parse_replies(self, account: Account, response: WireResponse) -> Page[Reply]:
        """Read lines of ``number/time/linkid/content/extno`` (§7), the content escaped or plain."""
        plain = account.options["replies_page"] == "plain"
        pattern = smsadmin_queues.PLAIN_REPLY_LINE if plain else smsadmin_queues.ESCAPED_REPLY_LINE
        charset = None if plain else account.charset
        make = partial(smsadmin_queues.reply_of, zone=account.timezone, charset=charset)
        page = self._page(Operation.REPLIES, account, response, pattern, make)
        if plain and len(page.records) > self.page_sizes[Queue.REPLIES]:
            # Somebody wrote a line break and a record of their own; which line it is cannot be told.
            what = f"{len(page.records)} replies where it hands over {self.page_sizes[Queue.REPLIES]} at most"
            raise self.broken(Operation.REPLIES, account, what)
        spoilt = sum("\ufffd" in reply.content for reply in page.records)
        if not spoilt:
            return page
        problem = (
            f"{spoilt} of {len(page.records)} replies hold bytes that are no {account.charset} text, "
            "shown as U+FFFD: check the connection's extra field 'encoding'"
        )
        return replace(page, problem="; ".join(filter(None, (page.problem, problem))))

    # --- §9, §10 push ----------------------------------------------------------------------------

    def parse_push(self, account: Account, query: str, body: bytes) -> Pushed:
        """Read a pushed reply (§9) or report (§10); bytes not escaped stand in the query as Latin-1."""
        try:
            return smsadmin_push.read_event(query, body, account.charset, account.timezone)
        except smsadmin_push.NoEventError as error:
            reason = str(error)
        msg = f"connection {account.conn_id!r}: {self.name} pushed something that is no event: {reason}"
        raise errors.WireFormatError(msg)

    # ---------------------------------------------------------------------------------------------

    def _login(self, account: Account, uid: str) -> str:
        # No query page has an MD5 sister (§5-§8), so the password goes plain whatever "auth" says.
        return self.form(account, {"uid": uid, "pwd": account.password})

    def _escaped(self, account: Account, name: str, value: str) -> str:
        return self.form(account, {name: value}).partition("=")[2]

    def _schedule(self, account: Account, submission: Submission) -> dict[str, str]:
        # The names are dtime and linkid; "dttime" and "linked" in the sample address of §2 are misprints.
        moment = self.local_time(account, submission.send_at, "%Y-%m-%d %H:%M:%S")
        return {"dtime": moment, "linkid": submission.reference}

    def _receipt(self, operation: Operation, account: Account, response: WireResponse) -> Receipt:
        answer = self.answer_text(operation, account, response).strip(_BLANKS)
        found = _ANSWER.fullmatch(answer)
        if found is None or found[1] != "0":
            self._refuse(operation, account, answer)
        said = found[2] or ""
        if "失败" in said and "成功" not in said:
            raise self.broken(operation, account, "0, which is a yes, and words that are a no")
        return Receipt("0", mask_numbers(said)[:_LONGEST_REMARK])

    def _refuse(self, operation: Operation, account: Account, answer: str) -> NoReturn:
        found = _ANSWER.fullmatch(answer)
        if found is None:
            raise self.broken(operation, account, "something its document does not describe")
        said = found[2] or ""
        length = _LENGTH.search(said) if found[1] == "7" else None
        remark = f"it takes {length[1]} characters" if length else ""
        self.refuse(operation, account, found[1], remark, _words(said))

    def _page(
        self,
        operation: Operation,
        account: Account,
        response: WireResponse,
        pattern: re.Pattern[str],
        make: Callable[[tuple[str, ...]], RecordT],
    ) -> Page[RecordT]:
        answer = self.answer_text(operation, account, response, whole=False)
        stripped = answer.strip(_BLANKS)
        found = _ANSWER.fullmatch(stripped)
        if response.complete and (found or not stripped):
            known = self.codes[operation].get(found[1]) if found else None
            if known is not None and known.error is None:
                return Page([])
            self._refuse(operation, account, stripped)
        lines = smsadmin_queues.read_lines("" if found else answer, pattern, whole=response.complete)
        if lines.misfit:
            raise self.broken(operation, account, f"something that is no record in line {lines.misfit}")
        records, gaps = _made(lines.fields, make)
        if gaps and not records:
            raise self.broken(operation, account, "lines that begin like records, and none that is one")
        if gaps and pattern is smsadmin_queues.PLAIN_REPLY_LINE:
            raise self.broken(operation, account, "a record whose time is none")
        if lines.complete and not gaps:
            return Page(records)
        why = response.problem or ("the body ends early" if response.complete else "the body was cut off")
        problem = "" if lines.complete else f"{len(records)} records arrived whole: {why}"
        if gaps:
            told = ", ".join(str(place + 1) for place in gaps)
            problem = "; ".join(filter(None, (problem, f"of the records, these cannot be read: {told}")))
        return Page(records, complete=False, problem=problem, gaps=gaps)


def _made(
    lines: Sequence[tuple[str, ...] | None], make: Callable[[tuple[str, ...]], RecordT]
) -> tuple[list[RecordT], tuple[int, ...]]:
    """Make records of the lines' fields; those, and the places of lines of which none can be made."""
    records: list[RecordT] = []
    gaps: list[int] = []
    for place, fields in enumerate(lines):
        try:
            if fields is not None:
                records.append(make(fields))
                continue
        except ValueError:
            pass  # its time is none
        gaps.append(place)
    return records, tuple(gaps)


def _md5(account: Account) -> str:
    # The vendor prescribes MD5, in lower case (§2); it is as much a credential as the password.
    raw = text.encode(account.password, account.charset)
    return hashlib.md5(raw, usedforsecurity=False).hexdigest()


def _words(said: str) -> tuple[str, ...]:
    found = _WORDS.search(said)
    return tuple(filter(None, (word.strip() for word in re.split("[;；]", found[1])))) if found else ()
