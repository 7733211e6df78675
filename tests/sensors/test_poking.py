"""The sensors in poke and reschedule mode: what they wait for, what they give, and when they give up."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_sms.errors import WireFormatError
from airflow_provider_sms.operators.sms import SmsCollectOperator, SmsSendOperator
from airflow_provider_sms.sandbox import Fault, Sandbox
from airflow_provider_sms.sensors.sms import SmsReplySensor, SmsReportSensor
from airflow_provider_sms.store.leases import Leases

pytestmark = pytest.mark.filterwarnings("ignore")  # Airflow's libraries warn about each other
LONG_AGO = "2020-01-01T00:00:00+08:00"
WITH_QUEUES = pytest.mark.parametrize("vendor", ["beidoutong", "wavecom", "smsadmin"])


def send(conn_id, people, **given: Any):
    """Send, and give the key."""
    return SmsSendOperator(
        task_id="send", sms_conn_id=conn_id, content="您好【公司】", recipients=people, **given
    ).execute({})["send_key"]


def report_poke(conn_id, **given: Any):
    """Poke a report sensor once."""
    return SmsReportSensor(task_id="wait", sms_conn_id=conn_id, **given).poke({})


def reply_poke(conn_id, **given: Any):
    """Poke a reply sensor once."""
    return SmsReplySensor(task_id="wait", sms_conn_id=conn_id, **{"since": LONG_AGO, **given}).poke({})


@WITH_QUEUES
def test_a_send_is_waited_for_until_enough_is_reported(monkeypatch, numbers, store_connection, vendor):
    """A share of the recipients that the vendor accepted; the silent ones never report."""
    del store_connection
    with Sandbox(silent_share=0.3, failure_share=0.2) as sandbox:
        monkeypatch.setenv("AIRFLOW_CONN_SMS_GATE", sandbox.connection_json(vendor))
        key = send("sms_gate", numbers(20))
        reported = len(sandbox._exchange(vendor).reports)
        assert 8 <= reported < 20
        all_of_them = report_poke("sms_gate", send_key=key)
        assert not all_of_them.is_done
        assert all_of_them.xcom_value["reported"] == reported
        assert sum(all_of_them.xcom_value[each] for each in ("delivered", "failed", "pending")) == 20
        assert all_of_them.xcom_value["failed"] > 0
        assert report_poke("sms_gate", send_key=key, min_share=reported / 20).is_done
        assert not report_poke("sms_gate", send_key=key, min_share=(reported + 0.5) / 20).is_done


@pytest.mark.parametrize(
    ("left", "hours", "done"),
    [("prepared", 0, False), ("prepared", 25, True), ("rejected", 0, True), ("not_sent", 0, True)],
)
def test_a_send_is_not_reported_while_it_goes_out(connections, store, numbers, capfd, left, hours, done):
    """All that was accepted is reported, and the rest has not been submitted: unless it was given up."""
    from airflow_provider_sms.store.clock import ServerTime
    from airflow_provider_sms.store.schema import batches

    conn_id = connections("wavecom")
    key = send(conn_id, numbers(1000))
    then = ServerTime(-3600.0 * hours)
    with store.begin() as connection:
        rest = batches.update().where(batches.c.send_key == key, batches.c.batch_no > 1)
        assert connection.execute(rest.values(state=left)).rowcount
        moments = {"prepared_at": then, "submitted_at": then, "settled_at": then}
        connection.execute(batches.update().where(batches.c.send_key == key).values(moments))
        # As it is before the first submit.
        rest = rest.where(batches.c.state == "prepared")
        connection.execute(rest.values(submitted_at=None, settled_at=None))
    for share in (1.0, 0.5):
        assert report_poke(conn_id, send_key=key, min_share=share).is_done is done
    assert ("the send is still going out" in capfd.readouterr().out) is not done


def test_sensors_and_operators_do_not_take_each_others_records(connections, numbers):
    """Whoever collects, all who wait find it in the tables."""
    conn_id = connections("wavecom")
    first, second = send(conn_id, numbers(5)), send(conn_id, numbers(5, first=13_900_000_000))
    SmsCollectOperator(task_id="collect", sms_conn_id=conn_id).execute({})
    for key in (first, second):
        poke = report_poke(conn_id, send_key=key)
        assert poke.is_done
        assert poke.xcom_value == {"reported": 5, "delivered": 5, "failed": 0, "pending": 0}


def test_a_poke_collects_what_the_vendor_has(connections, sandbox, monkeypatch):
    """Also where an interval has to be waited out between two pages; a minute is not exceeded for it."""
    conn_id = connections("smsadmin")
    sandbox.queue_reports("smsadmin", 50)
    poke = report_poke(conn_id, min_records=50)
    assert poke.is_done
    assert sandbox.calls.count("smsadmin", "reports") == 4
    sandbox.queue_reports("smsadmin", 50)
    monkeypatch.setattr("airflow_provider_sms.sensors.collection._POKE_SECONDS", 7.0)
    began = time.monotonic()
    assert not report_poke(conn_id, min_records=100).is_done
    # The first five seconds are those since the poke before.
    assert time.monotonic() - began < 7
    assert sandbox.calls.count("smsadmin", "reports") == 5


def test_the_look_before_deferring_does_not_wait_for_the_vendor(connections, sandbox):
    """That would hold a worker; the triggerer reads on."""
    conn_id = connections("smsadmin")
    sandbox.queue_reports("smsadmin", 50)
    began = time.monotonic()
    sensor = SmsReportSensor(task_id="wait", sms_conn_id=conn_id, min_records=50, deferrable=True)
    with pytest.raises(TaskDeferred):
        sensor.execute({})
    assert time.monotonic() - began < 4
    assert sandbox.calls.count("smsadmin", "reports") == 1


def test_a_poke_waits_for_what_another_collects(connections, sandbox, store):
    """It does not fail when somebody else reads the queue."""
    conn_id = connections("wavecom")
    Leases(store).acquire(conn_id, "replies", "other", 60)
    sandbox.queue_replies("wavecom", 1)
    assert not reply_poke(conn_id).is_done
    assert sandbox.calls.count("wavecom") == 0


@pytest.mark.parametrize(
    "fault",
    [Fault("busy", operation="replies"), Fault("reset_before", operation="replies")],
    ids=lambda fault: fault.kind,
)
def test_a_poke_outlives_the_vendors_bad_minutes(connections, sandbox, fault):
    """The next poke tries again."""
    conn_id = connections("wavecom")
    sandbox.queue_replies("wavecom", 1)
    sandbox.faults.add(fault)
    assert not reply_poke(conn_id).is_done
    assert reply_poke(conn_id).is_done


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, 4),
        ({"mobile": "13800000000"}, 2),
        ({"mobile": "+86 138 0000 0000"}, 2),
        ({"pattern": "^(TD|退订)$"}, 2),
        ({"mobile": "13800000001", "pattern": "好"}, 1),
        ({"since": "2026-06-01T00:00:00+08:00"}, 1),
        ({"since": datetime(2026, 1, 1, 0, 30, tzinfo=UTC)}, 2),
        ({"since": "2026-01-01 08:30:00"}, 2),
        ({"since": datetime(2026, 1, 1, 8, 30)}, 2),  # noqa: DTZ001 - in the account's zone
        ({"since": "2026-01-01"}, 4),
        ({"since": "2026-01-02"}, 1),
        ({"since": date(2026, 1, 2)}, 1),
    ],
)
def test_replies_are_found_by_number_text_and_time(connections, sandbox, wanted, found):
    """Their ids are given, and neither their text nor a number."""
    sandbox.queue_replies(
        "beidoutong",
        [
            ("13800000000", "退订", "", "", "2026-01-01 08:00:00"),
            ("13800000000", "好的", "", "", "2026-01-01 08:10:00"),
            ("13800000001", "好", "", "", "2026-01-01 09:00:00"),
            ("13800000002", "TD", "", "", "2026-06-02 08:00:00"),
        ],
    )
    poke = reply_poke(connections("beidoutong"), min_records=found, **wanted)
    assert poke.is_done
    assert poke.xcom_value["replies"] == found
    assert set(poke.xcom_value) == {"replies", "first_reply_id", "last_reply_id"}
    assert (poke.xcom_value["first_reply_id"] == poke.xcom_value["last_reply_id"]) is (found == 1)
    assert not reply_poke("sms_beidoutong", min_records=found + 1, **wanted).is_done


def test_reports_of_an_account_are_counted(connections, sandbox):
    """Without a send key: so many that landed since the run began."""
    sandbox.queue_reports("smsadmin", [{"status": "delivered"}, {"status": "failed"}])
    poke = report_poke(connections("smsadmin"), min_records="2")
    assert poke.is_done
    assert poke.xcom_value == {"reported": 2, "delivered": 1, "failed": 1, "pending": 0}
    assert not report_poke("sms_smsadmin", min_records=3).is_done


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_sensors_in_a_dag(run_dag, connections, sandbox, numbers, mode):
    """Send, wait for the reports and a reply; counts are the XComs."""
    conn_id = connections("wavecom")
    people = numbers(3)
    sandbox.faults.add(Fault("busy", operation="reports"), Fault("busy", operation="replies"))
    sandbox.queue_replies("wavecom", [(people[0], "好")])

    def build():
        sent = SmsSendOperator(task_id="send", sms_conn_id=conn_id, content="您好", recipients=people)
        common = {"sms_conn_id": conn_id, "mode": mode, "poke_interval": 0.05, "timeout": 60}
        key = "{{ ti.xcom_pull(task_ids='send')['send_key'] }}"
        reports = SmsReportSensor(task_id="reports", send_key=key, **common)
        replies = SmsReplySensor(task_id="replies", mobile=people[0], pattern="好", since=LONG_AGO, **common)
        sent >> reports >> replies

    ended = run_dag(build)
    assert ended.state == "success"
    assert ended.xcoms["reports"] == {"reported": 3, "delivered": 3, "failed": 0, "pending": 0}
    assert ended.xcoms["replies"]["replies"] == 1


def test_a_sensor_that_waits_in_vain_fails_by_its_timeout(run_dag, connections):
    """As any sensor does."""
    conn_id = connections("wavecom")
    ended = run_dag(
        lambda: SmsReplySensor(
            task_id="wait", sms_conn_id=conn_id, poke_interval=0.05, timeout=0.3, retries=0
        )
    )
    assert ended.states == {"wait": "failed"}


# --- when to wait on is pointless -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "exactly one of send_key and min_records"),
        ({"send_key": "k", "min_records": 1}, "exactly one of send_key and min_records"),
        ({"send_key": "k", "min_share": 0}, "min_share is 0"),
        ({"send_key": "k", "min_share": "most"}, "min_share is 'most'"),
        ({"min_records": 0}, "min_records is 0"),
        ({"min_records": 2.7}, r"min_records is 2\.7"),
        ({"min_records": float("nan")}, "min_records is nan"),
        ({"min_records": "inf"}, "min_records is 'inf'"),
        ({"min_records": 10**400}, "give a whole number"),
        ({"min_records": [3]}, r"min_records is \[3\]"),
        ({"send_key": "never heard of"}, "the store knows no such send"),
    ],
)
def test_a_report_sensor_that_can_never_end_fails_for_good(connections, given, says):
    """At its first poke."""
    with pytest.raises(AirflowFailException, match=says):
        report_poke(connections("wavecom"), **given)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"mobile": "12"}, "mobile is no mainland Chinese number"),
        ({"pattern": "("}, "pattern is no regular expression"),
        ({"pattern": 5}, "pattern is no regular expression"),
        ({"pattern": ["a"]}, "pattern is no regular expression"),
        ({"pattern": b"a"}, "pattern is no regular expression"),
        ({"pattern": "a{1,99999999999}"}, "pattern is no regular expression"),
        ({"pattern": "(" * 3000}, "pattern is no regular expression"),
        ({"since": "yesterday"}, "since is no time"),
        ({"since": 0}, "since is no time"),
        ({"since": False}, "since is no time"),
        ({"since": timedelta(hours=1)}, "since is no time"),
        ({"since": "0001-01-01"}, "since is no time"),
        ({"since": "0001-01-01T00:00:00+08:00"}, "since is no time"),
        ({"min_records": float("inf")}, "min_records is inf"),
        ({"min_records": True}, "min_records is True"),
        ({"min_records": -1}, "min_records is -1"),
    ],
)
def test_a_reply_sensor_that_can_never_end_fails_for_good(connections, given, says):
    """At its first poke; the pattern and the number are not shown."""
    with pytest.raises(AirflowFailException, match=says):
        reply_poke(connections("wavecom"), **given)


def test_a_time_without_a_zone_is_meant_in_the_accounts(connections, sandbox):
    """As ``send_at`` is, so that a date out of Airflow begins where the account's day does."""
    sandbox.queue_replies("beidoutong", [("13800000000", "好", "", "", "2026-01-01 08:00:00")])
    conn_id = connections("beidoutong", timezone="UTC")
    assert reply_poke(conn_id, min_records=1, since="2026-01-01 08:00:00").is_done
    assert not reply_poke(conn_id, min_records=1, since="2026-01-01 08:00:01").is_done


@pytest.mark.parametrize("deferrable", [False, True])
def test_nothing_is_read_for_parameters_that_are_wrong(connections, sandbox, deferrable):
    """All of them are told at once, before the vendor hands over, and deletes, what nobody waits for."""
    conn_id = connections("beidoutong")
    sandbox.queue_reports("beidoutong", 5)
    sandbox.queue_replies("beidoutong", 5)
    given = {"task_id": "wait", "sms_conn_id": conn_id, "deferrable": deferrable, "poll_interval": ["x"]}
    for sensor, wrong in (
        (SmsReportSensor(send_key="k", min_share=1.1, **given), ["min_share"]),
        (SmsReplySensor(pattern="(", since="x", min_records=0, **given), ["pattern", "since", "min_records"]),
    ):
        with pytest.raises(AirflowFailException) as told:
            sensor.execute({})
        for words in (*wrong, "poll_interval", "nothing was sent or read"):
            assert words in str(told.value)
    assert sandbox.calls.count("beidoutong") == 0


def test_a_send_of_which_nothing_was_accepted_has_no_reports(connections, sandbox, numbers):
    """To wait for them is pointless."""
    conn_id = connections("wavecom")
    sandbox.account("wavecom").locked = True
    with pytest.raises(AirflowFailException):
        send(conn_id, numbers(2), send_key="locked")
    with pytest.raises(AirflowFailException, match="no report will come"):
        report_poke(conn_id, send_key="locked")


@pytest.mark.parametrize("poke", [lambda conn: report_poke(conn, min_records=1), reply_poke])
def test_linkws_has_no_queues(connections, sandbox, poke):
    """A clear terminal error, at the first poke, before anything is asked."""
    with pytest.raises(AirflowFailException, match="documents no operation"):
        poke(connections("linkws"))
    assert sandbox.calls.count() == 0


@WITH_QUEUES
def test_a_wrong_password_fails_for_good(connections, vendor):
    """Rather than poking until the time-out."""
    with pytest.raises(AirflowFailException, match="AuthenticationFailed"):
        reply_poke(connections(vendor, fields={"password": "wrong-password"}))


def test_a_web_page_is_not_waited_out(connections, sandbox):
    """Every poke might cost a page: the task fails, and Airflow's retry decides."""
    sandbox.faults.add(Fault("html", operation="replies"))
    with pytest.raises(WireFormatError):
        reply_poke(connections("wavecom"))


def test_sensors_survive_serialization(connections):
    """Into a DAG and back: template fields as they were given, and the asset as outlet."""
    from airflow.sdk import DAG
    from airflow.serialization.serialized_objects import DagSerialization

    conn_id = connections("wavecom")
    with DAG("serialized", schedule=None) as dag:
        SmsReportSensor(task_id="reports", sms_conn_id=conn_id, send_key="{{ run_id }}", min_share="0.9")
        SmsReplySensor(
            task_id="replies", sms_conn_id=conn_id, mobile="{{ params.m }}", timeout=timedelta(hours=1)
        )
    back = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    assert tuple(back.get_task("reports").template_fields[:2]) == ("send_key", "min_share")
    assert back.get_task("reports").min_share == "0.9"
    assert back.get_task("replies").mobile == "{{ params.m }}"
    assert [outlet.uri for outlet in back.get_task("replies").outlets] == ["sms://sms_wavecom/replies"]
