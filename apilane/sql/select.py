"""Statements that read records: a page, one, or a count. Each is built once per shape and cached by the caller."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from apilane.model.definition import Direction, Entity, SortKey
from apilane.sql.dialect import Dialect
from apilane.sql.filter import FilterShape, filter_predicate
from apilane.sql.keyset import Keyset, keyset_conditions, total_order
from apilane.sql.statement import Statement, compile_statement
from apilane.sql.write import Restriction, restrict

__all__ = ["BY_ID", "ReadShape", "count_records", "select_records"]


BY_ID: Restriction = ("ID", "id")


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


def select_records(entity: Entity, table: sa.Table, shape: ReadShape, dialect: Dialect) -> Statement:
    """Read rows of ``shape.columns``; parameters: those of the restrictions, ``f0`` ..., and those of paging."""
    select = sa.select(*[table.c[name] for name in shape.columns]).where(
        *_conditions(table, shape.restrictions, shape.filter, dialect)
    )
    if shape.after is not None:
        select = select.where(*keyset_conditions(entity, table, shape.after, dialect))
    if shape.order or shape.paged:
        select = select.order_by(*_order(entity, table, shape, dialect))
    if shape.paged:
        select = dialect.page(
            select, sa.bindparam("limit", type_=sa.Integer()), sa.bindparam("offset", type_=sa.Integer())
        )
    return compile_statement(select, dialect.sqlalchemy, of_one_row=BY_ID in shape.restrictions)


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
    return restrict(table, restrictions) + ([] if filter is None else [filter_predicate(filter, table, dialect)])


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
