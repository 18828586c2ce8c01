"""Statements that find the records that a change of tables affects, or that do not fit it. Pure.

Conditions are SQLAlchemy conditions on ``table_of`` of the entity before the change. The values they compare with are
bound parameters, which the docstrings name. Every table has the key ``ID``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from apilane.sql.dialect import Dialect
from apilane.sql.statement import Statement, compile_statement

__all__ = [
    "count_duplicates",
    "count_where",
    "duplicate_firsts",
    "equal_ids",
    "has_more_decimals",
    "ids_where",
    "is_longer",
    "leads_nowhere",
    "values_after",
]

Condition = sa.ColumnElement[bool]


def is_longer(column: sa.ColumnElement[Any], dialect: Dialect) -> Condition:
    """Texts of more than ``maximum`` bytes: all texts of more UTF-16 units than ``maximum``, and some of fewer."""
    return dialect.text_bytes(column) > sa.bindparam("maximum", type_=sa.BigInteger())


def has_more_decimals(column: sa.ColumnElement[Any]) -> Condition:
    """Numbers that change when they are rounded to ``decimals`` places."""
    return sa.func.round(column, sa.bindparam("decimals", type_=sa.Integer()), type_=column.type) != column


def leads_nowhere(column: sa.ColumnElement[Any], target: sa.Table | None) -> Condition:
    """References without a row in ``target``. If ``target`` is None, the table is new and empty."""
    if target is None:
        return column.is_not(None)
    target = target.alias("target")  # type: ignore[assignment]  # an entity may refer to itself
    return sa.and_(column.is_not(None), ~sa.exists().where(target.c["ID"] == column))


def count_where(table: sa.Table, condition: Condition | None, dialect: Dialect) -> Statement:
    """The number of rows; parameters: those of the condition."""
    select = sa.select(sa.func.count()).select_from(table)
    return compile_statement(select if condition is None else select.where(condition), dialect.sqlalchemy)


def ids_where(table: sa.Table, condition: Condition | None, dialect: Dialect) -> Statement:
    """IDs, ascending; parameters: those of the condition, ``limit`` and ``offset``."""
    key = table.c["ID"]
    select = sa.select(key) if condition is None else sa.select(key).where(condition)
    return _paged(select.order_by(key), dialect)


def values_after(table: sa.Table, column: str, condition: Condition, dialect: Dialect) -> Statement:
    """ID and value of the rows after the ID ``after``, ascending; parameters: those of the condition, ``limit`` and
    ``offset``.
    """
    key = table.c["ID"]
    select = sa.select(key, table.c[column]).where(key > sa.bindparam("after", type_=sa.BigInteger()), condition)
    return _paged(select.order_by(key), dialect)


def count_duplicates(
    table: sa.Table,
    columns: Sequence[str],
    dialect: Dialect,
    folded: Collection[str] = (),
    tenant: str | None = None,
) -> Statement:
    """The number of rows that have the same values as another row; nulls are not equal to each other, except in the
    column ``tenant``. ``folded``: the columns whose letter case folds.
    """
    groups = _duplicates(table, columns, folded, tenant, dialect).subquery()
    return compile_statement(sa.select(sa.func.sum(groups.c["records"])), dialect.sqlalchemy)


def duplicate_firsts(
    table: sa.Table,
    columns: Sequence[str],
    dialect: Dialect,
    folded: Collection[str] = (),
    tenant: str | None = None,
) -> Statement:
    """The smallest ID of each group of equal rows, ascending; parameters: ``limit`` and ``offset``."""
    groups = _duplicates(table, columns, folded, tenant, dialect).subquery()
    return _paged(sa.select(groups.c["first"]).order_by(groups.c["first"]), dialect)


def equal_ids(
    table: sa.Table,
    columns: Sequence[str],
    dialect: Dialect,
    folded: Collection[str] = (),
    tenant: str | None = None,
) -> Statement:
    """IDs of the rows equal to the row with the ID ``first``, that row included, ascending; parameters: also ``limit``
    and ``offset``.
    """
    first = table.alias("first_one")
    pairs = [(name, _key(first.c[name], folded, dialect), _key(table.c[name], folded, dialect)) for name in columns]
    same = [
        sa.or_(one == other, sa.and_(one.is_(None), other.is_(None))) if name == tenant else one == other
        for name, one, other in pairs
    ]
    select = sa.select(table.c["ID"]).select_from(table.join(first, sa.and_(*same)))
    select = select.where(first.c["ID"] == sa.bindparam("first", type_=sa.BigInteger()))
    return _paged(select.order_by(table.c["ID"]), dialect)


def _key(column: sa.ColumnElement[Any], folded: Collection[str], dialect: Dialect) -> sa.ColumnElement[Any]:
    return dialect.unique_key(column) if column.key in folded else column


def _duplicates(
    table: sa.Table, columns: Sequence[str], folded: Collection[str], tenant: str | None, dialect: Dialect
) -> sa.Select[Any, int]:
    grouped = [_key(table.c[name], folded, dialect) for name in columns]
    filled = [key for name, key in zip(columns, grouped, strict=True) if name != tenant]
    select = sa.select(sa.func.min(table.c["ID"]).label("first"), sa.func.count().label("records"))
    select = select.where(*(column.is_not(None) for column in filled)).group_by(*grouped)
    return select.having(sa.func.count() > sa.literal_column("1"))


def _paged(select: sa.Select[Any], dialect: Dialect) -> Statement:
    limit, offset = (sa.bindparam(name, type_=sa.Integer()) for name in ("limit", "offset"))
    return compile_statement(dialect.page(select, limit, offset), dialect.sqlalchemy)
