"""
Addresses, and where a redirect may lead.

A redirect is followed only to a host that the connection lists. That goes for the vendor's own host,
too: the credentials are in the query, and another path or port may be another program.

A submit is followed only where the redirect says that it was not done yet: what was done and then answered by
a redirect to its result would be done twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from airflow_provider_sms.transport.failures import NoAnswer, RedirectRefused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_sms.wire import WireRequest

#: Redirects in a row.
MOST_HOPS = 3

#: Statuses of a redirect; the others with 3 in front say something else.
STATUSES = frozenset({301, 302, 303, 307, 308})
#: Those that keep the method and the body.
_KEEPING = frozenset({307, 308})

_HOST = re.compile(r"[0-9a-z._:\-]{1,253}")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """
    An address, in parts.

    :param scheme: ``http`` or ``https``.
    :param host: lower case, ASCII, an IPv6 address without its brackets.
    :param port: the port, be it the default one.
    :param target: path and query as they go on the wire.
    """

    scheme: str
    host: str
    port: int
    target: str = field(repr=False)

    @property
    def host_and_port(self) -> str:
        """Host and, if it is not the scheme's own, port, as the Host field has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def parse(url: str) -> Address:
    """
    Take an address to pieces.

    :raises ValueError: it is none; the text does not quote it.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if not host.isascii():
        host = host.encode("idna").decode("ascii")
    if parts.scheme not in _DEFAULT_PORTS or not _HOST.fullmatch(host):
        msg = "not an http:// or https:// address"
        raise ValueError(msg)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Address(parts.scheme, host, parts.port or _DEFAULT_PORTS[parts.scheme], target)


def below(base_url: str, path: str, query: str) -> Address:
    """
    Make the address of a request.

    :param base_url: scheme, host, port and base path of the connection.
    :param path: path below it.
    :param query: raw query without ``?``.
    :raises NoAnswer: the base is no address.
    """
    try:
        base = parse(base_url)
    except ValueError:
        base = None
    if base is None:
        msg = "the connection's address is no http:// or https:// address"
        raise NoAnswer(msg, surely_not_sent=True)
    prefix = base.target.rstrip("/")
    return replace(base, target=f"{prefix}/{path.lstrip('/')}" + (f"?{query}" if query else ""))


def follow(
    at: Address,
    location: str,
    *,
    status: int,
    request: WireRequest,
    allowed: Iterable[str],
    once: bool = False,
) -> Address:
    """
    Give the address a redirect leads to, if it may be followed.

    The query stays the request's own, byte for byte: servers re-encode what they put in a Location, and
    would spoil a text in GBK.

    :param at: where the request was sent.
    :param location: the answer's Location.
    :param status: the answer's status.
    :param request: the request.
    :param allowed: ``host`` or ``host:port`` that may be gone to.
    :param once: whether the request must not be done twice, as a submit must not.
    :raises RedirectRefused: it may not.
    """
    try:
        new = parse(urljoin(f"{at.scheme}://{at.host_and_port}{at.target.partition('?')[0]}", location))
    except ValueError:
        new = None
    if new is None:
        msg = "the vendor redirects to an address that cannot be read; nothing was followed"
        raise RedirectRefused(msg, host="")
    listed = {name.strip().lower() for name in allowed}
    if listed.isdisjoint({new.host, new.host_and_port, f"{new.host}:{new.port}"}):
        problem = "add this host to the connection's extra field 'redirect_hosts' if it is the vendor's"
    elif at.scheme == "https" and new.scheme == "http":
        problem = "it leads from https to http, which would show the password to everybody on the way"
    elif request.method != "GET" and status not in _KEEPING:
        problem = f"a {status} would change the request; set this host in the connection"
    elif once and not _moved(at, new, status):
        problem = (
            f"a {status} may come when the submit is done already, and going there would be a second one; "
            "set the service's own address in the connection"
        )
    else:
        path = new.target.partition("?")[0]
        return replace(new, target=path + (f"?{request.query}" if request.query else ""))
    msg = f"the vendor redirects to {new.host_and_port}; nothing was followed: {problem}"
    raise RedirectRefused(msg, host=new.host)


def _moved(at: Address, new: Address, status: int) -> bool:
    """Whether a redirect says where the service is now, and not where the result is to be seen."""
    if status in _KEEPING:
        return True
    # A 301 or 302 may mean either (RFC 9110 §15.4.2, §15.4.3); wavecom's pages move as they are, elsewhere.
    elsewhere = (at.scheme, at.host, at.port) != (new.scheme, new.host, new.port)
    same_page = at.target.partition("?")[0] == new.target.partition("?")[0]
    return status in {301, 302} and elsewhere and same_page
