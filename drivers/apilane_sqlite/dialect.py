"""The parts of SQL that differ in SQLite: column types, letter case, booleans. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite.base import SQLiteDialect as SQLAlchemySQLite

from apilane.plugin.storage import (
    AggregateFunction,
    DatePart,
    Dialect,
    Entity,
    Limits,
    Migration,
    Property,
    PropertyType,
    Script,
    Value,
    any_or_none,
    fold,
    plain_result,
    within_years,
)
from apilane_sqlite import schema
from apilane_sqlite.guard import COMMENT, QUOTED, problems_of
from apilane_sqlite.limits import LIMITS

__all__ = ["FOLD_FUNCTION", "SQLiteDialect"]

FOLD_FUNCTION = "apilane_fold"
"""Registered on every connection (``apilane.model.text.fold``). No index uses it, so other tools can use the file."""

_PARTS: Final[dict[DatePart, str]] = {
    "year": "%Y",
    "month": "%m",
    "day": "%d",
    "hour": "%H",
    "minute": "%M",
    "second": "%S",
}


class SQLiteDialect(Dialect):
    name: ClassVar[str] = "SQLite"
    quoted: ClassVar[str] = QUOTED
    limits: ClassVar[Limits] = LIMITS
    comment: ClassVar[str] = COMMENT
    locks_rows: ClassVar[bool] = False

    def __init__(self) -> None:
        self.sqlalchemy = SQLAlchemySQLite(paramstyle="qmark")

    def column_type(self, property: Property) -> sa.types.TypeEngine[Any]:
        match property.type:
            case PropertyType.String:
                return sa.Text()
            case PropertyType.Boolean:
                return sa.Boolean()
            case PropertyType.Date:
                return sa.BigInteger()
            case PropertyType.Number:
                decimals = property.decimal_places
                return sa.Numeric(18, decimals, asdecimal=False) if decimals else sa.Integer()

    def decoder(self, property: Property) -> Callable[[Value], Value] | None:
        """Booleans are stored as 0 and 1. Whole numbers with decimals are read as int, which is the same JSON."""
        return bool if property.type is PropertyType.Boolean else None

    def text_operand(self, operator: str, value: str) -> tuple[str, tuple[Value, ...]]:
        """Variants: ``ascii`` (SQLite's own letter case, indexed where possible), ``folded``, and ``any`` for ''."""
        if not value and operator not in {"equal", "notequal"}:
            return "none" if operator == "notcontains" else "any", ()
        folded = fold(value)
        # NOCASE stops comparing at a NUL.
        plain = value.isascii() and "\0" not in value
        variant = "ascii" if plain else "folded"
        if operator == "startswith" and plain:
            return variant, (folded, _after(folded))
        if operator == "endswith":
            return variant, (-len(folded), folded)
        return variant, (folded,)

    def text_predicate(
        self, operator: str, variant: str, column: sa.ColumnElement[str], binds: Sequence[sa.BindParameter[Any]]
    ) -> sa.ColumnElement[bool]:
        if (whole := any_or_none(variant, column)) is not None:
            return whole
        if variant == "ascii":
            return _ascii_predicate(operator, column, binds)
        folded = sa.func.apilane_fold(column)
        if operator == "startswith":
            return sa.func.instr(folded, binds[0]) == sa.literal_column("1")
        return _folded_predicate(operator, folded, binds)

    def aggregate_decoder(self, function: AggregateFunction, property: Property) -> Callable[[Value], Value] | None:
        """Sums are rounded to the decimals of the property, averages to the 15 digits that a float holds exactly."""
        match function:
            case "sum":
                places = property.decimal_places or 0
                return lambda value: plain_result(round(value, places) if isinstance(value, float) else value)
            case "avg":
                return lambda value: plain_result(float(format(value, ".15g")))
            case _:
                return super().aggregate_decoder(function, property)

    def date_part(self, column: sa.ColumnElement[Any], part: DatePart) -> sa.ColumnElement[Any]:
        """Text with leading zeros. SQLite computes with ms, so no part is rounded."""
        seconds = column.op("/")(sa.literal_column("1000.0"))
        form: sa.ColumnElement[str] = sa.literal_column(f"'{_PARTS[part]}'")
        return within_years(column, sa.func.strftime(form, seconds, sa.literal_column("'unixepoch'"), type_=sa.Text()))

    def unique_key(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """ASCII letters fold; an index that folds every letter would need a function that other tools lack (B-D17)."""
        return column.collate("NOCASE")

    def text_key(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """Every letter folds; no index is needed."""
        return sa.func.apilane_fold(column)

    def locked(self, select: sa.Select[Any]) -> sa.Select[Any]:
        """Unchanged: there is one writer at a time."""
        return select

    def kept(self, select: sa.Select[Any]) -> sa.Select[Any]:
        """Unchanged: there is one writer at a time."""
        return select

    def migrate(self, migration: Migration) -> list[str]:
        return schema.migrate(migration)

    def script_problems(self, script: Script, entities: Sequence[Entity]) -> list[str]:
        """The errors that SQLite reports for the statements on empty tables in memory."""
        return problems_of(script, entities)


def _ascii_predicate(
    operator: str, column: sa.ColumnElement[str], binds: Sequence[sa.BindParameter[Any]]
) -> sa.ColumnElement[bool]:
    """SQLite's ``lower`` and NOCASE fold only ASCII letters, which is enough for an ASCII value."""
    match operator:
        case "equal":
            return column == sa.collate(binds[0], "NOCASE")
        case "notequal":
            return column != sa.collate(binds[0], "NOCASE")
        case "startswith":
            return sa.and_(column >= sa.collate(binds[0], "NOCASE"), column < sa.collate(binds[1], "NOCASE"))
        case _:
            return _folded_predicate(operator, sa.func.lower(column), binds)


def _folded_predicate(
    operator: str, folded: sa.ColumnElement[Any], binds: Sequence[sa.BindParameter[Any]]
) -> sa.ColumnElement[bool]:
    zero: sa.ColumnElement[Any] = sa.literal_column("0")
    match operator:
        case "equal":
            return folded == binds[0]
        case "notequal":
            return folded != binds[0]
        case "endswith":
            return sa.func.substr(folded, binds[0], type_=sa.Text()) == binds[1]
        case "contains":
            return sa.func.instr(folded, binds[0]) > zero
        case "notcontains":
            return sa.func.instr(folded, binds[0]) == zero
        case _:
            raise ValueError(f"no text operator: {operator}")


def _after(prefix: str) -> str:
    """The smallest text, in NOCASE order, after all that begin with ``prefix`` (lower case, ASCII, not empty).

    NOCASE compares capitals as small letters, so the character after ``@`` is ``[`` and not ``A``.
    """
    following = chr(ord(prefix[-1]) + 1)
    return prefix[:-1] + ("[" if following == "A" else following)
