"""
Leases: of all workers, one reads a queue.

A lease has an owner and an expiry by the store's clock. Who dies stops renewing, and the queue is free
after the expiry; nobody has to notice the death. The row also remembers when the vendor lets the queue
be read again, so the least interval holds across workers, too.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Float, and_, bindparam, exc, or_, select

from airflow_provider_sms.errors import QueueBusy
from airflow_provider_sms.store.clock import Elapsed, ServerTime
from airflow_provider_sms.store.prepared import Prepared
from airflow_provider_sms.store.schema import leases

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement
    from sqlalchemy.engine import Connection

    from airflow_provider_sms.store.engine import Store

_OWNER_LENGTH = 250
#: Clocks that are adjusted a little say nothing.
_AHEAD_SECONDS = 1.0

_this = (leases.c.conn_id == bindparam("conn"), leases.c.queue == bindparam("of_queue"))
_mine = leases.update().where(*_this, leases.c.owner == bindparam("me"))
_free = or_(leases.c.owner.is_(None), leases.c.owner == bindparam("me"), leases.c.expires_at <= ServerTime())
_later = ServerTime(bindparam("seconds", type_=Float()))
_take_it = leases.update().where(*_this, _free).values(owner=bindparam("me"), expires_at=_later)
_taken = Prepared(_take_it)
#: Converted as rows are, so not prepared.
_taken_telling = _take_it.returning(leases.c.owner, leases.c.expires_at)
_read = Prepared(_mine.values(last_read_at=ServerTime(), next_read_at=_later))
_give_back = _mine.values(owner=None, expires_at=None)
_read_and_give_back = _give_back.values(
    last_read_at=ServerTime(bindparam("since", type_=Float())), next_read_at=_later
)
_given_back, _read_and_given_back = Prepared(_give_back), Prepared(_read_and_give_back)
#: The same, for databases whose updates tell what they wrote.
_telling = {
    given_back: Prepared(update.returning(leases.c.last_read_at))
    for given_back, update in ((_given_back, _give_back), (_read_and_given_back, _read_and_give_back))
}
_last_read = Prepared(select(leases.c.last_read_at).where(*_this))
_due = Prepared(
    select(
        Elapsed(ServerTime(), leases.c.next_read_at).cast(Float),
        Elapsed(leases.c.last_read_at, ServerTime()).cast(Float),
        leases.c.last_read_at,
    ).where(*_this)
)
#: A last read that lies ahead: the clock has been set back since. The interval begins anew, once.
_set_right = Prepared(
    leases.update()
    .where(*_this, leases.c.last_read_at > ServerTime(_AHEAD_SECONDS))
    .values(last_read_at=ServerTime(), next_read_at=_later)
)
_holds = select(leases.c.owner, leases.c.expires_at).where(*_this)


@dataclass(frozen=True, slots=True)
class Lease:
    """
    The right to read a queue.

    :param expires_at: when it ends, by the store's clock; ``None`` if it is not known whether it was taken.
    """

    conn_id: str
    queue: str
    owner: str
    expires_at: datetime | None = None


class Due(NamedTuple):
    """
    When a queue is to be read.

    :param wait: in so many seconds.
    :param age: so many seconds after it was last read, by whomever; ``None`` if it never was.
    :param last: which read was the last, as :meth:`Leases.release` gives it; another one is not equal to it.
    """

    wait: float
    age: float | None
    last: Any = None


class Leases:
    """
    The leases in one store.

    :param store: where they are kept. Every method raises ``StoreUnavailable`` when it is away.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def acquire(self, conn_id: str, queue: str, owner: str, seconds: float) -> Lease:
        """
        Take the lease of a queue; its owner may take it again.

        A stop of the program that comes out of this leaves open whether it was taken: whoever lets it pass
        gives back :meth:`sought`.

        :param seconds: how long it holds unless renewed; longer than the longest single read.
        :raises QueueBusy: another holds it.
        """
        owner = owner[:_OWNER_LENGTH]
        # The row is there but for the first time, so it is looked for by taking it.
        held = self._take(conn_id, queue, owner, seconds)
        if held is None:
            self._make_row(conn_id, queue)
            held = self._take(conn_id, queue, owner, seconds)
        if held is None or held.owner != owner:
            raise _busy(conn_id, queue, held)
        return held

    @staticmethod
    def sought(conn_id: str, queue: str, owner: str) -> Lease:
        """Give a lease as it is before it is known whether it can be taken; it may be given back."""
        return Lease(conn_id, queue, owner[:_OWNER_LENGTH])

    def _take(self, conn_id: str, queue: str, owner: str, seconds: float) -> Lease | None:
        """Take the lease if it is free; whose it is now, ``None`` if nobody's."""
        values = {"conn": conn_id, "of_queue": queue, "me": owner, "seconds": seconds}

        def take(connection: Connection) -> Lease | None:
            # By one statement where that can be: a connection that breaks behind it has taken nothing that
            # nobody knows of.
            if connection.dialect.update_returning:
                row = connection.execute(_taken_telling, values).one_or_none()
                if row is not None:
                    return Lease(conn_id, queue, row.owner, row.expires_at)
            else:
                _taken.run(connection, **values)
            return _found(connection, conn_id, queue)

        return self._store.one_by_one(take)

    def renew(self, lease: Lease, seconds: float) -> Lease:
        """
        Hold a lease for longer, also one that expired when nobody took it since.

        :raises QueueBusy: it is another's now, who reads the queue; nothing more may be read by this one.
        """
        longer = leases.update().where(*_held(lease)).values(expires_at=ServerTime(seconds))

        def hold(connection: Connection) -> Lease | None:
            connection.execute(longer)
            return _found(connection, lease.conn_id, lease.queue)

        held = self._store.transact(hold)
        if held is None or held.owner != lease.owner:
            raise _lost(lease, held.owner if held else "")
        return held

    def release(self, lease: Lease, *, read: float | None = None, ago: float = 0.0) -> Any:
        """
        Give a lease back; one that another holds by now stays his.

        :param read: also note that the queue was read, and is to be left alone for so many seconds.
        :param ago: so many seconds before now it was read.
        :return: which read was the last when the lease was given back; ``None`` if it was another's by then.
        """
        values: dict[str, Any] = {"conn": lease.conn_id, "of_queue": lease.queue, "me": lease.owner}
        given_back = _given_back if read is None else _read_and_given_back
        if read is not None:
            values |= {"seconds": read - ago, "since": -ago}

        def give_back(connection: Connection) -> Any:
            # Together with giving it back: a moment later, the last read may be another's.
            if connection.dialect.update_returning:
                return _telling[given_back].run(connection, **values).scalar()
            if given_back.run(connection, **values).rowcount == 0:
                return None
            return _last_read.run(connection, conn=lease.conn_id, of_queue=lease.queue).scalar()

        return self._store.one_by_one(give_back)

    def mark_read(self, lease: Lease, interval: float) -> None:
        """
        Note that the queue is being read now, and not to be read again for some seconds.

        :param interval: the vendor's least seconds between two reads.
        """
        values: dict[str, Any] = {"conn": lease.conn_id, "of_queue": lease.queue, "me": lease.owner}
        self._store.run(_read, **values, seconds=interval)

    def wait_seconds(self, conn_id: str, queue: str, interval: float = 0.0) -> float:
        """
        Tell how many seconds the queue is to be left alone, 0 when it may be read.

        :param interval: seconds from one read to the next that are wanted here, by whomever the last one
            was; the vendor's own are kept in any case.
        """
        return self.due(conn_id, queue, interval).wait

    def due(self, conn_id: str, queue: str, interval: float = 0.0) -> Due:
        """
        Tell when a queue was read last and may be read again; parameters as in :meth:`wait_seconds`.

        The wait is never longer than the two intervals: where the server's clock was set back, a last read
        that lies ahead counts as one of now.
        """
        wait, age, last = self._due(conn_id, queue)
        if age is None:
            return Due(0.0, None)
        if age < -_AHEAD_SECONDS:
            # Written down, or it would be one of now for as long as the clock was ahead.
            self._store.run(_set_right, conn=conn_id, of_queue=queue, seconds=max(0.0, wait + age))
            wait, age, last = self._due(conn_id, queue)
            age = age or 0.0
        return Due(max(0.0, min(wait, wait + age), interval - max(0.0, age)), max(0.0, age), last)

    def _due(self, conn_id: str, queue: str) -> tuple[float, float | None, Any]:
        """Give the seconds until the vendor's interval is over, those since the last read, and that read."""
        with self._store.asking() as connection:
            row: Any = _due.run(connection, conn=conn_id, of_queue=queue).one_or_none()
        if row is None or row[1] is None:
            return 0.0, None, None
        return float(row[0] or 0.0), float(row[1]), row[2]

    def holder(self, conn_id: str, queue: str) -> Lease | None:
        """Tell who holds the lease of a queue, if anybody does."""
        with self._store.asking() as connection:
            return _found(connection, conn_id, queue, leases.c.expires_at > ServerTime())

    def _make_row(self, conn_id: str, queue: str) -> None:
        def make(connection: Connection) -> None:
            with suppress(exc.IntegrityError), connection.begin_nested():
                # Or another worker made it in this very moment.
                connection.execute(leases.insert(), {"conn_id": conn_id, "queue": queue})

        self._store.transact(make)


def _of(conn_id: str, queue: str) -> tuple[ColumnElement[bool], ...]:
    return leases.c.conn_id == conn_id, leases.c.queue == queue


def _held(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    return (and_(*_of(lease.conn_id, lease.queue)), leases.c.owner == lease.owner)


def _found(
    connection: Connection, conn_id: str, queue: str, *conditions: ColumnElement[bool]
) -> Lease | None:
    wanted = _holds.where(*conditions) if conditions else _holds
    row = connection.execute(wanted, {"conn": conn_id, "of_queue": queue}).one_or_none()
    return None if row is None or row.owner is None else Lease(conn_id, queue, row.owner, row.expires_at)


def _busy(conn_id: str, queue: str, held: Lease | None) -> QueueBusy:
    owner, until = (held.owner, held.expires_at) if held else ("", None)
    lease = f" by a lease until {until:%Y-%m-%d %H:%M:%S} UTC, or longer if it goes on" if until else ""
    msg = (
        f"connection {conn_id!r}: {owner or 'another worker'} is reading the {queue} queue{lease}; "
        "nothing was read here, try again later"
    )
    return QueueBusy(msg, owner)


def _lost(lease: Lease, owner: str) -> QueueBusy:
    msg = (
        f"connection {lease.conn_id!r}: this run did nothing for longer than its lease holds, and "
        f"{owner or 'another worker'} has taken the {lease.queue} queue over; this run reads no more of it"
    )
    return QueueBusy(msg, owner)
