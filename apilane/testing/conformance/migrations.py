"""Changes of tables that have rows."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Generator

import msgspec
import pytest

from apilane.model.definition import Constraint, Entity, ForeignKey, Index, OnDelete, Property, PropertyType, Unique
from apilane.model.migration import Migration, Renames
from apilane.model.system import custom_entity
from apilane.sql.statement import Statement
from apilane.storage.errors import ForeignKeyViolation, MissingObject, StorageError, UniqueViolation
from apilane.storage.protocol import Result, Step
from apilane.testing.conformance.case import Database
from apilane.testing.conformance.tables import ENTITIES, MAKERS, PARTS, THINGS, key

__all__ = ["Migrations"]

_OTHERS = tuple(entity for entity in ENTITIES if entity.name != "Makers")


def _makers(*more: Property, constraints: tuple[Constraint, ...] = (), indexes: tuple[Index, ...] = ()) -> Entity:
    return Entity(name="Makers", properties=(*MAKERS.properties, *more), constraints=constraints, indexes=indexes)


def _number(name: str, *, required: bool = False, decimals: int = 0) -> Property:
    return Property(name=name, type=PropertyType.Number, required=required, decimal_places=decimals)


def _changed(entity: Entity, name: str, **values: object) -> Entity:
    """``entity`` with one property changed."""
    properties = (msgspec.structs.replace(p, **values) if p.name == name else p for p in entity.properties)
    return msgspec.structs.replace(entity, properties=tuple(properties))


def _steps(*steps: Step) -> Generator[Step, Result, None]:
    for step in steps:  # noqa: UP028 - the driver sends results, which a tuple cannot receive
        yield step


class Migrations:
    """The tests that the module docstring describes."""

    def test_deterministic(self, db: Database) -> None:
        """The same migration gives the same statements, and no statements when nothing changes."""
        migration = Migration((), ENTITIES)
        assert db.dialect.migrate(migration) == db.dialect.migrate(migration)
        assert db.dialect.migrate(Migration(ENTITIES, ENTITIES)) == []

    def test_new_properties(self, db: Database) -> None:
        """New columns are null in existing rows; required ones get their default."""
        id = db.insert(MAKERS, Name="m")
        new = _makers(
            Property(name="Text"),
            Property(name="Need", required=True, maximum=50),
            _number("Amount", required=True, decimals=2),
            Property(name="Flag", type=PropertyType.Boolean, required=True),
        )
        db.migrate((*_OTHERS, new))
        assert db.rows("ID", "Text", "Need", "Amount", "Flag", entity=new) == [(id, None, "", 0, False)]

    def test_new_reference(self, db: Database) -> None:
        """A new optional reference is checked from then on."""
        db.insert(MAKERS, Name="m")
        new = _makers(_number("Part"), constraints=(ForeignKey(property="Part", entity="Parts"),))
        db.migrate((*_OTHERS, new))
        with pytest.raises(ForeignKeyViolation):
            db.insert(new, Name="n", Part=5)

    def test_indexes_of_conditions(self, db: Database) -> None:
        """Indexes for conditions of rules come and go, also on a reference and on a text, and follow a new name."""
        maker = db.insert(MAKERS, Name="m")
        id = db.insert(Maker=maker, Kind="k")
        columns = (("Active", "ID"), ("Kind", "Sponsor", "ID"), ("Maker", "ID"), ("Price", "ID"))
        indexed = msgspec.structs.replace(THINGS, condition_indexes=columns)
        others = tuple(entity for entity in ENTITIES if entity is not THINGS)
        db.migrate((*others, indexed))
        with pytest.raises(ForeignKeyViolation):
            db.insert(indexed, Name="n", Maker=maker + 1)
        new = tuple(msgspec.structs.replace(p, name="Cost") if p.name == "Price" else p for p in THINGS.properties)
        renamed = msgspec.structs.replace(
            THINGS, properties=new, condition_indexes=(("Cost", "ID"), ("Maker", "Sponsor", "ID"))
        )
        db.migrate((*others, renamed), renames=Renames(properties={("Things", "Cost"): "Price"}))
        assert db.rows("ID", "Maker", "Kind", "Cost", entity=renamed) == [(id, maker, "k", None)]
        db.migrate((*others, msgspec.structs.replace(renamed, condition_indexes=())))
        with pytest.raises(ForeignKeyViolation):
            db.insert(renamed, Name="n", Maker=maker + 1)

    def test_reference_on_an_old_property(self, db: Database) -> None:
        """A constraint can be added to a column with values. Rows and the key sequence stay."""
        first = db.insert(MAKERS, Name="m")
        gone = db.insert(MAKERS, Name="n")
        db.write(db.deleting(gone, MAKERS))
        plain = _makers(_number("Part"))
        db.migrate((*_OTHERS, plain))
        new = _makers(_number("Part"), constraints=(ForeignKey(property="Part", entity="Parts"),))
        db.migrate((*_OTHERS, new))
        assert db.rows("ID", "Name", entity=new) == [(first, "m")]
        assert db.insert(new, Name="o") > gone
        with pytest.raises(ForeignKeyViolation):
            db.insert(new, Name="p", Part=5)

    def test_reference_that_rows_break(self, db: Database) -> None:
        """A constraint that existing rows violate is refused."""
        plain = _makers(_number("Part"))
        db.migrate((*_OTHERS, plain))
        db.insert(plain, Name="m", Part=5)
        with pytest.raises(ForeignKeyViolation):
            db.migrate((*_OTHERS, _makers(_number("Part"), constraints=(ForeignKey(property="Part", entity="Parts"),))))

    def test_changed_delete_logic(self, db: Database) -> None:
        """A change of the delete logic alone takes effect."""
        thing = db.insert()
        db.insert(PARTS, Thing=thing)
        stays = msgspec.structs.replace(PARTS, constraints=(ForeignKey(property="Thing", entity="Things"),))
        db.migrate(tuple(stays if entity is PARTS else entity for entity in ENTITIES))
        with pytest.raises(ForeignKeyViolation):
            db.write(db.deleting(thing))

    def test_rows_that_refer_survive(self, db: Database) -> None:
        """Rebuilding a table does not change the rows that refer to it, with or without cascade."""
        thing = db.insert()
        db.insert(PARTS, Thing=thing)
        wider = _changed(THINGS, "Price", decimal_places=3)
        db.migrate(tuple(wider if entity is THINGS else entity for entity in ENTITIES))
        assert db.rows("Thing", entity=PARTS) == [(thing,)]
        db.write(db.deleting(thing, wider))
        assert db.rows("ID", entity=PARTS) == []

    def test_new_unique(self, db: Database) -> None:
        """A new unique constraint is checked from then on. One that existing rows violate is refused."""
        db.insert(MAKERS, Name="m")
        unique = _makers(constraints=(Unique(properties=("Name",)),))
        db.migrate((*_OTHERS, unique))
        with pytest.raises(UniqueViolation):
            db.insert(unique, Name="m")
        db.migrate((*_OTHERS, _makers()))
        db.insert(MAKERS, Name="m")
        with pytest.raises(UniqueViolation):
            db.migrate((*_OTHERS, unique))

    def test_unique_per_tenant(self, db: Database) -> None:
        """A unique constraint per tenant compares the records of each tenant, and those without one like a tenant. It
        can replace one that spans tenants, and the other way round if the rows fit; nulls of properties stay unequal.
        """
        tenants = (Entity(name="Company", properties=(key(),)), *ENTITIES)
        wares = custom_entity("Wares", (Property(name="Name", maximum=50),), differentiation_entity="Company")
        spans, separate = (
            msgspec.structs.replace(
                wares, constraints=(*wares.constraints, Unique(properties=("Name",), per_tenant=per_tenant))
            )
            for per_tenant in (False, True)
        )
        db.migrate((*tenants, separate))
        first, second = db.insert(tenants[0]), db.insert(tenants[0])
        for tenant in (None, first, second):
            db.insert(separate, Created=1, Name="x", Company_ID=tenant)
            db.insert(separate, Created=1, Name=None, Company_ID=tenant)
            db.insert(separate, Created=1, Name=None, Company_ID=tenant)
            with pytest.raises(UniqueViolation) as caught:
                db.insert(separate, Created=1, Name="X", Company_ID=tenant)
            assert "Name" in caught.value.columns
        (ware,) = [
            id for id, name, tenant in db.rows("ID", "Name", "Company_ID", entity=separate) if tenant == first and name
        ]
        with pytest.raises(UniqueViolation):
            db.write(db.updating(ware, separate, Company_ID=None))
        for id, name, tenant in db.rows("ID", "Name", "Company_ID", entity=separate):
            if name and tenant:
                db.write(db.deleting(id, separate))
        db.migrate((*tenants, spans))
        with pytest.raises(UniqueViolation):
            db.insert(spans, Created=1, Name="x", Company_ID=second)
        db.migrate((*tenants, separate))
        db.insert(separate, Created=1, Name="x", Company_ID=second)
        with pytest.raises(UniqueViolation):  # the last step: a provider without transactions stops halfway
            db.migrate((*tenants, spans))

    def test_unique_per_tenant_that_rows_break(self, db: Database) -> None:
        """A unique constraint per tenant that existing rows violate is refused, also for rows without a tenant."""
        tenants = (Entity(name="Company", properties=(key(),)), *ENTITIES)
        wares = custom_entity("Wares", (_number("Code"),), differentiation_entity="Company")
        unique = (*wares.constraints, Unique(properties=("Code",), per_tenant=True))
        db.migrate((*tenants, wares))
        for _ in range(2):
            db.insert(wares, Created=1, Code=7, Company_ID=None)
        with pytest.raises(UniqueViolation):
            db.migrate((*tenants, msgspec.structs.replace(wares, constraints=unique)))

    def test_required_or_not(self, db: Database) -> None:
        """A column can become optional, and required again only when it has no nulls."""
        id = db.insert(MAKERS, Name="m")
        optional = _changed(MAKERS, "Name", required=False)
        db.migrate((*_OTHERS, optional))
        db.write(db.updating(id, optional, Name=None))
        with pytest.raises(StorageError):
            db.migrate((*_OTHERS, MAKERS))
        db.write(db.updating(id, optional, Name="n"))
        db.migrate((*_OTHERS, MAKERS))
        assert db.rows("ID", "Name", entity=MAKERS) == [(id, "n")]

    def test_removed_property_and_entity(self, db: Database) -> None:
        """Removed properties and entities are dropped, all others stay."""
        makers = _makers(Property(name="Text", maximum=50), indexes=(Index(("Text",)),))
        db.migrate((*_OTHERS, makers))
        id = db.insert(makers, Name="m", Text="t")
        without = tuple(entity for entity in _OTHERS if entity.name != "Parts")
        db.migrate((*without, MAKERS))
        assert db.rows("ID", "Name", entity=MAKERS) == [(id, "m")]
        with pytest.raises(MissingObject):
            db.rows("Text", entity=makers)
        with pytest.raises(MissingObject):
            db.rows("ID", entity=PARTS)

    def test_renamed_entity(self, db: Database) -> None:
        """A renamed table keeps its rows, sequence and constraints, and the references to it."""
        maker = db.insert(MAKERS, Name="m")
        db.insert(Maker=maker)
        makers = msgspec.structs.replace(MAKERS, name="Producers")
        keys = {"Maker": "Producers", "Sponsor": "Producers"}
        constraints = tuple(
            msgspec.structs.replace(c, entity=keys.get(c.property, c.entity)) if isinstance(c, ForeignKey) else c
            for c in THINGS.constraints
        )
        things = msgspec.structs.replace(THINGS, constraints=constraints)
        others = tuple(things if entity is THINGS else entity for entity in _OTHERS)
        db.migrate((*others, makers), renames=Renames(entities={"Producers": "Makers"}))
        assert db.rows("ID", "Name", entity=makers) == [(maker, "m")]
        with pytest.raises(ForeignKeyViolation):
            db.write(db.deleting(maker, makers))
        assert db.insert(makers, Name="n") > maker

    def test_renamed_properties(self, db: Database) -> None:
        """Columns can be renamed and swapped, with their constraints."""
        one = Entity(
            name="Pairs",
            properties=(key(), Property(name="Left", maximum=50), Property(name="Right", maximum=50)),
            constraints=(Unique(properties=("Left",)),),
        )
        db.migrate((*ENTITIES, one))
        id = db.insert(one, Left="l", Right="r")
        swapped = Renames(properties={("Pairs", "Left"): "Right", ("Pairs", "Right"): "Left"})
        two = msgspec.structs.replace(one, constraints=(Unique(properties=("Right",)),))
        db.migrate((*ENTITIES, two), renames=swapped)
        assert db.rows("ID", "Left", "Right", entity=two) == [(id, "r", "l")]
        with pytest.raises(UniqueViolation) as caught:
            db.insert(two, Right="l")
        assert caught.value.columns == ("Right",)
        three = msgspec.structs.replace(
            one,
            properties=(key(), Property(name="Left", maximum=50), Property(name="Fresh", maximum=50)),
            constraints=(Unique(properties=("Fresh",)),),
        )
        db.migrate((*ENTITIES, three), renames=Renames(properties={("Pairs", "Fresh"): "Right"}))
        with pytest.raises(UniqueViolation) as caught:
            db.insert(three, Fresh="l")
        assert caught.value.columns == ("Fresh",)

    def test_swapped_entities(self, db: Database) -> None:
        """Two tables can swap their names."""
        one = Entity(name="Firsts", properties=(key(), Property(name="Text", maximum=50)))
        two = Entity(name="Seconds", properties=one.properties)
        db.migrate((*ENTITIES, one, two))
        db.insert(one, Text="was first")
        db.migrate((*ENTITIES, one, two), renames=Renames(entities={"Firsts": "Seconds", "Seconds": "Firsts"}))
        assert db.rows("Text", entity=two) == [("was first",)]
        assert db.rows("ID", entity=one) == []

    def test_names_that_meet(self, db: Database) -> None:
        """Two entities whose constraints would have the same name in the database can both exist."""
        one = Entity(
            name="Shop_Item",
            properties=(key(), Property(name="Name", maximum=50)),
            constraints=(Unique(properties=("Name",)),),
        )
        two = Entity(
            name="Shop",
            properties=(key(), Property(name="Item_Name", maximum=50)),
            constraints=(Unique(properties=("Item_Name",)),),
        )
        db.migrate((*ENTITIES, one, two))
        db.insert(two, Item_Name="x")
        with pytest.raises(UniqueViolation) as caught:
            db.insert(two, Item_Name="x")
        assert caught.value.columns == ("Item_Name",)

    def test_reads_go_on_with_new_tables(self, db: Database) -> None:
        """A read that ran before a migration also works after it."""
        db.insert(MAKERS, Name="m")
        before = db.rows("ID", "Name", entity=MAKERS)
        db.migrate((*_OTHERS, _changed(MAKERS, "Name", required=False)))
        assert db.rows("ID", "Name", entity=MAKERS) == before

    def test_another_process_works_during_a_change(self, db: Database) -> None:
        """A server with its own driver stores and reads records while the tables change; no stored record is lost."""
        other = db.case.make_driver()
        there = other.session(db.address)
        new = _makers(Property(name="Text", maximum=50), indexes=(Index(("Text",)),))
        ddl = db.dialect.migrate(Migration(db.entities, (*_OTHERS, new)))

        async def store(records: int, *, until: asyncio.Event | None = None) -> int:
            stored = 0
            while stored < records or (until is not None and not until.is_set()):
                with contextlib.suppress(StorageError):  # the caller of a refused write knows that it is not stored
                    await there.run(lambda: _steps(db.inserting(MAKERS, Name="m")), single=True)
                    stored += 1
            return stored

        async def scenario() -> None:
            stored = await store(5)
            changed = asyncio.Event()
            async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
                storing = tasks.create_task(store(0, until=changed))
                await db.session.alter(lambda: _steps(*(Step(Statement(text, kind="ddl")) for text in ddl)))
                changed.set()
            stored += storing.result() + await store(5)
            await there.run(lambda: _steps(db.inserting(new, Name="m", Text="t")))
            assert len(await there.fetch(db.reading("ID", "Text", entity=new).statement)) == stored + 1
            await other.close()

        db.altered = True
        db.wait(scenario())

    def test_another_process_sees_a_change(self, db: Database) -> None:
        """After a change, a session that another driver opened before it finds the new columns, and not the old."""
        other = db.case.make_driver()
        there = other.session(db.address)
        old = db.reading("ID", "Name", entity=MAKERS).statement
        assert list(db.wait(there.fetch(old))) == []
        renames = Renames(properties={("Makers", "Title"): "Name"})
        properties = (MAKERS.properties[0], msgspec.structs.replace(MAKERS.properties[1], name="Title"))
        new = msgspec.structs.replace(MAKERS, properties=properties)
        db.migrate((*_OTHERS, new), renames=renames)
        db.insert(new, Title="m")
        rows = db.wait(there.fetch(db.reading("Title", entity=new).statement))
        assert [tuple(row) for row in rows] == [("m",)]
        with pytest.raises(MissingObject):
            db.wait(there.fetch(old))
        db.wait(other.close())

    def test_set_null_from_cascade(self, db: Database) -> None:
        """The delete logic can change from one to another on a table with rows."""
        thing = db.insert()
        optional = _changed(PARTS, "Thing", required=False)
        empties = msgspec.structs.replace(
            optional, constraints=(ForeignKey(property="Thing", entity="Things", on_delete=OnDelete.SetNull),)
        )
        db.insert(PARTS, Thing=thing)
        db.migrate(tuple(empties if entity is PARTS else entity for entity in ENTITIES))
        db.write(db.deleting(thing))
        assert db.rows("Thing", entity=empties) == [(None,)]
