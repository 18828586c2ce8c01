"""Report panels in manifests: the first panel of a new application (docs/reference/manifest.md)."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["FIRST_PANEL"]

FIRST_PANEL: Final[dict[str, Any]] = {
    "Title": "User registrations per day",
    "X": 0,
    "Y": 0,
    "Width": 12,
    "Height": 4,
    "Type": "Line",
    "Series": [
        {
            "Label": "Registrations",
            "Entity": "Users",
            "Properties": ["ID.Count"],
            "GroupBy": "Created.Year,Created.Month,Created.Day",
        }
    ],
    "MaxRecords": 1000,
}
