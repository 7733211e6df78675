"""What is written is true: links lead somewhere, tables are those of the code, examples run."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

FLAGS = re.MULTILINE | re.DOTALL
ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLE = re.compile(r"^```python\n(.*?)^```$", FLAGS)
LINK = re.compile(r"\]\((?!https?:|#)([^)\s#]+)[^)]*\)")
FIRST_DAG = re.compile(r"<!-- first-dag -->\n```python\n(.*?)```\n<!-- /first-dag -->", re.DOTALL)


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@pytest.fixture
def generators(monkeypatch):
    """Make the modules beside the pages importable."""
    monkeypatch.syspath_prepend(str(ROOT / "docs"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_files_lead_somewhere(page):
    targets = [target for target in LINK.findall(read(page)) if not target.startswith("_generated/")]
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_are_python(page):
    for example in EXAMPLE.findall(read(page)):
        ast.parse(example)


@pytest.mark.usefixtures("generators")
def test_readme_shows_the_features_that_the_vendors_declare():
    """To mend it, put what is expected here between the two marks in the README."""
    from vendor_pages import features

    shown = re.search(r"<!-- features:[^\n]*\n(.*)<!-- /features -->", read(ROOT / "README.md"), re.DOTALL)
    assert shown is not None
    assert shown[1] == features()


@pytest.mark.usefixtures("generators")
def test_every_column_and_option_is_explained():
    """The generator raises when a column has no meaning, or a meaning no column."""
    from command_pages import options
    from reference_pages import error_table, frame_tables, tables

    assert "sms_message_status" in tables()
    assert "latency_p95_seconds" in frame_tables()
    assert "StoreUnavailable" in error_table()
    assert "store_conn_id" in options()


@pytest.mark.usefixtures("generators")
def test_every_vendor_has_a_page_with_all_its_codes_and_fields():
    from vendor_pages import page

    from airflow_provider_sms.vendors.accounts import fields_of
    from airflow_provider_sms.vendors.registry import vendors

    for vendor in vendors().values():
        text = page(vendor)
        codes = {code for table in vendor.codes.values() for code in table}
        names = {field.name for field in fields_of(vendor)}
        assert [name for name in codes | names if f"| `{name}` |" not in text] == []


@pytest.mark.parametrize(
    ("page", "conn_id", "conn_type"),
    [("connections.md", "my_sms", "sms_smsadmin"), ("deployment.md", "sms_store", "postgres")],
)
@pytest.mark.usefixtures("airflow_database")
def test_connections_are_added_with_their_types(page, conn_id, conn_type):
    """Airflow's command makes another type of one that it does not know, and only warns."""
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import delete, select

    added = re.search(
        rf"^airflow (connections add {conn_id} .*?)\n(?:```|airflow)", read(ROOT / "docs" / page), FLAGS
    )
    assert added is not None
    command = [str(Path(sys.executable).with_name("airflow")), *shlex.split(added[1].replace("\\\n", ""))]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - what the page says
    with create_session() as session:
        found = session.scalars(select(Connection.conn_type).where(Connection.conn_id == conn_id)).all()
        session.execute(delete(Connection).where(Connection.conn_id == conn_id))
    assert found == [conn_type]


@pytest.mark.usefixtures("generators")
def test_the_tables_name_the_values_that_are_written():
    """Columns of one name may hold different things in different tables."""
    from reference_pages import tables

    from airflow_provider_sms.records import BalanceSource
    from airflow_provider_sms.store.frames import daily

    told = {section.partition("\n")[0]: section for section in tables().split("## ")}
    assert "| no | `pull`, or `push` |" in told["sms_pages"]
    source = next(line for line in told["sms_balances"].splitlines() if line.startswith("| `source` |"))
    assert all(f"`{value}`" in source for value in BalanceSource)
    assert [field.name for field in daily.FIELDS if field.meaning not in told["sms_delivery_daily"]] == []


@pytest.mark.usefixtures("generators")
def test_the_connection_on_a_vendors_page_can_be_copied(monkeypatch):
    """It has the scheme of the vendor's document: no credential is shown going out plain without need."""
    from vendor_pages import page

    from airflow_provider_sms.hooks.sms import SmsHook
    from airflow_provider_sms.vendors.registry import vendors

    for vendor in vendors().values():
        shown = re.search(r"```json\n(.*?)```", page(vendor), re.DOTALL)
        assert shown is not None
        monkeypatch.setenv("AIRFLOW_CONN_COPIED", shown[1])
        address = SmsHook.for_connection("copied").account.endpoint.base_url
        assert address.partition("://")[0] == vendor.scheme, vendor.name


def test_first_dag_of_the_readme_runs(tmp_path, sandbox, rows, connections):
    """A newcomer copies it as it stands; it sends, waits, and ends well."""
    found = FIRST_DAG.search(read(ROOT / "README.md"))
    assert found is not None
    connections("smsadmin")
    (tmp_path / "first_sms.py").write_text(found[1], encoding="utf-8")
    command = (
        "import runpy\n"
        "from airflow.utils.db import initdb\n"
        "initdb()\n"
        "import sys\n"
        "sys.argv = ['airflow', 'dags', 'test', 'first_sms']\n"
        "runpy.run_module('airflow', run_name='__main__')\n"
    )
    own = {
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
    }
    done = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-P", "-c", command],
        env=os.environ | own,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    assert sandbox.count_messages("smsadmin") == 2
    assert rows("SELECT state, delivery FROM sms_message_status") == [("accepted", "delivered")] * 2


def test_sandbox_example_for_users_tests_passes(tmp_path):
    """The fixture and the fault do what the page says, in a test run of the user's own."""
    conftest, test = EXAMPLE.findall(read(ROOT / "docs" / "sandbox.md"))
    (tmp_path / "conftest.py").write_text(conftest, encoding="utf-8")
    (tmp_path / "test_sends.py").write_text(test, encoding="utf-8")
    done = subprocess.run(  # noqa: S603 - this interpreter
        [
            sys.executable,
            "-P",
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:randomly",
            str(tmp_path),
        ],
        env=os.environ | {"AIRFLOW_HOME": str(tmp_path / "airflow")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
