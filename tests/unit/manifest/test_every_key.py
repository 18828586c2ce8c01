"""Every key of the manifest with an unset environment variable, a null, and values of wrong types."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import pytest

from apilane.model.definition import ApplicationDefinition
from apilane.model.manifest import keys
from apilane.model.manifest.shapes import Key
from tests.unit.manifest.cases import errors_of, planned

Path = tuple[str | int, ...]

COMPLETE: dict[str, Any] = {
    "Apilane": 1,
    "Application": {
        "Name": "Shop",
        "Token": "23d4444f-b56e-4c5a-98ed-ef251796a238",
        "StorageProvider": "MySQL",
        "ConnectionString": "mysql://root@127.0.0.1/shop",
        "DifferentiationEntity": "Branch",
        "Online": True,
        "AllowUserRegister": True,
        "AllowLoginUnconfirmedEmail": True,
        "ForceSingleLogin": False,
        "AuthTokenExpireMinutes": 60,
        "HistoryRetentionDays": 365,
        "MaxAllowedFileSizeInKB": 100,
        "EmailConfirmationRedirectUrl": "https://example.com/",
        "IPPolicy": {"Logic": "Block", "Addresses": ["203.0.113.7"]},
        "Mail": {
            "Server": "mail.example.com",
            "Port": 25,
            "FromAddress": "shop@example.com",
            "FromDisplayName": "Shop",
            "Security": "Tls",
            "UserName": "shop",
            "Password": "pass",
        },
    },
    "Entities": [
        {"Name": "Kinds", "RenamedFrom": "Sorts", "Properties": [{"Name": "Title"}]},
        {
            "Name": "Items",
            "Description": "Things",
            "ChangeTracking": True,
            "Differentiation": True,
            "DefaultOrder": [{"Property": "Price", "Direction": "ASC"}],
            "Properties": [
                {
                    "Name": "Price",
                    "RenamedFrom": "Cost",
                    "Type": "Number",
                    "Description": "Price",
                    "Required": True,
                    "Minimum": 0,
                    "Maximum": 10,
                    "DecimalPlaces": 2,
                },
                {
                    "Name": "Code",
                    "Maximum": 10,
                    "ValidationRegex": "^[a-z]+$",
                    "Default": "ab",
                    "Values": ["ab", "cd"],
                    "Format": "Markdown",
                },
                {"Name": "Secret", "Encrypted": True},
                {"Name": "Kind_ID", "Type": "Number"},
            ],
            "Constraints": [
                {"Type": "Unique", "Properties": ["Code", "Price"], "PerTenant": True},
                {
                    "Type": "ForeignKey",
                    "Property": "Kind_ID",
                    "Entity": "Kinds",
                    "OnDelete": "SetNull",
                    "WithinReach": True,
                },
            ],
            "Indexes": [{"Properties": ["Price"]}],
        },
    ],
    "Security": [
        {
            "Entity": "Items",
            "Role": "ANONYMOUS",
            "Action": "get",
            "Record": "All",
            "Properties": ["Price"],
            "RateLimit": {"MaxRequests": 5, "Per": "Hour"},
        },
        {
            "Entity": "Items",
            "Role": "ANONYMOUS",
            "Action": "put",
            "Record": "All",
            "Properties": ["Price"],
            "Where": {"Property": "Price", "Operator": "less", "Value": 5},
            "Check": {"Property": "Price", "Operator": "less", "Value": 9},
        },
        {"CustomEndpoint": "Totals", "Role": "ANONYMOUS"},
        {"Schema": True, "Role": "ANONYMOUS"},
    ],
    "CustomEndpoints": [
        {
            "Name": "Totals",
            "Description": "Totals",
            "Kind": "sql",
            "Query": "select {Price}",
            "Parameters": {"Price": "Number"},
            "Methods": ["GET", "POST"],
        }
    ],
    "Reports": [
        {
            "Title": "Prices",
            "X": 0,
            "Y": 0,
            "Width": 6,
            "Height": 2,
            "Type": "Grid",
            "TimeRange": "30d",
            "Series": [
                {
                    "Label": "a",
                    "Entity": "Items",
                    "Properties": ["Price.Avg"],
                    "GroupBy": "Code",
                    "Filter": {"Logic": "AND", "Filters": [{"Property": "Price", "Operator": "equal", "Value": 1}]},
                }
            ],
            "MaxRecords": 10,
        }
    ],
    "EmailTemplates": [{"Event": "UserForgotPassword", "Active": True, "Subject": "s", "Content": "c"}],
    "Collaborators": ["dev@example.com"],
    "Plugins": {"some-plugin": {"Any": "x"}},
}
"""A manifest with every key. It is accepted as it is."""

TABLES: list[tuple[Path, Mapping[str, Key]]] = [
    ((), keys.MANIFEST),
    (("Application",), keys.APPLICATION),
    (("Application", "IPPolicy"), keys.IP_POLICY),
    (("Application", "Mail"), keys.MAIL),
    (("Entities",), keys.ENTITY),
    (("Entities", 1, "DefaultOrder"), keys.ORDER),
    (("Entities", 1, "Properties"), keys.PROPERTY),
    (("Entities", 1, "Constraints"), keys.CONSTRAINT),
    (("Entities", 1, "Indexes"), keys.INDEX),
    (("Security",), keys.RULE),
    (("Security", 0, "RateLimit"), keys.RATE_LIMIT),
    (("CustomEndpoints",), keys.ENDPOINT),
    (("Reports",), keys.REPORT),
    (("Reports", 0, "Series"), keys.SERIES),
    (("EmailTemplates",), keys.EMAIL_TEMPLATE),
]

WRONG: list[Any] = [
    None,
    7,
    -1,
    0.5,
    True,
    "x",
    "",
    [],
    {},
    [None],
    ["${NOPE}"],
    [7],
    [{}],
    [[]],
    {"a": None},
    {"a": "${NOPE}", "Name": "${NOPE}"},
    "x${NOPE}y",
    "${EMPTY}",
    "${SEVEN}",
    "${",
]


def at(document: Any, path: Path) -> Any:
    """The value at a path."""
    for step in path:
        document = document[step]
    return document


def paths_below(value: Any, path: Path = ()) -> Iterator[Path]:
    """The paths of all values below a value."""
    children: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, child in children:
        yield (*path, step)
        yield from paths_below(child, (*path, step))


PATHS = list(paths_below(COMPLETE))


def named(path: Path) -> str:
    return ".".join(map(str, path))


def changed(path: Path, value: Any) -> str:
    """The complete manifest with another value at a path."""
    document = copy.deepcopy(COMPLETE)
    at(document, path[:-1])[path[-1]] = value
    return json.dumps(document)


@pytest.fixture(scope="module")
def existing() -> ApplicationDefinition:
    """The application of the complete manifest."""
    return planned(json.dumps(COMPLETE), filename="a.json").after


def test_the_manifest_is_complete() -> None:
    """The manifest of these tests has every key that a manifest can have, and it is accepted."""
    assert errors_of(json.dumps(COMPLETE), filename="a.json") == []
    for path, table in TABLES:
        found = at(COMPLETE, path)
        items = found if isinstance(found, list) else [found]
        assert {key for item in items for key in item} == set(table), path


@pytest.mark.parametrize("path", PATHS, ids=named)
def test_an_unset_variable_is_one_mistake(path: Path, existing: ApplicationDefinition) -> None:
    """A value from a variable that is not set is reported once, with its place, for new and existing applications."""
    text = changed(path, "${NOPE}")
    for before in (None, existing):
        errors = errors_of(text, before, filename="a.json")
        reports = [error for error in errors if error.message == "the environment variable NOPE is not set"]
        assert len(reports) == 1, errors
        assert errors[0] == reports[0], errors


@pytest.mark.parametrize("path", PATHS, ids=named)
def test_a_wrong_value_is_a_mistake_with_a_place(path: Path, existing: ApplicationDefinition) -> None:
    """Any value at any key is accepted or reported in words with its place; it never causes another failure."""
    for value, before in product(WRONG, (None, existing)):
        text = changed(path, value)
        errors = errors_of(text, before, filename="a.json", environ={"EMPTY": "", "SEVEN": "7"})
        assert all(error.line == 1 and error.message for error in errors)
        assert not any("object at 0x" in str(error) for error in errors)


@pytest.mark.parametrize("path", PATHS, ids=named)
def test_a_missing_key_is_accepted_or_a_mistake(path: Path, existing: ApplicationDefinition) -> None:
    """A manifest without one of its values is accepted or refused with words."""
    document = copy.deepcopy(COMPLETE)
    del at(document, path[:-1])[path[-1]]
    for before in (None, existing):
        assert all(error.message for error in errors_of(json.dumps(document), before, filename="a.json"))
