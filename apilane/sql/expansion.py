"""Statements that read the records related to those of a page: one for each path, whatever the size of the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from apilane.model.definition import Property
from apilane.sql.dialect import Dialect
from apilane.sql.statement import Statement, compile_statement
from apilane.sql.write import Restriction, restrict

__all__ = ["OrderKey", "select_referring", "select_targets"]

OrderKey = tuple[str, Property, bool]
"""Column, property, and whether it descends."""


def select_targets(
    table: sa.Table, columns: Sequence[str], count: int, restrictions: Sequence[Restriction], dialect: Dialect
) -> Statement:
    """Columns of the rows whose ``ID`` is one of ``count`` parameters ``expand0`` ..."""
    select = sa.select(*[table.c[name] for name in columns])
    statement = select.where(_one_of(table.c["ID"], count), *restrict(table, restrictions))
    return compile_statement(statement, dialect.sqlalchemy)


def select_referring(
    table: sa.Table,
    columns: Sequence[str],
    source: tuple[str, int],
    order: Sequence[OrderKey],
    restrictions: Sequence[Restriction],
    *,
    dialect: Dialect,
) -> Statement:
    """The value of a reference and columns of the rows that refer to one of the parameters ``expand0`` ...: of each
    value the first ``each`` rows in ``order``, and at most ``limit`` rows in all.

    ``source``: the column of the reference, and the number of the parameters.
    """
    reference, count = source
    keys: list[sa.ColumnElement[Any]] = []
    for name, property, descends in order:
        keys.extend(dialect.order_by(table.c[name], property, descending=descends))
    place = sa.func.row_number().over(partition_by=table.c[reference], order_by=keys).label("place")
    labels = [table.c[name].label(f"c{number}") for number, name in enumerate((reference, *columns))]
    inner = sa.select(*labels, place).where(_one_of(table.c[reference], count), *restrict(table, restrictions))
    found = inner.subquery("found")
    each = sa.bindparam("each", type_=sa.Integer())
    select = sa.select(*[found.c[label.name] for label in labels]).where(found.c.place <= each)
    paged = dialect.page(
        select.order_by(found.c.c0, found.c.place),
        sa.bindparam("limit", type_=sa.Integer()),
        sa.bindparam("offset", type_=sa.Integer()),
    )
    return compile_statement(paged, dialect.sqlalchemy)


def _one_of(column: sa.ColumnElement[Any], count: int) -> sa.ColumnElement[bool]:
    return column.in_([sa.bindparam(f"expand{number}", type_=column.type) for number in range(count)])
