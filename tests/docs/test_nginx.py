"""The proxy's configuration in the documentation, served by a real nginx; it has to be installed for that."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "push.md"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/bin")
WORKS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
TARGET = b"/sms/push/my_sms?token=canary-token&Mobile=13800138000&Message=%CD%CB"

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@pytest.fixture
def proxy(tmp_path):
    """Serve it with all logs on that it does not turn off, and nobody behind it; gives the port."""
    shown = re.search(r"```nginx\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert shown is not None
    port = free_port()
    server = shown[1].replace("listen 80;", f"listen 127.0.0.1:{port};").replace(":8079", f":{free_port()}")
    folders = "".join(f"{work}_temp_path {tmp_path}/{work};\n" for work in WORKS)
    (tmp_path / "nginx.conf").write_text(
        f"daemon off;\npid {tmp_path}/pid;\nerror_log {tmp_path}/error.log info;\nevents {{}}\n"
        f"http {{\naccess_log {tmp_path}/access.log;\n{folders}{server}}}\n"
    )
    command = [str(NGINX), "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "error.log")]
    with subprocess.Popen(command) as running:  # noqa: S603 - a program of this machine
        for _ in range(100):
            with socket.socket() as asking:
                if asking.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
        running.terminate()


@pytest.mark.parametrize(
    ("request_line", "body", "status"),
    [
        (TARGET, b"", b"502"),
        (TARGET, b"x" * 70_000, b"413"),
        (TARGET + b" escaped by nobody", b"", b"400"),
        (TARGET + b"x" * 9000, b"", b"414"),
    ],
    ids=["receiver away", "too large", "no proper request", "too long"],
)
def test_no_log_holds_what_an_address_says(proxy, tmp_path, request_line, body, status):
    head = b"POST %b HTTP/1.1\r\nHost: receiver\r\nContent-Length: %d\r\n\r\n" % (request_line, len(body))
    with socket.create_connection(("127.0.0.1", proxy), timeout=10) as connection:
        connection.sendall(head + body)
        assert connection.recv(4096).split(b" ", 2)[1] == status
    logged = "".join(log.read_text() for log in tmp_path.glob("*.log"))
    assert "canary-token" not in logged
    assert "13800138000" not in logged
