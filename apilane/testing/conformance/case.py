"""The description of a driver under test (``DriverCase``), and a test database with short methods (``Database``).

The methods are synchronous: every call runs on one event loop of the test, so no pytest plugin is needed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa
from msgspec import Struct

from apilane.model.definition import Entity, SortKey
from apilane.model.filter import Leaf, Node, Operator
from apilane.model.migration import Migration
from apilane.sql.filter import bind_filter
from apilane.sql.script import read_script
from apilane.sql.select import ReadShape, select_records
from apilane.sql.statement import Statement, Value, compile_statement
from apilane.sql.tables import table_of
from apilane.sql.write import delete_by_ids, insert_row, select_where, update_row, update_where
from apilane.storage.errors import StorageError
from apilane.storage.protocol import Driver, Result, ResultSet, ScriptStep, Session, Step, Unit
from apilane.testing.conformance.tables import ENTITIES, THINGS

__all__ = ["Database", "DriverCase"]

T = TypeVar("T")


class DriverCase(Struct, frozen=True):
    """The value of the fixture ``driver_case``."""

    make_driver: Callable[[], Driver]
    """Makes a separate driver for each test, which is closed at the end."""
    fresh_address: Callable[[], str]
    """Returns the address of an empty database that no other test uses."""
    make_impatient_driver: Callable[[], Driver] | None = None
    """Makes a driver whose statements may take one second. If it is None, time limits are not tested."""
    end_connections: Callable[[str], None] | None = None
    """Ends every connection to the database at an address, like a server restart. It blocks until they are closed."""
    broken_addresses: Callable[[str], Mapping[str, str]] | None = None
    """Takes an address and returns wrong addresses; the keys are texts that the error messages must contain. If None,
    the suite makes wrong addresses from the URL."""
    raising_sql: str | None = None
    """SQL that raises the error text ``Out of stock; sorry``, as a script does (B-E5)."""


class Database:
    """A fresh database with the suite's tables, its driver and an event loop."""

    def __init__(self, case: DriverCase, runner: asyncio.Runner, address: str | None = None) -> None:
        self._runner = runner
        self.case = case
        self.driver = case.make_driver()
        self.address = address or case.fresh_address()
        self.altered = False
        """Whether tables may differ from those of the suite."""
        self.session: Session = self.driver.session(self.address)
        self.dialect = self.driver.dialect
        self.entities: tuple[Entity, ...] = ()

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end."""
        return self._runner.run(coroutine)

    def migrate(self, entities: tuple[Entity, ...], **renames: Any) -> None:
        """Change the existing tables into those of ``entities``."""
        ddl = self.dialect.migrate(Migration(self.entities, entities, **renames))
        self.alter(*(Step(Statement(text, kind="ddl")) for text in ddl))
        self.entities = entities

    def alter(self, *steps: Step) -> None:
        """Run schema statements."""
        self.altered = True
        self.wait(self.session.alter(lambda: _steps(steps)))

    def empty(self) -> None:
        """Delete every row, so that the next test can use this database."""
        free = update_where(self.table(THINGS), ("Whole",), (), self.dialect)
        deletes = [sa.delete(self.table(entity)) for entity in reversed(self.entities)]
        compiled = [compile_statement(each, self.dialect.sqlalchemy) for each in deletes]
        self.write(Step(free, free.parameters({"new_Whole": None})), *map(Step, compiled))

    def close(self) -> None:
        self.wait(self.driver.close())

    def number(self, text: str) -> Value:
        """A number with decimals, in the type that services bind."""
        return Decimal(text) if self.driver.features.exact_decimals else float(text)

    def table(self, entity: Entity) -> sa.Table:
        return table_of(entity, self.dialect)

    # Steps of units.

    def inserting(self, entity: Entity = THINGS, **values: Value) -> Step:
        if entity is THINGS:
            values.setdefault("Name", "thing")
        encoded = {k: self.dialect.encode_boolean(v) if isinstance(v, bool) else v for k, v in values.items()}
        statement = insert_row(self.table(entity), tuple(encoded), self.dialect)
        return Step(statement, statement.parameters(encoded))

    def updating(self, id: int, entity: Entity = THINGS, **values: Value) -> Step:
        statement = update_row(self.table(entity), tuple(values), (), None, self.dialect)
        return Step(statement, statement.parameters({"id": id} | {f"new_{k}": v for k, v in values.items()}))

    def deleting(self, id: int, entity: Entity = THINGS) -> Step:
        statement = delete_by_ids(self.table(entity), 1, self.dialect)
        return Step(statement, statement.parameters({"id0": id}))

    def reading(self, *columns: str, entity: Entity = THINGS) -> Step:
        return Step(select_where(self.table(entity), columns, (), self.dialect))

    # Whole units and reads.

    def write(self, *steps: Step, single: bool = False) -> list[Result]:
        """Run these steps as one unit."""
        return self.wait(self.session.run(lambda: _steps(steps), single=single))

    def unit(self, make: Callable[[], Unit[T]]) -> T:
        return self.wait(self.session.run(make))

    def insert(self, entity: Entity = THINGS, **values: Value) -> int:
        (result,) = self.write(self.inserting(entity, **values), single=True)
        if result.inserted_id is None:
            raise AssertionError("an insert returned no ID")
        return result.inserted_id

    def script(self, text: str, **values: Value) -> ScriptStep:
        """A script with identifiers in brackets: ``SELECT [ID] FROM [Things]``. Skips the test without scripts."""
        if not self.driver.features.scripts:
            pytest.skip("this driver runs no scripts")
        quote = self.dialect.sqlalchemy.identifier_preparer.quote_identifier
        quoted = re.sub(r"\[(\w+)\]", lambda name: quote(name[1]), text)
        return ScriptStep(read_script(quoted, self.dialect), values)

    def run_script(self, text: str, **values: Value) -> Sequence[ResultSet]:
        """Run a script in a separate transaction, and return its results."""
        return self.wait(self.session.run_script(self.script(text, **values))).sets

    def run_often(self, text: str, **values: Value) -> list[list[tuple[Any, ...]]]:
        """Run one script four times, as an endpoint does: the driver may run it in a faster way when it knows it.

        Returns the rows of the last run. Each run must have the same outcome; an error of the last run is raised.
        """
        step = self.script(text, **values)
        outcomes = []
        for _ in range(4):
            try:
                sets = self.wait(self.session.run_script(step)).sets
                outcomes.append([(each.columns, each.booleans, [tuple(row) for row in each.rows]) for each in sets])
            except StorageError as error:
                outcomes.append([(type(error), str(error))])  # type: ignore[list-item]
                if len(outcomes) == 4 and outcomes[1:] == outcomes[:-1]:
                    raise
        assert outcomes[1:] == outcomes[:-1]
        return [rows for _, _, rows in outcomes[-1]]

    def rows(self, *columns: str, entity: Entity = THINGS, order: Sequence[SortKey] = ()) -> list[tuple[Any, ...]]:
        """Every row, decoded, sorted by ``order``, or by ``ID`` without it."""
        shape = ReadShape(columns, order=tuple(order) or (SortKey("ID"),))
        return self._read(entity, shape, ())

    def found(self, property: str, operator: str, value: Any, entity: Entity = THINGS) -> list[int]:
        """IDs of the rows that match one condition."""
        leaf = entity.property(property)
        if leaf is None:
            raise AssertionError(f"no property {property}")
        return self.matching(Leaf(leaf, Operator(operator), value), entity)

    def matching(self, node: Node, entity: Entity = THINGS) -> list[int]:
        shape, values = bind_filter(node, self.dialect)
        rows = self._read(entity, ReadShape(("ID",), filter=shape, order=(SortKey("ID"),)), values)
        return [row[0] for row in rows]

    def _read(self, entity: Entity, shape: ReadShape, values: Sequence[Value]) -> list[tuple[Any, ...]]:
        statement = select_records(entity, self.table(entity), shape, self.dialect)
        parameters = statement.parameters({f"f{i}": value for i, value in enumerate(values)})
        rows = self.wait(self.session.fetch(statement, parameters))
        known = {property.name: property for property in entity.properties}
        decoders = [self.dialect.decoder(known[name]) for name in shape.columns]
        return [
            tuple(
                value if value is None or decode is None else decode(value)
                for value, decode in zip(row, decoders, strict=True)
            )
            for row in rows
        ]


def _steps(steps: Sequence[Step]) -> Generator[Step, Result, list[Result]]:
    results = []
    for step in steps:
        results.append((yield step))  # noqa: PERF401  # a comprehension cannot yield
    return results


def open_database(case: DriverCase, runner: asyncio.Runner, emptied: str | None = None) -> Database:
    """A database with the suite's tables: a new one, or the existing one at the address ``emptied``."""
    database = Database(case, runner, emptied)
    if emptied is None:
        database.migrate(ENTITIES)
    database.entities = ENTITIES
    database.altered = False
    return database
