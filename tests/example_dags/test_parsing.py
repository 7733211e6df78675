"""What a DAG processor sees of the examples."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "example_dags"
DAG_IDS = {
    "example_sms_notification",
    "example_sms_balance_alert",
    "example_sms_nightly_delivery_etl",
    "example_sms_delivery_consumer",
}
_HEAVY = ("pandas", "zeep", "lxml", "fastapi", "matplotlib", "phonenumbers")
_LOAD = """
import importlib.util, json, sys
for number, path in enumerate(sys.argv[2:]):
    spec = importlib.util.spec_from_file_location(f"example_{number}", path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
print(json.dumps([name for name in json.loads(sys.argv[1]) if name in sys.modules]))
"""


@pytest.fixture
def dags():
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(EXAMPLES)
    assert bag.import_errors == {}
    return bag.dags


def test_all_examples_import_and_nothing_else_is_taken_for_a_dag(dags):
    assert set(dags) >= DAG_IDS
    assert {Path(dag.fileloc).name.removesuffix(".py")[:12] for dag in dags.values()} == {"example_sms_"}


def test_each_example_explains_itself_and_catches_nothing_up(dags):
    for dag in dags.values():
        assert dag.doc_md
        assert "example" in dag.tags
        assert dag.catchup is False


def test_parsing_loads_nothing_that_only_running_needs(tmp_path):
    files = sorted(map(str, EXAMPLES.glob("example_sms_*.py")))
    command = [sys.executable, "-c", _LOAD, json.dumps(_HEAVY), *files]
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: S603
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_two_parses_give_the_same_dag(dags):
    """Else every parse would make another version of the DAG."""
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization

    again = DagBag(EXAMPLES).dags
    for dag_id, dag in dags.items():
        assert DagSerialization.to_dict(dag) == DagSerialization.to_dict(again[dag_id])


def test_the_last_night_of_a_month_is_collected_before_it_ends(dags):
    """One of the vendors, smsadmin, keeps the current month only."""
    from airflow.serialization.encoders import coerce_to_core_timetable
    from airflow.timetables.base import TimeRestriction

    timetable = coerce_to_core_timetable(dags["example_sms_nightly_delivery_etl"].timetable)
    china = ZoneInfo("Asia/Shanghai")
    for year, month in [(2026, each) for each in range(2, 13)] + [(2027, 1)]:
        midnight = datetime(year, month, 1, tzinfo=china)
        evening = (midnight - timedelta(minutes=30)).astimezone(UTC)
        from_then = TimeRestriction(earliest=_pendulum(evening), latest=None, catchup=True)
        following = timetable.next_dagrun_info(last_automated_data_interval=None, restriction=from_then)
        assert evening <= following.run_after < midnight


def _pendulum(moment):
    import pendulum

    return pendulum.instance(moment)


def test_the_demonstration_leaves_a_folder_alone_that_it_did_not_make(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    command = [sys.executable, "-P", str(EXAMPLES / "run_demo.py"), "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 2
    assert "name another with --output" in done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.txt"]
