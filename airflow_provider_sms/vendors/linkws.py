"""
LinkWS ``sdk2``: two pages over HTTP, or the same two operations over SOAP; every answer is one integer.

A send answers a batch id above 0 or a code below it, a balance the messages left or a code below 0. The
answer comes bare from the pages, as ``<int>5</int>`` from a form call, or in a SOAP envelope; all of them
are read, whatever was asked. Sections: 一 is the Webservice, 二 the HTTP interface.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_sms import errors
from airflow_provider_sms.records import Balance, Receipt
from airflow_provider_sms.vendors.base import ConnectionField, Limits, Operation, Vendor
from airflow_provider_sms.vendors.linkws_tables import CODES
from airflow_provider_sms.vendors.soap_fields import SOAP_FIELDS
from airflow_provider_sms.vendors.xml import single_value
from airflow_provider_sms.vendors.xml_tree import UNCARRIED
from airflow_provider_sms.wire import SoapCall, WireRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from airflow_provider_sms.records import Submission
    from airflow_provider_sms.vendors.base import Account
    from airflow_provider_sms.wire import WireResponse

_SOAP_PATH = "/sdk2/LinkWS.asmx"
#: The document lost the operation's name; BatchSend2 is what public clients of this service call.
_SEND_OPERATIONS = ("BatchSend2", "IntlSend", "BatchSend", "Send2", "Send")
_OPERATION_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_MD5 = re.compile(r"[0-9A-Fa-f]{32}")
_INTEGER = re.compile(r"(-?)([0-9]{1,20})")
#: The document prints some codes with an en dash, and typesetting knows more of them.
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212\uff0d", "-"))
_BALANCE_INTERVAL = 30.0


class LinkWSVendor(Vendor):
    """LinkWS: send and balance, over HTTP or SOAP."""

    name = "linkws"
    title = "LinkWS sdk2"
    conn_type = "sms_linkws"
    login_label = "CorpID (帐号)"
    host_example = "sms.example.com:8443"
    #: The document knows no other (一, 二).
    scheme = "https"
    document = "LinkWS sdk2 Webservice 与 HTTP 接口"
    #: 500 numbers a call are what the vendor advises (一, 二); it states no length of the extension number.
    limits = Limits(numbers=500, characters=300, extno_digits=20, signature_at_end=True)
    intervals: ClassVar[Mapping[Operation, float]] = {Operation.BALANCE: _BALANCE_INTERVAL}
    codes = CODES
    fields: ClassVar[Sequence[ConnectionField]] = (
        ConnectionField(
            "protocol", "Protocol", "HTTP pages, or SOAP.", default="http", choices=("http", "soap")
        ),
        ConnectionField(
            "method",
            "HTTP method",
            "POST keeps the credential out of addresses, which get logged; some accounts are limited to GET.",
            default="post",
            choices=("post", "get"),
        ),
        ConnectionField(
            "password_is_md5",
            "Password is an MD5",
            "The password is the 32-digit MD5 that the vendor gave, not the password it was made of.",
            "boolean",
            default=False,
        ),
        ConnectionField(
            "send_operation",
            "Send operation",
            "SOAP operation that sends, where the vendor's server has another than BatchSend2.",
            default="",
        ),
        *SOAP_FIELDS,
    )

    def check_options(self, options: Mapping[str, Any]) -> list[str]:
        """Find a send operation that cannot be a name, or that the packaged WSDL does not have."""
        name = str(options.get("send_operation") or "")
        if not name:
            return []
        if not _OPERATION_NAME.fullmatch(name):
            return ["extra field 'send_operation' must be the name of a SOAP operation, such as BatchSend2"]
        if options.get("wsdl") != "fetch" and name not in _SEND_OPERATIONS:
            problem = (
                f"extra field 'send_operation' names {name!r}, which the WSDL of this package does not have: "
                "set the extra field 'wsdl' to 'fetch'"
            )
            return [problem]
        return []

    def content_problems(self, account: Account, content: str) -> list[str]:
        """Find what the vendor would refuse; also a password that is no MD5 though it is said to be one."""
        problems = super().content_problems(account, content) + self._password_problems(account)
        if self._by_soap(account) and (found := UNCARRIED.findall(content)):
            named = ", ".join(f"U+{ord(character):04X}" for character in dict.fromkeys(found))
            problems.append(f"SOAP cannot carry the control characters {named}: remove them")
        return problems

    # --- send ------------------------------------------------------------------------------------

    def submit_request(self, account: Account, submission: Submission) -> WireRequest | SoapCall:
        """
        Make the call that sends one text (一, 二).

        :raises PreflightError: the password is not the MD5 that the connection says it is.
        """
        arguments = {
            **self._login(account),
            "Mobile": ",".join(submission.mobiles),
            "Content": submission.content,
            "Cell": submission.extno,
            "SendTime": self.local_time(account, submission.send_at, "%Y%m%d%H%M%S"),
        }
        chosen = str(account.options.get("send_operation") or "")
        return self._call(account, "IntlSend.aspx", (chosen,) if chosen else _SEND_OPERATIONS, arguments)

    def parse_submit(self, account: Account, response: WireResponse) -> Receipt:
        """Read the batch id, which is any integer above 0."""
        answer = self._integer(Operation.SEND, account, response)
        number = int(answer)
        if number < 0:
            self.refuse(Operation.SEND, account, str(number))
        if number == 0:
            # Neither a yes (大于0) nor a code of the table: whether anything was sent is not known.
            raise self.broken(Operation.SEND, account, "0, which its document does not list")
        return Receipt(code=answer, vendor_batch_id=answer)

    # --- balance ---------------------------------------------------------------------------------

    def balance_request(self, account: Account) -> WireRequest | SoapCall:
        """
        Make the call that asks for the messages left (一 (二), 二 (二)).

        :raises PreflightError: the password is not the MD5 that the connection says it is.
        """
        return self._call(account, "GetBalance.aspx", ("GetBalance",), self._login(account))

    def parse_balance(self, account: Account, response: WireResponse) -> Balance:
        """Read the messages left; a code below 0 never is a balance."""
        number = int(self._integer(Operation.BALANCE, account, response))
        if number >= 0:
            return Balance(Decimal(number), self.balance_unit)
        try:
            self.refuse(Operation.BALANCE, account, str(number))
        except errors.VendorBusy as busy:
            busy.retry_after = _BALANCE_INTERVAL
            raise

    # ---------------------------------------------------------------------------------------------

    def _by_soap(self, account: Account) -> bool:
        return account.options.get("protocol") == "soap"

    def _call(
        self, account: Account, page: str, operations: tuple[str, ...], arguments: dict[str, str]
    ) -> WireRequest | SoapCall:
        if self._by_soap(account):
            return SoapCall(
                path=_SOAP_PATH,
                operations=operations,
                arguments=arguments,
                wsdl=self.name,
                fetch_wsdl=account.options.get("wsdl") == "fetch",
                version=str(account.options.get("soap_version") or "1.2"),
            )
        form = self.form(account, arguments)
        if account.options.get("method") == "get":
            return WireRequest("GET", f"/sdk2/{page}", query=form)
        # What .NET calls GB2312 is code page 936, which is GBK.
        charset = "gb2312" if account.charset == "gbk" else account.charset
        return WireRequest(
            "POST",
            f"/sdk2/{page}",
            body=form.encode("ascii"),
            headers={"Content-Type": f"application/x-www-form-urlencoded; charset={charset}"},
        )

    def _login(self, account: Account) -> dict[str, str]:
        if problems := self._password_problems(account):
            raise errors.PreflightError(problems, f"connection {account.conn_id!r}")
        password = account.password
        if not account.options.get("password_is_md5"):
            # The vendor prescribes MD5; nothing here relies on its strength.
            password = hashlib.md5(password.encode("utf-8"), usedforsecurity=False).hexdigest()
        return {"CorpID": account.login, "Pwd": password}

    def _password_problems(self, account: Account) -> list[str]:
        if not account.options.get("password_is_md5") or _MD5.fullmatch(account.password):
            return []
        problem = (
            "the password is not an MD5 of 32 hexadecimal digits: correct it, or unset the extra field "
            "'password_is_md5' if it is the password itself"
        )
        return [problem]

    def _integer(self, operation: Operation, account: Account, response: WireResponse) -> str:
        """Give the one integer of an answer, bare or in XML."""
        # An ASPX page may stand in blanks.
        if response.body.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"<"):
            try:
                answer = single_value(response)
            except errors.WireFormatError as error:
                raise self.broken(operation, account, str(error)) from None
        else:
            answer = self.answer_text(operation, account, response).strip()
        answer = answer.translate(_DASHES)
        if not _INTEGER.fullmatch(answer):
            raise self.broken(operation, account, "something that is not one integer")
        return answer
