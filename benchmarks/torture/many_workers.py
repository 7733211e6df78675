"""
R8: eight workers and two triggerers collect one account, while its vendor pushes as well.

A tenth of the reports is pulled, 20 each five seconds as smsadmin allows; the rest is pushed, and so is a
third of what is pulled. Workers, triggerers and the receiver are killed on the way, some of them with the
lease in hand.
"""

from __future__ import annotations

import random
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from children import Child
from crew import Crew, collect, collect_for_ever, poll_for_ever, prepare, push_all
from figures import CannotRun, Figure, Progress, Proof, all_of, at_least, at_most, none, record
from lease_history import LeaseHistory
from push import Receiver
from sandboxes import RemoteSandbox, Sandboxes
from sqlalchemy import create_engine, make_url, pool, text

sys.path.append(str(Path(__file__).parents[1]))
from places import available, empty_database

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_sms.sandbox.queues import Report

_RECORDS = 10_000
_WORKERS, _TRIGGERERS, _PUSHERS = 8, 2, 4
_PULLED, _BOTH = 0.1, 0.3
_PAGE, _INTERVAL, _TIMEOUT = 20, 5.0, 2
_KILLS = {"members": 40, "holders": 3, "receivers": 5}
_PROCESS = re.compile(r":(\d+):")
_TIME = "2025-01-31 16:30:00"


def prove(size: float, progress: Progress) -> list[Figure]:
    """Do it on each database server of this machine."""
    dialects = [dialect for dialect in ("postgresql", "mysql") if available(dialect)]
    if not dialects:
        raise CannotRun("no PostgreSQL and no MariaDB answers (SMS_BENCH_POSTGRES, SMS_BENCH_MYSQL)")
    figures: list[Figure] = []
    for dialect in dialects:
        progress.part(dialect)
        # Airflow is imported once, and so are its connections: each database has a process of its own.
        log = Path(tempfile.mkdtemp()) / "proof.log"
        ours, theirs = _pipe()
        child = Child(_on(dialect, size, progress.seed, theirs), log)
        theirs.close()
        try:
            while isinstance(told := ours.recv(), tuple):
                progress(*told)
        except EOFError:
            child.wait()
            raise RuntimeError(log.read_text()[-3000:]) from None
        child.wait()
        figures += [each._replace(what=f"{dialect}: {each.what}") for each in told]
    return figures


def _pipe() -> tuple[Any, Any]:
    import multiprocessing

    return multiprocessing.Pipe(duplex=False)


def _on(dialect: str, size: float, seed: int, pipe: Any) -> Callable[[], int]:
    def tell(*so_far: Any) -> None:
        pipe.send(so_far)

    def work() -> int:
        chance = random.Random(seed)  # noqa: S311 - a proof that can be repeated
        with empty_database(dialect) as url:
            pipe.send(_prove(url, max(400, round(_RECORDS * size)), size, chance, tell))
        return 0

    return work


def _prove(
    url: str, records: int, size: float, chance: random.Random, tell: Callable[..., None]
) -> list[Figure]:
    home = Path(tempfile.mkdtemp())
    pulled = round(records * _PULLED)
    with Sandboxes(1, smsadmin_poll_interval=_INTERVAL - 0.1) as sandboxes:
        sandbox = sandboxes[0]
        account: dict[str, Any] = sandbox("connection", "smsadmin", timeout=_TIMEOUT)
        prepare(home, account, _connection(url))
        reports = [_report(number) for number in range(records)]
        sandbox("queue_reports", "smsadmin", [_fields(each) for each in reports[:pulled]])
        history = _opened_store(url)
        receiver = Receiver(home)
        receiver.start()
        pushers = [
            Child(
                _pushing(receiver.port, account["login"], some, pulled / _PAGE * _INTERVAL), home / "push.log"
            )
            for some in (
                *(reports[pulled + lane :: _PUSHERS] for lane in range(_PUSHERS)),
                chance.sample(reports[:pulled], round(pulled * _BOTH)),
            )
        ]
        crew = Crew(home / "crew.log")
        for number in range(_WORKERS + _TRIGGERERS):
            crew.start(collect_for_ever if number < _WORKERS else poll_for_ever)
        store = Asked(url)
        kills = _kill(crew, receiver, sandbox, pushers, store, size, chance, tell)
        crew.dismiss()
        receiver.stop()
        _collect_the_rest(home)
        return _figures(sandbox, store, history, reports, kills)


class Asked:
    """The store, for questions."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url, poolclass=pool.NullPool)

    def __call__(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask one."""
        with self._engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]


def _opened_store(url: str) -> LeaseHistory:
    """Import what the children need, and make the tables."""
    import airflow_provider_sms.operators.sms
    import airflow_provider_sms.triggers.polling
    import airflow_provider_sms.triggers.sms
    import airflow_provider_sms.triggers.visiting  # noqa: F401
    from airflow_provider_sms.hooks.store import open_store

    open_store().close()
    if threading.active_count() > 1:
        raise RuntimeError(f"threads are left: {threading.enumerate()}")
    return LeaseHistory(url)


def _connection(url: str) -> dict[str, Any]:
    address = make_url(url)
    return {
        "conn_type": "postgres" if address.get_backend_name() == "postgresql" else "mysql",
        "host": address.host,
        "port": address.port,
        "login": address.username,
        "password": address.password,
        "schema": address.database,
    }


def _report(number: int) -> Report:
    from airflow_provider_sms.sandbox.queues import Report

    return Report(str(13_800_000_000 + number), f"{number:032x}", "delivered", "DELIVRD", "56666", _TIME)


def _fields(report: Report) -> dict[str, str]:
    return {name: getattr(report, name) for name in ("mobile", "message_id", "error_code", "extno", "time")}


def _pushing(port: int, login: str, reports: list[Report], seconds: float) -> Callable[[], int]:
    return lambda: push_all(port, login, reports, seconds)


def _kill(
    crew: Crew,
    receiver: Receiver,
    sandbox: RemoteSandbox,
    pushers: list[Child],
    store: Asked,
    size: float,
    chance: random.Random,
    tell: Callable[..., None],
) -> Counter[str]:
    """Kill until everything is pulled and pushed; those who have the lease, too."""
    left = {who: max(1, round(number * size)) for who, number in _KILLS.items()}
    kills: Counter[str] = Counter()
    total = sandbox("waiting", "smsadmin", "reports")
    while (waiting := sandbox("waiting", "smsadmin", "reports")) or any(not each.ended() for each in pushers):
        time.sleep(chance.uniform(0.5, 3.0))
        tell(total - waiting, total, ", ".join(f"{number} {who}" for who, number in kills.items()))
        # Spread over the whole of it.
        share = 1 - waiting / total
        due = [who for who, number in left.items() if kills[who] < max(1, number * share)]
        for who in due:
            kills[who] += _killed(who, crew, receiver, store, chance)
    return kills


def _killed(who: str, crew: Crew, receiver: Receiver, store: Asked, chance: random.Random) -> bool:
    if who == "receivers":
        receiver.kill()
        receiver.start()
        return True
    if who == "members":
        crew.kill(chance.randrange(_WORKERS + _TRIGGERERS))
        return True
    ((owner,),) = store("SELECT owner FROM sms_leases WHERE queue = 'reports'") or [(None,)]
    found = _PROCESS.search(owner or "")
    return found is not None and crew.kill_process(int(found[1]))


def _collect_the_rest(home: Path) -> None:
    """Let the leases of the dead run out, and land what they left."""

    def work() -> int:
        from airflow_provider_sms.errors import QueueBusy

        for _ in range(120):
            try:
                if collect()["queue_empty"]:
                    return 0
            except QueueBusy:
                time.sleep(1)
        return 1

    log = home / "rest.log"
    if (end := Child(work, log).wait(180)).code:
        raise RuntimeError(f"the last collection ended with {end.code}:\n{log.read_text()[-3000:]}")


def _figures(
    sandbox: RemoteSandbox, store: Asked, history: LeaseHistory, reports: list[Report], kills: Counter[str]
) -> list[Figure]:
    rows = Counter(store("SELECT vendor_message_id, mobile FROM sms_reports"))
    wanted = {(each.message_id, each.mobile) for each in reports}
    pages = Counter(dict(store("SELECT state, count(*) FROM sms_pages GROUP BY state")))
    lost, suspect = len(wanted - rows.keys()), pages["suspect"]
    changes = history.changes()
    intervals = sandbox("calls.intervals", "smsadmin", "reports")
    return [
        *(record(f"SIGKILLs of {who}", kills[who]) for who in _KILLS),
        record("reads at the vendor", len(intervals) + 1),
        record("suspect pages", suspect),
        record("records lost with a suspect page", lost),
        none("records lost without one", max(0, lost - _PAGE * suspect)),
        none("records landed more than once", sum(count > 1 for count in rows.values())),
        none("rows of nothing that was reported", len(rows.keys() - wanted)),
        all_of("records landed exactly once, of those not lost with a suspect page",
               sum(rows[each] == 1 for each in wanted), len(wanted) - (lost if suspect else 0)),
        none("pages left open", pages["reading"] + pages["read"] + pages["quarantined"]),
        at_most("reads in flight at once", sandbox("max_reads_in_flight", "smsadmin", "reports"), 1),
        at_least("seconds between two reads, the fewest", min(intervals, default=0.0), _INTERVAL),
        record("leases that changed hands after release", changes.released),
        at_least("after expiry", changes.expired, 1),
        none("before either", changes.early),
    ]  # fmt: skip


PROOF = Proof("R8", "8 workers, 2 triggerers, push and pull of one account", prove)
