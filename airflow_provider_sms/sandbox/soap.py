"""SOAP 1.1 and 1.2 as an ASMX service of .NET 2.0 reads and writes it."""

from __future__ import annotations

import re
from importlib import resources
from typing import Final
from urllib.parse import unquote

from airflow_provider_sms.sandbox.wire import Answer, Request

SERVICE_NAMESPACE: Final = "http://tempuri.org/"
ENVELOPES: Final = {
    "soap11": "http://schemas.xmlsoap.org/soap/envelope/",
    "soap12": "http://www.w3.org/2003/05/soap-envelope",
}
_CONTENT_TYPES: Final = {"soap11": "text/xml; charset=utf-8", "soap12": "application/soap+xml; charset=utf-8"}
_SCHEMA: Final = (
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
)
_DECLARATION: Final = '<?xml version="1.0" encoding="utf-8"?>'
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")


class SoapError(Exception):
    """The request is no call that the service knows; the message is what its SOAP fault says."""


def read_call(request: Request) -> tuple[str, str, dict[str, str]]:
    """Read an envelope: its style (``soap11`` or ``soap12``), its operation and its parameters.

    A parameter outside the service's namespace is not seen, which is how an ASMX service treats it.

    :param request: a POST to the ``.asmx`` page itself
    :raises SoapError: if it is no SOAP call
    """
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True)
    try:
        envelope = etree.fromstring(request.body, parser)
    except etree.XMLSyntaxError:
        raise SoapError("Request format is invalid: XML could not be parsed.") from None
    if envelope.getroottree().docinfo.internalDTD is not None:
        raise SoapError("For security reasons DTD is prohibited in this XML document.")
    name = etree.QName(envelope)
    style = next((style for style, space in ENVELOPES.items() if space == name.namespace), None)
    body = envelope.find(f"{{{name.namespace}}}Body")
    if style is None or name.localname != "Envelope" or body is None:
        raise SoapError("Possible SOAP version mismatch.")
    call = next((child for child in body if isinstance(child.tag, str)), None)
    if call is None:
        raise SoapError("Unable to handle request without a valid action parameter.")
    operation = etree.QName(call).localname
    _check_action(request, style, operation)
    inside = f"{{{SERVICE_NAMESPACE}}}"
    parameters = {
        child.tag.removeprefix(inside): child.text or ""
        for child in call
        if isinstance(child.tag, str) and child.tag.startswith(inside)
    }
    return style, operation, parameters


def _check_action(request: Request, style: str, operation: str) -> None:
    action = request.header("soapaction").strip().strip('"') if style == "soap11" else ""
    if action and action.rstrip("/").rpartition("/")[2] != operation:
        raise SoapError("Server did not recognize the value of HTTP Header SOAPAction.")


def escaped(value: str) -> str:
    """Escape text for an element.

    Control characters become references that no XML parser takes, as .NET writes them.

    :param value: any text
    """
    if not value or value.isalnum():
        return value
    value = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if _CONTROL.search(value):
        value = _CONTROL.sub(lambda found: f"&#x{ord(found.group()):X};", value)
    return value.replace("\r", "&#xD;")


def soap_answer(style: str, operation: str, result: str) -> Answer:
    """Wrap a result in an envelope.

    :param style: ``soap11`` or ``soap12``
    :param operation: ``X`` of ``XResponse`` and ``XResult``
    :param result: escaped inner XML of the result element
    """
    body = (
        f'{_DECLARATION}<soap:Envelope xmlns:soap="{ENVELOPES[style]}" {_SCHEMA}><soap:Body>'
        f'<{operation}Response xmlns="{SERVICE_NAMESPACE}"><{operation}Result>{result}</{operation}Result>'
        f"</{operation}Response></soap:Body></soap:Envelope>"
    )
    return Answer(_encoded(body), content_type=_CONTENT_TYPES[style])


def form_answer(root: str, result: str) -> Answer:
    """Wrap a result as the answer to a form POST or GET: its root is the type's name.

    :param root: e.g. ``WsSendResponse`` or ``int``
    :param result: escaped inner XML
    """
    body = f'{_DECLARATION}\r\n<{root} {_SCHEMA} xmlns="{SERVICE_NAMESPACE}">{result}</{root}>'
    return Answer(_encoded(body), content_type="text/xml; charset=utf-8")


def soap_fault(style: str, reason: str) -> Answer:
    """Return a SOAP fault with HTTP status 500.

    :param style: ``soap11`` or ``soap12``
    :param reason: what went wrong
    """
    if style == "soap12":
        inner = (
            "<soap:Code><soap:Value>soap:Sender</soap:Value></soap:Code>"
            f'<soap:Reason><soap:Text xml:lang="en">{escaped(reason)}</soap:Text></soap:Reason>'
        )
    else:
        inner = f"<faultcode>soap:Client</faultcode><faultstring>{escaped(reason)}</faultstring>"
    body = (
        f'{_DECLARATION}<soap:Envelope xmlns:soap="{ENVELOPES[style]}"><soap:Body><soap:Fault>{inner}'
        "</soap:Fault></soap:Body></soap:Envelope>"
    )
    return Answer(_encoded(body), status=500, content_type=_CONTENT_TYPES[style])


def plain_fault(reason: str) -> Answer:
    """Return what an ASMX page says to a form it cannot read: plain text, HTTP status 500.

    :param reason: what went wrong
    """
    return Answer(
        f"System.InvalidOperationException: {reason}\r\n".encode(),
        status=500,
        content_type="text/plain; charset=utf-8",
    )


def fault_style(request: Request) -> str:
    """Guess the SOAP version a broken request meant, so that its fault can be read.

    :param request: a POST to the ``.asmx`` page itself
    """
    return "soap12" if "application/soap+xml" in request.header("content-type") else "soap11"


def wsdl_answer(name: str, request: Request, address: str | None) -> Answer:
    """Return a WSDL whose ports carry the address it was asked at.

    :param name: file name in the ``wsdl`` folder, without its ending
    :param request: the GET; its Host and path make the address
    :param address: printed instead, to see whether a client would follow it
    """
    served_at = address or f"http://{request.header('host')}{unquote(request.path)}"
    document = (
        resources.files("airflow_provider_sms.sandbox").joinpath("wsdl", f"{name}.wsdl").read_text("utf-8")
    )
    return Answer(
        document.replace("@ADDRESS@", escaped(served_at).replace('"', "&quot;")).encode(),
        content_type="text/xml; charset=utf-8",
    )


def _encoded(body: str) -> bytes:
    return body.encode("utf-8", "replace")
