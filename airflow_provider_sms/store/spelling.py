"""SQL expressions that each kind of database spells in its own way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

if TYPE_CHECKING:
    from collections.abc import Mapping

ValueT = TypeVar("ValueT")

STANDARD = "standard"


class Spelled(FunctionElement[ValueT]):
    """
    An expression of some arguments.

    A subclass gives ``spellings``: for each dialect's name the SQL, with ``{0}`` for the first argument; and
    under :data:`STANDARD` what any other database that keeps to the standard may understand.
    """

    inherit_cache = True
    spellings: ClassVar[Mapping[str, str]]


@compiles(Spelled)
def _spell(element: Spelled[Any], compiler: Any, **options: Any) -> str:
    arguments = (compiler.process(clause, **options) for clause in element.clauses)
    spellings = element.spellings
    return spellings.get(compiler.dialect.name, spellings[STANDARD]).format(*arguments)
