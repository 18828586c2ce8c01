"""Statements that read the records related to those of a page: one for each path, whatever the size of the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from apilane.model.definition import Property
from apilane.sql.dialect import Dialect
from apilane.sql.select import Mask, masked
from apilane.sql.statement import Statement, compile_statement
from apilane.sql.write import Restriction, restrict

__all__ = ["OrderKey", "Rights", "select_referring", "select_targets"]

OrderKey = tuple[str, Property, bool]
"""Column, property, and whether it descends."""


class Rights(NamedTuple):
    """The rows that the caller may read, and the columns that are null in some of them."""

    restrictions: tuple[Restriction, ...] = ()
    masks: tuple[Mask, ...] = ()


def select_targets(
    table: sa.Table,
    columns: Sequence[str],
    count: int,
    rights: Rights,
    *,
    dialect: Dialect,
) -> Statement:
    """Columns of the rows whose ``ID`` is one of ``count`` parameters ``expand0`` ..., with the masks of ``rights``."""
    select = sa.select(*masked(table, columns, rights.masks, dialect))
    statement = select.where(_one_of(table.c["ID"], count), *restrict(table, rights.restrictions, dialect))
    return compile_statement(statement, dialect.sqlalchemy)


def select_referring(
    table: sa.Table,
    columns: Sequence[str],
    source: tuple[str, int],
    order: Sequence[OrderKey],
    rights: Rights,
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
    values = [table.c[reference], *masked(table, columns, rights.masks, dialect)]
    labels = [value.label(f"c{number}") for number, value in enumerate(values)]
    inner = sa.select(*labels, place).where(
        _one_of(table.c[reference], count), *restrict(table, rights.restrictions, dialect)
    )
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
