"""A statement ready for a driver: constant text and the order of its parameters.

Pure. Texts come from SQLAlchemy Core; a statement is compiled once per shape and kept (``apilane.runtime``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from sqlalchemy.engine.interfaces import Dialect as SQLAlchemyDialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement

__all__ = ["Statement", "Value", "compile_statement"]

Value = str | int | float | bool | bytes | None | Any
"""What may travel to and from a database; Any stands for ``decimal.Decimal`` where a driver is exact."""


class Statement:
    """Constant SQL text; ``order`` names the parameter of each position.

    A name may stand at several positions. ``writes`` tells a driver whether it may run on a reader. A driver may
    keep what it learns about a shape (prepared handle, "too slow for the loop") in ``notes``.
    """

    __slots__ = ("notes", "order", "text", "writes")

    def __init__(self, text: str, order: tuple[str, ...] = (), *, writes: bool = False) -> None:
        self.text = text
        self.order = order
        self.writes = writes
        self.notes: Any = None

    def parameters(self, values: Mapping[str, Value]) -> tuple[Value, ...]:
        """``values`` by name, put in the order of the text. KeyError when one is missing."""
        return tuple([values[name] for name in self.order])

    def __repr__(self) -> str:
        return f"Statement({self.text!r})"


def compile_statement(element: ClauseElement, dialect: SQLAlchemyDialect, *, writes: bool = False) -> Statement:
    """Compile a SQLAlchemy construct whose every value is a named ``bindparam`` without a value.

    Raises ValueError when the construct carries a literal value: nothing may be baked into a text.
    """
    compiled = cast("SQLCompiler", element.compile(dialect=dialect, compile_kwargs={"render_postcompile": True}))
    baked = {name: value for name, value in compiled.params.items() if value is not None}
    if baked:
        raise ValueError(f"values baked into a statement: {sorted(baked)}")
    order = tuple(compiled.positiontup or ()) if compiled.positional else tuple(compiled.params)
    return Statement(str(compiled), order, writes=writes)
