"""The needs of the statement builder in addition to SQLAlchemy's dialect. Pure: no connection.

A driver subclasses ``Dialect`` in its ``dialect.py`` and overrides only the differences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Final

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import Dialect as SQLAlchemyDialect

from apilane.model.dates import MAX_MS, MIN_MS
from apilane.model.definition import Entity, Property, PropertyType
from apilane.model.migration import Migration, Renames
from apilane.model.statistics import AggregateFunction, DatePart
from apilane.sql.limits import Limits, problems_of
from apilane.sql.numbers import plain_result
from apilane.sql.script import Script
from apilane.sql.statement import Statement, Value, compile_statement

__all__ = ["CLOCK_PARTS", "Dialect", "Migration", "Renames", "any_or_none", "within_years"]


def any_or_none(variant: str, column: sa.ColumnElement[str]) -> sa.ColumnElement[bool] | None:
    """The condition of the variants ``any`` (every row with a text) and ``none`` (no row); None for other variants."""
    if variant == "any":
        return column.is_not(None)
    if variant == "none":
        return sa.and_(column.is_not(None), sa.false())
    return None


CLOCK_PARTS: Final[Mapping[str, tuple[str, str | None]]] = {
    "hour": ("3600000", None),
    "minute": ("60000", "60"),
    "second": ("1000", "60"),
}
"""For date parts that a driver computes: the length in ms, and the number of them in the next larger part, as SQL."""


def within_years(column: sa.ColumnElement[Any], part: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """``part`` of a Date in the years 1 to 9999, null for other years, for which the functions of servers fail."""
    first: sa.ColumnElement[int] = sa.literal_column(str(MIN_MS))
    last: sa.ColumnElement[int] = sa.literal_column(str(MAX_MS))
    return sa.case((column.between(first, last), part))


class Dialect:
    """One provider's SQL. Instances are immutable; all applications on the provider share one."""

    name: ClassVar[str]
    sqlalchemy: SQLAlchemyDialect
    quoted: ClassVar[str] = r"""'(?:[^']|'')*+(?:'|\Z)|"(?:[^"]|"")*+(?:"|\Z)"""
    """Pattern of a string or quoted identifier, to tell code from text; ``.`` matches line feeds."""
    comment: ClassVar[str] = r"--[^\n]*+|/\*.*?(?:\*/|\Z)"
    """Pattern of a comment."""

    locks_rows: ClassVar[bool] = True
    """Several units may write at a time, and each locks the rows that it changes."""
    checks_references_by_row: ClassVar[bool] = False
    """A statement cannot delete a row that another row refers to, even if it deletes the other row too."""
    unchecked: ClassVar[tuple[str, str]] = ("", "")
    """What comes before an UPDATE, and after its first word, so that the database does not check the references of that
    statement. Needed where references are checked by row: a required reference cannot be emptied otherwise.
    """
    limits: ClassVar[Limits] = Limits()
    """The names that the provider keeps for itself, and the numbers of what a table holds."""

    def column_type(self, property: Property) -> sa.types.TypeEngine[Any]:
        """The column type of docs/reference/protocol/data-model.md section 10."""
        raise NotImplementedError

    def column_default(self, property: Property) -> sa.TextClause | None:
        """The DDL default of a required column: 0, '' or false (docs/reference/protocol/data-model.md section 10). None
        for optional columns and keys.
        """
        if not property.required or property.is_primary_key:
            return None
        return sa.text("''" if property.type is PropertyType.String else "0")

    def decoder(self, property: Property) -> Callable[[Value], Value] | None:
        """The function that turns a value of the client library into str/int/float/bool/None; None when no conversion
        is needed.

        The function is never called with None.
        """
        raise NotImplementedError

    def encode_boolean(self, value: bool) -> Value:
        """A Boolean in the form that the client library binds."""
        return value

    def encode_decimal(self, value: Decimal) -> Value:
        """A number of a filter outside 64-bit integers, in the form that the client library binds.

        Exact providers (``Features.exact_decimals``) return it unchanged.
        """
        return float(value)

    def text_operand(self, operator: str, value: str) -> tuple[str, tuple[Value, ...]]:
        """Prepare a String filter value: ``(variant, parameters)``.

        ``operator`` is one of equal, notequal, startswith, endswith, contains, notcontains. ``variant`` becomes part of
        the statement's shape; ``parameters`` are bound in order. Letter case folds (``apilane.model.text.fold``),
        accents are compared, and ``%`` ``_`` ``\\`` are literal (B-Q3). For pure ASCII text an index can be used.
        """
        raise NotImplementedError

    def text_predicate(
        self, operator: str, variant: str, column: sa.ColumnElement[str], binds: Sequence[sa.BindParameter[Any]]
    ) -> sa.ColumnElement[bool]:
        """The condition for a variant of ``text_operand``; rows where the column is null never match."""
        raise NotImplementedError

    def unique_key(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """What a unique constraint compares of a String property: two texts have equal keys if they are ``equal`` in a
        filter. The schema's unique indexes use the same expression. Here: the text itself, for databases whose
        comparison is that of ``fold``.
        """
        return column

    def text_key(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """What compares two Strings in the database: equal keys are texts that are ``equal`` in a filter. Here:
        ``unique_key``.
        """
        return self.unique_key(column)

    def order_by(
        self, column: sa.ColumnElement[Any], property: Property, *, descending: bool
    ) -> Sequence[sa.ColumnElement[Any]]:
        """Sort keys with nulls first ascending, last descending (B-Q12)."""
        return [column.desc() if descending else column.asc()]

    def order_key(self, column: sa.ColumnElement[Any], property: Property) -> sa.ColumnElement[Any]:
        """What reads with a cursor sort and compare for a property. Needed where the database's order of a column is
        not that of its ``<``.
        """
        return column

    def aggregate(
        self, function: AggregateFunction, column: sa.ColumnElement[Any], property: Property
    ) -> sa.ColumnElement[Any]:
        """An aggregate of a column; nulls do not count. Sums are exact, and averages have a fraction.

        Only Number and Date have ``sum`` and ``avg``; an encrypted property has only ``count``. A driver overrides the
        functions that its provider computes in another way.
        """
        result: sa.ColumnElement[Any] = getattr(sa.func, function)(column)
        return result

    def aggregate_decoder(self, function: AggregateFunction, property: Property) -> Callable[[Value], Value] | None:
        """The function that turns the value of ``aggregate`` into the JSON value; None when no conversion is needed.

        It is never called with None.
        """
        match function:
            case "count":
                return None
            case "min" | "max":
                return bool if property.type is PropertyType.Boolean else self.decoder(property)
            case _:
                return plain_result

    def date_part(self, column: sa.ColumnElement[Any], part: DatePart) -> sa.ColumnElement[Any]:
        """A part of a Date, which is stored as unix ms: in UTC, for the years 1 to 9999, whatever the time zone of the
        server (B-Q6). Null for null and for other years.
        """
        raise NotImplementedError

    def date_part_decoder(self, part: DatePart) -> Callable[[Value], Value] | None:
        """The function that turns the value of ``date_part`` into the JSON value; None when no conversion is needed.

        The JSON type belongs to the provider (docs/reference/protocol/query-language.md section 5).
        """
        return None

    def text_bytes(self, column: sa.ColumnElement[str]) -> sa.ColumnElement[int]:
        """Length of a text in bytes; never less than its length in UTF-16 units."""
        return sa.func.octet_length(column)

    def locked(self, select: sa.Select[Any]) -> sa.Select[Any]:
        """A read in a unit that locks its rows until the unit ends; unchanged if only one unit writes at a time."""
        return select.with_for_update()

    def kept(self, select: sa.Select[Any]) -> sa.Select[Any]:
        """A read in a unit after which no other unit changes the rows until the unit ends; others can read and keep
        them too. Unchanged if only one unit writes at a time.
        """
        return select.with_for_update(read=True)

    def insert_row(self, table: sa.Table, columns: Sequence[str]) -> Statement:
        """Insert one row; parameters are named after the columns, and omitted columns take their default.

        The driver must be able to read the new ID from the result of the statement. An explicit ``ID`` moves the
        sequence past it.
        """
        values: dict[str, sa.BindParameter[Any]] = {column: sa.bindparam(column) for column in columns}
        insert = sa.insert(table).values(values) if columns else sa.insert(table).values()
        return compile_statement(insert, self.sqlalchemy, of_one_row="ID" not in columns)

    def page(
        self, select: sa.Select[Any], limit: sa.BindParameter[int], offset: sa.BindParameter[int]
    ) -> sa.Select[Any]:
        """Add paging to a select, which always has an order."""
        return select.limit(limit).offset(offset)

    def migrate(self, migration: Migration) -> list[str]:
        """The statements of a migration in order: the driver's ``schema.py`` writes the changes of
        ``differ.differences``.

        They change tables, columns, declared indexes, unique constraints, foreign keys, and the automatic indexes
        (``Owner``, differentiation, foreign keys).
        """
        raise NotImplementedError

    def problems(self, entities: Sequence[Entity]) -> list[tuple[str, str]]:
        """The parts of ``entities`` that the provider does not support: place, as ``Entities[X].Properties[Y]``, and
        one sentence.

        Checked for all files before anything is changed, without a database. Here: ``limits``. A driver adds what only
        its provider has, such as keys that are too long and cascade paths.
        """
        return problems_of(entities, self.limits, self.row_bytes)

    def row_bytes(self, entity: Entity) -> int:
        """The most bytes that a row can take where ``Limits.row_max_bytes`` counts them; long texts that the provider
        moves out of the row count as what stays."""
        return 0

    def script_problems(self, script: Script, entities: Sequence[Entity]) -> list[str]:
        """The reasons why a script cannot run on the tables of ``entities`` (helper tables included), one sentence
        each.

        Checked before a definition is applied, without a database. A provider that cannot check a script returns
        nothing, and the calls of the script fail.
        """
        return []
