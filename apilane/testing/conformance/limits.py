"""A definition that ``Dialect.problems`` accepts can be created and holds every value; one beyond the limits is refused
by name and number (B-D8)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import pytest
from msgspec.structs import replace

from apilane.model.definition import Entity, Index, Property, PropertyType, Unique
from apilane.sql.statement import Value
from apilane.storage.errors import UniqueViolation
from apilane.testing.conformance.case import Database
from apilane.testing.conformance.tables import key

__all__ = ["LimitsTold"]

COLUMN_NAMES: Final = (
    "tableoid",
    "xmin",
    "xmax",
    "cmin",
    "cmax",
    "ctid",
    "XMIN",
    "rowid",
    "_rowid_",
    "ROWID",
    "DB_ROW_ID",
    "DB_TRX_ID",
    "DB_ROLL_PTR",
    "db_row_id",
    "FTS_DOC_ID",
    "ROWNUM",
    "ROWSCN",
    "ORA_ROWSCN",
    "row_start",
    "row_end",
    "inserted",
    "deleted",
    "level",
    "value",
    "user",
    "default",
    "select",
    "order",
    "limit",
    "offset",
    "rownum",
    "identity",
    "IDENTITYCOL",
    "ROWGUIDCOL",
    "timestamp",
    "current_user",
    "session_user",
    "excluded",
)
TABLE_NAMES: Final = (
    "pg_class",
    "pg_type",
    "pg_attribute",
    "pg_foo",
    "sqlite_master",
    "sqlite_sequence",
    "sysobjects",
    "sysusers",
    "sysdatabases",
    "Things_pkey",
    "Things_ID_seq",
    "dual",
    "inserted",
    "deleted",
    "excluded",
    "table",
    "order",
    "group",
    "temp",
    "main",
    "information_schema",
    "json_each",
    "user",
)

WIDE: Final = {
    "Strings": Property(name="P"),
    "StringsA": Property(name="P", maximum=10),
    "StringsB": Property(name="P", maximum=63),
    "StringsC": Property(name="P", maximum=100),
    "Numbers": Property(name="P", type=PropertyType.Number, decimal_places=0),
    "Decimals": Property(name="P", type=PropertyType.Number, decimal_places=2),
    "Booleans": Property(name="P", type=PropertyType.Boolean),
    "Dates": Property(name="P", type=PropertyType.Date),
}


def _letters(number: int) -> str:
    """A different name of four letters for each number."""
    return "P" + "".join(chr(ord("a") + number // 26**place % 26) for place in (2, 1, 0))


def _largest(db: Database, make: Callable[[int], Entity], most: int) -> int:
    """The largest number up to ``most`` whose entity is not refused."""
    low, high = 1, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (low, middle - 1) if db.dialect.problems((make(middle),)) else (middle, high)
    return low


def _refused(db: Database, entity: Entity, told: str) -> None:
    """The entity is refused, with its name and ``told`` or a number."""
    problems = db.dialect.problems((entity,))
    assert problems
    assert all(place.startswith(f"Entities[{entity.name}]") for place, _ in problems), problems
    assert any(told in sentence if told else re.search(r"\d", sentence) for _, sentence in problems), problems


class LimitsTold:
    """The tests that the module docstring describes."""

    def test_a_column_name_works_or_is_refused(self, db: Database) -> None:
        """A property that is not refused by its name can be stored, changed, found and read, also when it is added."""
        names = []
        for name in COLUMN_NAMES:
            made = Entity(name="Named", properties=(key(), Property(name=name)))
            if db.dialect.problems((made,)):
                _refused(db, made, name)
            else:
                names.append(name)
        taken = {name.lower(): name for name in names}.values()  # properties differ in more than letter case
        properties = (key(), *(Property(name=name, maximum=20) for name in taken))
        made = Entity(name="Named", properties=properties, indexes=tuple(Index((name,)) for name in taken))
        db.migrate((*db.entities, made, Entity(name="Later", properties=(key(),))))
        later = Entity(name="Later", properties=properties)
        db.migrate((*db.entities[:-1], later))
        for entity in (made, later):
            id = db.insert(entity, **dict.fromkeys(taken, "first"))
            for name in taken:
                db.write(db.updating(id, entity, **{name: name}))
                assert db.found(name, "equal", name, entity) == [id], name
            assert db.rows(*taken, entity=entity) == [tuple(taken)]

    def test_a_table_name_works_or_is_refused(self, db: Database) -> None:
        """An entity that is not refused by its name can be created, and its records are found."""
        made = [Entity(name=name, properties=(key(), Property(name="Text", maximum=50))) for name in TABLE_NAMES]
        accepted = [entity for entity in made if not db.dialect.problems((entity,))]
        for entity in made:
            if entity not in accepted:
                _refused(db, entity, entity.name)
        db.migrate((*db.entities, *accepted))
        for entity in accepted:
            id = db.insert(entity, Text="first")
            db.write(db.updating(id, entity, Text=entity.name))
            assert db.rows("ID", "Text", entity=entity) == [(id, entity.name)]
            db.write(db.deleting(id, entity))
            assert db.rows("ID", entity=entity) == []

    def test_the_widest_entity_holds_any_values(self, db: Database) -> None:
        """The entity with the most properties of a type that is not refused stores the largest values; one more is
        refused."""
        for kind, one in WIDE.items():

            def wide(count: int, one: Property = one, name: str = kind) -> Entity:
                properties = (replace(one, name=_letters(number)) for number in range(count))
                return Entity(name=name, properties=(key(), *properties))

            count = _largest(db, wide, 2500)
            if count < 2500:
                _refused(db, wide(count + 1), "")
            db.migrate((*db.entities, wide(count)))
            for value in _values(db, one):
                db.insert(wide(count), **{p.name: value for p in wide(count).properties[1:]})

    def test_the_longest_name_works(self, db: Database) -> None:
        """The longest name that is not refused, up to the 120 letters of the protocol, works beside a similar one."""

        def named(length: int) -> Entity:
            return Entity(name="Named", properties=(key(), *(Property(name="N" * (length - 1) + end) for end in "AB")))

        length = _largest(db, named, 120)
        if length < 120:
            _refused(db, named(length + 1), str(length + 1))
        first, second = (p.name for p in named(length).properties[1:])
        db.migrate((*db.entities, named(length)))
        db.insert(named(length), **{first: "a", second: "b"})
        assert db.rows(first, second, entity=named(length)) == [("a", "b")]

    def test_the_most_indexes_work(self, db: Database) -> None:
        """The most indexes of a table, and the most columns of an index, that are not refused can be created."""
        numbers = tuple(Property(name=_letters(n), type=PropertyType.Number, decimal_places=0) for n in range(80))

        def many(count: int) -> Entity:
            indexes = tuple(Index((p.name,)) for p in numbers[:count])
            return Entity(name="Many", properties=(key(), *numbers), indexes=indexes)

        def long(count: int) -> Entity:
            names = tuple(p.name for p in numbers[:count])
            return Entity(
                name="Long",
                properties=(key(), *numbers),
                indexes=(Index(names),),
                constraints=(Unique(properties=names),),
            )

        for make in (many, long):
            count = _largest(db, make, 80)
            if count < 80:
                _refused(db, make(count + 1), str(count + 1))
            db.migrate((*db.entities, make(count)))

    def test_the_longest_unique_text_works(self, db: Database) -> None:
        """The longest unique String that is not refused stores characters of four bytes, and remains unique."""

        def unique(maximum: int) -> Entity:
            text = Property(name="Text", maximum=maximum)
            return Entity(name="Unique", properties=(key(), text), constraints=(Unique(properties=("Text",)),))

        maximum = _largest(db, unique, 5000)
        db.migrate((*db.entities, unique(maximum)))
        text = "".join(chr(0x20000 + number % 40_000) for number in range(maximum // 2))
        db.insert(unique(maximum), Text=text)
        with pytest.raises(UniqueViolation):
            db.insert(unique(maximum), Text=text)


def _values(db: Database, property: Property) -> tuple[Value, ...]:
    """Values of the property that take most room in a row: short texts stay in it, long ones leave it."""
    match property.type:
        case PropertyType.String:
            letters = property.maximum or 5000
            short = tuple("a" * size for size in (10, 22, 23, 40, 41) if size <= letters)
            return (*short, "\U00020000" * min(letters, 10), "\u20ac" * min(letters, 300))
        case PropertyType.Number if property.decimal_places:
            return (db.number("-9999999999999.99"),)
        case PropertyType.Boolean:
            return (True,)
    return (2**62,)
