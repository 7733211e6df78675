"""What is to be exported, where to, and in which form; all of it checked before anything is read."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_sms.days import read_hours, read_zone
from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.exporting.tables import TABLES
from airflow_provider_sms.store.frames.outcomes import BY

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from airflow_provider_sms.store.engine import Store
    from airflow_provider_sms.store.frames.outcomes import By

FORMATS = ("parquet", "csv")
NUMBERS = ("masked", "hash", "plain")


class Order(NamedTuple):
    """
    One export.

    :param table: one of :data:`~airflow_provider_sms.exporting.tables.TABLES`.
    :param number: how numbers are shown: ``masked``, ``hash`` or ``plain``.
    :param texts: whether texts of messages and replies go along.
    :param by: what figures are told by, besides the day.
    :param zone: whose days.
    :param silent_after_hours: after how long a message without a report counts as silent.
    """

    table: str
    number: str
    texts: bool
    by: tuple[By, ...]
    zone: ZoneInfo
    silent_after_hours: float


def checked_order(
    *,
    table: str,
    number: str,
    texts: Any,
    by: Any,
    timezone: Any,
    silent_after_hours: Any,
    problems: list[str],
) -> Order:
    """
    Read what users and templates give.

    :param problems: gets what is wrong with it; the order is of no use then.
    """
    if table not in TABLES:
        problems.append(f"table is {table!r}: use one of {', '.join(TABLES)}")
    if number not in NUMBERS:
        problems.append(f"number is {number!r}: use one of {', '.join(NUMBERS)}")
    keys = _names(by)
    known = [name for name in BY if name != "day"]
    if len({*keys} & {*known}) < len(keys):
        problems.append(
            f"by is {', '.join(keys)}: use any of {', '.join(known)}, each once; the day is always there"
        )
    return Order(
        table=table,
        number=number,
        texts=_switch("texts", texts, problems),
        by=tuple(name for name in known if name in keys),  # type: ignore[misc]
        zone=read_zone(timezone, problems),
        silent_after_hours=read_hours(silent_after_hours, problems),
    )


def checked_format(name: str, problems: list[str]) -> None:
    """Check the name of a file format, and that its library is there."""
    if name not in FORMATS:
        problems.append(f"format is {name!r}: use one of {', '.join(FORMATS)}")
    elif name == "parquet" and find_spec("pyarrow") is None:
        problems.append("Parquet needs pyarrow: pip install pyarrow, or use format='csv'")


def check_hashes(order: Order, store: Store, problems: list[str]) -> None:
    """
    Check that numbers can be hashed, if they are to be.

    :param problems: gets a sentence if the secret is not set.
    """
    if order.number == "hash" and not store.number_hash_key:
        problems.append(
            "number is 'hash', and [sms] number_hash_key is not set: set it, or use number='masked'"
        )


def refuse(problems: list[str], task_id: str) -> None:
    """
    Stop if anything is wrong.

    :raises PreflightError: listing everything.
    """
    if problems:
        raise PreflightError(problems, f"task {task_id!r}", "nothing was written")


def _names(by: Any) -> tuple[str, ...]:
    listed = by.split(",") if isinstance(by, str) else by or ()
    # What is neither a text nor a list is no name of a column either, and is told as that.
    parts = listed if isinstance(listed, Iterable) else (listed,)
    return tuple(name for name in (str(part).strip() for part in parts) if name)


def _switch(name: str, value: Any, problems: list[str]) -> bool:
    # A template renders to text, and every text but the empty one would count as true.
    said = str(value).strip().lower()
    if said in {"true", "1", "yes"}:
        return True
    if said not in {"false", "0", "no", "none", ""}:
        problems.append(f"{name} is {value!r}: use True or False")
    return False
