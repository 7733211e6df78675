"""One item of a JSON list that is kept as text, as SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ColumnElement, FunctionElement


class ListItem(FunctionElement[str]):
    """
    An item of a JSON list of texts; ``NULL`` when the list is.

    :param items: the list.
    :param place: the item's place, from 0.
    """

    type = String()
    inherit_cache = True
    name = "sms_list_item"

    def __init__(self, items: ColumnElement[Any], place: ColumnElement[int]) -> None:
        super().__init__(items, place)


def _both(element: ListItem, compiler: Any, options: dict[str, Any]) -> tuple[str, str]:
    items, place = (compiler.process(clause, **options) for clause in element.clauses)
    return items, place


@compiles(ListItem, "sqlite")
def _sqlite(element: ListItem, compiler: Any, **options: Any) -> str:
    items, place = _both(element, compiler, options)
    return f"json_extract({items}, '$[' || {place} || ']')"


@compiles(ListItem, "postgresql")
def _postgresql(element: ListItem, compiler: Any, **options: Any) -> str:
    items, place = _both(element, compiler, options)
    return f"(CAST({items} AS json) ->> {place})"


@compiles(ListItem, "mysql")
def _mysql(element: ListItem, compiler: Any, **options: Any) -> str:
    items, place = _both(element, compiler, options)
    return f"json_unquote(json_extract({items}, concat('$[', {place}, ']')))"
