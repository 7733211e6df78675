from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from airflow_provider_sms.sandbox import Sandbox


class Client:
    """Speaks to a sandbox as the documents say, without the provider's own code."""

    def __init__(self, gateway: Sandbox) -> None:
        self.gateway = gateway
        self.http = httpx.Client(base_url=gateway.url, trust_env=False, timeout=10)

    def wavecom(self, page="sendsms_txt", **fields: str):
        """Ask one of the four pages."""
        account = self.gateway.account("wavecom")
        fields = {"us_name": account.login, "us_pwd": account.password, **fields}
        return self.http.get(f"/{page}.asp?{gb_form(fields)}").content.decode("gb18030")

    def beidoutong(self, operation="SendSms", **fields: str):
        """Ask by form POST."""
        account = self.gateway.account("beidoutong")
        login = {"userid": account.userid, "account": account.login, "password": account.password}
        if operation == "SendSms":
            login |= {"mobile": "13800001111", "content": "你好", "sendTime": "", "extno": ""}
        return self.http.post(f"/SmsWebService.asmx/{operation}", data={**login, **fields}).text

    def linkws(self, page="IntlSend.aspx", **fields: str):
        """Ask by GET."""
        account = self.gateway.account("linkws")
        login = {"CorpID": account.login, "Pwd": account.password_md5}
        if "Balance" not in page:
            login |= {"Mobile": "13800001111", "Content": "你好【演示】", "Cell": "", "SendTime": ""}
        return self.http.get(f"/sdk2/{page}?{gb_form({**login, **fields})}").text

    def smsadmin(self, page, **fields: str):
        """Ask a page by its own method."""
        account = self.gateway.account("smsadmin")
        password = account.password_md5 if page.endswith(("_md5", "_ddt")) else account.password
        form = gb_form({"uid": account.login, "pwd": password, **fields})
        path = f"/smsmarketing/wwwroot/api/{page}/"
        if page.startswith("post_"):
            answer = self.http.post(
                path, content=form, headers={"Content-Type": "application/x-www-form-urlencoded"}
            )
        else:
            answer = self.http.get(f"{path}?{form}")
        return answer.content.decode("gb18030")


def gb_form(fields):
    return "&".join(f"{name}={quote(value.encode('gb18030'), safe='')}" for name, value in fields.items())


@pytest.fixture
def gateway():
    with Sandbox(linkws_balance_interval=0) as gateway:
        yield gateway


@pytest.fixture
def client(gateway):
    client = Client(gateway)
    yield client
    client.http.close()


@pytest.fixture
def serve():
    """Start a sandbox with other settings, and a client for it."""
    opened = []

    def start(**settings: Any):
        gateway = Sandbox(**{"linkws_balance_interval": 0, **settings}).start()
        client = Client(gateway)
        opened.extend([client.http.close, gateway.stop])
        return gateway, client

    yield start
    for close in opened:
        close()
