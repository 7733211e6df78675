"""What needs a person, as the store and the spool of this machine have it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from airflow_provider_sms.records import PageState
from airflow_provider_sms.reporting.figures import Attention, OpenPage, UnknownSend
from airflow_provider_sms.store.attention import count_pages, find_pages, unknown_batches
from airflow_provider_sms.store.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow_provider_sms.store.engine import Store

#: Of each kind, so many are named; the commands list all.
_MOST_NAMED = 20


def attention_of(store: Store, conn_ids: Collection[str] = ()) -> Attention:
    """
    Count what waits, and name the first of it.

    :param conn_ids: of these connections only; of all if empty.
    :raises StoreUnavailable: the store is away.
    """

    def mine(conn_id: str) -> bool:
        return not conn_ids or conn_id in conn_ids

    unknown = [batch for batch in unknown_batches(store) if mine(batch.conn_id)]
    states: Counter[PageState] = Counter()
    for (conn_id, _, state), number in count_pages(store).items():
        states[state] += number if mine(conn_id) else 0
    found = find_pages(store, limit=None if conn_ids else _MOST_NAMED)
    pages = [page for page in found if mine(page.conn_id)]
    spool = Spool(store.spool_dir)
    # Before its torn files are: whoever goes through the pages sets those aside that are not whole.
    spooled = sum(mine(page.conn_id) for page in spool.pages())
    return Attention(
        sends=tuple(
            UnknownSend(batch.send_key, batch.batch_no, batch.conn_id, batch.recipients, batch.submitted_at)
            for batch in unknown[:_MOST_NAMED]
        ),
        unknown_batches=len(unknown),
        unknown_messages=sum(batch.recipients for batch in unknown),
        pages=tuple(
            OpenPage(page.page_id, page.conn_id, page.queue, page.state, page.started_at)
            for page in pages[:_MOST_NAMED]
        ),
        quarantined=states[PageState.QUARANTINED],
        suspect=states[PageState.SUSPECT],
        unlanded=states[PageState.READ],
        spooled=spooled,
        # Such a file does not tell whose it is, so it is told of whoever is asked about.
        torn=len(spool.torn()),
        unreadable=len(spool.unreadable()),
    )
