"""What smsadmin's document lists and its connections ask for: return codes and extra fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_sms import errors
from airflow_provider_sms.vendors.base import Code, ConnectionField, Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

_WRONG_PASSWORD = Code(
    "the account name or password is wrong",
    errors.AuthenticationFailed,
    "Correct the connection's login (uid) and password",
)
_SUBMIT_CODES: Mapping[str, Code] = {  # §2, §3, §4
    "0": Code("accepted"),
    "1": _WRONG_PASSWORD,
    "2": Code(
        "the balance does not cover the messages of this call",
        errors.InsufficientBalance,
        "Top up the account, then send again what was not sent",
    ),
    "3": Code(
        "more numbers in one call than the page takes",
        errors.VendorRejected,
        "Send at most 1,000 numbers per call by POST and 100 by GET, as the operators of this package do",
    ),
    "4": Code("this account may not send", errors.NotAllowed, "Ask the vendor to allow it"),
    "5": Code(
        "the numbers or the text are empty, or none of the numbers is valid",
        errors.VendorRejected,
        "Give recipients and a content",
    ),
    # Of an older version of the document; the service still answers so.
    "6": Code(
        "the text holds a forbidden word",
        errors.ContentRejected,
        "Change the text; SmsHook.check_words names the words",
    ),
    "7": Code("the text is too long for the channel", errors.ContentRejected, "Shorten or divide the text"),
    "8": Code("the account is frozen", errors.NotAllowed, "Ask the vendor to unfreeze it"),
}
#: Return codes per operation.
CODES: Mapping[Operation, Mapping[str, Code]] = {
    Operation.SEND: _SUBMIT_CODES,
    Operation.SEND_TEMPLATE: _SUBMIT_CODES,
    Operation.BALANCE: {"1": _WRONG_PASSWORD},  # §5
    Operation.CHECK_WORDS: {"1": _WRONG_PASSWORD},  # §6
    Operation.REPORTS: {"1": _WRONG_PASSWORD, "160": Code("the queue is empty")},  # §8
    Operation.REPLIES: {"1": _WRONG_PASSWORD, "150": Code("the queue is empty")},  # §7
    Operation.PUSH: {},  # §9, §10: the vendor asks, we answer
}
#: Connection fields of this vendor alone.
FIELDS = (
    ConnectionField(
        "auth",
        "Password in sends",
        "How sends carry the password. Queries carry it plain: the vendor has no MD5 pages for them.",
        default="md5",
        choices=("md5", "plain"),
    ),
    ConnectionField(
        "method",
        "Send by",
        "post takes 1,000 numbers a call and keeps the password out of addresses; get takes 100.",
        default="post",
        choices=("post", "get"),
    ),
    ConnectionField(
        "urldecode",
        "Escaped pages",
        "Use the *_urldecode pages for sends and balances; they know the plain password alone.",
        "boolean",
        default=False,
    ),
    ConnectionField(
        "replies_page",
        "Replies page",
        "plain is for accounts without reve_urlencode: there, a reply with a line break can forge others.",
        default="urlencode",
        choices=("urlencode", "plain"),
    ),
    ConnectionField(
        "ddt_first_index",
        "First ddt marker",
        "Which {valueN} is the first value behind the number: 1, or 0 for the other reading of the document.",
        "integer",
        default=1,
        minimum=0,
        maximum=1,
    ),
)
