"""The balance operator in a real Airflow, with real notifiers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, BaseNotifier
from airflow.providers.http.notifications.http import HttpNotifier
from airflow.providers.standard.operators.empty import EmptyOperator
from sqlalchemy import text

from airflow_provider_sms.errors import VendorBusy, VendorUnreachable, WireFormatError
from airflow_provider_sms.operators.sms import SmsBalanceCheckOperator
from airflow_provider_sms.records import Balance
from airflow_provider_sms.sandbox import Fault, Sandbox
from airflow_provider_sms.store.balances import Balances

pytestmark = pytest.mark.filterwarnings("ignore")  # Airflow's libraries warn about each other
EACH_VENDOR = pytest.mark.parametrize("vendor", ["beidoutong", "wavecom", "linkws", "smsadmin"])
OPENING = {"beidoutong": 100_000, "wavecom": 100_000, "linkws": 100_000, "smsadmin": 5000}


class Remembering(BaseNotifier):
    """Remembers what it was told."""

    template_fields = ("text",)
    heard: list = []  # noqa: RUF012 - shared by the copies on purpose

    def __init__(self, text="{{ sms_conn_id }}: {{ sms_balance.remaining }} {{ sms_balance.unit }}") -> None:
        super().__init__()
        self.text = text

    def notify(self, context) -> None:
        """Remember."""
        del context
        self.heard.append(self.text)


class Failing(BaseNotifier):
    """Fails."""

    def notify(self, context) -> None:
        """Fail."""
        del context
        raise ConnectionError


@pytest.fixture(autouse=True)
def _forget():
    Remembering.heard.clear()


def check(conn_id, threshold=100, **given: Any):
    """Run the operator outside of a DAG."""
    return SmsBalanceCheckOperator(
        task_id="balance", sms_conn_id=conn_id, threshold=threshold, **given
    ).execute({})


@EACH_VENDOR
def test_a_balance_is_told_and_kept(connections, rows, vendor):
    """As XCom and in the table; every vendor in its own unit."""
    before = datetime.now(UTC) - timedelta(seconds=2)
    result = check(connections(vendor))
    unit = "money" if vendor == "smsadmin" else "messages"
    checked_at = datetime.fromisoformat(result.pop("checked_at"))
    assert result == {"remaining": OPENING[vendor], "unit": unit, "low": False}
    assert before < checked_at <= datetime.now(UTC) + timedelta(seconds=2)
    assert rows("SELECT conn_id, vendor, unit FROM sms_balances") == [(f"sms_{vendor}", vendor, unit)]


@EACH_VENDOR
def test_zero_is_a_balance(connections, sandbox, vendor):
    """And a low one."""
    sandbox.account(vendor).balance = Decimal(0)
    result = check(connections(vendor), on_low="continue")
    assert (result["remaining"], result["low"]) == (0, True)


@EACH_VENDOR
@pytest.mark.parametrize(("above", "low"), [(0, False), (1, True)])
def test_low_is_below_the_threshold(connections, vendor, above, low):
    """A balance of just the threshold is fine; the threshold may be text, as templates make it."""
    result = check(connections(vendor), str(OPENING[vendor] + above), on_low="continue")
    assert result["low"] is low


def test_money_keeps_its_cents(connections, sandbox):
    """An amount that is no whole number stays exact enough."""
    sandbox.account("smsadmin").balance = Decimal("12.35")
    assert check(connections("smsadmin"), 10)["remaining"] == 12.35


@pytest.mark.parametrize(
    ("on_low", "state", "downstream"),
    [
        ("fail", "failed", "upstream_failed"),
        ("skip", "skipped", "skipped"),
        ("continue", "success", "success"),
    ],
)
def test_a_low_balance_in_a_dag(run_dag, connections, sandbox, chat, on_low, state, downstream):
    """Fails without a retry, skips what comes next, or goes on; the chat group hears it once in any case."""
    sandbox.account("wavecom").balance = Decimal(7)
    conn_id = connections("wavecom")

    def build():
        text = "{{ sms_conn_id }}: {{ sms_balance.remaining }} {{ sms_balance.unit }} ({{ dag.dag_id }})"
        notifier = HttpNotifier(
            http_conn_id="chat", endpoint="robot", json={"msgtype": "text", "text": {"content": text}}
        )
        balance = SmsBalanceCheckOperator(
            task_id="balance", sms_conn_id=conn_id, threshold="{{ 50 * 2 }}", on_low=on_low,
            notifiers=[notifier, Remembering()], retries=3, retry_delay=timedelta(0),
        )  # fmt: skip
        balance >> EmptyOperator(task_id="campaign")

    ended = run_dag(build, dag_id=f"balance_{on_low}")
    assert ended.states == {"balance": state, "campaign": downstream}
    assert ended.tries["balance"] == 1
    assert [told["text"]["content"] for told in chat] == [f"sms_wavecom: 7 messages (balance_{on_low})"]
    assert Remembering.heard == ["sms_wavecom: 7 messages"]
    if on_low == "continue":
        assert ended.xcoms["balance"]["low"] is True


def test_a_fine_balance_tells_nobody(run_dag, connections, chat):
    """And the task is green."""
    conn_id = connections("smsadmin")
    ended = run_dag(
        lambda: SmsBalanceCheckOperator(
            task_id="balance", sms_conn_id=conn_id, threshold=100,
            notifiers=HttpNotifier(http_conn_id="chat", json={"text": "low"}),
        )
    )  # fmt: skip
    assert ended.state == "success"
    assert chat == []


@pytest.mark.parametrize("on_low", ["fail", "skip", "continue"])
def test_an_alert_that_nobody_got_is_not_green(connections, on_low):
    """Whatever ``on_low`` says; the other notifiers are called all the same."""
    with pytest.raises(AirflowFailException, match="notifiers that failed: Failing"):
        check(connections("wavecom"), 10**9, on_low=on_low, notifiers=[Failing(), Remembering()])
    assert len(Remembering.heard) == 1


def test_low_means_what_it_says_without_a_dag(connections):
    """For scripts, the same exceptions."""
    conn_id = connections("wavecom")
    with pytest.raises(AirflowFailException, match="top it up"):
        check(conn_id, 10**9)
    with pytest.raises(AirflowSkipException):
        check(conn_id, 10**9, on_low="skip")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"threshold": "many"}, "threshold is 'many'"),
        ({"threshold": float("nan")}, "threshold is nan"),
        ({"threshold": None}, "threshold is None"),
        ({"on_low": "stop"}, "on_low is 'stop'"),
    ],
)
def test_wrong_parameters_fail_for_good(connections, sandbox, given, says):
    """Before the vendor is asked."""
    with pytest.raises(AirflowFailException, match=says):
        check(connections("wavecom"), **given)
    assert sandbox.calls.count() == 0


# --- linkws answers every 30 s only -----------------------------------------------------------------


@pytest.fixture
def strict(monkeypatch, connections):
    """Serve a sandbox that keeps linkws's interval; gives it and the connection's id."""
    del connections
    with Sandbox() as gateway:
        monkeypatch.setenv("AIRFLOW_CONN_SMS_LINKWS", gateway.connection_json("linkws"))
        yield gateway


def test_a_balance_just_read_is_used_again_with_its_own_time(strict):
    """Asked twice within the interval, the vendor is called once."""
    first = check("sms_linkws")
    assert check("sms_linkws") == first
    assert strict.calls.count("linkws", "balance") == 1


def test_asked_too_soon_by_somebody_else_the_last_known_balance_is_used(strict, store, told):
    """With its age; -101 is no balance."""
    old = datetime.now(UTC) - timedelta(seconds=100)
    Balances(store).record("sms_linkws", "linkws", Balance(Decimal(77)), old)
    check("sms_linkws")
    strict.account("linkws").balance = Decimal(5)
    with store.begin() as connection:
        connection.execute(text("DELETE FROM sms_balances WHERE remaining <> 77"))
    result = check("sms_linkws", on_low="continue")
    assert (result["remaining"], result["low"]) == (77, True)
    assert datetime.fromisoformat(result["checked_at"]) == old.replace(microsecond=old.microsecond)
    assert "using the balance read at" in told()


@pytest.mark.usefixtures("strict")
def test_asked_too_soon_with_nothing_known_is_an_error_that_a_retry_mends(store, rows):
    """It says when to ask again, and nothing is written down as a balance."""
    check("sms_linkws")
    with store.begin() as connection:
        connection.execute(text("DELETE FROM sms_balances"))
    with pytest.raises(VendorBusy) as caught:
        check("sms_linkws")
    assert caught.value.retry_after == 30
    assert rows("SELECT remaining FROM sms_balances") == []


# --- no answer is no balance ------------------------------------------------------------------------


@EACH_VENDOR
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault("reset_before", operation="balance"), VendorUnreachable),
        (Fault("html", operation="balance"), WireFormatError),
        (Fault("garbage", operation="balance"), WireFormatError),
        (Fault("empty", operation="balance"), WireFormatError),
        (Fault("status", operation="balance", status=500), WireFormatError),
        (Fault("status", operation="balance", status=503, retry_after=9), VendorBusy),
        (Fault("cut", operation="balance", at=0.4), WireFormatError),
    ],
    ids=lambda value: getattr(value, "kind", getattr(value, "__name__", "")),
)
def test_what_is_no_balance_is_none(connections, sandbox, rows, vendor, fault, error):
    """One error that a retry may mend, naming the connection; nothing is kept."""
    sandbox.faults.add(fault)
    with pytest.raises(error, match=f"sms_{vendor}"):
        check(connections(vendor))
    assert rows("SELECT remaining FROM sms_balances") == []


@EACH_VENDOR
def test_a_wrong_password_fails_for_good(connections, vendor):
    """An error code is never a balance."""
    with pytest.raises(AirflowFailException, match="AuthenticationFailed"):
        check(connections(vendor, fields={"password": "wrong-password"}))
