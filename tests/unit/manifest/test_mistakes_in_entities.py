"""Mistakes in entities, properties, constraints, indexes and orders: each is reported with its place."""

from __future__ import annotations

import re

import pytest

from apilane.model.manifest import keys
from apilane.model.names import (
    application_name_problem,
    differentiation_name_problem,
    endpoint_name_problem,
    entity_name_problem,
    property_name_problem,
)
from tests.unit.manifest.cases import HEAD, errors_of

ITEMS = "Entities:\n  - Name: Items\n    Properties:\n"  # properties begin in line 6
TEXT = ITEMS + "      - {Name: Title, Required: true}\n      - {Name: Secret, Encrypted: true}\n"
TEXT += "      - {Name: ItemID, Type: Number}\n      - {Name: MustID, Type: Number, Required: true}\n"  # lines 6-9

# name: (text after HEAD, line, key, part of the message, part of the hint)
MISTAKES = {
    "unknown section": ("Entitys: []\n", 3, "Entitys", "unknown key Entitys", "did you mean Entities?"),
    "unknown key of an entity": (
        "Entities:\n  - Name: Items\n    Tracking: true\n",
        5,
        "Entities[Items].Tracking",
        "unknown key",
        "ChangeTracking",
    ),
    "key in the wrong case": (
        ITEMS + "      - {Name: Title, type: String}\n",
        6,
        "Entities[Items].Properties[Title].type",
        "unknown key",
        "Type?",
    ),
    "section that is null": ("Entities:\n", 3, "Entities", "expected a list, found nothing", "write []"),
    "section of the wrong type": ("Security: all\n", 3, "Security", "expected a list, found the text 'all'", ""),
    "item of the wrong type": ("Entities: [Items]\n", 3, "Entities[0]", "expected a mapping", ""),
    "name that is a number": ("Entities:\n  - Name: 2024\n", 4, "Entities[0].Name", "expected text", "quotes"),
    "missing name": ("Entities:\n  - Description: x\n", 4, "Entities[0]", "the key Name is missing", "add Name"),
    "text for a flag": (
        "Entities:\n  - Name: Items\n    ChangeTracking: yes\n",
        5,
        "Entities[Items].ChangeTracking",
        "expected true or false, found the text 'yes'",
        "",
    ),
    # names
    "entity name too short": ("Entities:\n  - Name: Abc\n", 4, "Entities[Abc].Name", "has 3 characters; 4 to 30", ""),
    "entity name with a digit": ("Entities:\n  - Name: Item1\n", 4, "Entities[Item1].Name", "only the letters", ""),
    "entity name too long": (
        f"Entities:\n  - Name: {'A' * 31}\n",
        4,
        f"Entities[{'A' * 31}].Name",
        "has 31 characters",
        "",
    ),
    "helper table": (
        "Entities:\n  - Name: H_Email_Templates\n",
        4,
        "Entities[H_Email_Templates].Name",
        "begins with 'H_'",
        "",
    ),
    "reserved prefix": ("Entities:\n  - Name: h_Mine\n", 4, "Entities[h_Mine].Name", "begins with 'H_'", ""),
    "backup suffix": (
        "Entities:\n  - Name: Items__backup__\n",
        4,
        "Entities[Items__backup__].Name",
        "ends in '__backup__'",
        "",
    ),
    "sqlite prefix": ("Entities:\n  - Name: SQLite_x\n", 4, "Entities[SQLite_x].Name", "begins with 'sqlite_'", ""),
    "reserved word": ("Entities:\n  - Name: schema\n", 4, "Entities[schema].Name", "reserved words", ""),
    "system entity in another case": (
        "Entities:\n  - Name: users\n",
        4,
        "Entities[users].Name",
        "users exists as Users",
        "write Users",
    ),
    "entity twice": (
        "Entities:\n  - Name: Items\n  - Name: ITEMS\n",
        5,
        "Entities[ITEMS].Name",
        "listed twice (first in line 4)",
        "",
    ),
    "property twice": (
        ITEMS + "      - Name: Title\n      - Name: title\n",
        7,
        "Entities[Items].Properties[title].Name",
        "listed twice",
        "",
    ),
    "property name too short": (
        ITEMS + "      - Name: Abc\n",
        6,
        "Entities[Items].Properties[Abc].Name",
        "4 to 120",
        "",
    ),
    "property name reserved": (
        ITEMS + "      - Name: My_Data\n",
        6,
        "Entities[Items].Properties[My_Data].Name",
        "ends in '_Data'",
        "",
    ),
    "property prefix reserved": (
        ITEMS + "      - Name: H_Mine\n",
        6,
        "Entities[Items].Properties[H_Mine].Name",
        "begins with 'H_'",
        "",
    ),
    "system property": (
        ITEMS + "      - Name: Owner\n",
        6,
        "Entities[Items].Properties[Owner].Name",
        "which the server adds",
        "",
    ),
    "system property of Users": (
        "Entities:\n  - Name: Users\n    Properties: [{Name: email}]\n",
        5,
        "Entities[Users].Properties[email].Name",
        "which the server adds",
        "",
    ),
    "properties of Files": (
        "Entities:\n  - Name: Files\n    Properties: [{Name: Title}]\n",
        5,
        "Entities[Files].Properties",
        "cannot have custom properties",
        "",
    ),
    "rename of a system entity": (
        "Entities:\n  - Name: Files\n    RenamedFrom: Docs\n",
        5,
        "Entities[Files].RenamedFrom",
        "cannot be renamed",
        "",
    ),
    "endpoint name": (
        "CustomEndpoints:\n  - {Name: my_end, Query: SELECT 1}\n",
        4,
        "CustomEndpoints[my_end].Name",
        "only the letters",
        "",
    ),
    "endpoint reserved": (
        "CustomEndpoints:\n  - {Name: Files, Query: SELECT 1}\n",
        4,
        "CustomEndpoints[Files].Name",
        "reserved",
        "",
    ),
    "endpoint twice": (
        "CustomEndpoints:\n  - {Name: Top, Query: SELECT 1}\n  - {Name: TOP, Query: SELECT 1}\n",
        5,
        "CustomEndpoints[TOP].Name",
        "listed twice",
        "",
    ),
    # properties
    "unknown type": (
        ITEMS + "      - {Name: Title, Type: Text}\n",
        6,
        "Entities[Items].Properties[Title].Type",
        "expected String or Number",
        "",
    ),
    "type in the wrong case": (
        ITEMS + "      - {Name: Title, Type: string}\n",
        6,
        "Entities[Items].Properties[Title].Type",
        "expected String",
        "did you mean String?",
    ),
    "too many decimals": (
        ITEMS + "      - {Name: Price, Type: Number, DecimalPlaces: 9}\n",
        6,
        "Entities[Items].Properties[Price].DecimalPlaces",
        "from 0 to 8",
        "",
    ),
    "decimals of a String": (
        ITEMS + "      - {Name: Title, DecimalPlaces: 2}\n",
        6,
        "Entities[Items].Properties[Title].DecimalPlaces",
        "no meaning for the type String",
        "Number",
    ),
    "bounds crossed": (
        ITEMS + "      - {Name: Title, Minimum: 5, Maximum: 4}\n",
        6,
        "Entities[Items].Properties[Title].Minimum",
        "Minimum 5 is greater than Maximum 4",
        "",
    ),
    "bound beyond 64 bits": (
        ITEMS + "      - {Name: Price, Type: Number, Maximum: 9223372036854775808}\n",
        6,
        "Entities[Items].Properties[Price].Maximum",
        "expected a whole number",
        "",
    ),
    "bounds of a Date": (
        ITEMS + "      - {Name: When, Type: Date, Minimum: 1}\n",
        6,
        "Entities[Items].Properties[When].Minimum",
        "no meaning for the type Date",
        "",
    ),
    "negative length": (
        ITEMS + "      - {Name: Title, Minimum: -1}\n",
        6,
        "Entities[Items].Properties[Title].Minimum",
        "at least 0",
        "",
    ),
    "encrypted Number": (
        ITEMS + "      - {Name: Price, Type: Number, Encrypted: true}\n",
        6,
        "Entities[Items].Properties[Price].Encrypted",
        "no meaning",
        "String",
    ),
    "pattern that does not compile": (
        ITEMS + "      - {Name: Code, ValidationRegex: '[A-'}\n",
        6,
        "Entities[Items].Properties[Code].ValidationRegex",
        "does not compile",
        "",
    ),
    **{
        about: (
            ITEMS + f"      - {{Name: Thing, {keys}}}\n",
            6,
            f"Entities[Items].Properties[Thing].{key}",
            message,
            hint,
        )
        for about, keys, key, message, hint in (
            ("values of a Date", "Type: Date, Values: [1]", "Values", "no meaning for the type Date", "String"),
            ("a value of another type", "Type: Number, Values: [a]", "Values", "'a' is not a Number", ""),
            ("a value twice", "Type: Number, Values: [1, 1.0]", "Values", "listed twice", "remove one"),
            ("a value that a rule refuses", "Maximum: 2, Values: [abc]", "Values", "Maximum 2 characters", ""),
            ("too many values", f"Type: Number, Values: {list(range(201))}", "Values", "201 values", "at most 200"),
            ("an unknown format", "Format: Mail", "Format", "Mail", ""),
            ("a format of a Number", "Type: Number, Format: Email", "Format", "no meaning for the type Number", ""),
            ("values of the format Json", "Format: Json, Values: [a]", "Values", "no meaning", "remove"),
            ("a default of another type", "Type: Boolean, Default: 1", "Default", "does not fit", "true or false"),
            ("Now for a Number", "Type: Number, Default: Now", "Default", "does not fit the type Number", ""),
            ("a default that is not listed", "Values: [a, b], Default: c", "Default", "one of: a, b", ""),
            ("a default without the format", "Format: Uuid, Default: x", "Default", "the format Uuid", ""),
            ("a default that is no JSON", "Format: Json, Default: '{'", "Default", "no JSON", ""),
            ("a default that is no date", "Type: Date, Default: soon", "Default", "not a valid unix timestamp", ""),
        )
    },
    "differentiation without its entity": (
        "Entities:\n  - Name: Items\n    Differentiation: true\n",
        5,
        "Entities[Items].Differentiation",
        "no DifferentiationEntity",
        "",
    ),
    # constraints, indexes, order
    "unique on an unknown property": (
        TEXT + "    Constraints:\n      - {Type: Unique, Properties: [Titel]}\n",
        11,
        "Entities[Items].Constraints[0].Properties[0]",
        "unknown property Titel",
        "did you mean Title?",
    ),
    "unique on an encrypted property": (
        TEXT + "    Constraints:\n      - {Type: Unique, Properties: [Secret]}\n",
        11,
        "Entities[Items].Constraints[0].Properties[0]",
        "Secret is encrypted and cannot be unique",
        "",
    ),
    "unique twice in another order": (
        TEXT + "    Constraints:\n      - {Type: Unique, Properties: [Title, ItemID]}\n"
        "      - {Type: Unique, Properties: [itemid, title]}\n",
        12,
        "Entities[Items].Constraints[1].Type",
        "already",
        "",
    ),
    "unique on nothing": (
        TEXT + "    Constraints:\n      - {Type: Unique, Properties: []}\n",
        11,
        "Entities[Items].Constraints[0].Properties",
        "the list is empty",
        "",
    ),
    "unknown kind of constraint": (
        TEXT + "    Constraints:\n      - {Type: Foreign, Property: ItemID, Entity: Users}\n",
        11,
        "Entities[Items].Constraints[0].Type",
        "expected Unique or ForeignKey",
        "ForeignKey?",
    ),
    "unique per tenant without tenants": (
        TEXT + "    Constraints:\n      - {Type: Unique, Properties: [Title], PerTenant: true}\n",
        11,
        "Entities[Items].Constraints[0].PerTenant",
        "the records of Items belong to no tenant",
        "Differentiation: true",
    ),
    "a reference per tenant": (
        TEXT + "    Constraints:\n      - {Type: ForeignKey, Property: ItemID, Entity: Users, PerTenant: true}\n",
        11,
        "Entities[Items].Constraints[0].PerTenant",
        "a constraint of type ForeignKey has no PerTenant",
        "",
    ),
    "unique within reach": (
        TEXT + "    Constraints:\n      - {Type: Unique, Properties: [Title], WithinReach: true}\n",
        11,
        "Entities[Items].Constraints[0].WithinReach",
        "a constraint of type Unique has no WithinReach",
        "",
    ),
    "foreign key to Files": (
        TEXT + "    Constraints:\n      - {Type: ForeignKey, Property: ItemID, Entity: Files}\n",
        11,
        "Entities[Items].Constraints[0].Entity",
        "cannot refer to Files",
        "",
    ),
    "foreign key to nothing": (
        TEXT + "    Constraints:\n      - {Type: ForeignKey, Property: ItemID, Entity: Itmes}\n",
        11,
        "Entities[Items].Constraints[0].Entity",
        "unknown entity Itmes",
        "did you mean Items?",
    ),
    "foreign key from a String": (
        TEXT + "    Constraints:\n      - {Type: ForeignKey, Property: Title, Entity: Users}\n",
        11,
        "Entities[Items].Constraints[0].Property",
        "cannot hold a reference",
        "Number",
    ),
    "SetNull of a required property": (
        TEXT + "    Constraints:\n      - {Type: ForeignKey, Property: MustID, Entity: Users, OnDelete: SetNull}\n",
        11,
        "Entities[Items].Constraints[0].OnDelete",
        "MustID is required",
        "",
    ),
    "foreign key of a system property": (
        TEXT + "    Constraints:\n      - {Type: ForeignKey, Property: Owner, Entity: Users}\n",
        11,
        "Entities[Items].Constraints[0].Type",
        "already",
        "",
    ),
    "foreign key without its property": (
        TEXT + "    Constraints:\n      - {Type: ForeignKey, Entity: Users}\n",
        11,
        "Entities[Items].Constraints[0].Type",
        "needs Property",
        "",
    ),
    "key of the other constraint": (
        TEXT + "    Constraints:\n      - {Type: Unique, Properties: [Title], OnDelete: Cascade}\n",
        11,
        "Entities[Items].Constraints[0].OnDelete",
        "has no OnDelete",
        "",
    ),
    "default order by an encrypted property": (
        TEXT + "    DefaultOrder: [{Property: Secret}]\n",
        10,
        "Entities[Items].DefaultOrder[0].Property",
        "encrypted",
        "",
    ),
    "default order by an unknown property": (
        TEXT + "    DefaultOrder: [{Property: Titles}]\n",
        10,
        "Entities[Items].DefaultOrder[0].Property",
        "unknown property Titles",
        "Title?",
    ),
    "default order, direction": (
        TEXT + "    DefaultOrder: [{Property: Title, Direction: down}]\n",
        10,
        "Entities[Items].DefaultOrder[0].Direction",
        "expected ASC or DESC",
        "",
    ),
    "index on an unknown property": (
        TEXT + "    Indexes: [{Properties: [Nope]}]\n",
        10,
        "Entities[Items].Indexes[0].Properties[0]",
        "unknown property Nope",
        "there is ID, Owner",
    ),
    "index twice": (
        TEXT + "    Indexes: [{Properties: [Title]}, {Properties: [title]}]\n",
        10,
        "Entities[Items].Indexes[1].Properties",
        "listed twice",
        "",
    ),
}


@pytest.mark.better("B-D2", "B-D8")
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_names_its_place_and_what_to_do(name: str) -> None:
    """Every rule that a manifest breaks is reported alone, with file, line, key path, message and hint."""
    text, line, key, message, hint = MISTAKES[name]
    [error] = errors_of(HEAD + text)
    assert (error.file, error.line, error.key) == ("a.yaml", line, key)
    assert message in error.message
    assert hint in error.hint


KINDS = {
    "application": (keys.APPLICATION["Name"], application_name_problem),
    "entity": (keys.ENTITY["Name"], entity_name_problem),
    "property": (keys.PROPERTY["Name"], property_name_problem),
    "endpoint": (keys.ENDPOINT["Name"], endpoint_name_problem),
    "tenant": (keys.APPLICATION["DifferentiationEntity"], differentiation_name_problem),
}


@pytest.mark.parametrize("what", KINDS)
def test_the_documented_lengths_of_names(what: str) -> None:
    """The lengths and letters that the page of manifest keys gives for names are those that are checked."""
    key, problem = KINDS[what]
    found = re.search(r"(\d+) to (\d+) (letters|printable characters)", key.check.kind)
    assert found is not None
    shortest, longest = int(found[1]), int(found[2])
    assert [problem("a" * length) is None for length in (shortest - 1, shortest, longest, longest + 1)] == [
        False,
        True,
        True,
        False,
    ]
    assert (problem("a_" * 3) is None) is ("_" in key.check.kind or what == "application")
    assert (problem("a1" * 3) is None) is (found[3] == "printable characters")
