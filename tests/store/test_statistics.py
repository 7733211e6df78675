"""PostgreSQL looks at the tables of a large first send at once, not when it comes to it by itself."""

from __future__ import annotations

import logging
from contextlib import closing

import pytest
from sqlalchemy import text

from airflow_provider_sms.sending import SendOrder, send
from airflow_provider_sms.store.engine import Store
from airflow_provider_sms.store.statistics import have_seen

TABLES = ("sms_batches", "sms_recipients", "sms_batch_ids")
KNOWN = text("SELECT reltuples FROM pg_class WHERE oid = CAST(:name AS regclass)")


def rows_known(store):
    with store.reading() as connection:
        return {name: max(0, int(connection.scalar(KNOWN, {"name": name}))) for name in TABLES}


@pytest.mark.parametrize(("people", "known"), [(1000, 1000), (500, 0)])
def test_the_tables_of_a_large_send_are_seen(new_place, tmp_path, gateway_of, people, known):
    numbers = [str(13800000000 + place) for place in range(people)]
    order = SendOrder(send_key="large", content="您好【公司】")
    place = new_place("postgresql", tmp_path)
    with closing(Store.open(place.url, spool_dir=tmp_path)) as store:
        send(gateway_of("wavecom"), store, order, lambda: {"mobile": numbers}, log=logging.getLogger("tests"))
        seen = rows_known(store)
        assert seen["sms_recipients"] == known
        assert bool(seen["sms_batch_ids"]) == bool(seen["sms_batches"]) == bool(known)


def test_others_need_not_be_asked(store):
    """Not a server that was asked once, nor one that knows by itself."""
    for _ in range(2):
        have_seen(store, 10_000)
