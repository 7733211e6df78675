"""The Airflow connections that lead to the sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_sms.sandbox.accounts import Account

SIGNATURE = "【演示】"


def connection_of(account: Account, host: str, port: int, extra: dict[str, Any]) -> dict[str, Any]:
    """Return keyword arguments for ``airflow.models.Connection``, ``conn_id`` aside.

    :param account: whose login it is
    :param host: where the sandbox serves
    :param port: where the sandbox serves
    :param extra: goes on top of what the vendor needs
    """
    needed: dict[str, Any] = {}
    if account.vendor == "beidoutong":
        needed["userid"] = account.userid
    if account.vendor == "linkws":
        needed["signature"] = SIGNATURE
    return {
        "conn_type": f"sms_{account.vendor}",
        "host": host,
        "port": port,
        "schema": "http",
        "login": account.login,
        "password": account.password,
        "extra": {**needed, **extra},
    }
