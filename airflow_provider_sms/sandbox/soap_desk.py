"""How a vendor with an ASMX page recognises what comes to the page itself: its WSDL, or a SOAP call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_sms.sandbox import soap
from airflow_provider_sms.sandbox.desk import Call, Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_sms.sandbox.wire import Request


def soap_call(vendor: str, operations: Mapping[str, Operation], request: Request) -> Call:
    """Return the call in an envelope, with its parameters' names in lower case; ``wsdl`` for a GET.

    A request that is no such call comes back as ``unreadable``, with the reason in place of the page.

    :param vendor: whose page it is
    :param operations: what each SOAP operation of the vendor asks for
    :param request: to the ``.asmx`` page itself
    """
    if request.method == "GET":
        return Call(vendor, "wsdl", "wsdl", request, {})
    try:
        style, name, parameters = soap.read_call(request)
    except soap.SoapError as error:
        return Call(vendor, "unreadable", str(error), request, {}, soap.fault_style(request))
    if name not in operations:
        return Call(vendor, "unreadable", f"No such operation: {name}.", request, {}, style)
    fields = {key.lower(): value for key, value in parameters.items()}
    return Call(vendor, operations[name], name, request, fields, style)
