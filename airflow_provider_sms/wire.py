"""What goes over the wire, as plain values: the codecs make and read them, the transport moves them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Endpoint:
    """
    Where a connection points to and how to get there.

    :param base_url: scheme, host, port and base path, without a trailing slash.
    :param timeout: total seconds for one call, from connecting to the answer's last byte.
    :param verify: whether to verify TLS certificates, or the path of a CA bundle.
    :param proxy: address of an HTTP proxy, or ``""``; it may hold a password.
    :param redirect_hosts: hosts that a redirect may lead to; none is followed otherwise.
    """

    base_url: str
    timeout: float = 30.0
    verify: bool | str = True
    proxy: str = field(default="", repr=False)
    redirect_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WireRequest:
    """
    One HTTP request, ready to be written.

    :param method: ``GET`` or ``POST``.
    :param path: path below the connection's base address, percent-encoded.
    :param query: the raw query string without ``?``, percent-encoded.
    :param body: the raw body.
    :param headers: header fields beyond those that HTTP itself needs.
    """

    method: str
    path: str
    query: str = field(default="", repr=False)
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SoapCall:
    """
    One SOAP request, to be turned into bytes by the transport's codec with the WSDL's names.

    :param path: path of the service below the connection's base address.
    :param operations: names of the operation, the best first; the first that the WSDL has with
        these very parameters is taken. Where several names are given and none fits, the one operation
        that has these parameters is taken, if there is just one.
    :param arguments: the parameters in the WSDL's spelling.
    :param wsdl: name of the WSDL that ships with the package (``"beidoutong"``).
    :param fetch_wsdl: read the vendor's own WSDL instead of the packaged one.
    :param version: ``"1.2"`` or ``"1.1"``.
    """

    path: str
    operations: tuple[str, ...]
    arguments: Mapping[str, str] = field(repr=False)
    wsdl: str
    fetch_wsdl: bool = False
    version: str = "1.2"


@dataclass(frozen=True, slots=True)
class WireResponse:
    """
    What came back, as far as it came.

    :param status: HTTP status.
    :param headers: header fields, names in lower case.
    :param body: every byte that arrived.
    :param complete: whether the framing says that the body is whole. A body that only the closed
        connection delimits counts as complete: it cannot be told.
    :param problem: why it is not complete.
    """

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    complete: bool = True
    problem: str = ""
