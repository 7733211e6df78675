"""Lanes that send: one account, its ledger, and tasks that are tried again as Airflow tries them."""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lanes import EMPTY, Lane

if TYPE_CHECKING:
    from collections.abc import Callable

#: Vendor, what its connection has, numbers of a submit.
VENDORS: tuple[tuple[str, dict[str, Any], int], ...] = (
    ("beidoutong", {}, 1000),
    ("wavecom", {}, 100),
    ("linkws", {}, 500),
    # By GET, which takes fewer numbers: more submits, and each as likely to go wrong.
    ("smsadmin", {"method": "get"}, 100),
)
DONE, AGAIN, FOR_GOOD = 0, 3, 6
_CLAIM_SECONDS = 0.5
_TIMEOUT = 2
_LONGEST_NAP = 0.05


@dataclass(frozen=True)
class Campaign:
    """One send: its key, its text, to whom."""

    key: str
    text: str
    people: tuple[str, ...]


class SendingLane(Lane):
    """An account that sends."""

    def sender(
        self, campaign: Campaign, around: Callable[[], Any] | None = None, *, connections: int = 1
    ) -> Callable[[], int]:
        """
        Give what a child does to try a send once.

        :param around: makes a context manager in which the send runs.
        :param connections: submits in flight at once.
        """
        extra = {"timeout": _TIMEOUT, "max_in_flight": connections} | self.extra
        fields = self.sandbox("connection", self.vendor, **extra)

        def work() -> int:
            from airflow_provider_sms import errors

            try:
                if around is None:
                    self._send(campaign, fields)
                else:
                    with around():
                        self._send(campaign, fields)
            except errors.SmsError as error:
                logging.getLogger("torture").warning("%s", error)
                # What the operator turns into AirflowFailException.
                return FOR_GOOD if error.terminal else AGAIN
            return DONE

        return work

    def _send(self, campaign: Campaign, fields: dict[str, Any]) -> None:
        from airflow_provider_sms import recipients, submitting
        from airflow_provider_sms.gateway import Gateway
        from airflow_provider_sms.sending import Origin, SendOrder, send

        # The claims of a dead one would hold for the longest submit and a margin.
        submitting.CLAIM_MARGIN = _CLAIM_SECONDS - _TIMEOUT
        vendor, account, store = self.checked(fields)
        order = SendOrder(
            campaign.key, content=campaign.text, origin=Origin("torture", campaign.key, "run", -1)
        )
        with Gateway(vendor, account) as gateway:
            send(
                gateway,
                store,
                order,
                lambda: recipients.from_values(list(campaign.people)),
                log=logging.getLogger("torture"),
                sleep=lambda seconds: time.sleep(min(seconds, _LONGEST_NAP)),
            )

    def states(self, campaign: Campaign) -> Counter[str]:
        """Count a send's batches by state."""
        states = "SELECT state, count(*) FROM sms_batches WHERE send_key = '{}' GROUP BY state"
        return Counter(dict(self.rows_if_any(states.format(campaign.key))))

    def tell(self) -> Ledgered:
        """Compare the ledger with what the vendor accepted, from whomever."""
        batches = self.rows("SELECT state, recipients, accepted_count FROM sms_batches")
        states = Counter(state for state, _, _ in batches)
        numbers: Counter[str] = Counter()
        for state, recipients, accepted in batches:
            numbers[state] += recipients if accepted is None else accepted
        messages = self.sandbox("count_messages", self.vendor)
        twice = self.sandbox("accepted_more_than_once")
        return Ledgered(
            batches=len(batches),
            final=sum(states[state] for state in ("accepted", "rejected", "not_sent", "unknown")),
            unknown=states["unknown"],
            accepted=numbers["accepted"],
            messages=messages,
            twice=sum(times - 1 for (vendor, *_), times in twice.items() if vendor == self.vendor),
            missing=max(0, numbers["accepted"] - messages),
            unasked=max(0, messages - numbers["accepted"] - numbers["unknown"]),
        )

    def warm_up(self) -> None:
        """Send once here, so that children find everything imported."""
        assert self.sender(Campaign("warm-up", "预热【公司】", ("13900000000",)))() == EMPTY
        self.checked(self.connection())[2].close()


@dataclass
class Ledgered:
    """
    What the ledger says beside what the vendor says.

    :param final: batches in one of the four final states.
    :param accepted: numbers of accepted batches.
    :param messages: what the vendor accepted.
    :param twice: messages that were a second copy.
    :param missing: numbers that the ledger has as accepted, and the vendor has not.
    :param unasked: messages of batches that the ledger has neither as accepted nor as unknown.
    """

    batches: int = 0
    final: int = 0
    unknown: int = 0
    accepted: int = 0
    messages: int = 0
    twice: int = 0
    missing: int = 0
    unasked: int = 0

    def __add__(self, other: Ledgered) -> Ledgered:
        """Add up two lanes."""
        return Ledgered(**{name: value + vars(other)[name] for name, value in vars(self).items()})
