"""
What every vendor is made of.

A vendor is one class: declarations (names, limits, code tables, connection fields) and pairs of pure
functions, ``x_request(account, ...)`` that says which bytes go out and ``parse_x(account, response)``
that reads what came back. Parsers follow one rule: whatever bytes come in, they return or raise one of
this package's own errors, and bytes that are not the vendor's format raise
:class:`~airflow_provider_sms.errors.WireFormatError`. A queue's parser also works on an incomplete
body: it returns the complete records, says that the page is not whole, and never guesses.
"""

from __future__ import annotations

import codecs
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar, NoReturn

from airflow_provider_sms import errors, text
from airflow_provider_sms.vendors.declarations import Account, Code, Limits, NativeTemplate, Operation
from airflow_provider_sms.vendors.fields import ConnectionField

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from airflow_provider_sms.records import (
        Balance,
        Page,
        Pushed,
        Queue,
        Receipt,
        Reply,
        Report,
        ReportPage,
        Submission,
    )
    from airflow_provider_sms.wire import SoapCall, WireRequest, WireResponse

__all__ = ["Account", "Code", "ConnectionField", "Limits", "NativeTemplate", "Operation", "Vendor"]

#: Bytes of an answer in text: a hundred times what a page has. More would keep a worker busy for long.
LONGEST_TEXT = 8 << 20
_SHOWABLE_CODE = re.compile(r"-?[0-9]{1,4}")


class Vendor:
    """
    The base of all vendors; a subclass declares itself and overrides the pairs it documents.

    An operation that is not in :attr:`codes` is not supported, and asking for it raises
    :class:`~airflow_provider_sms.errors.NotSupported` before any bytes exist.
    """

    #: Our short name, as in tables and file names.
    name: ClassVar[str]
    #: The product's own name.
    title: ClassVar[str]
    #: Airflow connection type, also the class of forms.
    conn_type: ClassVar[str]
    #: Charset on the wire unless the connection says otherwise.
    charset: ClassVar[str] = "gbk"
    #: What one submit may hold, unless :meth:`limits_for` says otherwise.
    limits: ClassVar[Limits]
    #: Largest number of records one read hands over.
    page_sizes: ClassVar[Mapping[Queue, int]] = {}
    #: Least seconds between two calls of an operation.
    intervals: ClassVar[Mapping[Operation, float]] = {}
    #: Return codes per operation; its keys are the operations that the vendor documents.
    codes: ClassVar[Mapping[Operation, Mapping[str, Code]]]
    #: Connection fields of this vendor alone.
    fields: ClassVar[Sequence[ConnectionField]] = ()
    #: Captions of the connection form's host, login, password.
    login_label: ClassVar[str] = "Account"
    #: Placeholders of the connection form.
    host_example: ClassVar[str] = "sms.example.com"
    #: Where the connection names no scheme.
    scheme: ClassVar[str] = "http"
    #: Balances are counted in "messages" or in "money".
    balance_unit: ClassVar[str] = "messages"
    #: Whether reports bear the reference that we gave with the submit.
    reports_bear_reference: ClassVar[bool] = False
    #: Where the vendor's document stands, for the docs pages.
    document: ClassVar[str] = ""

    # --- what a connection of this vendor can do -------------------------------------------------

    @property
    def operations(self) -> tuple[Operation, ...]:
        """The operations the vendor documents."""
        return tuple(self.codes)

    def supports(self, operation: Operation) -> bool:
        """Whether the vendor documents an operation."""
        return operation in self.codes

    def require(self, operation: Operation, conn_id: str) -> None:
        """
        Refuse an operation that the vendor lacks.

        :raises NotSupported: naming the connection and what the vendor can do instead.
        """
        if not self.supports(operation):
            can = ", ".join(self.operations)
            msg = (
                f"connection {conn_id!r}: {self.title} ({self.name}) documents no operation "
                f"{operation.value!r}; nothing was sent or read. It can do: {can}. "
                "Use a connection of another vendor for this."
            )
            raise errors.NotSupported(msg)

    def check_options(self, options: Mapping[str, Any]) -> list[str]:
        """
        Find what is wrong with a connection's fields beyond their types; one sentence each.

        :param options: extra fields with defaults.
        """
        del options
        return []

    def limits_for(self, account: Account) -> Limits:
        """Give the limits of one connection (some depend on its protocol)."""
        del account
        return self.limits

    def page_size(self, account: Account, queue: Queue) -> int:
        """Give the number of records that one read of a queue hands over at most."""
        del account
        return self.page_sizes[queue]

    # --- checks before anything is sent ----------------------------------------------------------

    def content_problems(self, account: Account, content: str) -> list[str]:
        """
        Find everything the vendor would refuse in a text; one sentence each, without the text.

        :param content: the whole text with its signature.
        """
        limits = self.limits_for(account)
        problems = []
        says_nothing = text.says_nothing(content)
        if says_nothing:
            but = " but for its signature" if "【" in content else ""
            problems.append(f"the text is empty{but}: give it a content")
        if "\0" in content:
            problems.append("the text holds the character U+0000, which no phone shows: remove it")
        missing = text.unencodable(content, account.charset)
        if missing:
            shown = " ".join(f"{character!r} (U+{ord(character):04X})" for character in missing[:10])
            problems.append(
                f"the vendor's charset ({account.charset}) has no {shown}"
                f"{' and more' if len(missing) > 10 else ''}: replace these characters"  # noqa: PLR2004 - as shown above
            )
        length = text.utf16_length(content)
        if limits.characters is not None and length > limits.characters:
            problems.append(
                f"the text has {length} characters, the vendor takes {limits.characters}: "
                f"shorten it by {length - limits.characters}"
            )
        if limits.signature_at_end and not says_nothing and not text.ends_with_signature(content):
            problems.append(
                "the text must end with your company's signature in 【】, for instance 【公司】: "
                "put it there, or leave it out and set the connection's extra field 'signature'"
            )
        return problems

    def extno_problems(self, account: Account, extno: str) -> list[str]:
        """Find what is wrong with an extension number."""
        digits = self.limits_for(account).extno_digits
        if not extno:
            return []
        if not digits:
            return [f"{self.name} takes no extno: leave it empty"]
        if not (extno.isascii() and extno.isdigit()) or len(extno) > digits:
            return [f"extno must be at most {digits} digits"]
        return []

    def native_template(
        self, account: Account, template: str, fields: Sequence[str]
    ) -> NativeTemplate | None:
        """
        Translate a template (``"{name}，您的验证码 {code}"``) to the vendor's own; ``None`` if it has none.

        :param fields: names of the placeholders in order of appearance, repeats included.
        """
        del account, template, fields
        return None

    def template_row_fits(self, account: Account, values: Sequence[str]) -> bool:
        """Whether a row's values can be expressed in a template submit."""
        del account, values
        return False

    def template_misfits(self, account: Account, columns: Sequence[Sequence[str]]) -> list[int]:
        """Name the rows, from 0, that :meth:`template_row_fits` refuses; one column of values per field."""
        rows = enumerate(zip(*columns, strict=True))
        return [row for row, values in rows if not self.template_row_fits(account, values)]

    # --- the pairs -------------------------------------------------------------------------------

    def submit_request(self, account: Account, submission: Submission) -> WireRequest | SoapCall:
        """Make the request that sends one text to many numbers."""
        raise self._lacks(Operation.SEND, account, submission)

    def parse_submit(self, account: Account, response: WireResponse) -> Receipt:
        """
        Read the answer to a submit.

        :raises VendorRejected: the vendor said no.
        :raises VendorBusy: the vendor said "later" and took nothing.
        :raises WireFormatError: the answer is not the vendor's; the outcome is unknown.
        """
        raise self._lacks(Operation.SEND, account, response)

    def template_request(self, account: Account, submission: Submission) -> WireRequest | SoapCall:
        """Make the request that sends a template with one row of values per number."""
        raise self._lacks(Operation.SEND_TEMPLATE, account, submission)

    def parse_template(self, account: Account, response: WireResponse) -> Receipt:
        """Read the answer to a template submit; errors as in :meth:`parse_submit`."""
        return self.parse_submit(account, response)

    def balance_request(self, account: Account) -> WireRequest | SoapCall:
        """Make the request that asks what is left."""
        raise self._lacks(Operation.BALANCE, account)

    def parse_balance(self, account: Account, response: WireResponse) -> Balance:
        """Read a balance; an error code never is one. Errors as in :meth:`parse_submit`."""
        raise self._lacks(Operation.BALANCE, account, response)

    def words_request(self, account: Account, content: str) -> WireRequest | SoapCall:
        """Make the request that asks for forbidden words in a text."""
        raise self._lacks(Operation.CHECK_WORDS, account, content)

    def parse_words(self, account: Account, response: WireResponse) -> tuple[str, ...]:
        """Read the forbidden words, none if the text is fine."""
        raise self._lacks(Operation.CHECK_WORDS, account, response)

    def reports_request(self, account: Account) -> WireRequest | SoapCall:
        """Make the request that takes one page of delivery reports off the vendor's queue."""
        raise self._lacks(Operation.REPORTS, account)

    def parse_reports(self, account: Account, response: WireResponse) -> Page[Report]:
        """
        Read a page of reports, complete or cut off.

        :raises VendorRejected: the vendor said no and handed over nothing.
        :raises VendorBusy: the vendor said "later" and handed over nothing.
        :raises WireFormatError: this is no page of reports.
        """
        raise self._lacks(Operation.REPORTS, account, response)

    def columns_of_reports(self, account: Account, response: WireResponse) -> ReportPage | None:
        """
        Read an ordinary page of reports by columns, several times as fast as :meth:`parse_reports`.

        :return: exactly what :meth:`parse_reports` reads, which is the authority; ``None`` for a page that is
            not whole, ordinary and free of problems, and for every page of a vendor that has no such reader.
        """
        del account, response
        return None

    def brings_reports(self, account: Account, response: WireResponse) -> bool:
        """
        Tell at a glance that a page is whole and brings reports.

        Then the queue is to be read on, whatever a closer look finds to be odd about one of them.

        :return: ``False`` where that takes a closer look, as for every page of a vendor whose are small.
        """
        del account, response
        return False

    def replies_request(self, account: Account) -> WireRequest | SoapCall:
        """Make the request that takes one page of replies off the vendor's queue."""
        raise self._lacks(Operation.REPLIES, account)

    def parse_replies(self, account: Account, response: WireResponse) -> Page[Reply]:
        """Read a page of replies, complete or cut off; errors as in :meth:`parse_reports`."""
        raise self._lacks(Operation.REPLIES, account, response)

    def parse_push(self, account: Account, query: str, body: bytes) -> Pushed:
        """
        Read one event that the vendor pushed.

        :param query: the raw query string.
        :param body: the raw form body.
        :raises WireFormatError: this is no event of the vendor.
        """
        raise self._lacks(Operation.PUSH, account, query, body)

    # --- for subclasses --------------------------------------------------------------------------

    def refuse(
        self, operation: Operation, account: Account, code: str, remark: str = "", words: Sequence[str] = ()
    ) -> NoReturn:
        """
        Raise the error that the operation's table gives for a code.

        :param code: the code as it stood on the wire; an en dash in place of the minus is accepted.
        :param remark: the vendor's own words; digits that look like numbers must be masked by the caller.
        :param words: forbidden words that the vendor named.
        :raises WireFormatError: when the table has no such code: what it means is not known.
        """
        # The documents print some codes with an en dash; the wire has a minus, mostly.
        code = code.replace("\u2013", "-")
        known = self.codes[operation].get(code)
        if known is None or known.error is None:
            # Something longer than a code may be a number or a text that the vendor echoes.
            shown = f"code {code!r}" if _SHOWABLE_CODE.fullmatch(code) else "a code"
            raise self.broken(operation, account, f"{shown}, which its document does not list")
        said = (
            f"connection {account.conn_id!r}: {self.name} refused {operation.value!r} "
            f"with code {code}: {known.meaning}"
        )
        if remark:
            said += f" ({remark})"
        message = f"{said}. {known.advice}".rstrip(" .") + "."
        if issubclass(known.error, errors.ContentRejected):
            raise known.error(message, code, words)
        raise known.error(message, code)

    def broken(self, operation: Operation, account: Account, what: str) -> errors.WireFormatError:
        """
        Make the error of an answer that is not the vendor's format.

        :param what: what came in place of what; never any of it.
        """
        msg = f"connection {account.conn_id!r}: {self.name} answered {operation.value!r} with {what}"
        return errors.WireFormatError(msg)

    def answer_text(
        self, operation: Operation, account: Account, response: WireResponse, *, whole: bool = True
    ) -> str:
        """
        Decode the text of an answer.

        :param whole: refuse an answer that did not arrive whole: a cut ``-10`` reads as ``-1``.
        :raises WireFormatError: when the web server answered in place of the vendor, a part is missing, or it
            is longer than any page.
        """
        if response.status != HTTPStatus.OK:
            raise self.broken(operation, account, f"HTTP status {response.status} and no answer of its own")
        if len(response.body) > LONGEST_TEXT:
            raise self.broken(operation, account, f"more than {LONGEST_TEXT:,} bytes, which no page has")
        if whole and not response.complete:
            raise self.broken(operation, account, "a part of its answer; the rest was cut off")
        # Whatever the charset, a page written by an editor may begin with UTF-8's mark.
        return text.decode(response.body.removeprefix(codecs.BOM_UTF8), account.charset)

    def form(self, account: Account, fields: Mapping[str, str]) -> str:
        """
        Make a query string or form body in the account's charset.

        :raises PreflightError: when a value does not fit in the charset, naming the field, not the value.
        """
        try:
            return text.form(dict(fields), account.charset)
        except UnicodeEncodeError:
            misfits = [name for name, value in fields.items() if text.unencodable(value, account.charset)]
        problem = (
            f"the vendor's charset ({account.charset}) cannot hold all characters of {', '.join(misfits)}: "
            "replace them, or set the connection's extra field 'encoding' if the vendor takes another charset"
        )
        raise errors.PreflightError([problem], f"connection {account.conn_id!r}")

    def local_time(self, account: Account, moment: datetime | None, layout: str) -> str:
        """Write a moment in the vendor's zone; nothing for ``None``, which means "at once"."""
        return "" if moment is None else moment.astimezone(account.timezone).strftime(layout)

    def _lacks(self, operation: Operation, account: Account, *_: object) -> errors.NotSupported:
        self.require(operation, account.conn_id)
        msg = f"{type(self).__name__} declares {operation.value!r} and does not implement it"
        raise NotImplementedError(msg)
