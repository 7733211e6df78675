"""``example_sms_notification``, run whole."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

CONF = {"sms_conn_id": "sms_smsadmin", "region": "华东", "shipped_on": "2026-10-24"}


@pytest.mark.parametrize("vendor", ["beidoutong", "wavecom", "smsadmin"])
def test_every_customer_gets_a_text_of_their_own(run, sandbox, connections, customers, vendor):
    connections(vendor)
    state, tasks = run("example_sms_notification", {**CONF, "sms_conn_id": f"sms_{vendor}"})
    assert (state, set(tasks.values())) == ("success", {"success"})
    got = {message.mobile: message.content for message in sandbox.messages(vendor)}
    assert len(got) == sandbox.count_messages(vendor) == len(customers)
    for mobile, name, order_no, amount in customers:
        assert got[mobile] == f"{name}，您的订单 {order_no} 已发货，共 {amount} 元，预计三日内送达。"


def test_a_cleared_run_sends_nothing_again(run, sandbox, connections, customers):
    connections("smsadmin")
    moment = datetime(2026, 10, 24, 2, tzinfo=UTC)
    for _ in range(2):
        state, _ = run("example_sms_notification", CONF, moment)
        assert state == "success"
    assert sandbox.count_messages("smsadmin") == len(customers)


@pytest.mark.parametrize("sandbox", [{"failure_share": 0.5, "seed": 3}], indirect=True)
def test_it_fails_below_the_rate_and_says_so(run, sandbox, connections, customers, capfd):
    connections("smsadmin")
    state, tasks = run("example_sms_notification", {**CONF, "min_delivery_rate": 0.9})
    assert state == "failed"
    assert tasks == {"notify": "success", "wait_for_reports": "success", "check_delivery": "failed"}
    delivered = sum(report.status == "delivered" for report in sandbox.handed_out_reports("smsadmin"))
    told = capfd.readouterr().out
    assert f"{delivered} of {len(customers)} reported messages were delivered" in told
    assert "at least 90.0% were wanted" in told


@pytest.mark.parametrize("sandbox", [{"failure_share": 0.5, "seed": 3}], indirect=True)
@pytest.mark.usefixtures("customers")
def test_a_lower_rate_may_be_enough(run, connections):
    connections("smsadmin")
    state, _ = run("example_sms_notification", {**CONF, "min_delivery_rate": 0})
    assert state == "success"


@pytest.mark.usefixtures("customers")
def test_a_region_that_is_no_region_reaches_no_database(run, sandbox, connections):
    connections("smsadmin")
    with pytest.raises(ValueError, match="region"):
        run("example_sms_notification", {**CONF, "region": "' OR 1=1 --"})
    assert sandbox.count_messages("smsadmin") == 0
