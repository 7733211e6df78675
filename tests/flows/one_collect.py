"""A process that collects one queue until it is empty, for tests that kill it; it takes one JSON object."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

from airflow_provider_sms import collecting
from airflow_provider_sms.collecting import Collector, queue_named
from airflow_provider_sms.errors import QueueBusy
from airflow_provider_sms.gateway import Gateway
from airflow_provider_sms.store.engine import Store
from airflow_provider_sms.submitting import owner_name
from airflow_provider_sms.vendors.accounts import check_account
from airflow_provider_sms.vendors.registry import vendor_of_type


def main() -> int:
    """Collect, and give 0 for an empty queue, 4 when the dead one's lease still holds."""
    given = json.loads(sys.argv[1])
    connection = given["connection"]
    # Leases of the killed run out soon, though the vendor may take longer than that to answer.
    collecting.LEASE_MARGIN = 0.4 - connection["extra"]["timeout"]
    vendor = vendor_of_type(connection.pop("conn_type"), "sms_killed")
    type(vendor).intervals = {}
    account = check_account(vendor, "sms_killed", **connection)
    store = Store.open(f"sqlite:///{given['folder']}/sms.db", spool_dir=Path(given["folder"]) / "spool")
    log = logging.getLogger("one_collect")
    with Gateway(vendor, account) as gateway:
        try:
            Collector(gateway, store, queue_named(given["queue"]), owner=owner_name(), log=log).run()
        except QueueBusy:
            return 4
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
