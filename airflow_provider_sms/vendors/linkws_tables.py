"""
The return codes of LinkWS.

The document has each table twice, under 一 for the Webservice and under 二 for HTTP; these are the two
together. It prints some codes with an en dash (``–1``); the keys have the minus of the wire.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_sms import errors
from airflow_provider_sms.vendors.base import Code, Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

_NO_ACCOUNT = Code(
    "the account is not registered",
    errors.AuthenticationFailed,
    "Correct the connection's login (CorpID)",
)
_OTHER = Code("some other error", errors.VendorRejected, "Ask the vendor what happened")
_WRONG_PASSWORD = Code(
    "the account or its password is wrong",
    errors.AuthenticationFailed,
    "Correct the connection's login and password, and its extra field 'password_is_md5' if that is wrong",
)
_EMPTY_ACCOUNT = Code(
    "the account is empty", errors.AuthenticationFailed, "Set the connection's login (CorpID)"
)
_EMPTY_PASSWORD = Code("the password is empty", errors.AuthenticationFailed, "Set the connection's password")
_BLOCKED: Mapping[str, Code] = {
    "-100": Code(
        "the address of this machine is on the vendor's blacklist",
        errors.NotAllowed,
        "Ask the vendor to take it off",
    ),
    "-102": Code(
        "the account is on the vendor's blacklist", errors.NotAllowed, "Ask the vendor to take it off"
    ),
    "-103": Code(
        "the vendor does not know the address of this machine",
        errors.NotAllowed,
        "Give the vendor the public address your workers call from",
    ),
}

CODES: Mapping[Operation, Mapping[str, Code]] = {
    Operation.SEND: {  # 一 (一), 二 (一)
        "-1": _NO_ACCOUNT,
        "-2": _OTHER,
        "-3": _WRONG_PASSWORD,
        "-5": Code(
            "the balance does not cover the messages of this call",
            errors.InsufficientBalance,
            "Buy messages, then send again what was not sent",
        ),
        "-6": Code(
            "the time to send at is no valid time",
            errors.VendorRejected,
            "Check the connection's timezone",
        ),
        "-7": Code(
            "the text does not end with a signature",
            errors.ContentRejected,
            "End it with your company's signature in Chinese 【】",
        ),
        "-8": Code(
            "the text is not between 1 and 300 characters long",
            errors.ContentRejected,
            "Shorten or divide the text",
        ),
        "-9": Code("the numbers are missing", errors.VendorRejected, "Give at least one recipient"),
        "-10": Code(
            "the time to send at has passed",
            errors.VendorRejected,
            "Choose a later time, and check the connection's timezone",
        ),
        "-12": Code("the text holds a forbidden word", errors.ContentRejected, "Change the text"),
        "-20": _EMPTY_ACCOUNT,
        "-21": _EMPTY_PASSWORD,
        "-22": Code("the text is empty", errors.ContentRejected, "Give the message a content"),
        "-23": Code(
            "the password is not an MD5 of 32 digits",
            errors.AuthenticationFailed,
            "Check the connection's extra field 'password_is_md5'",
        ),
        **_BLOCKED,
    },
    Operation.BALANCE: {  # 一 (二), 二 (二); the latter lacks -20 and -21
        "-1": _NO_ACCOUNT,
        "-2": _OTHER,
        "-3": _WRONG_PASSWORD,
        "-20": _EMPTY_ACCOUNT,
        "-21": _EMPTY_PASSWORD,
        "-101": Code(
            "asked again in less than 30 seconds",
            errors.VendorBusy,
            "The balance is not known now; ask again in 30 seconds",
        ),
        **_BLOCKED,
    },
}
