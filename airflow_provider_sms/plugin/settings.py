"""The receiver's options in Airflow's configuration, section ``[sms]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.plugin.gate import networks

if TYPE_CHECKING:
    from airflow_provider_sms.plugin.gate import Network


@dataclass(frozen=True, slots=True)
class Settings:
    """
    What the receiver was told.

    :param connections: ids of the connections whose vendor may push; with none the receiver is off.
    :param trusted_proxies: whose ``X-Forwarded-For`` is believed.
    :param accept_get: whether a GET is taken as well as a POST.
    :param body_limit: bytes of a body at most.
    :param field_limit: fields of query and body at most.
    :param body_seconds: how long a body may take to arrive.
    :param store_seconds: how long the store may take, before the spool has to do.
    """

    connections: tuple[str, ...]
    trusted_proxies: tuple[Network, ...] = ()
    accept_get: bool = False
    body_limit: int = 64 * 1024
    field_limit: int = 100
    body_seconds: float = 10.0
    store_seconds: float = 10.0


def read_settings() -> Settings:
    """
    Read ``push_connections``, ``push_trusted_proxies`` and ``push_accept_get``.

    :raises PreflightError: an entry of the trusted proxies is no address.
    """
    from airflow.providers.common.compat.sdk import conf

    written = conf.get("sms", "push_trusted_proxies", fallback="")
    try:
        proxies = networks(written)
    except ValueError:
        msg = "push_trusted_proxies must be addresses or networks, comma-separated: 127.0.0.1, 10.0.0.0/8"
        raise PreflightError([msg], "configuration [sms]") from None
    return Settings(
        connections=tuple(_split(conf.get("sms", "push_connections", fallback=""))),
        trusted_proxies=proxies,
        accept_get=bool(conf.getboolean("sms", "push_accept_get", fallback=False)),
    )


def _split(written: str) -> list[str]:
    return [part.strip() for part in written.split(",") if part.strip()]
