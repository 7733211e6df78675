"""What a vendor's side of the sandbox has to do, and the call it is given."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_sms.sandbox.accounts import Account
    from airflow_provider_sms.sandbox.exchange import Exchange
    from airflow_provider_sms.sandbox.settings import Settings
    from airflow_provider_sms.sandbox.wire import Answer, Request

Operation = Literal["send", "send_template", "balance", "words", "reports", "replies", "wsdl", "unreadable"]

_MOBILE = re.compile(r"1[0-9]{10}")


@dataclass(frozen=True)
class Call:
    """A request that a vendor recognised as its own.

    :param vendor: whose it is
    :param operation: what it asks for, in words common to all vendors
    :param page: the page or SOAP operation by the vendor's name
    :param request: the request itself
    :param fields: the parameters, decoded
    :param style: how it came: ``get``, ``post``, ``soap11`` or ``soap12``
    :param count_offset: what the ``wrong_count`` fault adds to every count in the answer
    """

    vendor: str
    operation: Operation
    page: str
    request: Request
    fields: Mapping[str, str] = field(repr=False)
    style: str = "get"
    count_offset: int = 0

    def get(self, name: str) -> str:
        """Return a parameter, or an empty string.

        :param name: by the document, or in lower case where the vendor does not mind
        """
        return self.fields.get(name, "")


class Desk(ABC):
    """One vendor's counter: recognises its requests and answers them by its document.

    :param exchange: the vendor's account, messages and queues
    """

    vendor: ClassVar[str]

    def __init__(self, exchange: Exchange) -> None:
        """Open the desk."""
        self.exchange = exchange

    @property
    def account(self) -> Account:
        """The one account this vendor knows."""
        return self.exchange.account

    @property
    def settings(self) -> Settings:
        """The sandbox's settings."""
        return self.exchange.settings

    @abstractmethod
    def recognise(self, request: Request) -> Call | None:
        """Return the call a request makes, or None if it is not for this vendor.

        :param request: matched by the end of its path, so a gateway may be mounted below any prefix
        """

    @abstractmethod
    def answer(self, call: Call) -> Answer:
        """Do what the call asks and build the answer; records read leave their queue here.

        :param call: as :meth:`recognise` returned it
        """

    @abstractmethod
    def busy(self, call: Call) -> Answer:
        """Return the vendor's own way to say that it is busy; nothing is done.

        :param call: as :meth:`recognise` returned it
        """

    @abstractmethod
    def numbers(self, call: Call) -> list[str]:
        """Return the numbers of a submit as sent, for the console, where they are masked.

        :param call: a send; anything else has none
        """


Code = TypeVar("Code")


def first_failed(checks: Iterable[tuple[bool, Code]]) -> Code | None:
    """Return the code of the first check that failed, or None if all passed; later checks are not made.

    :param checks: whether each failed, and the code it is refused with
    """
    return next((code for failed, code in checks if failed), None)


def is_mobile(number: str) -> bool:
    """Say whether a number is a mainland mobile number: 11 digits, the first a 1.

    :param number: as sent
    """
    return _MOBILE.fullmatch(number) is not None
