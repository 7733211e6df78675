"""
Outcomes that this process knows and the ledger does not have yet: the only place where they are.

In the ordinary way they go into the ledger together with the next claims. Here is the way out, when the
store, or the run itself, is about to go: one by one, again after a pause, and at last into the log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Iterator

    from airflow_provider_sms.store.ledger import Ledger
    from airflow_provider_sms.store.plans import Outcome

#: Where nobody waits with a SIGKILL: pauses before what could not be written down is tried again.
_PAUSES = (1.0, 2.0, 4.0)


class Unwritten:
    """
    The outcomes of one send's submits that are still to be written down.

    :param ledger: where they belong.
    :param send_key: which send.
    :param owner: who claimed the batches.
    :param log: a logger.
    """

    def __init__(self, ledger: Ledger, send_key: str, owner: str, log: logging.Logger | Any) -> None:
        self._ledger = ledger
        self._send_key = send_key
        self._owner = owner
        self._log = log
        self._outcomes: list[Outcome] = []
        self._why = ""

    def __iter__(self) -> Iterator[Outcome]:
        """Give them in the order in which they came."""
        return iter(self._outcomes)

    def __len__(self) -> int:
        """Count them."""
        return len(self._outcomes)

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Keep outcomes, each of another batch."""
        self._outcomes += outcomes

    def clear(self) -> None:
        """Forget them all: the ledger has them."""
        self._outcomes = []

    def write_each(self) -> None:
        """Write them one by one: that one cannot be written must not cost the others theirs."""
        left = []
        for outcome in self._outcomes:
            try:
                self._ledger.settle_many(self._send_key, [outcome], self._owner)
            except Exception as failure:  # noqa: BLE001 - what ends the run is the one to show
                left.append(outcome)
                self._why = type(failure).__name__
        self._outcomes = left

    def write_patiently(self, sleep: Callable[[float], None]) -> None:
        """Try again what could not be written, as long as a store takes to come back from a restart."""
        for pause in _PAUSES:
            if not self._outcomes:
                break
            sleep(pause)
            self.write_each()

    def tell(self) -> None:
        """Tell those that the store did not take: the log is the only place that has them now."""
        for outcome in self._outcomes:
            self._log.error(
                "batch %d: its outcome could not be written down (%s): it is %s, vendor's code %r, "
                "vendor's id %r, our reference %s",
                outcome.batch_no, self._why, outcome.state, outcome.vendor_code,
                outcome.vendor_batch_id or ",".join(outcome.message_ids[:1]), outcome.reference,
            )  # fmt: skip
