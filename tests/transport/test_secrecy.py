"""No address, query, header field or body shows in a log or an error."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import traceback

import httpcore
import pytest

from airflow_provider_sms.transport.failures import NoAnswer
from airflow_provider_sms.wire import WireRequest

CANARY = "canary-7f3a"
ASK = WireRequest("GET", "/ask", f"pwd={CANARY}")
SEND = WireRequest("POST", "/send", f"pwd={CANARY}", CANARY.encode(), {"X-Secret": CANARY})
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


#: Answers that repeat what must not be repeated.
TELLTALES = {
    "answer": f"HTTP/1.1 200 OK\r\nX-Echo: {CANARY}\r\nContent-Length: 2\r\n\r\nok",
    "redirect": f"HTTP/1.1 302 Moved\r\nLocation: http://{CANARY}@other.example.com/{CANARY}?{CANARY}\r\n\r\n",
    "relative redirect": f"HTTP/1.1 302 Moved\r\nLocation: /{CANARY}?{CANARY}\r\n\r\n",
    "bad redirect": f"HTTP/1.1 302 Moved\r\nLocation: ftp://{CANARY}\r\n\r\n",
    "status line": f"HTTP/1.1 {CANARY}\r\n\r\n",
    "header": f"HTTP/1.1 200 OK\r\n{CANARY}\r\n\r\n",
    "nothing": "",
    "cut": f"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{CANARY}",
    "chunk": f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{CANARY}\r\n",
    "coding": f"HTTP/1.1 200 OK\r\nContent-Encoding: {CANARY}\r\n\r\n{CANARY}",
}


def _outcome(client, *, fresh):
    try:
        return client.exchange(SEND, fresh=fresh, deadline=2).problem, None
    except NoAnswer as error:
        return repr(error) + "".join(traceback.format_exception(error)), error


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("case", TELLTALES)
def test_no_secret_shows_in_logs_and_errors(serve, transport, caplog, case, fresh):
    """Everything at DEBUG, the library's own loggers included; tracebacks with all that hangs on them."""
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "httpcore.http11", "httpcore.connection"):
        caplog.set_level(logging.DEBUG, name)
    seen, failure = _outcome(transport(serve.once(TELLTALES[case].encode()).url), fresh=fresh)
    if failure:
        assert failure.__cause__ is None
        assert failure.__context__ is None
    seen += caplog.text + "".join(str(record.__dict__) for record in caplog.records)
    assert CANARY not in seen
    assert "pwd=" not in seen


@pytest.mark.parametrize("case", ["redirect", "status line", "nothing"])
def test_no_secret_shows_in_the_variables_of_a_traceback(serve, transport, case):
    """Tools that report errors print the local variables of each frame, too."""
    request = WireRequest("POST", "/send", f"pwd={CANARY}", CANARY.encode())
    with pytest.raises(NoAnswer) as raised:
        transport(serve.once(TELLTALES[case].encode()).url).exchange(request)
    with_variables = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    assert CANARY not in "".join(with_variables.format())


@pytest.mark.parametrize("query", [f"pwd={CANARY}\r\n", f"pwd={CANARY}堃"])
def test_no_secret_shows_when_the_request_cannot_be_written(transport, caplog, query):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(NoAnswer) as raised:
        transport("http://127.0.0.1:1").exchange(WireRequest("GET", "/", query))
    assert raised.value.__context__ is None
    assert CANARY not in "".join(traceback.format_exception(raised.value)) + caplog.text


def test_other_users_of_the_library_keep_their_logs(serve, transport, caplog):
    """Only records about our requests are dropped, not those of the process."""
    peer = serve.always(OK)
    client = transport(peer.url)
    client.exchange(ASK)
    caplog.set_level(logging.DEBUG)
    with httpcore.ConnectionPool() as pool:
        pool.request("GET", f"{peer.url}/theirs")
    assert "receive_response_headers.complete" in caplog.text
    caplog.clear()
    client.exchange(ASK)
    assert caplog.text == ""


def test_importing_the_module_does_not_import_the_library():
    """Everything that DAG files import stays light."""
    script = (
        "import sys, airflow_provider_sms.transport.http; print([m for m in sys.modules if m[:4] == 'http'])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, env=os.environ)  # noqa: S603
    assert b"httpx" not in done.stdout
    assert b"httpcore" not in done.stdout
