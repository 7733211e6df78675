"""
Who may push: a token that cannot be guessed, and, if wanted, the address it comes from.

The vendor takes a URL and nothing else, so the token stands in the query, under a name by which Airflow's
log masks it. A vendor that puts "?" and its fields behind the URL it was given, whatever stands there
already, is understood as well: ``?token=secret?Class=mo&...``.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAME = b"token"
#: Twenty random letters and digits are more than can be guessed in any number of years.
_TOKEN = re.compile(r"[0-9A-Za-z_.~-]{20,200}")


def live_tokens(*tokens: str) -> tuple[bytes, ...]:
    """Give those tokens that are fit to be one; an empty or a short one would open the door."""
    return tuple(token.encode("ascii") for token in tokens if _TOKEN.fullmatch(token))


def split_query(query: bytes) -> tuple[bytes, bytes]:
    """
    Take our token out of a query string.

    :return: the token (empty if there is none), and the rest of the query as it came.
    """
    token = b""
    rest = []
    for part in query.split(b"&"):
        name, sign, value = part.partition(b"=")
        if name != _NAME or not sign:
            rest.append(part)
            continue
        given, joint, behind = value.partition(b"?")
        token = token or unquote_to_bytes(given)
        if joint:
            rest.append(behind)
    return token, b"&".join(part for part in rest if part)


def admits(token: bytes, live: Sequence[bytes]) -> bool:
    """Compare a token with all live ones, in a time that tells nothing about them."""
    # All are compared, whichever fits; with none there is one to compare with that nothing equals.
    results = [hmac.compare_digest(token, each) for each in live or (b"\0" * 40,)]
    return bool(live) and any(results)


def networks(written: str) -> tuple[Network, ...]:
    """
    Read a comma-separated list of addresses and networks.

    :raises ValueError: an entry is neither.
    """
    return tuple(ipaddress.ip_network(part.strip()) for part in written.split(",") if part.strip())


def source_of(peer: str, forwarded_for: Iterable[str], trusted: Sequence[Network]) -> str:
    """
    Tell where a request comes from.

    :param peer: the address at the other end of the connection.
    :param forwarded_for: values of ``X-Forwarded-For``; whoever connects can write anything there, so they
        count only if a trusted proxy connects, read from the right up to the first that is none.
    :param trusted: networks of trusted proxies.
    """
    source = peer
    hops = [hop.strip() for value in forwarded_for for hop in value.split(",") if hop.strip()]
    while hops and is_within(source, trusted):
        source = hops.pop()
    return source


def is_within(address: str, allowed: Sequence[Network]) -> bool:
    """Whether an address belongs to one of some networks; what is no address belongs to none."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return any(found.version == network.version and found in network for network in allowed)
