"""The extra fields that a vendor's connections have, as forms, checks and documentation show them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


@dataclass(frozen=True, slots=True)
class ConnectionField:
    """
    One extra field of a connection, as forms, checks and documentation show it.

    :param name: key in the connection's extra.
    :param label: caption in the form.
    :param description: one sentence for the form and the docs.
    :param kind: ``"string"``, ``"integer"``, ``"number"`` or ``"boolean"``.
    :param default: value when the field is left empty.
    :param choices: the values allowed, when they are few.
    :param minimum: the least number allowed.
    :param maximum: the largest number allowed.
    :param required: whether the vendor cannot do without.
    :param secret: whether the form hides the value.
    """

    name: str
    label: str
    description: str
    kind: str = "string"
    default: Any = None
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    required: bool = False
    secret: bool = False
