"""Whether an application's tables are the tables of a definition, by the names of tables and columns.

The version that is stored with the tables does not tell: two restored backups can have equal versions and different
tables. Only ``doctor`` and ``apply`` look, because it takes a read for each entity.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from apilane.model.definition import Entity
from apilane.sql.script import read_script
from apilane.sql.statement import Statement, compile_statement
from apilane.sql.tables import table_of
from apilane.storage.errors import MissingObject
from apilane.storage.protocol import Driver, ScriptStep, Session

__all__ = ["table_misfits"]

HIDDEN_PREFIX = "h_"


async def table_misfits(
    session: Session, driver: Driver, entities: Iterable[Entity], *, gone: Sequence[Entity] = (), exact: bool = False
) -> list[str]:
    """The differences, as texts; empty when the tables fit.

    ``gone``: entities whose tables must not exist. ``exact``: report columns that the definition lacks too; a driver
    without scripts cannot tell.
    """
    found: list[str] = []
    for entity in entities:
        wanted = _by_lower_name(column.name for column in table_of(entity, driver.dialect).columns)
        there = await _columns(session, driver, entity, exact=exact)
        if there is None:
            missing = await _missing_columns(session, driver, entity)
            found.append(f"there is no table {entity.name}" if missing is None else _listed(entity, "lacks", missing))
            continue
        absent = [name for key, name in wanted.items() if key not in there]
        more = [name for key, name in there.items() if key not in wanted and not key.startswith(HIDDEN_PREFIX)]
        found += [_listed(entity, "lacks", absent)] if absent else []
        found += [_listed(entity, "also has", more)] if more else []
    for entity in gone:
        if await _exists(session, driver, entity):
            found.append(f"there is a table {entity.name}")
    return found


def _listed(entity: Entity, verb: str, names: Sequence[str]) -> str:
    return f"the table {entity.name} {verb} the column{'s' * (len(names) > 1)} {', '.join(names)}"


async def _columns(session: Session, driver: Driver, entity: Entity, *, exact: bool) -> dict[str, str] | None:
    """The columns of a table by lower-case name, None when some are missing. Without ``exact`` only those wanted."""
    table = table_of(entity, driver.dialect)
    try:
        await session.fetch(_nothing_of(sa.select(*table.columns), driver))
    except MissingObject:
        return None
    if not exact or not driver.features.scripts:
        return _by_lower_name(column.name for column in table.columns)
    text = _nothing_of(sa.select(sa.text("*")).select_from(table), driver).text
    (result,) = (await session.run_script(ScriptStep(read_script(text, driver.dialect), {}))).sets
    return _by_lower_name(result.columns)


def _by_lower_name(names: Iterable[str]) -> dict[str, str]:
    """``lower`` of the names of SQLAlchemy's columns changes nothing, so they become plain texts."""
    return {str(name).lower(): str(name) for name in names}


async def _missing_columns(session: Session, driver: Driver, entity: Entity) -> list[str] | None:
    """The columns that a table lacks; None when there is no table."""
    if not await _exists(session, driver, entity):
        return None
    missing = []
    for column in table_of(entity, driver.dialect).columns:
        try:
            await session.fetch(_nothing_of(sa.select(column), driver))
        except MissingObject:
            missing.append(column.name)
    return missing


async def _exists(session: Session, driver: Driver, entity: Entity) -> bool:
    table = table_of(entity, driver.dialect)
    try:
        await session.fetch(_nothing_of(sa.select(sa.literal_column("1")).select_from(table), driver))
    except MissingObject:
        return False
    return True


def _nothing_of(select: sa.Select[tuple[object, ...]], driver: Driver) -> Statement:
    return compile_statement(select.where(sa.literal_column("0") == sa.literal_column("1")), driver.dialect.sqlalchemy)
