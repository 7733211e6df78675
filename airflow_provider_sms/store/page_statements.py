"""
The statements by which a page goes through the journal: hundreds of times a second, so they are made once.

Where two things are done at once, it is for PostgreSQL, whose statements may change both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import String, bindparam, insert, literal_column, or_, select

from airflow_provider_sms.records import PULL, PageState
from airflow_provider_sms.store.clock import ServerTime
from airflow_provider_sms.store.prepared import Prepared
from airflow_provider_sms.store.schema import pages

if TYPE_CHECKING:
    from sqlalchemy import ColumnClause, ColumnElement, FromClause, Insert

#: So many seconds the rows of reads stay that found their queue empty.
EMPTY_READS_STAY = 3600.0

_READING: ColumnClause[str] = literal_column(f"'{PageState.READING.value}'")
BEGUN = Prepared(
    pages.insert().values(
        page_id=bindparam("page"),
        conn_id=bindparam("conn"),
        vendor=bindparam("of_vendor"),
        queue=bindparam("of_queue"),
        source=literal_column(f"'{PULL}'"),
        state=_READING,
        owner=bindparam("reader"),
        started_at=ServerTime(),
    )
)


def _begun_after_one_of(rows: FromClause, *conditions: ColumnElement[bool]) -> Insert:
    return insert(pages).from_select(
        ["page_id", "conn_id", "vendor", "queue", "source", "state", "owner", "started_at"],
        select(bindparam("next_page", type_=String()), rows.c.conn_id, rows.c.vendor, rows.c.queue)
        .add_columns(literal_column(f"'{PULL}'"), _READING, rows.c.owner, ServerTime())
        .where(*conditions),
    )


BEGUN_AFTER = Prepared(_begun_after_one_of(pages, pages.c.page_id == bindparam("page")))
_keep = (
    pages.update()
    .where(pages.c.page_id == bindparam("page"))
    .where(or_(pages.c.state == _READING, pages.c.state == literal_column(f"'{PageState.SUSPECT.value}'")))
    .values(
        state=literal_column(f"'{PageState.READ.value}'"),
        read_at=ServerTime(),
        body=bindparam("raw_body"),
        framing_complete=bindparam("whole"),
        framing_problem=bindparam("why"),
        http_status=bindparam("http"),
        error=bindparam("why"),
        dismissed_at=None,
    )
)
KEPT = Prepared(_keep)
KEPT_AND_BEGUN = Prepared(
    _begun_after_one_of(_keep.returning(pages.c.conn_id, pages.c.vendor, pages.c.queue, pages.c.owner).cte())
)
_close_empty = (
    pages.update()
    .where(pages.c.page_id == bindparam("page"), pages.c.state == literal_column(f"'{PageState.READ.value}'"))
    .values(
        state=literal_column(f"'{PageState.EMPTY.value}'"),
        records=literal_column("0"),
        declared=bindparam("said"),
        error=None,
        landed_at=ServerTime(),
    )
)
_forget = (
    pages.delete()
    .where(pages.c.conn_id == bindparam("conn"), pages.c.queue == bindparam("of_queue"))
    .where(pages.c.state == literal_column(f"'{PageState.EMPTY.value}'"))
    .where(pages.c.started_at < ServerTime(-EMPTY_READS_STAY))
    .where(pages.c.source == literal_column(f"'{PULL}'"), pages.c.error.is_(None))
)
FOUND_EMPTY, FORGOTTEN = Prepared(_close_empty), Prepared(_forget)
FOUND_EMPTY_AND_FORGOTTEN = Prepared(_close_empty.add_cte(_forget.returning(pages.c.page_id).cte()))
ANY_OPEN = Prepared(
    select(pages.c.page_id)
    .where(pages.c.conn_id == bindparam("conn"), pages.c.queue == bindparam("of_queue"))
    .where(or_(pages.c.state == _READING, pages.c.state == literal_column(f"'{PageState.READ.value}'")))
    .limit(literal_column("1"))
)
WITHDRAWN = Prepared(
    pages.delete().where(pages.c.page_id == bindparam("page"), pages.c.state == _READING),
)
