"""``RenamedFrom`` on filled data: everything that uses the old name is renamed too."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apilane.model.definition import SortKey
from apilane.model.manifest.problems import ManifestErrors
from apilane.services.history_names import renamed_keys
from tests.changes.workshop import Workshop, entity, manifest

TITLE = {"Name": "Title", "Maximum": 20}
PRICE = {"Name": "Price", "Type": "Number", "DecimalPlaces": 2}
KIND = {"Name": "KindID", "Type": "Number"}
NOTE = {"Name": "Note", "Encrypted": True}


def application(**sections: Any) -> dict[str, Any]:
    return manifest(
        entity("Kinds", {"Name": "Label"}),
        entity(
            "Items",
            TITLE,
            PRICE,
            KIND,
            NOTE,
            ChangeTracking=True,
            DefaultOrder=[{"Property": "Title"}],
            Indexes=[{"Properties": ["Price"]}],
            Constraints=[
                {"Type": "Unique", "Properties": ["Title"]},
                {"Type": "ForeignKey", "Property": "KindID", "Entity": "Kinds", "OnDelete": "Cascade"},
            ],
        ),
        **sections,
    )


SECTIONS: dict[str, Any] = {
    "Security": [{"Entity": "Items", "Role": "ANONYMOUS", "Action": "get", "Properties": ["Title", "Price"]}],
    "Reports": [
        {
            "Title": "Prices",
            "Width": 6,
            "Type": "Line",
            "Series": [
                {
                    "Entity": "Items",
                    "Properties": ["Price.Avg"],
                    "GroupBy": "Title",
                    "Filter": {"Property": "Price", "Operator": "greater", "Value": 1},
                }
            ],
            "MaxRecords": 10,
        }
    ],
}
RENAMED = manifest(
    entity("Sorts", {"Name": "Label"}, RenamedFrom="Kinds"),
    entity(
        "Goods",
        TITLE | {"Name": "Caption", "RenamedFrom": "Title"},
        PRICE | {"Name": "Cost", "RenamedFrom": "Price"},
        KIND | {"Name": "SortID", "RenamedFrom": "KindID"},
        NOTE,
        RenamedFrom="Items",
    ),
)


@pytest.fixture
def filled(shop: Workshop) -> Workshop:
    """Two items of a kind, with history."""
    shop.apply(application(**SECTIONS))
    shop.insert("Kinds", {"Label": "one"})
    shop.insert("Items", {"Title": "a", "Price": 1.5, "KindID": 1}, {"Title": "b", "Price": 2, "KindID": 1})
    remember(
        shop, "Items", 1, '{"ID":1,"Title":"old","Price":0.10,"KindID":1,"Note":"v1:x","Gone":12345678901234567890}'
    )
    remember(shop, "Items", 2, '{"ID":2,"Title":null,"Price":1}')
    remember(shop, "Kinds", 1, '{"ID":1,"Label":"zero","Title":"not mine"}')
    return shop


def remember(shop: Workshop, name: str, record: int, data: str) -> None:
    insert = 'INSERT INTO "H_Entity_Change_Tracking" ("Entity", "RecordID", "Data", "Created") VALUES (?, ?, ?, 0)'
    shop.sql(insert, (name, record, data))


def history(shop: Workshop) -> list[tuple[Any, ...]]:
    return shop.sql('SELECT "Entity", "RecordID", "Data" FROM "H_Entity_Change_Tracking" ORDER BY "ID"')


@pytest.mark.better("B-D8")
def test_records_constraints_and_indexes_follow(filled: Workshop) -> None:
    """Tables and columns keep their records; constraints hold under the new names and are renamed."""
    filled.apply(RENAMED)
    assert filled.sql('SELECT "ID", "Caption", "Cost", "SortID" FROM "Goods"') == [(1, "a", 1.5, 1), (2, "b", 2, 1)]
    names = " ".join(str(name) for _, name, _ in filled.tables())
    for part in ("UNIQUE_Goods_Caption", "INDEX_Goods_Cost", "INDEX_Goods_SortID"):
        assert part in names
    assert not any(old in names for old in ("Items", "Kinds", "Title", "Price", "KindID"))
    assert filled.sql('PRAGMA foreign_key_list("Goods")')[0][2:5] in {
        ("Sorts", "SortID", "ID"),
        ("Users", "Owner", "ID"),
    }


def test_the_definition_follows(filled: Workshop) -> None:
    """Rules, default orders, constraints and reports that the manifest does not list use the new names."""
    filled.apply(RENAMED)
    definition = filled.stored.definition
    goods = definition.entity("Goods")
    assert goods is not None
    assert goods.default_order == (SortKey("Caption"),)
    assert goods.change_tracking
    (rule,) = definition.rules
    assert (rule.name, rule.properties) == ("Goods", ("Caption", "Cost"))
    (series,) = definition.reports[0]["Series"]
    assert series["Entity"] == "Goods"
    assert series["Properties"] == ["Cost.Avg"]
    assert series["GroupBy"] == "Caption"
    assert series["Filter"]["Property"] == "Cost"


@pytest.mark.better("B-D10")
def test_the_history_follows(filled: Workshop) -> None:
    """Snapshots have the new names with exactly the same values; those of other entities do not change."""
    filled.apply(RENAMED)
    assert history(filled) == [
        ("Goods", 1, '{"ID":1,"Caption":"old","Cost":0.10,"SortID":1,"Note":"v1:x","Gone":12345678901234567890}'),
        ("Goods", 2, '{"ID":2,"Caption":null,"Cost":1}'),
        ("Sorts", 1, '{"ID":1,"Label":"zero","Title":"not mine"}'),
    ]


def test_a_refused_rename_leaves_the_history(filled: Workshop) -> None:
    """Names and history change together or not at all."""
    before = history(filled)
    refused = json.loads(json.dumps(RENAMED))
    refused["Entities"][1]["Properties"][3]["Required"] = True
    with pytest.raises(Exception, match=r"Note.*without a value"):
        filled.apply(refused)
    assert history(filled) == before


def test_renaming_twice_changes_nothing(filled: Workshop) -> None:
    """``RenamedFrom`` may stay in the manifest: after the rename it has no effect."""
    filled.apply(RENAMED)
    version = filled.stored.version
    assert filled.plan(RENAMED).is_empty
    filled.apply(RENAMED)
    assert filled.stored.version == version


def test_names_can_be_exchanged(filled: Workshop) -> None:
    """Two names are exchanged through a third one; data and history follow at every step."""
    swapped = [("Third", "Title"), ("Title", "Note"), ("Note", "Third")]
    for new, old in swapped:
        definition = filled.stored.definition.entity("Items")
        assert definition is not None
        listed = [
            {"Name": new, "RenamedFrom": old} if p.name == old else {"Name": p.name}
            for p in definition.properties
            if not p.is_system
        ]
        filled.apply(manifest(entity("Kinds", {"Name": "Label"}), {"Name": "Items", "Properties": listed}))
    assert filled.sql('SELECT "Note", "Title" FROM "Items"') == [("a", None), ("b", None)]
    assert json.loads(history(filled)[0][2]) | {"Gone": 0} == {
        "ID": 1, "Note": "old", "Price": 0.1, "KindID": 1, "Title": "v1:x", "Gone": 0,
    }  # fmt: skip


def test_only_letter_case_changes(filled: Workshop) -> None:
    """A name may change only in its letter case."""
    listed = [{"Name": "TITLE", "RenamedFrom": "Title"}, PRICE, KIND, NOTE]
    filled.apply(manifest(entity("Kinds", {"Name": "Label"}), entity("ITEMS", *listed, RenamedFrom="Items")))
    assert filled.sql('SELECT "TITLE" FROM "ITEMS"') == [("a",), ("b",)]
    assert [(name, "TITLE" in data) for name, _, data in history(filled)][:2] == [("ITEMS", True), ("ITEMS", True)]
    assert ("ITEMS",) in filled.sql("SELECT name FROM sqlite_schema")


def test_snapshots_of_properties_long_gone() -> None:
    """A removed property's value is replaced by the property that takes its name; other texts do not change."""
    assert renamed_keys('{"Old":1,"New":2}', {"Old": "New"}) == '{"New":1}'
    assert renamed_keys('{"A":1,"B":2}', {"A": "B", "B": "A"}) == '{"B":1,"A":2}'
    assert renamed_keys("[1]", {"Old": "New"}) == "[1]"
    assert renamed_keys("no JSON", {"Old": "New"}) == "no JSON"


@pytest.mark.better("B-P3")
@pytest.mark.parametrize("change", ["entity", "property", "removal"])
def test_an_endpoint_that_no_longer_compiles(filled: Workshop, change: str) -> None:
    """SQL is not rewritten: a change that breaks an endpoint is refused, and the error names the endpoint."""
    query = "SELECT Title FROM Items WHERE Price < {Most}"
    filled.apply(application(CustomEndpoints=[{"Name": "CheapItems", "Query": query}]))
    before = filled.stored, filled.tables()
    forms: dict[str, dict[str, Any]] = {
        "entity": entity("Goods", TITLE, PRICE, KIND, NOTE, RenamedFrom="Items"),
        "property": entity("Items", TITLE, PRICE | {"Name": "Cost", "RenamedFrom": "Price"}, KIND, NOTE),
        "removal": entity("Items", PRICE, KIND, NOTE),
    }
    document = manifest(entity("Kinds", {"Name": "Label"}), forms[change])
    with pytest.raises(ManifestErrors, match="CheapItems"):
        filled.apply(document)
    assert (filled.stored, filled.tables()) == before
    corrected = "SELECT 1 WHERE 2 < {Most}"
    filled.apply({**document, "CustomEndpoints": [{"Name": "CheapItems", "Query": corrected}]})
