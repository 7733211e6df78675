"""What can be turned on the sandbox, with the documents' own figures as defaults."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal


@dataclass(frozen=True)
class Settings:
    """Everything that shapes the sandbox's answers; :class:`Sandbox` takes each of these as a keyword.

    The ``*_share`` settings are decided by the number alone (and ``seed``), so that a test can be repeated.

    :param report_delay: seconds from acceptance (or the scheduled time) to the delivery report
    :param failure_share: share (0..1) of the numbers whose message is reported as failed
    :param silent_share: share (0..1) of the numbers that never get a delivery report
    :param pending_share: share (0..1) of the numbers that wavecom reports once, with ``-1`` (wavecom §1.1.2)
    :param reply_share: share (0..1) of the numbers that answer, right after their delivery report
    :param reply_texts: what they answer, chosen by number
    :param seed: changes which numbers fail, stay silent or answer
    :param forbidden_words: words no vendor lets through
    :param balance: messages in the accounts of beidoutong, wavecom and linkws
    :param smsadmin_balance: money in the smsadmin account
    :param smsadmin_price: money per segment
    :param smsadmin_max_chars: longest message, in characters (smsadmin §2, code 7; the document prints
        ``XX``)
    :param smsadmin_max_numbers_get: numbers a GET submit may hold (smsadmin §2)
    :param smsadmin_max_numbers_post: numbers a POST submit, groups a ddt submit may hold (smsadmin §3, §4)
    :param smsadmin_poll_interval: seconds between two reads of one queue (§7, §8 ask for 5); 0 lets every
        read through, since the document names no refusal
    :param smsadmin_layout: ``document`` answers as printed (``0 发送成功!``), ``seen`` as the service has
        been seen to (``0发送成功!``, the balance on two lines)
    :param smsadmin_subcode: the last field (子码) of reports and replies
    :param smsadmin_refuses_repeated_linkid: the document forbids repeating a linkid but names no refusal,
        so by default a repeat is accepted and sent again
    :param ddt_value0: whether ``{value0}`` is the number itself or the first value after it (smsadmin §4)
    :param wavecom_ids: one SMSID per number (the text of §1.1.1), or one for the batch (the example of
        §1.1.2)
    :param wavecom_reply_form: ``text`` is ``id;number;content``, ``example`` is ``id,number;content``
        (§1.1.3)
    :param linkws_balance_interval: seconds between two balance queries (linkws, code -101)
    :param direct_reply_task_id: how beidoutong writes the TaskID of a reply to no message (§5.2)
    :param wsdl_address: service address printed in the WSDLs instead of the one they are served at
    :param idle_timeout: seconds after which an idle kept-alive connection is closed by the sandbox, None
        for never
    """

    report_delay: float = 0.0
    failure_share: float = 0.0
    silent_share: float = 0.0
    pending_share: float = 0.0
    reply_share: float = 0.0
    reply_texts: tuple[str, ...] = ("收到", "TD", "1")
    seed: int = 0
    forbidden_words: tuple[str, ...] = ("代开发票", "赌博")
    balance: int = 100_000
    smsadmin_balance: Decimal = Decimal("5000.00")
    smsadmin_price: Decimal = Decimal("0.05")
    smsadmin_max_chars: int = 500
    smsadmin_max_numbers_get: int = 100
    smsadmin_max_numbers_post: int = 1000
    smsadmin_poll_interval: float = 0.0
    smsadmin_layout: Literal["document", "seen"] = "document"
    smsadmin_subcode: str = "56666"
    smsadmin_refuses_repeated_linkid: bool = False
    ddt_value0: Literal["number", "first_value"] = "number"
    wavecom_ids: Literal["each", "batch"] = "each"
    wavecom_reply_form: Literal["text", "example"] = "text"
    linkws_balance_interval: float = 30.0
    direct_reply_task_id: Literal["empty", "zero", "nil", "absent"] = "empty"
    wsdl_address: str | None = None
    idle_timeout: float | None = None
