"""One item of a JSON list that is kept as text, as SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import String

from airflow_provider_sms.store.spelling import STANDARD, Spelled

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement


class ListItem(Spelled[str]):
    """
    An item of a JSON list of texts; ``NULL`` when the list is.

    On databases that this package does not know it is always ``NULL``.

    :param items: the list.
    :param place: the item's place, from 0.
    """

    type = String()
    inherit_cache = True
    name = "sms_list_item"
    spellings = {  # noqa: RUF012 - never changed
        "sqlite": "json_extract({0}, '$[' || {1} || ']')",
        "postgresql": "(CAST({0} AS json) ->> {1})",
        "mysql": "json_unquote(json_extract({0}, concat('$[', {1}, ']')))",
        # The standard's JSON_VALUE takes no place that is known only row by row.
        STANDARD: "CAST(NULL AS VARCHAR(128))",
    }

    def __init__(self, items: ColumnElement[Any], place: ColumnElement[int]) -> None:
        super().__init__(items, place)
