"""A statement ready for a driver: constant text and the order of its parameters.

Pure. Texts come from SQLAlchemy Core; a statement is compiled once per shape and kept (``apilane.runtime``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any, cast

from sqlalchemy.engine.interfaces import Dialect as SQLAlchemyDialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement

__all__ = ["Statement", "Value", "compile_statement"]

Value = str | int | float | bool | bytes | None | Any
"""What may travel to and from a database; Any stands for ``decimal.Decimal`` where a driver is exact."""


class Statement:
    """Constant SQL text; ``order`` names the parameter of each position.

    A name may stand at several positions. ``writes`` tells a driver whether it may run on a reader. ``of_one_row``: it
    reads the row of an ID, or inserts a row whose ID the database makes, so that a driver may run those of several
    callers together. A driver may keep what it learns about a shape in ``notes``; nothing about data, as applications
    share statements.
    """

    __slots__ = ("notes", "of_one_row", "order", "parameters", "text", "writes")

    parameters: Callable[[Mapping[str, Value]], tuple[Value, ...]]
    """Values by name, put in the order of the text. KeyError when one is missing."""

    def __init__(
        self, text: str, order: tuple[str, ...] = (), *, writes: bool = False, of_one_row: bool = False
    ) -> None:
        self.text = text
        self.order = order
        self.writes = writes
        self.of_one_row = of_one_row
        self.notes: Any = None
        self.parameters = _picker(order)

    def __repr__(self) -> str:
        return f"Statement({self.text!r})"


def _picker(order: tuple[str, ...]) -> Callable[[Mapping[str, Value]], tuple[Value, ...]]:
    if len(order) > 1:
        return itemgetter(*order)  # in C; a single value it would give without a tuple
    if not order:
        return lambda _values: ()
    (name,) = order
    return lambda values: (values[name],)


def compile_statement(
    element: ClauseElement, dialect: SQLAlchemyDialect, *, writes: bool = False, of_one_row: bool = False
) -> Statement:
    """Compile a SQLAlchemy construct whose every value is a named ``bindparam`` without a value.

    Raises ValueError when the construct carries a literal value: nothing may be baked into a text.
    """
    compiled = cast("SQLCompiler", element.compile(dialect=dialect, compile_kwargs={"render_postcompile": True}))
    baked = {name: value for name, value in compiled.params.items() if value is not None}
    if baked:
        raise ValueError(f"values baked into a statement: {sorted(baked)}")
    order = tuple(compiled.positiontup or ()) if compiled.positional else tuple(compiled.params)
    return Statement(str(compiled), order, writes=writes, of_one_row=of_one_row)
