"""One vendor's inside: takes paid messages, and puts the reports and replies they cause into its queues."""

from __future__ import annotations

import hashlib
import itertools
import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_sms.sandbox import clock
from airflow_provider_sms.sandbox.messages import Message, MessageLog, Submission
from airflow_provider_sms.sandbox.queues import ReadOnceQueue, Reply, Report, Status

if TYPE_CHECKING:
    from airflow_provider_sms.sandbox.accounts import Account
    from airflow_provider_sms.sandbox.settings import Settings

_FAILURES = ("UNDELIV", "DTBLACK", "EXPIRED", "REJECTD", "MK:0001")
_FIRST_ID = 6_408_650
_FIRST_REPLY_ID = 133


def chance(number: str, what: str, seed: int) -> float:
    """Return a figure in 0..1 that depends on nothing but its arguments.

    :param number: a phone number
    :param what: what is being decided, so that one number's fates are independent
    :param seed: the sandbox's seed
    """
    digest = hashlib.blake2b(f"{seed}:{what}:{number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


class Exchange:
    """The account, messages and queues of one vendor.

    :param account: who pays
    :param settings: shares and delays
    """

    def __init__(self, account: Account, settings: Settings) -> None:
        """Open with empty queues."""
        self.account = account
        self.settings = settings
        self.messages = MessageLog()
        self.reports: ReadOnceQueue[Report] = ReadOnceQueue()
        self.replies: ReadOnceQueue[Reply] = ReadOnceQueue()
        self._lock = threading.Lock()
        self._ids = itertools.count(_FIRST_ID)
        self._reply_ids = itertools.count(_FIRST_REPLY_ID)

    def next_id(self) -> str:
        """Return a fresh TaskID, SMSID or batch number."""
        return str(next(self._ids))

    def next_reply_id(self) -> str:
        """Return a fresh number for a reply (wavecom §1.1.3)."""
        return str(next(self._reply_ids))

    def submit(self, submission: Submission) -> bool:
        """Take the cost from the balance and send; False, and nothing done, if the balance is too low.

        :param submission: a submit that passed the vendor's checks
        """
        with self._lock:
            cost = submission.cost(self.account.price)
            if cost > self.account.balance:
                return False
            self.account.balance -= cost
        messages = submission.messages(self.account.vendor)
        self.messages.remember(messages)
        self._carry(messages, submission.due + timedelta(seconds=self.settings.report_delay))
        return True

    def forbidden(self, content: str) -> list[str]:
        """Return the forbidden words a text holds.

        :param content: the text
        """
        return [word for word in self.settings.forbidden_words if word in content]

    def _carry(self, messages: list[Message], due: datetime) -> None:
        settings, time = self.settings, clock.dashed(due)
        told = [each for each in messages if not self._fated(each, "silent", settings.silent_share)]
        self.reports.put([self._report(message, time) for message in told], due)
        answered = [each for each in messages if self._fated(each, "reply", settings.reply_share)]
        self.replies.put([self._reply(message, time) for message in answered], due)

    def _report(self, message: Message, time: str) -> Report:
        status: Status = "delivered"
        error_code = "DELIVRD"
        if message.vendor == "wavecom" and self._fated(message, "pending", self.settings.pending_share):
            status = "pending"
        elif self._fated(message, "failure", self.settings.failure_share):
            status = "failed"
            error_code = _FAILURES[int(self._chance(message, "code") * len(_FAILURES))]
        return Report(message.mobile, message.message_id, status, error_code, self._extno(message), time)

    def _reply(self, message: Message, time: str) -> Reply:
        texts = self.settings.reply_texts
        content = texts[int(self._chance(message, "text") * len(texts))]
        return Reply(
            message.mobile, content, self.next_reply_id(), message.message_id, self._extno(message), time
        )

    def _extno(self, message: Message) -> str:
        return self.settings.smsadmin_subcode if message.vendor == "smsadmin" else message.extno

    def _chance(self, message: Message, what: str) -> float:
        return chance(message.mobile, what, self.settings.seed)

    def _fated(self, message: Message, what: str, share: float) -> bool:
        return share > 0 and self._chance(message, what) < share
