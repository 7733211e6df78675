"""What the tests of ``airflow sms`` share: the real parser, in this process, and what a command said."""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

import pytest


class Said(NamedTuple):
    """What a command wrote, and how it ended."""

    out: str
    err: str
    status: int


@pytest.fixture
def spool(store_connection):
    """Give the spool that the commands look into."""
    from airflow_provider_sms.hooks.store import open_store
    from airflow_provider_sms.store.spool import Spool

    assert store_connection
    return Spool(open_store().spool_dir)


@pytest.fixture
def sms(airflow_database, capsys, monkeypatch):
    """Run a command as Airflow does, next to its database: ``sms("pages", "--state", "suspect")``."""
    del airflow_database
    from airflow.cli.cli_parser import _add_command

    from airflow_provider_sms.cli.definition import get_sms_commands

    # As on a server: commands run there, and the environment is put back afterwards.
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    parser = argparse.ArgumentParser(prog="airflow")
    _add_command(parser.add_subparsers(), get_sms_commands()[0])

    def run(*words: Any):
        args = parser.parse_args(["sms", *map(str, words)])
        capsys.readouterr()
        status = 0
        try:
            args.func(args)
        except SystemExit as end:
            status = end.code
        return Said(*capsys.readouterr(), status)

    return run
