"""``airflow sms sandbox``: four vendors on one local port."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_sms.cli.speaking import serving

if TYPE_CHECKING:
    from argparse import Namespace

_VALUES = ("port", "host", "report_delay", "failure_share", "reply_share", "smsadmin_interval", "seed")


@serving
def run(args: Namespace) -> int:
    """Serve until interrupted."""
    from airflow_provider_sms.sandbox.__main__ import main

    options = [f"--{name.replace('_', '-')}={getattr(args, name)}" for name in _VALUES]
    return main([*options, *(["--connections"] if args.connections else [])])
