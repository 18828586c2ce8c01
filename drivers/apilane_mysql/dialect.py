"""The parts of SQL that differ in MySQL: column types, collations, letter case. Pure; the same text for MariaDB.

Collations: text columns of an application compare without letter case and with accents
(``utf8mb4_0900_as_ci`` on MySQL, ``utf8mb4_uca1400_as_ci`` on MariaDB, both without padding). Order and distinct
follow them. Text columns of the server (system properties, hidden columns, helper tables, the control store) compare
byte by byte (``utf8mb4_0900_bin``, ``utf8mb4_nopad_bin``).

Filters give the same results as on other databases (B-Q3), independent of the collation: the collation finds
candidates, by an index if there is one, and a comparison of the folded bytes decides. Unique constraints compare the
folded bytes, in generated columns that ``SELECT *`` does not show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Final

import sqlalchemy as sa
from sqlalchemy.dialects.mysql.base import MySQLDialect as SQLAlchemyMySQL
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from apilane.plugin.storage import (
    CLOCK_PARTS,
    AggregateFunction,
    DatePart,
    Dialect,
    Entity,
    Limits,
    Migration,
    Property,
    PropertyType,
    Script,
    Statement,
    Value,
    any_or_none,
    fold,
    plain_number,
    within_years,
)
from apilane_mysql import schema
from apilane_mysql.insert_row import InsertRow
from apilane_mysql.letters import folded_bytes, kept, script_of, unique_key
from apilane_mysql.limits import LIMITS, problems, row_bytes

__all__ = ["MySQLDialect"]

BYTEWISE: Final = "bytewise"
"""Placeholder in a column's type for the bytewise collation, whose name differs between the servers."""
SORTED_EXACTLY: Final = 100
"""Characters of a text column that the server sorts as it compares."""
_FINAL_SIGMA: Final = "σ"

_DAY_MS: Final[sa.ColumnElement[int]] = sa.literal_column("86400000", sa.BigInteger())
_EPOCH_DAY: Final[sa.ColumnElement[int]] = sa.literal_column("719528", sa.BigInteger())
"""TO_DAYS of 1970-01-01."""


def _clock(ms_of_day: sa.ColumnElement[Any], part: DatePart) -> sa.ColumnElement[Any]:
    """Hour, minute or second."""
    length, count = CLOCK_PARTS[part]
    whole = ms_of_day.op("DIV")(sa.literal_column(length))
    return whole if count is None else sa.func.mod(whole, sa.literal_column(count))


class MySQLDialect(Dialect):
    name: ClassVar[str] = "MySQL"
    quoted: ClassVar[str] = r"""'(?:[^'\\]|''|\\.)*+(?:'|\Z)|"(?:[^"\\]|""|\\.)*+(?:"|\Z)|`(?:[^`]|``)*+(?:`|\Z)"""
    limits: ClassVar[Limits] = LIMITS
    comment: ClassVar[str] = r"--(?=\s|\Z)[^\n]*+|#[^\n]*+|/\*.*?(?:\*/|\Z)"
    checks_references_by_row: ClassVar[bool] = True
    unchecked: ClassVar[tuple[str, str]] = (
        "/*M! SET STATEMENT foreign_key_checks = 0 FOR */ ",
        " /*+ SET_VAR(foreign_key_checks = OFF) */",
    )

    def __init__(self) -> None:
        self.sqlalchemy = SQLAlchemyMySQL(paramstyle="format")

    def column_type(self, property: Property) -> sa.types.TypeEngine[Any]:
        match property.type:
            case PropertyType.String:
                length = None if property.encrypted else property.maximum
                return sa.String(length, collation=BYTEWISE if property.is_system else None)
            case PropertyType.Boolean:
                return sa.Boolean()
            case PropertyType.Date:
                return sa.BigInteger()
            case PropertyType.Number:
                return sa.Numeric(18, property.decimal_places) if property.decimal_places else sa.BigInteger()

    def decoder(self, property: Property) -> Callable[[Value], Value] | None:
        if property.type is PropertyType.Boolean:
            return bool
        if property.type is PropertyType.Number and property.decimal_places:
            return plain_number
        return None

    def encode_decimal(self, value: Decimal) -> Value:
        return value

    def text_operand(self, operator: str, value: str) -> tuple[str, tuple[Value, ...]]:
        """Variants: ``ascii``, ``folded``, ``sigma`` (Greek, whose letter has two small forms), a script of
        ``letters.CAPITALS``, ``any`` and ``none``.

        Values are the folded bytes, followed by the value for the index.
        """
        if not value and operator not in {"equal", "notequal"}:
            return "none" if operator == "notcontains" else "any", ()
        folded = fold(value)
        variant = "ascii" if value.isascii() else script_of(folded) or ("sigma" if _FINAL_SIGMA in folded else "folded")
        wanted = kept(folded).encode("utf-8", "surrogatepass")
        match operator:
            case "equal":
                return variant, (value, wanted)
            case "startswith":
                return variant, (_literal_pattern(value) + "%", len(wanted), wanted)
            case "endswith":
                return variant, (len(wanted), wanted)
            case _:
                return variant, (wanted,)

    def text_predicate(
        self, operator: str, variant: str, column: sa.ColumnElement[str], binds: Sequence[sa.BindParameter[Any]]
    ) -> sa.ColumnElement[bool]:
        if (whole := any_or_none(variant, column)) is not None:
            return whole
        folded = _folded(variant, column)
        zero: sa.ColumnElement[Any] = sa.literal_column("0")
        indexed = getattr(column.type, "collation", None) != BYTEWISE and variant in {"ascii", "folded", "sigma"}
        match operator:
            case "equal":
                exact = folded == _raw(binds[1])
                return sa.and_(column == binds[0], exact) if indexed else sa.and_(_used(binds[0]), exact)
            case "notequal":
                return folded != _raw(binds[0])
            case "startswith":
                exact = sa.func.left(folded, _raw(binds[1]), type_=sa.LargeBinary()) == _raw(binds[2])
                return sa.and_(column.like(binds[0]), exact) if indexed else sa.and_(_used(binds[0]), exact)
            case "endswith":
                return sa.func.right(folded, _raw(binds[0]), type_=sa.LargeBinary()) == _raw(binds[1])
            case "contains":
                return sa.func.locate(_raw(binds[0]), folded) > zero
            case "notcontains":
                return sa.func.locate(_raw(binds[0]), folded) == zero
            case _:
                raise ValueError(f"no text operator: {operator}")

    def order_key(self, column: sa.ColumnElement[Any], property: Property) -> sa.ColumnElement[Any]:
        """MariaDB sorts a long text by its letters without their accents, but compares with accents: its sort keys have
        1024 bytes, 8 of them for a character, and the accents come last. So long texts are compared without accents.
        """
        is_text = property.type is PropertyType.String and not property.is_system
        length = getattr(column.type, "length", None)
        return _Unaccented(column) if is_text and (length is None or length > SORTED_EXACTLY) else column

    def aggregate(
        self, function: AggregateFunction, column: sa.ColumnElement[Any], property: Property
    ) -> sa.ColumnElement[Any]:
        """An average has four decimals more than its argument, so the argument gets 12."""
        return super().aggregate(function, column.cast(sa.Numeric(40, 12)) if function == "avg" else column, property)

    def date_part(self, column: sa.ColumnElement[Any], part: DatePart) -> sa.ColumnElement[Any]:
        """Integer arithmetic, independent of the session's time zone."""
        ms_of_day = sa.func.mod(sa.func.mod(column, _DAY_MS) + _DAY_MS, _DAY_MS, type_=sa.BigInteger())
        if part in CLOCK_PARTS:
            return within_years(column, _clock(ms_of_day, part))
        days = column.op("-")(ms_of_day).self_group().op("DIV")(_DAY_MS).self_group() + _EPOCH_DAY
        return within_years(column, getattr(sa.func, part)(sa.func.from_days(days), type_=sa.Integer()))

    def date_part_decoder(self, part: DatePart) -> Callable[[Value], Value] | None:
        """Text without leading zeros; zero is ``"0"``."""
        return str

    def unique_key(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return _folded("unique", column)

    def insert_row(self, table: sa.Table, columns: Sequence[str]) -> Statement:
        return InsertRow.of(super().insert_row(table, columns))

    def migrate(self, migration: Migration) -> list[str]:
        return schema.migrate(migration)

    def problems(self, entities: Sequence[Entity]) -> list[tuple[str, str]]:
        return [*super().problems(entities), *problems(entities)]

    def row_bytes(self, entity: Entity) -> int:
        return row_bytes(entity)

    def script_problems(self, script: Script, entities: Sequence[Entity]) -> list[str]:
        """The guard's refusals; no server is needed."""
        from apilane_mysql.guard import problems_of  # the parser takes 100 ms to import

        return problems_of(script)


def _literal_pattern(text: str) -> str:
    """The text with LIKE's wildcards escaped by a backslash."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _raw(bind: sa.BindParameter[Any]) -> sa.BindParameter[Any]:
    """A parameter without the conversions of the column's type."""
    return sa.bindparam(bind.key, type_=sa.types.NullType())


def _used(bind: sa.BindParameter[Any]) -> sa.ColumnElement[bool]:
    """A condition that is always true: the text of a shape must use all its parameters."""
    return _raw(bind).is_not(None)


class _Folded(FunctionElement[Any]):
    """Folded text as bytes; ``variant`` as in ``text_operand``, or ``unique``: what a unique constraint compares."""

    inherit_cache = False
    type = sa.LargeBinary()

    def __init__(self, variant: str, column: sa.ColumnElement[str]) -> None:
        super().__init__(column)
        self.variant = variant


def _folded(variant: str, column: sa.ColumnElement[str]) -> sa.ColumnElement[Any]:
    return _Folded(variant, column)


@compiles(_Folded)
def _compile_folded(element: _Folded, compiler: Any, **options: Any) -> str:
    column = compiler.process(element.clauses, **options)
    if element.variant == "unique":
        return unique_key(column)
    return folded_bytes(column, element.variant)


class _Unaccented(FunctionElement[str]):
    """A text in a collation that ignores accents, by the name of each server."""

    inherit_cache = False
    type = sa.Text()


@compiles(_Unaccented)
def _compile_unaccented(element: _Unaccented, compiler: Any, **options: Any) -> str:
    text = compiler.process(element.clauses, **options)
    return f"{text} COLLATE /*!80017 utf8mb4_0900_ai_ci */ /*M! utf8mb4_uca1400_ai_ci */"
