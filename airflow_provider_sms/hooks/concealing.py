"""
Keep texts and numbers out of the "Rendered Template" page, and out of the database behind it.

Airflow renders an operator's template fields, stores them, and shows them to whoever may see the task. What
is somebody's number or message is therefore wrapped as soon as it is rendered: Airflow gets its size, the
operator its value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jinja2 import Environment


class Concealed:
    """
    A rendered value of which only the size may be shown.

    :param value: the value; equal to this object.
    """

    __slots__ = ("value",)
    __hash__ = None  # type: ignore[assignment] # lists are among the values

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return bool(self.value == revealed(other))

    def __repr__(self) -> str:
        if isinstance(self.value, str):
            return f"(concealed: {len(self.value):,} characters)"
        if hasattr(self.value, "__len__"):
            return f"(concealed: {len(self.value):,} entries)"
        return "(concealed)"

    def serialize(self) -> str:
        """Give what Airflow stores and shows."""
        return repr(self)


def revealed(value: Any) -> Any:
    """Give the value behind a concealed one; any other as it is."""
    return value.value if isinstance(value, Concealed) else value


class ConcealingFields:
    """
    Mixed into an operator: conceals some of its template fields once they are rendered.

    Outside of a task, where nothing is rendered, they stay as they were given.
    """

    concealed_fields: ClassVar[tuple[str, ...]] = ()

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Any,
        jinja_env: Environment,
        seen_oids: set[int],
    ) -> None:
        # Mapped tasks are rendered by this method alone, not by the public one.
        super()._do_render_template_fields(  # type: ignore[misc]
            parent, template_fields, context, jinja_env, seen_oids
        )
        if parent is not self:
            return
        for name in self.concealed_fields:
            value = getattr(self, name)
            if value is not None and not isinstance(value, Concealed):
                setattr(self, name, Concealed(value))
