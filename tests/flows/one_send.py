"""
A process that sends once, for tests that kill it: arguments come as one JSON object.

``die_at`` names a point of the flow and its how-manieth occurrence; there the process ends by SIGKILL.
What came of it is in ``told.json`` of its folder.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from itertools import count
from pathlib import Path
from typing import Any

from airflow_provider_sms import recipients, submitting
from airflow_provider_sms.errors import SmsError
from airflow_provider_sms.gateway import Gateway
from airflow_provider_sms.sending import Origin, SendOrder, send
from airflow_provider_sms.store.engine import Store
from airflow_provider_sms.store.ledger import Ledger
from airflow_provider_sms.vendors.accounts import check_account
from airflow_provider_sms.vendors.registry import vendor_of_type


def die_at(owner: type, method: str, occurrence: int, *, after: bool) -> None:
    """End the process before or after a call of a method."""
    original, calls = getattr(owner, method), count(1)

    def dying(*args: Any, **options: Any) -> Any:
        fatal = next(calls) == occurrence
        if fatal and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **options)
        if fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, method, dying)


def main() -> int:
    """Send, and give 0 for done, 3 for one of our own errors."""
    given = json.loads(sys.argv[1])
    # Claims of the killed run out in a second, though the vendor may take longer than that to answer.
    submitting.CLAIM_MARGIN = 1.0 - given["connection"]["extra"]["timeout"]
    if point := given.get("die_at"):
        owner = {"Ledger": Ledger, "Gateway": Gateway}[point["of"]]
        die_at(owner, point["method"], point["occurrence"], after=point["after"])
    connection = given["connection"]
    vendor = vendor_of_type(connection.pop("conn_type"), "sms_killed")
    account = check_account(vendor, "sms_killed", **connection)
    store = Store.open(f"sqlite:///{given['folder']}/sms.db", spool_dir=Path(given["folder"]) / "spool")
    order = SendOrder(
        given["send_key"],
        content=given["content"],
        on_unknown=given.get("on_unknown", "fail"),
        origin=Origin("dag", "task", "run"),
    )
    told = Path(given["folder"]) / "told.json"
    with Gateway(vendor, account) as gateway:
        try:
            result = send(
                gateway,
                store,
                order,
                lambda: recipients.from_values(given["people"]),
                log=logging.getLogger("one_send"),
            )
        except SmsError as error:
            told.write_text(json.dumps({"error": type(error).__name__, "told": str(error)}), encoding="utf-8")
            return 3
    told.write_text(json.dumps(result), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
