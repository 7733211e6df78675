"""
The spool: where a page goes that the vendor handed over and the database did not take.

One file per page: a line of JSON that says what it is, how long its body is and the body's SHA-256,
then the body. A file appears under its name only when all of it is on disk (temporary file, fsync,
rename, fsync of the folder); one that is torn all the same is noticed and kept aside. A writer that is
killed before the renaming leaves a temporary file: an hour later a whole one is taken for the page that it
is, and any other is torn.

A file that cannot be read, or that the database does not take though it takes others, is left where it is and
named in the log: the pages behind it are not to wait for it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from airflow_provider_sms.errors import StoreUnavailable
from airflow_provider_sms.records import PULL, PageState
from airflow_provider_sms.replacing import sync_folder
from airflow_provider_sms.store.refusals import prove_that_it_takes_pages
from airflow_provider_sms.store.schema import pages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.engine import Connection

    from airflow_provider_sms.store.engine import Store
    from airflow_provider_sms.store.reserve import Reserve

_log = logging.getLogger(__name__)
_SUFFIX = ".page"
_TORN = ".torn"
_TEMPORARY = ".tmp"
#: After so many seconds nobody writes to a temporary file any more, whatever two machines' clocks say.
_ABANDONED_SECONDS = 3600
#: Files this process has told of: a spool is swept every few seconds.
_told: set[Path] = set()


def _now() -> datetime:
    # The store is away, and with it the store's clock.
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class SpooledPage:
    """
    A page on its way to the journal.

    :param body: the raw bytes.
    :param status: HTTP status.
    :param complete: whether the framing said that the body is whole.
    :param problem: why it is not.
    :param source: ``pull`` or ``push``.
    :param started_at: when its read began, aware; the journal's own row knows better if there is one.
    :param read_at: when it had arrived, aware.
    """

    page_id: str
    conn_id: str
    vendor: str
    queue: str
    body: bytes = field(repr=False)
    status: int = 200
    complete: bool = True
    problem: str = ""
    source: str = PULL
    started_at: datetime = field(default_factory=_now)
    read_at: datetime = field(default_factory=_now)


class Spool:
    """
    The spool in one folder.

    :param directory: the folder, of one store; made when the first page comes.
    :param reserve: room for a page that the disk has no other room for, if some is kept.
    """

    def __init__(self, directory: Path, reserve: Reserve | None = None) -> None:
        self.directory = directory
        self._reserve = reserve

    def put(self, page: SpooledPage) -> Path:
        """
        Write a page to disk; it is there, power cut or not, when this returns.

        :return: the file.
        :raises StoreUnavailable: the disk does not take it either.
        """
        try:
            return self._put(page)
        except OSError as error:
            reason = error.strerror
        if self._reserve is not None:
            with suppress(OSError):
                return self._put(page, self._reserve)
        msg = f"page {page.page_id} could be written neither to the SMS store nor to its spool ({reason})"
        raise StoreUnavailable(msg)

    def pages(self) -> Iterator[SpooledPage]:
        """
        Give the whole pages in the order in which they were begun.

        Torn files are set aside; those that cannot be read are left, and named in the log.
        """
        self._take_up_abandoned()
        for path in self._files(_SUFFIX):
            page = _load(path)
            if page is not None:
                yield page

    def remove(self, page: SpooledPage) -> None:
        """
        Delete a page's file, which another sweeper may have done already.

        One that cannot be deleted stays, and every later sweep finds its page in the journal.
        """
        path = self._path(page.page_id)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            _leave(path, f"it is in the store by now and cannot be deleted ({error.strerror})")

    def torn(self) -> list[Path]:
        """List the files that are not whole; they are never deleted."""
        return self._files(_TORN)

    def unreadable(self) -> dict[Path, str]:
        """Give the files of pages that this process may not read, and why."""
        found: dict[Path, str] = {}
        for path in self._files(_SUFFIX):
            try:
                path.open("rb").close()
            except FileNotFoundError:
                continue  # A sweeper took it.
            except OSError as error:
                found[path] = error.strerror or type(error).__name__
        return found

    def sweep(self, store: Store) -> int:
        """
        Move the pages into the journal; each file is deleted after its page is committed.

        Safe to repeat, and to run in several workers at once.

        :return: the number of pages that the journal did not have.
        :raises StoreUnavailable: the store is still away, or takes no page at all; the files stay.
        """
        moved = 0
        for page in self.pages():
            try:
                moved += store.transact(partial(_into_journal, page))
            except Exception as failure:  # noqa: BLE001 - whatever a driver raises; the file stays
                refusal = failure if isinstance(failure, StoreUnavailable) else type(failure).__name__
            else:
                self.remove(page)
                continue
            # A page that is too large is told from a full disk.
            prove_that_it_takes_pages(store, len(page.body))
            path = self._path(page.page_id)
            if path.exists():  # Or another sweeper was faster.
                _leave(path, f"the store takes other pages and not this one ({refusal})")
        return moved

    def _path(self, page_id: str) -> Path:
        return self.directory / f"{page_id}{_SUFFIX}"

    def _files(self, suffix: str) -> list[Path]:
        # Names are page ids, and page ids sort by time.
        return sorted(self.directory.glob(f"*{suffix}"))

    def _take_up_abandoned(self) -> None:
        for path in self._files(_TEMPORARY):
            # Another sweeper was faster, or the file is another user's.
            with suppress(OSError):
                if time.time() - path.stat().st_mtime >= _ABANDONED_SECONDS and (page := _whole(path)):
                    path.rename(self._path(page.page_id))

    def _put(self, page: SpooledPage, reserve: Reserve | None = None) -> Path:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(page.page_id)
        # A repeated push has the same page id, and may be written by several threads at the same time.
        temporary = path.with_suffix(f".{os.getpid()}-{secrets.token_hex(8)}{_TEMPORARY}")
        content = _header(page) + b"\n" + page.body
        if reserve is None:
            descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        else:
            reserve.hand_over(temporary, len(content))
            descriptor = os.open(temporary, os.O_WRONLY)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.truncate(len(content) if reserve is not None else 0)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(path)
        except OSError:
            # What a full disk did not take is not to fill it any more.
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(self.directory)
        return path


def _header(page: SpooledPage) -> bytes:
    head = {
        "page_id": page.page_id,
        "conn_id": page.conn_id,
        "vendor": page.vendor,
        "queue": page.queue,
        "source": page.source,
        "started_at": page.started_at.astimezone(UTC).isoformat(),
        "read_at": page.read_at.astimezone(UTC).isoformat(),
        "status": page.status,
        "complete": page.complete,
        "problem": page.problem,
        "length": len(page.body),
        "sha256": hashlib.sha256(page.body).hexdigest(),
    }
    return json.dumps(head, ensure_ascii=True).encode("ascii")


def _leave(path: Path, why: str) -> None:
    _log.log(logging.DEBUG if path in _told else logging.ERROR, "spooled page %s is left: %s", path, why)
    _told.add(path)


def _load(path: Path) -> SpooledPage | None:
    try:
        return _whole(path)
    except FileNotFoundError:
        return None  # Another sweeper was faster.
    except OSError as error:
        _leave(path, f"its file cannot be read ({error.strerror})")
        return None


def _whole(path: Path) -> SpooledPage | None:
    line, _, body = path.read_bytes().partition(b"\n")
    try:
        head: dict[str, Any] = json.loads(line)
        if head.pop("length") != len(body) or head.pop("sha256") != hashlib.sha256(body).hexdigest():
            raise ValueError  # noqa: TRY301 - all that can be wrong with a file ends in one place
        for name in ("started_at", "read_at"):
            head[name] = datetime.fromisoformat(head[name])
        return SpooledPage(**head, body=body)
    except (ValueError, KeyError, TypeError, AttributeError):
        path.rename(path.with_suffix(_TORN))
        return None


def _into_journal(page: SpooledPage, connection: Connection) -> int:
    found = connection.scalar(select(pages.c.state).where(pages.c.page_id == page.page_id).with_for_update())
    values = {
        "state": PageState.READ,
        "read_at": page.read_at,
        "http_status": page.status,
        "framing_complete": page.complete,
        "framing_problem": page.problem or None,
        "body": page.body,
        "error": None,
        # Of a suspect page, perhaps: what becomes of the page that came after all is to be seen.
        "dismissed_at": None,
    }
    if found is None:
        row = {
            "page_id": page.page_id,
            "conn_id": page.conn_id,
            "vendor": page.vendor,
            "queue": page.queue,
            "source": page.source,
            "started_at": page.started_at,
        }
        connection.execute(pages.insert(), row | values)
        return 1
    if found in {PageState.READING, PageState.SUSPECT}:
        connection.execute(pages.update().where(pages.c.page_id == page.page_id).values(values))
        return 1
    # It was committed after all, only the commit's answer was lost.
    return 0
