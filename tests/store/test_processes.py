"""Several processes at one store: they make its tables once, and each thing has one winner."""

from __future__ import annotations

from airflow_provider_sms.store.engine import Store
from airflow_provider_sms.store.ledger import Ledger

WORK = """
import os, sys
from pathlib import Path
from airflow_provider_sms.errors import QueueBusy
from airflow_provider_sms.store.engine import Store
from airflow_provider_sms.store.leases import Leases
from airflow_provider_sms.store.ledger import Ledger
from airflow_provider_sms.store.plans import PlannedBatch, PlannedSend

me = str(os.getpid())
store = Store.open(sys.argv[1], spool_dir=Path(sys.argv[2]))
store.prove_writable()
try:
    owner = Leases(store).acquire("sms_main", "reports", me, 60).owner
except QueueBusy as busy:
    owner = busy.owner
ledger = Ledger(store)
batches = [PlannedBatch(number, "r", [f"138{number:08d}"], "text") for number in range(1, 21)]
planned = ledger.plan(PlannedSend("key", "c", "wavecom", "f" * 64), batches)
claimed = sum(ledger.claim("key", number, me, 60, f"{me}x{number}") for number in range(1, 21))
print(owner, int(planned is not None), claimed)
"""


def test_four_processes_begin_on_an_empty_store(place, tmp_path, run_many):
    """
    All at once: the tables are made, one gets the lease, one plans, and each batch is claimed once.

    Whoever loses learns who won, or goes on with what is there; nobody fails.
    """
    told = [line.split() for line in run_many(WORK, place.address, tmp_path / "spool")]
    assert len({owner for owner, *_ in told}) == 1
    assert sum(int(planned) for _, planned, _ in told) == 1
    assert sum(int(claimed) for *_, claimed in told) == 20
    store = Store.open(place.url, spool_dir=tmp_path / "spool")
    assert {batch.attempts for batch in Ledger(store).batches("key")} == {1}
    store.close()
