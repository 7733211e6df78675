"""
What a watcher has told, within one life of its trigger and beyond.

A trigger may die between landing and telling, what it tells a paused DAG starts no run, and two triggerers
may run it at once. So each life begins by telling again what landed shortly before the last one ended: a
wake-up too many costs a look at the tables, one too few costs a reply that nobody handles.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_sms.store.watches import Landed, Watches

if TYPE_CHECKING:
    from airflow_provider_sms.store.engine import Store

#: A paused DAG's trigger goes on for up to 15 s, a triggerer that stalls is replaced after some 20 s.
_AGAIN = timedelta(minutes=2)
#: Rows show up when their transaction commits, which is so much later at most.
_LATE = timedelta(seconds=30)
#: A watcher that never told anything begins with the last day.
_FIRST = timedelta(days=1)
_NOTE_EVERY = timedelta(seconds=30)


class Watch:
    """
    One life of a watcher.

    :param name: of the watcher, in the store.
    :param conn_id: the account it watches.
    :param queue: and its queue.
    """

    def __init__(self, name: str, conn_id: str, queue: str) -> None:
        self._name = name
        self._conn_id = conn_id
        self._queue = queue
        self._looked_at: datetime | None = None
        self._since = 0.0
        self._noted_at: datetime | None = None
        self._known: dict[str, int] = {}

    def look(self, store: Store) -> Landed:
        """
        Give what landed since the last look; what that one gave counts as told by now.

        :raises StoreUnavailable: nothing is forgotten by that.
        """
        watches = Watches(store)
        if self._looked_at is None:
            return self._first_look(store, watches)
        self._note(watches, self._looked_at)
        since, now = time.monotonic(), store.now()
        # Counted back from now as well: the server's clock may have been set back since the last look.
        then = min(self._looked_at, now - timedelta(seconds=since - self._since))
        found = watches.pages_since(self._conn_id, self._queue, then - _LATE)
        new = sorted(found.keys() - self._known.keys())
        self._known, self._looked_at, self._since = found, now, since
        if not new:
            return Landed()
        return Landed(len(new), sum(found[page_id] for page_id in new), new[0], new[-1])

    def _first_look(self, store: Store, watches: Watches) -> Landed:
        since, now = time.monotonic(), store.now()
        told = watches.told_until(self._name)
        # In this order: a page that lands between the two is told twice, not never.
        known = watches.pages_since(self._conn_id, self._queue, now - _LATE)
        landed = watches.landed_since(
            self._conn_id, self._queue, now - _FIRST if told is None else min(told, now) - _AGAIN
        )
        self._known, self._looked_at, self._since = known, now, since
        return landed

    def _note(self, watches: Watches, moment: datetime) -> None:
        # Also when it is an earlier one, by a clock that was set back.
        if self._noted_at is None or abs(moment - self._noted_at) >= _NOTE_EVERY:
            watches.tell_until(self._name, self._conn_id, self._queue, moment)
            self._noted_at = moment
