"""Applications with equal definitions share compiled objects, and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from apilane.testing.client import Client, WireError, error_of

MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Twin"},
    "Entities": [
        {"Name": "Notes", "Properties": [{"Name": "Text", "Maximum": 100}, {"Name": "Stars", "Type": "Number"}]},
        {"Name": "Letters", "Properties": [{"Name": "Text", "Encrypted": True}]},
    ],
    "Security": [
        {"Entity": entity, "Role": "ANONYMOUS", "Action": action, "Properties": "*"}
        for entity in ("Notes", "Letters")
        for action in ("get", "post", "put")
    ],
}
NewClient = Callable[..., Client]


@pytest.fixture(scope="module")
def twins(new_application: NewClient) -> tuple[Client, Client]:
    """Two applications with the same manifest."""
    return new_application(MANIFEST), new_application(MANIFEST)


def test_records_are_apart(twins: tuple[Client, Client]) -> None:
    """Alternating calls read and write each application's own records; encrypted ones use its own key."""
    ids: dict[tuple[str, int], tuple[int, int]] = {}
    for n in range(5):
        for name, client in zip("ab", twins, strict=True):
            (note,) = client.add("Notes", {"Text": f"{name}{n}", "Stars": n})
            (letter,) = client.add("Letters", {"Text": f"{name}{n}"})
            ids[name, n] = note, letter
    for n in range(5):
        for name, client in zip("ab", twins, strict=True):
            note, letter = ids[name, n]
            assert client.record("Notes", note)["Text"] == f"{name}{n}"
            assert client.record("Letters", letter)["Text"] == f"{name}{n}"
            assert client.change("Notes", {"ID": note, "Stars": 9}) == 1
            filter = {"Property": "Text", "Operator": "equal", "Value": f"a{n}"}
            assert len(client.records("Notes", filter=filter)) == (name == "a")


def test_rules_are_apart(new_application: NewClient, twins: tuple[Client, Client]) -> None:
    """An application with the same entities and other rules has its own rules."""
    strict = copy.deepcopy(MANIFEST)
    strict["Security"] = [{"Entity": "Notes", "Role": "ANONYMOUS", "Action": "get", "Properties": ["Stars"]}]
    client = new_application(strict)
    refused = client.post("Data/Post", {"Text": "x"}, entity="Notes")
    assert error_of(refused) == WireError("UNAUTHORIZED", "Unauthorized", None, "Notes")
    assert twins[0].add("Notes", {"Text": "x"})
    assert error_of(client.get("Data/GetByID", entity="Letters", id=1)).code == "UNAUTHORIZED"
    (id,) = twins[1].add("Letters", {"Text": "b's"})
    assert twins[1].record("Letters", id)["Text"] == "b's"


def test_one_changes(new_application: NewClient, twins: tuple[Client, Client]) -> None:
    """When one of them gets another definition, the other one keeps its own."""
    changed = copy.deepcopy(MANIFEST)
    changed["Entities"][0]["Properties"].append({"Name": "Colour", "Maximum": 20})
    changed["Entities"][0]["Properties"][0]["Maximum"] = 5
    first, second = twins
    new_application(changed, Token=first.token)
    assert first.add("Notes", {"Text": "short", "Colour": "red"})
    assert error_of(first.post("Data/Post", {"Text": "too long"}, entity="Notes")).code == "VALIDATION"
    (id,) = second.add("Notes", {"Text": "too long for the other", "Colour": "red"})
    assert "Colour" not in second.record("Notes", id)
