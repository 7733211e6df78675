"""The connection form of a vendor as Airflow draws it, made from the vendor's class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_sms.vendors.accounts import fields_of

if TYPE_CHECKING:
    from airflow_provider_sms.vendors.base import ConnectionField, Vendor


def ui_field_behaviour(vendor: Vendor) -> dict[str, Any]:
    """Give the captions and placeholders of a vendor's connection form."""
    return {
        "hidden-fields": [],
        "relabeling": {"login": vendor.login_label, "schema": "Scheme (http or https)"},
        "placeholders": {
            "host": vendor.host_example,
            "schema": vendor.scheme,
            "port": "443" if vendor.scheme == "https" else "80",
        },
    }


def conn_fields(vendor: Vendor) -> dict[str, Any]:
    """Give the form's extra fields, each with caption, description and JSON schema."""
    return {field.name: _form_field(field) for field in fields_of(vendor)}


def _form_field(field: ConnectionField) -> dict[str, Any]:
    # A required field is not enforced by the form, so that a half-filled connection can be saved.
    schema: dict[str, Any] = {"type": [field.kind, "null"]}
    if field.choices:
        schema["enum"] = list(field.choices)
    # Where a name sounds like a secret (password_is_md5), Airflow's form has *** in place of the default
    # and saves that. An empty switch is off.
    if field.default not in {None, ""} and field.default is not False:
        schema["default"] = field.default
    if field.minimum is not None:
        schema["minimum"] = field.minimum
    if field.maximum is not None:
        schema["maximum"] = field.maximum
    if field.secret:
        schema["format"] = "password"
    label = f"{field.label} (required)" if field.required else field.label
    return {"label": label, "description": field.description, "schema": schema}
