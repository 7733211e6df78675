"""``example_sms_balance_alert``, run whole, with a webhook on loopback."""

from __future__ import annotations

from decimal import Decimal

VENDORS = ("beidoutong", "wavecom", "linkws", "smsadmin")


def test_nobody_is_told_while_there_is_enough(run, connections, chat_group):
    for vendor in VENDORS:
        connections(vendor)
    state, tasks = run("example_sms_balance_alert")
    assert (state, set(tasks.values())) == ("success", {"success"})
    assert chat_group == []


def test_the_group_is_told_of_each_low_account(run, sandbox, connections, chat_group, rows):
    for vendor in VENDORS:
        connections(vendor)
    sandbox.account("wavecom").balance = Decimal(120)
    sandbox.account("smsadmin").balance = Decimal("3.50")
    state, _ = run("example_sms_balance_alert")
    assert state == "success"
    assert {path for path, _ in chat_group} == {"/robot/send?access_token=canary-robot-token"}
    assert sorted(body["text"]["content"] for _, body in chat_group) == [
        "短信余额不足: sms_smsadmin 还剩 3.5 元",
        "短信余额不足: sms_wavecom 还剩 120 条",
    ]
    assert len(rows("SELECT conn_id FROM sms_balances")) == len(VENDORS)


def test_an_account_that_cannot_be_asked_fails_the_run(run, connections, chat_group):
    for vendor in VENDORS:
        connections(vendor)
    connections("linkws", fields={"password": "not-the-password"})
    state, tasks = run("example_sms_balance_alert")
    assert state == "failed"
    assert tasks["check_balance", 2] == "failed"
    assert tasks["check_balance", 3] == "success"
    assert tasks["summarise"] == "failed"
    assert chat_group == []
