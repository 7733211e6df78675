"""``airflow sms push-receiver``: what a vendor pushes, on a port of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_sms.cli.speaking import hint, serving, stop

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence


@serving
def run(args: Namespace) -> int:
    """Serve until SIGTERM or SIGINT."""
    from airflow_provider_sms.plugin.server import serve
    from airflow_provider_sms.plugin.settings import read_settings
    from airflow_provider_sms.plugin.sms_plugin import URL_PREFIX

    def tell(port: int) -> None:
        hint(f"receiving pushes at http://{args.host}:{port}{URL_PREFIX}/<conn_id>?token=<push_token>")

    settings = read_settings()
    _tell_unfit(settings.connections)
    try:
        serve(args.host, args.port, settings=settings, bound=tell)
    except OSError as error:
        # What Python adds in parentheses is the address once more.
        why = str(error.strerror).partition(" (")[0]
        stop(f"{args.host}:{args.port} cannot be served at ({why}): choose another by --port or --host")
    return 0


def _tell_unfit(conn_ids: Sequence[str]) -> None:
    """Say which connections nothing can be pushed to as they are, and end if that is all of them."""
    from airflow_provider_sms.errors import SmsError
    from airflow_provider_sms.plugin.accounts import check_door

    unfit = 0
    for conn_id in conn_ids:
        try:
            check_door(conn_id)
        except SmsError as error:
            # One that could not be looked up may be fine in a minute.
            unfit += error.terminal
            hint(f"pushes to {conn_id!r} are refused as it is. {error}")
    if conn_ids and unfit == len(conn_ids):
        stop("nothing could be received, so no server was started: mend these, or [sms] push_connections")
