"""The pages on configuration and the command line, made from what Airflow is told at build time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from markdown_tables import cell, code, table
from vendor_pages import write

from airflow_provider_sms.get_provider_info import get_provider_info

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.cli.cli_config import ActionCommand, Arg
    from sphinx.application import Sphinx


def options() -> str:
    """Make the table of the options in Airflow's configuration."""
    found = get_provider_info()["config"]["sms"]["options"]
    rows = (
        [code(name), cell(option["description"]), code(option["default"])] for name, option in found.items()
    )
    return table(["option in `[sms]`", "meaning", "default"], rows)


def commands() -> str:
    """Make the reference of ``airflow sms``."""
    from airflow_provider_sms.cli.definition import get_sms_commands

    (group,) = get_sms_commands()
    return "\n".join(part for command in group.subcommands for part in _command(command))


def _command(command: ActionCommand) -> Iterator[str]:
    yield f"## airflow sms {command.name}\n"
    yield f"{command.help}.\n"
    if command.epilog:
        yield f"{command.epilog}\n"
    rows = [[_flags(each), cell(each.kwargs.get("help", ""))] for each in command.args]
    yield table(["argument", "meaning"], rows)


def _flags(argument: Arg) -> str:
    value = str(argument.kwargs.get("metavar") or "")
    if not argument.flags[0].startswith("-"):
        return code(value or argument.flags[0])
    if choices := argument.kwargs.get("choices"):
        value = "{" + ",".join(choices) + "}"
    return ", ".join(map(code, argument.flags)) + (f" {code(value)}" if value else "")


def generate(app: Sphinx) -> None:
    """Write the pages into ``_generated``."""
    folder = Path(app.srcdir) / "_generated"
    folder.mkdir(exist_ok=True)
    write(folder / "options.md", options())
    write(folder / "commands.md", commands())


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("builder-inited", generate)
    return {"parallel_read_safe": True}
