"""The structure of an application's tables, and the upgrade of the first one.

In the first structure each provider compared unique texts in its own way. In the second one two texts violate a unique
constraint if they are ``equal`` in a filter. The upgrade takes place when an application opens, or in the unit of the
next change of its tables.

The row of ``H_Schema`` has the structure as its ``ID``, so that reading both takes one statement and no further table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from apilane.model.definition import Entity
from apilane.model.migration import Migration
from apilane.model.system import HELPER_TABLES
from apilane.security.encryption import Cipher
from apilane.services.record_survey import RecordsDoNotFit, survey
from apilane.sql.dialect import Dialect
from apilane.sql.statement import Statement, compile_statement
from apilane.sql.tables import table_of
from apilane.sql.write import insert_row
from apilane.storage.errors import MissingObject
from apilane.storage.protocol import Session, Step, Unit

__all__ = ["ADVICE", "has_first_structure", "same_tables", "structure_rows", "upgrade_unit"]

STRUCTURE: Final = 2
ADVICE: Final = (
    "Make the values different: texts that differ only in letter case are equal. Until then the constraint compares "
    "texts as the release did that created it, and changes of tables are refused."
)
_SCHEMA: Final = next(entity for entity in HELPER_TABLES if entity.name == "H_Schema")


async def has_first_structure(session: Session, dialect: Dialect) -> bool:
    """Whether the tables of a database need the upgrade; False when there are none."""
    select = compile_statement(sa.select(table_of(_SCHEMA, dialect).c["ID"]), dialect.sqlalchemy)
    try:
        rows: Sequence[tuple[Any, ...]] = await session.fetch(select)
    except MissingObject:
        return False
    return bool(rows) and int(rows[0][0]) < STRUCTURE


def structure_rows(dialect: Dialect, version: int) -> list[Step]:
    """Steps that record the newest structure, with the version of the definition."""
    table = table_of(_SCHEMA, dialect)
    insert = insert_row(table, ("ID", "Version"), dialect)
    return [
        Step(compile_statement(sa.delete(table), dialect.sqlalchemy)),
        Step(insert, insert.parameters({"ID": STRUCTURE, "Version": version})),
    ]


def same_tables(entities: Sequence[Entity]) -> Migration:
    """The migration from the first structure to the newest one."""
    return Migration(tuple(entities), tuple(entities), exact_before=True)


def upgrade_unit(entities: Sequence[Entity], version: int, dialect: Dialect, cipher: Cipher) -> Unit[None]:
    """Change the unique constraints and record the structure. Raises RecordsDoNotFit, which names the records."""
    migration = same_tables(entities)
    found = yield from survey(migration, dialect, cipher, counts=False)
    if found.misfits:
        raise RecordsDoNotFit(found.misfits)
    for text in dialect.migrate(migration):
        yield Step(Statement(text, kind="ddl"))
    for step in structure_rows(dialect, version):  # noqa: UP028 - the driver sends results, which a list cannot receive
        yield step
