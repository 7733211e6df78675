"""Connection fields that all vendors with a SOAP service share."""

from __future__ import annotations

from airflow_provider_sms.vendors.base import ConnectionField

SOAP_FIELDS: tuple[ConnectionField, ...] = (
    ConnectionField(
        "wsdl",
        "WSDL",
        "The WSDL of this package, or the one that the vendor's server gives.",
        default="packaged",
        choices=("packaged", "fetch"),
    ),
    ConnectionField(
        "soap_version", "SOAP version", "Version of SOAP.", default="1.2", choices=("1.2", "1.1")
    ),
)
