"""A filter tree as a condition: the tree becomes a shape and values, and each shape becomes SQL once.

The shape contains no value, so it can be the key of a statement cache. Values are the parameters ``f0``, ``f1`` ... in
the order of the shape (B-Q3). Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import count
from typing import NamedTuple, TypeVar

import sqlalchemy as sa

from apilane.model.definition import PropertyType
from apilane.model.filter import Leaf, Logic, Node, Operator
from apilane.sql.dialect import Dialect
from apilane.sql.statement import Value

__all__ = [
    "FilterShape",
    "GroupShape",
    "LeafShape",
    "bind_filter",
    "filter_predicate",
    "joined",
    "shape_of",
    "shape_predicate",
]

T = TypeVar("T")


CHAIN = 64
"""Number of conditions that are joined without nesting."""


class LeafShape(NamedTuple):
    """One condition on ``column``.

    ``test`` is an operator, or ``null``, ``notnull``, ``all``, ``none``, ``in``, ``notin``, ``true``, ``false``.
    ``variant`` is defined by the dialect; it is None if the test is not a text predicate.
    """

    column: str
    test: str
    parameters: int
    variant: str | None = None


class GroupShape(NamedTuple):
    """The shape of a group."""

    logic: str
    items: tuple[FilterShape, ...]


FilterShape = LeafShape | GroupShape

_EQUAL = Operator.EQUAL  # the lookup of an enum member is slower than the comparison
_TEXT_TESTS = frozenset(Operator) - {Operator.GREATER, Operator.GREATEROREQUAL, Operator.LESS, Operator.LESSOREQUAL}


def bind_filter(node: Node, dialect: Dialect) -> tuple[FilterShape, tuple[Value, ...]]:
    """The shape of a filter, and the values of its parameters in order.

    A list is extended to a length that is a power of two by repeating its last item, so that few shapes cover all
    lengths.
    """
    values: list[Value] = []
    shape = shape_of(node, dialect, values)
    return shape, tuple(values)


def shape_of(node: Node, dialect: Dialect, values: list[Value]) -> FilterShape:
    """The shape of a filter; the values of its parameters are added to ``values``."""
    if not isinstance(node, Leaf):
        return GroupShape(node.logic, tuple([shape_of(item, dialect, values) for item in node.items]))
    column, operator, value = node.property.name, node.operator, node.value
    if type(value) is str and operator in _TEXT_TESTS:
        variant, parameters = dialect.text_operand(operator, value)
        values.extend(parameters)
        return LeafShape(column, operator, len(parameters), variant)
    if value is None:
        return LeafShape(column, "null" if operator is _EQUAL else "notnull", 0)
    if type(value) is tuple:
        return _bind_list(column, operator, value, dialect, values)
    if node.property.type is PropertyType.Boolean:
        wanted = value is (operator is _EQUAL)
        values.append(dialect.encode_boolean(wanted))
        return LeafShape(column, "true" if wanted else "false", 1)
    values.append(dialect.encode_decimal(value) if isinstance(value, Decimal) else value)
    return LeafShape(column, operator, 1)


def _bind_list(
    column: str,
    operator: Operator,
    items: tuple[str, ...] | tuple[int | Decimal, ...],
    dialect: Dialect,
    values: list[Value],
) -> FilterShape:
    any_of = operator is Operator.CONTAINS
    if not items:
        return LeafShape(column, "none" if any_of else "all", 0)
    if not isinstance(items[0], str):
        numbers = [dialect.encode_decimal(item) if isinstance(item, Decimal) else item for item in items]
        values.extend(_padded(numbers))
        return LeafShape(column, "in" if any_of else "notin", _padded_length(len(numbers)))
    test = "equal" if any_of else "notequal"
    by_variant: dict[str, list[tuple[Value, ...]]] = {}
    for item in items:
        variant, parameters = dialect.text_operand(test, str(item))
        by_variant.setdefault(variant, []).append(parameters)
    leaves: list[FilterShape] = []
    for variant, operands in sorted(by_variant.items()):
        for parameters in _padded(operands):
            values.extend(parameters)
            leaves.append(LeafShape(column, test, len(parameters), variant))
    return GroupShape(Logic.OR if any_of else Logic.AND, tuple(leaves))


def _padded_length(count: int) -> int:
    return 1 << (count - 1).bit_length()


def _padded(items: list[T]) -> list[T]:
    return items + items[-1:] * (_padded_length(len(items)) - len(items))


def filter_predicate(
    shape: FilterShape, table: sa.Table, dialect: Dialect, prefix: str = "f"
) -> sa.ColumnElement[bool]:
    """The condition of a shape on ``table``, its parameters named ``f0``, ``f1`` ... in order."""
    return shape_predicate(shape, table, dialect, (f"{prefix}{number}" for number in count()))


def shape_predicate(
    shape: FilterShape, table: sa.FromClause, dialect: Dialect, names: Iterator[str]
) -> sa.ColumnElement[bool]:
    """The condition of a shape on ``table``; its parameters take the next names."""
    if isinstance(shape, GroupShape):
        return joined(shape.logic, [shape_predicate(item, table, dialect, names) for item in shape.items])
    column = table.c[shape.column]
    binds = [sa.bindparam(next(names), type_=column.type) for _ in range(shape.parameters)]
    if shape.variant is not None:
        return dialect.text_predicate(shape.test, shape.variant, column, binds)
    return _plain(shape.test, column, binds)


def joined(logic: str, items: list[sa.ColumnElement[bool]]) -> sa.ColumnElement[bool]:
    """Join conditions. Many become a balanced tree: SQLite refuses expressions deeper than 1000 levels, which a chain
    reaches.
    """
    if len(items) <= CHAIN:
        return sa.and_(*items) if logic == Logic.AND else sa.or_(*items)
    half = len(items) // 2
    left, right = joined(logic, items[:half]), joined(logic, items[half:])
    return left.self_group().bool_op(logic)(right.self_group())


def _plain(
    test: str, column: sa.ColumnElement[object], binds: list[sa.BindParameter[object]]
) -> sa.ColumnElement[bool]:
    match test:
        case "null":
            return column.is_(None)
        case "notnull":
            return column.is_not(None)
        case "all":
            return sa.true()
        case "none":
            return sa.false()
        case "in":
            return column.in_(binds)
        case "notin":
            return column.not_in(binds)
        case "true" | Operator.EQUAL:
            return column == binds[0]
        case "false":  # null counts as false
            return sa.or_(column == binds[0], column.is_(None))
        case Operator.NOTEQUAL:
            return column != binds[0]
        case Operator.GREATER:
            return column > binds[0]
        case Operator.GREATEROREQUAL:
            return column >= binds[0]
        case Operator.LESS:
            return column < binds[0]
        case Operator.LESSOREQUAL:
            return column <= binds[0]
    raise ValueError(f"no such test: {test!r}")
