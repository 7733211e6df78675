"""
The spool: where a page goes that the vendor handed over and the database did not take.

One file per page: a line of JSON that says what it is, how long its body is and the body's SHA-256,
then the body. A file appears under its name only when all of it is on disk (temporary file, fsync,
rename, fsync of the folder); one that is torn all the same is noticed and kept aside.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from airflow_provider_sms.errors import StoreUnavailable
from airflow_provider_sms.records import PageState
from airflow_provider_sms.store.journal import PULL
from airflow_provider_sms.store.schema import pages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.engine import Connection

    from airflow_provider_sms.store.engine import Store

_SUFFIX = ".page"
_TORN = ".torn"


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
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

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
        msg = f"page {page.page_id} could be written neither to the SMS store nor to its spool ({reason})"
        raise StoreUnavailable(msg)

    def pages(self) -> Iterator[SpooledPage]:
        """Give the whole pages in the order in which they were begun; torn files are set aside."""
        for path in self._files(_SUFFIX):
            page = _load(path)
            if page is not None:
                yield page

    def remove(self, page: SpooledPage) -> None:
        """Delete a page's file, which another sweeper may have done already."""
        self._path(page.page_id).unlink(missing_ok=True)

    def torn(self) -> list[Path]:
        """List the files that are not whole; they are never deleted."""
        return self._files(_TORN)

    def sweep(self, store: Store) -> int:
        """
        Move the pages into the journal; each file is deleted after its page is committed.

        Safe to repeat, and to run in several workers at once.

        :return: the number of pages that the journal did not have.
        :raises StoreUnavailable: the store is still away; the files stay.
        """
        moved = 0
        for page in self.pages():
            with store.begin() as connection:
                moved += _into_journal(connection, page)
            self.remove(page)
        return moved

    def _path(self, page_id: str) -> Path:
        return self.directory / f"{page_id}{_SUFFIX}"

    def _files(self, suffix: str) -> list[Path]:
        # Names are page ids, and page ids sort by time.
        return sorted(self.directory.glob(f"*{suffix}"))

    def _put(self, page: SpooledPage) -> Path:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(page.page_id)
        # A repeated push has the same page id, and may be written by several threads at the same time.
        temporary = path.with_suffix(f".{os.getpid()}-{secrets.token_hex(8)}.tmp")
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(_header(page) + b"\n" + page.body)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(path)
        except OSError:
            # What a full disk did not take is not to fill it any more.
            temporary.unlink(missing_ok=True)
            raise
        folder = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
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


def _load(path: Path) -> SpooledPage | None:
    try:
        line, _, body = path.read_bytes().partition(b"\n")
    except FileNotFoundError:
        return None  # Another sweeper was faster.
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


def _into_journal(connection: Connection, page: SpooledPage) -> int:
    found = connection.scalar(select(pages.c.state).where(pages.c.page_id == page.page_id).with_for_update())
    values = {
        "state": PageState.READ,
        "read_at": page.read_at,
        "http_status": page.status,
        "framing_complete": page.complete,
        "framing_problem": page.problem or None,
        "body": page.body,
        "error": None,
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
