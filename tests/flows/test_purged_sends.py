"""A send whose texts and numbers were purged: its key stays used, and nobody gets a blank message."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import update

from airflow_provider_sms import errors
from airflow_provider_sms.optouts import OptOuts
from airflow_provider_sms.store import schema
from airflow_provider_sms.store.purging import Purge

OLD = datetime(2025, 3, 1, tzinfo=UTC)


@pytest.fixture
def purged(store):
    """Purge all sends as if they were old."""

    def run():
        with store.begin() as connection:
            connection.execute(update(schema.batches).values(prepared_at=OLD, submitted_at=OLD, send_at=None))
        assert Purge(store, datetime(2025, 6, 1, tzinfo=UTC), OptOuts()).run().batches

    return run


def test_what_was_accepted_counts_as_before_and_is_not_sent_again(
    sandbox, gateway_of, send_to, numbers, task, purged
):
    """A task that is cleared a year later is green; another use of its key is refused."""
    gateway = gateway_of("beidoutong")
    first = send_to(gateway, numbers(3), "您好【公司】", send_key="k", origin=task)
    purged()
    assert send_to(gateway, numbers(3), "您好【公司】", send_key="k", origin=task) == first
    with pytest.raises(errors.PreflightError, match="were purged at"):
        send_to(gateway, numbers(3), "您好【公司】", send_key="k")
    assert sandbox.count_messages("beidoutong") == 3


def test_what_was_refused_cannot_be_sent_any_more(sandbox, gateway_of, send_to, numbers, task, purged):
    """Its text is gone: the error is final and says what to do."""
    gateway = gateway_of("beidoutong")
    sandbox.account("beidoutong").balance = 0
    with pytest.raises(errors.InsufficientBalance):
        send_to(gateway, numbers(3), "您好【公司】", send_key="k", origin=task)
    purged()
    sandbox.account("beidoutong").balance = 1000
    with pytest.raises(errors.PreflightError, match="give a new send_key"):
        send_to(gateway, numbers(3), "您好【公司】", send_key="k", origin=task)
    assert sandbox.count_messages("beidoutong") == 0
    assert send_to(gateway, numbers(3), "您好【公司】", send_key="new")["accepted"] == 3
