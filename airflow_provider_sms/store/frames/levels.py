"""
The balances that spending is told by: every check, and what answers to sends told beyond the last one.

Checks follow one another. Answers don't: those to sends under way together come in any order, so one that
shows more than another did is no top-up. They say no more than that the balance had fallen so far by then,
and that only until a check says it better: of the answers of a day those behind its last check count, where
they show less than was known since the last check. So the figures of a day that is over stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, or_, select

from airflow_provider_sms.records import BalanceSource
from airflow_provider_sms.store.frames.reading import text_type
from airflow_provider_sms.store.frames.records import BALANCES
from airflow_provider_sms.store.schema import balances

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd
    from sqlalchemy import Select

_CHECK = balances.c.source == BalanceSource.CHECK.value
_ANSWER = balances.c.source == BalanceSource.ANSWER.value


def told_levels(since: datetime, until: datetime) -> Select[Any]:
    """
    Select the balances of a span, and of each connection what was known before, as :data:`BALANCES`.

    That is its last check, and the least that answers have told since.
    """
    connection, at = balances.c.conn_id, balances.c.checked_at
    checked = select(connection, func.max(at).label("at")).where(_CHECK, at < since)
    checks = checked.group_by(connection).subquery("checks")
    of_check = connection == checks.c.conn_id
    since_check = and_(_ANSWER, at < since, or_(checks.c.at.is_(None), at > checks.c.at))
    told = select(connection, func.min(balances.c.remaining).label("remaining")).where(since_check)
    least = told.join_from(balances, checks, of_check, isouter=True).group_by(connection).subquery("least")
    known = or_(and_(_CHECK, at == checks.c.at), and_(since_check, balances.c.remaining == least.c.remaining))
    return (
        select(*(balances.c[field.name] for field in BALANCES))
        .join_from(balances, checks, of_check, isouter=True)
        .join(least, connection == least.c.conn_id, isouter=True)
        .where(or_(and_(at >= since, at < until), known))
        .order_by(connection, at, balances.c.id)
    )


def levels(told: pd.DataFrame) -> pd.DataFrame:
    """
    Leave out what answers told that tells nothing new.

    :param told: what :func:`told_levels` selects, with its ``day``, which is missing before the first.
    :return: its other rows; ``last_check`` is what the check before showed in the same unit, NaN where there
        was none.
    """
    names = ("conn_id", "vendor", "unit", "source")
    rows = told.astype(dict.fromkeys(names, text_type())).reset_index(drop=True)
    checked = rows["checked_at"].where(rows["source"] == BalanceSource.CHECK.value)
    last = checked.groupby([rows["conn_id"], rows["day"]]).transform("max")
    rows = rows[checked.notna() | ~(rows["checked_at"] <= last)]
    is_check = rows["source"] == BalanceSource.CHECK.value
    since_check = [rows["conn_id"], rows["unit"], is_check.groupby(rows["conn_id"]).cumsum()]
    known = rows["remaining"].groupby(since_check).cummin().groupby(since_check).shift()
    of_unit = [rows["conn_id"], rows["unit"]]
    checks = rows["remaining"].where(is_check).groupby(of_unit).ffill().groupby(of_unit).shift()
    rows = rows.assign(last_check=checks)
    return rows[is_check | known.isna() | (rows["remaining"] < known)].reset_index(drop=True)
