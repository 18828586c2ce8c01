"""The parts of SQL that differ in PostgreSQL: column types, letter case, nulls first, keys. Pure.

Text columns have the collation "C": they sort by code point, as on SQLite, independent of the server's locale, and no
index breaks when the server's locale library changes. With this collation ``lower`` changes only ASCII letters,
which is enough for a pure ASCII value. For other values, the letters that fold to a letter of the value are translated
too. So PostgreSQL folds every letter as ``apilane.model.text.fold`` does, with any library version.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import Dialect as SQLAlchemyDialect

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
    Statement,
    Value,
    any_or_none,
    compile_statement,
    fold,
    plain_number,
    within_years,
)
from apilane_postgresql import schema
from apilane_postgresql.guard import COMMENT, QUOTED, problems_of
from apilane_postgresql.limits import INDEXED_CHARACTERS, LIMITS, problems, row_bytes, text_length

__all__ = ["PostgreSQLDialect"]

_CASED_BELOW = 0x1F000
"""Code points from here on have no letter case (see ``fold``)."""


class PostgreSQLDialect(Dialect):
    name: ClassVar[str] = "PostgreSQL"
    quoted: ClassVar[str] = QUOTED
    limits: ClassVar[Limits] = LIMITS
    comment: ClassVar[str] = COMMENT

    @cached_property
    def sqlalchemy(self) -> SQLAlchemyDialect:  # type: ignore[override]
        """Imported on first use: it takes 50 ms, and many instances do not use PostgreSQL."""
        from sqlalchemy.dialects.postgresql.base import PGDialect

        return PGDialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]

    def column_type(self, property: Property) -> sa.types.TypeEngine[Any]:
        match property.type:
            case PropertyType.String:
                length = text_length(property)
                return sa.String(length) if length else sa.Text()
            case PropertyType.Boolean:
                return sa.Boolean()
            case PropertyType.Date:
                return sa.BigInteger()
            case PropertyType.Number:
                return sa.Numeric(18, property.decimal_places) if property.decimal_places else sa.BigInteger()

    def column_default(self, property: Property) -> sa.TextClause | None:
        """false for Booleans, for which PostgreSQL does not accept 0."""
        default = super().column_default(property)
        return sa.text("false") if default is not None and property.type is PropertyType.Boolean else default

    def decoder(self, property: Property) -> Callable[[Value], Value] | None:
        """Numbers with decimals are read as int if they are whole, otherwise without trailing zeros."""
        return plain_number if property.type is PropertyType.Number and property.decimal_places else None

    def encode_decimal(self, value: Any) -> Value:
        return value

    def text_operand(self, operator: str, value: str) -> tuple[str, tuple[Value, ...]]:
        """Variants: ``ascii`` (answered from an index where possible), ``folded``, ``any`` for '' and ``none``."""
        negative = operator in {"notequal", "notcontains"}
        if not _is_storable(value):  # a text that cannot be stored matches no row
            return ("any" if negative else "none"), ()
        if not value and operator not in {"equal", "notequal"}:
            return ("none" if negative else "any"), ()
        folded = fold(value)
        if value.isascii():
            if operator == "startswith":
                return "ascii", (folded, _after(folded[:INDEXED_CHARACTERS]))
            return "ascii", (folded,)
        return "folded", (folded, *_letters_of(folded))

    def text_predicate(
        self, operator: str, variant: str, column: sa.ColumnElement[str], binds: Sequence[sa.BindParameter[Any]]
    ) -> sa.ColumnElement[bool]:
        if (whole := any_or_none(variant, column)) is not None:
            return whole
        lower = sa.func.lower(column, type_=sa.Text())
        if variant == "folded":
            folded = sa.func.translate(lower, binds[1], binds[2], type_=sa.Text())
            return _predicate(operator, folded, binds[0])
        if operator not in {"equal", "startswith"}:
            return _predicate(operator, lower, binds[0])
        long = isinstance(column.type, sa.Text)  # the index, if any, holds only the beginning of the text
        indexed = _beginning(lower) if long else lower
        start = _beginning(binds[0]) if long else binds[0]
        if operator == "equal":
            return sa.and_(indexed == start, lower == binds[0]) if long else lower == binds[0]
        within = sa.and_(indexed >= start, indexed < binds[1])
        return sa.and_(within, _predicate(operator, lower, binds[0])) if long else within

    def order_by(
        self, column: sa.ColumnElement[Any], property: Property, *, descending: bool
    ) -> Sequence[sa.ColumnElement[Any]]:
        """A column that is never null is sorted without a NULLS clause, because its index has none."""
        key = column.desc() if descending else column.asc()
        if property.required or property.is_primary_key:
            return [key]
        return [key.nulls_last() if descending else key.nulls_first()]

    def aggregate(
        self, function: AggregateFunction, column: sa.ColumnElement[Any], property: Property
    ) -> sa.ColumnElement[Any]:
        """``min`` and ``max`` take no Booleans."""
        if property.type is PropertyType.Boolean and function in {"min", "max"}:
            return (sa.func.bool_and if function == "min" else sa.func.bool_or)(column, type_=sa.Boolean())
        return super().aggregate(function, column, property)

    def date_part(self, column: sa.ColumnElement[Any], part: DatePart) -> sa.ColumnElement[Any]:
        """In UTC, independent of the server's time zone; seconds are cut, not rounded."""
        moment = sa.func.to_timestamp(column.op("/")(sa.literal_column("1000.0")))
        plain = sa.func.timezone(sa.literal_column("'UTC'"), moment, type_=sa.DateTime())
        return within_years(column, sa.cast(sa.func.floor(sa.extract(part, plain)), sa.Integer()))

    def locked(self, select: sa.Select[Any]) -> sa.Select[Any]:
        """Rows that refer to the locked ones can be stored meanwhile, as during an UPDATE."""
        return select.with_for_update(key_share=True)

    def insert_row(self, table: sa.Table, columns: Sequence[str]) -> Statement:
        """Returns the ID. If the ID is given, the sequence is moved past it; the sequence is never moved back."""
        values: dict[str, sa.BindParameter[Any]] = {column: sa.bindparam(column) for column in columns}
        insert = sa.insert(table).values(values) if columns else sa.insert(table).values()
        insert = insert.returning(table.c["ID"])
        if "ID" not in columns:
            return compile_statement(insert, self.sqlalchemy, of_one_row=True)
        statement = compile_statement(insert, self.sqlalchemy)
        sequence = schema.moved_sequence(str(table.name))
        return Statement(f"{statement.text}, {sequence}", statement.order, kind=statement.kind)

    def migrate(self, migration: Migration) -> list[str]:
        return schema.migrate(migration)

    def problems(self, entities: Sequence[Entity]) -> list[tuple[str, str]]:
        return [*super().problems(entities), *problems(entities)]

    def row_bytes(self, entity: Entity) -> int:
        return row_bytes(entity)

    def script_problems(self, script: Script, entities: Sequence[Entity]) -> list[str]:
        """The guard's refusals. It does not check whether tables and columns exist."""
        return problems_of(script)


def _is_storable(text: str) -> bool:
    """PostgreSQL's texts cannot hold NUL, and UTF-8 cannot encode half of a surrogate pair."""
    return "\0" not in text and (text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text))


def _beginning(text: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    length: sa.ColumnElement[int] = sa.literal_column(str(INDEXED_CHARACTERS))
    return sa.func.left(text, length, type_=sa.Text())


def _predicate(operator: str, text: sa.ColumnElement[str], value: sa.BindParameter[Any]) -> sa.ColumnElement[bool]:
    zero: sa.ColumnElement[int] = sa.literal_column("0")
    match operator:
        case "equal":
            return text == value
        case "notequal":
            return text != value
        case "startswith":
            return sa.func.starts_with(text, value, type_=sa.Boolean())
        case "endswith":
            return sa.func.right(text, sa.func.length(value), type_=sa.Text()) == value
        case "contains":
            return sa.func.strpos(text, value, type_=sa.Integer()) > zero
        case "notcontains":
            return sa.func.strpos(text, value, type_=sa.Integer()) == zero
    raise ValueError(f"no text operator: {operator}")


def _after(prefix: str) -> str:
    """The first text, by code point, after all texts that begin with ``prefix`` (ASCII, not empty)."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


@cache
def _variants() -> dict[str, str]:
    """The letters outside ASCII that fold to another letter, by that letter."""
    found: defaultdict[str, str] = defaultdict(str)
    for code in range(0x80, _CASED_BELOW):
        letter = chr(code)
        if not 0xD800 <= code < 0xE000 and (folded := fold(letter)) != letter:
            found[folded] += letter
    return dict(found)


def _letters_of(folded: str) -> tuple[str, str]:
    """The arguments of ``translate``: the letters that fold to a letter of ``folded``, and their replacements."""
    sources, targets = "", ""
    for letter in dict.fromkeys(folded):
        if not letter.isascii() and (others := _variants().get(letter)):
            sources += others
            targets += letter * len(others)
    return sources, targets
