"""The one account each vendor keeps for the sandbox's user."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from airflow_provider_sms.sandbox.settings import Settings

VENDORS: Final = ("beidoutong", "wavecom", "linkws", "smsadmin")


@dataclass
class Account:
    """An account; its fields may be changed while the sandbox runs.

    :param vendor: whose account it is
    :param login: account, us_name, CorpID or uid
    :param password: in the clear, :attr:`password_md5` follows it
    :param balance: messages, or money for smsadmin
    :param price: what one segment to one number takes from the balance
    :param userid: 企业id, which only beidoutong asks for (beidoutong §2.2)
    :param locked: wavecom -10, smsadmin 8, and a ``Faild`` from beidoutong
    :param disabled: smsadmin 4
    :param blacklisted: linkws -102
    :param ip_blacklisted: linkws -100
    :param ip_unlisted: linkws -103
    """

    vendor: str
    login: str
    password: str
    balance: Decimal
    price: Decimal = Decimal(1)
    userid: str = ""
    locked: bool = False
    disabled: bool = False
    blacklisted: bool = False
    ip_blacklisted: bool = False
    ip_unlisted: bool = False
    recharged: Decimal = field(init=False)

    def __post_init__(self) -> None:
        """Take the opening balance for everything ever recharged."""
        self.recharged = self.balance

    @property
    def password_md5(self) -> str:
        """The password's MD5 as 32 lower-case hexadecimal digits."""
        # MD5 is what the vendors ask for; it protects nothing here.
        return hashlib.md5(self.password.encode(), usedforsecurity=False).hexdigest()


def open_account(vendor: str, settings: Settings) -> Account:
    """Open a vendor's account with the sandbox's fixed demonstration login.

    :param vendor: one of :data:`VENDORS`
    :param settings: gives the opening balance
    """
    if vendor == "smsadmin":
        return Account(
            vendor, "demo_smsadmin", "sandbox-smsadmin", settings.smsadmin_balance, settings.smsadmin_price
        )
    userid = "10086" if vendor == "beidoutong" else ""
    return Account(vendor, f"demo_{vendor}", f"sandbox-{vendor}", Decimal(settings.balance), userid=userid)
