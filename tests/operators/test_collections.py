"""The collecting operator in a real Airflow: XCom, asset events, errors, and Airflow's own ``queue``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset

from airflow_provider_sms.assets import daily_asset, queue_asset
from airflow_provider_sms.errors import QueueBusy, VendorUnreachable
from airflow_provider_sms.operators.delivery import SmsDeliveryDailyOperator
from airflow_provider_sms.operators.sms import SmsCollectOperator
from airflow_provider_sms.sandbox import Fault
from airflow_provider_sms.sensors.sms import SmsReplySensor
from airflow_provider_sms.store.leases import Leases

pytestmark = pytest.mark.filterwarnings("ignore")  # Airflow's libraries warn about each other


QUEUES = ("reports", "replies")


def collect(conn_id, **given: Any):
    """Run the operator outside of a DAG."""
    return SmsCollectOperator(task_id="collect", sms_conn_id=conn_id, **given).execute({})


@pytest.mark.parametrize("queue", ["reports", "replies"])
def test_a_collection_in_a_dag(run_dag, connections, sandbox, rows, queue):
    """Its counts are the XCom and stand in the asset's event, for the DAGs that it wakes."""
    conn_id = connections("wavecom")
    getattr(sandbox, f"queue_{queue}")("wavecom", 120)
    ended = run_dag(
        lambda: SmsCollectOperator(
            task_id="collect", sms_conn_id="{{ 'sms_' }}wavecom", queue=queue,
            outlets=[queue_asset(conn_id, queue)],
        )
    )  # fmt: skip
    pages = 2 if queue == "reports" else 3
    counts = {"pages": pages, "records": 120, "quarantined": 0, "suspect": 0}
    assert ended.xcoms["collect"] == {**counts, "queue_empty": True}
    assert ended.events == [(f"sms://sms_wavecom/{queue}", counts)]
    assert rows(f"SELECT count(*) FROM sms_{queue}") == [120]  # noqa: S608 - our own names


def test_the_asset_is_the_operators_outlet_by_itself(run_dag, connections, sandbox):
    """A downstream DAG can be scheduled on what lands, without anybody writing an outlet."""
    conn_id = connections("beidoutong")
    sandbox.queue_reports("beidoutong", 3)
    ended = run_dag(lambda: SmsCollectOperator(task_id="collect", sms_conn_id=conn_id))
    [(uri, extra)] = ended.events
    assert uri == "sms://sms_beidoutong/reports"
    assert extra["records"] == 3


def test_mapped_tasks_tell_their_assets(run_dag, connections, sandbox):
    """Airflow makes mapped tasks with an empty list of outlets, whether the DAG named one or not."""
    conn_ids = [connections("wavecom"), connections("beidoutong")]
    for vendor in ("wavecom", "beidoutong"):
        sandbox.queue_reports(vendor, 3)
    own = Asset(uri="sms://own/asset")
    known = [daily_asset(), own, *(queue_asset(name, kind) for name in conn_ids for kind in QUEUES)]

    def build():
        # Whoever reads them makes Airflow know the assets.
        reader = EmptyOperator(task_id="reader", inlets=known)
        collect = SmsCollectOperator.partial(task_id="collect").expand(sms_conn_id=conn_ids)
        wait = SmsReplySensor.partial(
            task_id="wait", since="2026-01-01", sms_conn_id=conn_ids[0], soft_fail=True
        ).expand(timeout=[0])
        daily = SmsDeliveryDailyOperator.partial(task_id="daily").expand(start=["2026-11-01"])
        others = SmsCollectOperator.partial(task_id="others", outlets=[own]).expand(sms_conn_id=conn_ids)
        reader >> collect >> wait >> daily >> others

    sandbox.queue_replies("wavecom", 1)
    ended = run_dag(build)
    assert ended.state == "success"
    assert sorted(uri for uri, _ in ended.events) == [
        "sms://daily/deliveries",
        "sms://own/asset",
        "sms://own/asset",
        "sms://sms_beidoutong/reports",
        "sms://sms_wavecom/replies",
        "sms://sms_wavecom/reports",
    ]
    assert [extra["records"] for uri, extra in ended.events if uri.endswith("/reports")] == [3, 3]


def test_a_transient_failure_is_retried_and_nothing_lands_twice(run_dag, connections, sandbox, rows):
    """The first try ends between two pages; the second lands the rest."""
    conn_id = connections("wavecom")
    sandbox.queue_reports("wavecom", 250)
    sandbox.faults.add(Fault("busy", operation="reports", after=1))
    ended = run_dag(
        lambda: SmsCollectOperator(
            task_id="collect", sms_conn_id=conn_id, retries=2, retry_delay=timedelta(0)
        )
    )
    assert (ended.state, ended.tries["collect"]) == ("success", 2)
    assert ended.xcoms["collect"]["records"] == 150
    assert rows("SELECT count(*), count(DISTINCT vendor_message_id) FROM sms_reports") == [(250, 250)]


@pytest.mark.parametrize("named", ["queue", "sms_queue"])
def test_mapped_collections(run_dag, connections, sandbox, named):
    """One task per account; the vendor's queue goes by its own name, as Airflow's partial keeps ``queue``."""
    conn_ids = [connections("wavecom"), connections("beidoutong")]
    for vendor in ("wavecom", "beidoutong"):
        sandbox.queue_replies(vendor, 3)
    ended = run_dag(
        lambda: SmsCollectOperator.partial(task_id="collect", **{named: "replies"}).expand(
            sms_conn_id=conn_ids
        )
    )
    assert ended.state == "success"
    assert [ended.xcoms["collect", index]["records"] for index in (0, 1)] == [3, 3]


def test_mapped_collections_read_reports_by_default(run_dag, connections, sandbox):
    """Airflow's default queue is not taken for the vendor's."""
    sandbox.queue_reports("wavecom", 3)
    conn_ids = [connections("wavecom")]
    ended = run_dag(lambda: SmsCollectOperator.partial(task_id="collect").expand(sms_conn_id=conn_ids))
    assert ended.xcoms["collect", 0]["records"] == 3


def test_airflows_queue_stays_airflows():
    """The executor looks for workers there; the vendor's queue is another thing of the same name."""
    plain = SmsCollectOperator(task_id="a", sms_conn_id="x", queue="replies")
    assert (plain.sms_queue, plain.queue) == ("replies", "default")
    both = SmsCollectOperator(task_id="b", sms_conn_id="x", queue="sms_workers", sms_queue="replies")
    assert (both.sms_queue, both.queue) == ("replies", "sms_workers")
    with DAG("d", schedule=None, default_args={"queue": "sms_workers"}):
        given = SmsCollectOperator(task_id="c", sms_conn_id="x", sms_queue="reports")
    assert (given.sms_queue, given.queue) == ("reports", "sms_workers")
    mapped_by_airflow_3_2 = SmsCollectOperator(task_id="e", sms_conn_id="x", queue="default")
    assert (mapped_by_airflow_3_2.sms_queue, mapped_by_airflow_3_2.queue) == ("reports", "default")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"queue": "report"}, "use 'reports' or 'replies'"),
        ({"max_pages": "many"}, "max_pages is 'many'"),
        ({"max_pages": 0}, "max_pages is 0"),
        ({"max_seconds": "long"}, "max_seconds is 'long'"),
        ({"max_seconds": -1}, "max_seconds is -1"),
        ({"sms_conn_id": "nowhere"}, "connection 'nowhere'"),
    ],
)
def test_wrong_parameters_fail_for_good(connections, sandbox, given, says):
    """Before the vendor is asked."""
    given = {"conn_id": connections("wavecom"), **given}
    given["conn_id"] = given.pop("sms_conn_id", given["conn_id"])
    with pytest.raises(AirflowFailException, match=says):
        collect(**given)
    assert sandbox.calls.count() == 0


@pytest.mark.parametrize("limit", [{"max_pages": "2"}, {"max_pages": 2}])
def test_limits_may_be_text(connections, sandbox, limit):
    """As templates make them; empty means none."""
    sandbox.queue_reports("wavecom", 250)
    conn_id = connections("wavecom")
    assert collect(conn_id, **limit)["pages"] == 2
    assert collect(conn_id, max_pages="", max_seconds="")["queue_empty"]


@pytest.mark.parametrize("queue", ["reports", "replies"])
def test_linkws_has_no_queues(connections, sandbox, queue):
    """A clear terminal error that says what it can do, before anything is asked."""
    with pytest.raises(AirflowFailException, match=r"documents no operation .* It can do: send, balance"):
        collect(connections("linkws"), queue=queue)
    assert sandbox.calls.count() == 0


def test_a_wrong_password_fails_for_good(connections):
    """A retry would only ask again."""
    with pytest.raises(AirflowFailException, match="AuthenticationFailed"):
        collect(connections("smsadmin", fields={"password": "wrong-password"}))


def test_what_a_retry_mends_is_left_to_airflow(connections, sandbox, store):
    """A held queue, a lost answer: Airflow tries again."""
    conn_id = connections("wavecom")
    Leases(store).acquire(conn_id, "reports", "other", 60)
    with pytest.raises(QueueBusy):
        collect(conn_id)
    sandbox.faults.add(Fault("reset_after", operation="replies"))
    with pytest.raises(VendorUnreachable, match="suspect"):
        collect(conn_id, queue="replies")
