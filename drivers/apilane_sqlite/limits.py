"""SQLite's limits, checked before anything is changed (B-D8). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from apilane.plugin.storage import Entity, stored_properties

__all__ = ["problems"]

COLUMNS_MAX: Final = 2000


def problems(entities: Sequence[Entity]) -> list[tuple[str, str]]:
    """Places and messages, see ``Dialect.problems``."""
    return [
        (f"Entities[{entity.name}].Properties", f"a table has {COLUMNS_MAX} columns at most")
        for entity in entities
        if len(stored_properties(entity)) > COLUMNS_MAX
    ]
