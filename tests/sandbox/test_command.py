from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from airflow_provider_sms.sandbox.__main__ import main


@pytest.mark.usefixtures("programs_hear_ctrl_c")
def test_the_command_prints_connections_serves_and_ends_quietly():
    """Four ``export`` lines a shell can read, a port that answers, and no traceback on Ctrl-C."""
    command = [sys.executable, "-m", "airflow_provider_sms.sandbox", "--port", "0", "--connections"]
    with subprocess.Popen(  # noqa: S603 - this interpreter
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        lines = [process.stdout.readline() for _ in range(4)]
        exports = dict(shlex.split(line)[1].split("=", 1) for line in lines)
        assert sorted(exports) == [
            f"AIRFLOW_CONN_SMS_{vendor}" for vendor in ("BEIDOUTONG", "LINKWS", "SMSADMIN", "WAVECOM")
        ]
        port = json.loads(exports["AIRFLOW_CONN_SMS_WAVECOM"])["port"]
        assert httpx.get(f"http://127.0.0.1:{port}/get_report_txt.asp", trust_env=False).text == "-1"
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert process.returncode == 0
    assert err == ""
    assert re.search(r"wavecom reports - -> 200, 2 bytes", out)


def test_a_port_in_use_is_said_in_one_sentence(capsys):
    """No traceback for what a user can put right."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        assert main(["--port", str(other.getsockname()[1])]) == 1
    assert "cannot serve at 127.0.0.1" in capsys.readouterr().err


def test_the_sandbox_stands_alone():
    """It loads no other module of the package, no Airflow, no pandas; lxml only once SOAP is spoken."""
    code = (
        "import sys, airflow_provider_sms.sandbox.__main__\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('airflow', 'pandas', 'lxml', 'zeep', 'httpx')"
        " or (m.startswith('airflow_provider_sms.') and not m.startswith('airflow_provider_sms.sandbox'))])"
    )
    ran = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"
