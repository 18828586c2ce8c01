"""Changes of filled tables that existing records contradict: refused with the records' IDs, nothing changed."""

from __future__ import annotations

from typing import Any

import pytest

from apilane.errors import ConfigurationError
from apilane.security.encryption import Cipher
from tests.changes.workshop import Workshop, entity, manifest

TITLE = {"Name": "Title", "Maximum": 20}
CODE = {"Name": "Code"}
NUMBER = {"Name": "Amount", "Type": "Number", "DecimalPlaces": 3}
KIND = {"Name": "KindID", "Type": "Number"}
BASE = manifest(entity("Kinds"), entity("Items", TITLE, CODE, NUMBER, KIND))
UNIQUE_CODE = {"Type": "Unique", "Properties": ["Code"]}


def items(*properties: dict[str, Any], **keys: Any) -> dict[str, Any]:
    """``BASE`` with changed forms of some properties of ``Items``."""
    forms = {p["Name"]: p for p in (TITLE, CODE, NUMBER, KIND)} | {p["Name"]: p for p in properties}
    return manifest(entity("Kinds"), entity("Items", *forms.values(), **keys))


@pytest.fixture
def filled(shop: Workshop) -> Workshop:
    """Items 1 to 4."""
    shop.apply(BASE)
    shop.insert(
        "Items",
        {"Title": "short", "Code": "a", "Amount": 1, "KindID": None},
        {"Title": "eleven long", "Code": "z", "Amount": 1.5, "KindID": None},
        {"Title": "😀😀😀😀😀", "Code": "a", "Amount": 1.25, "KindID": 7},
        {"Title": None, "Code": None, "Amount": None, "KindID": 8},
    )
    return shop


def refusal(shop: Workshop, document: dict[str, Any]) -> str:
    """The reason of a refused change: the survey gives the same one, and nothing has changed."""
    before = shop.stored, shop.tables(), shop.sql('SELECT * FROM "Items"'), shop.sql('SELECT * FROM "H_Schema"')
    survey = shop.survey(document)
    with pytest.raises(ConfigurationError) as caught:
        shop.apply(document)
    assert [str(misfit) for misfit in survey.misfits] == [line.strip() for line in str(caught.value).splitlines()[1:]]
    assert (
        shop.stored,
        shop.tables(),
        shop.sql('SELECT * FROM "Items"'),
        shop.sql('SELECT * FROM "H_Schema"'),
    ) == before
    assert shop.pending() == []
    return str(caught.value)


PATH = "Entities[Items].Properties[{}].{}: {}"
FRESH = (
    "Entities[Items].Properties[Fresh]: 4 records would get {}, which the property refuses ({}); add it without "
    "Required, give the records values, then require it (ID 1, 2, 3, 4)"
)
KEY = "Entities[Items].Constraints[ForeignKey {}]: {}"


@pytest.mark.better("B-P3")
@pytest.mark.parametrize(
    ("document", "expected"),
    {
        "a shorter Maximum counts in UTF-16 units": (
            items(TITLE | {"Maximum": 9}),
            PATH.format("Title", "Maximum", "2 records longer than 9 (ID 2, 3)"),
        ),
        "a first Maximum": (
            items(CODE | {"Maximum": 1}, TITLE | {"Maximum": 10}),
            PATH.format("Title", "Maximum", "1 record longer than 10 (ID 2)"),
        ),
        "fewer decimals": (
            items(NUMBER | {"DecimalPlaces": 1}),
            PATH.format("Amount", "DecimalPlaces", "1 record with more than 1 decimal places (ID 3)"),
        ),
        "no decimals": (
            items(NUMBER | {"DecimalPlaces": 0}),
            PATH.format("Amount", "DecimalPlaces", "2 records with decimal places (ID 2, 3)"),
        ),
        "required": (
            items(TITLE | {"Required": True}),
            PATH.format("Title", "Required", "1 record without a value (ID 4)"),
        ),
        "unique": (
            items(Constraints=[UNIQUE_CODE]),
            "Entities[Items].Constraints[Unique Code]: 2 records with equal values (ID 1, 3)",
        ),
        "a reference to records that are not there": (
            items(Constraints=[{"Type": "ForeignKey", "Property": "KindID", "Entity": "Kinds"}]),
            KEY.format("KindID", "2 records with a reference to no record of Kinds (ID 3, 4)"),
        ),
        "a new required property that is unique": (
            items({"Name": "Fresh", "Required": True}, Constraints=[{"Type": "Unique", "Properties": ["Fresh"]}]),
            "Entities[Items].Constraints[Unique Fresh]: 4 records would have equal values (ID 1, 2, 3, 4)",
        ),
        "a new required property that makes others equal": (
            items(
                {"Name": "Fresh", "Required": True}, Constraints=[{"Type": "Unique", "Properties": ["Fresh", "Code"]}]
            ),
            "Entities[Items].Constraints[Unique Fresh, Code]: 2 records with equal values (ID 1, 3)",
        ),
        "values that are not listed": (
            items(CODE | {"Values": ["a", "b"]}, NUMBER | {"Values": [1, 1.5, 1.25]}, TITLE | {"Format": "Markdown"}),
            PATH.format("Code", "Values", "1 record with a value that is not listed (ID 2)"),
        ),
        "a format": (
            items(TITLE | {"Format": "Color"}),
            PATH.format("Title", "Format", "3 records without the format Color (ID 1, 2, 3)"),
        ),
        "the format Json": (
            items(TITLE | {"Format": "Json"}),
            PATH.format("Title", "Format", "3 records without the format Json (ID 1, 2, 3)"),
        ),
        "a new required text with a minimum": (
            items({"Name": "Fresh", "Required": True, "Minimum": 3}),
            FRESH.format("an empty text", "Minimum 3 characters"),
        ),
        "a new required text with a pattern": (
            items({"Name": "Fresh", "Required": True, "ValidationRegex": "^a"}),
            FRESH.format("an empty text", "The value provided does not match regex ^a"),
        ),
        "a new required number with a minimum": (
            items({"Name": "Fresh", "Type": "Number", "Required": True, "Minimum": 1}),
            FRESH.format("0", "Minimum allowed value 1"),
        ),
        "a new required number with a negative maximum": (
            items({"Name": "Fresh", "Type": "Number", "Required": True, "Maximum": -1}),
            FRESH.format("0", "Maximum allowed value -1"),
        ),
        "a new required reference": (
            items(
                {"Name": "Fresh", "Type": "Number", "Required": True},
                Constraints=[{"Type": "ForeignKey", "Property": "Fresh", "Entity": "Kinds"}],
            ),
            KEY.format("Fresh", "4 records with a reference to no record of Kinds (ID 1, 2, 3, 4)"),
        ),
    }.values(),
    ids=str,
)
def test_refused_with_the_records(filled: Workshop, document: dict[str, Any], expected: str) -> None:
    """A change that records violate is refused with the rule, the count and the IDs; tables and definition stay."""
    assert refusal(filled, document).splitlines()[1:] == [f"  {expected}"]


@pytest.mark.better("B-X4")
def test_unique_per_tenant(shop: Workshop) -> None:
    """Records of one tenant with equal values are counted and named, also those without a tenant; those of different
    tenants fit.
    """

    def document(**constraint: Any) -> dict[str, Any]:
        listed = [{"Type": "Unique", "Properties": ["Code"], **constraint}] if constraint else []
        made = manifest(
            entity("Company"), entity("Items", CODE, Differentiation=True, Constraints=listed), entity("Kinds")
        )
        return made | {"Application": {"Name": "Shop", "DifferentiationEntity": "Company"}}

    shop.apply(document())
    shop.insert("Company", {"ID": 1}, {"ID": 2})
    codes = [("a", 1), ("a", 1), ("a", 2), ("b", None), ("B", None), (None, 1), (None, 1), ("c", 1), ("c", 2)]
    shop.insert("Items", *({"Code": code, "Company_ID": company} for code, company in codes))
    place = "  Entities[Items].Constraints[Unique Code]: "
    text = refusal(shop, document(PerTenant=True))
    assert text.splitlines()[1:] == [place + "4 records with equal values in one tenant (ID 1, 2; 4, 5)"]
    text = refusal(shop, document(PerTenant=False))
    assert text.splitlines()[1:] == [place + "7 records with equal values (ID 1, 2, 3; 4, 5; 8, 9)"]
    shop.sql('UPDATE "Items" SET "Code" = "Code" || "ID" WHERE "ID" IN (2, 5)')
    shop.apply(document(PerTenant=True))
    assert refusal(shop, document(PerTenant=False)).splitlines()[1:] == [
        place + "4 records with equal values (ID 1, 3; 8, 9)"
    ]
    assert "PerTenant: true" in shop.exported()
    assert shop.plan(shop.exported()).is_empty


def test_every_reason_at_once(filled: Workshop) -> None:
    """All violations are reported together, under the new names, and the data keeps the old names."""
    document = manifest(
        entity("Kinds"),
        entity(
            "Goods",
            {"Name": "Label", "RenamedFrom": "Title", "Required": True, "Maximum": 9},
            {"Name": "Sign", "RenamedFrom": "Code"},
            RenamedFrom="Items",
            Constraints=[{"Type": "Unique", "Properties": ["Sign"]}],
        ),
    )
    text = refusal(filled, document)
    assert "Entities[Goods].Properties[Label].Required: 1 record without a value (ID 4)" in text
    assert "Entities[Goods].Properties[Label].Maximum: 2 records longer than 9 (ID 2, 3)" in text
    assert "Entities[Goods].Constraints[Unique Sign]: 2 records with equal values (ID 1, 3)" in text


def test_many_records(shop: Workshop) -> None:
    """All violating records are counted and the first ten are named; equal ones by group."""
    shop.apply(BASE)
    shop.insert("Items", *({"Title": f"title {n // 3}", "Code": None} for n in range(3000)))
    text = refusal(shop, items(CODE | {"Required": True}, Constraints=[{"Type": "Unique", "Properties": ["Title"]}]))
    assert "Properties[Code].Required: 3,000 records without a value (ID 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 ...)" in text
    assert "3,000 records with equal values (ID 1, 2, 3; 4, 5, 6; 7, 8, 9 ...)" in text


def test_encrypted_texts(shop: Workshop) -> None:
    """The length of an encrypted text is that of the plain text, not of the stored text."""
    secret = {"Name": "Secret", "Encrypted": True, "Maximum": 100}
    shop.apply(manifest(entity("Items", secret)))
    cipher = Cipher(shop.secrets().encryption_key)
    shop.insert("Items", *({"Secret": cipher.encrypt("x" * length)} for length in (5, 6, 7)), {"Secret": None})
    text = refusal(shop, manifest(entity("Items", secret | {"Maximum": 5})))
    assert "Properties[Secret].Maximum: 2 records longer than 5 (ID 2, 3)" in text
    shop.apply(manifest(entity("Items", secret | {"Maximum": 7})))


def test_what_fits_is_done(filled: Workshop) -> None:
    """After the records are corrected, the same change succeeds and keeps every value."""
    document = items(
        TITLE | {"Maximum": 10, "Required": True},
        NUMBER | {"DecimalPlaces": 1},
        Constraints=[
            UNIQUE_CODE,
            {"Type": "ForeignKey", "Property": "KindID", "Entity": "Kinds", "OnDelete": "SetNull"},
        ],
    )
    refusal(filled, document)
    filled.sql('UPDATE "Items" SET "Title" = \'ten\' WHERE "ID" IN (2, 4)')
    filled.sql('UPDATE "Items" SET "Amount" = 1.2, "Code" = \'b\', "KindID" = NULL WHERE "ID" = 3')
    filled.sql('UPDATE "Items" SET "KindID" = NULL')
    rows = filled.sql('SELECT "ID", "Title", "Code", "Amount", "KindID" FROM "Items"')
    filled.apply(document)
    assert filled.sql('SELECT "ID", "Title", "Code", "Amount", "KindID" FROM "Items"') == rows


@pytest.mark.better("B-D8")
def test_nulls_are_equal_to_nothing(filled: Workshop) -> None:
    """Several records without a value satisfy a unique constraint, alone or beside other properties."""
    filled.sql('UPDATE "Items" SET "Code" = NULL')
    filled.apply(items(Constraints=[UNIQUE_CODE, {"Type": "Unique", "Properties": ["Code", "Title"]}]))


def test_an_entity_may_refer_to_itself(shop: Workshop) -> None:
    """A new reference of an entity to itself is checked against the entity's records, including the same record."""
    shop.apply(BASE)
    shop.insert("Items", {"KindID": 1}, {"KindID": 1}, {"KindID": 4})
    own = items(Constraints=[{"Type": "ForeignKey", "Property": "KindID", "Entity": "Items"}])
    assert "1 record with a reference to no record of Items (ID 3)" in refusal(shop, own)


def test_how_many_records_a_change_concerns(filled: Workshop) -> None:
    """Before a change, the survey counts the records that it deletes, empties or fills, and those that do not fit."""
    filled.insert("Kinds", {})
    changed = manifest(
        entity(
            "Items",
            TITLE | {"Maximum": 19, "Required": True},
            NUMBER | {"DecimalPlaces": 2},
            {"Name": "Fresh", "Required": True},
        )
    )
    survey = filled.survey(changed)
    assert survey.concerned == {
        "Entities[Kinds]": 1,
        "Entities[Items].Properties[Code]": 3,
        "Entities[Items].Properties[KindID]": 2,
        "Entities[Items].Properties[Fresh]": 4,
    }
    assert {misfit.path: misfit.records for misfit in survey.misfits} == {
        "Entities[Items].Properties[Title].Required": 1
    }
    lines = {line.path for line in filled.plan(changed).lines}
    assert {*survey.concerned, *(misfit.path for misfit in survey.misfits)} <= lines


def test_a_new_required_property_takes_the_default(filled: Workshop) -> None:
    """Existing records get 0, '' or false in a new required property that is not unique."""
    fresh = [{"Name": f"Fresh{kind}", "Type": kind, "Required": True} for kind in ("String", "Number", "Boolean")]
    plan = filled.plan(items(*fresh))
    assert not plan.loses_data
    filled.carry_out(plan)
    assert filled.sql('SELECT DISTINCT "FreshString", "FreshNumber", "FreshBoolean" FROM "Items"') == [("", 0, 0)]
