"""What users, Airflow and package tools hold on to: names, metadata, imports, the wheel's files."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import re
import subprocess
import sys
from importlib import import_module
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest

from airflow_provider_sms import __version__
from airflow_provider_sms.get_provider_info import get_provider_info
from airflow_provider_sms.records import Queue

if TYPE_CHECKING:
    from collections.abc import Iterator

DISTRIBUTION = "airflow-provider-sms"
ROOT = Path(__file__).parents[1]

#: Public classes and the parameters that users may name. More may come, none of these may go.
PUBLIC = {
    "hooks.sms.SmsHook": "sms_conn_id store_conn_id",
    "hooks.sms.BeidoutongHook": "sms_conn_id",
    "hooks.sms.WavecomHook": "sms_conn_id",
    "hooks.sms.LinkWSHook": "sms_conn_id",
    "hooks.sms.SmsAdminHook": "sms_conn_id",
    "operators.sms.SmsSendOperator": (
        "sms_conn_id content recipients sql sql_conn_id path send_at extno send_key on_unknown store_conn_id"
    ),
    "operators.sms.SmsTemplateSendOperator": (
        "sms_conn_id template recipients sql sql_conn_id path send_at extno send_key on_unknown store_conn_id"
    ),
    "operators.sms.SmsBalanceCheckOperator": "sms_conn_id threshold on_low notifiers store_conn_id",
    "operators.sms.SmsCollectOperator": "sms_conn_id queue max_pages max_seconds store_conn_id",
    "operators.delivery.SmsDeliveryDailyOperator": "start end timezone silent_after_hours store_conn_id",
    "operators.report.SmsDeliveryReportOperator": (
        "path day days sms_conn_ids language timezone silent_after_hours store_conn_id"
    ),
    "operators.settle.SmsSettleOperator": "send_key on_unknown store_conn_id",
    "sensors.sms.SmsReportSensor": "sms_conn_id send_key min_share min_records store_conn_id deferrable",
    "sensors.sms.SmsReplySensor": (
        "sms_conn_id mobile pattern since min_records store_conn_id poll_interval deferrable"
    ),
    "triggers.sms.SmsQueueTrigger": "sms_conn_id queue poll_interval store_conn_id",
    "triggers.sms.SmsQueueEventTrigger": "sms_conn_id queue poll_interval store_conn_id",
    "notifications.sms.SmsNotifier": "sms_conn_id to content",
    "sandbox.Sandbox": "port host settings",
    "sandbox.Fault": "kind operation vendor after times",
}
HOOK_METHODS = (
    "send send_template balance read_reports read_replies check_words test_connection for_connection"
)
ERRORS = (
    "SmsError PreflightError VendorRejected AuthenticationFailed InsufficientBalance ContentRejected "
    "NotAllowed NotSupported VendorBusy SubmitNotSent SubmitUnknown WireFormatError QueueBusy "
    "StoreUnavailable"
)
#: The columns that analysts' SQL may read.
COLUMNS = {
    "sms_batches": (
        "send_key batch_no conn_id vendor state reference vendor_batch_id vendor_code vendor_text recipients "
        "accepted_count dag_id task_id run_id map_index prepared_at submitted_at settled_at"
    ),
    "sms_messages": "send_key batch_no mobile content segments vendor_message_id",
    "sms_pages": (
        "page_id conn_id vendor queue source state started_at read_at landed_at body declared records error"
    ),
    "sms_reports": (
        "page_id seq conn_id vendor vendor_message_id mobile status vendor_status error_code extno "
        "reported_at landed_at"
    ),
    "sms_replies": "page_id seq conn_id vendor vendor_message_id mobile content extno received_at landed_at",
    "sms_balances": "conn_id vendor checked_at remaining unit total pay_mode",
    "sms_message_status": "send_key mobile state delivery reported_at latency_seconds error_code",
    "sms_delivery_daily": (
        "day conn_id vendor carrier intended accepted delivered failed silent delivery_rate "
        "latency_p50_seconds latency_p95_seconds"
    ),
}
HEAVY = ("pandas", "zeep", "lxml", "fastapi")
#: Registries and mirrors; spelt so that this line is none.
HOSTS = re.compile(r"(?:py|test\.py)pi\.(?:org|python)|python\x68osted|anaconda\.(?:org|com)|tuna\.tsing")
#: Made by tools, or by make.
MADE = {"build", "dist", "demo-output", "_build", "_generated", "__pycache__"}


def run(*command: str) -> str:
    """Run a program away from the source tree, and give its output; it must succeed."""
    done = subprocess.run(  # noqa: S603 - this interpreter
        command, capture_output=True, text=True, cwd=os.environ["AIRFLOW_HOME"], timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


# --- names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PUBLIC)
def test_public_class_takes_its_documented_parameters(path):
    """What a DAG names today it may name tomorrow."""
    module, _, name = path.rpartition(".")
    public = getattr(import_module(f"airflow_provider_sms.{module}"), name)
    taken: set[str] = set()
    # Operators hand **kwargs on to their bases.
    for each in public.__mro__:
        if "__init__" in vars(each) and each.__module__.startswith("airflow_provider_sms"):
            taken.update(inspect.signature(each.__init__).parameters)
    assert set(PUBLIC[path].split()) <= taken


def test_every_hook_has_the_public_methods():
    from airflow_provider_sms.hooks.sms import SmsHook

    assert [name for name in HOOK_METHODS.split() if not callable(getattr(SmsHook, name, None))] == []


def test_errors_are_there_under_one_root():
    from airflow_provider_sms import errors

    assert all(issubclass(getattr(errors, name), errors.SmsError) for name in ERRORS.split())


@pytest.mark.parametrize("table", COLUMNS)
def test_store_has_the_documented_columns(store, rows, table):
    """Analysts' SQL goes on working; the store is a real one."""
    del store
    rows(f"SELECT {', '.join(COLUMNS[table].split())} FROM {table} WHERE 1 = 0")  # noqa: S608 - names from above


# --- the provider's metadata -----------------------------------------------------------------------


def test_provider_info_fits_airflows_own_schema():
    origin = find_spec("airflow").origin
    schema = json.loads(Path(origin).with_name("provider_info.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(get_provider_info(), schema)


def test_provider_info_names_this_distribution_and_version():
    """Airflow drops a provider whose package name is not that of the distribution."""
    info = get_provider_info()
    assert info["package-name"] == DISTRIBUTION == distribution(DISTRIBUTION).metadata["Name"]
    assert info["versions"] == [__version__]
    assert distribution(DISTRIBUTION).version == __version__


def test_everything_the_provider_info_names_exists():
    info = get_provider_info()
    for group in ("operators", "sensors", "hooks", "triggers"):
        for entry in info.get(group, []):
            for module in entry["python-modules"]:
                import_module(module)
    names = [each["hook-class-name"] for each in info["connection-types"]]
    names += [*info.get("notifications", []), *info.get("cli", [])]
    names += [each["handler"] for each in info.get("asset-uris", [])]
    for name in names:
        module, _, attribute = name.rpartition(".")
        assert hasattr(import_module(module), attribute), name


def test_every_vendor_has_a_hook_and_a_connection_type():
    from airflow_provider_sms.hooks.sms import SmsHook
    from airflow_provider_sms.vendors.registry import vendors

    types = {vendor.conn_type for vendor in vendors().values()}
    assert {each["connection-type"] for each in get_provider_info()["connection-types"]} == types
    assert {hook.conn_type for hook in SmsHook.__subclasses__()} == types


def test_airflow_discovers_the_provider():
    """The entry point leads to the provider info, as ``airflow providers get`` shows it."""
    told = run(sys.executable, "-m", "airflow", "providers", "get", DISTRIBUTION, "--full", "-o", "json")
    found = json.loads(told.splitlines()[-1])  # Airflow's log lines come before it
    assert found[0]["package-name"] == DISTRIBUTION


# --- imports ---------------------------------------------------------------------------------------


def test_parsing_a_dag_loads_nothing_heavy():
    """The DAG processor imports these for every DAG file, again and again."""
    modules = sorted({f"airflow_provider_sms.{path.rpartition('.')[0]}" for path in PUBLIC})
    code = f"import sys, {', '.join(modules)}\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    assert run(sys.executable, "-P", "-c", code).splitlines()[-1] == "[]"


def test_provider_info_loads_no_airflow():
    """Every ``airflow`` command reads it."""
    code = (
        "import sys\nfrom airflow_provider_sms.get_provider_info import get_provider_info\n"
        "get_provider_info()\n"
        f"print([name for name in {('airflow', 'sqlalchemy', 'httpx', *HEAVY)!r} if name in sys.modules])"
    )
    assert run(sys.executable, "-P", "-c", code) == "[]\n"


# --- files -----------------------------------------------------------------------------------------


def test_installed_package_has_its_data_files():
    """Types and service descriptions are in the wheel, tests and examples are not."""
    files = [str(path) for path in distribution(DISTRIBUTION).files or ()]
    if not any(name.startswith("airflow_provider_sms/") for name in files):
        pytest.skip("an editable install has no files of its own")
    assert "airflow_provider_sms/py.typed" in files
    wsdl = {path.relative_to(ROOT).as_posix() for path in (ROOT / "airflow_provider_sms").rglob("*.wsdl")}
    assert wsdl
    assert wsdl <= set(files)
    assert {f"airflow_provider_sms/reporting/page.{name}" for name in ("css", "html.j2")} <= set(files)
    assert {name.partition("/")[0] for name in files if name.endswith(".py")} == {"airflow_provider_sms"}


def texts() -> Iterator[tuple[str, str]]:
    """Give the project's text files, without what tools and make have put between them."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [each for each in folders if each not in MADE and (each == ".ci" or each[0] != ".")]
        for name in names:
            path = Path(folder, name)
            with contextlib.suppress(UnicodeDecodeError, FileNotFoundError):
                yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


def test_no_text_names_a_package_registry():
    """Where packages come from is the user's own business."""
    assert [name for name, text in texts() if HOSTS.search(text)] == []


def test_a_queue_has_one_name_everywhere():
    """The operators' ``queue``, the tables' and the assets' are the same two words."""
    assert [queue.value for queue in Queue] == ["reports", "replies"]
