"""Metrics, as a statsd server on the wire hears them."""

from __future__ import annotations

import re
import socket
from collections import Counter

import airflow
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from packaging.version import Version

from airflow_provider_sms.errors import QueueBusy, SubmitNotSent
from airflow_provider_sms.operators.sms import SmsBalanceCheckOperator, SmsCollectOperator, SmsSendOperator
from airflow_provider_sms.sandbox import Sandbox
from airflow_provider_sms.sandbox.faults import Fault
from airflow_provider_sms.sensors.sms import SmsReportSensor
from airflow_provider_sms.store.leases import Leases

#: Airflow's own way to set metrics up differs; what a provider calls does not.
BEFORE_3_3 = Version(airflow.__version__) < Version("3.3.0")
LINE = re.compile(r"(?P<name>[^:]+):(?P<value>-?[\d.]+)\|(?P<kind>[cg])")


class Listener:
    """A UDP statsd server that adds up counters and keeps the last of each gauge."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.2)
        self.port = self.socket.getsockname()[1]

    def heard(self) -> dict[str, float]:
        """Give what has come, by name."""
        found: Counter[str] = Counter()
        while True:
            try:
                packet = self.socket.recv(65_536).decode()
            except TimeoutError:
                return dict(found)
            for line in packet.splitlines():
                parts = LINE.fullmatch(line)
                assert parts is not None, line
                value = float(parts["value"])
                found[parts["name"]] = value + (found[parts["name"]] if parts["kind"] == "c" else 0)


@pytest.fixture
def listener():
    listener = Listener()
    yield listener
    listener.socket.close()


@pytest.fixture
def statsd(monkeypatch, listener):
    """Have Airflow's Stats talk to the listener, with or without tags and legacy names."""
    pytest.importorskip("statsd")
    from airflow.providers.common.compat.sdk import Stats
    from airflow.sdk.observability.metrics import stats_utils

    made = []

    def begin(*, tags: bool = False, legacy: bool = True) -> Listener:
        settings = {
            "statsd_on": True,
            "statsd_host": "127.0.0.1",
            "statsd_port": listener.port,
            "statsd_influxdb_enabled": tags,
            "legacy_names_on": legacy,
        }
        for name, value in settings.items():
            monkeypatch.setenv(f"AIRFLOW__METRICS__{name.upper()}", str(value))
        if BEFORE_3_3:
            made.append(stats_utils.get_stats_factory(Stats)())
            Stats.initialize(factory=lambda: made[-1])
        else:
            made.append(stats_utils.get_stats_factory()())
            Stats.initialize(factory=lambda: made[-1], export_legacy_names=legacy)
        return listener

    yield begin
    from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger

    Stats.initialize(factory=NoStatsLogger, **({} if BEFORE_3_3 else {"export_legacy_names": True}))
    for logger in made:
        logger.statsd.close()


def send(numbers, on_unknown="fail"):
    return SmsSendOperator(
        task_id="send",
        sms_conn_id="sms_wavecom",
        content="你好",
        recipients=numbers,
        send_key="one",
        on_unknown=on_unknown,
    )


def test_a_send_counts_what_it_did(connections, statsd, numbers):
    """Names for plain statsd, which drops tags, have their values in them."""
    connections("wavecom")
    heard = statsd()
    send(numbers(150)).execute({})
    found = heard.heard()
    for name in ("submitted", "accepted", "segments"):
        assert found[f"airflow.sms.{name}"] == 150
        assert found[f"airflow.sms.wavecom.sms_wavecom.{name}"] == 150
    assert "airflow.sms.rejected" not in found


def test_a_retry_counts_only_what_it_added(connections, statsd, numbers):
    with Sandbox.closed_port() as port:
        connections("wavecom", fields={"port": port})
        heard = statsd()
        with pytest.raises(SubmitNotSent):
            send(numbers(3)).execute({})
    assert heard.heard()["airflow.sms.not_sent"] == 3
    connections("wavecom")
    send(numbers(3)).execute({})
    send(numbers(3)).execute({})
    found = heard.heard()
    assert found["airflow.sms.accepted"] == found["airflow.sms.submitted"] == 3
    assert "airflow.sms.not_sent" not in found


def test_a_key_that_is_no_text_is_told_by_the_send(connections, numbers):
    """Not by its meter, which asks the store first."""
    send = SmsSendOperator(
        task_id="send",
        sms_conn_id=connections("wavecom"),
        content="您好【公司】",
        recipients=numbers(1),
        send_key="order-\ud800",
    )
    with pytest.raises(AirflowFailException, match=r"send_key holds .*U\+D800"):
        send.execute({})


def test_an_unknown_outcome_is_counted(sandbox, connections, statsd, numbers):
    connections("wavecom", timeout=2)
    sandbox.faults.add(Fault("reset_after", vendor="wavecom", operation="send"))
    heard = statsd()
    send(numbers(3), on_unknown="ignore").execute({})
    assert heard.heard()["airflow.sms.unknown"] == 3


def test_a_collection_with_tags(sandbox, connections, statsd):
    """Where tags arrive, the short names are enough."""
    connections("wavecom")
    sandbox.queue_reports("wavecom", 130)
    heard = statsd(tags=True, legacy=False)
    collect = SmsCollectOperator(task_id="collect", sms_conn_id="sms_wavecom")
    collect.execute({})
    found = heard.heard()
    tags = "vendor=wavecom,conn_id=sms_wavecom,queue=reports"
    assert found == {
        f"airflow.sms.pages,{tags}": 2,
        f"airflow.sms.records,{tags}": 130,
        f"airflow.sms.open_page_age,{tags}": 0,
        "airflow.sms.pending_age,vendor=wavecom,conn_id=sms_wavecom": 0,
    }
    collect.execute({})
    assert 0 <= heard.heard()[f"airflow.sms.queue_age,{tags}"] < 5


def test_what_is_waited_for_has_an_age(connections, statsd, numbers):
    """Accepted messages without a report, and a page that could not be read."""
    with Sandbox(silent_share=1.0) as silent:
        connections("wavecom", fields={"port": silent.port})
        send(numbers(2)).execute({})
        silent.queue_reports("wavecom", 1)
        silent.faults.add(Fault("wrong_count", vendor="wavecom", operation="reports"))
        heard = statsd()
        collect = SmsCollectOperator(task_id="collect", sms_conn_id="sms_wavecom")
        collect.execute({})
        collect.execute({})
    found = heard.heard()
    assert 0 < found["airflow.sms.pending_age"] < 60
    assert found["airflow.sms.wavecom.sms_wavecom.pending_age"] == found["airflow.sms.pending_age"]
    assert 0 < found["airflow.sms.wavecom.sms_wavecom.reports.open_page_age"] < 60


def test_what_went_wrong_is_counted_although_it_raises(sandbox, connections, statsd, store):
    connections("wavecom")
    heard = statsd()
    sandbox.queue_reports("wavecom", 1)
    sandbox.faults.add(Fault("wrong_count", vendor="wavecom", operation="reports"))
    SmsCollectOperator(task_id="collect", sms_conn_id="sms_wavecom").execute({})
    assert heard.heard()["airflow.sms.quarantined"] == 1
    Leases(store).acquire("sms_wavecom", "reports", "somebody else", 60)
    with pytest.raises(QueueBusy):
        SmsCollectOperator(task_id="collect", sms_conn_id="sms_wavecom").execute({})
    assert heard.heard()["airflow.sms.wavecom.sms_wavecom.reports.lease_waits"] == 1


def test_a_sensor_counts_what_it_collects(sandbox, connections, statsd):
    connections("wavecom")
    sandbox.queue_reports("wavecom", 2)
    heard = statsd()
    SmsReportSensor(task_id="wait", sms_conn_id="sms_wavecom", min_records=2).poke({})
    assert heard.heard()["airflow.sms.wavecom.sms_wavecom.reports.records"] == 2


def test_a_balance_is_a_gauge(sandbox, connections, statsd):
    """Dots within a connection's id do not look like levels."""
    sandbox.account("wavecom").balance = 77
    connections("wavecom", "main.account")
    heard = statsd()
    SmsBalanceCheckOperator(task_id="ask", sms_conn_id="main.account", threshold=1).execute({})
    assert heard.heard()["airflow.sms.wavecom.main__account.balance"] == 77


def test_the_triggerer_emits_by_the_core(monkeypatch):
    """There the task SDK's Stats is silent: the triggerer sets up Airflow's own."""
    from airflow.observability.stats import Stats as CoreStats

    from airflow_provider_sms import metrics

    told = []
    monkeypatch.setattr(CoreStats, "incr", staticmethod(lambda name, count, **_: told.append((name, count))))
    metrics._count("records", 5, metrics.Tags("wavecom", "main", "replies", core=True))
    assert told == [("sms.records", 5), ("sms.wavecom.main.replies.records", 5)]
