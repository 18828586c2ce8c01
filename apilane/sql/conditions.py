"""Conditions of access rules: filters that may also follow a foreign key, or compare with the caller's own record.

Both become sub-selects. As with filters, a shape contains no value and is the key of caches. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, NamedTuple

import sqlalchemy as sa

from apilane.model.definition import PropertyType
from apilane.model.filter import CallerValue, Leaf, Node, Operator
from apilane.sql.dialect import Dialect
from apilane.sql.filter import FilterShape, joined, shape_of, shape_predicate
from apilane.sql.statement import Value

__all__ = ["Condition", "ConditionGroup", "ConditionShape", "OtherTable", "RelatedShape", "UserShape", "bind_condition"]


class OtherTable:
    """A table beside that of the records. Shapes are keys of caches, so it is compared and hashed as an object.

    ``tenant``: the column that must have the caller's tenant; None: every row counts.
    """

    __slots__ = ("table", "tenant")

    def __init__(self, table: sa.Table, tenant: str | None = None) -> None:
        self.table = table
        self.tenant = tenant

    def __repr__(self) -> str:
        return f"OtherTable({self.table.name})"


class UserShape(NamedTuple):
    """``column`` compared with ``wanted`` of the caller's row in ``users``; the parameter is the caller's ID."""

    column: str
    test: str
    users: OtherTable
    wanted: str
    type: PropertyType


class RelatedShape(NamedTuple):
    """A row of ``other`` exists with ``key`` = ``column`` of the record, and meets ``item``."""

    column: str
    key: str
    other: OtherTable
    item: FilterShape | UserShape
    without_tenant: bool
    """The caller has no tenant. Otherwise the tenant is the last parameter, if ``other`` has one."""


class ConditionGroup(NamedTuple):
    """Conditions joined by ``logic``."""

    logic: str
    items: tuple[ConditionShape, ...]


ConditionShape = FilterShape | ConditionGroup | UserShape | RelatedShape
Others = Callable[[str], OtherTable]
"""The table of the entity with that name."""


def bind_condition(
    node: Node, dialect: Dialect, others: Others, *, without_tenant: bool
) -> tuple[ConditionShape, tuple[Value, ...]]:
    """The shape of a condition, and the values of its parameters in order; some are a ``CallerValue``.

    ``without_tenant``: the shape for callers without tenant.
    """
    values: list[Value] = []

    def bound(node: Node) -> ConditionShape:
        if not isinstance(node, Leaf):
            return ConditionGroup(node.logic, tuple([bound(item) for item in node.items]))
        item = _of_leaf(node, dialect, others, values)
        if node.path is None:
            return item
        other = others(node.path.entity)
        if other.tenant is not None and not without_tenant:
            values.append(CallerValue("tenant"))
        return RelatedShape(node.path.column, node.path.key, other, item, without_tenant)

    shape = bound(node)
    return shape, tuple(values)


def _of_leaf(leaf: Leaf, dialect: Dialect, others: Others, values: list[Value]) -> FilterShape | UserShape:
    value = leaf.value
    if isinstance(value, CallerValue) and value.kind == "property":
        values.append(CallerValue("user"))
        return UserShape(leaf.property.name, leaf.operator, others("Users"), value.name, leaf.property.type)
    return shape_of(leaf, dialect, values)


class Condition(NamedTuple):
    """The conditions of access rules, of which a record meets at least one."""

    alternatives: tuple[tuple[str, ConditionShape], ...]
    """Each with the prefix of its parameters."""

    def predicate(self, table: sa.Table, dialect: Dialect, *, by_id: bool = False) -> sa.ColumnElement[bool]:
        """The condition on ``table``. ``by_id``: the statement reads few records, which it finds by their IDs.

        Such a statement looks for the related rows of each record. Others may begin with the related rows: SQLite does
        so only for ``IN``, and databases that choose the way themselves make no difference.
        """
        build = _Builder(table, dialect, by_id=by_id)
        return sa.or_(*(build.predicate(shape, prefix) for prefix, shape in self.alternatives))


class _Builder:
    def __init__(self, table: sa.Table, dialect: Dialect, *, by_id: bool) -> None:
        self._table = table
        self._dialect = dialect
        self._by_id = by_id

    def predicate(self, shape: ConditionShape, prefix: str) -> sa.ColumnElement[bool]:
        """The parameters are named after the prefix: ``w0_0``, ``w0_1`` ... in order."""
        return self._predicate(shape, self._table, (f"{prefix}{number}" for number in count()))

    def _predicate(self, shape: ConditionShape, table: sa.FromClause, names: Iterator[str]) -> sa.ColumnElement[bool]:
        if isinstance(shape, ConditionGroup):
            return joined(shape.logic, [self._predicate(item, table, names) for item in shape.items])
        if isinstance(shape, RelatedShape):
            return self._related(shape, table, names)
        if isinstance(shape, UserShape):
            return self._user(shape, table, names)
        return shape_predicate(shape, table, self._dialect, names)

    def _related(self, shape: RelatedShape, table: sa.FromClause, names: Iterator[str]) -> sa.ColumnElement[bool]:
        related = shape.other.table.alias("related")
        conditions = [self._predicate(shape.item, related, names)]
        tenant = shape.other.tenant
        if tenant is not None:
            column = related.c[tenant]
            conditions.append(column.is_(None) if shape.without_tenant else column == sa.bindparam(next(names)))
        here, there = table.c[shape.column], related.c[shape.key]
        if self._by_id:
            return sa.select(sa.literal_column("1")).select_from(related).where(there == here, *conditions).exists()
        return here.in_(sa.select(there).select_from(related).where(*conditions))

    def _user(self, shape: UserShape, table: sa.FromClause, names: Iterator[str]) -> sa.ColumnElement[bool]:
        """Null on the side of the caller meets nothing."""
        caller = shape.users.table.alias("caller")
        column: sa.ColumnElement[Any] = table.c[shape.column]
        wanted: sa.ColumnElement[Any] = caller.c[shape.wanted]
        if shape.type is PropertyType.String:
            column, wanted = self._dialect.text_key(column), self._dialect.text_key(wanted)
        elif shape.type is PropertyType.Boolean:  # null of the record counts as false
            column = sa.func.coalesce(column, sa.false(), type_=sa.Boolean())
        value = sa.select(wanted).where(caller.c["ID"] == sa.bindparam(next(names))).scalar_subquery()
        match shape.test:
            case Operator.EQUAL:
                return column == value
            case Operator.NOTEQUAL:
                return column != value
            case Operator.GREATER:
                return column > value
            case Operator.GREATEROREQUAL:
                return column >= value
            case Operator.LESS:
                return column < value
            case Operator.LESSOREQUAL:
                return column <= value
        raise ValueError(f"no such test: {shape.test!r}")
