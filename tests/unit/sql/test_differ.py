"""The schema differ: the changes of a migration, their order, and the effect of a database's traits."""

from __future__ import annotations

from collections.abc import Sequence

from apilane.model.definition import Entity, ForeignKey, Index, Property, PropertyType, Unique
from apilane.model.migration import Migration, Renames
from apilane.sql import changes as do
from apilane.sql.changes import Change
from apilane.sql.ddl import foreign_keys, plain_indexes, visible_uniques
from apilane.sql.differ import Traits, differences
from apilane.sql.structure import ACTIONS, Column, IndexColumn, Reference, Table
from apilane.sql.structure import Index as StructureIndex

KEY = Property(name="ID", type=PropertyType.Number, decimal_places=0, required=True, is_primary_key=True)
NAME = Property(name="Name", maximum=20)
MAKER = Property(name="Maker", type=PropertyType.Number, decimal_places=0)
MAKERS = Entity(name="Makers", properties=(KEY, NAME))
REFERENCE = ForeignKey(property="Maker", entity="Makers")
THINGS = Entity(name="Things", properties=(KEY, NAME, MAKER), constraints=(REFERENCE,))


def _tables(entities: Sequence[Entity]) -> list[Table]:
    return [
        Table(
            entity.name,
            tuple(Column(p.name, f"{p.type.name}({p.maximum})", p.required) for p in entity.properties),
            (
                *(_index("UNIQUE", entity, columns) for columns in visible_uniques(entity)),
                *(_index("INDEX", entity, columns) for columns in plain_indexes(entity)),
            ),
            tuple(
                Reference(f"FOREIGN_KEY_{entity.name}_{key.property}", key.property, key.entity, ACTIONS[key.on_delete])
                for key in foreign_keys(entity)
            ),
        )
        for entity in entities
    ]


def _index(kind: str, entity: Entity, columns: Sequence[str]) -> StructureIndex:
    name = f"{kind}_{entity.name}_{'_'.join(columns)}"
    return StructureIndex(name, tuple(map(IndexColumn, columns)), unique=kind == "UNIQUE")


def _changes(
    before: Sequence[Entity], after: Sequence[Entity], renames: Renames | None = None, traits: Traits | None = None
) -> list[Change]:
    migration = Migration(tuple(before), tuple(after), renames or Renames())
    return differences(migration, _tables, traits or Traits())


def _kinds(changes: Sequence[Change]) -> list[str]:
    return [f"{type(change).__name__} {change.table}" for change in changes]


def test_nothing_changes() -> None:
    """Equal entities before and after give no changes."""
    assert _changes([MAKERS, THINGS], [MAKERS, THINGS]) == []


def test_new_tables_get_their_references_last() -> None:
    """References are added after all tables exist, also where tables refer to each other."""
    assert _kinds(_changes([], [THINGS, MAKERS])) == [
        "CreateTable Things",
        "CreateTable Makers",
        "AddIndex Things",
        "AddReference Things",
    ]


def test_tables_go_after_the_references_to_them() -> None:
    """References are dropped before any table."""
    assert _kinds(_changes([MAKERS, THINGS], [])) == ["DropReference Things", "DropTable Makers", "DropTable Things"]


def test_create_table_brings_what_the_database_can() -> None:
    """What CREATE TABLE includes is not a separate change, and later references are added with their column."""
    traits = Traits(created_with=frozenset({"indexes", "references"}))
    assert _kinds(_changes([], [MAKERS, THINGS], traits=traits)) == ["CreateTable Makers", "CreateTable Things"]
    without = Entity(name="Things", properties=(KEY, NAME))
    added = next(c for c in _changes([MAKERS, without], [MAKERS, THINGS], traits=traits) if isinstance(c, do.AddColumn))
    assert added.reference == Reference("FOREIGN_KEY_Things_Maker", "Maker", "Makers", "NO ACTION")


def test_tables_swap_their_names() -> None:
    """Two tables that swap names use a temporary name, so that each new name is free."""
    first, second = (Entity(name=name, properties=(KEY,)) for name in ("First", "Second"))
    renames = Renames(entities={"First": "Second", "Second": "First"})
    found = [
        (c.table, c.name) for c in _changes([first, second], [first, second], renames) if isinstance(c, do.RenameTable)
    ]
    assert found == [
        ("Second", "Second__backup__"),
        ("First", "First__backup__"),
        ("Second__backup__", "First"),
        ("First__backup__", "Second"),
    ]


def test_a_name_that_was_given_away_is_a_new_table() -> None:
    """When a table is renamed and another takes its old name, the other is created after the rename."""
    producers = Entity(name="Producers", properties=(KEY, NAME))
    renames = Renames(entities={"Producers": "Makers"})
    found = _changes([MAKERS], [producers, MAKERS], renames)
    assert _kinds(found) == ["RenameTable Makers", "CreateTable Makers"]
    once = _changes([MAKERS], [producers, MAKERS, THINGS], renames, Traits(alters_at_once=True))
    assert _kinds(once)[:3] == ["CreateTable Things", "RenameTable Makers", "CreateTable Makers"]


def test_columns_change_in_order() -> None:
    """A table's columns are dropped, renamed, changed, then added."""
    before = Entity(name="Makers", properties=(KEY, NAME, MAKER, Property(name="Old")))
    after = Entity(
        name="Makers",
        properties=(KEY, Property(name="Title", maximum=90), Property(name="New"), MAKER),
    )
    found = _changes([before], [after], Renames(properties={("Makers", "Title"): "Name"}))
    assert [type(change) for change in found] == [do.DropColumn, do.RenameColumn, do.ChangeColumn, do.AddColumn]
    assert found[1] == do.RenameColumn("Makers", "Name", "Title", Column("Title", "String(90)"))
    at_once = _changes(
        [before], [after], Renames(properties={("Makers", "Title"): "Name"}), Traits(alters_at_once=True)
    )
    assert [type(change) for change in at_once] == [do.DropColumn, do.RenameColumn, do.AddColumn]


def test_what_stands_on_a_changed_column() -> None:
    """Indexes and references on a changed column are dropped first and added again where the database requires it."""
    before = Entity(
        name="Things",
        properties=(KEY, NAME, MAKER),
        constraints=(REFERENCE, Unique(properties=("Name",))),
        indexes=(Index(("Maker",)),),
    )
    wider = Property(name="Maker", type=PropertyType.Number, decimal_places=0, required=True)
    after = Entity(name="Things", properties=(KEY, NAME, wider), constraints=before.constraints, indexes=before.indexes)
    assert _kinds(_changes([MAKERS, before], [MAKERS, after])) == ["ChangeColumn Things"]
    traits = Traits(dropped_to_change=frozenset({"indexes", "references"}))
    assert _kinds(_changes([MAKERS, before], [MAKERS, after], traits=traits)) == [
        "DropReference Things",
        "DropIndex Things",
        "ChangeColumn Things",
        "AddIndex Things",
        "AddReference Things",
    ]


def test_keys_are_renamed_with_their_table() -> None:
    """Keys of a renamed table are renamed through a temporary name; where that is impossible they are recreated."""
    before = Entity(name="Makers", properties=(KEY, NAME), constraints=(Unique(properties=("Name",)),))
    after = Entity(name="Producers", properties=(KEY, NAME), constraints=(Unique(properties=("Name",)),))
    renames = Renames(entities={"Producers": "Makers"})
    found = _changes([before], [after], renames, Traits(renames_keys=True))
    assert _kinds(found) == ["RenameIndex Makers", "RenameTable Makers", "RenameIndex Producers"]
    assert [change.name for change in found if isinstance(change, do.RenameIndex)] == [
        "UNIQUE_Makers_Name__backup__",
        "UNIQUE_Producers_Name",
    ]
    assert _kinds(_changes([before], [after], renames)) == [
        "DropIndex Makers",
        "RenameTable Makers",
        "AddIndex Producers",
    ]


def test_a_reference_goes_with_its_index() -> None:
    """Where a reference needs an index, it is dropped before that index and added after the new one."""
    wide = Entity(
        name="Things", properties=THINGS.properties, constraints=(REFERENCE,), indexes=(Index(("Maker", "Name")),)
    )
    assert _kinds(_changes([MAKERS, THINGS], [MAKERS, wide], traits=Traits(references_need_index=True))) == [
        "DropReference Things",
        "DropIndex Things",
        "AddIndex Things",
        "AddReference Things",
    ]
    assert "DropReference Things" not in _kinds(_changes([MAKERS, THINGS], [MAKERS, wide]))


def test_tables_are_made_again_where_columns_cannot_change() -> None:
    """With ``rebuilds`` a table whose columns change is rebuilt with its indexes; added columns need no rebuild."""
    traits = Traits(rebuilds=True, created_with=frozenset({"references"}))
    named = Entity(name="Makers", properties=(KEY, NAME), indexes=(Index(("Name",)),))
    required = Property(name="Name", maximum=20, required=True)
    found = _changes([named], [Entity(name="Makers", properties=(KEY, required), indexes=named.indexes)], traits=traits)
    assert _kinds(found) == ["RebuildTable Makers", "AddIndex Makers"]
    assert isinstance(found[0], do.RebuildTable)
    assert found[0].sources == {"ID": "ID", "Name": "Name"}
    grown = Entity(name="Makers", properties=(KEY, NAME, MAKER), indexes=named.indexes)
    assert _kinds(_changes([named], [grown], traits=traits)) == ["AddColumn Makers"]
