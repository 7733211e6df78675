"""
What an answer to a submit means: for the ledger, for the batch, and for those behind it.

Surely not sent and "busy" are tried again with a growing pause, a few times; unknown is left alone. A no
that would meet every other batch as well ends the pass, and so does what makes one batch after the other
unknown. A submit that came to nothing proves nothing of the one before it: what may have been accepted before
stays unknown.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_sms import errors
from airflow_provider_sms.records import BatchState
from airflow_provider_sms.store.plans import Outcome

if TYPE_CHECKING:
    import logging
    from collections.abc import Sequence

    from airflow_provider_sms.lanes import Answer, Claimed
    from airflow_provider_sms.records import Receipt

#: Seconds that a pass waits at most when the vendor asks for it; a longer wait is Airflow's to keep.
_LONGEST_WAIT = 60.0
#: Unknown outcomes in a row after which a pass leaves the rest unsent, which a retry then gets.
_UNKNOWN_IN_A_ROW = 3
#: Answers of so many submits may come in another order than the vendor's.
_ANSWERS_AT_ONCE = 16


class Told(NamedTuple):
    """
    What an answer to a submit said is left on the account.

    :param at: when, by this process's monotonic clock.
    :param seconds: how long the submit took.
    """

    at: float
    seconds: float
    remaining: int


class Judge:
    """
    The judge of one pass.

    Afterwards ``first_refusal`` is the vendor's first no (one that concerns all batches, if there is such a
    one), ``last_failure`` the last other failure,
    ``misdirected`` says whether something answered that is not the vendor, ``mistake`` is a failure that is
    our own or the codec's. Nothing more is to be started when ``stopped`` says why, nor before
    ``not_before`` (by the monotonic clock).

    :param one_text: whether all batches carry the same text, so that a refused text ends the pass.
    :param pauses: seconds before the second try of a batch, the third, and so on.
    :param log: a logger.
    """

    def __init__(self, *, one_text: bool, pauses: Sequence[float], log: logging.Logger | Any) -> None:
        self._one_text = one_text
        self._pauses = pauses
        self._log = log
        self._tries: dict[int, int] = {}
        self._unknown_in_a_row = 0
        self._refused_all = False
        self.first_refusal: errors.VendorRejected | None = None
        self.last_failure: errors.SmsError | None = None
        self.mistake: BaseException | None = None
        self.misdirected = False
        self.stopped = ""
        self.not_before = 0.0
        self._told: deque[Told] = deque(maxlen=_ANSWERS_AT_ONCE)

    @property
    def remaining(self) -> Told | None:
        """What the vendor's last yes said is left on the account, where it does."""
        if not self._told:
            return None
        # Answers of submits under way together come in any order; the least is the last.
        last = self._told[-1]
        together = [told for told in self._told if told.at >= last.at - last.seconds]
        return last._replace(remaining=min(told.remaining for told in together))

    def judge(self, answer: Answer) -> tuple[Outcome, bool]:
        """Give what to write down, and whether to submit the batch again in this pass."""
        match answer.failure:
            case None if answer.receipt is not None:
                return self._yes(answer, answer.receipt)
            case errors.VendorRejected() as refusal:
                return self._refusal(answer, refusal), False
            case errors.VendorBusy() as failure:
                outcome = _no(answer, BatchState.NOT_SENT, failure, code=failure.code)
                return outcome, self._again(answer, failure)
            case errors.SubmitNotSent() as failure:
                return _no(answer, BatchState.NOT_SENT, failure), self._again(answer, failure)
            case errors.SubmitUnknown() as failure:
                self._unknown(answer, failure)
                return _no(answer, BatchState.UNKNOWN, failure), False
            case mistake:
                return self._mistake(answer, mistake), False

    def _yes(self, answer: Answer, receipt: Receipt) -> tuple[Outcome, bool]:
        batch, taken = answer.claimed.batch, receipt.accepted
        where = f"connection {batch.conn_id!r} ({batch.vendor})"
        took_none = taken is not None and taken <= 0
        if took_none and (receipt.message_ids or receipt.vendor_batch_id):
            return self._contradiction(answer, receipt, where), False
        self._unknown_in_a_row = 0
        if receipt.remaining is not None:
            self._told.append(Told(time.monotonic(), answer.seconds, receipt.remaining))
        if took_none:
            none = errors.VendorRejected(
                f"{where}: the vendor took none of the batch's numbers.", receipt.code
            )
            self.first_refusal = self.first_refusal or none
            return _no(answer, BatchState.REJECTED, none, code=receipt.code, text=receipt.text), False
        if taken is not None and taken < batch.recipients:
            self._log.warning(
                "batch %d: the vendor took %d of %d numbers and does not say which it refused",
                batch.batch_no, taken, batch.recipients,
            )  # fmt: skip
        outcome = Outcome(
            batch.batch_no,
            BatchState.ACCEPTED,
            reference=answer.claimed.submission.reference,
            vendor_code=receipt.code,
            vendor_text=receipt.text,
            vendor_batch_id=receipt.vendor_batch_id,
            message_ids=receipt.message_ids,
            accepted_count=taken,
        )
        return outcome, False

    def _contradiction(self, answer: Answer, receipt: Receipt, where: str) -> Outcome:
        """Leave open a yes with an id that took nobody: the reports under the id tell, so it is kept."""
        failure = errors.SubmitUnknown(f"{where}: the vendor gave the batch an id and says that it took none")
        self._unknown(answer, failure)
        outcome = _no(answer, BatchState.UNKNOWN, failure, code=receipt.code, text=receipt.text)
        return replace(outcome, vendor_batch_id=receipt.vendor_batch_id, message_ids=receipt.message_ids)

    def _refusal(self, answer: Answer, refusal: errors.VendorRejected) -> Outcome:
        # One text the vendor will not have says nothing about the next one; everything else does.
        concerns_all = not isinstance(refusal, errors.ContentRejected) or self._one_text
        if self.first_refusal is None or (concerns_all and not self._refused_all):
            self.first_refusal = refusal
        if concerns_all:
            self.stopped = "the vendor said no"
            self._refused_all = True
        return _no(answer, BatchState.REJECTED, refusal, code=refusal.code)

    def _mistake(self, answer: Answer, mistake: BaseException | None) -> Outcome:
        self.mistake = self.mistake or mistake
        if isinstance(mistake, errors.PreflightError):
            # The codec refused to make a request of it.
            return _no(answer, BatchState.NOT_SENT, mistake)
        # Nothing proves that it was not sent.
        return _no(answer, BatchState.UNKNOWN, f"our own mistake: {type(mistake).__name__}")

    def _unknown(self, answer: Answer, failure: errors.SubmitUnknown) -> None:
        """Tell of an unknown outcome; stop where the next ones would only be unknown as well."""
        self._log.error("batch %d: %s. Its outcome is not known", answer.claimed.batch.batch_no, failure)
        self.last_failure = failure
        self._unknown_in_a_row += 1
        # This one is left alone; the others wait as long as the server asked.
        self._rest(failure.retry_after or 0.0)
        if failure.misdirected:
            self.misdirected = True
            self.stopped = "what answers is not the vendor's service"
        elif self._unknown_in_a_row >= _UNKNOWN_IN_A_ROW:
            self.stopped = f"the outcome of {self._unknown_in_a_row} submits in a row is not known"

    def _again(self, answer: Answer, failure: errors.SmsError) -> bool:
        """Wait before another try of a batch; give up for this pass after so many."""
        self.last_failure = failure
        number = answer.claimed.batch.batch_no
        tries = self._tries[number] = self._tries.get(number, 0) + 1
        if tries > len(self._pauses):
            self.stopped = f"batch {number} failed {tries} times"
            return False
        asked = failure.retry_after if isinstance(failure, errors.VendorBusy) else None
        pause = asked if asked is not None else self._pauses[tries - 1]
        self._rest(pause)
        if not self.stopped:
            why = str(failure).removesuffix(".")
            self._log.warning("batch %d: %s; trying again in %.0f s", number, why, pause)
        return not self.stopped

    def _rest(self, seconds: float) -> None:
        """Start nothing for so long; a pass that would have to wait too long ends instead."""
        self.not_before = max(self.not_before, time.monotonic() + seconds)
        if seconds > _LONGEST_WAIT:
            self.stopped = f"the vendor asked to be left alone for {seconds:.0f} s"


def given_back(claimed: Claimed) -> Outcome:
    """Give what to write down of a batch that was claimed and not begun with."""
    return _came_to_nothing(
        claimed, BatchState.NOT_SENT, "claimed and given back before anything was submitted"
    )


def _no(
    answer: Answer, state: BatchState, why: Exception | str, *, code: str = "", text: str = ""
) -> Outcome:
    return _came_to_nothing(answer.claimed, state, why, code=code, text=text)


def _came_to_nothing(
    claimed: Claimed, state: BatchState, why: Exception | str, *, code: str = "", text: str = ""
) -> Outcome:
    # A submit before this one may have been accepted: that this one was not is no proof against it.
    in_doubt = claimed.batch.state is BatchState.UNKNOWN and state is not BatchState.UNKNOWN
    return Outcome(
        claimed.batch.batch_no,
        BatchState.UNKNOWN if in_doubt else state,
        reference=claimed.submission.reference,
        vendor_code=code,
        vendor_text=text,
        error=f"an earlier submit may have been accepted; the last one: {why}" if in_doubt else str(why),
    )
