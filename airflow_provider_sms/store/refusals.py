"""
Pages that the database does not take, though it takes others: told from a database that is away.

A page whose bytes are in the journal waits until it has landed, and all that is read later waits behind it.
So one that can never land (a value that a column, a trigger or the database's charset refuses) would hold up
its queue for ever. Such a page belongs into quarantine, with its bytes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import exc

from airflow_provider_sms.errors import StoreUnavailable
from airflow_provider_sms.records import PULL, PageState, Queue
from airflow_provider_sms.store.failures import describe, is_refusal
from airflow_provider_sms.store.ids import new_id
from airflow_provider_sms.store.landing import Landing
from airflow_provider_sms.store.schema import pages

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_sms.records import Page
    from airflow_provider_sms.store.engine import Store
    from airflow_provider_sms.store.landing import Landed

LandedT = TypeVar("LandedT")

_OF_VALUES = (exc.StatementError, ValueError, TypeError, ArithmeticError, LookupError, AttributeError)

#: Bytes that any database takes, and that do not fit onto a disk that is all but full.
ORDINARY_LENGTH = 64 << 10


def landed_or_why_not(store: Store, land: Callable[[], LandedT]) -> LandedT | str:
    """
    Land a page, or say why the database does not take it: surely not because it is away.

    :param land: lands it, all or nothing; it may be called twice, as there are failures by chance.
    :return: what that gave; or why not, without content: nothing of the page has landed then.
    :raises StoreUnavailable: the store is away, full, read-only, or others were in the way.
    """
    try:
        return land()
    except Exception as failure:
        if not _refused(store, failure):
            raise
    prove_that_it_takes_pages(store)
    try:
        return land()
    except Exception as failure:
        # Returned and not raised: an error would take the driver's along, which may quote values.
        if why := _refused(store, failure):
            return f"the store takes other pages and not this one ({why})"
        raise


def land_page(
    store: Store, page_id: str, conn_id: str, vendor: str, queue: Queue, page: Page[Any], problem: str
) -> Landed | str:
    """
    Land a page as a parser read it, or say why the database does not take it.

    :param problem: what could not be read of it, see :func:`what_is_missing`.
    :return: as of :func:`landed_or_why_not`.
    :raises StoreUnavailable: as for it.
    """
    return landed_or_why_not(
        store,
        lambda: Landing(store).land(
            page_id,
            conn_id,
            vendor,
            queue.value,
            page.records,
            declared=page.declared,
            gaps=page.gaps,
            problem=problem,
        ),
    )


def what_is_missing(page: Page[Any], framing_problem: str) -> str:
    """
    Say what could not be read of a page, ``""`` if nothing.

    :param framing_problem: why its bytes are not whole, if they are not.
    """
    return page.problem or ("" if page.complete else framing_problem or "the page is not whole")


def is_refused(store: Store, failure: Exception) -> bool:
    """Tell whether a landing failed for what was to land, and not for the database."""
    return bool(_refused(store, failure))


def prove_that_it_takes_pages(store: Store, length: int = ORDINARY_LENGTH) -> None:
    """
    Commit an ordinary page and take it back, so that a page of its own kind is told from a full disk.

    :param length: of the page that was refused; the proof is no larger.
    :raises StoreUnavailable: the store does not take that either.
    """
    proof = {
        "page_id": new_id(),
        "conn_id": "",
        "vendor": "",
        "queue": Queue.REPORTS,
        "source": PULL,
        "state": PageState.EMPTY,
        "started_at": datetime.now(UTC),
        "body": bytes(min(length, ORDINARY_LENGTH)),
    }
    with store.begin() as connection:
        connection.execute(pages.insert(), proof)
    with store.begin() as connection:
        connection.execute(pages.delete().where(pages.c.page_id == proof["page_id"]))


def _refused(store: Store, failure: Exception) -> str:
    """Give the kind of a failure if it is the page's own, ``""`` if it is the database's."""
    if isinstance(failure, StoreUnavailable):
        return failure.refused
    if isinstance(failure, store.engine.dialect.loaded_dbapi.Error):
        # Past SQLAlchemy, as some drivers' own ways to write many rows are.
        return describe(failure) if is_refusal(failure) else ""
    # What a driver raises before it asks the database; and no one's way to stop a program.
    return type(failure).__name__ if isinstance(failure, _OF_VALUES) else ""
