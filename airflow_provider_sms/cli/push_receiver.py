"""``airflow sms push-receiver``: what a vendor pushes, on a port of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_sms.cli.speaking import command, hint

if TYPE_CHECKING:
    from argparse import Namespace


@command
def run(args: Namespace) -> int:
    """Serve until SIGTERM or SIGINT."""
    from airflow_provider_sms.plugin.server import serve
    from airflow_provider_sms.plugin.sms_plugin import URL_PREFIX

    hint(f"receiving pushes at http://{args.host}:{args.port}{URL_PREFIX}/<conn_id>?token=<push_token>")
    serve(args.host, args.port)
    return 0
