"""
Which vendors there are: ours, and those that other packages bring.

Another package registers a vendor by an entry point of the group ``airflow_provider_sms.vendors`` that
names a subclass of :class:`~airflow_provider_sms.vendors.base.Vendor`.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from airflow_provider_sms.errors import PreflightError

if TYPE_CHECKING:
    from airflow_provider_sms.vendors.base import Vendor

ENTRY_POINT_GROUP = "airflow_provider_sms.vendors"

#: Our own vendors, by module and class; imported when first asked for.
_OWN = {
    "beidoutong": "BeidoutongVendor",
    "wavecom": "WavecomVendor",
    "linkws": "LinkWSVendor",
    "smsadmin": "SmsAdminVendor",
}


@cache
def vendors() -> dict[str, Vendor]:
    """Give all vendors by name, ours first."""
    found: dict[str, Vendor] = {}
    for module, name in _OWN.items():
        found[module] = getattr(import_module(f"airflow_provider_sms.vendors.{module}"), name)()
    for point in entry_points(group=ENTRY_POINT_GROUP):
        vendor = point.load()()
        # A package may add a vendor, not silently take another's place.
        if vendor.name in found:
            msg = f"entry point {point.value!r} registers vendor {vendor.name!r}, which exists: rename it"
            raise PreflightError([msg], "vendor registry")
        found[vendor.name] = vendor
    return found


def vendor_named(name: str) -> Vendor:
    """
    Give a vendor by its name.

    :raises PreflightError: when there is no such vendor, listing those there are.
    """
    known = vendors()
    if name not in known:
        raise PreflightError([f"there is no vendor {name!r}: use one of {', '.join(known)}"])
    return known[name]


def vendor_of_type(conn_type: str, conn_id: str) -> Vendor:
    """
    Give the vendor of an Airflow connection type.

    :raises PreflightError: when the connection is not of a vendor's type, listing the types there are.
    """
    for vendor in vendors().values():
        if vendor.conn_type == conn_type:
            return vendor
    types = ", ".join(vendor.conn_type for vendor in vendors().values())
    msg = f"its type is {conn_type!r}, which is no SMS vendor: set the connection's type to one of {types}"
    raise PreflightError([msg], f"connection {conn_id!r}")
