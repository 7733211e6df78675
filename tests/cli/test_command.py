"""The commands as people start them, and what they cost everybody else's ``airflow``."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from sqlalchemy import delete

from airflow_provider_sms.records import PageState
from airflow_provider_sms.sandbox import __main__ as sandbox_command
from airflow_provider_sms.store.journal import Journal

AIRFLOW = str(Path(sys.executable).with_name("airflow"))


@pytest.fixture
def in_database(airflow_database, sandbox):
    """Have a connection in Airflow's database, of each of which Airflow logs that its type has a ``_``."""
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session

    del airflow_database
    with create_session() as session:
        fields = sandbox.connection("wavecom")
        session.add(Connection(conn_id="sms_logged", **fields | {"extra": json.dumps(fields["extra"])}))
    yield "sms_logged"
    with create_session() as session:
        session.execute(delete(Connection).where(Connection.conn_id == "sms_logged"))


def test_airflow_itself_knows_the_commands(store, store_connection, in_database, monkeypatch):
    """Through the installed provider: the list on standard output and no log, the advice beside it."""
    assert store_connection
    journal = Journal(store)
    page_id = journal.begin(in_database, "wavecom", "reports", "reader")
    journal.close_unread(page_id, PageState.SUSPECT, "cut off near 13812345678")
    monkeypatch.delenv("AIRFLOW__CORE__UNIT_TEST_MODE")  # it prints a line of its own
    command = [AIRFLOW, "sms", "pages", "--output", "json"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)  # noqa: S603
    (row,) = json.loads(ran.stdout)
    assert (row["page"], row["state"], row["lost_at_most"]) == (page_id, "suspect", 100)
    assert "Ask the vendor for the records of that time" in ran.stderr
    assert "13812345678" not in ran.stdout + ran.stderr


@pytest.mark.usefixtures("programs_hear_ctrl_c")
def test_airflow_serves_the_sandbox(tmp_path):
    """Until Ctrl-C; the lines can be read by a shell."""
    command = [AIRFLOW, "sms", "sandbox", "--port", "0", "--connections"]
    environment = os.environ | {"AIRFLOW_HOME": str(tmp_path)}
    with subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        exports = []
        for line in process.stdout:
            if line.startswith("export AIRFLOW_CONN_"):
                exports.append(shlex.split(line)[1].partition("=")[2])
            if len(exports) == 4:
                break
        port = json.loads(exports[0])["port"]
        assert httpx.get(f"http://127.0.0.1:{port}/get_report_txt.asp", trust_env=False).text == "-1"
        os.kill(process.pid, signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 0


def test_the_sandbox_takes_the_same_options_both_ways():
    from airflow_provider_sms.cli.definition import get_sms_commands

    (group,) = get_sms_commands()
    command = next(each for each in group.subcommands if each.name == "sandbox")
    ours = {argument.flags[0]: argument.kwargs.get("default", False) for argument in command.args}
    theirs = {
        action.option_strings[0]: action.default
        for action in sandbox_command._parser()._actions
        if action.dest != "help"
    }
    assert ours == theirs


def test_every_command_says_what_it_does():
    """And its function is there."""
    from airflow_provider_sms.cli.definition import get_sms_commands

    (group,) = get_sms_commands()
    names = [command.name for command in group.subcommands]
    assert {"doctor", "pages", "purge", "replay", "sandbox", "settle"} <= set(names)
    for command in group.subcommands:
        assert command.help
        assert callable(command.func)


def test_helps_are_printed_as_they_are_written():
    """Airflow's parser prints them by rich, to which a word in brackets is a style."""
    from rich.text import Text

    from airflow_provider_sms.cli.definition import get_sms_commands

    (group,) = get_sms_commands()
    texts = [group.help, group.description]
    for command in group.subcommands:
        helps = (argument.kwargs.get("help") for argument in command.args)
        texts += [command.help, command.description, command.epilog, *helps]
    texts = list(filter(None, texts))
    assert [Text.from_markup(each).plain for each in texts] == texts


def test_other_airflow_commands_pay_nothing():
    """What every ``airflow`` command imports of us brings neither vendors nor database nor HTTP."""
    code = (
        "import sys, airflow.cli.cli_config\n"
        "before = set(sys.modules)\n"
        "import airflow_provider_sms.cli.definition as ours\n"
        "ours.get_sms_commands()\n"
        "print(sorted(set(sys.modules) - before))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    loaded = set(eval(ran.stdout.splitlines()[-1]))  # noqa: S307 - a list that was printed above
    assert loaded <= {
        "airflow_provider_sms",
        "airflow_provider_sms.cli",
        "airflow_provider_sms.cli.definition",
    }


def test_the_hash_key_is_a_secret_of_the_configuration():
    from airflow_provider_sms.get_provider_info import get_provider_info

    info = get_provider_info()
    assert info["config"]["sms"]["options"]["number_hash_key"]["sensitive"] is True
    assert "airflow_provider_sms.operators.settle" in info["operators"][0]["python-modules"]
