"""Reading on from a record: the plans of its steps."""

from __future__ import annotations

import sqlite3

import pytest

from apilane.model.definition import Direction, Entity, Property, PropertyType, SortKey
from apilane.model.system import custom_entity
from apilane.sql.keyset import deciding_keys, steps_after
from apilane.sql.select import ReadShape, select_records
from apilane.sql.tables import table_of
from apilane_sqlite.dialect import SQLiteDialect

ENTITY: Entity = custom_entity("Marks", properties=(Property(name="Rank", type=PropertyType.Number),))


@pytest.mark.better("B-X3")
@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("order", [(), ("Rank",)])
def test_steps_use_the_index(order: tuple[str, ...], direction: Direction) -> None:
    """Every step reads from its place in an index and sorts at most records with equal values: no page is dearer."""
    dialect = SQLiteDialect()
    keys = deciding_keys([SortKey(name, direction) for name in order])
    with sqlite3.connect(":memory:") as database:
        database.execute(
            'CREATE TABLE "Marks" ("ID" INTEGER PRIMARY KEY, "Owner" INTEGER, "Created" INTEGER, "Rank" INTEGER)'
        )
        database.execute('CREATE INDEX "by_rank" ON "Marks" ("Rank")')
        for nulls in ((False,), (True,)) if order else ((),):
            for step in steps_after(ENTITY, keys, (*nulls, False)):
                read = ReadShape(("ID",), order=keys[:-1], paged=True, after=step)
                statement = select_records(ENTITY, table_of(ENTITY, dialect), read, dialect)
                place = {"k0": 1, "k1": 1, "limit": 20, "offset": 0}
                found = database.execute(f"EXPLAIN QUERY PLAN {statement.text}", statement.parameters(place))
                plan, *sorts = [row[3] for row in found]
                assert plan.startswith("SEARCH"), (step, plan)
                assert all("LAST TERM" in sort or "RIGHT PART" in sort for sort in sorts), (step, sorts)
    database.close()
