"""A purge of many rows takes as long for the last of them as for the first."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from airflow_provider_sms.optouts import OptOuts
from airflow_provider_sms.store import purging, schema
from airflow_provider_sms.store.engine import Store
from airflow_provider_sms.store.purging import Purge

#: Far enough back that nothing of today is purged by mistake.
OLD = datetime(2025, 3, 1, 4, 0, tzinfo=UTC)
BEFORE = datetime(2025, 6, 1, tzinfo=UTC)


@pytest.fixture
def steps_per_chunk(tmp_path, empty_store, monkeypatch):
    """Purge a SQLite store in chunks of ten parts; gives how many steps its machine took for each."""
    shutil.copy(empty_store, tmp_path / "sms.db")
    store = Store.open(f"sqlite:///{tmp_path}/sms.db", spool_dir=tmp_path / "spool")
    monkeypatch.setattr(purging, "_PARTS", 10)
    taken = []

    def purge() -> list[int]:
        at = []
        with store.reading() as connection:
            # One thread has one connection.
            raw = connection.connection.driver_connection
        raw.set_progress_handler(lambda: taken.append(1), 10)
        Purge(store, BEFORE, OptOuts()).run(lambda _: at.append(len(taken)))
        return [after - before for before, after in pairwise(at)]

    yield store, purge
    store.close()


def test_the_last_pages_of_many_take_no_longer_than_the_first(steps_per_chunk):
    """Each push is a page, so there may be millions: no chunk walks over those that are purged."""
    store, purge = steps_per_chunk
    made = [
        {"page_id": f"page{number:04}", "conn_id": "sms_main", "vendor": "smsadmin", "queue": "replies",
         "source": "push", "state": "landed", "started_at": OLD, "landed_at": OLD, "records": 1}
        for number in range(1500)
    ]  # fmt: skip
    with store.begin() as connection:
        connection.execute(schema.pages.insert(), made)
    steps = purge()
    assert len(steps) == 149
    assert max(steps) < 2 * steps[0]


def test_the_last_sends_of_many_take_no_longer_than_the_first(steps_per_chunk):
    """A DAG that sends each hour has thousands: no chunk asks of all of them whether they may go."""
    store, purge = steps_per_chunk

    def sent(numbers: range) -> None:
        of_both = {"conn_id": "sms_main", "vendor": "wavecom", "recipients": 1}
        plan = {"fingerprint": "f" * 64, "batches": 1, "created_at": OLD}
        batch = {
            "batch_no": 1,
            "state": "accepted",
            "reference": "",
            "segments": 1,
            "attempts": 1,
            "prepared_at": OLD,
            "submitted_at": OLD,
            "content": "",
            "templated": False,
            "extno": "",
        }
        keys = [of_both | {"send_id": number, "send_key": f"send{number}"} for number in numbers]
        with store.begin() as connection:
            connection.execute(schema.sends.insert(), [each | plan for each in keys])
            connection.execute(schema.batches.insert(), [each | batch for each in keys])

    sent(range(1, 31))
    few = purge()
    sent(range(31, 1531))
    many = purge()
    assert (len(few), len(many)) == (2, 149)
    assert max(many) < 2 * max(few)
