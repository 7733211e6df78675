"""
What Airflow's ``ProvidersManager`` reads: connection forms, modules, configuration.

Imports nothing heavy: every ``airflow`` command loads it. The forms are made from the vendors' classes, so
that a form never lacks a field that its codec understands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_sms.vendors.base import Vendor

_HOOKS = {
    "beidoutong": "BeidoutongHook",
    "wavecom": "WavecomHook",
    "linkws": "LinkWSHook",
    "smsadmin": "SmsAdminHook",
}
_INTEGRATION = "Chinese SMS vendors"


def get_provider_info() -> dict[str, Any]:
    """Describe this provider to Airflow."""
    from airflow_provider_sms import __version__
    from airflow_provider_sms.vendors.registry import vendor_named

    def modules(name: str, *more: str) -> list[dict[str, Any]]:
        paths = [f"airflow_provider_sms.{name}.{module}" for module in ("sms", *more)]
        return [{"integration-name": _INTEGRATION, "python-modules": paths}]

    return {
        "package-name": "airflow-provider-sms",
        "name": "SMS",
        "description": "Chinese SMS vendors: nothing lost in silence, nothing sent twice.",
        "versions": [__version__],
        "integrations": [{"integration-name": _INTEGRATION, "external-doc-url": "", "tags": ["service"]}],
        "operators": modules("operators", "delivery", "export", "report", "settle"),
        "sensors": modules("sensors"),
        "triggers": modules("triggers"),
        "hooks": modules("hooks"),
        "connection-types": [_connection_type(vendor_named(name), hook) for name, hook in _HOOKS.items()],
        "notifications": ["airflow_provider_sms.notifications.sms.SmsNotifier"],
        "asset-uris": [{"schemes": ["sms"], "handler": "airflow_provider_sms.assets.sanitize_uri"}],
        "cli": ["airflow_provider_sms.cli.definition.get_sms_commands"],
        "config": _CONFIG,
    }


def _connection_type(vendor: Vendor, hook: str) -> dict[str, Any]:
    from airflow_provider_sms.vendors import forms

    return {
        "connection-type": vendor.conn_type,
        "hook-class-name": f"airflow_provider_sms.hooks.sms.{hook}",
        "hook-name": f"SMS: {vendor.name} ({vendor.title})",
        "ui-field-behaviour": forms.ui_field_behaviour(vendor),
        "conn-fields": forms.conn_fields(vendor),
    }


_CONFIG = {
    "sms": {
        "description": "Options of the SMS provider.",
        "options": {
            "store_conn_id": {
                "description": "Connection of the store; without it, SQLite below AIRFLOW_HOME.",
                "version_added": "0.1.0",
                "type": "string",
                "example": "sms_store",
                "default": "sms_store",
            },
            "store_connections": {
                "description": "Connections to the store that one process may have open at once.",
                "version_added": "0.2.0",
                "type": "integer",
                "example": None,
                "default": "32",
            },
            "spool_dir": {
                "description": "Folder for pages read while the store is away; below AIRFLOW_HOME if empty.",
                "version_added": "0.1.0",
                "type": "string",
                "example": "/var/lib/airflow/sms-spool",
                "default": "",
            },
            "number_hash_key": {
                "description": "Secret for hashing numbers into mobile_hash; at least 16 characters.",
                "version_added": "0.1.0",
                "type": "string",
                "sensitive": True,
                "example": None,
                "default": "",
            },
            "opt_out_words": {
                "description": "Replies that a purge keeps with their numbers, comma-separated.",
                "version_added": "0.1.0",
                "type": "string",
                "example": "TD,退订",
                "default": "",
            },
            "push_connections": {
                "description": "Connections whose vendor may push, comma-separated; off if empty.",
                "version_added": "0.1.0",
                "type": "string",
                "example": "my_sms",
                "default": "",
            },
            "push_trusted_proxies": {
                "description": "Addresses or networks of proxies whose X-Forwarded-For is believed.",
                "version_added": "0.1.0",
                "type": "string",
                "example": "127.0.0.1",
                "default": "",
            },
            "push_accept_get": {
                "description": "Take pushes by GET as well as by POST.",
                "version_added": "0.1.0",
                "type": "boolean",
                "example": "True",
                "default": "False",
            },
        },
    }
}
