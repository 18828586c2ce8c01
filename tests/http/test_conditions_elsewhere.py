"""Conditions of rules in related records and with cursors: the same records and properties as in a plain read."""

from __future__ import annotations

from typing import Any

import pytest

from apilane.testing.client import Client
from tests.http.conftest import NewClient

OWN = {"Property": "Doctor_ID", "Operator": "equal", "Value": {"User": "ID"}}
MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Clinic", "AllowUserRegister": True},
    "Entities": [
        {"Name": "Patients", "Properties": [{"Name": "Title"}]},
        {
            "Name": "Visits",
            "DefaultOrder": [{"Property": "Note", "Direction": "ASC"}],
            "Properties": [
                {"Name": "Patient_ID", "Type": "Number"},
                {"Name": "Doctor_ID", "Type": "Number"},
                {"Name": "Note", "Maximum": 50},
                {"Name": "Room", "Maximum": 50},
            ],
            "Constraints": [{"Type": "ForeignKey", "Property": "Patient_ID", "Entity": "Patients"}],
        },
    ],
    "Security": [
        {"Entity": "Patients", "Role": "ANONYMOUS", "Action": "post", "Properties": "*"},
        {"Entity": "Visits", "Role": "ANONYMOUS", "Action": "post", "Properties": "*"},
        {"Entity": "Patients", "Role": "AUTHENTICATED", "Action": "get", "Properties": "*"},
        {
            "Entity": "Visits",
            "Role": "AUTHENTICATED",
            "Action": "get",
            "Properties": ["Patient_ID", "Doctor_ID", "Note", "Room"],
            "Where": OWN,
        },
        {
            "Entity": "Visits",
            "Role": "AUTHENTICATED",
            "Action": "get",
            "Properties": ["Patient_ID", "Doctor_ID", "Room"],
            "Where": {"Property": "Room", "Operator": "equal", "Value": "open"},
        },
    ],
}


@pytest.fixture(scope="module")
def doctor(new_application: NewClient) -> Client:
    """A doctor (user 1) with a visit of each kind: own, of another doctor in the open room, of another doctor."""
    client = new_application(MANIFEST)
    user = client.signed_in("doctor")
    (patient,) = client.add("Patients", {"Title": "P"})
    visits = [(1, "b own", "r1"), (2, "a foreign", "open"), (2, "c hidden", "r2"), (1, "d own", "open")]
    client.add(
        "Visits", *({"Patient_ID": patient, "Doctor_ID": d, "Note": note, "Room": room} for d, note, room in visits)
    )
    return user


SEEN = {1: "b own", 2: None, 4: "d own"}
"""The visits within reach, with the note that the doctor may read."""


@pytest.mark.better("B-X1", "B-X2")
def test_expanded_lists(doctor: Client) -> None:
    """A list of related records has only those within reach, with null for a property that no met rule grants."""
    record = doctor.record("Patients", 1, expand="Visits(Patient_ID)")
    assert {visit["ID"]: visit["Note"] for visit in record["Expanded"]["Visits(Patient_ID)"]} == SEEN


@pytest.mark.better("B-X1", "B-X3")
def test_cursors(doctor: Client) -> None:
    """Reading on by cursors gives each record within reach once, in an order by hidden values too."""
    found: dict[int, str | None] = {}
    after = ""
    for _ in range(4):
        answer = doctor.get(
            "Data/Get", entity="Visits", pageSize=1, cursor="true", **({"after": after} if after else {})
        )
        page = answer.json()
        found |= {visit["ID"]: visit["Note"] for visit in page["Data"]}
        after = page["Next"]
        if after is None:
            break
    assert found == SEEN
    assert list(found) == [2, 1, 4]
