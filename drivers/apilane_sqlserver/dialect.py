"""The parts of SQL that differ in T-SQL: column types, text, new IDs, row locks, counts of changed rows. Pure.

Needs SQL Server 2017 or newer (TRANSLATE), or Azure SQL. Sources: the T-SQL reference of each statement. The
differences from the other providers are listed in ``docs/reference/sql-server.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Final

import sqlalchemy as sa
from sqlalchemy.dialects import mssql
from sqlalchemy.dialects.mssql.base import MSDialect, MSSQLCompiler
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
    plain_number,
    within_years,
)
from apilane_sqlserver import schema, text
from apilane_sqlserver.guard import COMMENT, QUOTED, problems_of
from apilane_sqlserver.limits import LIMITS, problems, row_bytes
from apilane_sqlserver.naming import quoted

__all__ = ["SQLServerDialect"]

_DECIMAL_DIGITS: Final = 18


class _Compiler(MSSQLCompiler):
    """Every write ends by returning the number of matched rows or the new ID, whatever triggers report."""

    def visit_insert(self, insert_stmt: Any, *arguments: Any, **options: Any) -> str:
        insert: str = super().visit_insert(insert_stmt, *arguments, **options)  # type: ignore[no-untyped-call]
        return _giving_id(insert, insert_stmt.table.name)

    def visit_update(self, *arguments: Any, **options: Any) -> str:
        return f"{super().visit_update(*arguments, **options)}; SELECT @@ROWCOUNT"

    def visit_delete(self, *arguments: Any, **options: Any) -> str:
        return f"{super().visit_delete(*arguments, **options)}; SELECT @@ROWCOUNT"  # type: ignore[no-untyped-call]

    def visit_round_func(self, function: Any, **options: Any) -> str:
        """ROUND needs its length as int, but numbers are bound as bigint."""
        number, length = (self.process(clause, **options) for clause in function.clauses)
        return f"ROUND({number}, CAST({length} AS INT))"


class _SQLAlchemyDialect(MSDialect):
    statement_compiler = _Compiler
    supports_statement_cache = True
    insert_returning = False
    """Otherwise SQLAlchemy would add OUTPUT to the client, which fails on tables with triggers."""
    _supports_offset_fetch = True


_DAY_MS: Final[sa.ColumnElement[int]] = sa.literal_column("86400000")


def _clock(ms_of_day: sa.ColumnElement[Any], part: DatePart) -> sa.ColumnElement[Any]:
    """Hour, minute or second, as INT."""
    length, count = CLOCK_PARTS[part]
    whole = ms_of_day.op("/")(sa.literal_column(length))
    return (whole if count is None else whole.self_group().op("%")(sa.literal_column(count))).cast(sa.Integer())


class SQLServerDialect(Dialect):
    name: ClassVar[str] = "SQLServer"
    quoted: ClassVar[str] = QUOTED
    limits: ClassVar[Limits] = LIMITS
    comment: ClassVar[str] = COMMENT

    def __init__(self) -> None:
        self.sqlalchemy = _SQLAlchemyDialect(paramstyle="qmark")  # type: ignore[no-untyped-call]

    def column_type(self, property: Property) -> sa.types.TypeEngine[Any]:
        match property.type:
            case PropertyType.String:
                return mssql.NVARCHAR(collation=schema.collation(property))
            case PropertyType.Boolean:
                return mssql.BIT()
            case PropertyType.Date:
                return sa.BigInteger()
            case PropertyType.Number:
                decimals = property.decimal_places
                return sa.Numeric(_DECIMAL_DIGITS, decimals) if decimals else sa.BigInteger()

    def decoder(self, property: Property) -> Callable[[Value], Value] | None:
        """Decimals are read without trailing zeros: 12.50 and 3.00 become 12.5 and 3, as on SQLite."""
        return plain_number if property.type is PropertyType.Number and property.decimal_places else None

    def encode_decimal(self, value: Decimal) -> Value:
        return value

    def text_operand(self, operator: str, value: str) -> tuple[str, tuple[Value, ...]]:
        return text.operand(operator, value)

    def text_predicate(
        self, operator: str, variant: str, column: sa.ColumnElement[str], binds: Sequence[sa.BindParameter[Any]]
    ) -> sa.ColumnElement[bool]:
        return text.predicate(operator, variant, column, binds)

    def aggregate(
        self, function: AggregateFunction, column: sa.ColumnElement[Any], property: Property
    ) -> sa.ColumnElement[Any]:
        """Counts of 64 bits, sums of 38 digits, averages with 12 decimals; BIT has no least and greatest value."""
        if function == "count":
            return sa.func.count_big(column, type_=sa.BigInteger())
        if property.type is PropertyType.Boolean:
            column = column.cast(mssql.TINYINT())
        elif function == "avg":
            column = column.cast(sa.Numeric(38, 12))
        elif function == "sum" and not property.decimal_places:
            column = column.cast(sa.Numeric(38, 0))
        return super().aggregate(function, column, property)

    def date_part(self, column: sa.ColumnElement[Any], part: DatePart) -> sa.ColumnElement[Any]:
        """DATEADD takes 32-bit numbers, which are enough for days; the time of day is computed."""
        ms_of_day = column.op("%")(_DAY_MS).op("+")(_DAY_MS).self_group().op("%")(_DAY_MS).self_group()
        if part in CLOCK_PARTS:
            return within_years(column, _clock(ms_of_day, part))
        days = column.op("-")(ms_of_day).self_group().op("/")(_DAY_MS).cast(sa.Integer())
        date = sa.func.dateadd(sa.literal_column("DAY"), days, sa.literal_column("CAST('1970-01-01' AS DATE)"))
        return within_years(column, sa.func.datepart(sa.literal_column(part.upper()), date, type_=sa.Integer()))

    def unique_key(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return _UniqueKey(column)

    def text_bytes(self, column: sa.ColumnElement[str]) -> sa.ColumnElement[int]:
        return sa.func.datalength(column, type_=sa.BigInteger())

    def locked(self, select: sa.Select[Any]) -> sa.Select[Any]:
        """An update lock on every row read, until the transaction ends; readers do not wait."""
        for table in select.get_final_froms():
            select = select.with_hint(table, "WITH (UPDLOCK, ROWLOCK)", "mssql")
        return select

    def kept(self, select: sa.Select[Any]) -> sa.Select[Any]:
        """A shared lock on every row read, until the transaction ends."""
        for table in select.get_final_froms():
            select = select.with_hint(table, "WITH (REPEATABLEREAD, ROWLOCK)", "mssql")
        return select

    def insert_row(self, table: sa.Table, columns: Sequence[str]) -> Statement:
        names = f"({', '.join(map(quoted, columns))}) VALUES ({', '.join('?' * len(columns))})"
        insert = f"INSERT INTO {quoted(table.name)} {names if columns else 'DEFAULT VALUES'}"
        return Statement(_giving_id(insert, table.name), tuple(columns), kind="insert")

    def migrate(self, migration: Migration) -> list[str]:
        return schema.migrate(migration)

    def problems(self, entities: Sequence[Entity]) -> list[tuple[str, str]]:
        return [*super().problems(entities), *problems(entities)]

    def row_bytes(self, entity: Entity) -> int:
        return row_bytes(entity)

    def script_problems(self, script: Script, entities: Sequence[Entity]) -> list[str]:
        """The guard's refusals. They do not check whether tables and columns exist."""
        return problems_of(script)


class _UniqueKey(FunctionElement[str]):
    """What a unique constraint compares (``text.unique_key``)."""

    inherit_cache = False
    type = mssql.NVARCHAR()


@compiles(_UniqueKey)
def _compile_unique_key(element: _UniqueKey, compiler: Any, **options: Any) -> str:
    return text.unique_key(compiler.process(element.clauses, **options))


def _giving_id(insert: str, table: str) -> str:
    """A batch that inserts one row and returns its ID by a table variable: triggers forbid a plain OUTPUT.

    An explicit ID needs ``IDENTITY_INSERT``, and moves the sequence past it. The setting ends with the call at the
    latest, because a call with parameters has a separate scope.
    """
    output = "OUTPUT INSERTED.[ID] INTO @inserted"
    into, default, _ = insert.partition("DEFAULT VALUES")
    if default:
        text = f"{into}{output} {default}"
    else:
        columns, _, values = insert.partition(" VALUES ")
        text = f"{columns} {output} VALUES {values}"
        if "[ID]" in columns.partition("(")[2]:
            text = f"SET IDENTITY_INSERT {quoted(table)} ON; {text}; SET IDENTITY_INSERT {quoted(table)} OFF"
    return f"DECLARE @inserted TABLE ([ID] BIGINT NOT NULL); {text}; SELECT [ID] FROM @inserted"  # noqa: S608  # names
