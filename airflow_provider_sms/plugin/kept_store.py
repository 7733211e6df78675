"""
The store that pushes go to, kept as it was opened last.

To open it, its connection is looked up in Airflow's database, which may hang; pushes must not wait for that,
one after the other. So the look-up is made now and then, in a thread of its own, for whoever comes first.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from airflow_provider_sms.errors import SmsError, StoreUnavailable

if TYPE_CHECKING:
    from airflow_provider_sms.store.engine import Store

KeptT = TypeVar("KeptT")

#: A changed connection (a new token, for one) takes effect within this many seconds.
FRESH_SECONDS = 30.0
#: With Airflow's database away its connections cannot be looked up; for so long the last known ones do. One
#: that is found and wrong is used no longer.
STALE_SECONDS = 600.0
#: A look-up that failed is tried again after this many seconds.
RETRY_SECONDS = 2.0
#: So long a push waits for a look-up.
LOOK_UP_SECONDS = 5.0


class Known(NamedTuple, Generic[KeptT]):
    """
    What the last look-up gave, by the monotonic clock.

    :param what: ``None`` if nothing that could be used.
    :param good_until: from then on it is not trusted any more.
    :param look_up_at: from then on it is looked up again.
    """

    what: KeptT | None = None
    good_until: float = float("-inf")
    look_up_at: float = float("-inf")

    def at(self, now: float) -> KeptT | None:
        """Give it if it may be used then."""
        return self.what if now < self.good_until else None


class KeptStore:
    """
    The store of the default connection; may be used by several threads.

    :param log: a logger.
    """

    def __init__(self, log: Any) -> None:
        self._log = log
        self._known: Known[Store] = Known()
        self._under_way: Future[Store] | None = None
        self._began = 0.0
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sms-push-store")

    def opened(self) -> Store:
        """
        Give the store; blocks for :data:`LOOK_UP_SECONDS` now and then.

        :raises PreflightError: its connection is wrong.
        :raises StoreUnavailable: it does not answer, or its connection could not be looked up for too long.
        """
        now = time.monotonic()
        if now < self._known.look_up_at and (store := self._known.at(now)) is not None:
            return store
        work, is_new = self._looking_up()
        known = self._known.at(now)
        if not is_new and known is not None:
            return known
        try:
            # Whoever comes later waits for what is left, and not at all behind a look-up that hangs.
            return work.result(max(0.0, self._began + LOOK_UP_SECONDS - time.monotonic()))
        except TimeoutError:
            self._log.error("to open the SMS store takes longer than %g s", LOOK_UP_SECONDS)
        if (known := self._known.at(time.monotonic())) is not None:
            return known
        # Either may hang, and which of them does is seen by who looks at both.
        msg = (
            "the SMS store cannot be opened: its own database does not answer, or Airflow's does not, "
            "which is asked for its connection"
        )
        raise StoreUnavailable(msg)

    def _looking_up(self) -> tuple[Future[Store], bool]:
        with self._lock:
            if self._under_way is not None:
                return self._under_way, False
            self._began = time.monotonic()
            self._under_way = self._thread.submit(self._renewed)
            return self._under_way, True

    def _renewed(self) -> Store:
        from airflow_provider_sms.hooks.store import open_store

        known = self._known
        try:
            store = open_store()
        except SmsError:
            # What was found is no store that can be used, and the former one is not it any more.
            known = Known()
            raise
        except Exception as error:  # noqa: BLE001 - a secrets backend may raise anything
            # Not logged with its text or traceback: errors of databases hold addresses and values.
            self._log.error("the store's connection cannot be looked up now: %s", type(error).__name__)
            now = time.monotonic()
            known = known._replace(look_up_at=now + RETRY_SECONDS)
            if (former := known.at(now)) is not None:
                return former
            msg = f"the connection of the SMS store cannot be looked up ({type(error).__name__})"
            raise StoreUnavailable(msg) from None
        else:
            now = time.monotonic()
            known = Known(store, now + STALE_SECONDS, now + FRESH_SECONDS)
            return store
        finally:
            with self._lock:
                self._known = known
                self._under_way = None
