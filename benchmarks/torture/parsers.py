"""Every parse function of every vendor, with the answers on the wire shelf that it reads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from figures import CannotRun

from airflow_provider_sms.vendors.accounts import check_account
from airflow_provider_sms.vendors.base import Operation
from airflow_provider_sms.vendors.registry import vendors
from airflow_provider_sms.wire import WireResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_sms.vendors.base import Account, Vendor

_WIRE = Path(__file__).parents[2] / "tests" / "wire"
#: Operation, the kind of its samples as file names say it, and its parse function.
_KINDS = {
    Operation.SEND: ("submit", "parse_submit"),
    Operation.SEND_TEMPLATE: ("template", "parse_template"),
    Operation.BALANCE: ("balance", "parse_balance"),
    Operation.CHECK_WORDS: ("words", "parse_words"),
    Operation.REPORTS: ("reports", "parse_reports"),
    Operation.REPLIES: ("replies", "parse_replies"),
    Operation.PUSH: ("push", "parse_push"),
}
_PAGES = {Operation.REPORTS, Operation.REPLIES}
#: Options under which a vendor reads the same bytes by other rules.
_VARIANTS = {("smsadmin", Operation.REPLIES): ({}, {"replies_page": "plain"})}
_UNUSED = re.compile(rb"<\?xml[^>]*\?>\s*| xmlns:xs[id]=\"[^\"]*\"")


class Parser(NamedTuple):
    """
    One parse function, bound to an account.

    :param name: ``"wavecom reports"``; with the options if the same bytes are read by other rules.
    :param pages: whether it gives a page of records, and reads what was cut off.
    :param samples: answers (or pushed events) that it reads, of every protocol that the vendor speaks.
    :param parse: the function: account and response, for a push account, query and body.
    :param columns: the fast reading of the same bytes, which must agree with it or abstain; mostly none.
    """

    name: str
    pages: bool
    samples: tuple[bytes, ...]
    account: Account
    parse: Callable[..., Any]
    pushed: bool
    columns: Callable[..., Any] | None

    def read(self, body: bytes, *, complete: bool = True) -> Any:
        """Read bytes as the collect flow does."""
        if self.pushed:
            return self.parse(self.account, "", body)
        return self.parse(self.account, self.response(body, complete=complete))

    def response(self, body: bytes, *, complete: bool = True) -> WireResponse:
        """Make the answer that has these bytes."""
        return WireResponse(200, body, complete=complete)


def all_parsers() -> list[Parser]:
    """
    List them.

    :raises CannotRun: the wire shelf is not there.
    """
    if not _WIRE.is_dir():
        raise CannotRun(f"there is no {_WIRE}")
    return [
        _parser(vendor, operation, options)
        for vendor in vendors().values()
        for operation in vendor.operations
        for options in _VARIANTS.get((vendor.name, operation), ({},))
    ]


def account_of(vendor: Vendor, conn_id: str = "torture", **options: Any) -> Account:
    """Make an account at a host that is never asked."""
    required = {field.name: "42" for field in vendor.fields if field.required}
    return check_account(
        vendor,
        conn_id,
        host="sms.example.com",
        port=None,
        schema="https",
        login="uid1",
        password="Pa55 w&rd",  # noqa: S106 - of nobody
        extra={**required, **options},
    )


def _parser(vendor: Vendor, operation: Operation, options: dict[str, Any]) -> Parser:
    kind, function = _KINDS[operation]
    shown = "".join(f" ({value})" for value in options.values())
    return Parser(
        f"{vendor.name} {kind}{shown}",
        operation in _PAGES,
        tuple(_samples(vendor.name, kind)),
        account_of(vendor, **options),
        getattr(vendor, function),
        operation is Operation.PUSH,
        vendor.columns_of_reports if operation is Operation.REPORTS else None,
    )


def _samples(vendor: str, kind: str) -> Iterator[bytes]:
    for path in sorted((_WIRE / vendor).glob(f"*-{kind}*")):
        if path.suffix == ".json" or path.stem.split("-")[1] != kind:
            continue
        body = path.read_bytes()
        yield body
        # The same without what only makes it long: most defects show on few bytes, which are read faster.
        if (compact := _UNUSED.sub(b"", body)) != body and b"xsi:" not in compact:
            yield compact
