"""Statements that change records: insert, update, delete, and the reads that units need for them. Pure.

Each statement is constant per shape. Parameters are named after the columns they set, so that units bind by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from apilane.sql.conditions import Condition, ConditionShape
from apilane.sql.dialect import Dialect
from apilane.sql.statement import Statement, compile_statement

__all__ = [
    "BY_ID",
    "VALUES_PER_STATEMENT",
    "Restriction",
    "delete_by_ids",
    "delete_where",
    "detach_by_ids",
    "first_id_where",
    "insert_row",
    "let_go_by_ids",
    "padded",
    "restrict",
    "select_any",
    "select_by_ids",
    "select_flags",
    "select_kept",
    "select_where",
    "update_row",
    "update_where",
]

NOWHERE = -(2**63)
"""An ID that no record has."""

T = TypeVar("T")

VALUES_PER_STATEMENT: Final = 64

Restriction = tuple[str, str | None] | Condition
"""``(column, parameter)``: the column equals the parameter of that name; None: the column is null. Or a condition of
access rules.
"""


BY_ID: Final[Restriction] = ("ID", "id")


def restrict(
    table: sa.Table, restrictions: Sequence[Restriction], dialect: Dialect, *, by_id: bool = False
) -> list[sa.ColumnElement[bool]]:
    """The conditions of restrictions; parameters are bound by name. ``by_id``: as in ``Condition.predicate``."""
    by_id = by_id or BY_ID in restrictions
    return [_restriction(table, each, dialect, by_id=by_id) for each in restrictions]


def _restriction(table: sa.Table, restriction: Restriction, dialect: Dialect, *, by_id: bool) -> sa.ColumnElement[bool]:
    if isinstance(restriction, Condition):
        return restriction.predicate(table, dialect, by_id=by_id)
    column, parameter = restriction
    return table.c[column].is_(None) if parameter is None else table.c[column] == sa.bindparam(parameter)


def select_flags(
    table: sa.Table,
    alternatives: tuple[tuple[str, ConditionShape] | None, ...],
    count: int,
    locks: bool,
    dialect: Dialect,
) -> Statement:
    """``ID``, and for each condition 1 or 0: whether the row meets it; None is met. Of ``count`` rows, as in
    ``select_by_ids``. ``locks``: for units, until the unit ends.
    """
    flags = [
        sa.literal_column("1")
        if each is None
        else sa.case(
            (Condition((each,)).predicate(table, dialect, by_id=True), sa.literal_column("1")),
            else_=sa.literal_column("0"),
        )
        for each in alternatives
    ]
    labelled = [flag.label(f"m{position}") for position, flag in enumerate(flags)]
    statement = sa.select(table.c["ID"], *labelled).where(_in_ids(table, count)).order_by(table.c["ID"])
    return compile_statement(dialect.locked(statement) if locks else statement, dialect.sqlalchemy)


def insert_row(table: sa.Table, columns: Sequence[str], dialect: Dialect) -> Statement:
    """Insert one row; parameters are named after the columns. Omitted columns take their default."""
    return dialect.insert_row(table, columns)


def update_row(
    table: sa.Table,
    columns: Sequence[str],
    restrictions: Sequence[Restriction],
    reset_when_changed: tuple[str, str] | None,
    dialect: Dialect,
) -> Statement:
    """Set ``columns`` of the row with ``ID`` = parameter ``id`` within ``restrictions``.

    New values are parameters ``new_<column>``. ``reset_when_changed`` = (flag, column): the Boolean flag becomes false
    when the column gets a different value. The flag is set first, because MySQL evaluates assignments from left to
    right.
    """
    assignments: list[tuple[sa.Column[object], object]] = []
    if reset_when_changed:
        flag, column = reset_when_changed
        kept = sa.case(
            (table.c[column] == sa.bindparam(f"new_{column}"), table.c[flag]), else_=sa.bindparam("reset_flag")
        )
        assignments.append((table.c[flag], kept))
    assignments += [(table.c[column], sa.bindparam(f"new_{column}")) for column in columns]
    statement = (
        sa.update(table)
        .ordered_values(*assignments)
        .where(table.c["ID"] == sa.bindparam("id"), *restrict(table, restrictions, dialect))
    )
    return compile_statement(statement, dialect.sqlalchemy)


def update_where(
    table: sa.Table, columns: Sequence[str], restrictions: Sequence[Restriction], dialect: Dialect
) -> Statement:
    """Set ``columns`` (parameters ``new_<column>``) of every row within ``restrictions``."""
    values: dict[str, sa.BindParameter[Any]] = {column: sa.bindparam(f"new_{column}") for column in columns}
    statement = sa.update(table).values(values).where(*restrict(table, restrictions, dialect))
    return compile_statement(statement, dialect.sqlalchemy)


def select_where(
    table: sa.Table, columns: Sequence[str], restrictions: Sequence[Restriction], dialect: Dialect
) -> Statement:
    """Columns of every row within ``restrictions``."""
    statement = sa.select(*(table.c[column] for column in columns)).where(*restrict(table, restrictions, dialect))
    return compile_statement(statement, dialect.sqlalchemy)


def _in_ids(table: sa.Table, count: int) -> sa.ColumnElement[bool]:
    return table.c["ID"].in_([sa.bindparam(f"id{position}") for position in range(count)])


def select_by_ids(
    table: sa.Table, columns: Sequence[str], count: int, restrictions: Sequence[Restriction], dialect: Dialect
) -> Statement:
    """Columns of the rows within ``restrictions`` whose ``ID`` is one of ``count`` parameters ``id0`` ...

    For units: the rows are locked until the unit ends.
    """
    statement = (
        sa.select(*(table.c[column] for column in columns))
        .where(_in_ids(table, count), *restrict(table, restrictions, dialect, by_id=True))
        .order_by(table.c["ID"])
    )
    return compile_statement(dialect.locked(statement), dialect.sqlalchemy)


def select_kept(table: sa.Table, count: int, restrictions: Sequence[Restriction], dialect: Dialect) -> Statement:
    """``ID`` of the rows within ``restrictions`` whose ``ID`` is one of ``count`` parameters ``id0`` ...

    For units: until the unit ends, others can read and refer to these rows, and cannot change them.
    """
    statement = sa.select(table.c["ID"]).where(
        _in_ids(table, count), *restrict(table, restrictions, dialect, by_id=True)
    )
    return compile_statement(dialect.kept(statement.order_by(table.c["ID"])), dialect.sqlalchemy)


def select_any(
    table: sa.Table,
    columns: Sequence[str],
    among: tuple[str, int],
    restrictions: Sequence[Restriction],
    dialect: Dialect,
) -> Statement:
    """Columns of the rows within ``restrictions`` that have one of some values in a column.

    ``among``: the column and the number of values, which are the parameters ``value0`` ...
    """
    column, count = among
    wanted: list[sa.BindParameter[Any]] = [sa.bindparam(f"value{position}") for position in range(count)]
    statement = sa.select(*(table.c[name] for name in columns)).where(
        table.c[column].in_(wanted), *restrict(table, restrictions, dialect)
    )
    return compile_statement(statement, dialect.sqlalchemy)


def padded(values: Sequence[T]) -> Iterator[tuple[T, ...]]:
    """Chunks whose sizes are powers of two, filled up with the last value, so that there are few statement texts."""
    for start in range(0, len(values), VALUES_PER_STATEMENT):
        chunk = values[start : start + VALUES_PER_STATEMENT]
        size = 1 << (len(chunk) - 1).bit_length()
        yield (*chunk, *([chunk[-1]] * (size - len(chunk))))


def delete_by_ids(table: sa.Table, count: int, dialect: Dialect) -> Statement:
    """Delete the rows whose ``ID`` is one of ``count`` parameters ``id0`` ...."""
    return compile_statement(sa.delete(table).where(_in_ids(table, count)), dialect.sqlalchemy)


def detach_by_ids(table: sa.Table, column: str, to_itself: bool, count: int, dialect: Dialect) -> Statement:
    """Empty a reference of rows, given as ``count`` IDs. ``to_itself``: it refers to its own row instead."""
    value: sa.ColumnElement[Any] = table.c["ID"] if to_itself else sa.null()
    return compile_statement(sa.update(table).values({column: value}).where(_in_ids(table, count)), dialect.sqlalchemy)


def let_go_by_ids(table: sa.Table, column: str, count: int, dialect: Dialect) -> Statement:
    """Let a required reference of rows, given as ``count`` IDs, lead to no row. The database does not check this; the
    rows must be deleted in the same unit.
    """
    nowhere: sa.ColumnElement[Any] = sa.literal_column(str(NOWHERE))
    update = sa.update(table).values({column: nowhere}).where(_in_ids(table, count))
    statement = compile_statement(update, dialect.sqlalchemy)
    before, hint = dialect.unchecked
    first, _, rest = statement.text.partition(" ")
    return Statement(f"{before}{first}{hint} {rest}", statement.order, kind=statement.kind)


def delete_where(table: sa.Table, restrictions: Sequence[Restriction], dialect: Dialect) -> Statement:
    """Delete every row within ``restrictions``; at least one restriction is required."""
    if not restrictions:
        raise ValueError("a delete needs a restriction")
    return compile_statement(sa.delete(table).where(*restrict(table, restrictions, dialect)), dialect.sqlalchemy)


def first_id_where(table: sa.Table, restrictions: Sequence[Restriction], dialect: Dialect) -> Statement:
    """One row: the smallest ``ID`` within ``restrictions``, or null. Tells on all providers whether a row exists."""
    statement = sa.select(sa.func.min(table.c["ID"])).where(*restrict(table, restrictions, dialect))
    return compile_statement(statement, dialect.sqlalchemy)
