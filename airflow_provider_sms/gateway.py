"""
One account's calls: a vendor's codec, the SOAP codec and the transport behind one door.

What a failure means depends on what was asked. A submit without an answer is either surely not sent or
unknown; a balance without an answer can be asked again; a queue read without an answer may have cost
records, so it is reported as it happened and the caller keeps the books.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Self

from airflow_provider_sms import errors
from airflow_provider_sms.records import Queue
from airflow_provider_sms.vendors.base import Operation
from airflow_provider_sms.wire import SoapCall

if TYPE_CHECKING:
    from types import TracebackType

    from airflow_provider_sms.records import Balance, Page, Receipt, Reply, Report, ReportPage, Submission
    from airflow_provider_sms.transport.base import Transport
    from airflow_provider_sms.vendors.base import Account, Vendor
    from airflow_provider_sms.wire import WireRequest, WireResponse

#: Statuses by which a web server, not the vendor's application, says "later".
_BUSY_STATUSES = frozenset({429, 503})
#: Those by which it says that the service is not at this address.
_NOT_HERE = frozenset({404, 405, 410})
#: Those by which something on the way, or the web server, does not let us in; no address mends that.
_NOT_LET_IN = {
    401: "it wants a log-in of its own, as these vendors do not: ask what stands before the service",
    403: "a firewall, a proxy or the vendor's list of allowed addresses keeps this machine out",
    407: "the proxy wants a user name and a password: put them into the connection's extra field 'proxy'",
}


class Gateway:
    """
    Everything that one account can be asked for.

    Thread-safe; close it, or use it as a context manager.

    :param vendor: the codec.
    :param account: the checked connection.
    :param transport: how bytes travel; HTTP to the account's endpoint by default.
    """

    def __init__(self, vendor: Vendor, account: Account, transport: Transport | None = None) -> None:
        from airflow_provider_sms.transport.http import HttpTransport

        self.vendor = vendor
        self.account = account
        self._transport: Transport = transport or HttpTransport(account.endpoint)
        self._fetched_wsdl: dict[str, bytes] = {}
        #: Whether a queue is being read, and the vendor has the word.
        self.is_waiting = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections to the vendor."""
        self._transport.close()

    @property
    def longest_submit(self) -> float:
        """Seconds that one submit can take at most, the reading of the vendor's WSDL included."""
        calls = 2 if self.account.options.get("wsdl") == "fetch" else 1
        return calls * self.account.endpoint.timeout

    # --- submits ---------------------------------------------------------------------------------

    def submit(self, submission: Submission, *, template: bool = False) -> Receipt:
        """
        Send one batch, once.

        :param template: whether the submission is a template with a row of values per number.
        :raises VendorRejected: the vendor said no.
        :raises VendorBusy: the vendor said "later" and took nothing.
        :raises SubmitNotSent: it surely never reached the vendor.
        :raises SubmitUnknown: it may have been accepted.
        """
        from airflow_provider_sms.transport.failures import NoAnswer, RedirectRefused
        from airflow_provider_sms.transport.http import retry_after

        vendor, account = self.vendor, self.account
        request = (
            vendor.template_request(account, submission)
            if template
            else vendor.submit_request(account, submission)
        )
        try:
            wire = self._encode(request)
        except NoAnswer as error:
            # Only the service description was asked for: the batch itself has not left the house.
            raise errors.SubmitNotSent(self._says(f"the WSDL could not be read: {error.reason}")) from None
        except errors.VendorUnreachable as error:
            raise errors.SubmitNotSent(str(error)) from None
        except errors.WireFormatError as error:
            raise errors.SubmitNotSent(self._says(str(error))) from None
        try:
            # Never on a kept-alive connection: were it stale, "not sent" would become "unknown".
            response = self._transport.exchange(wire, fresh=True)
        except NoAnswer as error:
            if error.surely_not_sent:
                raise errors.SubmitNotSent(self._says(error.reason)) from None
            misdirected = isinstance(error, RedirectRefused)
            raise errors.SubmitUnknown(self._says(error.reason), misdirected=misdirected) from None
        if response.status != HTTPStatus.OK or not response.complete:
            # No status is proof that nothing was accepted, but some will not get better with the next batch.
            raise errors.SubmitUnknown(
                self._says(_trouble(response)),
                misdirected=response.status in _NOT_HERE,
                retry_after=retry_after(response) if response.status in _BUSY_STATUSES else None,
            )
        try:
            return (
                vendor.parse_template(account, response)
                if template
                else vendor.parse_submit(account, response)
            )
        except errors.WireFormatError as error:
            raise errors.SubmitUnknown(str(error), misdirected=is_web_page(response)) from None
        except errors.VendorBusy as busy:
            if busy.retry_after is None:
                busy.retry_after = retry_after(response)
            raise

    # --- questions that change nothing -----------------------------------------------------------

    def balance(self) -> Balance:
        """
        Ask what is left.

        :raises VendorUnreachable: no answer; nothing was changed, ask again.
        :raises WireFormatError: the answer is not the vendor's.
        """
        self.vendor.require(Operation.BALANCE, self.account.conn_id)
        response = self._ask(self.vendor.balance_request(self.account))
        return self.vendor.parse_balance(self.account, response)

    def check_words(self, content: str) -> tuple[str, ...]:
        """
        Ask which words of a text the vendor forbids; errors as in :meth:`balance`.

        :raises NotSupported: the vendor has no word check.
        """
        self.vendor.require(Operation.CHECK_WORDS, self.account.conn_id)
        response = self._ask(self.vendor.words_request(self.account, content))
        return self.vendor.parse_words(self.account, response)

    # --- destructive reads -----------------------------------------------------------------------

    def prepare_read(self, queue: Queue) -> WireRequest:
        """
        Make the bytes of a queue read, everything that can fail before the vendor is touched included.

        :raises NotSupported: the vendor has no such queue.
        :raises VendorUnreachable: the WSDL was to be fetched and could not be.
        """
        from airflow_provider_sms.transport.failures import NoAnswer

        self.vendor.require(Operation(queue.value), self.account.conn_id)
        reports = queue is Queue.REPORTS
        request = (
            self.vendor.reports_request(self.account)
            if reports
            else self.vendor.replies_request(self.account)
        )
        try:
            return self._encode(request)
        except NoAnswer as error:
            raise errors.VendorUnreachable(
                self._says(f"the WSDL could not be read: {error.reason}")
            ) from None
        except errors.WireFormatError as error:
            raise errors.WireFormatError(self._says(str(error))) from None

    def read(self, request: WireRequest) -> WireResponse:
        """
        Take one page off a queue: whatever arrives here is gone at the vendor.

        :raises NoAnswer: not a byte of an answer came.
        """
        self.is_waiting = True
        try:
            return self._transport.exchange(request)
        finally:
            self.is_waiting = False

    def parse(self, queue: Queue, response: WireResponse) -> Page[Report] | Page[Reply]:
        """
        Read a page's bytes.

        :raises VendorRejected: the vendor said no and handed over nothing.
        :raises VendorBusy: the vendor said "later" and handed over nothing.
        :raises WireFormatError: this is no page of the vendor.
        """
        if response.status != HTTPStatus.OK:
            raise errors.WireFormatError(self._says(_trouble(response)))
        if queue is Queue.REPORTS:
            return self.vendor.parse_reports(self.account, response)
        return self.vendor.parse_replies(self.account, response)

    def columns_of_reports(self, response: WireResponse) -> ReportPage | None:
        """Read a page of reports by columns; ``None`` if it takes :meth:`parse` to judge it."""
        return (
            self.vendor.columns_of_reports(self.account, response)
            if response.status == HTTPStatus.OK
            else None
        )

    def brings_reports(self, response: WireResponse) -> bool:
        """Tell at a glance that a page is whole and brings reports; ``False`` if that takes a closer look."""
        return response.status == HTTPStatus.OK and self.vendor.brings_reports(self.account, response)

    # ---------------------------------------------------------------------------------------------

    def _ask(self, request: WireRequest | SoapCall) -> WireResponse:
        from airflow_provider_sms.transport.failures import NoAnswer
        from airflow_provider_sms.transport.http import retry_after

        try:
            response = self._transport.exchange(self._encode(request))
        except NoAnswer as error:
            msg = self._says(f"{error.reason}; nothing was sent or changed, try again")
            raise errors.VendorUnreachable(msg) from None
        if response.status in _BUSY_STATUSES:
            raise errors.VendorBusy(
                self._says(_trouble(response)), str(response.status), retry_after(response)
            )
        if response.status != HTTPStatus.OK or not response.complete:
            # What does not let us in has its advice with it.
            advice = "" if response.status in _NOT_LET_IN else ". Check the connection's host and path"
            msg = self._says(f"{_trouble(response)}; nothing was sent or changed{advice}")
            raise errors.WireFormatError(msg)
        return response

    def _encode(self, request: WireRequest | SoapCall) -> WireRequest:
        if not isinstance(request, SoapCall):
            return request
        from airflow_provider_sms.transport.soap import SoapCodec

        codec = SoapCodec(self.account.endpoint)
        wsdl = self._fetch_wsdl(request) if request.fetch_wsdl else None
        return codec.encode(request, wsdl)

    def _fetch_wsdl(self, call: SoapCall) -> bytes:
        from airflow_provider_sms.transport.soap import fetch_request

        if call.path not in self._fetched_wsdl:
            response = self._transport.exchange(fetch_request(call))
            if response.status != HTTPStatus.OK or not response.complete:
                msg = self._says(f"asked for its WSDL: {_trouble(response)}; nothing was sent or read")
                raise errors.VendorUnreachable(msg)
            self._fetched_wsdl[call.path] = response.body
        return self._fetched_wsdl[call.path]

    def _says(self, what: str) -> str:
        return f"connection {self.account.conn_id!r} ({self.vendor.name}): {what}"


def is_web_page(response: WireResponse) -> bool:
    """Whether a web page came in place of the vendor's answer: a login, an error, a parked name."""
    start = response.body[:512].lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html")) or b"<html" in start


def _trouble(response: WireResponse) -> str:
    if response.status != HTTPStatus.OK:
        said = f"the server answered HTTP {response.status} instead of the vendor's answer"
        why = _NOT_LET_IN.get(response.status)
        return f"{said} ({why})" if why else said
    return f"the answer was cut off ({response.problem})"
