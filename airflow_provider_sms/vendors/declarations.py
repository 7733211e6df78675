"""The words in which a vendor declares itself: what it can be asked, its codes, limits and accounts."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any
    from zoneinfo import ZoneInfo

    from airflow_provider_sms import errors
    from airflow_provider_sms.wire import Endpoint


class Operation(StrEnum):
    """What a vendor can be asked to do; code tables and intervals are kept per operation."""

    SEND = "send"
    SEND_TEMPLATE = "send_template"
    BALANCE = "balance"
    CHECK_WORDS = "check_words"
    REPORTS = "reports"
    REPLIES = "replies"
    PUSH = "push"


@dataclass(frozen=True, slots=True)
class Code:
    """
    One return code of one operation.

    :param meaning: the vendor's words, in English.
    :param error: the error to raise; ``None`` for a yes (or for "the queue is empty").
    :param advice: what a data engineer should do about it.
    """

    meaning: str
    error: type[errors.VendorRejected | errors.VendorBusy] | None = None
    advice: str = ""

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later without anybody changing anything."""
        return self.error is not None and not self.error.terminal


@dataclass(frozen=True, slots=True)
class Limits:
    """
    What one submit may hold.

    :param numbers: recipients of one submit.
    :param characters: the longest text, in characters; ``None`` where the vendor states none.
    :param template_rows: rows of one template submit; 0 where the vendor has no templates.
    :param extno_digits: the longest extension number; 0 where the vendor has none.
    :param signature_at_end: whether the text must end with 【signature】.
    :param landline: whether numbers with an area code (小灵通) are taken.
    """

    numbers: int
    characters: int | None = None
    template_rows: int = 0
    extno_digits: int = 0
    signature_at_end: bool = False
    landline: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """
    A checked connection: everything a codec or the transport needs to know of it.

    :param conn_id: id of the Airflow connection, for messages.
    :param vendor: name of the vendor.
    :param endpoint: where it is and how to get there.
    :param login: account name; vendors call it account, us_name, CorpID or uid.
    :param password: the password as the user knows it.
    :param options: the connection's extra fields, checked and with defaults.
    :param timezone: the zone of all times on the wire.
    :param charset: charset of texts on the wire.
    """

    conn_id: str
    vendor: str
    endpoint: Endpoint
    login: str
    password: str = field(repr=False)
    options: Mapping[str, Any] = field(repr=False)
    timezone: ZoneInfo
    charset: str


@dataclass(frozen=True, slots=True)
class NativeTemplate:
    """
    A template in the vendor's own spelling.

    :param content: the text with the vendor's markers.
    :param fields: the user's field names in the order in which a row's values must be given.
    """

    content: str
    fields: tuple[str, ...]
