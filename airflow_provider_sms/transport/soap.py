"""
SOAP requests, made by zeep from a WSDL; zeep is a codec here and never opens a socket.

Only requests are made here. Answers are read by the vendors' own parsers: the answers to a SOAP call and to
a form call are one format, which zeep knows half of; a cut answer must still give its complete records,
where zeep gives none; and zeep takes ten times as long for a page of 10,000 records.

The address always is the connection's: a WSDL that names another host, in a port or an import, has no say.
"""

from __future__ import annotations

import re
import threading
from functools import cache
from importlib import resources
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_sms.errors import PreflightError, WireFormatError
from airflow_provider_sms.wire import WireRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_sms.wire import Endpoint, SoapCall

#: Characters that XML 1.0 cannot carry, not even as references.
_UNCARRIED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_NAME = re.compile(r"[a-z0-9_]+")
_BINDINGS = {"1.1": "Soap11Binding", "1.2": "Soap12Binding"}
#: WSDLs kept in memory; a vendor's own may change now and then.
_MOST_CLIENTS = 16

_clients: dict[bytes, Any] = {}
# zeep promises nothing about threads, and making an envelope takes no time worth sharing.
_lock = threading.Lock()


class SoapCodec:
    """
    Makes requests of SOAP calls.

    Thread-safe and cheap to make: a WSDL that was read once is shared by all codecs of the process.

    :param endpoint: where the requests will go.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._base_url = endpoint.base_url
        self._host = _host_of(endpoint.base_url)

    def encode(self, call: SoapCall, wsdl: bytes | None = None) -> WireRequest:
        """
        Make the request of a call.

        :param wsdl: the vendor's own WSDL, for a call that wants it (:attr:`SoapCall.fetch_wsdl`).
        :raises PreflightError: the call cannot be made: a parameter holds characters that XML cannot carry,
            or the WSDL has no such operation or no binding of this SOAP version.
        :raises WireFormatError: the vendor's WSDL cannot be read.
        """
        from lxml import etree

        _check_characters(call.arguments)
        with _lock:
            client = self._client(_content(call, wsdl))
            binding = self._binding(client, call.version)
            operation = self._operation(binding, call)
            service = client.create_service(binding.name, self._base_url + call.path)
            # create_message only builds the envelope. Never let zeep send one: it logs whole envelopes,
            # password and text and all, at DEBUG.
            envelope = client.create_message(service, operation.name, **call.arguments)
        # Not zeep's own writer, lest blanks be added some day: those in a text are part of the message.
        body = etree.tostring(envelope, encoding="utf-8", xml_declaration=True)
        return WireRequest("POST", call.path, body=body, headers=_headers(call.version, operation.soapaction))

    def _client(self, content: bytes) -> Any:
        if content not in _clients:
            if len(_clients) >= _MOST_CLIENTS:
                _clients.clear()
            # A client takes a quarter of a second to make.
            _clients[content] = self._read(content)
        return _clients[content]

    def _read(self, content: bytes) -> Any:
        from zeep import Client, Settings

        settings = Settings(strict=True, forbid_dtd=True, forbid_entities=True, forbid_external=True)
        try:
            return Client(BytesIO(content), transport=_NoNetwork(), settings=settings)  # type: ignore[no-untyped-call]
        # Whatever is wrong with a WSDL may show as any exception, and its text may quote the WSDL.
        except Exception as error:  # noqa: BLE001
            # Both our own refusal and zeep's bear the address.
            address = getattr(error, "url", None)
            where = f"it imports from {_host_of(str(address))}" if address else type(error).__name__
        msg = (
            f"the WSDL of {self._host} cannot be used ({where}); nothing was sent or read. Set the "
            "connection's extra field 'wsdl' to 'packaged', or ask the vendor for a WSDL in one piece"
        )
        raise WireFormatError(msg)

    def _binding(self, client: Any, version: str) -> Any:
        from zeep.wsdl import bindings

        # Asked for by its class: zeep itself takes the first of the WSDL, which mostly is SOAP 1.1.
        wanted = getattr(bindings, _BINDINGS[version])
        for binding in client.wsdl.bindings.values():
            if isinstance(binding, wanted):
                return binding
        problem = (
            f"its WSDL has no binding for SOAP {version}: set the connection's extra field 'soap_version' "
            f"to {'1.1' if version == '1.2' else '1.2'}"
        )
        raise PreflightError([problem], self._host)

    def _operation(self, binding: Any, call: SoapCall) -> Any:
        wanted = frozenset(call.arguments)
        fitting = {
            operation.name: operation
            for operation in binding.all().values()
            if _parameters(operation) == wanted
        }
        for name in call.operations:
            if name in fitting:
                return fitting[name]
        # Only who offers several names is not sure of them. A balance must never become the first
        # operation that takes an account and a password: that one may empty a queue.
        if len(call.operations) > 1 and len(fitting) == 1:
            return next(iter(fitting.values()))
        names = ", ".join(call.operations)
        problem = f"its WSDL has no operation {names} with the parameters {', '.join(sorted(wanted))}"
        if len(call.operations) > 1 and fitting:
            problem += (
                f", but several others: set the extra field 'send_operation' to one of {', '.join(fitting)}"
            )
        raise PreflightError([problem], self._host)


def fetch_request(call: SoapCall) -> WireRequest:
    """Make the request that asks the vendor's server for its own WSDL."""
    return WireRequest("GET", call.path, query="wsdl")


class _NoNetwork:
    """Stands where zeep has its transport; there is nothing in it that could reach anything."""

    def __init__(self) -> None:
        from zeep.wsdl import bindings

        # The form bindings are not needed: the vendors' codecs make form calls themselves.
        self.binding_classes = [getattr(bindings, name) for name in _BINDINGS.values()]

    def load(self, url: str) -> bytes:
        """Refuse to load what a WSDL imports, files included."""
        raise _ImportRefused(url)


class _ImportRefused(Exception):
    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__()


def _content(call: SoapCall, wsdl: bytes | None) -> bytes:
    if call.fetch_wsdl:
        if wsdl is None:
            msg = (
                "this call wants the vendor's own WSDL: send fetch_request(call) and hand in what comes back"
            )
            raise ValueError(msg)
        return wsdl
    return _packaged(call.wsdl)


@cache
def _packaged(name: str) -> bytes:
    if not _NAME.fullmatch(name):
        msg = "a packaged WSDL is named by small letters, digits and underscores"
        raise ValueError(msg)
    # Joined to the package's own path: importing the vendors is not for the transport.
    return (resources.files("airflow_provider_sms") / "vendors" / "wsdl" / f"{name}.wsdl").read_bytes()


def _headers(version: str, action: str | None) -> dict[str, str]:
    if version == "1.1":
        return {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{action or ""}"'}
    content_type = "application/soap+xml; charset=utf-8"
    return {"Content-Type": f'{content_type}; action="{action}"' if action else content_type}


def _parameters(operation: Any) -> frozenset[str] | None:
    body = getattr(operation.input, "body", None)
    elements = getattr(getattr(body, "type", None), "elements", None)
    return None if elements is None else frozenset(name for name, _ in elements)


def _check_characters(arguments: Mapping[str, str]) -> None:
    problems = []
    for name, value in arguments.items():
        if found := _UNCARRIED.findall(value):
            named = ", ".join(f"U+{ord(character):04X}" for character in dict.fromkeys(found))
            problems.append(f"{name} holds characters that SOAP cannot carry ({named}): remove them")
    if problems:
        raise PreflightError(problems, "SOAP call")


def _host_of(address: str) -> str:
    try:
        return urlsplit(address).hostname or "a file"
    except ValueError:
        return "an address that is none"
