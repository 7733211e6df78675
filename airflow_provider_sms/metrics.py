"""
Metrics: what was sent and collected, by Airflow's own ``Stats``.

As Airflow does since 3.2, each goes out under a short name with tags, and, unless ``[metrics]
legacy_names_on`` is off, a second time under a name that has the tags' values in it: plain statsd drops tags.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from airflow_provider_sms.records import Queue

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from airflow_provider_sms.collecting import Collector
    from airflow_provider_sms.store.engine import Store


class Tags(NamedTuple):
    """
    Whose metrics they are.

    :param vendor: name of the vendor.
    :param conn_id: connection of the account.
    :param queue: ``"reports"`` or ``"replies"``, where it is about one of them.
    :param core: whether this is the triggerer, where Airflow's core emits, and not the task SDK.
    :param legacy: whether names with the tags in them go out as well; ``None`` asks Airflow's settings each
        time, which takes longer than all the rest.
    """

    vendor: str
    conn_id: str
    queue: str = ""
    core: bool = False
    legacy: bool | None = None

    def as_dict(self) -> dict[str, str]:
        """Give them as Airflow takes them."""
        tags = {"vendor": self.vendor, "conn_id": self.conn_id}
        return tags | {"queue": self.queue} if self.queue else tags


def legacy_names_on() -> bool:
    """Ask Airflow's settings whether names with the tags in them go out as well."""
    from airflow.providers.common.compat.sdk import conf

    return bool(conf.getboolean("metrics", "legacy_names_on", fallback=True))


@contextmanager
def of_collection(tags: Tags, collector: Collector, store: Store, *, ages: bool = True) -> Iterator[None]:
    """
    Count what a collector did within the block, also when it ends with an error.

    :param store: where it collects to.
    :param ages: whether to ask the store as well what has been waited for the longest.
    """
    from airflow_provider_sms.errors import QueueBusy

    try:
        yield
    except QueueBusy:
        _count("lease_waits", 1, tags)
        raise
    finally:
        done = collector.so_far
        for name in ("pages", "records", "quarantined", "suspect"):
            _count(name, getattr(done, name), tags)
        if ages:
            _ages(tags, store)


def _ages(tags: Tags, store: Store) -> None:
    from airflow_provider_sms.errors import StoreUnavailable
    from airflow_provider_sms.store.ages import open_page_age, pending_age

    try:
        _gauge("open_page_age", open_page_age(store, tags.conn_id, tags.queue), tags)
        if tags.queue == Queue.REPORTS:
            _gauge("pending_age", pending_age(store, tags.conn_id), tags._replace(queue=""))
    except StoreUnavailable:
        # Whoever collects says so; what is not known is not told.
        return


def queue_age(tags: Tags, seconds: float | None) -> None:
    """Tell how long ago a queue was read when it is about to be read again; nothing if it never was."""
    if seconds is not None:
        _gauge("queue_age", seconds, tags)


def balance(tags: Tags, remaining: Decimal) -> None:
    """Tell what is left on an account, in the vendor's unit."""
    _gauge("balance", float(remaining), tags)


class SendMeter:
    """
    Count what one run of a send did, also when it ends with an error: ``with SendMeter(...) as meter``.

    :param store: where the send's ledger is.
    :param send_key: which send.
    :param tags: whose.
    """

    def __init__(self, store: Store, send_key: str, tags: Tags) -> None:
        self._store = store
        self._send_key = send_key
        self._tags = tags
        self._before: dict[str, Any] | None = None
        self._after: dict[str, Any] | None = None

    def __enter__(self) -> Self:
        self._before = self._summary()
        return self

    def ended(self, counts: dict[str, Any]) -> dict[str, Any]:
        """Take the counts of a send that ended well, which saves asking for them; give them back."""
        self._after = counts
        return counts

    def __exit__(self, *error: object) -> None:
        before, after = self._before, self._after or self._summary()
        if before is None or after is None:
            return
        gained = {name: max(0, after[name] - before[name]) for name in before if name != "send_key"}
        submitted = sum(gained[name] for name in ("accepted", "rejected", "unknown"))
        _count("submitted", submitted, self._tags)
        for name in ("accepted", "rejected", "unknown", "not_sent", "segments"):
            _count(name, gained[name], self._tags)

    def _summary(self) -> dict[str, Any] | None:
        from airflow_provider_sms.errors import StoreUnavailable
        from airflow_provider_sms.store.ledger import Ledger

        try:
            return Ledger(self._store).summary(self._send_key).as_dict()
        except (StoreUnavailable, UnicodeEncodeError):
            # The send itself says so, also of a key that is no text; what is not known is not counted.
            return None


def _count(name: str, count: int, tags: Tags) -> None:
    if count:
        stats = _stats(core=tags.core)
        stats.incr(f"sms.{name}", count, tags=tags.as_dict())
        if _with_legacy_names(tags):
            stats.incr(_legacy_name(name, tags), count)


def _gauge(name: str, value: float, tags: Tags) -> None:
    stats = _stats(core=tags.core)
    stats.gauge(f"sms.{name}", value, tags=tags.as_dict())
    if _with_legacy_names(tags):
        stats.gauge(_legacy_name(name, tags), value)


def _legacy_name(name: str, tags: Tags) -> str:
    # A dot within a value would look like another level.
    values = [value.replace(".", "__") for value in tags.as_dict().values()]
    allowed = ["".join(each if each.isascii() and (each.isalnum() or each in "_-") else "_" for each in value)
               for value in values]  # fmt: skip
    return ".".join(["sms", *allowed, name])


def _with_legacy_names(tags: Tags) -> bool:
    return legacy_names_on() if tags.legacy is None else tags.legacy


def _stats(*, core: bool) -> Any:
    from airflow.providers.common.compat.sdk import Stats

    if not core:
        return Stats
    # The triggerer sets up the core's; the task SDK has one of its own, which is silent there.
    try:
        from airflow.observability.stats import Stats as CoreStats
    except ImportError:
        return Stats
    return CoreStats
