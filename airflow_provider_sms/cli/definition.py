"""
The commands of ``airflow sms`` as Airflow's parser takes them.

Every ``airflow`` command loads this module, so it imports what Airflow has loaded by then and nothing else;
a command's own module is imported when it is called.
"""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import date
from typing import Any

from airflow.cli.cli_config import (
    ARG_VERBOSE,
    ActionCommand,
    Arg,
    GroupCommand,
    lazy_load_command,
    positive_int,
)

_HERE = "airflow_provider_sms.cli"
_PAGE_STATES = (
    *("reading", "read", "landed", "empty", "quarantined", "suspect"),
    *("spooled", "torn", "unreadable"),
)


def _argument(flags: tuple[str, ...], **options: Any) -> Arg:
    return Arg(flags, **options)


_STORE = _argument(
    ("--store-conn-id",), help="connection of the store; the configured one if not given", metavar="ID"
)
_CONNECTION = _argument(("--conn-id",), help="only what belongs to this SMS connection", metavar="ID")
_CONNECTIONS = _argument(
    ("--conn-id",),
    help="check this SMS connection; may be given more than once. If not given: all that can be found",
    action="append",
    metavar="ID",
)
_OUTPUT = _argument(
    ("-o", "--output"),
    help="form of the list: table (default), json, plain",
    choices=("table", "json", "plain"),
    default="table",
)
_REASON = _argument(("--reason",), help="why; kept with the decision", metavar="TEXT")


def get_sms_commands() -> list[GroupCommand]:
    """Give the command group ``airflow sms``."""
    commands = (_sandbox(), _doctor(), _pages(), _replay(), _settle(), _purge(), _report(), _push_receiver())
    return [
        GroupCommand(
            name="sms",
            help="Look after SMS vendors: what waits for a person, and what to do about it",
            description="Look after SMS vendors. None of these commands sends a message or reads a queue.",
            subcommands=commands,
        )
    ]


def _command(name: str, says: str, *arguments: Arg, epilog: str | None = None) -> ActionCommand:
    return ActionCommand(
        name=name, help=says, func=lazy_load_command(f"{_HERE}.{name}.run"), args=arguments, epilog=epilog
    )


def _sandbox() -> ActionCommand:
    return _command(
        "sandbox",
        "Serve four SMS vendors on one local port; nothing is ever sent",
        _argument(("--port",), help="port to serve at, 0 for a free one (8088)", type=int, default=8088),
        _argument(("--host",), help="address to bind (127.0.0.1)", default="127.0.0.1"),
        _argument(("--report-delay",), help="seconds until a delivery report (1)", type=float, default=1.0),
        _argument(("--failure-share",), help="share of failed messages (0.05)", type=float, default=0.05),
        _argument(("--reply-share",), help="share of numbers that answer (0.02)", type=float, default=0.02),
        _argument(
            ("--smsadmin-interval",),
            help="refuse smsadmin reads faster than this many seconds (0)",
            type=float,
            default=0.0,
        ),
        _argument(("--seed",), help="changes which numbers fail and answer (0)", type=int, default=0),
        _argument(
            ("--connections",),
            help="print the four export lines and no others first",
            action="store_true",
        ),
    )


def _day(given: str) -> date:
    try:
        return date.fromisoformat(given)
    except ValueError:
        msg = f"{given!r} is no date: write it like 2026-01-31"
        raise ArgumentTypeError(msg) from None


def _doctor() -> ActionCommand:
    return _command(
        "doctor",
        "Check connections and store, and say what needs a person",
        _CONNECTIONS,
        _argument(("--offline",), help="don't ask the vendors for their balances", action="store_true"),
        _STORE,
        ARG_VERBOSE,
        epilog="The exit status is 0 when all is well, and 1 when something needs a person.",
    )


def _pages() -> ActionCommand:
    return _command(
        "pages",
        "List pages that are quarantined, suspect, not landed, or in the spool",
        _argument(("page",), help="ids of pages, for --save and --dismiss", nargs="*", metavar="PAGE"),
        _CONNECTION,
        _argument(
            ("--state",),
            help="list this state instead; may be given more than once",
            action="append",
            choices=_PAGE_STATES,
        ),
        _argument(
            ("--limit",),
            help="list so many at most, the latest first (50)",
            type=positive_int(allow_zero=False),
            default=50,
        ),
        _argument(("--all",), help="list dismissed pages as well", action="store_true"),
        _argument(
            ("--save",),
            help="write the raw bytes of PAGE... into this folder. They hold whole numbers and texts",
            metavar="FOLDER",
        ),
        _argument(
            ("--dismiss",),
            help="note that nothing more can be done about PAGE...; needs --reason",
            action="store_true",
        ),
        _REASON,
        _OUTPUT,
        _STORE,
        ARG_VERBOSE,
    )


def _replay() -> ActionCommand:
    return _command(
        "replay",
        "Read stored pages again with the installed parser and land them; talks to no vendor",
        _argument(
            ("page",), help="ids of pages, as 'airflow sms pages' lists them", nargs="*", metavar="PAGE"
        ),
        _argument(("--all-quarantined",), help="all quarantined pages", action="store_true"),
        _CONNECTION,
        _STORE,
        ARG_VERBOSE,
        epilog="The exit status is 0 when all of these pages have landed whole, else 1.",
    )


def _settle() -> ActionCommand:
    return _command(
        "settle",
        "Show what speaks for and against sends whose outcome is unknown, and decide them",
        _argument(("send_key",), help="only this send", nargs="?", metavar="SEND_KEY"),
        _argument(
            ("--batch",), help="the batch to decide; all unknown ones of the send if not given", type=int
        ),
        _argument(
            ("--as",),
            dest="decision",
            help="accepted: it is never sent again. not-sent: the task's next run sends it again",
            choices=("accepted", "not-sent"),
        ),
        _REASON,
        _STORE,
        ARG_VERBOSE,
        epilog="The exit status is 1 while batches are unknown.",
    )


def _purge() -> ActionCommand:
    return _command(
        "purge",
        "Take texts, raw bytes and whole numbers out of old rows; counts, states and keys stay",
        _argument(
            ("--before",),
            help="what is older than this: a date (its midnight in China) or a time with its zone",
            required=True,
            metavar="DATE",
        ),
        _CONNECTION,
        _argument(("--dry-run",), help="only say what would go", action="store_true"),
        _argument(("-y", "--yes"), help="don't ask", action="store_true"),
        _argument(
            ("--also-quarantined",),
            help="the bytes of quarantined pages as well; they cannot be replayed afterwards",
            action="store_true",
        ),
        _STORE,
        ARG_VERBOSE,
    )


def _report() -> ActionCommand:
    return _command(
        "report",
        "Write what became of a day's messages as one HTML page that opens anywhere, offline as well",
        _argument(
            ("--day",),
            help="the day; if not given: today from noon on, else yesterday",
            type=_day,
            metavar="YYYY-MM-DD",
        ),
        _argument(("--days",), help="compare so many days up to this one (7)", type=int, default=7),
        _argument(
            ("--conn-id",),
            help="only this SMS connection; may be given more than once",
            action="append",
            metavar="ID",
        ),
        _argument(
            ("--language",),
            help="zh, en, or both (default) with a switch on the page",
            choices=("zh", "en", "both"),
            default="both",
        ),
        _argument(
            ("--output",), help="file to write (sms-delivery-<day>.html in this folder)", metavar="FILE"
        ),
        _argument(
            ("--timezone",),
            help="whose day, and the zone of all times on the page (Asia/Shanghai)",
            default="Asia/Shanghai",
            metavar="ZONE",
        ),
        _argument(
            ("--silent-after-hours",),
            help="a message without a final report counts as silent after so many hours (72)",
            type=float,
            default=72.0,
            metavar="HOURS",
        ),
        _STORE,
        ARG_VERBOSE,
        # No brackets: what prints this takes them for markup.
        epilog="The page holds no text and no whole number. Pictures need matplotlib: the extra 'report'.",
    )


def _push_receiver() -> ActionCommand:
    return ActionCommand(
        name="push-receiver",
        help="Receive what vendors push, on a port of its own",
        func=lazy_load_command(f"{_HERE}.push_receiver.run"),
        args=(
            Arg(("--port",), help="port to serve at (8079)", type=int, default=8079),
            Arg(("--host",), help="address to bind (127.0.0.1)", default="127.0.0.1"),
        ),
        epilog="The connections are those of the option push_connections in the section sms of airflow.cfg.",
    )
