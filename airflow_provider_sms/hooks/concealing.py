"""
Keep texts and numbers out of the "Rendered Template" page, and out of the database behind it.

Airflow renders an operator's template fields, stores them, and shows them to whoever may see the task. What
is somebody's number or message is therefore wrapped as soon as it is rendered: Airflow gets its size, the
operator its value. Of a text that only may hold numbers, a query for one, Airflow gets all but these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.redact import mask_numbers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jinja2 import Environment


#: Errors of Airflow and Jinja that name a variable, a connection, an XCom or a file, and quote nothing.
_NAME_WHAT_IS_MISSING = frozenset(
    {"AirflowNotFoundException", "AirflowRuntimeError", "TemplateNotFound", "XComNotFound"}
)


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


class Masked(Concealed):
    """A rendered text that is shown with the numbers in it masked; of anything else the size is shown."""

    __slots__ = ()

    def __repr__(self) -> str:
        return mask_numbers(self.value) if isinstance(self.value, str) else super().__repr__()


def revealed(value: Any) -> Any:
    """Give the value behind a concealed one; any other as it is."""
    return value.value if isinstance(value, Concealed) else value


class DiscreetFields:
    """
    Mixed into an operator or a notifier: what cannot be rendered of some of its fields is not quoted.

    Airflow logs the whole template of a field that fails, and Jinja's own errors quote the line.
    """

    concealed_fields: ClassVar[tuple[str, ...]] = ()
    masked_fields: ClassVar[tuple[str, ...]] = ()

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Any,
        jinja_env: Environment,
        seen_oids: set[int],
    ) -> None:
        # Mapped tasks are rendered by this method alone, not by the public one.
        names = list(template_fields)
        hidden = {*self.concealed_fields, *self.masked_fields}
        discreet = [name for name in names if parent is self and name in hidden]
        for name in discreet:
            if (value := getattr(self, name, None)) is not None:
                rendered = self._rendered(name, value, context, jinja_env, seen_oids)
                setattr(self, name, self._kept(name, rendered))
        super()._do_render_template_fields(  # type: ignore[misc]
            parent, [name for name in names if name not in discreet], context, jinja_env, seen_oids
        )

    def _kept(self, name: str, value: Any) -> Any:
        """Give a rendered value as the field is to hold it."""
        del name
        return value

    def _rendered(
        self, name: str, value: Any, context: Any, jinja_env: Environment, seen_oids: set[int]
    ) -> Any:
        from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
        from jinja2 import UndefinedError

        try:
            if callable(value):
                return value(context=context, jinja_env=jinja_env)
            return self.render_template(value, context, jinja_env, seen_oids)  # type: ignore[attr-defined]
        except (AirflowSkipException, AirflowFailException):
            raise  # A macro's or a callable's decision on the task, in its own words.
        except (UndefinedError, KeyError) as error:
            # These name a variable, which the reader has to know.
            why = f"{type(error).__name__}: {mask_numbers(str(error))}"
        except Exception as error:  # noqa: BLE001 - whatever it says, it may quote the field
            named = type(error).__name__ in _NAME_WHAT_IS_MISSING
            why = f"{type(error).__name__}: {mask_numbers(str(error))}" if named else type(error).__name__
        # Out here nothing hangs on it.
        raise PreflightError([f"its template cannot be rendered ({why})"], f"field {name!r}")


class ConcealingFields(DiscreetFields):
    """
    Mixed into an operator: conceals some of its template fields once they are rendered, and masks others.

    Outside of a task, where nothing is rendered, they stay as they were given.
    """

    def _kept(self, name: str, value: Any) -> Any:
        if value is None or isinstance(value, Concealed):
            return value
        return Masked(value) if name in self.masked_fields else Concealed(value)
