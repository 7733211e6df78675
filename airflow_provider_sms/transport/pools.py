"""
Pools of connections with the deadline's network code, and the TLS settings they share.

This module imports httpcore and is therefore itself imported where it is used.
"""

from __future__ import annotations

import functools
import ssl
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import httpcore

from airflow_provider_sms.transport.deadline import DeadlineBackend
from airflow_provider_sms.transport.failures import NoAnswer

if TYPE_CHECKING:
    from airflow_provider_sms.wire import Endpoint

#: Below the shortest common keep-alive of web servers (Apache: 5 s), so that a kept connection is
#: rarely used in the moment in which the server gives it up.
_KEEP_SECONDS = 2.0
_KEPT = 20


def open_pool(endpoint: Endpoint, *, keep: bool) -> httpcore.ConnectionPool:
    """
    Make a pool; no connection is opened yet.

    :param keep: whether connections are kept for the next request.
    """
    return httpcore.ConnectionPool(
        ssl_context=_tls(endpoint),
        proxy=_proxy(endpoint.proxy) if endpoint.proxy else None,
        # Callers bound themselves; a queue in here would only eat up their deadlines.
        max_connections=None,
        max_keepalive_connections=_KEPT if keep else 0,
        keepalive_expiry=_KEEP_SECONDS,
        # A failed connection is the caller's to judge.
        retries=0,
        network_backend=DeadlineBackend(),
    )


def _tls(endpoint: Endpoint) -> ssl.SSLContext | None:
    if not endpoint.base_url.startswith("https:") and not endpoint.redirect_hosts:
        # Never used, then, and not worth the time of a task that asks one thing over plain HTTP.
        return None
    if isinstance(endpoint.verify, bool):
        return _context("", 0, verify=endpoint.verify)
    try:
        # A replaced bundle is noticed: triggerers live for weeks.
        return _context(endpoint.verify, Path(endpoint.verify).stat().st_mtime_ns, verify=True)
    except OSError:
        msg = "the CA bundle that the connection's extra field 'verify' names cannot be read"
    raise NoAnswer(msg, surely_not_sent=True)


@functools.lru_cache(maxsize=16)
def _context(bundle: str, stamp: int, *, verify: bool) -> ssl.SSLContext:
    """Build the TLS settings once a process: it takes 50 ms, and hundreds of accounts may share them."""
    del stamp
    if bundle:
        if Path(bundle).is_dir():
            return ssl.create_default_context(capath=bundle)
        return ssl.create_default_context(cafile=bundle)
    # The system's authorities and certifi's: a company's own is in the former only.
    context = httpcore.default_ssl_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _proxy(address: str) -> httpcore.Proxy:
    parts = urlsplit(address if "://" in address else f"http://{address}")
    port = parts.port or {"https": 443, "socks5": 1080, "socks5h": 1080}.get(parts.scheme, 80)
    url = httpcore.URL(scheme=parts.scheme, host=parts.hostname or "", port=port, target="/")
    if parts.username is None:
        return httpcore.Proxy(url)
    auth = (unquote(parts.username).encode(), unquote(parts.password or "").encode())
    return httpcore.Proxy(url, auth=auth)
