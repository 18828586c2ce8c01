"""An application's tables in its own database, and the version stored with them; both change in one unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from msgspec.structs import replace

from apilane.control.folders import is_lost
from apilane.control.statements import ControlStatements
from apilane.model.definition import Entity
from apilane.model.migration import Migration
from apilane.model.system import EMAIL_TEMPLATE_SEEDS, HELPER_TABLES
from apilane.security.encryption import Cipher
from apilane.services.default_values import filling_steps
from apilane.services.history_names import rename_history
from apilane.services.record_survey import RecordsDoNotFit, Survey, survey, survey_by_reads
from apilane.services.table_fit import table_misfits
from apilane.services.unique_texts import has_first_structure, structure_rows
from apilane.sql.dialect import Dialect
from apilane.sql.statement import Statement, Value, compile_statement
from apilane.sql.tables import table_of
from apilane.sql.write import insert_row
from apilane.storage.errors import (
    ForeignKeyViolation,
    MissingObject,
    NotNullViolation,
    StorageError,
    Unavailable,
    UniqueViolation,
    ValueTooLong,
)
from apilane.storage.helper_tables import HelperTables, TableChanges
from apilane.storage.protocol import Driver, Finding, Step, Unit

__all__ = ["ApplicationTables", "Report", "refusal"]

Report = Callable[[str, int, int], None]
"""Receives the next step of a change: text, step number, number of steps. Both numbers are 0 where steps are not
counted. It is called from the thread that works on the database."""

_HELPERS = {entity.name: entity for entity in HELPER_TABLES}


class ApplicationTables:
    """The database at ``address``. Methods raise ``StorageError``.

    The application may be served in this process over the same session, so the session is not closed after use.
    """

    def __init__(self, driver: Driver, address: str) -> None:
        self.address = address
        self._driver = driver
        self._dialect = driver.dialect
        self._session = driver.session(address)
        self._transactional = driver.features.transactional_ddl

    @property
    def are_lost(self) -> bool:
        """Whether the database file is missing. Always False for a database on a server."""
        return is_lost(self._driver, self.address)

    async def version(self) -> int:
        """Version of the definition that last changed the tables; 0 when there are no tables."""
        if self.are_lost:
            return 0  # a query would create the file
        table = table_of(_HELPERS["H_Schema"], self._dialect)
        try:
            select = compile_statement(sa.select(table.c["Version"]), self._dialect.sqlalchemy)
            rows: Sequence[tuple[Any, ...]] = await self._session.fetch(select)
        except MissingObject:
            return 0
        return int(rows[0][0]) if rows else 0

    async def fingerprint(self, version: int) -> str | None:
        """The fingerprint of the entities that the tables have; None when that of this version is not recorded."""
        table = table_of(_HELPERS["H_Fingerprint"], self._dialect)
        select = compile_statement(sa.select(table.c["Version"], table.c["Fingerprint"]), self._dialect.sqlalchemy)
        try:
            rows: Sequence[tuple[Any, ...]] = await self._session.fetch(select)
        except MissingObject:
            return None
        return next((str(fingerprint) for found, fingerprint in rows if int(found) == version), None)

    async def record_fingerprint(self, version: int, fingerprint: str) -> None:
        """Record the fingerprint of the entities that the tables have, instead of the last one."""
        table = table_of(_HELPERS["H_Fingerprint"], self._dialect)
        insert = insert_row(table, ("Version", "Fingerprint"), self._dialect)
        delete = Statement(compile_statement(sa.delete(table), self._dialect.sqlalchemy).text, kind="delete")

        def unit() -> Unit[None]:
            yield Step(delete)
            yield Step(insert, insert.parameters({"Version": version, "Fingerprint": fingerprint}))

        await self._session.run(unit)

    async def misfits(
        self, entities: Sequence[Entity], *, gone: Sequence[Entity] = (), exact: bool = False
    ) -> list[str]:
        """The differences between the tables and those of ``entities`` (see ``table_fit``)."""
        return await table_misfits(self._session, self._driver, entities, gone=gone, exact=exact)

    async def adopt(self, version: int) -> None:
        """Set the version, and leave the tables as they are."""

        def unit() -> Unit[None]:
            yield _version_row(self._dialect, version)

        await self._session.alter(unit)

    async def change(
        self,
        migration: Migration,
        ddl: Sequence[str],
        version: int,
        rows: Sequence[Step] = (),
        *,
        cipher: Cipher,
        new: bool,
        report: Report,
    ) -> None:
        """Check the records, run ``ddl``, rename the history and set the version, in one unit.

        ``new``: these are the first tables; the mail templates and ``rows`` are inserted too. Raises RecordsDoNotFit
        after everything is rolled back.
        """
        if new:
            ends = [*_first_rows(self._dialect, version), *rows]
        elif migration.exact_before:
            ends = structure_rows(self._dialect, version)
        else:
            ends = [_version_row(self._dialect, version)]
        if not new:
            exact = self._driver.features.exact_decimals
            ends = [*filling_steps(migration, self._dialect, cipher, exact_decimals=exact), *ends]

        def unit() -> Unit[None]:
            if not new:
                report("Checking the records", 0, 0)
                yield from self._refuse_misfits(migration, cipher)
            for number, text in enumerate(ddl, 1):
                report(" ".join(text.split()), number, len(ddl))
                yield Step(Statement(text, kind="ddl"))
            if not new:
                report("Renaming the history", 0, 0)
                yield from rename_history(migration, self._dialect)
            for step in ends:  # noqa: UP028 - "yield from" a list cannot take the results that the driver sends
                yield step
            report("Checking references and writing to disk", 0, 0)

        await self._session.alter(unit)

    def _refuse_misfits(self, migration: Migration, cipher: Cipher) -> Unit[None]:
        try:
            found = yield from survey(migration, self._dialect, cipher, counts=False)
        except MissingObject:
            if self._transactional:
                raise
            return  # this change was interrupted before, after its records had been checked
        if found.misfits:
            raise RecordsDoNotFit(found.misfits)

    async def with_structure(self, migration: Migration) -> Migration:
        """The migration from the structure that the database has to the newest one."""
        exact = await has_first_structure(self._session, self._dialect)
        return replace(migration, exact_before=True) if exact else migration

    async def survey(self, migration: Migration, cipher: Cipher) -> Survey:
        """Count the records that the change affects and find those that do not fit it now. Nothing is changed.

        Empty when this change was interrupted before: the tables and columns to read may be dropped already.
        """
        try:
            return await survey_by_reads(survey(migration, self._dialect, cipher), self._session)
        except MissingObject:
            if self._transactional:
                raise
            return Survey({}, ())

    async def holds_control_store(self) -> bool:
        """Whether the database is the control store of an instance."""
        if self._driver.features.embedded:
            return False  # the path is given by the server
        try:
            return bool(await self._session.fetch(ControlStatements(self._dialect).instance))
        except MissingObject:
            return False

    async def sizes(self, names: Sequence[str]) -> dict[str, int]:
        """The number of records of each table, by name."""
        tables = ((name, sa.table(sa.sql.quoted_name(name, quote=True))) for name in names)
        counted = {}
        for name, table in tables:
            select = sa.select(sa.func.count()).select_from(table)
            counted[name] = int((await self._session.fetch(compile_statement(select, self._dialect.sqlalchemy)))[0][0])
        return counted

    async def bring_up_to_date(self, tables: HelperTables) -> TableChanges | None:
        """Create and change the helper tables that are missing or outdated, and return what was done."""
        return await tables.bring_up_to_date(self._session, self._dialect)

    async def drop(self, entities: Sequence[Entity], tables: HelperTables) -> None:
        """Drop the tables of the application, and the helper tables that the database records."""
        recorded = await tables.recorded(self._session, self._dialect)
        ddl = self._dialect.migrate(Migration((*entities, *HELPER_TABLES, *tables.dropped_with(recorded)), ()))

        def unit() -> Unit[None]:
            for text in ddl:
                yield Step(Statement(text, kind="ddl"))

        await self._session.alter(unit)

    async def diagnose(self) -> Sequence[Finding]:
        """The driver's findings about the database (``Session.diagnose``)."""
        return await self._session.diagnose()

    async def close(self) -> None:
        """Close the session."""
        await self._session.close()


def _version_row(dialect: Dialect, version: int) -> Step:
    table = table_of(_HELPERS["H_Schema"], dialect)
    return _step(sa.update(table).values({"Version": sa.bindparam("version")}), dialect, {"version": version})


def _first_rows(dialect: Dialect, version: int) -> list[Step]:
    templates = table_of(_HELPERS["H_Email_Templates"], dialect)
    steps = structure_rows(dialect, version)
    columns = ("EventCode", "Description", "Subject", "Content", "Active")
    insert = sa.insert(templates).values({name: sa.bindparam(name.lower()) for name in columns})
    for _, *texts in EMAIL_TEMPLATE_SEEDS:  # an empty table assigns the IDs 1 and 2
        row = (*texts, dialect.encode_boolean(False))
        steps.append(_step(insert, dialect, {name.lower(): value for name, value in zip(columns, row, strict=True)}))
    return steps


def _step(element: sa.ClauseElement, dialect: Dialect, values: Mapping[str, Value]) -> Step:
    statement = compile_statement(element, dialect.sqlalchemy)
    return Step(statement, statement.parameters(values))


def refusal(error: StorageError) -> str:
    """The reason why a database refused a change of its tables, as text that ends with the database's message."""
    table = f"table {error.table}" if error.table else "a table"
    columns = f" ({', '.join(error.columns)})" if error.columns else ""
    match error:
        case RecordsDoNotFit():
            return f"records do not fit; correct them first.\n{error}"
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
