"""Four ways in which a store goes away, each of them real: nothing of the package is replaced."""

from __future__ import annotations

import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from relays import Relay

_POLL_SECONDS = 0.004
#: What a collection writes first, its lease, and what it writes when it has read a page.
_TABLE_OF_BEFORE = "sms_leases"
_TABLE_OF_AFTER = "sms_pages"


class Outage(Protocol):
    """A store that can be taken away and given back."""

    #: SQLAlchemy address of the store.
    url: str

    def begin(self, *, reading: bool) -> None:
        """
        Take the store away.

        :param reading: whether a vendor's answer is on its way; otherwise nothing has begun.
        """

    def end(self) -> None:
        """Give it back."""


class Down:
    """The server cannot be reached: connections are reset, and new ones refused."""

    def __init__(self, url: str, relay: Relay) -> None:
        self.url = url
        self._relay = relay

    def begin(self, *, reading: bool) -> None:
        """Cut."""
        del reading
        self._relay.cut()

    def end(self) -> None:
        """Mend."""
        self._relay.mend()


class ReadOnly:
    """The server became a read-only one, as after a failover: sessions end, and new ones cannot write."""

    def __init__(self, url: str) -> None:
        self.url = url

    def begin(self, *, reading: bool) -> None:
        """Let sessions begin read-only, and make all begin anew."""
        del reading
        self._set("on")

    def end(self) -> None:
        """Let them write."""
        self._set("off")

    def _set(self, value: str) -> None:
        from sqlalchemy import make_url

        name = make_url(self.url).database
        with _session(self.url) as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {value}')
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


class DiskFull:
    """The file system of the database is full to the last byte."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder}/sms.db"
        self._ballast = folder / "ballast"

    def begin(self, *, reading: bool) -> None:
        """Fill it."""
        del reading
        with self._ballast.open("wb", buffering=0) as ballast:
            for size in (65_536, 1):
                try:
                    while True:
                        ballast.write(b"\0" * size)
                except OSError:
                    continue

    def end(self) -> None:
        """Make room."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """
    Give a file system of 4 MB.

    :raises OSError: only root may make one.
    """
    folder.mkdir(parents=True)
    made = subprocess.run(  # noqa: S603
        ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(folder)],  # noqa: S607
        capture_output=True,
        check=False,
    )
    if made.returncode:
        raise OSError("no file system can be mounted")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)  # noqa: S603, S607


class Deadlock:
    """
    The server takes the collector's transaction back for a deadlock.

    Another session holds the row that the collector is about to change; while the collector waits for it,
    the session asks for the whole table, which the collector has begun to change. PostgreSQL ends the one
    that notices first, and only the collector looks; once, so where the session is late, it begins again.
    """

    def __init__(self, url: str) -> None:
        from sqlalchemy import make_url

        self.url = url
        with _session(url) as connection:
            name = make_url(url).database
            connection.execute(f"ALTER DATABASE \"{name}\" SET deadlock_timeout = '100ms'")
        self._ended = threading.Event()
        self._thread = threading.Thread()
        self.met = 0

    def begin(self, *, reading: bool) -> None:
        """Hold the row, and wait for the collector to want it; again and again, until the end."""
        self._ended.clear()
        held = threading.Event()
        self._thread = threading.Thread(
            target=self._oppose, kwargs={"reading": reading, "held": held}, daemon=True
        )
        self._thread.start()
        held.wait(10)

    def end(self) -> None:
        """Let go."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _oppose(self, *, reading: bool, held: threading.Event) -> None:
        import psycopg

        table, row = (_TABLE_OF_AFTER, " WHERE state = 'reading'") if reading else (_TABLE_OF_BEFORE, "")
        with _session(self.url) as connection, _session(self.url) as watcher:
            connection.execute("SET deadlock_timeout = '1h'")
            connection.execute("SET lock_timeout = '2s'")
            while not self._ended.is_set():
                connection.execute("BEGIN")
                connection.execute(f"SELECT * FROM {table}{row} FOR UPDATE")  # noqa: S608 - ours
                held.set()
                while not _somebody_waits(watcher) and not self._ended.is_set():
                    time.sleep(_POLL_SECONDS)
                if not self._ended.is_set():
                    with suppress(psycopg.errors.LockNotAvailable):
                        connection.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
                        self.met += 1
                connection.execute("ROLLBACK")


def _somebody_waits(connection: Any) -> bool:
    found = connection.execute(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return bool(found.fetchone()[0])


@contextmanager
def _session(url: str) -> Iterator[Any]:
    """Open a session of our own, which commits each statement by itself."""
    import psycopg
    from sqlalchemy import make_url

    address = make_url(url)
    with psycopg.connect(
        host=address.host, port=address.port, user=address.username, password=address.password,
        dbname=address.database, autocommit=True,
    ) as connection:  # fmt: skip
        yield connection
