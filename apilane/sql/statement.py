"""A statement for a driver: constant text, and the order of its parameters.

Pure. SQLAlchemy Core makes the text; each statement is compiled once per shape and cached (``apilane.runtime``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any, Final, Literal, cast

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import Dialect as SQLAlchemyDialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.sql.functions import count

__all__ = ["Statement", "StatementKind", "Value", "compile_statement"]

Value = str | int | float | bool | bytes | None | Any
"""A value to or from a database; Any stands for ``decimal.Decimal`` with exact drivers."""

StatementKind = Literal["read", "insert", "update", "delete", "ddl", "command"]
"""``ddl`` changes tables; ``command`` changes something else, such as a setting of the session."""

_KINDS: Final[Mapping[type[ClauseElement], StatementKind]] = {
    sa.Insert: "insert",
    sa.Update: "update",
    sa.Delete: "delete",
}


class Statement:
    """Constant SQL text; ``order`` is the parameter name of each position. Applications share statements.

    A name may occur at several positions. ``kind`` names the action of the statement. ``writes`` is true for every kind
    except ``read``, which may run on a read connection. ``of_one_row``: the statement reads the row of one ID, or
    inserts a row whose ID the database creates; a driver may then combine the statements of several callers.
    ``counts_all``: the statement counts every row of a table, which takes longer for larger tables.
    """

    __slots__ = ("counts_all", "kind", "of_one_row", "order", "parameters", "text", "writes")

    parameters: Callable[[Mapping[str, Value]], tuple[Value, ...]]
    """Puts values given by name into the order of the text. KeyError when one is missing."""

    def __init__(
        self,
        text: str,
        order: tuple[str, ...] = (),
        *,
        kind: StatementKind = "read",
        of_one_row: bool = False,
        counts_all: bool = False,
    ) -> None:
        self.text = text
        self.order = order
        self.kind: StatementKind = kind
        self.writes = kind != "read"
        self.of_one_row = of_one_row
        self.counts_all = counts_all
        self.parameters = _picker(order)

    def __repr__(self) -> str:
        return f"Statement({self.text!r})"


def _picker(order: tuple[str, ...]) -> Callable[[Mapping[str, Value]], tuple[Value, ...]]:
    if len(order) > 1:
        return itemgetter(*order)  # written in C; for a single name it returns no tuple
    if not order:
        return lambda _values: ()
    (name,) = order
    return lambda values: (values[name],)


def compile_statement(
    element: ClauseElement,
    dialect: SQLAlchemyDialect,
    *,
    kind: StatementKind | None = None,
    of_one_row: bool = False,
) -> Statement:
    """Compile a SQLAlchemy construct in which each value is a named ``bindparam`` without a value.

    ``kind`` None means the kind of the construct, which is ``read`` for plain text. Raises ValueError when the
    construct contains a literal value, because texts must be constant.
    """
    compiled = cast("SQLCompiler", element.compile(dialect=dialect, compile_kwargs={"render_postcompile": True}))
    baked = {name: value for name, value in compiled.params.items() if value is not None}
    if baked:
        raise ValueError(f"values baked into a statement: {sorted(baked)}")
    order = tuple(compiled.positiontup or ()) if compiled.positional else tuple(compiled.params)
    kind = kind or _kind_of(element)
    return Statement(str(compiled), order, kind=kind, of_one_row=of_one_row, counts_all=_counts_all(element))


def _kind_of(element: ClauseElement) -> StatementKind:
    for base, kind in _KINDS.items():
        if isinstance(element, base):
            return kind
    return "read"


def _counts_all(element: ClauseElement) -> bool:
    if not isinstance(element, sa.Select) or element.whereclause is not None:
        return False
    columns, froms = list(element.selected_columns), element.get_final_froms()
    return len(columns) == len(froms) == 1 and isinstance(columns[0], count) and isinstance(froms[0], sa.TableClause)
