"""
Hooks: one account of an SMS vendor behind an Airflow connection.

``SmsHook.for_connection("my_conn")`` gives the subclass of the connection's vendor.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseHook, mask_secret

from airflow_provider_sms.errors import PreflightError, SmsError, VendorRejected, VendorUnreachable
from airflow_provider_sms.hooks.missing import failed_source
from airflow_provider_sms.hooks.outside import find_connection
from airflow_provider_sms.hooks.store import DEFAULT_STORE_CONN_ID, open_store
from airflow_provider_sms.records import Queue, amount
from airflow_provider_sms.redact import secret_forms

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_sms.gateway import Gateway
    from airflow_provider_sms.records import Balance, Reply, Report
    from airflow_provider_sms.store.engine import Store
    from airflow_provider_sms.vendors.base import Account, Vendor

_NO_CONNECTION = (
    "there is no such connection: create it under Admin > Connections, or with 'airflow connections add'"
)


class SmsHook(BaseHook):
    """
    Talk to the SMS vendor of a connection, whichever it is.

    :param sms_conn_id: id of a connection of a type ``sms_<vendor>``.
    :param store_conn_id: id of the connection of the store that remembers what was sent; a SQLite file in
        ``$AIRFLOW_HOME/sms`` if no such connection exists.
    """

    conn_name_attr: ClassVar[str] = "sms_conn_id"
    default_conn_name: ClassVar[str] = "sms_default"
    conn_type: ClassVar[str] = "sms"
    hook_name: ClassVar[str] = "SMS"

    #: Name of the vendor; ``None`` here, since the connection's type decides.
    vendor_name: ClassVar[str | None] = None

    def __init__(self, sms_conn_id: str | None = None, *, store_conn_id: str = DEFAULT_STORE_CONN_ID) -> None:
        super().__init__()
        self.sms_conn_id = sms_conn_id or self.default_conn_name
        self.store_conn_id = store_conn_id
        self._checked: tuple[Vendor, Account] | None = None

    @classmethod
    def for_connection(cls, conn_id: str, *, store_conn_id: str = DEFAULT_STORE_CONN_ID) -> SmsHook:
        """
        Give the hook of the connection's vendor.

        :param conn_id: id of a connection of a type ``sms_<vendor>``.
        :param store_conn_id: as for the class.
        :raises PreflightError: the connection does not exist or is of no vendor's type.
        :raises VendorUnreachable: Airflow cannot look the connection up now.
        """
        from airflow_provider_sms.vendors.registry import vendor_of_type

        conn_type = account_connection(conn_id).conn_type
        vendor = vendor_of_type(conn_type or "", conn_id)
        hook_class = next((each for each in cls.__subclasses__() if each.vendor_name == vendor.name), cls)
        return hook_class(conn_id, store_conn_id=store_conn_id)

    # --- what stands behind the connection -------------------------------------------------------

    @property
    def vendor(self) -> Vendor:
        """The codec of the connection's vendor."""
        return self._check()[0]

    @property
    def account(self) -> Account:
        """
        The checked connection.

        :raises PreflightError: listing every wrong or missing field.
        """
        return self._check()[1]

    def gateway(self) -> Gateway:
        """Open the account's calls; close it after use (it is a context manager)."""
        from airflow_provider_sms.gateway import Gateway

        return Gateway(*self._check())

    def store(self) -> Store:
        """Open the store; errors as in :func:`~airflow_provider_sms.hooks.store.open_store`."""
        return open_store(self.store_conn_id)

    def _check(self) -> tuple[Vendor, Account]:
        if self._checked is None:
            vendor, account = check_connection(account_connection(self.sms_conn_id), self.sms_conn_id)
            if self.vendor_name not in {None, vendor.name}:
                msg = (
                    f"it is of vendor {vendor.name!r}, this hook is for {self.vendor_name!r}: "
                    "use SmsHook.for_connection"
                )
                raise PreflightError([msg], f"connection {self.sms_conn_id!r}")
            self._checked = vendor, account
        return self._checked

    # --- calls -----------------------------------------------------------------------------------

    def send(
        self,
        recipients: Any,
        content: str,
        *,
        send_key: str | None = None,
        send_at: Any = None,
        extno: str = "",
        on_unknown: str = "fail",
    ) -> dict[str, Any]:
        """
        Send one text to many numbers, at most once per send key.

        In a task (``@task``), Airflow tries again after any of these errors. Under the same key that is
        harmless: what was accepted or is not known is not sent again. So give a key there that is the same
        for every try, and another one for each send of the task.

        :param recipients: a number, a list of numbers, a list of dicts or a DataFrame with ``mobile``.
        :param content: the text.
        :param send_key: what makes it the same send when it is tried again, for instance
            ``f"{run_id}/welcome"``. A task must give one; elsewhere it is random if empty, and both the log
            and errors name it.
        :param send_at: when to send it; a time without a zone is meant in the account's (Chinese) time.
        :param extno: extension digits behind the sender's number.
        :param on_unknown: ``fail``, ``ignore`` or ``resend`` batches whose outcome is not known.
        :return: ``{"send_key", "recipients", "segments", "accepted", "rejected", "unknown", "not_sent"}``.
        :raises PreflightError: listing every problem, such as a task without a ``send_key``; nothing was
            sent.
        :raises VendorRejected: the vendor refused a batch.
        :raises SubmitNotSent: batches are left that surely were not sent; call again with the same key.
        :raises SubmitUnknown: the outcome of some batches is not known.
        """
        return self._send(recipients, content, None, send_key, send_at, extno, on_unknown)

    def send_template(
        self,
        recipients: Any,
        template: str,
        *,
        send_key: str | None = None,
        send_at: Any = None,
        extno: str = "",
        on_unknown: str = "fail",
    ) -> dict[str, Any]:
        """
        Send each recipient a text of their own; otherwise as :meth:`send`.

        :param recipients: rows with ``mobile`` and the template's fields.
        :param template: ``"{name}，您的验证码 {code}"``.
        """
        return self._send(recipients, None, template, send_key, send_at, extno, on_unknown)

    def _send(
        self,
        recipients: Any,
        content: str | None,
        template: str | None,
        send_key: str | None,
        send_at: Any,
        extno: str,
        on_unknown: str,
    ) -> dict[str, Any]:
        from airflow_provider_sms.hooks.origin import made_up_send_key
        from airflow_provider_sms.recipients import from_values
        from airflow_provider_sms.sending import SendOrder, send

        order = SendOrder(
            send_key=send_key or made_up_send_key(self.log),
            content=content,
            template=template,
            send_at=send_at,
            extno=extno,
            on_unknown=on_unknown,
        )
        telling = nullcontext() if send_key else _naming(order.send_key)
        with telling, self.gateway() as gateway:
            return send(gateway, self.store(), order, lambda: from_values(recipients), log=self.log)

    def balance(self) -> Balance:
        """
        Ask what is left on the account; changes nothing.

        :return: the amount with its unit; zero is a balance, an error code never is one.
        :raises VendorRejected: the vendor said no.
        :raises VendorBusy: asked too soon (linkws answers every 30 s).
        :raises VendorUnreachable: no answer.
        :raises WireFormatError: the answer is not the vendor's.
        """
        with self.gateway() as gateway:
            return gateway.balance()

    def check_words(self, content: str) -> list[str]:
        """
        Ask which words of a text the vendor forbids; errors as in :meth:`balance`.

        :return: the words, none if the text is fine.
        :raises NotSupported: the vendor has no word check.
        """
        with self.gateway() as gateway:
            return list(gateway.check_words(content))

    def read_reports(self) -> list[Report]:
        """
        Take one page of delivery reports off the vendor's queue.

        **The vendor deletes what it hands over: what you do with the list is the only copy.** To have it
        journalled and landed in tables, use ``SmsCollectOperator`` or ``SmsReportSensor`` instead.

        :return: the complete records of one page; an empty list when the queue is empty.
        :raises VendorUnreachable: no answer; the text says whether records may be lost.
        :raises WireFormatError: the answer is not the vendor's; it is lost with this call.
        """
        return self._read(Queue.REPORTS)

    def read_replies(self) -> list[Reply]:
        """
        Take one page of replies off the vendor's queue.

        **The vendor deletes what it hands over: what you do with the list is the only copy.** To have it
        journalled and landed in tables, use ``SmsCollectOperator`` or ``SmsReplySensor`` instead.

        :return: the complete records of one page; an empty list when the queue is empty.
        :raises VendorUnreachable: no answer; the text says whether records may be lost.
        :raises WireFormatError: the answer is not the vendor's; it is lost with this call.
        """
        return self._read(Queue.REPLIES)

    def _read(self, queue: Queue) -> list[Any]:
        from airflow_provider_sms.transport.failures import NoAnswer

        where = f"connection {self.sms_conn_id!r}"
        with self.gateway() as gateway:
            request = gateway.prepare_read(queue)
            try:
                response = gateway.read(request)
            except NoAnswer as failure:
                most = gateway.vendor.page_size(gateway.account, queue)
                lost = f"the vendor may have deleted up to {most} records that never arrived"
                lost = "nothing was read" if failure.surely_not_sent else lost
                raise VendorUnreachable(f"{where}: {failure.reason}; {lost}") from None
            page = gateway.parse(queue, response)
        if page.problem or not page.complete:
            self.log.warning("%s: the page is not whole: %s", where, page.problem)
        return list(page.records)

    def test_connection(self) -> tuple[bool, str]:
        """Ask for the balance, which proves address and password and sends nothing."""
        try:
            balance = self.balance()
        except SmsError as error:
            # Of one that is not saved yet, the id is Airflow's own and says nothing to whoever pressed Test;
            # of one that is not there, it is what is to be created or corrected.
            if _is_missing(error):
                return False, str(error)
            return False, str(error).replace(f"connection {self.sms_conn_id!r}", "this connection")
        return True, f"The vendor answered: {amount(balance.remaining, balance.unit)} left. Nothing was sent."

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Give captions and placeholders of the connection form, as in the provider info."""
        from airflow_provider_sms.vendors.forms import ui_field_behaviour
        from airflow_provider_sms.vendors.registry import vendor_named

        return ui_field_behaviour(vendor_named(cls.vendor_name)) if cls.vendor_name else {}


class BeidoutongHook(SmsHook):
    """北斗通: SOAP or form POST; sends, balance, reports, replies."""

    conn_type = "sms_beidoutong"
    hook_name = "SMS: beidoutong 北斗通"
    default_conn_name = "sms_beidoutong_default"
    vendor_name = "beidoutong"


class WavecomHook(SmsHook):
    """企业短信通: GET; sends, balance, reports, replies."""

    conn_type = "sms_wavecom"
    hook_name = "SMS: wavecom 企业短信通"
    default_conn_name = "sms_wavecom_default"
    vendor_name = "wavecom"


class LinkWSHook(SmsHook):
    """LinkWS: HTTP or SOAP; sends and balance."""

    conn_type = "sms_linkws"
    hook_name = "SMS: linkws"
    default_conn_name = "sms_linkws_default"
    vendor_name = "linkws"


class SmsAdminHook(SmsHook):
    """通用短信平台: POST or GET; sends, templates, word check, balance, reports, replies, push."""

    conn_type = "sms_smsadmin"
    hook_name = "SMS: smsadmin 通用短信平台"
    default_conn_name = "sms_smsadmin_default"
    vendor_name = "smsadmin"


def check_connection(connection: Any, conn_id: str) -> tuple[Vendor, Account]:
    """
    Check a connection that was looked up already, as a trigger does it on its event loop.

    :param connection: what Airflow gave.
    :param conn_id: its id.
    :return: the codec of its vendor, and the account.
    :raises PreflightError: listing every wrong or missing field.
    """
    from airflow_provider_sms.vendors.accounts import check_account
    from airflow_provider_sms.vendors.registry import vendor_of_type

    # Airflow masks the plain password only; these vendors take it quoted and as MD5 as well.
    for form in secret_forms(connection.password or ""):
        mask_secret(form)
    vendor = vendor_of_type(connection.conn_type or "", conn_id)
    account = check_account(
        vendor,
        conn_id,
        host=connection.host,
        port=connection.port,
        schema=connection.schema,
        login=connection.login,
        password=connection.password,
        extra=_extra(connection, conn_id),
    )
    return vendor, account


@contextmanager
def _naming(made_up_key: str) -> Iterator[None]:
    """Let whatever ends a send tell the key that was made up for it."""
    how = f"Call again with send_key={made_up_key!r}: without it, whoever has the text already gets it again"
    try:
        yield
    except SmsError as error:
        error.args = (f"{error}\n{how}",)
        raise
    except BaseException as error:  # a notebook's interrupt, for one
        error.add_note(how)
        raise


def was_found(error: Exception) -> bool:
    """Tell whether an error is about a connection that Airflow has and that is wrong."""
    if isinstance(error, PreflightError):
        return not _is_missing(error)
    return isinstance(error, VendorRejected)


def _is_missing(error: Exception) -> bool:
    return isinstance(error, PreflightError) and error.problems == (_NO_CONNECTION,)


def account_connection(conn_id: str) -> Any:
    """
    Give the connection of an account; this blocks.

    :param conn_id: its id.
    :raises PreflightError: there is no such connection.
    :raises VendorUnreachable: it cannot be looked up now.
    """
    if (connection := find_connection(conn_id)) is not None:
        return connection
    if failure := failed_source(conn_id):
        msg = (
            f"connection {conn_id!r} cannot be looked up ({failure}), so nothing was sent or read: try "
            "again once what Airflow keeps its connections in answers. Where a script may not ask it, set "
            f"AIRFLOW_CONN_{conn_id.upper()}"
        )
        raise VendorUnreachable(msg)
    raise PreflightError([_NO_CONNECTION], f"connection {conn_id!r}")


def _extra(connection: Any, conn_id: str) -> dict[str, Any]:
    import json

    raw = connection.extra
    if not raw:
        return {}
    try:
        extra = json.loads(raw)
    except ValueError:
        extra = None
    if not isinstance(extra, dict):
        msg = 'extra is no JSON object: write it like {"userid": "1001"}'
        raise PreflightError([msg], f"connection {conn_id!r}")
    return extra


__all__: Sequence[str] = ["BeidoutongHook", "LinkWSHook", "SmsAdminHook", "SmsHook", "WavecomHook"]
