"""
Every error this package raises on purpose.

The tree answers the two questions that a scheduler has to ask about a failure: may it be tried
again, and did anything leave the house?

::

    SmsError
    ├─ PreflightError            terminal; lists every problem; nothing was sent or read
    ├─ VendorRejected            terminal; the vendor said no
    │  ├─ AuthenticationFailed
    │  ├─ InsufficientBalance
    │  ├─ ContentRejected        (words)
    │  ├─ NotAllowed
    │  └─ NotSupported
    ├─ VendorBusy                transient; the vendor said "later"
    ├─ VendorUnreachable         transient; a balance or word check got no answer
    ├─ SubmitNotSent             transient; surely not sent
    ├─ SubmitUnknown             never retried by us
    ├─ WireFormatError           the answer breaks the vendor's own format
    ├─ QueueBusy                 somebody else reads this queue
    └─ StoreUnavailable          nothing was read, or what was read is in the spool

No error carries a password, a message text or a whole phone number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence


class SmsError(Exception):
    """
    The root of all errors of this package.

    ``terminal`` says whether trying again with the same input can only fail again (or, for
    :class:`SubmitUnknown`, would risk a second copy of a message).
    """

    terminal: ClassVar[bool] = False


class PreflightError(SmsError):
    """
    The input cannot be used; nothing was sent and nothing was read, unless the text counts what was.

    :param problems: every problem found, one sentence each, each saying what to do.
    :param where: what was checked, for the first line: ``"connection 'sms_main'"``.
    :param outcome: what was sent or read all the same, for the first line.
    """

    terminal = True

    def __init__(
        self, problems: Sequence[str], where: str = "", outcome: str = "nothing was sent or read"
    ) -> None:
        self.problems = tuple(problems)
        self.where = where
        self.outcome = outcome
        head = f"{where}: " if where else ""
        count = len(self.problems)
        noun = "1 problem" if count == 1 else f"{count} problems"
        lines = "".join(f"\n  - {problem}" for problem in self.problems)
        super().__init__(f"{head}{noun}; {outcome}:{lines}")

    def __reduce__(self) -> tuple[type[PreflightError], tuple[Sequence[str], str, str]]:
        """Come out of a pickle as it went in: the text alone does not make one."""
        return type(self), (self.problems, self.where, self.outcome)


class VendorRejected(SmsError):
    """
    The vendor understood the request and refused it.

    :param message: what happened, and what to do next.
    :param code: the vendor's own code, as text (``"-9"``).
    """

    terminal = True

    def __init__(self, message: str = "", code: str = "") -> None:
        self.code = code
        super().__init__(message)


class AuthenticationFailed(VendorRejected):
    """The vendor does not accept the account or its password."""


class InsufficientBalance(VendorRejected):
    """The account cannot pay for the messages of this batch."""


class ContentRejected(VendorRejected):
    """
    The vendor refuses the text.

    :param words: the forbidden words the vendor named; they are part of a message, so they are
        kept out of the error's text.
    """

    def __init__(self, message: str = "", code: str = "", words: Sequence[str] = ()) -> None:
        self.words = tuple(words)
        super().__init__(message, code)


class NotAllowed(VendorRejected):
    """The account is locked, frozen, blacklisted, or calls from an address the vendor does not know."""


class NotSupported(VendorRejected):
    """The vendor has no such operation, or this connection's protocol has none."""


class VendorBusy(SmsError):
    """
    The vendor refused for now and did nothing.

    :param retry_after: seconds to wait before the next attempt, as far as known.
    """

    def __init__(self, message: str = "", code: str = "", retry_after: float | None = None) -> None:
        self.code = code
        self.retry_after = retry_after
        super().__init__(message)


class VendorUnreachable(SmsError):
    """A call that changes nothing (balance, word check, a look-up) got no usable answer; try again."""


class SubmitNotSent(SmsError):
    """The submit surely never reached the vendor (connection refused, no connection in time)."""


class SubmitUnknown(SmsError):
    """
    The vendor may or may not have accepted the submit.

    Sending again could reach people twice, so nothing does it on its own.

    :param message: what happened, and what to do next.
    :param misdirected: whether the answer shows that the address is not the vendor's service, so that
        further submits can only end the same way.
    :param retry_after: seconds for which the server asked to be left alone; for other submits than this one.
    """

    terminal = True

    def __init__(
        self, message: str = "", *, misdirected: bool = False, retry_after: float | None = None
    ) -> None:
        self.misdirected = misdirected
        self.retry_after = retry_after
        super().__init__(message)


class WireFormatError(SmsError):
    """
    The answer breaks the vendor's own format.

    The text names what was expected and where the answer differs, never the answer itself.
    """


class QueueBusy(SmsError):
    """
    Another worker holds the lease of this queue.

    :param owner: who holds it (host, process).
    """

    def __init__(self, message: str = "", owner: str = "") -> None:
        self.owner = owner
        super().__init__(message)


class StoreUnavailable(SmsError):
    """
    The store cannot be written. The text says whether anything was read, and where that is now.

    ``deadlocked`` is true when the database surely took the transaction back because others were in its way:
    the same one may be tried again at once. ``refused`` is the kind of the error when the database is there
    and refused what it was given; ``""`` when it is away, full, read-only, or others were in the way.
    """

    deadlocked: bool = False
    refused: str = ""
