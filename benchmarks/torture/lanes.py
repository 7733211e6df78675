"""
Lanes: one account of a vendor, its queue, its store, and whoever collects it there.

Proofs that stop collectors run several lanes side by side: while the lease of the one that died runs out
in its lane, others die in theirs.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from children import Child

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from pathlib import Path

    from sandboxes import RemoteSandbox
    from sqlalchemy import Engine

#: Vendor, what its connection has, records of a page.
PAGES: tuple[tuple[str, dict[str, Any], int], ...] = (
    ("beidoutong", {"page_size": 50}, 50),
    ("wavecom", {}, 100),
    ("smsadmin", {}, 20),
    ("beidoutong", {"page_size": 400}, 400),
)
#: Exit codes of a collector.
EMPTY, BUSY, STOPPED = 0, 4, 5
#: What stops a program: Python's own, and Airflow's time-out, which is not imported here.
_STOPS = frozenset({"KeyboardInterrupt", "AirflowTaskTimeout"})
_LEASE_SECONDS = 0.3
_TIMEOUT = 10


@dataclass
class Lane:
    """
    One account and its store.

    :param sandbox: the vendor, which nobody else uses.
    :param page_size: most records of a page.
    :param store_url: SQLAlchemy address of a database that nobody else uses.
    """

    vendor: str
    sandbox: RemoteSandbox
    extra: dict[str, Any]
    page_size: int
    folder: Path
    store_url: str = ""
    _engine: Engine | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.store_url = self.store_url or f"sqlite:///{self.folder}/sms.db"

    @property
    def conn_id(self) -> str:
        """The connection's name."""
        return f"sms_{self.vendor}"

    @property
    def log(self) -> Path:
        """What its children said."""
        return self.folder / "children.log"

    def connection(self, **changes: Any) -> dict[str, Any]:
        """Give the fields of its Airflow connection."""
        extra = {"timeout": _TIMEOUT} | self.extra
        fields: dict[str, Any] = self.sandbox("connection", self.vendor, **extra)
        return fields | changes

    def collector(
        self, around: Callable[[], Any] | None = None, *, owner: str = "", **limits: Any
    ) -> Callable[[], int]:
        """
        Give what a child does to collect this lane's queue until it is empty.

        :param around: makes a context manager in which the collector runs.
        :param owner: of the lease; the process if empty.
        :param limits: of the run.
        """
        fields = self.connection()

        def work() -> int:
            from airflow_provider_sms.errors import QueueBusy

            try:
                with opened(self, fields, owner) as collector:
                    if around is None:
                        collector.run(**limits)
                    else:
                        with around():
                            collector.run(**limits)
            except QueueBusy:
                return BUSY
            except SystemExit as stop:
                return int(stop.code or 0)
            except BaseException as stop:
                if type(stop).__name__ not in _STOPS:
                    raise
                return STOPPED
            return EMPTY

        return work

    def checked(self, fields: dict[str, Any]) -> tuple[Any, Any, Any]:
        """Give its vendor, account and store, as hooks do."""
        from airflow_provider_sms.store.engine import Store
        from airflow_provider_sms.vendors.accounts import check_account
        from airflow_provider_sms.vendors.registry import vendor_of_type

        fields = dict(fields)
        vendor = vendor_of_type(fields.pop("conn_type"), self.conn_id)
        # Sandboxes of proofs may be asked at any pace.
        type(vendor).intervals = {}
        account = check_account(vendor, self.conn_id, **fields)
        return vendor, account, Store.open(self.store_url, spool_dir=self.folder / "spool")

    def replay(self) -> Callable[[], int]:
        """Give what a child does to read this lane's pages in quarantine again; 0 if all went well."""
        fields = self.connection()

        def work() -> int:
            from airflow_provider_sms.replaying import replay

            found = self.rows("SELECT page_id FROM sms_pages WHERE state = 'quarantined' ORDER BY started_at")
            vendor, account, store = self.checked(fields)
            for _ in replay(vendor, account, store, [page_id for (page_id,) in found]):
                pass
            return EMPTY

        return work

    def fill(self, records: int) -> None:
        """See to it that so many reports wait."""
        waiting = self.sandbox("waiting", self.vendor, "reports")
        if waiting < records:
            self.sandbox("queue_reports", self.vendor, records - waiting)

    def wait_for_a_read(self, child: Child) -> None:
        """Wait until the vendor is asked for a page, or the child has ended."""
        asked = "calls.count", self.vendor, "reports"
        before = self.sandbox(*asked)
        while self.sandbox(*asked) == before and child.ended() is None:
            time.sleep(0.002)

    def drain(self) -> None:
        """
        Collect in peace until the queue is empty.

        :raises RuntimeError: a collector does not come to its end; its log says why.
        """
        deadline = time.monotonic() + 120
        while (end := Child(self.collector(), self.log).wait()).code != EMPTY:
            if end.code != BUSY or time.monotonic() > deadline:
                raise RuntimeError(f"a collector ended with {end.code}:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.05)
        assert self.sandbox("waiting", self.vendor, "reports") == 0

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask its store."""
        from sqlalchemy import create_engine, pool, text

        if self._engine is None:
            url = self.store_url.replace("postgresql://", "postgresql+psycopg://")
            self._engine = create_engine(url, poolclass=pool.NullPool)
        with self._engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]

    def rows_if_any(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask its store; there is nothing before the first run has made the tables."""
        from sqlalchemy import exc

        try:
            return self.rows(sql)
        except (exc.OperationalError, exc.ProgrammingError):
            return []

    def count(self, but: Collection[str] = ()) -> Balance:
        """
        Compare what the vendor handed over with what is in the store.

        :param but: ids of messages whose reports are left out.
        """
        handed = Counter(
            (each.mobile, each.message_id)
            for each in self.sandbox("handed_out_reports", self.vendor)
            if each.message_id not in but
        )
        rows = self.rows("SELECT mobile, vendor_message_id FROM sms_reports")
        landed = Counter((mobile, message_id) for mobile, message_id in rows if message_id not in but)
        pages = Counter(dict(self.rows("SELECT state, count(*) FROM sms_pages GROUP BY state")))
        suspect = pages["suspect"]
        lost = sum((handed - landed).values())
        bodies = self.rows("SELECT state, count(*) FROM sms_pages WHERE body IS NOT NULL GROUP BY state")
        raw = dict(bodies)
        return Balance(
            handed=sum(handed.values()),
            landed=sum(landed.values()),
            lost=lost,
            lost_in_silence=max(0, lost - self.page_size * (suspect + pages["quarantined"])),
            duplicates=sum((landed - handed).values()),
            suspect=suspect,
            raw=sum(raw.values()),
            raw_landed=raw.get("landed", 0) + raw.get("empty", 0),
            open=pages["reading"] + pages["read"],
        )


@dataclass
class Balance:
    """
    What became of what a vendor handed over.

    :param lost_in_silence: more than the suspect pages, and those in quarantine, can have cost.
    :param raw: pages with bytes.
    :param raw_landed: those of them whose records landed, or which said that there were none.
    :param open: pages that no run has brought to an end.
    """

    handed: int = 0
    landed: int = 0
    lost: int = 0
    lost_in_silence: int = 0
    duplicates: int = 0
    suspect: int = 0
    raw: int = 0
    raw_landed: int = 0
    open: int = 0

    def __add__(self, other: Balance) -> Balance:
        """Add up two lanes."""
        return Balance(**{name: value + vars(other)[name] for name, value in vars(self).items()})


def sum_of(lanes: list[Lane]) -> Balance:
    """Add up all lanes."""
    return sum((lane.count() for lane in lanes), Balance())


@contextmanager
def opened(lane: Lane, fields: dict[str, Any], owner: str) -> Iterator[Any]:
    """Give a collector of a lane's queue, whose lease runs out soon should it die."""
    from airflow_provider_sms import collecting
    from airflow_provider_sms.collecting import Collector, queue_named
    from airflow_provider_sms.gateway import Gateway
    from airflow_provider_sms.submitting import owner_name

    # The lease of a dead one would hold for the time-out and half a minute.
    collecting.LEASE_MARGIN = _LEASE_SECONDS - _TIMEOUT
    vendor, account, store = lane.checked(fields)
    log = logging.getLogger("torture")
    with Gateway(vendor, account) as gateway:
        yield Collector(gateway, store, queue_named("reports"), owner=owner or owner_name(), log=log)


def warm_up(lanes: Iterable[Lane]) -> None:
    """
    Collect once here, so that children find everything imported.

    :raises RuntimeError: it left threads, which a fork would cut off.
    """
    for lane in lanes:
        lane.fill(1)
        lane.collector()()
        lane.checked(lane.connection())[2].close()
    if threading.active_count() > 1:
        raise RuntimeError(f"threads are left: {threading.enumerate()}")
