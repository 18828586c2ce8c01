"""Statements of statistics: aggregates by group, and distinct values. Each is built once per shape and cached by the
caller.

The database does the work. The parts that differ between providers are methods of ``Dialect``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import sqlalchemy as sa

from apilane.model.definition import Entity, Property
from apilane.model.statistics import GroupKey, Measure
from apilane.sql.dialect import Dialect
from apilane.sql.filter import FilterShape, filter_predicate
from apilane.sql.statement import Statement, compile_statement
from apilane.sql.write import Restriction, restrict

__all__ = ["AggregateShape", "DistinctShape", "select_aggregates", "select_distinct"]


class AggregateShape(NamedTuple):
    """All inputs that determine the text of an aggregate."""

    measures: tuple[Measure, ...]
    """The first values of a row, in this order."""
    groups: tuple[GroupKey, ...] = ()
    """The values after them. Without groups there is one row, and no paging."""
    restrictions: tuple[Restriction, ...] = ()
    filter: FilterShape | None = None
    ascending: bool = False
    """The order of all measures; the groups follow, ascending (B-Q7)."""


def select_aggregates(entity: Entity, table: sa.Table, shape: AggregateShape, dialect: Dialect) -> Statement:
    """One row per group; parameters: those of the restrictions, ``f0`` ..., with groups ``limit`` and ``offset``."""
    measures: list[tuple[sa.Label[Any], Property]] = []
    for number, (name, function) in enumerate(shape.measures):
        property = _property(entity, name)
        measures.append((dialect.aggregate(function, table.c[name], property).label(f"m{number}"), property))
    parts: list[sa.ColumnElement[Any]] = [
        table.c[name] if part is None else dialect.date_part(table.c[name], part) for name, part in shape.groups
    ]
    groups = [part.label(f"g{number}") for number, part in enumerate(parts)]
    select = sa.select(*[label for label, _ in measures], *groups).select_from(table)
    select = select.where(*_conditions(table, shape.restrictions, shape.filter, dialect))
    if not groups:
        return compile_statement(select, dialect.sqlalchemy)
    order: list[sa.ColumnElement[Any]] = []
    for label, property in measures:
        order += dialect.order_by(label, property, descending=not shape.ascending)
    for group, key in zip(groups, shape.groups, strict=True):
        order += dialect.order_by(group, _property(entity, key.name), descending=False)
    return compile_statement(_paged(select.group_by(*parts).order_by(*order), dialect), dialect.sqlalchemy)


class DistinctShape(NamedTuple):
    """All inputs that determine the text of a read of distinct values."""

    column: str
    restrictions: tuple[Restriction, ...] = ()
    filter: FilterShape | None = None


def select_distinct(entity: Entity, table: sa.Table, shape: DistinctShape, dialect: Dialect) -> Statement:
    """The distinct values of a column in order, null first (B-Q13); parameters: those of the restrictions, ``f0`` ...,
    ``limit`` and ``offset``.
    """
    column = table.c[shape.column]
    select = sa.select(column).distinct().where(*_conditions(table, shape.restrictions, shape.filter, dialect))
    select = select.order_by(*dialect.order_by(column, _property(entity, shape.column), descending=False))
    return compile_statement(_paged(select, dialect), dialect.sqlalchemy)


def _paged(select: sa.Select[Any], dialect: Dialect) -> sa.Select[Any]:
    return dialect.page(select, sa.bindparam("limit", type_=sa.Integer()), sa.bindparam("offset", type_=sa.Integer()))


def _conditions(
    table: sa.Table, restrictions: tuple[Restriction, ...], filter: FilterShape | None, dialect: Dialect
) -> list[sa.ColumnElement[bool]]:
    return restrict(table, restrictions, dialect) + (
        [] if filter is None else [filter_predicate(filter, table, dialect)]
    )


def _property(entity: Entity, name: str) -> Property:
    property = entity.property(name)
    if property is None:
        raise ValueError(f"no property {name!r} in {entity.name}")
    return property
