"""Helper tables of a database: the existing ones, recorded in ``H_Tables``, and their change into the required ones.

``H_Tables`` keeps the whole definition of each table, so any old version can be changed into any new one by comparing
the two definitions. If a database has no row for one of the ``first`` tables, that table has its first released form.
``H_Tables`` is created when its first row is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import sqlalchemy as sa
from msgspec.structs import replace

from apilane.model.definition import Entity, Property, PropertyType, Unique
from apilane.model.migration import Migration
from apilane.model.system import helper_table
from apilane.sql.dialect import Dialect
from apilane.sql.statement import Statement, Value, compile_statement
from apilane.sql.tables import table_of
from apilane.storage.errors import MissingObject, StorageError, Unavailable
from apilane.storage.protocol import Session, Step, Unit
from apilane.storage.table_versions import CORE, TableVersion, read_definition, refuse_unfit

__all__ = ["CORE", "HelperTables", "TableChanges", "TableVersion"]

_COLUMNS: Final = ("Name", "Plugin", "Version", "Definition")
_RECORDS: Final = helper_table(
    "H_Tables",
    (
        Property(name="Name", maximum=100, required=True, is_system=True),
        Property(name="Plugin", maximum=100, required=True, is_system=True),
        Property(name="Version", type=PropertyType.Number, decimal_places=0, required=True, is_system=True),
        Property(name="Definition", required=True, is_system=True),  # JSON of the Entity
    ),
    (Unique(properties=("Name",)),),
)


class TableChanges(NamedTuple):
    """The changes that a database needs. ``inserted`` and ``updated``: the tables whose rows of ``H_Tables`` are
    written.
    """

    migration: Migration
    inserted: tuple[TableVersion, ...]
    updated: tuple[TableVersion, ...]

    def __str__(self) -> str:
        tables = (*self.inserted, *self.updated)
        return ", ".join(f"{each.entity.name} of {each.plugin} to version {each.version}" for each in tables)

    def rows(self, dialect: Dialect) -> list[Step]:
        """Steps that record the new versions; they must be part of the unit with the schema statements."""
        table = table_of(_RECORDS, dialect)
        binds: dict[str, sa.BindParameter[Any]] = {name: sa.bindparam(name.lower()) for name in _COLUMNS}
        by_name = table.c["Name"] == sa.bindparam("wanted")
        insert = compile_statement(sa.insert(table).values(binds), dialect.sqlalchemy)
        update = compile_statement(sa.update(table).values(binds).where(by_name), dialect.sqlalchemy)
        return [
            *(Step(insert, insert.parameters(_row(each))) for each in self.inserted),
            *(Step(update, update.parameters({**_row(each), "wanted": each.entity.name})) for each in self.updated),
        ]


class HelperTables:
    """The tables that this program needs in a database. ``first``: the tables, at version 1, of a database without
    rows. ``is_control``: it is a control store.

    Immutable; one object serves all databases.
    """

    def __init__(
        self, wanted: Iterable[TableVersion], first: Iterable[Entity] = (), *, is_control: bool = False
    ) -> None:
        self._is_control = is_control
        self.wanted = tuple(each._replace(entity=_bare(each.entity)) for each in wanted)
        self._first = {entity.name: TableVersion(_bare(entity)) for entity in first}
        self._are_first = all(each in self._first.values() for each in self.wanted)
        self._reads: dict[str, Statement] = {}
        """By name of the dialect; compiling one takes longer than running it."""

    def tables(self, dialect: Dialect) -> dict[str, sa.Table]:
        """The tables of plugins by name, to build statements."""
        return {each.entity.name: table_of(each.entity, dialect) for each in self.wanted if each.plugin != CORE}

    async def recorded(self, session: Session, dialect: Dialect) -> dict[str, TableVersion]:
        """The rows of ``H_Tables`` by table name; empty if ``H_Tables`` does not exist yet.

        Raises Unavailable for a required table whose definition cannot be read. Of other tables only the name is kept.
        """
        try:
            rows: Sequence[tuple[Any, ...]] = await session.fetch(self._read(dialect))
        except MissingObject:
            return {}
        required = {each.entity.name for each in self.wanted}
        return {
            name: TableVersion(read_definition(name, plugin, text, name in required), int(version), plugin)
            for name, plugin, version, text in rows
        }

    def _read(self, dialect: Dialect) -> Statement:
        read = self._reads.get(dialect.name)
        if read is None:
            table = table_of(_RECORDS, dialect)
            select = sa.select(*(table.c[name] for name in _COLUMNS))
            read = self._reads[dialect.name] = compile_statement(select, dialect.sqlalchemy)
        return read

    async def missing(self, session: Session, dialect: Dialect) -> TableChanges | None:
        """The changes that the database needs; None (the usual case) if it needs none.

        One read, and none where only the ``first`` tables are wanted. Raises Unavailable for a table that belongs to
        another plugin, that a newer release has written, or that cannot be changed into the required one.
        """
        return None if self._are_first else self.changes_from(await self.recorded(session, dialect))

    def changes_from(self, recorded: Mapping[str, TableVersion]) -> TableChanges | None:
        """The changes from the tables of a database to the required ones."""
        there = {name.lower(): table for name, table in {**self._first, **recorded}.items()}
        pairs = [(there.get(each.entity.name.lower()), each) for each in self.wanted]
        pairs = [(old, new) for old, new in pairs if old != new]
        if not pairs:
            return None
        for old, new in pairs:
            if old is not None:
                refuse_unfit(old, new)
        records = () if recorded else (_RECORDS,)  # after an interrupted change the table exists and is empty
        kept = tuple(old.entity for old, _ in pairs if old is not None)
        return TableChanges(
            Migration(kept, (*records, *(new.entity for _, new in pairs)), is_control=self._is_control),
            tuple(new for _, new in pairs if new.entity.name not in recorded),
            tuple(new for _, new in pairs if new.entity.name in recorded),
        )

    def dropped_with(self, recorded: Mapping[str, TableVersion]) -> tuple[Entity, ...]:
        """The tables of plugins that go with their database, and ``H_Tables`` if the database has it."""
        core = {each.entity.name for each in self.wanted if each.plugin == CORE} | set(self._first)
        tables = tuple(each.entity for name, each in recorded.items() if name not in core)
        return (*tables, _RECORDS) if recorded else tables

    def first_changes(self, made: Sequence[Entity]) -> TableChanges:
        """The changes of a new database whose tables ``made`` of the core are created by the same unit."""
        names, first = {entity.name for entity in made}, list(self._first.values())
        inserted = tuple(each for each in self.wanted if each not in first)
        records = (_RECORDS,) if inserted else ()
        after = (*records, *(each.entity for each in self.wanted if each.entity.name not in names))
        return TableChanges(Migration((), after, is_control=self._is_control), inserted, ())

    async def bring_up_to_date(
        self, session: Session, dialect: Dialect, last: Sequence[Step] = ()
    ) -> TableChanges | None:
        """Create and change the tables that need it, in one unit that ends with ``last``; the caller holds a lock.

        Returns the changes made. After an interruption, a second run completes the changes. Raises Unavailable, whose
        text names tables and plugins.
        """
        changes = await self.missing(session, dialect)
        if changes is None:
            return None
        problems = dialect.problems(changes.migration.after)
        if problems:
            place, sentence = problems[0]
            raise Unavailable(f"The tables cannot be created ({changes}): {place}: {sentence}.")
        try:
            await session.alter(lambda: _unit(changes, dialect, last))
        except StorageError as error:
            raise Unavailable(f"The tables could not be brought up to date ({changes}): {error}") from error
        return changes


def _unit(changes: TableChanges, dialect: Dialect, last: Sequence[Step]) -> Unit[None]:
    for text in dialect.migrate(changes.migration):
        yield Step(Statement(text, kind="ddl"))
    for step in (*changes.rows(dialect), *last):  # noqa: UP028 - the driver sends results, which a list cannot receive
        yield step


def _row(table: TableVersion) -> dict[str, Value]:
    definition = msgspec.json.encode(table.entity).decode()
    return {
        "name": table.entity.name,
        "plugin": table.plugin,
        "version": table.version,
        "definition": definition,
    }


def _bare(entity: Entity) -> Entity:
    """The entity without descriptions, which do not change the table."""
    properties = tuple(replace(property, description=None) for property in entity.properties)
    return replace(entity, description=None, properties=properties)
