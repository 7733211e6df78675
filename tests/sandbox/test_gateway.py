from __future__ import annotations

import json
import logging
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from airflow_provider_sms.sandbox import Fault, Sandbox
from airflow_provider_sms.sandbox.accounts import VENDORS

pytest_plugins = ["airflow_provider_sms.sandbox.fixtures"]
NUMBER = "13800001111"


def test_the_fixture_serves_users_own_tests(sms_sandbox):
    """A user needs the plug-in's name and nothing else."""
    assert httpx.get(f"{sms_sandbox.url}/_sandbox/state", trust_env=False).status_code == 200


def test_connections_fit_airflow(gateway):
    """The dictionary is what ``Connection`` takes, the JSON what an environment variable takes."""
    for vendor in VENDORS:
        connection = gateway.connection(vendor, timeout=3)
        assert set(connection) == {"conn_type", "host", "port", "schema", "login", "password", "extra"}
        assert (connection["conn_type"], connection["port"]) == (f"sms_{vendor}", gateway.port)
        assert json.loads(gateway.connection_json(vendor, timeout=3)) == connection
    assert gateway.connection("beidoutong")["extra"] == {"userid": "10086"}
    assert gateway.connection("linkws")["extra"] == {"signature": "【演示】"}


def test_failures_and_replies_follow_the_number(serve):
    """The same share and seed fail the same numbers, near enough to the share."""

    def fates(**settings: Any):
        _, client = serve(failure_share=0.3, reply_share=0.2, silent_share=0.1, **settings)
        numbers = [str(13_800_000_000 + index) for index in range(1000)]
        client.smsadmin("post_send", mobile=";".join(numbers), msg="x")
        reports, replies = [], []
        while (page := client.smsadmin("report")) != "160":
            reports += [(line.split("/")[0], line.split("/")[3]) for line in page.splitlines()]
        while (page := client.smsadmin("reve")) != "150":
            replies += [line.split("/")[0] for line in page.splitlines()]
        return reports, replies

    reports, replies = fates()
    assert (reports, replies) == fates()
    assert reports != fates(seed=1)[0]
    assert 850 < len(reports) < 950
    assert 200 < sum(code != "DELIVRD" for _, code in reports) < 340
    assert 150 < len(replies) < 250


def test_reports_wait_for_their_delay(serve):
    """Nothing before it, everything after it."""
    _, client = serve(report_delay=0.2)
    client.wavecom(send_phone=NUMBER, send_content="x")
    assert client.wavecom("get_report_txt") == "0"
    time.sleep(0.25)
    assert client.wavecom("get_report_txt").startswith("1|")


def test_each_record_leaves_once_under_many_readers(gateway, client):
    """Eight readers at once share out the queue without loss or repetition, and are counted."""
    sent = {report.message_id for report in gateway.queue_reports("wavecom", 2_000)}
    gateway.faults.add(Fault("slow", seconds=0.1, operation="reports", times=8))
    with ThreadPoolExecutor(8) as readers:
        pages = list(readers.map(lambda _: client.wavecom("get_report_txt"), range(24)))
    got = [record.split(";")[0] for page in pages for record in page.split("|")[1:]]
    assert len(got) == len(sent)
    assert set(got) == sent
    assert gateway.max_reads_in_flight("wavecom") > 1
    assert gateway.max_reads_in_flight("wavecom", "replies") == 0


def test_calls_are_logged_with_their_times(client, gateway):
    """Poll intervals can be asserted."""
    for _ in range(3):
        client.wavecom("get_report_txt")
        time.sleep(0.05)
    assert gateway.calls.count("wavecom", "reports") == gateway.calls.count() == 3
    intervals = gateway.calls.intervals("wavecom", "reports")
    assert len(intervals) == 2
    assert min(intervals) >= 0.05


def test_balance_pays_each_message_once_under_many_senders(gateway, client):
    """Concurrent submits never spend more than there is."""
    gateway.account("wavecom").balance = 25
    with ThreadPoolExecutor(8) as senders:
        answers = list(senders.map(lambda _: client.wavecom(send_phone=NUMBER, send_content="x"), range(40)))
    assert sum(answer.startswith("0|") for answer in answers) == 25
    assert answers.count("-9") == 15
    assert gateway.accepted_more_than_once() == {("wavecom", NUMBER, "x"): 25}


def test_control_shows_state_masked_unless_asked(client, gateway):
    """Whole numbers and texts only with ``full=1``."""
    client.wavecom(send_phone=NUMBER, send_content="机密内容")
    masked = client.http.get("/_sandbox/state").text
    assert NUMBER not in masked
    assert "机密内容" not in masked
    assert "138****1111" in masked
    full = client.http.get("/_sandbox/state?full=1").json()
    assert full["messages"][0]["content"] == "机密内容"
    assert full["vendors"]["wavecom"]["calls"] == {"send": 1}
    assert gateway.account("wavecom").password not in masked + json.dumps(full)


def test_control_scripts_faults_fills_queues_and_resets(client, gateway):
    """All that a test in another process needs."""

    def post(path, body):
        return client.http.post(f"/_sandbox/{path}", json=body).json()

    assert post("faults", [{"kind": "empty", "vendor": "wavecom"}, {"kind": "html", "after": 9}]) == {
        "pending": 2
    }
    assert client.wavecom("get_report_txt") == ""
    assert client.http.delete("/_sandbox/faults").json() == {"pending": 0}
    assert post("faults", {"random": {"share": 1, "kinds": ["empty"], "vendor": "linkws"}}) == {"pending": 0}
    assert client.linkws() == ""
    assert post("reports", {"vendor": "wavecom", "count": 7}) == {"queued": 7}
    assert post("replies", {"vendor": "wavecom", "records": [[NUMBER, "TD"]]}) == {"queued": 1}
    assert client.wavecom("get_receive_message_txt").endswith(f"{NUMBER};TD")
    assert post("account", {"vendor": "wavecom", "balance": 5}) == {"vendor": "wavecom", "balance": "5"}
    assert client.wavecom("Get_Account_Balance") == "5"
    assert post("reset", {}) == {"reset": True}
    assert gateway.waiting("wavecom", "reports") == 0
    assert "error" in post("faults", {"kind": "explode"})
    assert "error" in post("reports", {"vendor": "linkws"})
    assert "error" in post("nothing", {})


def test_console_says_nothing_secret(client, gateway, caplog):
    """No whole number, text, password or query string in any log line."""
    with caplog.at_level(logging.DEBUG):
        client.wavecom(send_phone=f"{NUMBER},13800002222", send_content="secret-text")
        client.smsadmin("post_send", mobile=NUMBER, msg="secret-text")
        client.http.get("/nowhere?password=secret-text")
    ours = "\n".join(record.getMessage() for record in caplog.records if "sandbox" in record.name)
    assert "wavecom send 138****1111 +1 -> 200" in ours
    for secret in (NUMBER, "secret-text", gateway.account("wavecom").password, "us_name"):
        assert secret not in ours


@pytest.mark.parametrize("in_query", [False, True])
def test_push_posts_the_fields_of_the_document(gateway, in_query):
    """§9 and §10: Class, SmsName, Mobile and the rest, in GB2312, as body or query."""
    seen = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            seen.append(dict(parse_qsl(body or self.path.partition("?")[2], encoding="gb18030")))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: Any):
            pass

    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=lambda: [server.handle_request() for _ in range(2)])
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/push"
        for event in (
            gateway.make_reply("smsadmin", (NUMBER, "退订&镕", "", "a1", "2020-01-02 03:04:05")),
            gateway.make_report(
                "smsadmin", {"mobile": NUMBER, "message_id": "a1", "time": "2020-01-02 03:04:05"}
            ),
        ):
            assert gateway.push(url, event, in_query=in_query) == 200
        thread.join(5)
    common = {"SmsName": "demo_smsadmin", "Mobile": NUMBER, "LinkId": "a1"}
    assert seen == [
        {"Class": "mo", "Message": "退订&镕", "RevertTime": "2020-01-02 03:04:05", **common},
        {"Class": "rpt", "Report": "DELIVRD", "ReportTime": "2020-01-02 03:04:05", **common},
    ]


def test_push_stays_on_this_machine(gateway):
    """The sandbox calls nobody else."""
    with pytest.raises(ValueError, match="this machine"):
        gateway.push("http://example.com/", gateway.make_reply("smsadmin", (NUMBER, "x")))


def test_a_big_page_is_built_quickly(client, gateway):
    """10,000 reports in well under a second."""
    gateway.queue_reports("beidoutong", 10_000)
    began = time.perf_counter()
    assert client.beidoutong("QueryStatus", statusNum="10000").count("<WsStatusBox>") == 10_000
    assert time.perf_counter() - began < 1


def test_chunked_requests_and_odd_requests_are_read(gateway):
    """A chunked body is a body; what cannot be read is a 400, what is no vendor's a 404."""
    account = gateway.account("smsadmin")
    form = f"uid={account.login}&pwd={account.password}&mobile={NUMBER}&msg=x".encode()
    with httpx.Client(base_url=gateway.url, trust_env=False) as http:
        answer = http.post("/smsmarketing/wwwroot/api/post_send/", content=iter([form[:9], form[9:]]))
        assert answer.content.decode("gb18030") == "0 发送成功!"
        assert http.get("/").status_code == 404
    for body in (b"Content-Length: x\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"):
        with socket.create_connection((gateway.host, gateway.port), timeout=5) as sock:
            sock.sendall(b"POST /x HTTP/1.1\r\nHost: x\r\n" + body)
            assert sock.recv(65536).startswith(b"HTTP/1.1 400 ")


def test_a_sandbox_that_was_never_started_can_be_stopped():
    """Nothing hangs, and a refusal before the start is an error instead of a wait for ever."""
    gateway = Sandbox()
    with pytest.raises(RuntimeError, match="start"):
        gateway.faults.add(Fault("refuse"))
    gateway.stop()


def test_the_wsdl_can_name_another_address(serve):
    """To see whether a client follows it there."""
    _, client = serve(wsdl_address="http://example.invalid/x?a=1&b=2")
    for path in ("/SmsWebService.asmx", "/sdk2/LinkWS.asmx"):
        assert 'location="http://example.invalid/x?a=1&amp;b=2"' in client.http.get(f"{path}?wsdl").text


def test_stopping_ends_quickly_even_in_mid_answer():
    """A slow fault, a refusal and an idle client do not hold it up."""
    gateway = Sandbox().start()
    gateway.faults.add(Fault("slow", seconds=60))
    call = (httpx.HTTPError, httpx.get, f"{gateway.url}/get_report_txt.asp")
    caller = threading.Thread(target=pytest.raises, args=call)
    caller.start()
    time.sleep(0.1)
    gateway.faults.add(Fault("refuse", seconds=60))
    began = time.monotonic()
    gateway.stop()
    caller.join(5)
    assert time.monotonic() - began < 2
    assert not caller.is_alive()
