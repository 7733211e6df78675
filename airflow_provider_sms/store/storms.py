"""
The storm guard: a thousand failing tasks must not be a thousand messages on one person's phone.

Two rules per connection and number, both counted in the store, so that they hold across processes: the
same text once per window, and so many texts of any kind per hour. What is held back is counted, and the
next message that goes out takes the count along. Texts are known by their digest only.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import exc, select

from airflow_provider_sms.store.clock import Elapsed, ServerTime
from airflow_provider_sms.store.schema import storms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Row
    from sqlalchemy.engine import Connection

    from airflow_provider_sms.store.engine import Store

_ALL_TEXTS = "*"
_HOUR = 3600.0


class Held(NamedTuple):
    """
    What was held back since the last message that a number got.

    :param same: messages of the same text.
    :param other: messages of any text, held back by the hourly limit.
    """

    same: int = 0
    other: int = 0


@dataclass(frozen=True, slots=True)
class Admitted:
    """
    Who may be told.

    :param held: per number that may be told, what it missed.
    :param suppressed: how many numbers may not.
    """

    held: dict[str, Held]
    suppressed: int


def digest_of(text: str) -> str:
    """Name a text by which it is known again and cannot be read."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Storms:
    """
    The storm guard of one connection.

    :param store: where it counts. Every method raises ``StoreUnavailable`` when it is away.
    :param conn_id: whose messages.
    :param window: seconds in which the same text goes to the same number once; 0 for no such rule.
    :param per_hour: texts that a number gets in an hour; 0 for no such rule.
    :param pending: seconds that a message may be on its way; if nothing is heard of it by then, its
        process died, and the next one goes out.
    """

    def __init__(self, store: Store, conn_id: str, *, window: float, per_hour: int, pending: float) -> None:
        self._store = store
        self._conn_id = conn_id
        self._window = window
        self._per_hour = per_hour
        self._pending = pending

    def admit(self, mobiles: Sequence[str], digest: str) -> Admitted:
        """
        Ask who may be told a text now, and count those who may not.

        To be followed by :meth:`sent` or :meth:`failed`.
        """
        held: dict[str, Held] = {}
        # In one order everywhere, so that two processes wait for each other and never deadlock.
        for mobile in sorted(mobiles):
            missed = self._admit_one(mobile, digest)
            if missed is not None:
                held[mobile] = missed
        return Admitted(held, len(mobiles) - len(held))

    def sent(self, held: dict[str, Held], digest: str) -> None:
        """Note that a text went out, or may have."""
        for mobile in held:
            self._store.transact(partial(self._sent, mobile, digest))

    def _sent(self, mobile: str, digest: str, connection: Connection) -> None:
        for name in (_ALL_TEXTS, digest):
            row = storms.update().where(*self._of(mobile, name))
            connection.execute(row.values(pending_until=None))

    def failed(self, held: dict[str, Held], digest: str) -> None:
        """Note that a text surely did not go out: the next one may, and takes the counts along."""
        for mobile, missed in held.items():
            self._store.transact(partial(self._failed, mobile, digest, missed))

    def _failed(self, mobile: str, digest: str, missed: Held, connection: Connection) -> None:
        other = storms.update().where(*self._of(mobile, _ALL_TEXTS), storms.c.sent > 0)
        # Added, as others may have been held back while this one was on its way.
        counts = {"sent": storms.c.sent - 1, "suppressed": storms.c.suppressed + missed.other}
        connection.execute(other.values(pending_until=None, **counts))
        same = storms.update().where(*self._of(mobile, digest))
        suppressed = storms.c.suppressed + missed.same
        connection.execute(same.values(sent=0, suppressed=suppressed, pending_until=None))

    def _admit_one(self, mobile: str, digest: str) -> Held | None:
        # MySQL calls it a deadlock when several make the first row of a number at once.
        return self._store.transact(lambda connection: self._admit(connection, mobile, digest))

    def _admit(self, connection: Connection, mobile: str, digest: str) -> Held | None:
        # The row of all texts first, here and wherever both are changed: it is the lock of the number.
        hour = self._row(connection, mobile, _ALL_TEXTS)
        same = self._row(connection, mobile, digest)
        told_lately = same.sent > 0 and not same.died and same.age < self._window
        if told_lately and self._window:
            self._count(connection, mobile, digest)
            return None
        fresh_hour = hour.age >= _HOUR
        if self._per_hour and not fresh_hour and hour.sent >= self._per_hour:
            self._count(connection, mobile, _ALL_TEXTS)
            return None
        values: dict[str, Any] = {"suppressed": 0, "pending_until": ServerTime(self._pending)}
        begun = storms.update().where(*self._of(mobile, digest))
        connection.execute(begun.values(since=ServerTime(), sent=1, **values))
        hourly: dict[str, Any] = {"since": ServerTime(), "sent": 1} if fresh_hour else {"sent": hour.sent + 1}
        connection.execute(storms.update().where(*self._of(mobile, _ALL_TEXTS)).values(**hourly, **values))
        return Held(same.suppressed, hour.suppressed)

    def _row(self, connection: Connection, mobile: str, digest: str) -> Row[Any]:
        died = storms.c.pending_until < ServerTime()
        statement = (
            select(storms.c.sent, storms.c.suppressed, Elapsed(storms.c.since, ServerTime()).label("age"))
            .add_columns(died.label("died"))
            .where(*self._of(mobile, digest))
            .with_for_update()
        )
        row = connection.execute(statement).one_or_none()
        if row is None:
            new = {"conn_id": self._conn_id, "mobile": mobile, "digest": digest, "since": ServerTime()}
            try:
                with connection.begin_nested():
                    connection.execute(storms.insert().values(**new, sent=0, suppressed=0))
            except exc.IntegrityError:
                pass  # Another process made it in this very moment.
            row = connection.execute(statement).one()
        return row

    def _count(self, connection: Connection, mobile: str, digest: str) -> None:
        counted = storms.update().where(*self._of(mobile, digest))
        connection.execute(counted.values(suppressed=storms.c.suppressed + 1))

    def _of(self, mobile: str, digest: str) -> tuple[ColumnElement[bool], ...]:
        return storms.c.conn_id == self._conn_id, storms.c.mobile == mobile, storms.c.digest == digest
