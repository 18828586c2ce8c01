"""Migrations compared with fresh tables: the resulting tables must be the same."""

from __future__ import annotations

from random import Random

import apsw
import pytest

from apilane.model.definition import Constraint, Entity, ForeignKey, Index, OnDelete, Property, PropertyType, Unique
from apilane.model.migration import Migration, Renames
from apilane.model.system import HELPER_TABLES, system_entities
from apilane.testing.conformance.tables import key
from apilane_sqlite.dialect import SQLiteDialect

ENTITY_NAMES = ("Shop", "Shop_Item", "Item", "Order")
PROPERTY_NAMES = ("Name", "Item_Name", "Price", "Code", "Shop", "Left")
MIGRATE = SQLiteDialect().migrate


def _property(random: Random, name: str) -> Property:
    kind = random.choice(list(PropertyType))
    decimals = random.choice([0, 0, 2, 3]) if kind is PropertyType.Number else None
    return Property(name=name, type=kind, required=random.random() < 0.3, decimal_places=decimals)


def _entity(random: Random, name: str, targets: list[str]) -> Entity:
    properties = [_property(random, p) for p in random.sample(PROPERTY_NAMES, random.randint(1, 4))]
    names = [p.name for p in properties]
    constraints: list[Constraint] = []
    if random.random() < 0.5:
        constraints.append(Unique(properties=tuple(random.sample(names, random.randint(1, len(names))))))
    references = [p for p in properties if p.type is PropertyType.Number and not p.required and not p.decimal_places]
    constraints += [
        ForeignKey(property=p.name, entity=random.choice(targets), on_delete=random.choice(list(OnDelete)))
        for p in references
        if random.random() < 0.7
    ]
    indexes = (Index(tuple(random.sample(names, 1))),) if random.random() < 0.5 else ()
    return Entity(name=name, properties=(key(), *properties), constraints=tuple(constraints), indexes=indexes)


def _entities(random: Random) -> tuple[Entity, ...]:
    names = random.sample(ENTITY_NAMES, random.randint(1, 4))
    return (*system_entities(), *(_entity(random, name, [*names, "Users"]) for name in names), *HELPER_TABLES)


def _renames(random: Random, before: tuple[Entity, ...], after: tuple[Entity, ...]) -> Renames:
    """Some custom entities and properties of ``after`` as renamed from others of ``before``."""
    old = {e.name: e for e in before if e.name in ENTITY_NAMES}
    sources = random.sample(sorted(old), len(old))
    entities, properties = {}, {}
    taken: set[str] = set()
    news = [e for e in after if e.name in ENTITY_NAMES]
    for entity in random.sample(news, len(news)):
        if sources and random.random() < 0.5 and (source := sources.pop()) not in taken:
            entities[entity.name] = source
            taken.add(source)
    for entity in news:
        source = entities.get(entity.name, entity.name)
        if source in old:
            theirs = [p.name for p in old[source].properties[1:]]
            ours = [p.name for p in entity.properties[1:]]
            if theirs and ours and random.random() < 0.5:
                properties[entity.name, random.choice(ours)] = random.choice(theirs)
    return Renames(entities, properties)


def _described(connection: apsw.Connection) -> object:
    """Columns, references and indexes of every table, independent of the order of the columns."""
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1")]

    def rows(text: str, name: object) -> list[tuple[object, ...]]:
        return connection.execute(text, (name,)).fetchall()

    return {
        table: (
            sorted(rows('SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(?)', table), key=str),
            sorted(rows('SELECT "from", "table", "to", on_update, on_delete FROM pragma_foreign_key_list(?)', table)),
            {
                (index, unique, *rows("SELECT name, coll FROM pragma_index_xinfo(?) WHERE key", index))
                for index, unique in rows('SELECT name, "unique" FROM pragma_index_list(?)', table)
            },
        )
        for table in tables
    }


def _carry_out(connection: apsw.Connection, migration: Migration) -> None:
    connection.execute("PRAGMA foreign_keys = OFF; BEGIN")
    for statement in MIGRATE(migration):
        connection.execute(statement)
    connection.execute("COMMIT")


@pytest.mark.parametrize("seed", range(60))
def test_migrated_tables_equal_fresh_ones(seed: int) -> None:
    """Renames, removals, additions and changes together lead to exactly the tables of a fresh database."""
    random = Random(seed)
    before, after = _entities(random), _entities(random)
    renames = _renames(random, before, after)
    migrated, fresh = apsw.Connection(":memory:"), apsw.Connection(":memory:")
    _carry_out(migrated, Migration((), before))
    for entity in before:
        names = [p.name for p in entity.properties]  # no nulls, because a column may become required
        columns, ones = ", ".join(f'"{name}"' for name in names), ", ".join("1" for _ in names)
        migrated.execute(f'INSERT INTO "{entity.name}" ({columns}) VALUES ({ones})')
    _carry_out(migrated, Migration(before, after, renames))
    _carry_out(fresh, Migration((), after))
    assert _described(migrated) == _described(fresh)
    old_names = {entity.name for entity in before}
    for entity in after:
        count = migrated.execute(f'SELECT count(*) FROM "{entity.name}"').fetchone()
        own_name_is_free = entity.name not in renames.entities.values()
        source = renames.entities.get(entity.name, entity.name if own_name_is_free else "")
        assert count == (int(source in old_names),)
    assert MIGRATE(Migration(after, after)) == []


def test_too_many_columns_are_told() -> None:
    """SQLite holds 2000 columns: a table with as many is made, one with more is refused before any change."""
    columns = tuple(Property(name=f"P{number}", type=PropertyType.Date) for number in range(1999))
    largest = Entity(name="Largest", properties=(key(), *columns))
    apsw.Connection(":memory:").execute(MIGRATE(Migration((), (largest,)))[0])
    assert SQLiteDialect().problems([largest]) == []
    more = Entity(name="Larger", properties=(*largest.properties, Property(name="More")))
    assert SQLiteDialect().problems([more]) == [
        ("Entities[Larger].Properties", "a table has 2000 columns at most, this one would have 2001")
    ]
    with pytest.raises(apsw.SQLError, match="too many columns"):
        apsw.Connection(":memory:").execute(MIGRATE(Migration((), (more,)))[0])
