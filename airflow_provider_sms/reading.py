"""
One destructive read: its intent, the call, and the commit of whatever came.

Nothing looks at the bytes here. Signals are held back from the intent to the raw commit, and only there.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_sms import errors
from airflow_provider_sms.records import Queue
from airflow_provider_sms.signals import done_despite_a_stop, held_signals
from airflow_provider_sms.store.ids import new_id
from airflow_provider_sms.store.journal import Journal
from airflow_provider_sms.store.reserve import Reserve
from airflow_provider_sms.store.spool import Spool, SpooledPage
from airflow_provider_sms.store.standby import Standby

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from airflow_provider_sms.gateway import Gateway
    from airflow_provider_sms.store.engine import Store
    from airflow_provider_sms.wire import WireRequest, WireResponse

#: A page with less than this share of the bytes of the one before is most often the queue's last.
_LAST_PAGE_SHARE = 0.5
#: Bytes that a record of a queue has at most as a rule, and what else a page and its file have.
_BYTES_A_RECORD = {Queue.REPORTS: 1 << 10, Queue.REPLIES: 2 << 10}
_BYTES_BESIDES = 128 << 10


class Read(NamedTuple):
    """
    What came of one read.

    :param response: what is stored of it; ``None`` when there was no answer.
    :param problem: why there was none.
    :param lost: whether the vendor may have handed over what never came.
    """

    page_id: str
    response: WireResponse | None
    problem: str = ""
    lost: bool = False


class Reader:
    """
    Takes pages off one queue of one account; the caller holds the queue's lease.

    With one page's bytes, the same commit may write down that the next read is about to happen: of a long
    queue each page costs one commit. An intent that is not used is withdrawn: by :meth:`withdraw`, which the
    caller calls at the end, whatever happened.

    :param gateway: the account's calls.
    :param store: where the journal is.
    :param queue: which queue.
    :param owner: who reads, for others to see.
    """

    def __init__(self, gateway: Gateway, store: Store, queue: Queue, owner: str) -> None:
        self._gateway = gateway
        self._queue = queue
        self._owner = owner
        self._journal = Journal(store)
        self._room = 0
        self._reserve = Reserve(store.spool_dir, gateway.account.conn_id, queue.value)
        self._spool = Spool(store.spool_dir, self._reserve)
        self._standby = Standby(self._spool)
        self._ahead = ""
        self._length_before = 0

    def read(
        self, request: WireRequest, before: Callable[[], None] | None = None, *, expect_more: bool = False
    ) -> Read:
        """
        Take one page off the vendor's queue and put its bytes on disk.

        :param before: what else is to be written down between the intent and the call.
        :param expect_more: whether the caller means to read another page at once.
        :raises StoreUnavailable: nothing was read, or what was read is in the spool.
        """
        from airflow_provider_sms.transport.failures import NoAnswer

        account, vendor = self._gateway.account, self._gateway.vendor
        self._make_room()
        # From the intent on: one that a signal left without its read would be a suspect page.
        with held_signals() as arrived:
            # Until the vendor is asked, the intent can be taken back, and is if anything goes wrong.
            if not self._ahead:
                self._ahead = new_id()
                self._journal.begin(
                    account.conn_id, vendor.name, self._queue.value, self._owner, page_id=self._ahead
                )
            if before is not None:
                before()
            page_id, self._ahead = self._ahead, ""
            try:
                response = self._gateway.read(request)
            except NoAnswer as failure:
                return Read(page_id, None, failure.reason, lost=not failure.surely_not_sent)
            length = len(response.body)
            if expect_more and not arrived and length > _LAST_PAGE_SHARE * self._length_before:
                # Known before the commit: should the commit's answer be lost, it is withdrawn as well.
                self._ahead = new_id()
            self._length_before = length
            # Should it be larger than any before, the next one needs more room still.
            self._room = max(self._room, length + length // 4 + _BYTES_BESIDES)
            self._keep(page_id, response, arrived)
        return Read(page_id, response)

    def close(self) -> None:
        """Read no more: take back what was announced, and let the thread go that stood by."""
        try:
            self._withdraw()
        finally:
            self._standby.close()

    def _make_room(self) -> None:
        """
        Have room in the spool for the page, should the store not take it.

        :raises StoreUnavailable: there is none.
        """
        self._room = self._room or self._most * _BYTES_A_RECORD[self._queue] + _BYTES_BESIDES
        try:
            self._reserve.hold(self._room)
        except OSError as error:
            reason = error.strerror
        else:
            return
        msg = (
            f"nothing was read: should the store not take a page, the spool must, and {self._room:,} bytes "
            f"cannot be kept free in {self._spool.directory} ({reason}). Make room on that disk, let "
            "Airflow's user write there, or set [sms] spool_dir"
        )
        raise errors.StoreUnavailable(msg)

    @property
    def _most(self) -> int:
        """How many records a page may have."""
        return self._gateway.vendor.page_size(self._gateway.account, self._queue)

    def _withdraw(self) -> None:
        """Take back the intent of a read that will not happen; if the store is away, it turns suspect."""
        if self._ahead:
            page_id, self._ahead = self._ahead, ""
            with suppress(errors.StoreUnavailable):
                done_despite_a_stop(lambda: self._journal.withdraw(page_id))

    def _keep(self, page_id: str, response: WireResponse, signals: Sequence[int]) -> None:
        page = SpooledPage(
            page_id=page_id,
            conn_id=self._gateway.account.conn_id,
            vendor=self._gateway.vendor.name,
            queue=self._queue.value,
            body=response.body,
            status=response.status,
            complete=response.complete,
            problem=response.problem,
        )
        path = None
        try:
            self._standby.begin(page, signals)
            try:
                self._journal.keep(
                    page_id,
                    page.body,
                    complete=page.complete,
                    status=page.status,
                    problem=page.problem,
                    ahead=self._ahead,
                )
            finally:
                path = self._standby.end()
        except Exception as failure:  # noqa: BLE001 - whatever a driver raises, these bytes are the only copy
            reason = failure if isinstance(failure, errors.SmsError) else type(failure).__name__
            path = path or self._put_aside(page, str(reason))
            msg = (
                f"the store did not take a page that was read ({reason}). The page's "
                f"{len(response.body):,} bytes are safe in the spool as {path}; the next run lands it"
            )
            raise errors.StoreUnavailable(msg) from None
        if path is not None:
            self._spool.remove(page)

    def _put_aside(self, page: SpooledPage, reason: str) -> Path:
        try:
            return self._spool.put(page)
        except errors.StoreUnavailable as refusal:
            told = str(refusal)
        self._reserve.demand(self._room)
        msg = (
            f"{told}; {reason}. Up to {self._most} records are lost, as the vendor has deleted them: the "
            "page becomes suspect, see 'airflow sms pages'. Make room for the store and in "
            f"{self._spool.directory}: nothing more is read before {self._room:,} bytes fit there"
        )
        raise errors.StoreUnavailable(msg) from None
