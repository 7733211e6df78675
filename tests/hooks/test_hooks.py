"""The hooks: one subclass per vendor, connections checked, and every call for scripts."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_sms import errors
from airflow_provider_sms.get_provider_info import get_provider_info
from airflow_provider_sms.hooks import sms
from airflow_provider_sms.hooks.sms import SmsHook
from airflow_provider_sms.hooks.store import open_store
from airflow_provider_sms.records import DeliveryStatus
from airflow_provider_sms.sandbox import Fault, Sandbox

EACH_VENDOR = pytest.mark.parametrize("vendor", ["beidoutong", "wavecom", "linkws", "smsadmin"])
WITH_QUEUES = pytest.mark.parametrize("vendor", ["beidoutong", "wavecom", "smsadmin"])
HOOKS = {
    "beidoutong": sms.BeidoutongHook,
    "wavecom": sms.WavecomHook,
    "linkws": sms.LinkWSHook,
    "smsadmin": sms.SmsAdminHook,
}


@EACH_VENDOR
def test_a_connection_gives_its_vendors_hook(connections, vendor):
    """By its type; a generic hook can do the same."""
    hook = SmsHook.for_connection(connections(vendor))
    assert type(hook) is HOOKS[vendor]
    assert hook.vendor.name == vendor == SmsHook(f"sms_{vendor}").vendor.name


@EACH_VENDOR
@pytest.mark.filterwarnings("ignore")
def test_a_form_that_is_saved_as_airflow_draws_it_is_a_connection(connections, vendor):
    """Airflow draws and saves *** in place of a default if the field's name sounds like a secret."""
    from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService

    drawn = {each.connection_type: each.extra_fields for each in HookMetaService.hook_meta_data()}
    saved = {name: field["value"] for name, field in drawn[HOOKS[vendor].conn_type].items()}
    given = SmsHook.for_connection(connections(vendor)).account
    saved = {name: value for name, value in saved.items() if value is not None}
    assert SmsHook.for_connection(connections(vendor, **saved)).account == given


@EACH_VENDOR
def test_airflow_finds_the_hook_of_the_type(vendor):
    """Connection type and class agree with what Airflow is told of this provider."""
    types = {each["connection-type"]: each for each in get_provider_info()["connection-types"]}
    assert types[HOOKS[vendor].conn_type]["hook-class-name"] == f"{sms.__name__}.{HOOKS[vendor].__name__}"


def test_a_hook_of_another_vendor_is_refused(connections):
    """Rather than speaking the wrong protocol to somebody's server."""
    with pytest.raises(errors.PreflightError, match=r"use SmsHook\.for_connection"):
        sms.WavecomHook(connections("smsadmin")).account  # noqa: B018 - asking is the test


def test_a_connection_that_does_not_exist_is_named(store_connection):
    """With how to create it."""
    del store_connection
    with pytest.raises(errors.PreflightError, match=r"connection 'nowhere'.*\n.*airflow connections add"):
        SmsHook.for_connection("nowhere")


@pytest.mark.parametrize("extra", ["[1, 2]", "not json", '"text"'])
def test_an_extra_that_is_no_object_is_named(connections, monkeypatch, sandbox, extra):
    """Without showing it: there may be a secret in it."""
    connections("wavecom")
    raw = sandbox.connection("wavecom") | {"extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_SMS_WAVECOM", json.dumps(raw))
    with pytest.raises(errors.PreflightError, match="extra is no JSON object") as caught:
        SmsHook("sms_wavecom").account  # noqa: B018 - asking is the test
    assert extra not in str(caught.value)


@EACH_VENDOR
def test_the_test_button_says_what_is_left_and_sends_nothing(connections, sandbox, vendor):
    """It asks for the balance, which proves address and password."""
    worked, told = SmsHook.for_connection(connections(vendor)).test_connection()
    assert worked
    assert "Nothing was sent" in told
    assert (" CNY left" if vendor == "smsadmin" else " messages left") in told
    assert sandbox.calls.by_operation(vendor) == {"balance": 1}


@EACH_VENDOR
@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param({"fields": {"password": "wrong-password"}}, id="password"),
        pytest.param({"fields": {"port": 1}}, id="refused"),
        pytest.param({"fields": {"host": "nowhere.invalid"}}, id="name"),
        pytest.param({"fault": Fault("status", operation="balance", status=404)}, id="404"),
        pytest.param({"fault": Fault("html", operation="balance")}, id="web-page"),
        pytest.param({"fault": Fault("redirect", operation="balance")}, id="redirect"),
        pytest.param({"fault": Fault("reset_before", operation="balance")}, id="reset"),
        pytest.param({"fault": Fault("slow", operation="balance", seconds=2), "timeout": 0.3}, id="slow"),
    ],
)
def test_the_test_button_tells_what_is_wrong(connections, sandbox, vendor, trouble):
    """In words without an address, a query or a password; nor an id, which is Airflow's own before a save."""
    trouble = dict(trouble)
    if fault := trouble.pop("fault", None):
        sandbox.faults.add(fault)
    account = sandbox.account(vendor)
    worked, told = SmsHook.for_connection(connections(vendor, **trouble)).test_connection()
    assert not worked
    assert f"'sms_{vendor}'" not in told
    for secret in ("http://", account.password, account.password_md5, "wrong-password", account.login):
        assert secret not in told


def test_a_forbidden_word_is_told_by_the_hook_and_by_no_task(connections):
    """The task's error says where it is to be had."""
    from airflow.providers.common.compat.sdk import AirflowFailException

    from airflow_provider_sms.operators.sms import SmsSendOperator

    conn_id = connections("wavecom")
    order = {"recipients": ["13800000000"], "content": "赌博"}
    with pytest.raises(AirflowFailException, match=r"SmsHook\.send, not a task") as failed:
        SmsSendOperator(task_id="send", sms_conn_id=conn_id, send_key="task", **order).execute({})
    assert "赌博" not in str(failed.value)
    with pytest.raises(errors.ContentRejected) as refused:
        SmsHook.for_connection(conn_id).send(**order)
    assert refused.value.words == ("赌博",)


def test_a_test_names_the_connection_that_is_not_there(store_connection):
    """Nobody gave the id of the default one, so nobody could tell which to create."""
    assert store_connection
    worked, told = SmsHook().test_connection()
    assert not worked
    assert "connection 'sms_default'" in told
    assert "there is no such connection: create it" in told


@EACH_VENDOR
def test_a_send_from_a_script(connections, sandbox, vendor):
    """At most once per key, like the operator's."""
    hook = SmsHook.for_connection(connections(vendor))
    for _ in range(2):
        result = hook.send("13800000000,13800000001", "您好【公司】", send_key="script")
        assert (result["accepted"], result["send_key"]) == (2, "script")
    assert sandbox.count_messages(vendor) == 2


def test_a_template_send_from_a_script(connections, sandbox):
    """With a random key."""
    hook = SmsHook.for_connection(connections("smsadmin"))
    result = hook.send_template([{"mobile": "13800000000", "name": "喆"}], "{name}您好")
    assert result["send_key"].startswith("adhoc-")
    assert sandbox.messages("smsadmin")[0].content == "喆您好"


def test_a_send_in_a_task_must_name_its_key(connections, sandbox):
    """A key made up by every try would send everything again with each retry: nothing is sent without one."""
    from airflow.sdk.execution_time.context import set_current_context

    hook = SmsHook.for_connection(connections("wavecom"))
    with set_current_context({"run_id": "run"}):
        for send, text in ((hook.send, "您好【公司】"), (hook.send_template, "{mobile}您好【公司】")):
            with pytest.raises(errors.PreflightError, match=r"give a send_key: a retry must know its send"):
                send("13800000000", text)
        assert sandbox.count_messages("wavecom") == 0
        for _ in range(2):
            assert hook.send("13800000000", "您好【公司】", send_key="run/welcome")["accepted"] == 1
    assert sandbox.count_messages("wavecom") == 1


def test_an_unknown_outcome_is_not_repeated_by_a_tasks_retry(connections, sandbox):
    """Under its key, Airflow's retry of a hook's SubmitUnknown sends nothing."""
    from airflow.sdk.execution_time.context import set_current_context

    hook = SmsHook.for_connection(connections("wavecom"))
    sandbox.faults.add(Fault("reset_after", operation="send"))
    with set_current_context({"run_id": "run"}):
        for _ in range(3):
            with pytest.raises(errors.SubmitUnknown):
                hook.send("13800000000", "您好【公司】", send_key="run/welcome")
    assert sandbox.count_messages("wavecom") == 1


def test_a_failed_send_names_the_key_that_was_made_up_for_it(connections, sandbox):
    """Whoever calls again with it repeats nothing; a key that was given needs no such advice."""
    hook = SmsHook.for_connection(connections("wavecom"))
    sandbox.faults.add(Fault("reset_after", operation="send"))
    with pytest.raises(errors.SubmitUnknown, match=r"Call again with send_key='adhoc-[0-9a-f]+'") as caught:
        hook.send("13800000000", "您好【公司】")
    key = str(caught.value).rpartition("send_key='")[2].partition("'")[0]
    with pytest.raises(errors.SubmitUnknown) as again:
        hook.send("13800000000", "您好【公司】", send_key=key)
    assert "Call again" not in str(again.value)
    assert sandbox.count_messages("wavecom") == 1


def test_an_interrupted_send_names_the_key_that_was_made_up_for_it(connections, monkeypatch):
    """The interrupt of a notebook leaves a send behind as well."""

    def interrupted(*_: Any, **__: Any):
        raise KeyboardInterrupt

    monkeypatch.setattr("airflow_provider_sms.sending.send", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        SmsHook.for_connection(connections("wavecom")).send("13800000000", "您好【公司】")
    assert "Call again with send_key='adhoc-" in caught.value.__notes__[0]


@EACH_VENDOR
def test_a_balance_from_a_script(connections, sandbox, vendor):
    """As an exact number with its unit."""
    sandbox.account(vendor).balance = Decimal(42)
    balance = SmsHook.for_connection(connections(vendor)).balance()
    assert balance.remaining == 42
    assert balance.unit == ("money" if vendor == "smsadmin" else "messages")


@WITH_QUEUES
def test_raw_reads_hand_over_one_page(connections, sandbox, rows, vendor):
    """Nothing is journalled: what the caller does with the list is the only copy."""
    sandbox.queue_reports(vendor, 3)
    sandbox.queue_replies(vendor, [("13800000000", "a/b;c|d")])
    hook = SmsHook.for_connection(connections(vendor))
    reports, replies = hook.read_reports(), hook.read_replies()
    assert [report.status for report in reports] == [DeliveryStatus.DELIVERED] * 3
    assert [reply.content for reply in replies] == ["a/b;c|d"]
    assert hook.read_reports() == []
    assert rows("SELECT page_id FROM sms_pages") == []
    for read in (SmsHook.read_reports, SmsHook.read_replies):
        assert "the only copy" in read.__doc__


@WITH_QUEUES
def test_a_raw_read_that_fails_is_one_of_our_errors(connections, sandbox, vendor):
    """And says what may be lost."""
    hook = SmsHook.for_connection(connections(vendor))
    sandbox.faults.add(Fault("reset_after", operation="reports"))
    with pytest.raises(errors.VendorUnreachable, match=f"sms_{vendor}.* may have deleted"):
        hook.read_reports()
    with Sandbox.closed_port() as port:
        closed = SmsHook.for_connection(connections(vendor, fields={"port": port}))
        with pytest.raises(errors.VendorUnreachable, match="nothing was read"):
            closed.read_reports()


def test_a_word_check(connections):
    """Where the vendor has one; elsewhere it says so."""
    hook = SmsHook.for_connection(connections("smsadmin"))
    assert hook.check_words("代开发票，谢谢") == ["代开发票"]
    assert hook.check_words("您好") == []
    with pytest.raises(errors.NotSupported, match="sms_wavecom"):
        SmsHook.for_connection(connections("wavecom")).check_words("您好")


# --- the store --------------------------------------------------------------------------------------


def test_the_store_may_be_named_by_an_address_or_json(monkeypatch, tmp_path):
    """Both forms of an ``AIRFLOW_CONN_`` variable lead to the same file."""
    monkeypatch.setenv("AIRFLOW__SMS__SPOOL_DIR", str(tmp_path / "spool"))
    path = tmp_path / "a" / "sms.db"
    forms = [
        f"sqlite:///{path}",
        json.dumps({"conn_type": "sqlite", "host": str(path)}),
        json.dumps({"conn_type": "sqlite", "schema": str(path)}),
    ]
    for form in forms:
        monkeypatch.setenv("AIRFLOW_CONN_SMS_STORE", form)
        store = open_store()
        assert Path(store.engine.url.database) == path, form
        store.prove_writable()
        store.close()


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("sqlite://", "names no file.*give the path of a file"),
        ("sqlite:///", "names no file.*give the path of a file"),
        ("sqlite:///:memory:", "a store in memory would forget"),
        ('{"conn_type": "sqlite", "host": ":memory:"}', "a store in memory would forget"),
    ],
)
def test_a_connection_without_a_file_is_not_taken_for_the_file_in_airflows_home(
    monkeypatch, tmp_path, address, says
):
    """SQLAlchemy takes it for a store in memory, which nobody can want."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_CONN_SMS_STORE", address)
    with pytest.raises(errors.PreflightError, match=says):
        open_store()
    assert not (tmp_path / "sms" / "sms.db").exists()


@pytest.mark.parametrize("path", ["sms.db", "data/sms.db", "~/sms.db", "file:/data/sms.db"])
def test_a_file_that_each_folder_has_another_of_is_no_store(monkeypatch, tmp_path, path):
    """A send would be new to the ledger of whichever process runs elsewhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AIRFLOW_CONN_SMS_STORE", json.dumps({"conn_type": "sqlite", "host": path}))
    with pytest.raises(errors.PreflightError, match=f"its file '{path}' is no whole path"):
        open_store()
    assert not list(tmp_path.iterdir())


def test_without_a_connection_the_store_is_a_file_in_airflows_home(monkeypatch, tmp_path):
    """Made on first use."""
    monkeypatch.delenv("AIRFLOW_CONN_SMS_STORE", raising=False)
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    store = open_store()
    store.prove_writable()
    store.close()
    assert (tmp_path / "sms" / "sms.db").exists()


def test_each_store_has_a_spool_of_its_own(monkeypatch, tmp_path, store_connection):
    """A page that one store could not take must not be swept into another."""
    monkeypatch.setenv("AIRFLOW_CONN_SMS_ARCHIVE", f"sqlite:///{tmp_path}/archive.db")
    other = open_store("sms_archive")
    assert other.spool_dir != open_store().spool_dir
    assert open_store().spool_dir == store_connection.spool_dir
    other.close()


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("http://somewhere/", "its type is 'http'"),
        ("generic://db.example.com/sms", "its type is 'generic'.*--conn-json"),
        (None, "there is no such connection"),
    ],
)
def test_a_store_that_is_none_is_refused(monkeypatch, store_connection, address, says):
    """By name, with what it may be."""
    del store_connection
    if address:
        monkeypatch.setenv("AIRFLOW_CONN_ELSEWHERE", address)
    with pytest.raises(errors.PreflightError, match=says) as caught:
        open_store("elsewhere")
    assert "'elsewhere'" in str(caught.value)


def test_any_database_that_sqlalchemy_knows_may_be_tried(monkeypatch, store_connection):
    """By the extra that Airflow's own hooks have for it; without a driver it is refused by name."""
    del store_connection
    monkeypatch.setenv(
        "AIRFLOW_CONN_ELSEWHERE", "generic://me@db.example.com/sms?sqlalchemy_scheme=nosuch%2Bdriver"
    )
    with pytest.raises(errors.PreflightError, match=r"nosuch\+driver.*no dialect or driver of that name"):
        open_store("elsewhere")


def test_the_option_says_how_many_connections_a_process_has(monkeypatch, store_connection):
    del store_connection
    monkeypatch.setenv("AIRFLOW__SMS__STORE_CONNECTIONS", "3")
    store = open_store()
    assert (store.engine.pool.size(), store.engine.pool._max_overflow) == (3, 0)
    store.close()


@pytest.mark.parametrize("executor", ["CeleryExecutor", "KubernetesExecutor", "LocalExecutor,CeleryExecutor"])
def test_sqlite_is_refused_where_workers_are_on_several_machines(monkeypatch, store_connection, executor):
    """Each would have a ledger of its own, and people would get messages twice."""
    del store_connection
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    with pytest.raises(errors.PreflightError, match="must be PostgreSQL or MySQL/MariaDB"):
        open_store()
