"""Statements that read records: a page, one, or a count. Each is built once per shape and cached by the caller."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from apilane.model.definition import Direction, Entity, SortKey
from apilane.sql.conditions import Condition
from apilane.sql.dialect import Dialect
from apilane.sql.filter import FilterShape, filter_predicate
from apilane.sql.keyset import Keyset, keyset_conditions, total_order
from apilane.sql.statement import Statement, compile_statement
from apilane.sql.write import BY_ID, Restriction, restrict

__all__ = ["Mask", "ReadShape", "count_records", "masked", "select_records"]


Mask = tuple[str, Condition]
"""A column, and the condition under which it shows its value."""


class ReadShape(NamedTuple):
    """All inputs that determine the text of a read."""

    columns: tuple[str, ...]
    """Names in schema spelling; values in rows have this order."""
    restrictions: tuple[Restriction, ...] = ()
    filter: FilterShape | None = None
    order: tuple[SortKey, ...] = ()
    """``ID`` follows as the last key (B-Q12). Without keys and paging the read is unordered."""
    paged: bool = False
    """Whether there are the parameters ``limit`` and ``offset``."""
    after: Keyset | None = None
    """A step of reading on after a record; ``all``: the first read of an order that is read on later."""
    masks: tuple[Mask, ...] = ()
    """Columns that are null where a record does not meet their condition."""
    keys: tuple[str, ...] = ()
    """Columns that follow without masks, for the server's own use."""


def select_records(entity: Entity, table: sa.Table, shape: ReadShape, dialect: Dialect) -> Statement:
    """Read rows of ``shape.columns``; parameters: those of the restrictions, ``f0`` ..., and those of paging."""
    columns = masked(table, shape.columns, shape.masks, dialect, by_id=BY_ID in shape.restrictions)
    hidden = [table.c[name].label(f"h{position}") for position, name in enumerate(shape.keys)]
    select = sa.select(*columns, *hidden).where(*_conditions(table, shape.restrictions, shape.filter, dialect))
    if shape.after is not None:
        select = select.where(*keyset_conditions(entity, table, shape.after, dialect))
    if shape.order or shape.paged:
        select = select.order_by(*_order(entity, table, shape, dialect))
    if shape.paged:
        select = dialect.page(
            select, sa.bindparam("limit", type_=sa.Integer()), sa.bindparam("offset", type_=sa.Integer())
        )
    is_simple = not shape.masks and not any(isinstance(each, Condition) for each in shape.restrictions)
    return compile_statement(select, dialect.sqlalchemy, of_one_row=is_simple and BY_ID in shape.restrictions)


def masked(
    table: sa.Table, columns: Sequence[str], masks: tuple[Mask, ...], dialect: Dialect, *, by_id: bool = False
) -> list[sa.ColumnElement[Any]]:
    """Columns, those with a mask as null where a record does not meet its condition."""
    if not masks:
        return [table.c[name] for name in columns]
    conditions = dict(masks)
    return [
        sa.case((conditions[name].predicate(table, dialect, by_id=by_id), table.c[name]), else_=sa.null()).label(
            f"m{position}"
        )
        if name in conditions
        else table.c[name]
        for position, name in enumerate(columns)
    ]


def count_records(
    entity: Entity,
    table: sa.Table,
    restrictions: tuple[Restriction, ...],
    filter: FilterShape | None,
    dialect: Dialect,
) -> Statement:
    """One row with the number of records."""
    count = sa.select(sa.func.count()).select_from(table)
    return compile_statement(count.where(*_conditions(table, restrictions, filter, dialect)), dialect.sqlalchemy)


def _conditions(
    table: sa.Table, restrictions: tuple[Restriction, ...], filter: FilterShape | None, dialect: Dialect
) -> list[sa.ColumnElement[bool]]:
    return restrict(table, restrictions, dialect) + (
        [] if filter is None else [filter_predicate(filter, table, dialect)]
    )


def _order(entity: Entity, table: sa.Table, shape: ReadShape, dialect: Dialect) -> list[sa.ColumnElement[object]]:
    elements: list[sa.ColumnElement[object]] = []
    for key in total_order(shape.order):  # SQL Server refuses a repeated column
        property = entity.property(key.property)
        if property is None:
            raise ValueError(f"no property {key.property!r} in {entity.name}")
        column: sa.ColumnElement[object] = table.c[key.property]
        if shape.after is not None:
            column = dialect.order_key(column, property)
        elements.extend(dialect.order_by(column, property, descending=key.direction is Direction.DESC))
    return elements
