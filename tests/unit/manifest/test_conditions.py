"""Conditions of rules in manifests: what they may name, what follows a rename, their indexes and their warnings."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from apilane.model.definition import ApplicationDefinition
from apilane.model.plan import Plan
from tests.unit.manifest.cases import errors_of, planned

ME = {"User": "ID"}
CLINIC: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Clinic", "DifferentiationEntity": "Company"},
    "Entities": [
        {
            "Name": "Users",
            "Properties": [
                {"Name": "Ward", "Maximum": 50},
                {"Name": "Level", "Type": "Number"},
                {"Name": "Diploma", "Encrypted": True},
            ],
        },
        {
            "Name": "Patients",
            "Properties": [
                {"Name": "DoctorID", "Type": "Number"},
                {"Name": "Name", "Maximum": 100},
                {"Name": "Insurance", "Encrypted": True},
            ],
            "Constraints": [{"Type": "ForeignKey", "Property": "DoctorID", "Entity": "Users"}],
        },
        {
            "Name": "Visits",
            "Properties": [
                {"Name": "PatientID", "Type": "Number"},
                {"Name": "NextID", "Type": "Number"},
                {"Name": "Room", "Type": "Number"},
                {"Name": "Done", "Type": "Boolean"},
                {"Name": "Ward", "Maximum": 50},
                {"Name": "Note"},
                {"Name": "Code", "Maximum": 20},
            ],
            "Constraints": [
                {"Type": "ForeignKey", "Property": "PatientID", "Entity": "Patients"},
                {"Type": "ForeignKey", "Property": "NextID", "Entity": "Visits"},
                {"Type": "Unique", "Properties": ["Code"]},
            ],
        },
        {
            "Name": "Members",
            "Differentiation": True,
            "Properties": [{"Name": "VisitID", "Type": "Number"}, {"Name": "UserID", "Type": "Number"}],
            "Constraints": [{"Type": "ForeignKey", "Property": "VisitID", "Entity": "Visits"}],
        },
    ],
}


def leaf(property: str, value: Any = ME, operator: str = "equal") -> dict[str, Any]:
    """One condition."""
    return {"Property": property, "Operator": operator, "Value": value}


def rule(where: dict[str, Any] | None = None, **keys: Any) -> dict[str, Any]:
    """A rule on Visits; get by default."""
    given = {"Entity": "Visits", "Role": "doctor", "Action": "get", "Properties": ["Room"], **keys}
    return given if where is None else {**given, "Where": where}


def text(*rules: dict[str, Any], **sections: Any) -> str:
    """The clinic's manifest with these rules."""
    return yaml.safe_dump({**CLINIC, "Security": list(rules), **sections}, sort_keys=False)


def indexes(definition: ApplicationDefinition) -> dict[str, tuple[str, ...]]:
    """The indexed properties of conditions by entity; the other columns are checked."""
    found = {}
    for entity in definition.entities:
        for name, *others in entity.condition_indexes:
            assert others == (["Company_ID", "ID"] if entity.differentiation else ["ID"])
            found[entity.name] = (*found.get(entity.name, ()), name)
    return found


def warnings(plan: Plan) -> list[str]:
    """The warnings of a plan."""
    return [f"{line.path}: {line.detail}" for line in plan.lines if line.kind == "warning"]


@pytest.mark.better("B-X1")
@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (leaf("PatientID.Doctor"), "unknown property 'Doctor'"),
        (leaf("Room.Doctor"), "Room in the path Room.Doctor is no foreign key of Visits"),
        (leaf("Patients.DoctorID"), "Patients in the path Patients.DoctorID is no foreign key of Visits"),
        (leaf("PatientID.Insurance", "x"), "the property Insurance is encrypted"),
        (leaf("PatientID.Name"), "{User: ID} is Number, and Name is String"),
        (leaf("PatientID.DoctorID.Email", "x"), "a path has one step"),
        (leaf("NextID.NextID.NextID.Room", 1), "a path has one step"),
        (leaf("Members(VisitID)"), "a path has one step"),
        (leaf("Members(VisitID).UserID.Email", "x"), "a path has one step"),
        (leaf("Member(VisitID).UserID"), "unknown entity Member in the path"),
        (leaf("Members(UserID).UserID"), "UserID in the path Members(UserID).UserID is no foreign key of Members"),
        (leaf("Patients(DoctorID).Name", "x"), "is no foreign key of Patients to Visits"),
        (leaf("Members(VisitID).Password", "x"), "unknown property 'Password'"),
        (leaf("Owner.Password", "x"), "Property 'Password' is not allowed"),
        (leaf("Room", {"User": "Password"}), "the property Password of Users is encrypted"),
        (leaf("Ward", {"User": "Diploma"}), "the property Diploma of Users is encrypted"),
        (leaf("Room", {"User": "Levle"}), "did you mean 'Level'?"),
        (leaf("Room", {"User": "Ward"}), "{User: Ward} is String, and Room is Number"),
        (leaf("Ward", {"User": "Ward"}, "contains"), "the operator contains does not fit"),
        (leaf("Done", {"User": "EmailConfirmed"}, "greater"), "Operator 'greater' does not fit Boolean"),
        (leaf("Created", {"Now": "1d"}), "the moment 1d"),
        (leaf("Room", {"Now": "-1d"}), "Now fits Date properties"),
        (leaf("Room", {"Visit": "Room"}), "neither a literal nor"),
        (leaf("Room", {"User": "ID", "Now": "-1d"}), "neither a literal nor"),
        (leaf("Room", {}), "neither a literal nor"),
        ({"Filters": [leaf("Room", number) for number in range(200)]}, "it has 200 conditions, and at most 50"),
        (leaf("Room", list(range(200)), "contains"), "it has 200 conditions, and at most 50"),
        (leaf("(" * 5000, 1), "a path has one step"),
    ],
)
def test_what_conditions_cannot_name(condition: dict[str, Any], message: str) -> None:
    """A condition on something that is unknown, encrypted, of another type or too far away is a clear mistake."""
    [error] = errors_of(text(rule(condition)))
    assert error.key == "Security[0].Where"
    assert message in error.message
    assert len(error.message) < 600


@pytest.mark.better("B-X1")
def test_nested_too_deep() -> None:
    """A condition of a thousand nested groups is refused without work that grows with it."""
    condition = leaf("Room", 1)
    for _ in range(12):
        condition = {"Filters": [condition]}
    [error] = errors_of(text(rule(condition)))
    assert "nests at most" in error.message


@pytest.mark.better("B-X1")
def test_too_many_conditions_together() -> None:
    """The conditions of all rules of one entity and action are limited, because a caller may have all the roles. Those
    of properties that only some of the rules grant count again for each property."""
    roles = [
        "doctor",
        "nurse",
        "clerk",
        "porter",
        "cook",
        "driver",
        "guard",
        "guide",
        "boss",
        "host",
        "aide",
        "help",
        "page",
    ]
    where = {"Filters": [leaf("Room", number) for number in range(50)]}
    [error] = errors_of(text(*(rule(where, Role=role) for role in roles)))
    assert (error.key, error.message) == (
        "Security[Visits]",
        "a statement under its get rules has 650 conditions, 600 are allowed",
    )
    assert planned(text(*(rule(where, Role=role) for role in roles[:12]))).after.rules
    names = ["Room", "Done", "Ward", "Note"]
    [error] = errors_of(
        text(*(rule(where, Role=role, Properties=names[at % 2 :]) for at, role in enumerate(roles[:10])))
    )
    assert "750 conditions" in error.message


RENAMED: dict[str, Any] = {
    "Entities": [
        {"Name": "Users", "Properties": [{"Name": "Rank", "RenamedFrom": "Level", "Type": "Number"}]},
        {
            "Name": "People",
            "RenamedFrom": "Patients",
            "Properties": [{"Name": "LeaderID", "RenamedFrom": "DoctorID", "Type": "Number"}],
        },
        {
            "Name": "Meetings",
            "RenamedFrom": "Visits",
            "Properties": [
                {"Name": "PersonID", "RenamedFrom": "PatientID", "Type": "Number"},
                {"Name": "NextID", "Type": "Number"},
                {"Name": "Room", "Type": "Number"},
            ],
        },
        {
            "Name": "Guests",
            "RenamedFrom": "Members",
            "Properties": [
                {"Name": "MeetingID", "RenamedFrom": "VisitID", "Type": "Number"},
                {"Name": "GuestID", "RenamedFrom": "UserID", "Type": "Number"},
            ],
        },
    ]
}


@pytest.mark.better("B-X1")
def test_renames_of_entities_and_properties() -> None:
    """Paths, properties of the caller and indexes follow new names of every part."""
    where = {
        "Logic": "OR",
        "Filters": [
            leaf("PatientID.DoctorID"),
            leaf("Members(VisitID).UserID"),
            leaf("NextID.Room", {"User": "Level"}),
            leaf("Room", 4),
        ],
    }
    before = planned(text(rule(where))).after
    head = {key: CLINIC[key] for key in ("Apilane", "Application")}
    after = planned(yaml.safe_dump({**head, **RENAMED}), before).after
    [changed] = after.rules
    assert changed.name == "Meetings"
    assert changed.where is not None
    for path in ("PersonID.LeaderID", "Guests(MeetingID).GuestID", "NextID.Room"):
        assert f'"Property":"{path}"' in changed.where
    assert '{"User":"Rank"}' in changed.where
    assert indexes(after) == {"People": ("LeaderID",), "Meetings": ("Room",), "Guests": ("GuestID",)}


@pytest.mark.better("B-X1")
@pytest.mark.parametrize(
    ("condition", "entity", "key", "message"),
    [
        (leaf("Members(VisitID).UserID"), "Members", None, "unknown entity Members"),
        (leaf("Members(VisitID).UserID"), "Members", "Constraints", "VisitID in the path"),
        (leaf("Room", {"User": "Level"}), "Users", "Properties", "unknown property Level of Users"),
        (leaf("PatientID.DoctorID"), "Patients", "Properties", "unknown property 'DoctorID'"),
    ],
)
def test_dropped_parts_of_stored_conditions(
    condition: dict[str, Any], entity: str, key: str | None, message: str
) -> None:
    """A manifest that drops what a stored condition names is refused, and the message names rule and part."""
    before = planned(text(rule(condition))).after
    entities = [
        {**each, key: []} if key is not None and each["Name"] == entity else each
        for each in CLINIC["Entities"]
        if each["Name"] != entity or key is not None
    ]
    if key == "Properties" and entity == "Patients":
        entities = [{**each, "Constraints": []} if each["Name"] == "Patients" else each for each in entities]
    manifest = yaml.safe_dump({**CLINIC, "Entities": entities}, sort_keys=False)
    errors = errors_of(manifest, before)
    assert [(error.key, message in error.message) for error in errors] == [("Security[Visits doctor get].Where", True)]


@pytest.mark.better("B-X1")
@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([rule(leaf("Room", 4))], {"Visits": ("Room",)}),
        ([rule(leaf("Room", {"User": "Level"}, "less"))], {"Visits": ("Room",)}),
        ([rule(leaf("Room", 4, "notequal"))], {}),
        ([rule(leaf("Room", None))], {"Visits": ("Room",)}),
        ([rule(leaf("Done", True))], {"Visits": ("Done",)}),
        ([rule(leaf("Done", False))], {}),
        ([rule(leaf("Ward", "a", "startswith"))], {"Visits": ("Ward",)}),
        ([rule(leaf("Ward", "a", "contains"))], {}),
        ([rule(leaf("Ward", ["a", "b"], "contains"))], {"Visits": ("Ward",)}),
        ([rule(leaf("Ward", {"User": "Ward"}))], {}),
        ([rule(leaf("Note", "a"))], {}),
        ([rule(leaf("Code", "a"))], {}),
        ([rule(leaf("ID", 1))], {}),
        ([rule(leaf("Owner"))], {"Visits": ("Owner",)}),
        ([rule(leaf("PatientID.DoctorID"))], {"Patients": ("DoctorID",)}),
        ([rule(leaf("Members(VisitID).UserID"))], {"Members": ("UserID",)}),
        ([rule(leaf("Room", 4), Action="put"), rule(leaf("Room", 4), Action="delete", Properties=[])], {}),
        ([rule(Action="post", Check=leaf("Room", 4))], {}),
        ([rule(leaf("Room", 4)), rule(leaf("Room", 5), Role="nurse")], {"Visits": ("Room",)}),
    ],
)
def test_indexes(rules: list[dict[str, Any]], expected: dict[str, tuple[str, ...]]) -> None:
    """Properties that reads look for get an index, unless a unique constraint or the key serves already."""
    made = planned(text(*rules))
    assert indexes(made.after) == expected
    without = planned(text(), made.after)
    assert indexes(without.after) == {}
    removed = [line.path for line in without.lines if ".Indexes[" in line.path]
    tenants = {"Members": "Company_ID, "}
    assert removed == [
        f"Entities[{entity}].Indexes[{names[0]}, {tenants.get(entity, '')}ID]" for entity, names in expected.items()
    ]
    again = planned(text(*rules), made.after)
    assert again.is_empty


OWNED = (
    "Security[Visits doctor get].Record: Owned also limits the rules with Where (role nurse) of a caller who has both; "
    "to make the rules alternatives, write Where: "
    '{"Property":"Owner","Operator":"equal","Value":{"User":"ID"}} instead of Record: Owned'
)
GET_USERS: dict[str, Any] = {"Entity": "Users", "Action": "get"}


@pytest.mark.better("B-X1")
@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([rule(leaf("Room", 4))], []),
        (
            [rule(leaf("Room", 4, "notequal"))],
            ["Security[Visits doctor get].Where: no index finds its records (notequal on Room)"],
        ),
        ([rule({"Filters": [leaf("Room", 4, "notequal"), leaf("Room", 1)]})], []),
        (
            [rule({"Logic": "OR", "Filters": [leaf("Note", "x", "endswith"), leaf("Room", 1)]})],
            ["Security[Visits doctor get].Where: no index finds its records (endswith on Note)"],
        ),
        ([rule(leaf("Room", 4, "notequal"), Action="put")], []),
        (
            [rule(Record="Owned"), rule(leaf("Room", 4), Role="nurse")],
            [OWNED],
        ),
        ([rule(leaf("Room", 4), Record="Owned")], []),
        ([rule(Record="Owned"), rule(leaf("Room", 4), Role="nurse", Action="put")], []),
        (
            [
                {**GET_USERS, "Role": "doctor", "Record": "Owned"},
                {**GET_USERS, "Role": "nurse", "Where": leaf("ID", 1)},
            ],
            ["Security[Users doctor get].Record: Owned also limits"],
        ),
        (
            [rule({"Filters": [leaf("Members(VisitID).UserID"), leaf("Members(VisitID).Owner")]})],
            ["Security[Visits doctor get].Where: several conditions of one AND follow Members(VisitID)"],
        ),
        ([rule({"Filters": [leaf("PatientID.DoctorID"), leaf("PatientID.Owner")]})], []),
        (
            [rule(leaf("Room", {"User": "Level"}))],
            ["Security[Visits doctor get].Where: users write their own Level with Account/Register and Account/Update"],
        ),
        ([rule(leaf("Room", {"User": "Company_ID"}))], []),
    ],
)
def test_warnings(rules: list[dict[str, Any]], expected: list[str]) -> None:
    """``apply`` warns of conditions without index, of Owned beside Where, and of what users can change themselves."""
    found = warnings(planned(text(*rules)))
    assert len(found) == len(expected)
    for warning, beginning in zip(found, expected, strict=True):
        assert warning.startswith(beginning)
