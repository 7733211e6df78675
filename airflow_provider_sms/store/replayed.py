"""How a page that is read again leaves its old state, where that is no landing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_sms.records import PageState, Queue
from airflow_provider_sms.store.schema import pages, replies, reports

if TYPE_CHECKING:
    from airflow_provider_sms.store.engine import Store

_TABLES = {Queue.REPORTS: reports, Queue.REPLIES: replies}
#: Pages whose bytes are kept and that have not landed whole.
_OPEN = (PageState.READ, PageState.QUARANTINED)


def drop_rows_from(store: Store, page_id: str, queue: Queue, seq: int) -> int:
    """
    Delete rows that a former parser made of a page and the present one does not know.

    :param seq: the first place in the page that is no record.
    :return: how many rows went.
    """
    table = _TABLES[queue]
    with store.begin() as connection:
        return connection.execute(
            table.delete().where(table.c.page_id == page_id, table.c.seq >= seq)
        ).rowcount


def close_empty(store: Store, page_id: str, error: str) -> None:
    """
    Note that a page turned out to be the vendor's "no", which hands over nothing.

    :param error: what the vendor said, without content.
    """
    _close(store, page_id, PageState.EMPTY, error, records=0)


def keep_aside(store: Store, page_id: str, error: str) -> None:
    """
    Note why a page still cannot be read; what has landed of it stays.

    :param error: what the parser missed, without content.
    """
    _close(store, page_id, PageState.QUARANTINED, error)


def _close(store: Store, page_id: str, state: PageState, error: str, **values: int) -> None:
    closed = pages.update().where(pages.c.page_id == page_id, pages.c.state.in_(_OPEN))
    with store.begin() as connection:
        connection.execute(closed.values(state=state, error=error or None, **values))
