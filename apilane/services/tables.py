"""An application's tables in its own database: the version beside them, and changing both in one unit."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from apilane.model.system import EMAIL_TEMPLATE_SEEDS, HELPER_TABLES
from apilane.sql.dialect import Dialect
from apilane.sql.statement import Statement, Value, compile_statement
from apilane.sql.tables import table_of
from apilane.storage.errors import (
    ForeignKeyViolation,
    MissingObject,
    NotNullViolation,
    StorageError,
    Unavailable,
    UniqueViolation,
    ValueTooLong,
)
from apilane.storage.protocol import Driver, Result, Step

__all__ = ["ApplicationTables", "refusal"]

_HELPERS = {entity.name: entity for entity in HELPER_TABLES}


class ApplicationTables:
    """The database at ``address``, through a session of its own. Methods raise ``StorageError``."""

    def __init__(self, driver: Driver, address: str) -> None:
        self._dialect = driver.dialect
        self._session = driver.session(address)
        self._file = Path(address) if driver.features.embedded else None

    async def version(self) -> int:
        """Version of the definition that last changed the tables; 0 where there are none."""
        if self._file is not None and not self._file.exists():
            return 0  # asking would make the file
        table = table_of(_HELPERS["H_Schema"], self._dialect)
        try:
            select = compile_statement(sa.select(table.c["Version"]), self._dialect.sqlalchemy)
            rows: Sequence[tuple[Any, ...]] = await self._session.fetch(select)
        except MissingObject:
            return 0
        return int(rows[0][0]) if rows else 0

    async def change(self, ddl: Sequence[str], version: int, *, new: bool) -> None:
        """Run ``ddl`` and set the version in one unit; ``new``: first tables, which get the mail templates too."""
        steps = [Step(Statement(text, writes=True)) for text in ddl]
        steps += _first_rows(self._dialect, version) if new else [_version_row(self._dialect, version)]

        def unit() -> Generator[Step, Result, None]:
            for step in steps:  # noqa: UP028 - a list does not take the results that the driver sends
                yield step

        await self._session.alter(unit)

    async def close(self) -> None:
        """Let go of the database."""
        await self._session.close()


def _version_row(dialect: Dialect, version: int) -> Step:
    table = table_of(_HELPERS["H_Schema"], dialect)
    return _step(sa.update(table).values({"Version": sa.bindparam("version")}), dialect, {"version": version})


def _first_rows(dialect: Dialect, version: int) -> list[Step]:
    schema, templates = table_of(_HELPERS["H_Schema"], dialect), table_of(_HELPERS["H_Email_Templates"], dialect)
    steps = [_step(sa.insert(schema).values({"Version": sa.bindparam("version")}), dialect, {"version": version})]
    columns = ("EventCode", "Description", "Subject", "Content", "Active")
    insert = sa.insert(templates).values({name: sa.bindparam(name.lower()) for name in columns})
    for _, *texts in EMAIL_TEMPLATE_SEEDS:  # in an empty table the IDs 1 and 2 come by themselves
        row = (*texts, dialect.encode_boolean(False))
        steps.append(_step(insert, dialect, {name.lower(): value for name, value in zip(columns, row, strict=True)}))
    return steps


def _step(element: sa.ClauseElement, dialect: Dialect, values: Mapping[str, Value]) -> Step:
    statement = compile_statement(element, dialect.sqlalchemy, writes=True)
    return Step(statement, statement.parameters(values))


def refusal(error: StorageError) -> str:
    """Why a database refused a change of its tables, for people; its own words at the end."""
    table = f"table {error.table}" if error.table else "a table"
    columns = f" ({', '.join(error.columns)})" if error.columns else ""
    match error:
        case UniqueViolation():
            why = f"{table} holds records with equal values that were to be unique{columns}; make them different first."
        case ForeignKeyViolation():
            why = f"{table} holds references to records that do not exist{columns}; correct or empty them first."
        case NotNullViolation():
            why = f"{table} holds records without a value that was to be required{columns}; fill them first."
        case ValueTooLong():
            why = f"{table} holds texts longer than the new maximum{columns}; shorten them first."
        case Unavailable():
            why = "its database cannot be used."
        case _:
            why = f"{table} could not be changed."
    return f"{why} The database says: {str(error).rstrip('.')}."
