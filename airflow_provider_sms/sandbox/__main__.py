"""``python -m airflow_provider_sms.sandbox``: serve until Ctrl-C, and say how to connect."""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
import threading
from typing import TYPE_CHECKING

from airflow_provider_sms.sandbox.accounts import VENDORS
from airflow_provider_sms.sandbox.gateway import Sandbox

if TYPE_CHECKING:
    from collections.abc import Sequence

_FOREVER = threading.Event()


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until interrupted and return the exit status.

    :param argv: arguments behind the program's name; None for those of this process
    """
    options = _parser().parse_args(argv)
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        sandbox = Sandbox(
            options.port,
            host=options.host,
            report_delay=options.report_delay,
            failure_share=options.failure_share,
            reply_share=options.reply_share,
            smsadmin_poll_interval=options.smsadmin_interval,
            seed=options.seed,
        )
    except OSError as error:
        sys.stderr.write(f"cannot serve at {options.host}:{options.port}: {error.strerror}\n")
        return 1
    with sandbox:
        sys.stdout.write("\n".join(describe(sandbox, connections_only=options.connections)) + "\n")
        sys.stdout.flush()
        try:
            _FOREVER.wait()
        except KeyboardInterrupt:
            sys.stdout.write("\n")
    return 0


def describe(sandbox: Sandbox, *, connections_only: bool = False) -> list[str]:
    """Return the lines that say how to connect, ready for a shell.

    :param sandbox: a running sandbox
    :param connections_only: leave out everything but the ``export`` lines
    """
    exports = [
        f"export AIRFLOW_CONN_SMS_{vendor.upper()}={shlex.quote(sandbox.connection_json(vendor))}"
        for vendor in VENDORS
    ]
    if connections_only:
        return exports
    return [
        f"# Four SMS vendors at {sandbox.url}, control at {sandbox.url}/_sandbox/state, end with Ctrl-C",
        *exports,
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_sms.sandbox",
        description="Serves four Chinese SMS vendors on one local port. Nothing is ever sent.",
    )
    parser.add_argument("--port", type=int, default=8088, help="port to serve at, 0 for a free one (8088)")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (127.0.0.1)")
    parser.add_argument("--report-delay", type=float, default=1.0, help="seconds until a delivery report (1)")
    parser.add_argument("--failure-share", type=float, default=0.05, help="share of failed messages (0.05)")
    parser.add_argument("--reply-share", type=float, default=0.02, help="share of numbers that answer (0.02)")
    parser.add_argument(
        "--smsadmin-interval",
        type=float,
        default=0.0,
        help="refuse smsadmin reads faster than this many seconds (0)",
    )
    parser.add_argument("--seed", type=int, default=0, help="changes which numbers fail and answer (0)")
    parser.add_argument(
        "--connections", action="store_true", help="print the four export lines and no others first"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
