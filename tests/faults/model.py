"""The application of the fault tests: unique names, references, units of several records, kept history."""

from __future__ import annotations

from typing import Any

__all__ = ["MANIFEST"]

TEXT = {"Type": "String", "Required": True, "Maximum": 100}
WHOLE = {"Type": "Number", "DecimalPlaces": 0}
ENTITIES: dict[str, dict[str, Any]] = {
    "Groups": {
        "Properties": [{"Name": "Name", **TEXT}],
        "Constraints": [{"Type": "Unique", "Properties": ["Name"]}],
    },
    "Items": {
        "ChangeTracking": True,
        "Properties": [
            {"Name": "Name", **TEXT},
            {"Name": "Unit", **TEXT},
            {"Name": "Amount", **WHOLE},
            {"Name": "GroupID", **WHOLE},
        ],
        "Constraints": [
            {"Type": "Unique", "Properties": ["Name"]},
            {"Type": "ForeignKey", "Property": "GroupID", "Entity": "Groups", "OnDelete": "NoAction"},
        ],
    },
    "Prizes": {
        "Properties": [{"Name": "Name", **TEXT}, {"Name": "Winner", **TEXT}],
        "Constraints": [{"Type": "Unique", "Properties": ["Name"]}],
    },
}


def _rules(entity: str, names: list[str]) -> list[dict[str, Any]]:
    with_properties = [{"Action": action, "Properties": names} for action in ("get", "post", "put")]
    return [{"Entity": entity, "Role": "AUTHENTICATED", **rule} for rule in [*with_properties, {"Action": "delete"}]]


MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {
        "Name": "Faults",
        "StorageProvider": "SQLite",
        "AllowUserRegister": True,
        "AllowLoginUnconfirmedEmail": True,
        "AuthTokenExpireMinutes": 60,
    },
    "Entities": [{"Name": name, **entity} for name, entity in ENTITIES.items()],
    "Security": [
        rule
        for name, entity in ENTITIES.items()
        for rule in _rules(name, [each["Name"] for each in entity["Properties"]])
    ],
}
