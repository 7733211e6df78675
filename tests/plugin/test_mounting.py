"""In Airflow's own API server: mounted when configured, gone when not, and silent in its access log."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

# Airflow's app brings many libraries, which warn about each other.
pytestmark = pytest.mark.filterwarnings("ignore")

QUERY = "Class=mo&Mobile=13800138000&Message=%CD%CB%B6%A9&LinkId=a1&RevertTime=2025-01-31%2016:30:00"


@pytest.fixture
def airflow_app(monkeypatch):
    """Make Airflow's API server app anew, with the plugins as they are configured now."""
    from airflow import plugins_manager
    from airflow.api_fastapi import app as airflow_app
    from airflow.utils.db import initdb

    initdb()
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")

    def make():
        plugins_manager.get_fastapi_plugins.cache_clear()
        airflow_app.purge_cached_app()
        return airflow_app.create_app(apps="core")

    yield make
    plugins_manager.get_fastapi_plugins.cache_clear()
    airflow_app.purge_cached_app()


def test_it_is_off_unless_a_connection_is_named(airflow_app):
    mounted = [getattr(route, "path", "") for route in airflow_app().routes]
    assert "/sms/push" not in mounted


def test_a_push_to_the_api_server_is_a_row_and_its_log_holds_no_query(
    airflow_app, connections, rows, monkeypatch, sandbox, push_options, capfd
):
    from starlette.testclient import TestClient

    from airflow_provider_sms.plugin.sms_plugin import URL_PREFIX

    connections("smsadmin", **push_options)
    monkeypatch.setenv("AIRFLOW__SMS__PUSH_CONNECTIONS", "sms_smsadmin")
    client = TestClient(airflow_app())
    url = f"{URL_PREFIX}/sms_smsadmin?token={push_options['push_token']}"
    login = sandbox.account("smsadmin").login
    with client:
        answer = client.post(f"{url}&SmsName={login}&{QUERY}")
        assert (answer.status_code, answer.text) == (200, "ok")
        assert client.post(f"{URL_PREFIX}/sms_smsadmin?token=wrong&{QUERY}").status_code == 403
        assert client.get(f"{URL_PREFIX}/openapi.json").status_code == 403
    assert rows("SELECT content FROM sms_replies") == ["退订"]
    told = "".join(capfd.readouterr())
    assert "/sms/push/sms_smsadmin" in told
    for secret in (push_options["push_token"], "13800138000", "CD%CB", "退订"):
        assert secret not in told


def test_the_api_server_lands_what_an_earlier_process_left(
    airflow_app, connections, rows, store, monkeypatch, sandbox, push_options
):
    """Without a push: it starts and stops what is mounted in it."""
    from starlette.testclient import TestClient

    from airflow_provider_sms.store.journal import Journal

    monkeypatch.setattr("airflow_provider_sms.plugin.desk.FIRST_MEND_SECONDS", 0.1)
    connections("smsadmin", **push_options)
    monkeypatch.setenv("AIRFLOW__SMS__PUSH_CONNECTIONS", "sms_smsadmin")
    body = f"SmsName={sandbox.account('smsadmin').login}&{QUERY}"
    Journal(store).push("sms_smsadmin", "smsadmin", "replies", body.encode(), page_id="left")
    deadline = time.monotonic() + 20
    with TestClient(airflow_app()):
        while not rows("SELECT content FROM sms_replies") and time.monotonic() < deadline:
            time.sleep(0.05)
    assert rows("SELECT content FROM sms_replies") == ["退订"]


def test_a_worker_that_loads_the_plugin_imports_no_fastapi(tmp_path):
    script = (
        "import sys, json\n"
        "from airflow import plugins_manager\n"
        "from airflow_provider_sms.plugin.sms_plugin import SmsPlugin\n"
        "plugin = SmsPlugin()\n"
        "print(json.dumps({'fastapi': 'fastapi' in sys.modules, 'apps': plugin.fastapi_apps,"
        " 'after': 'airflow_provider_sms.plugin.app' in sys.modules}))\n"
    )
    environment = {"AIRFLOW_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    told = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    ).stdout.splitlines()[-1]
    assert json.loads(told) == {"fastapi": False, "apps": [], "after": False}


def test_the_plugin_manager_finds_the_plugin():
    from importlib.metadata import entry_points

    from airflow.sdk.plugins_manager import AirflowPlugin

    (found,) = [each for each in entry_points(group="airflow.plugins") if each.name == "sms"]
    assert issubclass(found.load(), AirflowPlugin)


def test_the_tokens_are_fields_of_the_form_that_hide_what_is_typed():
    from airflow_provider_sms.get_provider_info import get_provider_info

    types = {each["connection-type"]: each["conn-fields"] for each in get_provider_info()["connection-types"]}
    for name in ("push_token", "push_token_previous"):
        assert types["sms_smsadmin"][name]["schema"]["format"] == "password"
        assert name not in types["sms_wavecom"]
